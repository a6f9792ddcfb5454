"""The spool of a front: decision records are appended here before the reply leaves.

    archive/spool/<front>/00000041.seg     closed: whole, fsynced, ends in an end mark; waits for compaction
                          00000042.open    written to now
                          number           the highest segment number ever used here
                          chain            the segment that was closed last, and its digest
                          counts           what became of the requests, see `accounts`
                          lock             held by the process that writes

A record is in the archive once `write` has returned: the kernel has it, so no kill of any process loses it. It
survives a power cut once `sync` has returned.
"""

import fcntl
import hashlib
import os
import threading
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Self

from muster.archive.accounts import Account, Accounts
from muster.archive.disk import refusal, sync_folder, write_all
from muster.archive.errors import (
    ArchiveFull,
    ArchiveUnwritable,
    SegmentDamaged,
    SegmentNumbersExhausted,
    SpoolInUse,
)
from muster.archive.layout import (
    HEADER_BYTES,
    NO_LINK,
    SEGMENT_FORMAT,
    UNCHAINED_FORMAT,
    Link,
    Segment,
    SegmentHeader,
    chained_mark,
    encode,
    end_mark,
    header_bytes,
    parse_segment,
    read_head,
    read_segment,
    sealed_digest,
)
from muster.vocabulary.clock import wall_ns
from muster.vocabulary.request_ids import MAX_FRONT, MAX_SEGMENT
from muster.wire.records import RECORD_FORMAT, Recovered

__all__ = ["CLOSED", "OPEN", "SegmentWriter", "encode", "read_segment", "segment_name", "segments_in", "set_aside"]

OPEN = ".open"
CLOSED = ".seg"
#: Where segments go whose bytes have changed on disk; kept for people, never read again.
DAMAGED_FOLDER = "damaged"
NUMBER_NOTE = "number"
CHAIN_NOTE = "chain"
_PIECE = 1 << 20
_MAX_BUFFERS = os.sysconf("SC_IOV_MAX")


def segment_name(segment: int, suffix: str) -> str:
    """The file name of a segment."""
    return f"{segment:08d}{suffix}"


def segments_in(folder: Path) -> dict[int, Path]:
    """The segment files of one front's folder, by number, lowest first."""
    try:
        paths = sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return {}
    return {int(path.stem): path for path in paths if path.suffix in (OPEN, CLOSED) and path.stem.isdecimal()}


def highest_number(folder: Path) -> int:
    """The highest segment number that was ever used in a front's folder, as its note says; 0: there is no note."""
    try:
        return int((folder / NUMBER_NOTE).read_text())
    except (FileNotFoundError, ValueError):
        return 0


def last_link(folder: Path) -> Link:
    """The end of a front's chain: the segment that was closed last; `NO_LINK` where none was."""
    try:
        number, digest = (folder / CHAIN_NOTE).read_text().split()
        return Link(segment=int(number), digest=bytes.fromhex(digest))
    except (FileNotFoundError, ValueError):
        return NO_LINK


def set_aside(path: Path) -> Path:
    """Move a damaged segment to the folder where people find it; nothing reads it again."""
    folder = path.parent / DAMAGED_FOLDER
    folder.mkdir(exist_ok=True)
    moved = path.rename(folder / path.name)
    sync_folder(folder)
    sync_folder(path.parent)
    return moved


