"""What strangers, web pages, proxies and old tokens may try at control's door, and what they get."""

import json
import shutil
import socket
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest
from structlog.testing import capture_logs

from muster.access.signing.options import SignInOptions
from muster.access.signing.passwords import Passwords
from muster.access.signing.store import forget_attempts_before
from muster.api.server import HEAD_BYTES
from muster.publishing.board import ACCESS_SUBJECT
from muster.storage.transaction import Database
from muster.vocabulary.clock import rfc3339
from muster.wire.plans import AccessList
from running_control import Control, FollowingFront, running_control, wait_for
from small_bundles import SmallBundles

API = "/api/v1"
PROJECT = f"{API}/projects/default"
SECRET = "correct horse battery"
ORDER = json.dumps({"user": "ana", "password": "x"}).encode()
JSON = {"content-type": "application/json"}


class CountedPasswords(Passwords):
    """Counts how often a hash is computed to compare a password."""

    def __init__(self) -> None:
        super().__init__(memory_kib=64, passes=1)
        self.compared: list[bool] = []

    def fits(self, kept: str | None, password: str) -> bool:
        """As ever."""
        self.compared.append(kept is not None)
        return super().fits(kept, password)


@pytest.fixture
def alone(database: Database, tmp_path: Path) -> Iterator[Control]:
    """A control plane of the test's own, on either database, in which ana has a password."""
    with running_control(database, tmp_path / "home", passwords=CountedPasswords()) as running:
        yield settled(running)


@pytest.fixture
def behind_proxies(sqlite_template: Path, tmp_path: Path) -> Iterator[Control]:
    """A control plane that believes this machine's proxy and one more in front of it."""
    shutil.copyfile(sqlite_template, tmp_path / "muster.db")
    database = Database(f"sqlite:///{tmp_path / 'muster.db'}")
    signing = SignInOptions(trusted_proxies=(ip_network("127.0.0.0/8"), ip_network("10.0.0.0/8")))
    with running_control(database, tmp_path, signing=signing, passwords=CountedPasswords()) as running:
        yield settled(running)
    database.close()


def settled(running: Control) -> Control:
    running.as_("admin").set_password("ana", "set by the admin first")
    running.as_("ana").sign_in("ana", "set by the admin first", new_password=SECRET)
    return running


def seen(answer: httpx.Response, *names: str) -> tuple[int, dict[str, str], str]:
    """All that a stranger sees of an answer, but the names that the stranger chose and what depends on their length."""
    text = answer.text
    for name in names:
        text = text.replace(name, "NAME")
    return (
        answer.status_code,
        {key: told for key, told in answer.headers.items() if key not in {"date", "content-length"}},
        text,
    )


def events(control: Control, action: str = "") -> list[Any]:
    with control.services.database.read() as tx:
        return [one for one in control.services.journal.entries(tx, limit=1000) if one.action.startswith(action)]


# Who and what there is.


@pytest.mark.parametrize(
    ("who", "there", "nowhere", "paths"),
    [
        ("vera", "ana", "nobody", ("users/{}/identities", "users/{}/role", "users/{}/tokens", "users/{}/password")),
        ("vera", "adds", "nothing", ("models/{}",)),
        ("shop", "adds", "nothing", ("models/{}", "models/{}/versions/1", "endpoints/{}")),
    ],
)
def test_without_the_right_nobody_learns_what_there_is(
    control: Control, bundles: SmallBundles, who: str, there: str, nowhere: str, paths: tuple[str, ...]
) -> None:
    """Somebody who may not do a thing is refused alike for what is there and for what is not, header by header."""
    control.as_("ana").register(bundles.new(name="adds"))
    orders: dict[str, Any] = {
        "role": {"role": "viewer"}, "tokens": {}, "password": {"password": SECRET}, "adds": {"reason": "x", "description": "x"},
        "nothing": {"reason": "x", "description": "x"},
    }  # fmt: skip
    with control.http(who) as http:
        for path in paths:
            answers = []
            for name in (there, nowhere):
                order = orders.get(path.format(name).rpartition("/")[2])
                method = "GET" if order is None or who == "shop" else "POST"
                if who == "vera" and path == "models/{}":
                    continue
                answers.append(seen(http.request(method, f"{PROJECT}/{path.format(name)}", json=order), there, nowhere))
            assert len(set(map(str, answers))) <= 1, answers
            assert all(status in {403, 404} for status, _, _ in answers)


