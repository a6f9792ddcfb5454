"""Verifying: a whole archive is found whole, and whatever is changed or taken away is found out."""

import random
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from archive_workshop import Workshop

from muster.archive.index import entry_place
from muster.archive.segments import segments_in
from muster.archive.verify import Verifier


@pytest.fixture
def workshop(tmp_path: Path) -> Iterator[Workshop]:
    """Two segments in Parquet with late answers in rows and beside, one closed and one open in the spool."""
    made = Workshop(tmp_path / "archive")
    first = made.answer(5)
    made.answer(3, endpoint="credit")
    made.rotate()
    made.answer_late(first[0])
    made.answer(4)
    made.rotate()
    made.compact()
    made.answer(2)
    made.answer_late(first[1])
    made.rotate()
    made.compact()
    made.answer(3)
    made.rotate()
    made.answer(2)
    yield made
    made.close()


def test_a_whole_archive_is_valid_and_accounts_for_every_request(workshop: Workshop) -> None:
    """Received is the sum of what became of the requests, late answers are counted once, wherever they lie."""
    account = workshop.writer.account("churn")
    account.received(3)
    account.dropped(1)
    account.refused(1)
    verdict = workshop.verify()
    assert verdict.problems == []
    churn = verdict.endpoints["churn"]
    assert (churn.received, churn.recorded, churn.dropped, churn.refused, churn.on_the_way) == (19, 16, 1, 1, 1)
    assert churn.late == 2
    assert verdict.endpoints["credit"].recorded == 3
    (chain,) = verdict.chains
    assert (chain.front, chain.segments, chain.first, chain.last) == (0, 5, 1, 5)


def test_verifying_one_endpoint_leaves_the_others_out(workshop: Workshop) -> None:
    """The figures and the files are those of the endpoint."""
    verdict = workshop.verify("credit")
    assert verdict.valid
    assert set(verdict.endpoints) == {"credit"}
    assert verdict.files == 1


def places(path: Path, tries: int) -> list[int]:
    """Some bytes of a file, the first and the last among them."""
    size = path.stat().st_size
    chance = random.Random(path.name)
    return sorted({0, size - 1, *(chance.randrange(size) for _ in range(tries))})


def test_a_changed_byte_anywhere_is_found(workshop: Workshop) -> None:
    """Whichever file it is in, whichever byte: Parquet, index, closed segment, notes."""
    workshop.close()
    unseen = []
    for path in workshop.files():
        whole = path.read_bytes()
        path.chmod(0o600)
        for place in places(path, 6):
            changed = bytearray(whole)
            changed[place] ^= 1 << (place % 8)
            path.write_bytes(changed)
            if workshop.verify().valid:
                unseen.append((path.name, place))
        path.write_bytes(whole)
    assert unseen == []
    assert workshop.verify().valid


def test_a_removed_file_is_found(workshop: Workshop, tmp_path: Path) -> None:
    """Each on its own: a segment, a Parquet file, an entry of the index, a note."""
    workshop.close()
    away = tmp_path / "away"
    unseen = []
    for path in workshop.files():
        shutil.move(path, away)
        if workshop.verify().valid:
            unseen.append(path)
        shutil.move(away, path)
    assert unseen == []
    assert workshop.verify().valid


def test_a_cut_file_is_found(workshop: Workshop) -> None:
    """A file that has lost its end is not taken for whole."""
    workshop.close()
    for path in workshop.files():
        whole = path.read_bytes()
        path.chmod(0o600)
        path.write_bytes(whole[:-1])
        assert not workshop.verify().valid, path
        path.write_bytes(whole)


def test_a_segment_removed_with_all_that_was_made_of_it_is_a_gap(workshop: Workshop) -> None:
    """Its entry and its files gone together: the chain of those around it says so, at either end, too."""
    for segment in (1, 2, 3):
        copy = workshop.root.with_name(f"copy-{segment}")
        shutil.copytree(workshop.root, copy)
        (copy / "parquet" / entry_place(0, segment)).unlink()
        for path in [*copy.rglob(f"0-{segment:08d}*.parquet"), *copy.rglob(f"*.{segment:08d}.parquet")]:
            path.unlink()
        kinds = {problem.kind for problem in Verifier(copy).verify().problems}
        assert "chain" in kinds, segment


def test_the_newest_segment_cannot_be_taken_away_unseen(workshop: Workshop) -> None:
    """The open one and the last closed one are known by the notes beside them."""
    spool = workshop.root / "spool" / "0"
    newest, last_closed = sorted(segments_in(spool).values(), reverse=True)[:2]
    for path in (newest, last_closed):
        moved = path.rename(path.with_suffix(".away"))
        assert not workshop.verify().valid
        moved.rename(path)
    assert workshop.verify().valid


def test_a_file_that_nobody_wrote_is_found(workshop: Workshop) -> None:
    """A forged file beside the others would be read by other tools."""
    (place, *_) = [
        path for path in workshop.root.rglob("*.parquet") if "churn" in path.parts and "_late" not in path.parts
    ]
    shutil.copy(place, place.with_name("0-00000099.parquet"))
    assert [problem.kind for problem in workshop.verify().problems] == ["stray"]


def test_an_exchanged_segment_is_found(workshop: Workshop, tmp_path: Path) -> None:
    """A whole segment of another archive in the place of one of this does not fit its chain."""
    other = Workshop(tmp_path / "other")
    for _ in range(4):
        other.answer(2)
        other.rotate()
    other.close()
    target = workshop.root / "spool" / "0" / "00000004.seg"
    target.write_bytes((tmp_path / "other" / "spool" / "0" / "00000004.seg").read_bytes())
    assert {problem.kind for problem in workshop.verify().problems} >= {"chain"}


def test_records_that_a_front_counted_and_that_are_not_there_are_found(tmp_path: Path) -> None:
    """The front's own count of what it wrote is held against what lies in its segments."""
    made = Workshop(tmp_path)
    made.answer(3)
    made.writer.account("churn").received(1)
    made.writer.account("churn").recorded(1)
    made.close()
    (problem,) = made.verify().problems
    assert problem.kind == "counts"
    assert "4 decisions of churn, 3 are there" in problem.message


def test_an_archive_without_counts_is_valid(tmp_path: Path) -> None:
    """What was recorded without being counted, as by Muster 0.1, was received as well."""
    made = Workshop(tmp_path)
    events = made.answer(2)
    made.close()
    (tmp_path / "spool" / "0" / "counts").unlink()
    again = Workshop(tmp_path)
    again.answer(1)
    again.close()
    again.compact()
    verdict = again.verify()
    assert verdict.problems == []
    assert verdict.endpoints["churn"].received == len(events) + 1
