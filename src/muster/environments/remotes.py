"""remotes.toml of a home: where the models of other servers are, and what opens their doors.

Bundles name an entry and never an address, so that nobody who registers a version can make the factory call somebody of their choice.
"""

import stat
from pathlib import Path
from typing import Annotated

import msgspec

from muster.environments.errors import RemotesMalformed, RemoteUnknown
from muster_host.remote_model import TIMEOUT_MS

REMOTES_NAME = "remotes.toml"


class Remote(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One server."""

    url: str
    token: str = ""
    ca: str = ""
    """File of the authority that signed its certificate; empty: the machine's own."""
    timeout_ms: Annotated[int, msgspec.Meta(ge=1)] = TIMEOUT_MS
    """For a whole answer."""


def read_remotes(file: Path) -> dict[str, Remote]:
    """The entries of a file; none where there is no file.

    Raises:
        RemotesMalformed: it cannot be read, or others may read it.
    """
    try:
        content = file.read_bytes()
        mode = file.stat().st_mode
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise RemotesMalformed(f"{file} cannot be read: {error.strerror}") from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise RemotesMalformed(f"{file} may be read by others: its mode is {stat.S_IMODE(mode):o}")
    try:
        return msgspec.toml.decode(content, type=dict[str, Remote])
    except msgspec.MsgspecError as error:
        raise RemotesMalformed(f"{file}: {error}") from error


def remote_called(name: str, file: Path | None) -> Remote:
    """The entry of that name.

    Raises:
        RemoteUnknown: there is none.
        RemotesMalformed: the file cannot be read.
    """
    entry = None if file is None else read_remotes(file).get(name)
    if entry is None:
        raise RemoteUnknown(f"{file or REMOTES_NAME} has no entry {name!r}", remote=name)
    return entry