def test_tokens_of_others_are_as_unknown_as_none(control: Control) -> None:
    """Who manages nobody learns nothing of token ids; a token that ended, one of another factory and noise are refused alike."""
    with control.http("admin") as http:
        ben = next(one for one in http.get(f"{PROJECT}/tokens").json()["tokens"] if one["user"] == "ben")["token_id"]
    with control.http("vera") as http:
        for deed in ("revoke", "rotate"):
            answers = {
                str(seen(http.post(f"{PROJECT}/tokens/{one}/{deed}", json={} if deed == "rotate" else None), one))
                for one in (ben, "tok_0000000000000000")
            }
            assert len(answers) == 1, answers
    good = control.tokens["vera"]
    formed = ["mst_" + "A" * 43, good[:-1] + ("A" if good[-1] != "A" else "B"), "mst_" + good[4:].swapcase()]
    noise = [good[:-1], good + "x", "x", "mst_", "Ünï", "'; DROP TABLE tokens; --"]
    with control.http() as http:
        for tokens in (formed, noise):  # only the form, which everybody knows, is told apart
            told = {
                str(seen(http.get(f"{API}/whoami", headers={b"Authorization": f"Bearer {one}".encode("latin-1")})))
                for one in tokens
            }
            assert len(told) == 1, told


def test_a_password_is_compared_whoever_is_named(alone: Control) -> None:
    """For nobody, for an application and for who has no password one hash is computed as well, so that time tells nothing."""
    passwords = alone.services.sign_in._passwords
    assert isinstance(passwords, CountedPasswords)
    passwords.compared.clear()
    with alone.http() as http:
        answers = [
            http.post(f"{API}/sign-in", json={"user": user, "password": "wrong"})
            for user in ("ana", "nobody", "shop", "ben")
        ]
        assert len({str(seen(answer)) for answer in answers}) == 1
        assert passwords.compared == [True, False, False, False]
        for _ in range(4):
            http.post(f"{API}/sign-in", json={"user": "nobody", "password": "wrong"})
        passwords.compared.clear()
        locked = http.post(f"{API}/sign-in", json={"user": "nobody", "password": "wrong"})
    assert (locked.status_code, passwords.compared) == (429, [])  # and who is locked out costs nothing


def test_a_dummy_is_hashed_with_the_same_cost() -> None:
    """The hash that nobody has is made with the parameters of all others."""
    passwords = Passwords(memory_kib=64, passes=3)
    compared: list[str] = []
    hasher = passwords._hasher

    class Watched:
        def __getattr__(self, name: str) -> Any:
            return getattr(hasher, name)

        def verify(self, kept: str, password: str) -> bool:
            compared.append(kept.rpartition("$")[0].rpartition("$")[0])
            return bool(hasher.verify(kept, password))

    passwords._hasher = Watched()  # type: ignore[assignment]
    assert not passwords.fits(passwords.hashed("something else"), SECRET)
    assert not passwords.fits(None, SECRET)
    assert len(compared) == 2
    assert compared[0] == compared[1]


# Web pages.


