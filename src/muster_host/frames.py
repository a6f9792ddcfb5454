"""Host protocol v1: how frames and columns are laid out in bytes.

All numbers are little-endian. A frame is a head of 16 bytes and a payload:

    u32  length of the payload
    u8   kind
    u8   protocol version = 1
    u16  zero
    u64  sequence: an answer carries the sequence of its question

A table is rows of named columns; names, datatypes and shapes are agreed when a model is loaded, so a table carries only
bytes, in the order of the contract:

    u32  rows
    u32  columns
    columns x (u64 length of data, u64 length of nulls)
    columns x (data, nulls)          each padded with zeros to a multiple of 8

Data is the raw layout of the Open Inference Protocol V2 (binary tensor data extension): row-major, little-endian, BOOL
one byte, BYTES elements a u32 length and that many bytes. Nulls is empty, or one byte per row, 1 = null; the place of a
null in data holds zero or an empty element.

Questions and answers about rows:

    PREDICT  u32 requests, u32 zero, requests x u32 rows (padded to 8), table of inputs
    ANSWER   u32 requests, u32 flags (1 = each request was computed alone), u64 nanoseconds of computing,
             requests x u8 status (0 = answered, 1 = failed; padded to 8), u32 length and JSON object of errors
             {"<index>": {"code", "message"}} (padded to 8), table of the outputs of the answered requests

Everything else is one JSON object as payload.
"""

from __future__ import annotations

import json
import struct
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple, Union

PROTOCOL = 1

HELLO, LOAD, LOADED, PREDICT, ANSWER, ERROR, HEALTH, HEALTHY, STOP, STOPPED, FORK, FORKED, EXITED = range(1, 14)
KIND_NAMES = {
    HELLO: "hello", LOAD: "load", LOADED: "loaded", PREDICT: "predict", ANSWER: "answer", ERROR: "error",
    HEALTH: "health", HEALTHY: "healthy", STOP: "stop", STOPPED: "stopped", FORK: "fork", FORKED: "forked",
    EXITED: "exited",
}  # fmt: skip

#: Bytes whose items are single bytes: a memoryview of another format would be counted in items.
Buffer = Union[bytes, bytearray, memoryview]
#: Data and nulls of one column.
Parts = Tuple[Buffer, Optional[Buffer]]
#: Data and nulls of one column, as views of the frame they came in.
Views = Tuple[memoryview, Optional[memoryview]]
#: `{index of the request: {"code": ..., "message": ...}}`
Errors = Dict[int, Dict[str, str]]

HEAD = struct.Struct("<IBBHQ")
HEAD_BYTES = HEAD.size
MAX_PAYLOAD = (1 << 32) - 1
COMPUTED_ALONE = 1

_TWO = struct.Struct("<II")
_ANSWER_HEAD = struct.Struct("<IIQ")
_LENGTH = struct.Struct("<I")
_PADDING = (b"", b"\0" * 7, b"\0" * 6, b"\0" * 5, b"\0" * 4, b"\0" * 3, b"\0" * 2, b"\0")
_NO_ERRORS = _LENGTH.pack(2) + b"{}\0\0"


class FrameError(Exception):
    """Bytes that are not a frame of this protocol, or not the table that was agreed."""


def head(kind: int, length: int, sequence: int) -> bytes:
    """The 16 bytes before a payload of `length` bytes."""
    if length > MAX_PAYLOAD:
        raise FrameError("a payload of %d bytes is above the limit of %d" % (length, MAX_PAYLOAD))
    return HEAD.pack(length, kind, PROTOCOL, 0, sequence)


def read_head(data: Buffer) -> tuple[int, int, int]:
    """(length, kind, sequence) of a head; `FrameError` when it is of another protocol."""
    length, kind, version, zero, sequence = HEAD.unpack(data)
    if version != PROTOCOL or zero != 0 or kind not in KIND_NAMES:
        raise FrameError("not a frame of host protocol %d: %s" % (PROTOCOL, bytes(data).hex()))
    return length, kind, sequence


def json_frame(kind: int, document: Mapping[str, Any], sequence: int = 0) -> bytes:
    """A whole frame with a JSON payload."""
    payload = json.dumps(document, separators=(",", ":")).encode("utf-8")
    return head(kind, len(payload), sequence) + payload


def read_json(payload: Buffer) -> dict[str, Any]:
    """The JSON object of a payload; `FrameError` when it is none."""
    try:
        document = json.loads(bytes(payload))
    except ValueError as error:
        raise FrameError("a payload is not JSON: %s" % error) from None
    if not isinstance(document, dict):
        raise FrameError("a payload is not a JSON object but %s" % type(document).__name__)
    return document


def table_buffers(rows: int, columns: Sequence[Parts]) -> list[Buffer]:
    """A table as a list of buffers, for a gathering write.

    Args:
        rows: number of rows.
        columns: one `(data, nulls)` per column; `nulls` None or empty when the column has none.
    """
    lengths: List[int] = []
    buffers: List[Buffer] = [b""]
    for data, nulls in columns:
        size = len(data)
        buffers.append(data)
        if size & 7:
            buffers.append(_PADDING[size & 7])
        if nulls:
            marks = len(nulls)
            buffers.append(nulls)
            if marks & 7:
                buffers.append(_PADDING[marks & 7])
            lengths += (size, marks)
        else:
            lengths += (size, 0)
    buffers[0] = struct.pack("<II%dQ" % len(lengths), rows, len(columns), *lengths)
    return buffers


