"""Signing in over HTTP: what is told, what is not, and whom attempts are counted for."""

import json
import shutil
from collections.abc import Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest

from muster.access.signing.options import SignInOptions
from muster.storage.transaction import Database
from running_control import Control, running_control

SECRET = "correct horse battery"


@pytest.fixture
def control(sqlite_template: Path, tmp_path: Path) -> Iterator[Control]:
    """A control plane of the test's own: lock-outs of one test are none of another's."""
    yield from _control(sqlite_template, tmp_path, SignInOptions())


@pytest.fixture
def behind_a_proxy(sqlite_template: Path, tmp_path: Path) -> Iterator[Control]:
    """A control plane that believes this machine's proxies."""
    yield from _control(sqlite_template, tmp_path, SignInOptions(trusted_proxies=(ip_network("127.0.0.0/8"),)))


def _control(template: Path, folder: Path, signing: SignInOptions) -> Iterator[Control]:
    shutil.copyfile(template, folder / "muster.db")
    database = Database(f"sqlite:///{folder / 'muster.db'}")
    with running_control(database, folder, signing=signing) as running:
        running.as_("admin").set_password("ana", "set by the admin first")
        running.as_("ana").sign_in("ana", "set by the admin first", new_password=SECRET)
        yield running
    database.close()


def attempt(http: httpx.Client, user: str, password: Any, **headers: str) -> httpx.Response:
    return http.post("/api/v1/sign-in", json={"user": user, "password": password}, headers=headers)


def test_a_person_signs_in_and_out(control: Control) -> None:
    """The token that comes opens what ana's tokens open, and nothing after signing out; nobody keeps the answer."""
    with control.http() as http:
        answer = attempt(http, "ana", SECRET)
        assert (answer.status_code, answer.headers["cache-control"]) == (200, "no-store")
        assert set(answer.json()) == {"user", "token", "token_id", "expires"}
        mine = {"Authorization": f"Bearer {answer.json()['token']}"}
        assert http.get("/api/v1/whoami", headers=mine).json()["name"] == "ana"
        ended = http.post("/api/v1/sign-out", headers=mine)
        assert ended.json() == {"user": "ana", "token_ids": [answer.json()["token_id"]]}
        assert http.get("/api/v1/whoami", headers=mine).json()["code"] == "access.token-revoked"
        assert http.get("/api/v1/sign-in").json() == {"password": True, "providers": []}


def test_who_is_there_is_not_told(control: Control) -> None:
    """A wrong password, nobody, an application and somebody without a password: bytes and headers are the same."""
    with control.http() as http:
        answers = [attempt(http, user, "wrong password") for user in ("ana", "nobody", "shop", "ben", "muster")]
    told = {
        (answer.status_code, answer.content, answer.headers["content-type"], answer.headers["content-length"])
        for answer in answers
    }
    assert len(told) == 1
    assert answers[0].status_code == 401
    assert answers[0].json()["code"] == "access.sign-in-refused"


def test_a_lock_out_says_how_long(control: Control) -> None:
    """The sixth attempt is answered 429 with Retry-After, for somebody and for nobody alike."""
    with control.http() as http:
        for user in ("ana", "nobody"):
            assert [attempt(http, user, "wrong").status_code for _ in range(6)] == [401] * 5 + [429]
            locked = attempt(http, user, SECRET)
            assert locked.json()["code"] == "access.sign-in-locked"
            assert 0 < int(locked.headers["retry-after"]) <= 900


def test_what_a_caller_says_of_itself_does_not_count(control: Control) -> None:
    """With a new `X-Forwarded-For`, `Forwarded` or `X-Real-IP` each time, an address still has fifty attempts."""
    with control.http() as http:
        codes = []
        for number in range(52):
            invented = f"198.51.100.{number}"
            answer = attempt(
                http,
                f"guess-{number}",
                "x",
                **{"X-Forwarded-For": invented, "Forwarded": f"for={invented}", "X-Real-IP": invented},
            )
            codes.append(answer.status_code)
        assert codes == [401] * 50 + [429] * 2
    with control.services.database.read() as tx:
        locked = [
            entry.subject
            for entry in control.services.journal.entries(tx, limit=1000)
            if entry.action == "sign-in.locked"
        ]
    assert locked == ["address 127.0.0.1"]