@pytest.mark.parametrize(
    "said",
    [
        "text/plain", "text/plain;charset=UTF-8", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x",
        "application/json; charset=utf-16", "application/msgpack", "application/jsonp", "application/zip", "", "*/*",
    ],
)  # fmt: skip
def test_forms_are_no_orders(control: Control, said: str) -> None:
    """A page can send forms and plain text to any address without asking: neither is taken, with a token or without."""
    before = len(events(control))
    for name, path, body in (
        (None, f"{API}/sign-in", ORDER), ("admin", f"{PROJECT}/users", b'{"name": "eve", "role": "admin"}'),
        ("admin", f"{PROJECT}/users/ana/tokens", b"{}"),
    ):  # fmt: skip
        with control.http(name) as http:
            answer = http.post(path, content=body, headers={"content-type": said})
            assert (answer.status_code, answer.json()["code"]) == (415, "api.content-type-unfit")
    assert len(events(control)) == before
    with control.http("ana") as http:
        answer = http.post(f"{PROJECT}/versions", content=b"PK", headers={"content-type": "text/plain"})
        assert answer.status_code == 415


_OF_OTHERS: list[dict[str, str]] = [
    {"Sec-Fetch-Site": "cross-site"},
    {"Sec-Fetch-Site": "same-site"},
    {"Sec-Fetch-Site": "CROSS-SITE"},
    {"Sec-Fetch-Site": "something"},
    {"Origin": "https://evil.example"},
    {"Origin": "null"},
    {"Origin": "http://127.0.0.1:1"},
    {"Origin": "http://[::1"},
    {"Origin": "https://evil.example", "X-Forwarded-Host": "evil.example"},
    {"Sec-Fetch-Site": "cross-site", "Origin": "http://HOST"},
]


def test_pages_of_other_origins_give_no_orders(alone: Control) -> None:
    """What a browser sends for another page is refused before it counts as an attempt, or is looked at at all."""
    host = alone.url.removeprefix("http://")
    for told in _OF_OTHERS:
        headers = {name: value.replace("HOST", host) for name, value in told.items()}
        for _ in range(6):
            with alone.http() as http:
                answer = http.post(f"{API}/sign-in", content=ORDER, headers=headers)
            assert (answer.status_code, answer.json()["code"]) == (403, "api.cross-origin")
        with alone.http("admin") as http:
            assert (
                http.post(f"{PROJECT}/users", json={"name": "eve", "role": "admin"}, headers=headers).status_code == 403
            )
            assert http.delete(f"{PROJECT}/users/ana", headers=headers).status_code == 403
    with alone.http() as http:  # nobody was locked out
        assert http.post(f"{API}/sign-in", json={"user": "ana", "password": SECRET}).status_code == 200


def test_own_pages_programs_and_links_are_let_in(alone: Control) -> None:
    """A page of the same origin, whoever typed an address, and a provider that sends somebody back."""
    host = alone.url.removeprefix("http://")
    with alone.http() as http:
        for headers in (
            {"Sec-Fetch-Site": "same-origin", "Origin": alone.url}, {"Sec-Fetch-Site": "none"}, {"Origin": f"http://{host}"}, {},
        ):  # fmt: skip
            order = {"user": "ana", "password": SECRET}
            assert http.post(f"{API}/sign-in", json=order, headers=headers).status_code == 200
        back = http.get(f"{API}/sign-in/oidc/callback?state=x", headers={"Sec-Fetch-Site": "cross-site"})
        assert back.status_code == 404  # nobody began with that state, and it is no refusal of the origin
        assert "Not signed in" in back.text


