"""The frame codec: what goes in comes out, and nothing else is taken for a frame."""

import contextlib
import json
import struct
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster_host import frames
from muster_host.frames import FrameError

rows_of_requests = st.lists(st.integers(0, 50), max_size=6)


@st.composite
def columns(draw: st.DrawFn, rows: int) -> list[tuple[bytes, bytes | None]]:
    """Any columns of a table: data is opaque to the codec, nulls are one byte per row."""
    nulls = st.one_of(st.none(), st.lists(st.integers(0, 1), min_size=rows, max_size=rows).map(bytes))
    return draw(st.lists(st.tuples(st.binary(max_size=64), nulls), max_size=5))


def same(found: list[frames.Views], wanted: list[tuple[bytes, bytes | None]]) -> bool:
    """Whether columns are equal; nulls of no row are as good as none."""
    got = [(bytes(data), None if nulls is None else bytes(nulls)) for data, nulls in found]
    return got == [(data, nulls or None) for data, nulls in wanted]


@given(st.data(), rows_of_requests, st.integers(0, 2**64 - 1))
def test_a_predict_frame_comes_back_as_it_was(data: st.DataObject, request_rows: list[int], sequence: int) -> None:
    """Head, requests and every column survive the way, and the length in the head is that of the payload."""
    table = data.draw(columns(sum(request_rows)))
    frame = b"".join(frames.predict_frame(sequence, request_rows, table))
    length, kind, of = frames.read_head(frame[:16])
    assert (length, kind, of) == (len(frame) - 16, frames.PREDICT, sequence)
    assert length % 8 == 0
    found_requests, rows, found = frames.read_predict(frame[16:])
    assert (found_requests, rows) == (request_rows, sum(request_rows))
    assert same(found, table)


@given(st.data(), st.lists(st.integers(0, 1), max_size=9), st.integers(0, 2**63), st.integers(0, 30), st.booleans())
def test_an_answer_frame_comes_back_as_it_was(
    data: st.DataObject, statuses: list[int], compute_ns: int, rows: int, alone: bool
) -> None:
    """Statuses, time, errors with any text, outputs and the flag survive the way."""
    table = data.draw(columns(rows))
    said = st.fixed_dictionaries({"code": st.text(max_size=9), "message": st.text(max_size=40)})
    errors = {index: data.draw(said) for index, status in enumerate(statuses) if status}
    frame = b"".join(frames.answer_frame(9, statuses, compute_ns, errors, rows, table, alone))
    found = frames.read_answer(frame[16:])
    assert found[:4] == (bytes(statuses), compute_ns, errors, rows)
    assert same(found[4], table)
    assert found[5] is alone


@given(st.data(), st.integers(0, 2000))
def test_a_frame_that_is_cut_off_is_never_read_as_another(data: st.DataObject, cut: int) -> None:
    """Every true prefix of a payload is an error, for questions and for answers."""
    table = data.draw(columns(3))
    question = b"".join(frames.predict_frame(1, [1, 2], [(b"12345678", b"\0\0\1"), *table]))[16:]
    with pytest.raises(FrameError):
        frames.read_predict(question[: min(cut, len(question) - 1) // 8 * 8])
    answer = b"".join(frames.answer_frame(1, [0], 5, {}, 3, [(b"12345678", b"\0\0\1"), *table]))[16:]
    with pytest.raises(FrameError):
        frames.read_answer(answer[: min(cut, len(answer) - 1) // 8 * 8])


@given(st.binary(max_size=300))
def test_noise_is_an_error_and_nothing_else(noise: bytes) -> None:
    """Random bytes never make the codec fail in another way, nor ask for memory they do not have."""
    for read in (frames.read_predict, frames.read_answer, frames.read_table, frames.read_json):
        with contextlib.suppress(FrameError):
            read(noise)


@pytest.mark.parametrize(
    "payload",
    [
        struct.pack("<II", 2**32 - 1, 0),
        struct.pack("<II", 0, 0) + struct.pack("<II", 1, 2**32 - 1),
        struct.pack("<II", 0, 0) + struct.pack("<IIQQ", 1, 1, 2**63, 0),
        struct.pack("<II", 0, 0) + struct.pack("<IIQQ", 1, 1, 0, 2**64 - 1),
        struct.pack("<III", 1, 0, 5) + b"\0\0\0\0" + struct.pack("<II", 4, 0),
    ],
)
def test_numbers_that_promise_too_much_are_refused(payload: bytes) -> None:
    """Counts and lengths beyond what is there are errors before anything is made of them."""
    with pytest.raises(FrameError):
        frames.read_predict(payload)


@pytest.mark.parametrize(
    "head",
    [
        struct.pack("<IBBHQ", 0, 4, 2, 0, 0),
        struct.pack("<IBBHQ", 0, 0, 1, 0, 0),
        struct.pack("<IBBHQ", 0, 14, 1, 0, 0),
        struct.pack("<IBBHQ", 0, 4, 1, 1, 0),
        b"GET / HTTP/1.1\r\n",
    ],
)
def test_heads_of_other_protocols_are_refused(head: bytes) -> None:
    """Another version, an unknown kind, a reserved field that is not zero, another protocol altogether."""
    with pytest.raises(FrameError, match="not a frame of host protocol 1"):
        frames.read_head(head)


def test_a_payload_beyond_32_bits_cannot_be_sent() -> None:
    """The limit of the length field is an error of the sender."""
    with pytest.raises(FrameError, match="above the limit"):
        frames.head(frames.PREDICT, 2**32, 0)


@pytest.mark.parametrize("document", [{}, {"ä": [1, None, "\u2028"]}])
def test_json_frames_come_back_as_they_were(document: dict[str, Any]) -> None:
    """A JSON payload is one object in UTF-8."""
    frame = frames.json_frame(frames.HELLO, document, 3)
    assert frames.read_head(frame[:16]) == (len(frame) - 16, frames.HELLO, 3)
    assert frames.read_json(frame[16:]) == document
    with pytest.raises(FrameError):
        frames.read_json(json.dumps([document]).encode())
    with pytest.raises(FrameError):
        frames.read_json(b"\xff{}")


def test_the_layout_is_the_one_that_is_written_down() -> None:
    """A frame byte by byte, as docs/reference/host-protocol.md shows it: other languages depend on it."""
    frame = b"".join(frames.predict_frame(7, [1, 1], [(b"\x01\x02", b"\0\1"), (b"abcdefgh", None)]))
    assert frame.hex(" ", 8) == (
        "5000000004010000 0700000000000000 "  # 80 bytes, PREDICT, protocol 1, sequence 7
        "0200000000000000 0100000001000000 "  # 2 requests of 1 row each
        "0200000002000000 "  # 2 rows, 2 columns
        "0200000000000000 0200000000000000 "  # 2 bytes of data, 2 of nulls
        "0800000000000000 0000000000000000 "  # 8 bytes of data, no nulls
        "0102000000000000 0001000000000000 6162636465666768"
    )
    answer = b"".join(
        frames.answer_frame(7, [0, 1], 258, {1: {"code": "c", "message": "m"}}, 1, [(b"\x09", None)], True)
    )
    assert answer.hex(" ", 8) == (
        "6000000005010000 0700000000000000 "
        "0200000001000000 0201000000000000 "  # 2 requests, flag: alone, 258 ns
        "0001000000000000 "  # answered, failed
        "240000007b223122 3a207b22636f6465 223a202263222c20 226d657373616765 223a20226d227d7d "
        "0100000001000000 0100000000000000 0000000000000000 0900000000000000"
    )
