"""What keeper and fronts tell each other: JSON lines over a Unix socket.

A front says which hosts it wants, whole, whenever that changes. The keeper says what it has, whole, whenever that changes. No
message depends on an earlier one, so either side may start again at any time.
"""

from typing import Literal

import msgspec


class WantedHost(msgspec.Struct, frozen=True):
    """A host that a front wants to run."""

    key: str
    """`endpoint/model:number@manifest`; one host process per key."""
    version: str
    manifest: str
    is_shadow: bool = False
    """It is on trial: it computes with what the others leave of the processors, and has no spare."""


class Wanted(msgspec.Struct, frozen=True, tag_field="type", tag="wanted"):
    """Front to keeper: these hosts, and no others for me."""

    front: str
    hosts: tuple[WantedHost, ...]


class Hung(msgspec.Struct, frozen=True, tag_field="type", tag="hung"):
    """Front to keeper: this host has not answered a batch for far too long."""

    host: str


class HostStanding(msgspec.Struct, frozen=True):
    """How one host is."""

    key: str
    state: Literal["starting", "up", "down", "golden_failed", "load_failed"]
    host: str = ""
    """Id of the process: unique for ever."""
    socket: str = ""
    pid: int = 0
    environment: str = ""
    cpu: str = ""
    threads: int = 1
    message: str = ""
    restarts: int = 0


class Standings(msgspec.Struct, frozen=True, tag_field="type", tag="standings"):
    """Keeper to front: how every host is."""

    hosts: tuple[HostStanding, ...]


FromFront = Wanted | Hung
read_from_front = msgspec.json.Decoder(FromFront)
read_standings = msgspec.json.Decoder(Standings)


def line(message: Wanted | Hung | Standings) -> bytes:
    """A message as its line."""
    return msgspec.json.encode(message) + b"\n"