class SegmentWriter:
    """Appends encoded events to the open segment of one front.

    `write` belongs to one thread (the event loop); `sync`, `rotate_if_due` and `close` may be called from another,
    and never hold `write` up while the disk works.

    Opening closes what a killed front left behind: torn tails are cut off, and the new segment begins with a
    `Recovered` event for each segment that was found open.

    Args:
        spool: the folder of all fronts' spools; this front's is `spool/<front>`.
        front: number of the front, 0 to 4095.
        segment_bytes: a segment is closed when it has reached this size.
        max_age_s: a segment that holds events is closed when it is this old.
        spool_bytes: most bytes that this front's spool may hold; 0 means as much as the disk has.

    Raises:
        SpoolInUse: another process writes there.
        ArchiveFull: there is no room for a new segment.
        ArchiveUnwritable: the folder cannot be written.
    """

    def __init__(
        self,
        spool: Path,
        front: int,
        *,
        segment_bytes: int = 64 * 1024 * 1024,
        max_age_s: float = 60.0,
        spool_bytes: int = 0,
    ) -> None:
        if not 0 <= front <= MAX_FRONT:
            raise ValueError(f"front {front} is not in 0..{MAX_FRONT}")
        self.folder = spool / str(front)
        self.front = front
        self.segment_bytes = segment_bytes
        self.max_age_s = max_age_s
        self.spool_bytes = spool_bytes
        #: Serialises what works on files (sync, rotate, close); taken before `_writing`.
        self._filing = threading.Lock()
        #: Held by `write`, and for the moment in which a rotation swaps the open segment.
        self._writing = threading.Lock()
        self._closed_bytes = 0
        self._closed_bytes_at = 0.0
        #: Segments that are no longer written to but could not be closed yet: a full disk has no room for the end mark.
        self._unfinished: list[_OpenSegment] = []
        self._lock = _lock_folder(self.folder)
        self._open: _OpenSegment | None = None
        try:
            self._link = last_link(self.folder)
            self._accounts = _accounts_of(self.folder, front)
            self.recovered = tuple(self._recover())
            self._open = self._new_segment()
            self._accounts.begin(self._open.number)
            self._count_closed_bytes()
            if self.recovered:
                self.write([encode(event) for event in self.recovered])
                self.sync()
        except BaseException:
            if self._open is not None:
                os.close(self._open.fd)
            os.close(self._lock)
            raise

    @property
    def segment(self) -> int:
        """Number of the open segment, for the ids of requests that arrive now."""
        if self._open is None:
            raise ArchiveUnwritable(f"the spool {self.folder} is closed", folder=str(self.folder))
        return self._open.number

    def account(self, endpoint: str) -> Account:
        """Where the front counts what becomes of an endpoint's requests; always the same object."""
        with self._writing:
            return self._accounts.account(endpoint)

    @property
    def spooled_bytes(self) -> int:
        """About how much this front's spool holds."""
        current = self._open
        return self._closed_bytes + (0 if current is None else current.end)

    def write(self, events: Sequence[bytes], recorded: Iterable[tuple[Account, int]] = ()) -> None:
        """Append encoded events with one system call: all of them, or none.

        Args:
            events: what `encode` gave.
            recorded: how many decisions of which endpoints are among them; counted once they are written.

        Raises:
            ArchiveFull: there is no room. Nothing was written; a later call may succeed.
            ArchiveUnwritable: the disk refuses for another reason. Nothing was written.
        """
        if not events:
            return
        length = sum(map(len, events))
        with self._writing:
            current = self._open
            if current is None:
                raise ArchiveUnwritable(f"the spool {self.folder} is closed", folder=str(self.folder))
            if self.spool_bytes and self._closed_bytes + current.end + length > self.spool_bytes:
                self._refuse_if_still_full(current.end + length)
            try:
                written = os.pwritev(current.fd, events, current.end) if len(events) <= _MAX_BUFFERS else 0
                if written != length:
                    # Short: nearly full, or more buffers than one call takes. Go on from there.
                    write_all(current.fd, memoryview(b"".join(events))[written:], current.end + written)
            except OSError as error:
                current.cut_back()
                raise refusal(error, self.folder) from error
            current.end += length
            current.events += len(events)
            for account, decisions in recorded:
                account.recorded(decisions)

    def sync(self) -> None:
        """Wait until everything written before this call is on the disk.

        Raises:
            ArchiveUnwritable: the disk reports an error; what was written since the last sync may be lost in a power
                cut. The segment is not used further.
        """
        with self._filing:
            current = self._open
            if current is None:
                return
            end = current.end
            try:
                for left in self._unfinished:
                    os.fdatasync(left.fd)
                if current.synced != end:
                    os.fdatasync(current.fd)
            except OSError as error:
                # After a failed fsync the kernel may have dropped the pages and report success the next time.
                for suspect in (*self._unfinished, current):
                    suspect.is_suspect = True
                self._rotate()
                raise refusal(error, self.folder) from error
            current.synced = end

    def rotate_if_due(self) -> bool:
        """Close the open segment and begin another, if it is full, old, or an fsync of it has failed; True when that was done.

        Raises:
            ArchiveFull, ArchiveUnwritable: there is no new segment; the present one goes on being used.
        """
        with self._filing:
            self._finish_all()
            current = self._open
            if current is None or current.events == 0:
                return False
            is_due = current.end >= self.segment_bytes or time.monotonic() - current.opened >= self.max_age_s
            if not is_due and not current.is_suspect:
                return False
            self._rotate()
            return True

    def rotate(self) -> None:
        """Close the open segment, if it holds events, and begin another."""
        with self._filing:
            if self._open is not None and self._open.events:
                self._rotate()

    def close(self) -> None:
        """Close the open segment and give the spool free; closing again does nothing."""
        with self._filing:
            with self._writing:
                if self._open is not None:
                    self._write_accounts(self._open)
                current, self._open = self._open, None
            if current is None:
                return
            self._unfinished.append(current)
            try:
                self._finish_all()
            finally:
                # What could not be closed now is closed when the spool is opened next; nothing in it is lost.
                for segment in self._unfinished:
                    os.close(segment.fd)
                os.close(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _rotate(self) -> None:
        """Swap first and close afterwards, so that `write` never waits for the disk."""
        new = self._new_segment()
        with self._writing:
            if self._open is not None:
                self._write_accounts(self._open)
            old, self._open = self._open, new
            self._accounts.begin(new.number)
        if old is not None:
            self._unfinished.append(old)
        self._finish_all()
        self._count_closed_bytes()

    def _write_accounts(self, current: "_OpenSegment") -> None:
        """Put the counts at the end of a segment; where there is no room they go into a later one, for they are totals."""
        event = self._accounts.news()
        if event is None:
            return
        data = encode(event)
        try:
            write_all(current.fd, memoryview(data), current.end)
        except OSError:
            current.cut_back()
            return
        current.end += len(data)
        current.events += 1
        self._accounts.written(event)

    def _new_segment(self) -> "_OpenSegment":
        try:
            number = self._next_number()
            path = self.folder / segment_name(number, OPEN)
            header = header_bytes(
                SegmentHeader(front=self.front, segment=number, created_ns=wall_ns(), format=SEGMENT_FORMAT)
            )
            # Under another name first: a reader never meets a segment without its header.
            fresh = path.with_suffix(".new")
            fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o640)
            try:
                write_all(fd, memoryview(header), 0)
                os.fsync(fd)
                fresh.rename(path)
                # After the segment, so that a number that was noted was used: a segment that is not there was removed.
                _note(self.folder / NUMBER_NOTE, str(number))
                sync_folder(self.folder)
            except OSError:
                os.close(fd)
                fresh.unlink(missing_ok=True)
                path.unlink(missing_ok=True)
                raise
        except OSError as error:
            raise refusal(error, self.folder) from error
        return _OpenSegment(number, path, fd)

    def _next_number(self) -> int:
        """A number never used before: compaction removes segments, so the highest one is kept in a file of its own."""
        used = [highest_number(self.folder), self._link.segment]
        number = max([*used, *segments_in(self.folder), *segments_in(self.folder / DAMAGED_FOLDER)]) + 1
        if number > MAX_SEGMENT:
            raise SegmentNumbersExhausted(f"front {self.front} has used all segment numbers", front=self.front)
        return number

    def _recover(self) -> list[Recovered]:
        """Close every segment that was left open, and set right what was counted."""
        try:
            for unfinished in self.folder.glob("*.new"):
                unfinished.unlink()
            found: list[Recovered] = []
            left: list[Segment] = []
            for number, path in segments_in(self.folder).items():
                if path.suffix == OPEN:
                    segment = _left_open(path)
                    if isinstance(segment, Segment):
                        left.append(segment)
                    elif segment:
                        found.append(_recovered(number, 0, segment))
            # Before any of them is closed: whoever is killed here must find them open again.
            self._accounts.recover({segment.header.segment: _decided_in(segment) for segment in left})
            for segment in left:
                self._link = _close_left(segment, self._link)
                found.append(_recovered(segment.header.segment, len(segment.frames), segment.torn_bytes))
        except OSError as error:
            raise refusal(error, self.folder) from error
        return sorted(found, key=lambda event: event.segment)

    def _finish_all(self) -> None:
        while self._unfinished:
            segment = self._unfinished[0]
            try:
                self._link = _close_file(
                    segment.fd,
                    segment.path,
                    segment.number,
                    segment.events,
                    segment.end,
                    self._link,
                    again=segment.is_suspect,
                )
            except OSError as error:
                raise refusal(error, self.folder) from error
            self._unfinished.pop(0)
            os.close(segment.fd)

    def _count_closed_bytes(self) -> None:
        total = 0
        for path in segments_in(self.folder).values():
            if path.suffix == CLOSED:
                try:
                    total += path.stat().st_size
                except FileNotFoundError:
                    continue
        self._closed_bytes = total
        self._closed_bytes_at = time.monotonic()

    def _refuse_if_still_full(self, needed: int) -> None:
        if time.monotonic() - self._closed_bytes_at > 1.0:
            self._count_closed_bytes()
        if self._closed_bytes + needed > self.spool_bytes:
            raise ArchiveFull(
                f"the spool {self.folder} holds its limit of {self.spool_bytes} bytes",
                folder=str(self.folder),
                limit_bytes=self.spool_bytes,
            )


