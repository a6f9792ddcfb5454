"""uv, which locks and installs: started in one place, with nothing of the caller's project in its view."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

from uv import find_uv_bin

#: A first install of large packages over a slow line; beyond it, something hangs.
_DEADLINE_S = 1800

#: Settings of uv that would change what is installed or where; addresses and credentials of indexes stay.
_IGNORED = frozenset({"UV_SYSTEM_PYTHON", "UV_PROJECT_ENVIRONMENT", "UV_CONSTRAINT", "UV_OVERRIDE", "UV_PRERELEASE"})


def run_uv(
    *arguments: str,
    cache: Path | None = None,
    folder: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run uv to its end and give what it said; its exit status is for the caller to judge.

    Args:
        arguments: the command.
        cache: uv's cache; None: the user's own.
        folder: where it runs, so that no project is found around it; None: the file system's root.
        progress: told each line that uv writes to stderr, as it comes.
    """
    environment = {name: value for name, value in os.environ.items() if name not in _IGNORED and name != "VIRTUAL_ENV"}
    environment |= {"UV_NO_PROGRESS": "1", "NO_COLOR": "1", "UV_PYTHON_DOWNLOADS": "never"}
    if cache is not None:
        environment["UV_CACHE_DIR"] = str(cache)
    with subprocess.Popen(
        [find_uv_bin(), *arguments],
        cwd=folder or "/",
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        if progress is None:
            try:
                output, errors = process.communicate(timeout=_DEADLINE_S)
            except BaseException:
                process.kill()
                raise
        else:
            output, errors = _told(process, progress)
    return subprocess.CompletedProcess(arguments, process.returncode, output, errors)


def _told(process: "subprocess.Popen[str]", progress: Callable[[str], None]) -> tuple[str, str]:
    """Read stderr line by line; what uv writes to stdout there fits into the pipe."""
    assert process.stderr is not None
    assert process.stdout is not None
    lines = []
    try:
        for line in process.stderr:
            lines.append(line)
            if line.strip():
                progress(line.strip())
        output = process.stdout.read()
        process.wait(_DEADLINE_S)
    except BaseException:
        process.kill()
        raise
    return output, "".join(lines)


def last_lines(text: str, count: int = 12) -> str:
    """The end of what a program said, for a message."""
    return "\n".join(text.strip().splitlines()[-count:])
