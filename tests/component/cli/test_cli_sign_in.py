"""Signing in from the command line: what is asked, what is kept, and what nobody else on the machine can see."""

import json
import os
import pty
import select
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

import psutil
import pytest
from running_cli import MUSTER, Shell

from muster.access.signing.options import ProviderOptions, SignInOptions
from muster.storage.transaction import Database
from real_oidc import Browser, code_on, free_port, running_oidc_provider
from running_control import Control, running_control
from toolchains import needs

FIRST = "correct horse battery"
SECOND = "staple of other words"


def saved(shell: Shell) -> dict[str, str]:
    found: dict[str, str] = json.loads((shell.folder / "config" / "muster" / "login.json").read_text())
    return found


@pytest.fixture
def stranger(control: Control, tmp_path: Path) -> Shell:
    """A shell of somebody who has no token."""
    return Shell(tmp_path, {"MUSTER_URL": control.url})


def test_the_whole_way_of_a_password(control: Control, as_: Callable[[str], Shell], stranger: Shell) -> None:
    """An admin sets the first, its user changes it and is in; sets another; signs out, and the token is worth nothing."""
    as_("admin").type("password", "set", "ana", "--password-stdin", stdin=f"{FIRST}\n")
    refused = stranger.type("sign-in", "--user", "ana", "--password-stdin", code=2, stdin=f"{FIRST}\n")
    assert "no line for: New password" in refused.stderr
    assert not (stranger.folder / "config").exists()
    done = stranger.type("sign-in", "--user", "ana", "--password-stdin", "--json", stdin=f"{FIRST}\n{SECOND}\n")
    told = json.loads(done.stdout)
    assert set(told) == {"user", "token_id", "expires", "url"}
    token = saved(stranger)["token"]
    assert token not in done.stdout + done.stderr
    assert stranger.json("whoami")["name"] == "ana"
    stranger.type("password", "set", "--password-stdin", stdin=f"{SECOND}\n{FIRST} again\n")
    assert stranger.type("sign-out").stdout == "ana is signed out.\n"
    assert not (stranger.folder / "config" / "muster" / "login.json").exists()
    again = stranger.where(MUSTER_TOKEN=token).problem("whoami", code=6)
    assert again["code"] == "access.token-revoked"
    wrong = stranger.type("sign-in", "--user", "ana", "--password-stdin", code=6, stdin=f"{SECOND}\n")
    assert "access.sign-in-refused" in wrong.stderr


def test_nothing_to_sign_out_of(as_: Callable[[str], Shell]) -> None:
    """A token that was given out is not ended by signing out."""
    assert as_("ben").problem("sign-out", code=4)["code"] == "access.not-signed-in"
    assert as_("ben").json("whoami")["name"] == "ben"


def test_ways_and_mistakes(stranger: Shell) -> None:
    """Which ways there are; a provider that is not there; options that do not go together; nobody to ask."""
    assert stranger.json("sign-in", "--list") == {"password": True, "providers": []}
    assert stranger.problem("sign-in", "--oidc", "corp", code=3)["code"] == "access.provider-unknown"
    assert stranger.problem("sign-in", "--oidc", "corp", "--user", "ana", code=2)["code"] == "cli.usage"
    assert stranger.problem("sign-in", "--user", "ana", code=2)["code"] == "cli.usage"
    help_ = stranger.type("sign-in", "--help").stdout
    assert "--password " not in help_  # there is no way to have it seen in a list of processes


def test_a_password_is_asked_for_without_echo_and_seen_by_nobody(
    control: Control, as_: Callable[[str], Shell], tmp_path: Path
) -> None:
    """On a terminal it is typed blind; while the program runs it stands in no process's arguments or environment."""
    as_("admin").type("password", "set", "olga", "--password-stdin", stdin=f"{FIRST}\n")
    as_("admin").type("password", "set", "olga", "--password-stdin", stdin=f"{FIRST} it was\n")
    seen = _Watch((FIRST, SECOND))
    environment = {
        **os.environ,
        "HOME": str(tmp_path),
        "XDG_CONFIG_HOME": str(tmp_path / "tty"),
        "MUSTER_URL": control.url,
    }
    environment.pop("MUSTER_TOKEN", None)
    master, slave = pty.openpty()
    with seen:
        program = subprocess.Popen(
            [*MUSTER, "sign-in", "--user", "olga"], stdin=slave, stdout=slave, stderr=slave, env=environment, cwd=tmp_path,
            start_new_session=True,
        )  # fmt: skip
        os.close(slave)
        shown = b""
        for prompt, typed in ((b"Password of olga", f"{FIRST} it was"), (b"New password", SECOND), (b"Repeat", SECOND)):
            shown = _until(master, shown, prompt)
            time.sleep(0.2)  # the prompt is written before the echo is off
            os.write(master, f"{typed}\n".encode())
        shown += _rest(master)
        assert program.wait(30) == 0, shown
    os.close(master)
    assert FIRST.encode() not in shown
    assert SECOND.encode() not in shown
    assert b"olga at" in shown
    assert seen.looks > 3
    assert seen.found == []


