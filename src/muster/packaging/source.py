"""Where the author's code was: git remote, commit, and whether files differed from it."""

import re
import subprocess
from pathlib import Path
from urllib.parse import urlsplit

from muster.packaging.documents import Source
from muster.packaging.manifest import DESCRIPTION_NAME
from muster.packaging.uv import surroundings

_DEADLINE_S = 30


def source_of(folder: Path) -> Source | None:
    """The commit a folder is at, or None outside a repository, before the first commit, or without git.

    Untracked bundles do not count as changes: a bundle that lies in the repository would make the next one dirty.
    """
    commit = _git(folder, "rev-parse", "--verify", "HEAD")
    if commit is None or re.fullmatch(r"[0-9a-f]{40,64}", commit.strip()) is None:
        return None
    top = _git(folder, "rev-parse", "--show-toplevel")
    status = _git(folder, "status", "--porcelain=v1", "-z", "--untracked-files=all", "--no-renames")
    if top is None or status is None:
        return None
    root = Path(top.strip())
    changes = [entry for entry in status.split("\0") if entry]
    dirty = any(not (entry.startswith("??") and _in_bundle(root, entry[3:])) for entry in changes)
    remote = _git(folder, "remote", "get-url", "origin")
    return Source(
        commit=commit.strip(), dirty=dirty, remote=None if remote is None else without_secrets(remote.strip())
    )


def without_secrets(address: str) -> str:
    """An address without user name, password, query and fragment, which may all hold secrets."""
    if "://" not in address:
        return address  # a path, or git@host:path, whose user name is no secret
    parts = urlsplit(address)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="", fragment="").geturl()


def _in_bundle(root: Path, path: str) -> bool:
    return any((root / parent / DESCRIPTION_NAME).is_file() for parent in Path(path).parents)


def _git(folder: Path, *arguments: str) -> str | None:
    try:
        answer = subprocess.run(
            ["git", *arguments],
            cwd=folder,
            env={**surroundings(), "GIT_TERMINAL_PROMPT": "0", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C"},
            capture_output=True,
            text=True,
            errors="surrogateescape",
            timeout=_DEADLINE_S,
            stdin=subprocess.DEVNULL,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    return answer.stdout if answer.returncode == 0 else None
