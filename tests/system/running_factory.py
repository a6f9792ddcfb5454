"""A real factory per module: `muster up` in a home of its own, people with their tokens, small bundles."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import psutil

import muster
from muster.client.control import Factory, connect
from muster.supervision.state import running
from muster.vocabulary.errors import TimedOut, Unavailable
from muster.vocabulary.states import ReleaseState

MUSTER = [sys.executable, "-m", "muster"]
ROWS: list[dict[str, Any]] = [{"x": float(number)} for number in range(20)]
SAMPLE = pd.DataFrame(ROWS)


def wait_for(what: Callable[[], Any], *, within_s: float = 30.0, told: str = "") -> Any:
    """The first true value of `what`."""
    until = time.monotonic() + within_s
    while time.monotonic() < until:
        with contextlib.suppress(psutil.Error, Unavailable, TimedOut):
            if found := what():
                return found
        time.sleep(0.02)
    raise AssertionError(f"not within {within_s} s: {told or what}")


class RunningFactory:
    """A factory that was started with `muster up`, and the people in it."""

    def __init__(self, home: Path, *, solo: bool = False, environment: dict[str, str] | None = None) -> None:
        self.home = home
        # What is proved once, in the tests that are about it, need not be proved by every certification of every other test.
        # Many of the models here crash, hang and lie on purpose: `robustness` would find them out.
        said = {
            "MUSTER_CERTIFICATION_PROVE_REBUILD": "false",
            "MUSTER_CERTIFICATION_TRY_GENERATED": "false",
            **(environment or {}),
        }
        self.environment = {**os.environ, **said, "XDG_CONFIG_HOME": str(home.parent / "config")}
        for name in ("MUSTER_URL", "MUSTER_TOKEN", "MUSTER_HOME"):
            self.environment.pop(name, None)
        made = self.muster("init", str(home), *(["--solo"] if solo else []))
        assert Path(made["home"]) == home
        self.up()
        self.admin = connect(self.control, token=(home / "admin.token").read_text().strip())
        self.tokens: dict[str, str] = {}
        self._clients: dict[str, Factory] = {}
        for name, role in (("ana", "scientist"), ("ben", "approver"), ("olga", "operator"), ("shop", "consumer")):
            self.tokens[name] = str(self.admin.add_user(name, role).token)

    def up(self, *options: str) -> None:
        """Start it; returns when it answers."""
        log = self.home.parent / "up.err"
        with log.open("ab") as errors:
            self.process = subprocess.Popen(
                [*MUSTER, "up", "--home", str(self.home), "--port", str(getattr(self, "port", 0)),
                 "--scoring-port", str(getattr(self, "scoring_port", 0)),
                 "--grpc-port", str(getattr(self, "grpc_port", 0)), "--json", *options],
                stdout=subprocess.PIPE, stderr=errors, env=self.environment,
            )  # fmt: skip
        assert self.process.stdout is not None
        lines = []
        while line := self.process.stdout.readline():
            lines.append(line)
            if line == b"}\n":
                break
        assert lines, log.read_text()
        said = json.loads(b"".join(lines))
        self.control, self.scoring = said["control"], said["scoring"]
        self.grpc = said.get("grpc", "")
        if self.grpc:
            self.grpc_port = int(self.grpc.rsplit(":", 1)[1])
        self.port, self.scoring_port = (int(url.rsplit(":", 1)[1]) for url in (self.control, self.scoring))

    def stop(self) -> None:
        """End it as an operator would."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def close(self) -> None:
        """End it, and give back what the test holds of it."""
        self.stop()
        for client in (self.admin, *self._clients.values()):
            client.close()

    def as_(self, name: str) -> Factory:
        """The client of one person."""
        if name not in self._clients:
            self._clients[name] = connect(self.control, token=self.tokens[name])
        return self._clients[name]

    def muster(self, *arguments: str, token: str | None = None, code: int = 0, url: bool = False) -> Any:
        """Run a command with --json; its document."""
        environment = dict(self.environment)
        if token is not None:
            environment["MUSTER_TOKEN"] = token
        if url:
            environment["MUSTER_URL"] = self.control
            environment["MUSTER_SCORING_URL"] = self.scoring
        done = subprocess.run(
            [*MUSTER, *arguments, "--json"], capture_output=True, env=environment, timeout=280, check=False
        )
        assert done.returncode == code, (done.returncode, done.stdout, done.stderr)
        return json.loads(done.stdout or done.stderr)

    def processes(self, kind: str, of: str = "") -> list[int]:
        """Pids of the running processes of a kind."""
        return [entry.pid for entry in running(self.home / "run") if entry.kind == kind and of in entry.of]

    def kill(self, kind: str, of: str = "") -> int:
        """SIGKILL one process of a kind; the pid it had."""
        pid: int = wait_for(lambda: self.processes(kind, of), told=f"a {kind} of {of}")[0]
        os.kill(pid, signal.SIGKILL)
        return pid

    def restarted(self, kind: str, of: str = "") -> None:
        """SIGKILL one process of a kind, and wait until another is there."""
        dead = self.kill(kind, of)

        def others() -> list[int]:  # looked up once: between two looks the dead one may have left, and none have come
            return [pid for pid in self.processes(kind, of) if pid != dead]

        wait_for(others, told=f"a {kind} of {of} is back")

    def accepted(self, bundle: Path) -> str:
        """Register, certify and accept a bundle; its version."""
        ana, ben = self.as_("ana"), self.as_("ben")
        version = ana.register(bundle)
        name = version.version
        verdict = ana.certify(name)
        assert verdict.passed, verdict.checks
        ben.accept(name, "good enough")
        return name

    def release(self, endpoint: str, champion: str, **options: Any) -> int:
        """Propose and approve a release; its number, once it is live."""
        ana, ben = self.as_("ana"), self.as_("ben")
        proposed = ana.propose(endpoint, champion=champion, reason="for a test", **options)
        approved = ben.approve(endpoint, proposed.release, "go")
        assert approved.state is ReleaseState.LIVE, approved
        return proposed.release

    def score(self, endpoint: str, *rows: dict[str, Any], deadline: Any = None) -> Any:
        """Ask as the shop."""
        with muster.scorer(self.scoring, token=self.tokens["shop"]) as scorer:
            return scorer.score(endpoint, list(rows), deadline=deadline)