class _Watch:
    """Looks at the arguments and environments of all processes while something runs."""

    def __init__(self, secrets: tuple[str, ...]) -> None:
        self._secrets = secrets
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run)
        self.found: list[str] = []
        self.looks = 0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._ended.wait(0.05):
            self.looks += 1
            for process in psutil.process_iter():
                try:
                    told = f"{process.cmdline()} {process.environ()}"
                except psutil.Error:
                    continue
                self.found += [told for secret in self._secrets if secret in told]


def _until(master: int, shown: bytes, prompt: bytes) -> bytes:
    until = time.monotonic() + 30
    seen = b""
    while prompt not in seen:
        assert time.monotonic() < until, shown + seen
        if select.select([master], [], [], 0.1)[0]:
            seen += os.read(master, 4096)
    return shown + seen


def _rest(master: int) -> bytes:
    rest = b""
    while True:
        try:
            piece = os.read(master, 4096)
        except OSError:  # the program ended
            return rest
        rest += piece


@pytest.fixture
def at_corp(sqlite_template: Path, tmp_path: Path) -> Iterator[Control]:
    """A factory with a real provider."""
    port = free_port()
    callback = f"http://127.0.0.1:{port}/api/v1/sign-in/oidc/callback"
    (tmp_path / "muster.db").write_bytes(sqlite_template.read_bytes())
    database = Database(f"sqlite:///{tmp_path / 'muster.db'}")
    with running_oidc_provider(tmp_path / "provider", [callback], names={"s-1": "ana"}) as provider:
        corp = ProviderOptions(
            name="corp", issuer=provider.issuer, client_id="public", client_secret_file=None, scopes=(),
            claim="preferred_username", known_names=False, groups_claim="", groups=(), joins={}, origins=(),
        )  # fmt: skip
        signing = SignInOptions(callback=callback, providers=(corp,))
        with running_control(database, tmp_path, port=port, signing=signing) as control:
            yield control
    database.close()


@needs("node")
def test_the_whole_way_of_a_provider(at_corp: Control, tmp_path: Path) -> None:
    """An admin binds an identity; its person signs in by browser and code, and what was kept is that person's token."""
    shell = Shell(tmp_path / "shell", {"MUSTER_URL": at_corp.url})
    shell.folder.mkdir()
    issuer = at_corp.services.oidc._providers["corp"].options.issuer
    admin = Shell(tmp_path / "shell", {"MUSTER_URL": at_corp.url, "MUSTER_TOKEN": at_corp.tokens["admin"]})
    admin.type("user", "bind", "ana", "--issuer", issuer, "--subject", "s-1")
    assert [one["subject"] for one in admin.json("user", "identities", "ana")["identities"]] == ["s-1"]
    environment = {
        **os.environ,
        "HOME": str(shell.folder),
        "XDG_CONFIG_HOME": str(shell.folder / "config"),
        "MUSTER_URL": at_corp.url,
    }
    environment.pop("MUSTER_TOKEN", None)
    program = subprocess.Popen(
        [sys.executable, "-u", "-m", "muster", "sign-in", "--oidc", "corp", "--password-stdin"], text=True, env=environment,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=shell.folder,
    )  # fmt: skip
    assert program.stderr is not None
    url = next(line.strip() for line in program.stderr if line.startswith("http"))
    browser = Browser()
    page = browser.come_back(url, "s-1")
    browser.close()
    out, err = program.communicate(f"{code_on(page)}\n", timeout=60)
    assert program.returncode == 0, err
    assert out.startswith("ana at ")
    assert shell.json("whoami")["name"] == "ana"
    gone = admin.json("user", "unbind", "ana", "--issuer", issuer, "--subject", "s-1")
    assert len(gone["ended_token_ids"]) == 1
    assert shell.problem("whoami", code=6)["code"] == "access.token-revoked"
