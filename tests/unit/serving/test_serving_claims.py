"""Claims: which idempotency keys have been used on this machine."""

import multiprocessing
import os
import signal
import sqlite3
from pathlib import Path
from time import monotonic

import pytest

from muster.serving import claims
from muster.serving.claims import Claims
from muster.serving.errors import ClaimNotWritten

NAME = ("shop", "churn", "key")
SAME, OTHER = b"a" * 32, b"b" * 32


def lay(file: Claims, name: tuple[str, str, str] = NAME, *, request_id: bytes = b"1") -> bool:
    return file.claim(name, SAME, request_id, "1:1", monotonic() + 1) is None


def test_a_key_is_claimed_once(tmp_path: Path) -> None:
    """Who comes second is shown the claim of the first; another consumer, endpoint or key is another claim."""
    file = Claims(tmp_path)
    assert lay(file)
    there = file.claim(NAME, OTHER, b"2", "2:2", monotonic())
    assert there is not None
    assert (there.digest, there.request_id, there.owner, there.decided) == (SAME, b"1", "1:1", False)
    for name in (("else", *NAME[1:]), ("shop", "fraud", "key"), ("shop", "churn", "other")):
        assert lay(file, name)
    file.close()


def test_a_claim_is_noted_taken_over_and_released(tmp_path: Path) -> None:
    """Each deed asks for the request id that it is about: who comes too late changes nothing."""
    file = Claims(tmp_path)
    lay(file)
    file.note_decided(NAME, b"1")
    found = file.find(NAME)
    assert found is not None
    assert found.decided
    assert file.take_over(NAME, b"1", b"2", "2:2", monotonic() + 1)
    assert not file.take_over(NAME, b"1", b"3", "3:3", monotonic() + 1)
    file.release(NAME, b"1")
    found = file.find(NAME)
    assert found is not None
    assert (found.request_id, found.owner, found.decided) == (b"2", "2:2", False)
    file.release(NAME, b"2")
    assert file.find(NAME) is None
    file.close()


def test_a_claim_is_forgotten_after_ten_minutes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Then its key is free, and its room is used again."""
    file = Claims(tmp_path)
    now = monotonic()
    for number in range(200):
        lay(file, ("shop", "churn", f"key-{number}"))
    monkeypatch.setattr("time.monotonic", lambda: now + claims.KEPT_S - 1)
    assert not lay(file, ("shop", "churn", "key-7"))
    monkeypatch.setattr("time.monotonic", lambda: now + claims.KEPT_S + 30)
    assert lay(file, ("shop", "churn", "key-7"), request_id=b"new")
    with sqlite3.connect(next(tmp_path.glob("*.sqlite"))) as beside:
        assert beside.execute("SELECT count(*) FROM claims").fetchone() == (1,)
    beside.close()
    file.close()


def test_an_older_boot_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A file that may have been spoilt by a power cut is never opened again; it is removed with all that belongs to it."""
    monkeypatch.setattr(claims, "_boot", lambda: "before")
    before = Claims(tmp_path)
    lay(before)
    before.close()
    (tmp_path / "claims-before.sqlite").write_bytes(b"spoilt")
    monkeypatch.setattr(claims, "_boot", lambda: "now")
    file = Claims(tmp_path)
    assert lay(file)
    assert {path.name.partition(".")[0] for path in tmp_path.iterdir()} == {"claims-now"}
    file.close()


def test_what_cannot_be_written_is_said(tmp_path: Path) -> None:
    """A file that is no database, and a folder that is none, are errors with a name."""
    (tmp_path / "file").write_text("no folder")
    with pytest.raises(ClaimNotWritten):
        Claims(tmp_path / "file")
    file = Claims(tmp_path / "claims")
    file.close()
    with pytest.raises(ClaimNotWritten):
        lay(file)


def _race(folder: Path, number: int, won: "multiprocessing.SimpleQueue[list[str]]") -> None:
    file = Claims(folder)
    mine = [f"key-{key}" for key in range(300) if lay(file, ("shop", "churn", f"key-{key}"), request_id=b"%d" % number)]
    won.put(mine)
    os.kill(os.getpid(), signal.SIGKILL)


def test_processes_that_race_and_are_killed_share_every_key_out(tmp_path: Path) -> None:
    """Each of 300 keys is claimed by exactly one of four processes, and the claims outlive their SIGKILL."""
    context = multiprocessing.get_context("spawn")
    won: multiprocessing.SimpleQueue[list[str]] = context.SimpleQueue()
    racers = [context.Process(target=_race, args=(tmp_path, number, won)) for number in range(4)]
    for racer in racers:
        racer.start()
    claimed = [key for _ in racers for key in won.get()]
    for racer in racers:
        racer.join(60)
        assert racer.exitcode == -signal.SIGKILL
    assert sorted(claimed) == sorted(f"key-{key}" for key in range(300))
    file = Claims(tmp_path)
    assert not any(lay(file, ("shop", "churn", key)) for key in claimed)
    file.close()
