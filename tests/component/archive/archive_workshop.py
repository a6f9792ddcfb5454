"""An archive in a folder, made as fronts and the executor make it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from archive_writer import made_decided, made_late
from msgspec.structs import replace

from muster.archive.compaction import Compactor
from muster.archive.depot import ArchiveStore
from muster.archive.layout import encode
from muster.archive.reader import Reader
from muster.archive.segments import SegmentWriter
from muster.archive.verify import Verdict, Verifier
from muster.vocabulary.clock import wall_ns
from muster.vocabulary.request_ids import RequestIds
from muster.wire.records import AnsweredLate, Decided

HOUR_NS = 3_600_000_000_000
DAY_NS = 24 * HOUR_NS


@dataclass
class Workshop:
    """A front, its archive, and what it was told to write."""

    root: Path
    front: int = 0
    store: ArchiveStore | None = None
    decided: list[Decided] = field(default_factory=list)
    late: list[AnsweredLate] = field(default_factory=list)
    writer: SegmentWriter = field(init=False)
    ids: RequestIds = field(init=False)

    def __post_init__(self) -> None:
        self.writer = SegmentWriter(self.root / "spool", self.front)
        self.ids = RequestIds(self.front)

    def answer(self, count: int = 1, *, at_ns: int | None = None, **changes: Any) -> list[Decided]:
        """Requests come, are decided, recorded and counted."""
        arrived = wall_ns() if at_ns is None else at_ns
        made = [
            replace(
                made_decided(self.ids.next(self.writer.segment)), received_ns=arrived + n, decided_ns=arrived + n,
                **changes,
            )
            for n in range(count)
        ]  # fmt: skip
        for event in made:
            self.writer.account(event.endpoint).received()
        self.write(made)
        self.decided += made
        return made

    def write(self, events: Sequence[Decided | AnsweredLate]) -> None:
        """Record events and count the decisions among them."""
        endpoints = [event.endpoint for event in events if isinstance(event, Decided)]
        counts = [(self.writer.account(name), endpoints.count(name)) for name in sorted(set(endpoints))]
        self.writer.write([encode(event) for event in events], counts)

    def answer_late(self, of: Decided) -> AnsweredLate:
        """A variant answers after the decision."""
        event = made_late(of)
        self.write([event])
        self.late.append(event)
        return event

    def rotate(self) -> int:
        """Close the segment; its number."""
        number = self.writer.segment
        self.writer.rotate()
        return number

    def compactor(self) -> Compactor:
        """One for which the time to settle is over."""
        return Compactor(
            self.root / "spool", self.root / "parquet", store=self.store, now_ns=lambda: wall_ns() + HOUR_NS
        )

    def compact(self) -> list[str]:
        """Compact all closed segments; the places of the files."""
        return [place for done in self.compactor().compact() for place in done.files]

    @property
    def reader(self) -> Reader:
        """Finds what was written."""
        return Reader(self.root, self.store)

    def verify(self, endpoint: str | None = None) -> Verdict:
        """Hold the archive against itself."""
        return Verifier(self.root, self.store, endpoint=endpoint).verify()

    def files(self) -> list[Path]:
        """Every file that holds what was written, live counts and locks aside."""
        kept = [path for path in sorted(self.root.rglob("*")) if path.is_file()]
        return [path for path in kept if path.name not in {"lock", "_lock", "counts"}]

    def close(self) -> None:
        """The front ends."""
        self.writer.close()