class _OpenSegment:
    """The file that is written to."""

    __slots__ = ("end", "events", "fd", "is_suspect", "number", "opened", "path", "synced")

    def __init__(self, number: int, path: Path, fd: int) -> None:
        self.number = number
        self.path = path
        self.fd = fd
        self.end = HEADER_BYTES
        self.synced = HEADER_BYTES
        self.events = 0
        self.opened = time.monotonic()
        self.is_suspect = False
        """An fsync has failed: what was written may never have reached the disk, whatever the next one says."""

    def cut_back(self) -> None:
        """Remove what a failed write left; if even that fails, the next write goes over it and readers see a tail."""
        try:
            os.ftruncate(self.fd, self.end)
        except OSError:
            return


def _lock_folder(folder: Path) -> int:
    """The open lock file; its lock ends with the process."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = os.open(folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)
    except OSError as error:
        raise refusal(error, folder) from error
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(lock)
        raise SpoolInUse(f"another process writes to the spool {folder}", folder=str(folder)) from error
    return lock


def _accounts_of(folder: Path, front: int) -> Accounts:
    try:
        return Accounts(folder, front)
    except OSError as error:
        raise refusal(error, folder) from error


def _left_open(path: Path) -> Segment | int:
    """A segment that its writer did not close; the number of its bytes when nothing in it can be read."""
    data = path.read_bytes()
    if len(data) < HEADER_BYTES:
        # Killed before the header was written: no event can have been acknowledged.
        path.unlink()
        return 0
    try:
        return parse_segment(data, path)
    except SegmentDamaged:
        # The disk has spoilt it; the front must start all the same. People find the file in the folder for such.
        set_aside(path)
        return len(data)


def _recovered(segment: int, events: int, cut_bytes: int) -> Recovered:
    return Recovered(format=RECORD_FORMAT, at_ns=wall_ns(), segment=segment, events=events, cut_bytes=cut_bytes)


def _decided_in(segment: Segment) -> Counter[str]:
    """Decisions per endpoint."""
    heads = (read_head(segment.data[start:end]) for start, end in segment.frames)
    return Counter(head.endpoint for head in heads if head is not None)


def _close_left(segment: Segment, before: Link) -> Link:
    """Cut the torn tail off a segment that its writer did not close, and close it; gives the end of the chain."""
    path, number = segment.path, segment.header.segment
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    try:
        if segment.closed:
            os.fsync(fd)
            link = segment.link or before
            _rename_closed(path, link)
        elif segment.header.format == UNCHAINED_FORMAT:
            end = len(segment.data) - segment.torn_bytes
            os.ftruncate(fd, end)
            write_all(fd, memoryview(end_mark(len(segment.frames), end)), end)
            os.fsync(fd)
            link = before
            _rename_closed(path, link)
        else:
            end = len(segment.data) - segment.torn_bytes
            link = _close_file(fd, path, number, len(segment.frames), end, before)
    finally:
        os.close(fd)
    return link


def _close_file(fd: int, path: Path, number: int, events: int, end: int, before: Link, *, again: bool = False) -> Link:
    """Seal a segment with its digest and give it its name; gives it as the new end of the chain.

    Args:
        fd: the open file.
        path: where it lies.
        number: of the segment.
        events: that are in it.
        end: of the last of them.
        before: the end of the chain.
        again: write the events once more first: an fsync has failed, so only what is written anew is sure to be tried anew.
    """
    os.ftruncate(fd, end)
    # Read back instead of taken along with each write: the answers do not wait for it.
    content = hashlib.sha256()
    at = 0
    while at < end:
        piece = os.pread(fd, min(_PIECE, end - at), at)
        if not piece:
            raise OSError(5, "the segment is shorter than what was written to it")
        content.update(piece)
        if again:
            write_all(fd, memoryview(piece), at)
        at += len(piece)
    digest = sealed_digest(content, events, end, before)
    write_all(fd, memoryview(chained_mark(events, end, before, digest)), end)
    os.fsync(fd)
    link = Link(segment=number, digest=digest)
    _rename_closed(path, link)
    return link


def _rename_closed(path: Path, link: Link) -> None:
    if link != NO_LINK:
        # First the note: once the segment has its name, compaction may take it away.
        _note(path.parent / CHAIN_NOTE, f"{link.segment} {link.digest.hex()}")
    path.rename(path.with_suffix(CLOSED))
    sync_folder(path.parent)


def _note(path: Path, text: str) -> None:
    """Replace what a note says, whole or not at all."""
    fresh = path.with_suffix(".new")
    with fresh.open("w") as stream:
        stream.write(text)
        stream.flush()
        os.fsync(stream.fileno())
    fresh.replace(path)
