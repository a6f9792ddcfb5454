"""The demo's factory: started, looked at and ended with the same commands that a user has."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from muster.demo.errors import FactoryNotUp

_MUSTER = (sys.executable, "-m", "muster")
_FREE_PORTS = ("--port", "0", "--scoring-port", "0", "--grpc-port", "0")
_UP_WITHIN_S = 60.0
_DOWN_WITHIN_S = 60.0


class Process(msgspec.Struct, frozen=True):
    """A line of `muster ps --json`."""

    pid: int
    kind: str
    of: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """What came of a command."""

    code: int
    document: Any
    """What it printed with `--json`; None when it printed nothing."""
    problem: Any


def muster_command(*arguments: str, home: Path | None = None) -> Ran:
    """Run `muster … --json` as a process of its own, in the environment of a user who has only this home."""
    finished = subprocess.run(
        [*_MUSTER, *arguments, "--json"],
        capture_output=True,
        check=False,
        env=_environment(home),
    )
    return Ran(code=finished.returncode, document=_read(finished.stdout), problem=_read(finished.stderr))


@dataclass(frozen=True, slots=True, kw_only=True)
class RunningFactory:
    """A factory that answers."""

    home: Path
    control: str
    scoring: str
    admin_token: str
    supervisor: "subprocess.Popen[bytes]"

    def processes(self) -> list[Process]:
        """What runs, as `muster ps` lists it."""
        ran = muster_command("ps", "--home", str(self.home))
        return msgspec.convert(ran.document or [], list[Process])

    def host_of(self, version: str) -> Process | None:
        """The process that runs a version; None while there is none."""
        of_version = [entry for entry in self.processes() if entry.kind == "host" and entry.of.endswith(f"/{version}")]
        return of_version[0] if of_version else None

    def end(self) -> int:
        """Ask it to end, as `muster down` and Ctrl-C do, and wait; gives its exit code."""
        with contextlib.suppress(ProcessLookupError):
            self.supervisor.send_signal(signal.SIGTERM)
        return self.supervisor.wait(_DOWN_WITHIN_S)


@contextmanager
def running_factory(home: Path) -> Iterator[RunningFactory]:
    """A new factory in a home, on free ports of this machine; it has ended when the block is left, however that happens.

    Raises:
        FactoryNotUp: it cannot be started.
    """
    made = muster_command("init", str(home))
    if made.code != 0:
        said = made.problem or {}
        raise FactoryNotUp(f"`muster init {home}` failed: {said.get('detail', made.code)}", home=str(home))
    log = home / "logs" / "up.log"
    with log.open("wb") as errors:
        supervisor = subprocess.Popen(
            [*_MUSTER, "up", "--home", str(home), *_FREE_PORTS, "--json"],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=errors,
            env=_environment(home),
            start_new_session=True,  # Ctrl-C is for the demo, which then ends its factory in order
        )
    try:
        addresses = _addresses(supervisor, log)
        yield RunningFactory(
            home=home,
            control=addresses["control"],
            scoring=addresses["scoring"],
            admin_token=made.document["token"],
            supervisor=supervisor,
        )
    finally:
        _make_sure_it_ends(supervisor)


def _addresses(supervisor: "subprocess.Popen[bytes]", log: Path) -> dict[str, str]:
    """The document that `muster up --json` prints once the factory answers."""
    assert supervisor.stdout is not None
    # A factory that never answers is ended, and reading its output then comes to an end, too.
    too_late = threading.Timer(_UP_WITHIN_S, supervisor.terminate)
    too_late.start()
    printed = b""
    try:
        for line in supervisor.stdout:
            printed += line
            document = _read(printed)
            if document is not None:
                return dict(document)
    finally:
        too_late.cancel()
    said = log.read_text(encoding="utf-8", errors="replace").strip()
    raise FactoryNotUp(f"`muster up` ended with code {supervisor.wait()}: {said[-2000:]}", log=str(log))


def _make_sure_it_ends(supervisor: "subprocess.Popen[bytes]") -> None:
    if supervisor.poll() is None:
        supervisor.terminate()
        try:
            supervisor.wait(_DOWN_WITHIN_S)
        except subprocess.TimeoutExpired:
            supervisor.kill()
            supervisor.wait()
    if supervisor.stdout is not None:
        supervisor.stdout.close()


def _environment(home: Path | None) -> dict[str, str]:
    """The caller's variables without those that mean another factory."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    return kept if home is None else kept | {"MUSTER_HOME": str(home)}


def _read(printed: bytes) -> Any:
    try:
        return msgspec.json.decode(printed)
    except msgspec.DecodeError:
        return None


def named(processes: Sequence[Process]) -> str:
    """Kinds and how many there are of each: `1 control, 3 host`."""
    kinds = [entry.kind for entry in processes]
    return ", ".join(f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds))