def read_table(view: Buffer, offset: int = 0) -> tuple[int, list[Views]]:
    """(rows, [(data, nulls or None), ...]) of the table that begins at `offset`; the parts are memoryviews of `view`."""
    view = memoryview(view)
    try:
        rows, count = _TWO.unpack_from(view, offset)
        if 16 * count > len(view):  # before a number out of nowhere becomes a format of that length
            raise FrameError("a table of %d columns is cut off" % count)
        lengths = struct.unpack_from("<%dQ" % (2 * count), view, offset + 8)
    except struct.error as error:
        raise FrameError("a table is cut off: %s" % error) from None
    at = offset + 8 + 16 * count
    end = len(view)
    columns: List[Views] = []
    for index in range(0, 2 * count, 2):
        data_end = at + lengths[index]
        null_bytes = lengths[index + 1]
        nulls_at = data_end + (-lengths[index] & 7)
        nulls_end = nulls_at + null_bytes
        if nulls_end > end or (null_bytes and null_bytes != rows):
            raise FrameError("a table of %d rows is cut off or has %d null marks" % (rows, null_bytes))
        columns.append((view[at:data_end], view[nulls_at:nulls_end] if null_bytes else None))
        at = nulls_end + (-null_bytes & 7)
    return rows, columns


def _frame(kind: int, sequence: int, buffers: list[Buffer]) -> list[Buffer]:
    return [head(kind, sum(map(len, buffers)), sequence), *buffers]


def predict_frame(sequence: int, request_rows: Sequence[int], columns: Sequence[Parts]) -> list[Buffer]:
    """A PREDICT frame as a list of buffers.

    Args:
        sequence: number of the batch.
        request_rows: rows of each request in the batch, in order.
        columns: `(data, nulls)` per input, the requests' rows one after another.
    """
    count = len(request_rows)
    lead = struct.pack("<%dI" % (count + 2), count, 0, *request_rows)
    return _frame(PREDICT, sequence, [lead + _PADDING[len(lead) & 7], *table_buffers(sum(request_rows), columns)])


def read_predict(payload: Buffer) -> tuple[list[int], int, list[Views]]:
    """(rows of each request, rows, columns) of a PREDICT payload."""
    try:
        count, _ = _TWO.unpack_from(payload, 0)
        if 4 * count > len(payload):
            raise FrameError("a predict frame of %d requests is cut off" % count)
        request_rows = struct.unpack_from("<%dI" % count, payload, 8)
    except struct.error as error:
        raise FrameError("a predict frame is cut off: %s" % error) from None
    lead = 8 + 4 * count
    rows, columns = read_table(payload, lead + (-lead & 7))
    if sum(request_rows) != rows:
        raise FrameError("%d rows are announced, %d are there" % (sum(request_rows), rows))
    return list(request_rows), rows, columns


def answer_frame(
    sequence: int,
    statuses: Sequence[int],
    compute_ns: int,
    errors: Errors,
    rows: int,
    columns: Sequence[Parts],
    alone: bool = False,  # noqa: FBT001, FBT002 - a flag of the protocol
) -> list[Buffer]:
    """An ANSWER frame as a list of buffers.

    Args:
        sequence: number of the batch.
        statuses: 0 or 1 per request.
        compute_ns: what the model took.
        errors: `{index: {"code": ..., "message": ...}}` of the failed requests.
        rows: rows of the answered requests together.
        columns: `(data, nulls)` per output.
        alone: each request was computed alone.
    """
    marks = bytes(statuses)
    if errors:
        text = json.dumps({str(index): error for index, error in errors.items()}).encode("utf-8")
        said = _LENGTH.pack(len(text)) + text
        said += _PADDING[len(said) & 7]
    else:
        said = _NO_ERRORS
    lead = b"".join(
        [
            _ANSWER_HEAD.pack(len(marks), COMPUTED_ALONE if alone else 0, compute_ns),
            marks,
            _PADDING[len(marks) & 7],
            said,
        ]
    )
    return _frame(ANSWER, sequence, [lead, *table_buffers(rows, columns)])


def read_answer(payload: Buffer) -> tuple[bytes, int, Errors, int, list[Views], bool]:
    """(statuses, compute_ns, errors by index, rows, columns, alone) of an ANSWER payload."""
    view = memoryview(payload)
    try:
        count, flags, compute_ns = _ANSWER_HEAD.unpack_from(view, 0)
        at = _ANSWER_HEAD.size
        statuses = bytes(view[at : at + count])
        at += count + (-count & 7)
        (text_bytes,) = _LENGTH.unpack_from(view, at)
    except struct.error as error:
        raise FrameError("an answer frame is cut off: %s" % error) from None
    text = bytes(view[at + 4 : at + 4 + text_bytes])
    if len(statuses) != count or len(text) != text_bytes:
        raise FrameError("an answer frame is cut off")
    try:
        errors = {int(index): error for index, error in json.loads(text).items()} if text != b"{}" else {}
    except (ValueError, AttributeError) as error:
        raise FrameError("the errors of an answer are not a JSON object: %s" % error) from None
    said = 4 + text_bytes
    rows, columns = read_table(view, at + said + (-said & 7))
    return statuses, compute_ns, errors, rows, columns, bool(flags & COMPUTED_ALONE)
