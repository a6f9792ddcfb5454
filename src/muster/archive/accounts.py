"""What becomes of every request of a front, counted where no kill and no full disk can lose it.

    archive/spool/<front>/counts    one slot of eight numbers per endpoint, mapped into memory, room for it reserved

A count is one store into a shared mapping: the kernel has it at once, so it outlives the process, and its blocks are
there before they are needed, so a full disk does not matter. Only the machine's own end loses what was not written
back. At every change of segments the numbers go into the archive as an `Accounted` event.

What may be wrong after a kill is set right when the spool is opened: `recorded` is counted again in the segment that was
being written to, and what was on its way is `unanswered`, for nobody will answer it any more.
"""

import mmap
import os
import secrets
import struct
from collections.abc import Iterator, Mapping
from pathlib import Path

import structlog

from muster.archive.disk import sync_folder
from muster.vocabulary.clock import wall_ns
from muster.wire.records import RECORD_FORMAT, Accounted, EndpointCounts

_MAGIC = b"MUSTRCNT"
_FORMAT = 1
_HEAD = struct.Struct("<8sII16sQ")
_HEAD_BYTES = 64
_SEGMENT_CELL = 4
_NAME_BYTES = 64
_SLOT_BYTES = 128
_SLOTS = 4096
#: What is counted under this name when there are more endpoints than slots.
OTHERS = "_others"
_RECEIVED, _RECORDED, _DROPPED, _REFUSED, _UNANSWERED, _BEFORE, _SINCE = 0, 1, 2, 3, 4, 5, 7
_WORD = (1 << 64) - 1
log = structlog.get_logger()


class Account:
    """The counts of one endpoint at one front; belongs to the thread that answers (`recorded` is the writer's).

    Every request that is given an id is `received`, and has exactly one end: recorded by `SegmentWriter.write`,
    `dropped` or `refused`.
    """

    __slots__ = ("_at", "_cells", "endpoint")

    def __init__(self, endpoint: str, cells: "memoryview[int]", at: int) -> None:
        self.endpoint = endpoint
        self._cells = cells
        self._at = at

    def received(self, n: int = 1) -> None:
        """So many requests were given an id."""
        self._cells[self._at] += n

    def dropped(self, n: int = 1) -> None:
        """So many were answered, and their record could not be written."""
        self._cells[self._at + _DROPPED] += n

    def refused(self, n: int = 1) -> None:
        """So many were turned away, because their record could not be written."""
        self._cells[self._at + _REFUSED] += n

    def recorded(self, n: int) -> None:
        """The writer's: so many decisions are in the segment."""
        self._cells[self._at + _RECORDED] += n

    @property
    def counts(self) -> EndpointCounts:
        """What was counted so far."""
        received, recorded, dropped, refused, unanswered, _, _, since = self._cells[self._at : self._at + 8]
        return EndpointCounts(self.endpoint, since, received, recorded, dropped, refused, unanswered)

    def begin(self, segment: int) -> None:
        """Remember what had been recorded before a segment; two places, so that a kill in between spoils neither."""
        self._cells[self._at + _BEFORE + segment % 2] = self._cells[self._at + _RECORDED]

    def set_right(self, segment: int, decided: int) -> None:
        """After a kill: recorded is what it was before the segment, and what is in it."""
        self._cells[self._at + _RECORDED] = (self._cells[self._at + _BEFORE + segment % 2] + decided) & _WORD

    def give_up(self) -> None:
        """After a restart: nobody will answer what was on its way."""
        left = self.counts.on_the_way
        if left >= 0:
            self._cells[self._at + _UNANSWERED] += left
        else:  # ends were counted that had not been announced
            self._cells[self._at] += -left


