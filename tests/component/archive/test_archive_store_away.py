"""The store is away, full, or comes back: nothing is lost, the spool is bounded, and it is caught up with."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path

import pytest
from archive_workshop import Workshop
from structlog.testing import capture_logs

from muster.archive.depot import FolderStore
from muster.archive.depot_s3 import S3Store
from muster.archive.errors import ArchiveFull, ArchiveStoreUnavailable
from muster.archive.export import Exports
from muster.archive.segments import segments_in
from muster.vocabulary.request_ids import request_id_text
from muster.workflows.chores import Chore
from real_s3 import running_s3

OPTIONS = {"key": "a", "secret": "b"}


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The address of an object store that speaks S3, with a bucket `records`."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    with running_s3() as address:
        made = S3Store("s3://records/archive", endpoint_url=address, **OPTIONS)
        made._files.mkdir("records")
        yield address


def store_at(address: str) -> S3Store:
    return S3Store(
        "s3://records/archive", endpoint_url=address, config_kwargs={"retries": {"max_attempts": 0}}, **OPTIONS
    )


def test_an_archive_in_a_bucket_does_all_that_one_in_a_folder_does(tmp_path: Path, bucket: str) -> None:
    """Compacted, found, listed, exported, verified; a damaged and a missing object are found out."""
    made = Workshop(tmp_path, store=store_at(bucket))
    first = made.answer(3)
    made.rotate()
    made.compact()
    made.answer_late(first[0])
    made.answer(2)
    made.rotate()
    made.compact()
    made.answer(1)
    for event in made.decided:
        record = made.reader.find(request_id_text(event.request_id))
        assert record is not None
        assert record.decided == event
        assert len(record.late) == (event is first[0])
    assert len(made.reader.last("churn", 10)) == 6
    exports = Exports(tmp_path, made.store)
    assert len(list(exports.records(exports.window("churn", "default", None, None)))) == 6
    assert made.verify().problems == []
    assert not list((tmp_path / "parquet").rglob("*.parquet"))
    store = store_at(bucket)
    (place,) = [
        f"{folder}/{name}" for folder in _hours(store) for name in store.names(folder) if name.startswith("0-00000001")
    ]
    whole = store.read(place)
    store.write(place, whole[:-9] + b"x" + whole[-8:])
    assert [problem.kind for problem in made.verify().problems] == ["file"]
    store.remove(place)
    assert [problem.kind for problem in made.verify().problems] == ["missing"]
    store.write(place, whole)
    assert made.verify().problems == []
    made.close()


def _hours(store: S3Store) -> list[str]:
    return [
        f"churn/{date[:-1]}/{hour[:-1]}" for date in store.names("churn") for hour in store.names(f"churn/{date[:-1]}")
    ]


def test_a_lookup_lists_nothing_but_one_small_folder(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever the archive holds: the entry of the index, the file, and where late answers would be."""
    made = Workshop(tmp_path, store=store_at(bucket))
    for _ in range(3):
        made.answer(1)
        made.rotate()
    made.compact()
    reader = made.reader
    reader.find(request_id_text(made.decided[0].request_id))
    listed: list[str] = []
    names = S3Store.names

    def listing(store: S3Store, folder: str) -> list[str]:
        listed.append(folder)
        return names(store, folder)

    monkeypatch.setattr(S3Store, "names", listing)
    assert reader.find(request_id_text(made.decided[1].request_id)) is not None
    assert listed == ["_late/churn/0/000000"]
    made.close()