def test_a_trusted_proxy_says_who_calls(behind_a_proxy: Control) -> None:
    """Behind a named proxy each caller has fifty attempts of its own; what the caller put in front gives no more."""
    with behind_a_proxy.http() as http:
        codes = [
            attempt(http, f"guess-{number}", "x", **{"X-Forwarded-For": f"10.9.8.{number}, 192.0.2.1"}).status_code
            for number in range(52)
        ]
        assert codes == [401] * 50 + [429] * 2
        assert attempt(http, "ana", SECRET, **{"X-Forwarded-For": "192.0.2.2"}).status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"user": "ana", "password": {"hidden": SECRET}},
        {"user": "ana", "password": [SECRET]},
        {"user": "ana", "password": SECRET, "passwort": SECRET},
        {"user": SECRET, "password": "x"},
        {"user": "ana", "password": SECRET * 100},
        {"password": SECRET},
        {"user": "ana", "password": SECRET, "new_password": SECRET},
        {"user": "ana", "password": SECRET, "new_password": f"\0{SECRET}"},
        [SECRET],
        SECRET,
    ],
)
def test_no_mistake_repeats_a_password(control: Control, body: Any, capfd: pytest.CaptureFixture[str]) -> None:
    """What is wrong about an order is said without what stands in it, to the caller and in the log."""
    with control.http() as http:
        answer = http.post("/api/v1/sign-in", json=body)
        broken = http.post(
            "/api/v1/sign-in", content=json.dumps(body).encode()[:-1], headers={"content-type": "application/json"}
        )
    assert (answer.status_code, broken.status_code) == (400, 400)
    assert SECRET not in answer.text + broken.text
    assert SECRET not in "".join(capfd.readouterr())


def test_half_a_character_is_only_a_wrong_password(control: Control) -> None:
    """What JSON can write and UTF-8 cannot is an answer like any, and no fault."""
    with control.http() as http:
        for written in ('"\\ud800"', '"\\u0000"', '""', '"' + "\\u00e9" * 1024 + '"'):
            answer = http.post("/api/v1/sign-in", content=f'{{"user": "ana", "password": {written}}}'.encode())
            assert answer.status_code in {400, 401}, written


def test_an_order_to_set_a_password_leaves_no_digest_of_it(control: Control) -> None:
    """Else whoever reads the record could try passwords out as fast as SHA-256 goes: the key's digest is the same for all."""
    with control.http("admin") as http:
        for key, password in (("k1", SECRET), ("k2", "some other words here"), ("k1", SECRET)):
            answer = http.post(
                "/api/v1/projects/default/users/ben/password",
                json={"password": password},
                headers={"Idempotency-Key": key},
            )
            assert answer.status_code == (200 if (key, password) != ("k1", SECRET) else answer.status_code)
        again = http.post(
            "/api/v1/projects/default/users/ben/password", json={"password": SECRET}, headers={"Idempotency-Key": "k1"}
        )
        assert again.json()["code"] == "audit.idempotency-key-reused"  # ben's password is k2's by now
    with control.services.database.read() as tx:
        entries = [
            entry for entry in control.services.journal.entries(tx, limit=1000) if entry.idempotency_key in {"k1", "k2"}
        ]
    assert len(entries) == 2
    assert len({entry.request_digest for entry in entries}) == 1


def test_passwords_of_another_project_are_nobodys(control: Control) -> None:
    """An admin of one project finds nobody of another, and no password of somebody who is elsewhere, too, can be set."""
    with control.http("admin") as http:
        for path in ("password", "identities", "identities/unbind"):
            body = {"password": SECRET} if path == "password" else {"issuer": "https://x", "subject": "1"}
            answer = http.post(f"/api/v1/projects/risk/users/ana/{path}", json=body)
            assert answer.status_code in {403, 404}, path
    with control.http("ana") as http:
        assert http.post("/api/v1/projects/default/users/ben/password", json={"password": SECRET}).status_code == 403


def test_signing_in_heeds_no_token(control: Control) -> None:
    """A token that was sent along, good or not, does not matter, and nobody acts as its holder."""
    with control.http() as http:
        for token in (control.tokens["admin"], "mst_nobody"):
            answer = attempt(http, "ana", SECRET, Authorization=f"Bearer {token}")
            assert answer.json()["user"] == "ana"


def test_what_is_no_provider_is_told_so(control: Control) -> None:
    """Beginning at a provider that is not there, and finishing what was never begun."""
    with control.http() as http:
        assert (
            http.post("/api/v1/sign-in/oidc/begin", json={"provider": "corp"}).json()["code"]
            == "access.provider-unknown"
        )
        finish = http.post("/api/v1/sign-in/oidc/finish", json={"handle": "A" * 43, "code": "x"})
        assert (finish.status_code, finish.json()["code"]) == (404, "access.flow-over")
        for query in ("", "?state=x", "?state=x&code=y", "?state=%00", "?state=" + "x" * 5000):
            page = http.get(f"/api/v1/sign-in/oidc/callback{query}")
            assert page.status_code in {400, 404}
            assert "set-cookie" not in page.headers
