"""Signing in at a factory whose control is killed, and what its files tell afterwards."""

import contextlib
import threading
from pathlib import Path

import httpx
import pytest
from running_factory import RunningFactory, wait_for

from muster.client.control import connect
from muster.vocabulary.errors import MusterError, NotIdentified, Overloaded, TimedOut, Unavailable

FIRST = "set by the admin first"
SECRET = "correct horse battery"
WRONG = "wrong password, really"


@pytest.fixture(scope="module")
def ana(factory: RunningFactory) -> str:
    """Somebody with a password; the token of the first sign-in."""
    factory.admin.set_password("ana", FIRST)
    with connect(factory.control, token="none") as client:
        return client.sign_in("ana", FIRST, new_password=SECRET).token


def attempt(factory: RunningFactory, name: str, password: str) -> type[MusterError] | None:
    with connect(factory.control, token="none") as client:
        try:
            client.sign_in(name, password)
        except (NotIdentified, Overloaded) as error:
            return type(error)
    return None


def test_a_lock_out_outlives_control(factory: RunningFactory, ana: str) -> None:
    """Who is locked out stays so when control is killed and comes back; tokens go on working."""
    assert [attempt(factory, "olga", WRONG) for _ in range(5)] == [NotIdentified] * 5
    factory.restarted("control")
    wait_for(lambda: factory.admin.health().status == "ok")
    assert attempt(factory, "olga", WRONG) is Overloaded
    with connect(factory.control, token=ana) as client:
        assert client.whoami().name == "ana"


def test_kills_leave_no_token_without_its_event(factory: RunningFactory, ana: str) -> None:
    """Control is killed while people sign in: each token that there is has its event, and each event its token; the chain is whole."""
    ended = threading.Event()
    got: list[str] = []

    def sign_in() -> None:
        while not ended.is_set():
            with (
                contextlib.suppress(httpx.HTTPError, Unavailable, TimedOut, Overloaded),
                connect(factory.control, token="none") as client,
            ):
                got.append(client.sign_in("ana", SECRET).token_id)

    threads = [threading.Thread(target=sign_in) for _ in range(2)]
    for thread in threads:
        thread.start()
    for _ in range(4):
        before = len(got)
        wait_for(lambda before=before: len(got) > before)  # type: ignore[misc]
        factory.restarted("control")
    ended.set()
    for thread in threads:
        thread.join()
    wait_for(lambda: factory.admin.health().status == "ok")
    held = next(user for user in factory.admin.users().users if user.name == "ana").tokens
    given = {
        event.details["token_id"]
        for event in factory.admin.audit_events(limit=1000).events
        if "token_id" in event.details
    }
    assert {token.token_id for token in held} <= given
    assert set(got) <= {token.token_id for token in held}
    signed_in = [event for event in factory.admin.audit_events(limit=1000).events if event.action == "user.signed-in"]
    assert {str(event.details["token_id"]) for event in signed_in} <= {token.token_id for token in held}
    assert factory.admin.audit_verify().valid


def test_no_file_of_the_factory_holds_a_password(factory: RunningFactory, ana: str) -> None:
    """Logs, database with its journal, audit head, caches: neither right nor wrong passwords, nor the tokens they gave."""
    attempt(factory, "ben", WRONG)
    files = [path for path in factory.home.parent.rglob("*") if path.is_file() and not path.is_symlink()]
    assert {"control.log", "muster.db"} <= {path.name for path in files}
    for path in files:
        content = path.read_bytes()
        assert not [secret for secret in (FIRST, SECRET, WRONG, ana) if secret.encode() in content], path


def test_a_wrong_setting_keeps_the_factory_from_starting(tmp_path: Path) -> None:
    """A provider without a public address, over plain HTTP, or by mail alone: said before anything runs, with its place."""
    home = tmp_path / "home"
    factory = RunningFactory(home)
    factory.close()
    written = (home / "settings.toml").read_text()
    for text, told in (
        ('[[access.oidc]]\nname = "corp"\nissuer = "https://id.example.com"\nclient_id = "x"\n', "public_url"),
        ('[access]\npublic_url = "http://muster.example.com"\n', "https"),
        ('[access]\ntrusted_proxies = ["10.0.0.5/8"]\n', "trusted_proxies"),
        ('[[access.oidc]]\nname = "c"\nissuer = "http://id.example.com"\nclient_id = "x"\n', "issuer"),
        (
            '[[access.oidc]]\nname = "c"\nissuer = "https://i"\nclient_id = "x"\nallow = "known-names"\nclaim = "email"\n',
            "email",
        ),
    ):
        (home / "settings.toml").write_text(written + text)
        problem = factory.muster("up", "--home", str(home), "--port", "0", "--scoring-port", "0", code=2)
        assert problem["code"] == "settings.malformed"
        assert told in problem["detail"]