def test_a_bucket_that_is_away_keeps_segments_in_the_spool_until_it_is_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Compaction says so and leaves everything; records are still found; afterwards it catches up and all is whole."""
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")
    made = Workshop(tmp_path, store=store_at("http://127.0.0.1:9"))
    for _ in range(3):
        made.answer(2)
        made.rotate()
    for _ in range(2):
        with pytest.raises(ArchiveStoreUnavailable):
            made.compact()
    assert len(segments_in(tmp_path / "spool" / "0")) == 4
    assert not [path for path in (tmp_path / "parquet" / "_new").glob("*") if path.suffix != ".intent"]
    assert made.reader.find(request_id_text(made.decided[0].request_id)) is not None
    assert len(made.reader.last("churn", 5)) == 5
    with running_s3() as address:
        made.store = store_at(address)
        made.store._files.mkdir("records")
        assert len(made.compact()) == 3
        assert made.verify().problems == []
        assert len(made.reader.last("churn", 10)) == 6
    made.close()


def test_the_executor_bears_it_and_says_it_once(tmp_path: Path) -> None:
    """More and more seldom while it fails; one line when it begins, one when it is over."""
    store = FolderStore(tmp_path / "parquet")
    away = [True]
    seconds = [0.0]
    tries = []

    def compact() -> None:
        tries.append(seconds[0])
        if away[0]:
            raise ArchiveStoreUnavailable(f"{store.where} is away")

    chore = Chore("archive.compact", compact, every_s=5.0, monotonic=lambda: seconds[0])
    with capture_logs() as said:
        while seconds[0] < 300:
            seconds[0] += 1.0
            chore.do_if_due()
        away[0] = False
        while not chore.do_if_due():
            seconds[0] += 1.0
    gaps = [later - earlier for earlier, later in pairwise(tries)]
    assert gaps[:5] == [5.0, 10.0, 20.0, 40.0, 60.0]
    assert max(gaps) == 60.0
    assert [line["event"] for line in said] == ["executor.chore_held_up", "executor.chore_goes_on"]


def test_a_spool_at_its_bound_refuses_and_goes_on_when_compaction_does(tmp_path: Path) -> None:
    """Never more than its bound on the disk; each refusal is counted; nothing that was recorded is lost."""
    made = Workshop(tmp_path)
    made.writer.spool_bytes = 60_000
    made.writer.segment_bytes = 10_000
    account = made.writer.account("churn")
    refused = 0
    for _ in range(400):
        try:
            made.answer(1)
        except ArchiveFull:
            account.refused()
            refused += 1
        made.writer.rotate_if_due()
    spooled = sum(path.stat().st_size for path in segments_in(tmp_path / "spool" / "0").values())
    assert 0 < refused < 400
    assert spooled <= 60_000 + 10_000  # end marks and counts
    made.compact()
    made.writer._closed_bytes_at = 0.0  # a second passes
    made.answer(1)
    made.close()
    verdict = made.verify()
    assert verdict.problems == []
    churn = verdict.endpoints["churn"]
    assert (churn.received, churn.recorded, churn.refused) == (401, 401 - refused, refused)


_MOUNT = ("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs")


@contextmanager
def mounted_in_a_namespace(folder: Path) -> Iterator[Path | str]:
    """The file system in a namespace of a process of its own, seen through that process: it takes no rights. Else why not."""
    kept = '"$@" && echo mounted && exec sleep infinity'
    with subprocess.Popen(
        ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", kept, "sh", *_MOUNT, str(folder)],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    ) as keeps:  # fmt: skip
        assert keeps.stdout is not None
        assert keeps.stderr is not None
        try:
            is_there = keeps.stdout.readline() == b"mounted\n"
            yield Path(f"/proc/{keeps.pid}/root{folder}") if is_there else keeps.stderr.read().decode().strip()
        finally:
            keeps.kill()


@contextmanager
def mounted_by_root(folder: Path) -> Iterator[Path | str]:
    """The file system, mounted for everybody; else why not."""
    done = subprocess.run([*_MOUNT, str(folder)], check=False, capture_output=True, text=True)
    try:
        yield folder if done.returncode == 0 else done.stderr.strip()
    finally:
        if done.returncode == 0:
            subprocess.run(["umount", "-l", str(folder)], check=False)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of one MiB. Where there can be none, the test is skipped at somebody's desk, and fails in a pipeline."""
    folder = tmp_path / "disk"
    folder.mkdir()
    reasons = []
    for mounted in (mounted_in_a_namespace, mounted_by_root):
        with mounted(folder) as disk:
            if isinstance(disk, Path):
                yield disk
                return
            reasons.append(disk)
    told = f"no file system of one MiB can be mounted here: {'; '.join(reasons)}"
    if os.environ.get("CI"):
        pytest.fail(told)
    pytest.skip(told)


def test_a_full_disk_of_fronts_costs_what_it_must_and_no_more(small_disk: Path) -> None:
    """Drops are counted while the disk is full; with room again everything goes on, and the archive is whole."""
    made = Workshop(small_disk / "archive")
    account = made.writer.account("churn")
    ballast = small_disk / "ballast"
    dropped = 0
    for number in range(300):
        if number == 100:
            with ballast.open("wb", buffering=0) as stream:
                try:
                    while stream.write(bytes(4096)):
                        pass
                except OSError:
                    pass
        if number == 200:
            ballast.unlink()
        try:
            made.answer(1)
        except ArchiveFull:
            account.dropped()
            dropped += 1
    assert 0 < dropped <= 100
    made.close()
    made.compact()
    verdict = made.verify()
    assert verdict.problems == []
    churn = verdict.endpoints["churn"]
    assert (churn.received, churn.recorded, churn.dropped) == (300, 300 - dropped, dropped)


def test_a_full_disk_of_the_store_leaves_the_spool_whole(tmp_path: Path, small_disk: Path) -> None:
    """Compaction says that there is no room, leaves no halves, and catches up when there is."""
    made = Workshop(tmp_path / "archive", store=FolderStore(small_disk / "parquet"))
    for _ in range(3):
        made.answer(5)
        made.rotate()
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as stream:
        try:
            while stream.write(bytes(4096)):
                pass
        except OSError:
            pass
    with pytest.raises(ArchiveFull):
        made.compact()
    assert not list((small_disk / "parquet").rglob("*.parquet"))
    assert made.verify().problems == []
    ballast.unlink()
    assert len(made.compact()) == 3
    assert made.verify().problems == []
    made.close()


def test_compaction_of_a_long_spool_takes_no_more_memory_than_of_a_short_one(tmp_path: Path) -> None:
    """Segment by segment, whatever has piled up while the store was away."""

    def peak_kib(segments: int) -> int:
        root = tmp_path / str(segments)
        made = Workshop(root)
        for _ in range(segments):
            batch = made.answer(400)
            made.answer_late(batch[0])
            made.rotate()
        made.close()
        script = f"""
import resource
from itertools import pairwise
from pathlib import Path
from muster.archive.compaction import Compactor
from muster.vocabulary.clock import wall_ns
root = Path({str(root)!r})
Compactor(root / "spool", root / "parquet", now_ns=lambda: wall_ns() + 10**13).compact()
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
        done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
        return int(done.stdout)

    few, many = peak_kib(3), peak_kib(30)
    assert many < few + 24 * 1024
