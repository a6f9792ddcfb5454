"""The archive under kill -9, full disks and readers: what was acknowledged is there, once and whole."""

import json
import os
import random
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from archive_writer import digest_of_record, made_decided

from muster.archive.compaction import Compactor
from muster.archive.layout import encode, read_segment
from muster.archive.reader import Reader
from muster.archive.segments import SegmentWriter, segments_in
from muster.vocabulary.clock import wall_ns
from muster.vocabulary.request_ids import RequestIds, request_id_text

HERE = Path(__file__).parent
NOW_SHIFT = 3_600_000_000_000


def compactor(root: Path) -> Compactor:
    return Compactor(root / "spool", root / "parquet", now_ns=lambda: wall_ns() + NOW_SHIFT)


def killed_writer(root: Path, seed: int) -> dict[str, str]:
    """Run a writer, kill it after some acknowledgements, and give what it had acknowledged."""
    acknowledged: dict[str, str] = {}
    enough = random.Random(seed).randint(1, 120)
    with subprocess.Popen(
        [sys.executable, str(HERE / "archive_writer.py"), str(root), str(seed)], stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.endswith("\n"):
                break
            request_id, digest = line.split()
            acknowledged[request_id] = digest
            if len(acknowledged) == enough:
                process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    return acknowledged


def rounds_of_kills(root: Path, rounds: int) -> None:
    acknowledged: dict[str, str] = {}
    for number in range(rounds):
        acknowledged |= killed_writer(root, number)
        if number % 3 == 1:
            compactor(root).compact()
    reader = Reader(root)

    def wrong() -> list[str]:
        records = {record.request_id: record for record in reader.last("churn", 10**6)}
        found = {name: records.get(name) for name in acknowledged}
        found |= {
            name: reader.find(name)
            for name in random.Random(rounds).sample(sorted(acknowledged), k=min(100, len(acknowledged)))
        }
        return [
            name for name, record in found.items() if record is None or digest_of_record(record) != acknowledged[name]
        ]

    assert wrong() == []
    with SegmentWriter(root / "spool", 0) as writer:
        assert len(writer.recovered) in (1, 2)  # two: killed between the new segment and the end of the old one
    compactor(root).compact()
    assert not segments_in(root / "spool" / "0")
    assert wrong() == []
    assert not (root / "spool" / "0" / "damaged").exists()
    last = [record.request_id for record in reader.last("churn", 10**6)]
    assert len(last) == len(set(last))
    assert set(acknowledged) <= set(last)


def test_a_killed_front_has_lost_nothing_that_it_acknowledged(tmp_path: Path) -> None:
    """After each kill -9, with compaction in between, every acknowledged record is found bit for bit, and once."""
    rounds_of_kills(tmp_path, 8)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_many_kills_lose_nothing(tmp_path: Path) -> None:
    """As above, five hundred times."""
    rounds_of_kills(tmp_path, 500)


def killed_compactions(root: Path, tries: int) -> list[dict[str, int]]:
    done = subprocess.run(
        [sys.executable, str(HERE / "archive_killed_compaction.py"), str(root), str(tries)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def assert_nothing_happened(found: list[dict[str, int]]) -> None:
    for counts in found:
        assert {name: count for name, count in counts.items() if name not in ("line", "of") and count} == {}, counts


def test_a_compaction_killed_at_any_line_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """Right after the kill everything can be read; the next compaction makes it whole."""
    found = killed_compactions(tmp_path, 10)
    assert len(found) > 40
    assert_nothing_happened(found)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_a_compaction_killed_at_every_line_loses_and_doubles_nothing(tmp_path: Path) -> None:
    """As above, at every line."""
    lines = killed_compactions(tmp_path / "first", 1)[0]["of"]
    found = killed_compactions(tmp_path / "all", lines)
    assert len(found) == lines
    assert_nothing_happened(found)


def missed_by(reader: Reader, acknowledged: list[bytes], chance: random.Random) -> list[str]:
    """What a reader does not find of a few records that are known to be written."""
    wanted = [*chance.choices(acknowledged, k=3), acknowledged[-1]]
    missed = [request_id_text(one) for one in wanted if reader.find(request_id_text(one)) is None]
    newest, known_before = acknowledged[-1], len(acknowledged)
    last = [record.decided.request_id for record in reader.last("churn", 100)]
    if newest not in last and len(acknowledged) - known_before < 90:
        missed.append("last: " + request_id_text(newest))
    if len(last) != len(set(last)):
        missed.append("last: doubled")
    return missed


def test_readers_see_every_record_while_it_is_written_and_compacted(tmp_path: Path) -> None:
    """A record is found at any moment after its acknowledgement, wherever it is on its way."""
    stop = threading.Event()
    acknowledged: list[bytes] = []
    missed: list[str] = []
    with SegmentWriter(tmp_path / "spool", 0, segment_bytes=20_000) as writer:
        ids = RequestIds(0)

        def write() -> None:
            while not stop.is_set():
                record = made_decided(ids.next(writer.segment), text_bytes=500)
                writer.write([encode(record)])
                acknowledged.append(record.request_id)
                writer.rotate_if_due()
                stop.wait(0.002)

        def compact() -> None:
            mine = compactor(tmp_path)
            while not stop.is_set():
                mine.compact()

        threads = [threading.Thread(target=write), threading.Thread(target=compact)]
        for thread in threads:
            thread.start()
        chance, reader = random.Random(1), Reader(tmp_path)
        while len(acknowledged) < 600 and not missed:
            if acknowledged:
                missed = missed_by(reader, acknowledged, chance)
        stop.set()
        for thread in threads:
            thread.join()
    assert missed == []
    compactor(tmp_path).compact()
    assert {record.decided.request_id for record in reader.last("churn", 10_000)} == set(acknowledged)


def test_a_disk_without_room_refuses_whole_and_recovers(tmp_path: Path) -> None:
    """At the limit of the file system nothing of a write stays, readers see whole events, and room is used again."""
    script = f"""
import resource, sys
sys.path.insert(0, {str(HERE)!r})
from pathlib import Path
from archive_writer import made_decided
from muster.archive.errors import ArchiveFull
from muster.archive.layout import encode, read_segment
from muster.archive.segments import SegmentWriter, segments_in
from muster.vocabulary.request_ids import RequestIds

spool, ids = Path({str(tmp_path)!r}), RequestIds(0)
writer = SegmentWriter(spool, 0)
soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
written = 0
part = [encode(made_decided(ids.next(1), text_bytes=1000)) for _ in range(3)]
try:
    while True:
        writer.write(part)
        written += 3
except ArchiveFull:
    pass
path = segments_in(spool / "0")[writer.segment]
segment = read_segment(path)
assert (len(segment.frames), segment.torn_bytes) == (written, 0), (segment.frames, written)
assert path.stat().st_size == segment.good_end
resource.setrlimit(resource.RLIMIT_FSIZE, (0, hard))
try:
    writer.rotate()
    raise SystemExit("a segment was made on a full disk")
except ArchiveFull:
    pass
resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
writer.write(part)
writer.rotate()
writer.write(part)
writer.close()
counts = [len(read_segment(path).frames) for path in segments_in(spool / "0").values()]
assert counts == [written + 3, 3], counts
assert all(read_segment(path).closed for path in segments_in(spool / "0").values())
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_a_full_disk_keeps_the_segment_that_could_not_become_parquet(tmp_path: Path) -> None:
    """Compaction on a full disk says so, leaves no halves, and does its work when there is room."""
    with SegmentWriter(tmp_path / "spool", 0) as writer:
        ids = RequestIds(0)
        events = [made_decided(ids.next(writer.segment), text_bytes=30_000) for _ in range(20)]
        writer.write([encode(event) for event in events])
    script = f"""
import resource
from pathlib import Path
from muster.archive.compaction import Compactor
from muster.archive.errors import ArchiveFull
from muster.vocabulary.clock import wall_ns

root = Path({str(tmp_path)!r})
resource.setrlimit(resource.RLIMIT_FSIZE, (3_000, 3_000))
try:
    Compactor(root / "spool", root / "parquet", now_ns=lambda: wall_ns() + {NOW_SHIFT}).compact()
    raise SystemExit("compacted onto a full disk")
except ArchiveFull:
    pass
assert not list((root / "parquet").glob("churn/*"))
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert Reader(tmp_path).find(request_id_text(events[3].request_id)) is not None
    assert [done.requests for done in compactor(tmp_path).compact()] == [20]


def test_a_lock_ends_with_its_process(tmp_path: Path) -> None:
    """A front that was killed does not keep its successor out."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        writer = SegmentWriter(tmp_path, 0)
        writer.write([encode(made_decided(RequestIds(0).next(writer.segment)))])
        os.write(writing, b"ready")
        signal.pause()
    assert os.read(reading, 5) == b"ready"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    os.close(reading)
    os.close(writing)
    with SegmentWriter(tmp_path, 0) as writer:
        assert [event.events for event in writer.recovered] == [1]
        (closed, _) = segments_in(tmp_path / "0").values()
        assert read_segment(closed).closed
