"""The file of heads."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.audit.entries import Deed, Entry, following
from muster.audit.head import HeadFile, HeadLine

DEED = Deed(actor="ana", action="version.registered", subject="churn:1", project="default", details={})


def _chain(length: int) -> list[Entry]:
    chain: list[Entry] = []
    for _ in range(length):
        chain.append(following(chain[-1] if chain else None, DEED, "2026-11-21T09:30:00.000000Z"))
    return chain


CHAIN = _chain(6)
LINES = [HeadLine(sequence=entry.sequence, hash=entry.hash) for entry in CHAIN]


def test_each_event_leaves_a_line(tmp_path: Path) -> None:
    """The file holds number and hash of every event that was written to it."""
    head = HeadFile(tmp_path / "audit" / "head.jsonl")
    for entry in CHAIN:
        head.write(entry)
    assert head.lines() == LINES
    assert (tmp_path / "audit" / "head.jsonl").read_text().count("\n") == len(CHAIN)


def test_an_older_head_than_the_last_is_left_out(tmp_path: Path) -> None:
    """Two processes that commit at nearly the same time may come here in the wrong order; numbers still rise."""
    head = HeadFile(tmp_path / "head.jsonl")
    for at in (0, 2, 1, 2, 3):
        head.write(CHAIN[at])
    assert head.lines() == [LINES[0], LINES[2], LINES[3]]


@given(cut=st.integers(0, 10_000), before=st.integers(0, 3))
def test_a_torn_last_line_is_passed_over_and_mended(
    cut: int, before: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A crash within a write leaves a torn line: it is not read, and the next write takes its place."""
    path = tmp_path_factory.mktemp("head") / "head.jsonl"
    head = HeadFile(path)
    for entry in CHAIN[: before + 1]:
        head.write(entry)
    whole = path.read_bytes()
    last = whole.rstrip(b"\n").rfind(b"\n") + 1
    path.write_bytes(whole[: last + cut % (len(whole) - last)])
    assert head.lines() == LINES[:before]
    head.write(CHAIN[5])
    assert head.lines() == [*LINES[:before], LINES[5]]


@pytest.mark.parametrize("line", ["nonsense", "[]", '{"sequence":"1","hash":"sha256:0"}', '{"sequence":1}', "\ufffd"])
def test_a_line_that_is_no_head_is_an_error(tmp_path: Path, line: str) -> None:
    """An edited file is not read as though nothing had happened."""
    path = tmp_path / "head.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ValueError):  # noqa: PT011 - of several kinds
        HeadFile(path).lines()
