"""What an intruder tries from where a model's code runs, and targets that are really there to be reached."""

import contextlib
import os
import secrets
import socket
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from muster.runtimes.channel import Channel
from muster.runtimes.errors import HostGone
from muster.runtimes.order import LoadOrder, order_of
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field
from muster_host.fields import Field as HostField
from muster_host.fields import text_bytes

#: Whatever bounds the number of processes, it bounds it by its own; no part of a host's hello.
PROCESSES = "processes"
#: The intruder tries to have this many; its bound is far below.
CHILDREN = 1000
INTRUDERS_BOUND = 32
_CONTRACT = Contract(inputs=(Field("attempt", Datatype.BYTES),), outputs=(Field("outcome", Datatype.BYTES),))


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """Something that is tried."""

    what: str
    """In words: `read the admin's token`."""
    part: str
    """What ought to prevent it: a part of `muster_host.confine`, or `processes`."""
    act: str
    target: Any = None


class Outcome(msgspec.Struct, frozen=True):
    """What came of it."""

    done: bool
    said: str


def order_for(order: LoadOrder | Mapping[str, Any]) -> LoadOrder:
    """The load order of an intruder that stands where the model of that order would: the same bundle, environment and program."""
    return msgspec.structs.replace(order_of(order), runtime={"kind": "intruder"}, contract=_CONTRACT)


@contextmanager
def attempts(scratch: Path, kept: Mapping[str, str], folders: Mapping[str, Path]) -> Iterator[list[Attempt]]:
    """What is tried, with its targets standing as long as the block runs.

    Args:
        scratch: an empty folder of ours among the bundles of this machine.
        kept: what → file that no model has any business with.
        folders: what → folder that no model may write to.
    """
    with ExitStack() as stack:
        dialled = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        asked = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        asked.bind(("127.0.0.1", 0))
        path, name = scratch / "intrusion.sock", f"@muster-{secrets.token_hex(8)}"
        for address in (str(path), name):
            stack.enter_context(_unix(address))
        stranger = scratch / "another-bundle"
        stranger.mkdir()
        (stranger / "manifest.json").write_text("{}", encoding="ascii")
        found = [
            Attempt(what="dial a server over TCP", part="network", act="dial", target=dialled.getsockname()),
            Attempt(what="ask a name server over UDP", part="network", act="send", target=asked.getsockname()),
            Attempt(what="open a port", part="network", act="listen"),
            Attempt(what="open a raw socket", part="network", act="raw"),
            Attempt(what="read the network's packets", part="network", act="packets"),
            Attempt(what="dial a Unix socket of this machine", part="network", act="dial-unix", target=str(path)),
            Attempt(what="dial an abstract socket of this machine", part="network", act="dial-unix", target=name),
            Attempt(what="read another bundle", part="files", act="read", target=str(stranger / "manifest.json")),
            Attempt(what="list the bundles of this machine", part="files", act="list", target=str(scratch.parent)),
            *_of_this_machine(kept, folders),
            Attempt(
                what="read the variables of who started it",
                part="files",
                act="read",
                target=f"/proc/{os.getpid()}/environ",
            ),
            Attempt(what="trace who started it", part="calls", act="trace", target=os.getpid()),
            Attempt(what="send signals to who started it", part="signals", act="signal", target=os.getpid()),
            *_on_who_started_it(),
            Attempt(what="mount a file system", part="calls", act="mount", target="/mnt"),
            Attempt(what="make namespaces of its own", part="calls", act="unshare"),
            Attempt(what="leave the group that it is ended with", part="calls", act="leave"),
            Attempt(what=f"start {CHILDREN} processes", part=PROCESSES, act="fork", target=CHILDREN),
        ]
        yield found


def _on_who_started_it() -> Iterator[Attempt]:
    """By a limit on its time a process can be ended, by its priorities and processors be brought to a standstill."""
    for what, act in (
        ("set the limits of who started it", "limit"),
        ("set the priority of who started it", "slow"),
        ("set the processors of who started it", "pin"),
        ("set how who started it is scheduled", "schedule"),
        ("set the turn of who started it at the disks", "starve"),
    ):
        yield Attempt(what=what, part="calls", act=act, target=os.getpid())


def _of_this_machine(kept: Mapping[str, str], folders: Mapping[str, Path]) -> Iterator[Attempt]:
    for what, file in kept.items():
        yield Attempt(what=f"read {what}", part="files", act="read", target=file)
    yield Attempt(what="read the machine's passwords", part="files", act="read", target="/etc/shadow")
    with contextlib.suppress(RuntimeError):  # this user has none
        yield Attempt(what="look into this user's home", part="files", act="list", target=str(Path.home()))
    name = f".muster-{secrets.token_hex(8)}"
    for what, folder in folders.items():
        yield Attempt(what=f"write into {what}", part="files", act="write", target=str(folder / name))


@contextmanager
def _unix(address: str) -> Iterator[socket.socket]:
    """A Unix socket that listens; `@` begins the name of an abstract one."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        if address.startswith("@"):
            sock.bind(address.replace("@", "\0", 1))
        else:  # by a short name, for an address has few bytes
            here = os.open(Path(address).parent, os.O_PATH | os.O_CLOEXEC)
            try:
                sock.bind(f"/proc/self/fd/{here}/{Path(address).name}")
            finally:
                os.close(here)
        sock.listen(1)
        yield sock


def tried(channel: Channel, wanted: list[Attempt]) -> list[Outcome]:
    """What came of each: an intruder that is ended over one has not managed it.

    Raises:
        HostTimedOut: no answer came.
    """
    others = [attempt for attempt in wanted if attempt.part != PROCESSES]
    outcomes = dict(zip(map(id, others), _ask(channel, others), strict=True))
    for attempt in wanted:
        if attempt.part == PROCESSES:  # alone: it may be ended over it
            try:
                (outcomes[id(attempt)],) = _ask(channel, [attempt])
            except HostGone:
                outcomes[id(attempt)] = Outcome(done=False, said="it was ended over it")
    return [outcomes[id(attempt)] for attempt in wanted]


def _ask(channel: Channel, wanted: list[Attempt]) -> list[Outcome]:
    told = [msgspec.json.encode({"act": attempt.act, "target": attempt.target}).decode() for attempt in wanted]
    answer = channel.predict([len(told)], [(text_bytes(told), None)])
    if answer.errors:
        raise HostGone(f"the intruder failed: {answer.errors[0].message}", host=channel.hello.host)
    field = HostField({"name": "outcome", "datatype": "BYTES"})
    said = field.texts(memoryview(answer.columns[0][0]), len(told))
    return [msgspec.json.decode(text, type=Outcome) for text in said]
