"""Exact accounting: what a front counted survives kill -9 and full disks, and fits what lies in its segments."""

import json
import random
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from archive_workshop import Workshop

from muster.archive.accounts import accounted_now
from muster.archive.layout import read_segment
from muster.archive.segments import SegmentWriter, segments_in
from muster.wire.records import Accounted

HERE = Path(__file__).parent


def killed_front(root: Path, seed: int) -> dict[str, int]:
    """Run a counting front, kill it after some lines, and give what it had done by its last line."""
    enough = random.Random(seed).randint(1, 60)
    lines: list[str] = []
    command = [sys.executable, str(HERE / "archive_counting_front.py"), str(root), str(seed)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if not line.endswith("}\n"):
                break
            lines.append(line)
            if len(lines) == enough:
                process.send_signal(signal.SIGKILL)
    assert process.returncode == -signal.SIGKILL
    done: dict[str, int] = json.loads(lines[-1])
    return done


def rounds_of_kills(root: Path, rounds: int) -> None:
    done = {"received": 0, "recorded": 0, "dropped": 0, "refused": 0}
    for number in range(rounds):
        for name, count in killed_front(root, number).items():
            done[name] += count
    made = Workshop(root)
    made.answer(1)
    made.close()
    for _ in range(2):  # from the spool, and from the index
        verdict = made.verify()
        assert verdict.problems == []
        churn = verdict.endpoints["churn"]
        # A front may have got further than its last line says.
        assert churn.recorded >= done["recorded"] + 1
        assert churn.dropped >= done["dropped"]
        assert churn.refused >= done["refused"]
        assert churn.received == churn.recorded + churn.dropped + churn.refused + churn.unanswered
        assert churn.on_the_way == 0
        made.compact()


def test_counts_are_exact_after_kills(tmp_path: Path) -> None:
    """Received is the sum of all ends, and recorded is what lies in the segments, however often the front is killed."""
    rounds_of_kills(tmp_path, 5)


@pytest.mark.soak
@pytest.mark.timeout(3600)
def test_counts_are_exact_after_many_kills(tmp_path: Path) -> None:
    """As above, two hundred times."""
    rounds_of_kills(tmp_path, 200)


def test_what_was_on_its_way_at_a_kill_is_unanswered(tmp_path: Path) -> None:
    """Nobody will answer it any more: it is counted as such by the next front."""
    first = Workshop(tmp_path)
    first.answer(2)
    first.writer.account("churn").received(3)
    first.close()
    assert first.verify().endpoints["churn"].on_the_way == 3
    second = Workshop(tmp_path)
    churn = second.verify().endpoints["churn"]
    assert (churn.received, churn.recorded, churn.unanswered, churn.on_the_way) == (5, 2, 3, 0)
    second.close()


def test_drops_are_counted_when_nothing_can_be_written(tmp_path: Path) -> None:
    """On a full disk counting goes on, survives the end of the process, and is in the archive once there is room."""
    script = f"""
import os, resource, sys
sys.path.insert(0, {str(HERE)!r})
from pathlib import Path
from archive_writer import made_decided
from muster.archive.errors import ArchiveFull
from muster.archive.layout import encode
from muster.archive.segments import SegmentWriter
from muster.vocabulary.request_ids import RequestIds

writer = SegmentWriter(Path({str(tmp_path / "spool")!r}), 0)
account = writer.account("churn")
resource.setrlimit(resource.RLIMIT_FSIZE, (5000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
dropped = 0
for _ in range(100):
    account.received()
    try:
        writer.write([encode(made_decided(RequestIds(0).next(1)))], [(account, 1)])
    except ArchiveFull:
        account.dropped()
        dropped += 1
print(dropped, flush=True)
os._exit(1)
"""
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=False)
    dropped = int(done.stdout)
    assert 0 < dropped < 100
    made = Workshop(tmp_path)
    made.close()
    made.compact()
    verdict = made.verify()
    assert verdict.problems == []
    churn = verdict.endpoints["churn"]
    assert (churn.received, churn.recorded, churn.dropped) == (100, 100 - dropped, dropped)


def test_the_counts_go_into_the_archive_with_each_segment(tmp_path: Path) -> None:
    """A closed segment ends in what had been counted by then; without news nothing is written."""
    made = Workshop(tmp_path)
    made.answer(3)
    number = made.rotate()
    last = list(read_segment(segments_in(tmp_path / "spool" / "0")[number]).events())[-1]
    assert isinstance(last, Accounted)
    (counts,) = last.counts
    assert (counts.endpoint, counts.since, counts.received, counts.recorded) == ("churn", 1, 3, 3)
    made.close()
    assert len(read_segment(tmp_path / "spool" / "0" / f"{number + 1:08d}.seg").frames) == 0


def test_counts_that_were_lost_begin_anew(tmp_path: Path) -> None:
    """A spoilt file of counts keeps no front from starting; the new counts name another epoch."""
    made = Workshop(tmp_path)
    made.answer(1)
    made.close()
    before = accounted_now(tmp_path / "spool" / "0", 0)
    (tmp_path / "spool" / "0" / "counts").write_bytes(b"x")
    again = Workshop(tmp_path)
    again.answer(1)
    again.close()
    after = accounted_now(tmp_path / "spool" / "0", 0)
    assert before is not None
    assert after is not None
    assert before.epoch != after.epoch
    assert again.verify().problems == []


def test_many_endpoints_have_accounts_of_their_own(tmp_path: Path) -> None:
    """A few hundred names are kept apart, also after a restart."""
    with SegmentWriter(tmp_path, 0) as writer:
        for number in range(300):
            writer.account(f"endpoint-{number}").received(number)
    with SegmentWriter(tmp_path, 0) as writer:
        counts = [writer.account(f"endpoint-{number}").counts for number in range(300)]
    assert [one.received for one in counts] == list(range(300))
    assert [one.unanswered for one in counts] == list(range(300))


def test_a_refused_write_counts_nothing(tmp_path: Path) -> None:
    """Decisions that could not be written are not recorded."""
    made = Workshop(tmp_path)
    made.answer(1)
    made.writer.spool_bytes = 1
    with pytest.raises(Exception, match="limit"):
        made.answer(1)
    account = made.writer.account("churn")
    assert (account.counts.received, account.counts.recorded) == (2, 1)
    account.refused()
    made.writer.spool_bytes = 0
    made.close()
    assert made.verify().problems == []