def test_nothing_but_the_header_says_who_calls(control: Control) -> None:
    """No cookie, no parameter, no form, no other scheme and no name in the address; and no answer sets a cookie or invites pages in."""
    token = control.tokens["admin"]
    url = control.url.replace("://", f"://admin:{token}@")
    with control.http() as http:
        for headers in (
            {"Cookie": f"token={token}; Authorization=Bearer {token}; session={token}"}, {"X-Authorization": f"Bearer {token}"},
            {"Proxy-Authorization": f"Bearer {token}"}, {"X-Api-Key": token}, {"Authorization": f"Basic {token}"},
            {"Authorization": token}, {"X-Remote-User": "admin", "X-Forwarded-User": "admin", "Remote-User": "admin"},
        ):  # fmt: skip
            assert http.get(f"{API}/whoami", headers=headers).status_code == 401, headers
        for query in ({"token": token}, {"access_token": token}, {"authorization": f"Bearer {token}"}):
            assert http.get(f"{API}/whoami", params=query).status_code == 401
        assert httpx.get(f"{url}{API}/whoami", trust_env=False).status_code == 401
        asked = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
        for path in ("/sign-in", "/whoami", "/projects/default/users", "/sign-in/oidc/finish"):
            for method in ("OPTIONS", "GET"):
                answer = http.request(method, f"{API}{path}", headers=asked)
                assert not [
                    name for name in answer.headers if name.startswith("access-control") or name == "set-cookie"
                ]
    with control.http("admin") as http:
        assert "set-cookie" not in http.get(f"{API}/whoami").headers


# Proxies.


_CHAINS: list[tuple[list[str], str]] = [
    (["203.0.113.7"], "203.0.113.7"),
    (["198.51.100.1, 203.0.113.7, 10.1.1.1"], "203.0.113.7"),
    (["198.51.100.1", "203.0.113.7, 10.1.1.1"], "203.0.113.7"),
    (["127.0.0.1, 203.0.113.7, 10.9.9.9, 10.1.1.1"], "203.0.113.7"),
    (["10.2.2.2, 10.1.1.1"], "10.2.2.2"),
    (["203.0.113.7, , 10.1.1.1"], "10.1.1.1"),
    (["203.0.113.7, not an address"], "127.0.0.1"),
    (["::ffff:203.0.113.7"], "203.0.113.7"),
    (["[2001:db8:1:2:3::4]:443"], "2001:db8:1:2::/64"),
    ([",".join(["198.51.100.9"] * 500 + ["203.0.113.7"])], "203.0.113.7"),
]


def test_a_chain_of_proxies_is_read_from_its_end(behind_proxies: Control) -> None:
    """Hop by hop over proxies that are believed: what the caller wrote in front of it locks nobody else out, and is on no record."""
    invented = [
        ("X-Forwarded-Proto", "https"),
        ("X-Forwarded-Host", "evil.example"),
        ("Forwarded", "for=192.0.2.66;host=evil"),
    ]
    for forwarded, counted in _CHAINS:
        headers = [*(("X-Forwarded-For", value) for value in forwarded), *invented]
        before = len(events(behind_proxies, "sign-in.locked"))
        with behind_proxies.http() as http:
            codes = [
                http.post(
                    f"{API}/sign-in", json={"user": f"guess-{number}", "password": "x"}, headers=headers
                ).status_code
                for number in range(51)
            ]
        assert codes == [401] * 50 + [429], forwarded
        (locked,) = events(behind_proxies, "sign-in.locked")[before:]
        assert locked.subject == f"address {counted}"
        with behind_proxies.services.database.write() as tx:
            forget_attempts_before(tx, datetime.now(UTC) + timedelta(days=1))
    assert "evil" not in repr(events(behind_proxies))


def test_forged_headers_change_no_answer(control: Control) -> None:
    """Host, scheme and address that somebody claims show up nowhere: not in documents, problems, or the record."""
    forged = {
        "X-Forwarded-For": "203.0.113.99", "X-Forwarded-Host": "evil.example", "X-Forwarded-Proto": "javascript",
        "X-Forwarded-Prefix": "/evil.example", "Forwarded": "for=203.0.113.99;host=evil.example;proto=https", "Host": "evil.example",
        "X-Original-URL": "/api/v1/health", "X-Rewrite-URL": "/api/v1/health", "X-HTTP-Method-Override": "DELETE",
    }  # fmt: skip
    with control.http("admin") as http:
        for path in ("/whoami", "/projects/default/models", "/nothing", "/openapi.json", "/sign-in"):
            plain, told = http.get(f"{API}{path}"), http.get(f"{API}{path}", headers=forged)
            assert (seen(plain), "evil.example" in told.text) == (seen(told), False), path
        made = http.post(f"{PROJECT}/users", json={"name": "forged", "role": "viewer"}, headers=forged)
        assert made.status_code == 201
    assert not {"evil.example", "203.0.113.99"} & {word for one in events(control) for word in repr(one).split("'")}