class Accounts:
    """The accounts of one front, in the file `counts` of its spool.

    Args:
        folder: the front's spool; the caller holds its lock.
        front: number of the front.
    """

    def __init__(self, folder: Path, front: int) -> None:
        self._front = front
        self._path = folder / "counts"
        if not _is_whole(self._path):
            _make(self._path)
        with self._path.open("r+b") as stream:
            self._bytes = memoryview(mmap.mmap(stream.fileno(), _HEAD_BYTES + _SLOTS * _SLOT_BYTES))
        self._cells = self._bytes.cast("Q")
        self.epoch = bytes(self._bytes[16:32]).hex()
        self._accounts = {endpoint: self._account(endpoint, slot) for endpoint, slot in _slots_of(self._bytes)}
        self._written: tuple[EndpointCounts, ...] = ()

    @property
    def segment(self) -> int:
        """The segment that was last begun."""
        return self._cells[_SEGMENT_CELL]

    def account(self, endpoint: str) -> Account:
        """The account of an endpoint; a new one counts from the present segment on."""
        found = self._accounts.get(endpoint)
        if found is not None:
            return found
        slot = len(self._accounts)
        if slot >= _SLOTS - 1 and endpoint != OTHERS:
            log.error("archive.accounts_full", endpoint=endpoint, counted_as=OTHERS)
            return self.account(OTHERS)
        start = _HEAD_BYTES + slot * _SLOT_BYTES
        made = self._account(endpoint, slot)
        self._cells[start // 8 + _NAME_BYTES // 8 + _SINCE] = self.segment
        # The name last: with it the slot is there.
        self._bytes[start : start + _NAME_BYTES] = endpoint.encode()[:_NAME_BYTES].ljust(_NAME_BYTES, b"\0")
        self._accounts[endpoint] = made
        return made

    def recover(self, decided: Mapping[int, Mapping[str, int]]) -> None:
        """Set right what a kill left.

        Args:
            decided: of each segment that was left open, the decisions in it per endpoint.
        """
        for account in self._accounts.values():
            if self.segment in decided:
                account.set_right(self.segment, decided[self.segment].get(account.endpoint, 0))
            account.give_up()

    def begin(self, segment: int) -> None:
        """From now on it is written to this segment."""
        for account in self._accounts.values():
            account.begin(segment)
        self._cells[_SEGMENT_CELL] = segment

    def news(self) -> Accounted | None:
        """The counts, if they have changed since `written`."""
        counts = tuple(account.counts for account in self._accounts.values())
        if counts == self._written:
            return None
        return Accounted(format=RECORD_FORMAT, front=self._front, epoch=self.epoch, at_ns=wall_ns(), counts=counts)

    def written(self, event: Accounted) -> None:
        """The event is in a segment."""
        self._written = event.counts

    def _account(self, endpoint: str, slot: int) -> Account:
        return Account(endpoint, self._cells, (_HEAD_BYTES + slot * _SLOT_BYTES + _NAME_BYTES) // 8)


def accounted_now(folder: Path, front: int) -> Accounted | None:
    """What a front has counted up to now, read beside it; None: it has no counts, or they cannot be read."""
    path = folder / "counts"
    if not _is_whole(path):
        return None
    data = path.read_bytes()
    cells = memoryview(data).cast("Q")
    found = []
    for endpoint, slot in _slots_of(memoryview(data)):
        at = (_HEAD_BYTES + slot * _SLOT_BYTES + _NAME_BYTES) // 8
        found.append(Account(endpoint, cells, at).counts)
    return Accounted(format=RECORD_FORMAT, front=front, epoch=data[16:32].hex(), at_ns=wall_ns(), counts=tuple(found))


def _slots_of(data: "memoryview[int]") -> Iterator[tuple[str, int]]:
    for slot in range(_SLOTS):
        start = _HEAD_BYTES + slot * _SLOT_BYTES
        name = bytes(data[start : start + _NAME_BYTES]).rstrip(b"\0")
        if not name:
            return
        yield name.decode(errors="replace"), slot


def _is_whole(path: Path) -> bool:
    try:
        with path.open("rb") as stream:
            head = stream.read(_HEAD.size)
        size = path.stat().st_size
    except FileNotFoundError:
        return False
    if size != _HEAD_BYTES + _SLOTS * _SLOT_BYTES:
        return False
    magic, version, *_ = _HEAD.unpack(head)
    return bool(magic == _MAGIC and version == _FORMAT)


def _make(path: Path) -> None:
    fresh = path.with_suffix(".new")
    fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
    try:
        # All blocks now: a store into a mapping that finds no room kills the process.
        os.posix_fallocate(fd, 0, _HEAD_BYTES + _SLOTS * _SLOT_BYTES)
        os.pwrite(fd, _HEAD.pack(_MAGIC, _FORMAT, 0, secrets.token_bytes(16), 0), 0)
        os.fsync(fd)
    except OSError:
        fresh.unlink(missing_ok=True)
        raise
    finally:
        os.close(fd)
    fresh.rename(path)
    sync_folder(path.parent)
