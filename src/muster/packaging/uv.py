"""uv, which locks and installs: started in one place, with nothing of the caller's project in its view."""

import os
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

from uv import find_uv_bin

from muster.packaging.network import CUT, network_cut

Progress = Callable[[str], None]
#: A first install of large packages over a slow line; beyond it, something hangs.
_DEADLINE_S = 1800

#: Settings of uv that would change what is installed or where; addresses and credentials of indexes stay.
_IGNORED = frozenset({"UV_SYSTEM_PYTHON", "UV_PROJECT_ENVIRONMENT", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_PRERELEASE"})


def surroundings() -> dict[str, str]:
    """The variables of this process for a tool: without Muster's own, among which may be a token or a database's password.

    What builds an environment runs code of packages.
    """
    return {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}


def run_uv(
    *arguments: str,
    cache: Path | None = None,
    folder: Path | None = None,
    progress: Progress | None = None,
    path: str | None = None,
    offline: bool = False,
) -> subprocess.CompletedProcess[str]:
    """Run uv to its end and give what it said; its exit status is for the caller to judge.

    Args:
        arguments: the command.
        cache: uv's cache; None: the user's own.
        folder: where it runs, so that no project is found around it; None: the file system's root.
        progress: told each line that uv writes to stderr, as it comes.
        path: where it looks for interpreters; None: the caller's PATH.
        offline: its network is cut.
    """
    environment = {
        name: value for name, value in surroundings().items() if name not in _IGNORED and name != "VIRTUAL_ENV"
    }
    environment |= {"UV_NO_PROGRESS": "1", "NO_COLOR": "1", "UV_PYTHON_DOWNLOADS": "never"}
    if cache is not None:
        environment["UV_CACHE_DIR"] = str(cache)
    if path is not None:
        environment["PATH"] = path
    command = [find_uv_bin(), *arguments]
    if offline:
        environment |= CUT
        command = [*network_cut(), *command]
    with subprocess.Popen(
        command,
        cwd=folder or "/",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        late = threading.Event()
        timer = threading.Timer(_DEADLINE_S, _end, (process, late))
        timer.daemon = True
        timer.start()
        try:
            output, errors = process.communicate() if progress is None else _told(process, progress)
        except BaseException:
            process.kill()
            raise
        finally:
            timer.cancel()
    if late.is_set():
        errors += f"\nuv had not ended after {_DEADLINE_S} s, and was ended\n"
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


def _end(process: "subprocess.Popen[str]", late: threading.Event) -> None:
    late.set()
    process.kill()


def _told(process: "subprocess.Popen[str]", progress: Progress) -> tuple[str, str]:
    """Read stderr line by line; what uv writes to stdout there fits into the pipe."""
    assert process.stderr is not None
    assert process.stdout is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if line.strip():
            progress(line.strip())
    output = process.stdout.read()
    process.wait()
    return output, "".join(lines)


def last_lines(text: str, count: int = 12) -> str:
    """The end of what a program said, for a message."""
    return "\n".join(text.strip().splitlines()[-count:])