# Bodies and heads.


def spoken(control: Control, *parts: bytes) -> bytes:
    """What comes back for bytes, until the peer closes."""
    host, port = control.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), 20) as peer:
        try:
            for part in parts:
                peer.sendall(part)
        except (BrokenPipeError, ConnectionResetError):
            pass
        found = b""
        try:
            while piece := peer.recv(65536):
                found += piece
        except ConnectionResetError:
            pass
        return found


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b'{"user": ' + b"[" * 200_000 + b"]" * 200_000 + b"}", 400),
        (b'{"user": ' * 100_000 + b"1" + b"}" * 100_000, 400),
        (b'{"user": ' + b"9" * 900_000 + b', "password": "x"}', 400),
        (b'{"user": -1e999999, "password": "x"}', 400),
        (b'{"user": 1' + b"0" * 5_000 + b"e-5000}", 400),
        (b'{"user": "' + b"a" * 900_000 + b'", "password": "x"}', 400),
        (b'{"user": "ana", "password": "' + b"a" * 900_000 + b'"}', 400),
        (b'{"user": "ana", "password": "x", "user": "ben"}', 400),
        (b'{"user": "ana", "password": "x", "\\u0075ser": "ben"}', 400),
        (b'{"user": {"a": 1, "a": 2}, "password": "x"}', 400),
        (b'{"user": "ana", "password": "x", "more": {}}', 400),
        (b'{"user": "ana", "password": "x"} {}', 400),
        (b'\xef\xbb\xbf{"user": "ana", "password": "x"}', 400),
        ('{"user": "ana", "password": "x"}'.encode("utf-16"), 400),
        (b'{"user": NaN, "password": Infinity}', 400),
        (b'{"user": "' + b"a" * 1_100_000 + b'", "password": "x"}', 413),
    ],
    ids=range(16),
)
def test_no_body_hurts_the_open_door(control: Control, body: bytes, status: int) -> None:
    """Depth, numbers and texts without end, a field twice, more than JSON: refused where no token is asked for, at once and small."""
    with control.http() as http:
        for path in ("sign-in", "sign-in/oidc/begin", "sign-in/oidc/finish"):
            for headers in (JSON, {}):
                answer = http.post(f"{API}/{path}", content=body, headers=headers)
                assert answer.status_code == status, answer.text
                assert len(answer.content) < 2_000
        assert http.get(f"{API}/health").status_code == 200


def test_a_field_that_is_there_twice_is_no_order(control: Control) -> None:
    """Else whoever checks orders on their way could see one role, and Muster give the other."""
    with control.http("admin") as http:
        for body in (
            b'{"name": "twin", "role": "viewer", "role": "admin"}', b'{"name": "twin", "role": "viewer", "r\\u006fle": "admin"}',
            b'{"name": "twin", "role": "viewer", "endpoints": ["a"], "endpoints": ["*"]}',
        ):  # fmt: skip
            answer = http.post(f"{PROJECT}/users", content=body, headers=JSON)
            assert (answer.status_code, answer.json()["code"]) == (400, "api.request-malformed")
            assert "twice" in answer.json()["detail"]
        assert "twin" not in http.get(f"{PROJECT}/users").text


def test_a_body_without_a_length_has_the_same_limit(control: Control) -> None:
    """In chunks and without an end: cut off, whoever sends it and wherever to."""
    for path in ("sign-in", "sign-in/oidc/finish", "projects/default/users", "projects/default/versions"):
        head = (
            f"POST {API}/{path} HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
        )
        piece = b"10000\r\n" + b'"' + b"a" * 65_535 + b"\r\n"
        told = spoken(control, head, *[piece] * 40)
        assert told.split()[1] in {b"413", b"401"}, told
        assert len(told) < 2_000


