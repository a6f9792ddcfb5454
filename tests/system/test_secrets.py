"""A factory with every kind of secret: where each may be, and that it is nowhere else."""

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import models
import psutil
import pytest
from running_factory import RunningFactory, wait_for

from muster.client.control import connect

METRICS_TOKEN = "metrics-token-of-the-test-7c1f"
FIRST, PASSWORD, WRONG = "set by the admin first", "correct horse battery", "wrong password, really"


class TellsSurroundings(models.Adds):
    """A model that looks at what it was started with, as somebody's careless code might, and prints it."""

    def predict(self, frame: Any) -> dict[str, Any]:
        """As `Adds`."""
        print("surroundings", sorted(os.environ.items()), flush=True)  # noqa: T201 - that is what it is for
        return super().predict(frame)


@pytest.fixture(scope="module")
def secretive(
    tmp_path_factory: pytest.TempPathFactory, bundles: Callable[..., Path]
) -> Iterator[tuple[RunningFactory, set[str]]]:
    """A factory in use, and the texts of all its secrets."""
    folder = tmp_path_factory.mktemp("secretive")
    environment = {"MUSTER_METRICS_TOKEN": METRICS_TOKEN, "MUSTER_ACCESS_SIGN_IN_HOURS": "1"}
    factory = RunningFactory(folder / "home", environment=environment)
    factory.release("adds", factory.accepted(bundles("tells", TellsSurroundings(1))))
    factory.score("adds", {"x": 1.0})
    factory.admin.set_password("ana", FIRST)
    with connect(factory.control, token="none") as client:
        token = client.sign_in("ana", FIRST, new_password=PASSWORD).token
        with pytest.raises(Exception, match="do not go together"):
            client.sign_in("ana", WRONG)
    with httpx.Client(base_url=factory.control, trust_env=False) as http:
        for given in (token, factory.tokens["shop"], f"{token}x"):
            http.get("/api/v1/nothing", headers={"Authorization": f"Bearer {given}"})
            http.post("/api/v1/projects/default/users", headers={"Authorization": f"Bearer {given}"}, content=b"{")
    with httpx.Client(base_url=factory.scoring, trust_env=False) as http:
        http.post("/score/adds", headers={"Authorization": f"Bearer {factory.tokens['shop']}"}, content=b"{")
        http.post("/score/adds", headers={"Authorization": f"Bearer {factory.tokens['shop']}x"}, content=b"{}")
    front = next((factory.home).rglob("front*.token"), None)
    secrets = {FIRST, PASSWORD, WRONG, token, METRICS_TOKEN, *factory.tokens.values()}
    secrets |= {(factory.home / "admin.token").read_text().strip()} | ({front.read_text().strip()} if front else set())
    yield factory, secrets
    factory.close()


def processes(factory: RunningFactory) -> list[psutil.Process]:
    """Every process of a factory."""
    first = psutil.Process(factory.process.pid)
    return [first, *first.children(recursive=True)]


def found_in(content: bytes, secrets: set[str]) -> set[str]:
    return {secret for secret in secrets if secret.encode() in content}


def test_no_command_line_holds_a_secret(secretive: tuple[RunningFactory, set[str]]) -> None:
    """Every user of a machine can read those of all processes."""
    factory, secrets = secretive
    lines = ["\0".join(process.cmdline()) for process in processes(factory)]
    assert len(lines) > 5
    assert not [line for line in lines if found_in(line.encode(), secrets)]
    listed = json.dumps(factory.muster("ps", "--home", str(factory.home)))
    assert not found_in(listed.encode(), secrets)


def test_a_host_is_handed_nothing_of_musters(secretive: tuple[RunningFactory, set[str]]) -> None:
    """Neither a variable `MUSTER_…` nor the value of one is in what the kernel keeps of hosts and their parents, or what a model sees."""
    factory, secrets = secretive
    pids = {*factory.processes("host"), *factory.processes("parent")}
    assert pids
    for pid in pids:
        surroundings = Path(f"/proc/{pid}/environ").read_bytes()
        assert surroundings
        assert not [one for one in surroundings.split(b"\0") if one.startswith(b"MUSTER_")]
        assert not found_in(surroundings, secrets)
    printed = wait_for(
        lambda: [
            text for path in factory.home.rglob("*.log") if "surroundings" in (text := path.read_text(errors="replace"))
        ]
    )
    assert not [
        text for text in printed if found_in(text.encode(), secrets) or "MUSTER_" in text.partition("surroundings")[2]
    ]


def test_no_log_record_cache_or_bundle_holds_a_secret(secretive: tuple[RunningFactory, set[str]]) -> None:
    """Of all files only those hold a token that are there to hold it, and nobody but their owner reads those."""
    factory, secrets = secretive
    holders = {}
    for path in factory.home.rglob("*"):
        if path.is_file() and not path.is_symlink() and (found := found_in(path.read_bytes(), secrets)):
            holders[path.relative_to(factory.home).as_posix()] = found
            assert path.stat().st_mode & 0o077 == 0, path
    assert "admin.token" in holders
    assert not [name for name in holders if not name.endswith(".token")], holders
    events = factory.admin.audit_events(limit=1000).events
    assert events
    assert not found_in(repr(events).encode(), secrets)


def test_errors_metrics_and_documents_hold_no_secret(secretive: tuple[RunningFactory, set[str]]) -> None:
    """Whatever is refused is told without what was given to be let in; and the settings are shown by no address."""
    factory, secrets = secretive
    told = b""
    with httpx.Client(trust_env=False) as http:
        for base, paths in (
            (factory.control, ("/metrics", "/api/v1/whoami", "/api/v1/projects/default/users", "/api/v1/health")),
            (factory.scoring, ("/v2/models/adds", "/v2/health/ready", "/metrics")),
        ):
            for secret in sorted(secrets):
                if not secret.isascii() or " " in secret:
                    continue
                for path in paths:
                    answer = http.get(f"{base}{path}?token={secret}", headers={"Authorization": f"Bearer {secret}"})
                    told += answer.content + repr(answer.headers).encode()
    assert len(told) > 10_000
    assert not found_in(told, secrets)


def test_tools_are_handed_nothing_of_musters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """uv, git and whatever else is run to build an environment runs code of packages: it gets no `MUSTER_…`."""
    from muster.packaging import uv  # noqa: PLC0415 - patched here alone

    program = tmp_path / "uv"
    program.write_text(f"#!/bin/sh\nenv > {tmp_path / 'seen'}\n")
    program.chmod(0o755)
    monkeypatch.setenv("MUSTER_TOKEN", METRICS_TOKEN)
    monkeypatch.setenv("MUSTER_DATABASE", f"postgresql://muster:{PASSWORD}@db/muster")
    monkeypatch.setattr(uv, "find_uv_bin", lambda: str(program))
    uv.run_uv("pip", "list")
    seen = (tmp_path / "seen").read_text()
    assert "PATH=" in seen
    assert "MUSTER_" not in seen
    assert PASSWORD not in seen