def test_an_upload_is_never_taken_as_an_order(control: Control) -> None:
    """Neither a content type nor an idempotency key has a file read into memory, or an order pass without being looked at."""
    key = {"Idempotency-Key": "one-key", "content-type": "application/json"}
    with control.http("ana") as http:
        answer = http.post(f"{PROJECT}/versions", content=b"x" * 5_000_000, headers=key)
        assert (answer.status_code, answer.json()["code"]) == (415, "api.content-type-unfit")
    with control.http("admin") as http:
        first = http.post(f"{PROJECT}/users", json={"name": "once", "role": "viewer"}, headers=key)
        edited = http.post(f"{PROJECT}/users", json={"name": "once", "role": "admin"}, headers=key)
        as_file = http.post(
            f"{PROJECT}/users",
            content=b'{"name": "once", "role": "admin"}',
            headers={**key, "content-type": "application/zip"},
        )
    assert (first.status_code, edited.status_code, as_file.status_code) == (201, 409, 415)
    assert edited.json()["code"] == "audit.idempotency-key-reused"


@pytest.mark.parametrize(
    "head",
    [
        b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\nX-Forwarded-For: " + b"192.0.2.1," * 100_000,
        b"GET /api/v1/health HTTP/1.1\r\nHost: x\r\n" + b"A: b\r\n" * 200_000,
        b"GET /" + b"a" * 1_000_000,
        b"POST /api/v1/sign-in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n" + b"T: x\r\n" * 200_000,
        b"POST /api/v1/sign-in HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1;" + b"e" * 1_000_000,
    ],
    ids=["one header", "many headers", "address", "trailers", "extension of a chunk"],
)
def test_no_head_is_without_end(control: Control, head: bytes) -> None:
    """What comes before anybody can be identified, or behind the body, is bounded: the connection ends."""
    with capture_logs() as logs:
        told = spoken(control, *(head[start : start + 50_000] for start in range(0, len(head), 50_000)))
    assert not [one for one in logs if one["log_level"] == "error"]  # whoever goes away is no fault
    assert told[:12] in {b"HTTP/1.1 400", b"HTTP/1.1 401", b""}, told[:200]
    with control.http() as http:
        fits = "x" * (HEAD_BYTES // 2)
        assert http.get(f"{API}/health", headers={"X-Long": fits}).status_code == 200


def test_bodies_in_the_smallest_pieces_are_taken(control: Control) -> None:
    """The bound on what frames a body refuses no body that is sent byte by byte."""
    body = json.dumps({"reason": "x" * 20_000}).encode()
    head = f"POST {API}/sign-in/oidc/begin HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    told = spoken(control, head, *(b"1\r\n%c\r\n" % one for one in body), b"0\r\n\r\n")
    assert b"api.request-malformed" in told


@pytest.mark.parametrize(
    "text", ["a%0d%0aX-Evil:%201", "a%0aX-Evil:%201", "%0d%0a%0d%0a<script>", "a%E2%80%A8b", "%1b%5b2J"]
)
def test_no_text_of_a_request_becomes_a_header(control: Control, text: str) -> None:
    """Line breaks in names, queries, keys and states are answered without a further header or a further answer."""
    with control.http("ana") as http:
        for path in (
            f"{API}/{text}", f"{PROJECT}/models/{text}", f"{PROJECT}/models/adds/versions/1/files/{text}", f"{API}/projects/{text}/models",
            f"{PROJECT}/endpoints/{text}/export", f"{API}/sign-in/oidc/callback?state={text}&error={text}&iss={text}",
            f"{PROJECT}/search?q={text}",
        ):  # fmt: skip
            answer = http.get(path)
            assert answer.status_code < 500, path
            assert "x-evil" not in answer.headers
            assert "<script>" not in answer.text or answer.headers["content-type"].startswith("application/")
    wire = spoken(control, f"GET {API}/{text} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n".encode())
    assert wire.count(b"HTTP/1.1 ") == 1
    assert b"\nX-Evil" not in wire


@pytest.mark.parametrize("value", ["a\nX-Evil: 1", "a\rb", "a\x00b", "\x1b[2J"])
def test_a_key_with_line_breaks_is_none(control: Control, value: str) -> None:
    """Headers of a request are refused by the parser, or by what looks at them."""
    request = f"POST {PROJECT}/users HTTP/1.1\r\nHost: x\r\nConnection: close\r\nAuthorization: Bearer {control.tokens['admin']}\r\n"
    body = b'{"name": "broken", "role": "viewer"}'
    request += f"Content-Length: {len(body)}\r\nIdempotency-Key: {value}\r\n\r\n"
    told = spoken(control, request.encode() + body)
    assert told.startswith(b"HTTP/1.1 400") or b"X-Evil" in request.encode()
    assert b"\nX-Evil" not in told
    assert told.count(b"HTTP/1.1 ") == 1


# Tokens that were.


def test_no_token_outlives_its_end(alone: Control) -> None:
    """Revoked, rotated, expired, signed out, removed, of an old password: 401 from then on, and not in what fronts are told."""
    soon = rfc3339(datetime.now(UTC) + timedelta(seconds=1.5))
    with alone.http("admin") as admin, alone.http() as http:

        def new(name: str, **order: Any) -> tuple[str, str]:
            answer = admin.post(f"{PROJECT}/users/{name}/tokens", json=order)
            assert answer.status_code == 201, answer.text
            return answer.json()["token_id"], answer.json()["token"]

        ended = {
            "revoked": new("olga"), "rotated": new("olga"), "expired": new("olga", expires=soon), "removed": new("shop"),
            "everywhere": new("vera"),
        }  # fmt: skip
        for way in ("signed out", "password"):
            told = http.post(f"{API}/sign-in", json={"user": "ana", "password": SECRET}).json()
            ended[way] = (told["token_id"], told["token"])
        for _, token in ended.values():
            assert http.get(f"{API}/whoami", headers={"Authorization": f"Bearer {token}"}).status_code == 200
        with FollowingFront(alone):
            for answer in (
                admin.post(f"{PROJECT}/tokens/{ended['revoked'][0]}/revoke"),
                admin.post(f"{PROJECT}/tokens/{ended['rotated'][0]}/rotate", json={"grace_s": 0}),
                admin.delete(f"{PROJECT}/users/shop"),
                admin.delete(f"{PROJECT}/users/vera", params={"everywhere": True}),
                http.post(f"{API}/sign-out", headers={"Authorization": f"Bearer {ended['signed out'][1]}"}),
                admin.post(f"{PROJECT}/users/ana/password", json={"password": "another of the admin's"}),
            ):
                assert answer.is_success, answer.text
        late = {"Authorization": f"Bearer {ended['expired'][1]}"}
        wait_for(lambda: http.get(f"{API}/whoami", headers=late).status_code == 401)
        before = len(events(alone))
        for way, (_, token) in ended.items():
            mine = {"Authorization": f"Bearer {token}"}
            for method, path in (
                ("GET", "/whoami"), ("GET", "/projects/default/models"), ("POST", "/sign-out"), ("GET", "/follow"),
                ("POST", "/projects/default/users/olga/tokens"),
            ):  # fmt: skip
                answer = http.request(method, f"{API}{path}", headers=mine, json={} if method == "POST" else None)
                assert answer.status_code == 401, (way, path)
                assert token not in answer.text
        assert len(events(alone)) == before
    newest = alone.services.board.newest(ACCESS_SUBJECT)
    assert newest is not None
    assert isinstance(newest.document, AccessList)
    now_ns = time.time_ns()
    scoring = {one.token_id for one in newest.document.entries if not one.expires_ns or one.expires_ns > now_ns}
    assert scoring
    assert not scoring & {token_id for token_id, _ in ended.values()}
