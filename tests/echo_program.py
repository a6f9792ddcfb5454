"""The echo model as a program in the standard library of Python alone, and the same with one thing done wrong.

    echo_program.py [--fault NAME]

It speaks the wire that MUSTER_WIRE names. The faults are the table FAULTS: each is what a helper library might get wrong.
"""

import json
import os
import signal
import struct
import sys
import time
import unicodedata
from collections.abc import Iterable
from typing import Any

HEAD = struct.Struct("<IBBHQ")
LOAD, LOADED, PREDICT, ANSWER, ERROR, STOP = 2, 3, 4, 5, 6, 9
LEAD = bytes.fromhex("010000000000000000000000000000000000000000000000020000007b7d0000")
SIZES = {
    "BOOL": 1, "UINT8": 1, "INT8": 1, "UINT16": 2, "INT16": 2, "FP16": 2, "UINT32": 4, "INT32": 4, "FP32": 4,
    "UINT64": 8, "INT64": 8, "FP64": 8,
}  # fmt: skip
held: list[bytes] = []
Field = dict[str, Any]
Column = tuple[bytes, bytes]


class AskedToError(ValueError):
    pass


class Fault:
    """Nothing wrong; the others change one of these."""

    def column(self, field: Field, rows: int, data: bytes, nulls: bytes) -> Column:
        return data, nulls

    def before(self, rows: int, acts: list[bytes]) -> None:
        pass

    def raised(self) -> None:
        raise AskedToError("the row asked to raise an error")

    def printed(self) -> None:
        sys.stdout.write("a line for the log\n")
        sys.stdout.flush()

    def exited(self) -> None:
        os._exit(3)

    def allocated(self, mebibytes: int) -> None:
        held.append(b"\1" * (mebibytes << 20))

    def slept(self, milliseconds: int) -> None:
        time.sleep(milliseconds / 1000)

    def stopped(self) -> None:
        sys.exit(0)


def elements(field: Field, rows: int, data: bytes) -> list[bytes]:
    """Each row's bytes."""
    per_row = field["shape"][0] if field["shape"] else 1
    if field["datatype"] != "BYTES":
        size = SIZES[field["datatype"]] * per_row
        return [data[at : at + size] for at in range(0, rows * size, size)]
    found, at = [], 0
    for _ in range(rows):
        begin = at
        for _ in range(per_row):
            at += 4 + struct.unpack_from("<I", data, at)[0]
        found.append(data[begin:at])
    return found


def texts(data: bytes) -> list[bytes]:
    found, at = [], 0
    while at < len(data):
        (size,) = struct.unpack_from("<I", data, at)
        found.append(data[at + 4 : at + 4 + size])
        at += 4 + size
    return found


def packed(found: Iterable[bytes]) -> bytes:
    return b"".join(struct.pack("<I", len(text)) + text for text in found)


class RowsShifted(Fault):
    """Every answer is its neighbour's; only in batches of some size, or it would be noticed at once."""

    def column(self, field: Field, rows: int, data: bytes, nulls: bytes) -> Column:
        if not 6 < rows < 20 or field["datatype"] != "INT32":
            return data, nulls
        found = elements(field, rows, data)
        return b"".join(found[1:] + found[:1]), nulls


class NeighboursMatter(Fault):
    """One large number makes of the small ones beside it something else."""

    def column(self, field: Field, rows: int, data: bytes, nulls: bytes) -> Column:
        if field["datatype"] != "INT64":
            return data, nulls
        values = struct.unpack(f"<{len(data) // 8}q", data)
        if max(values, default=0) <= 2**53:  # ordinary values go as far as that
            return data, nulls
        return struct.pack(f"<{len(values)}q", *(-v if 0 < v < 2**20 else v for v in values)), nulls


class BigBatchesMixed(Fault):
    """Batches of 1,000 rows and more come back in another order."""

    def column(self, field: Field, rows: int, data: bytes, nulls: bytes) -> Column:
        if rows < 1_000 or field["datatype"] != "INT64":
            return data, nulls
        found = elements(field, rows, data)
        return b"".join(found[rows // 2 :] + found[: rows // 2]), nulls


class NanForNull(Fault):
    """Null in a tensor becomes NaN."""

    def column(self, field: Field, rows: int, data: bytes, nulls: bytes) -> Column:
        if field["datatype"] != "FP64" or not field["shape"] or not nulls:
            return data, nulls
        nan = struct.pack("<2d", float("nan"), float("nan"))
        found = elements(field, rows, data)
        return b"".join(nan if gone else row for row, gone in zip(found, nulls, strict=True)), b""


class ZeroForNull(Fault):
    """The null marks are forgotten."""

    def column(self, field: Field, rows: int, data: bytes, nulls: bytes) -> Column:
        return data, b"" if field["datatype"] == "INT32" else nulls


class LastBitLost(Fault):
    """Floats pass through a text of 15 digits."""

    def column(self, field: Field, rows: int, data: bytes, nulls: bytes) -> Column:
        if field["datatype"] != "FP64":
            return data, nulls
        values = struct.unpack(f"<{len(data) // 8}d", data)
        kept = [value if value != value else float(f"{value:.15g}") for value in values]
        return struct.pack(f"<{len(kept)}d", *kept), nulls


class MinusZeroLost(Fault):
    """-0.0 becomes 0.0."""

    def column(self, field: Field, rows: int, data: bytes, nulls: bytes) -> Column:
        if field["datatype"] != "FP32":
            return data, nulls
        return b"".join(
            bytes(4) if row == b"\0\0\0\x80" else row for row in elements({**field, "shape": []}, len(data) // 4, data)
        ), nulls


class SubnormalsFlushed(Fault):
    """FP16 below the normal range becomes zero, as on some processors."""

    def column(self, field: Field, rows: int, data: bytes, nulls: bytes) -> Column:
        if field["datatype"] != "FP16":
            return data, nulls
        values = struct.unpack(f"<{len(data) // 2}H", data)
        return struct.pack(f"<{len(values)}H", *(v if v & 0x7C00 else v & 0x8000 for v in values)), nulls


class ThroughDouble(Fault):
    """Whole numbers of 64 bits pass through a double."""

    def column(self, field: Field, rows: int, data: bytes, nulls: bytes) -> Column:
        if field["datatype"] not in ("INT64", "UINT64"):
            return data, nulls
        code, low, high = ("q", -(2**63), 2**63 - 1) if field["datatype"] == "INT64" else ("Q", 0, 2**64 - 1)
        values = struct.unpack(f"<{len(data) // 8}{code}", data)
        return struct.pack(f"<{len(values)}{code}", *(min(max(int(float(v)), low), high) for v in values)), nulls


class SignForgotten(Fault):
    """INT8 is read as if it had no sign."""

    def column(self, field: Field, rows: int, data: bytes, nulls: bytes) -> Column:
        return (bytes(min(byte, 127) for byte in data), nulls) if field["datatype"] == "INT8" else (data, nulls)


class TextNormalised(Fault):
    """Texts come back in another normal form of Unicode."""

    def column(self, field: Field, rows: int, data: bytes, nulls: bytes) -> Column:
        if field["datatype"] != "BYTES":
            return data, nulls
        return packed(unicodedata.normalize("NFC", text.decode()).encode() for text in texts(data)), nulls


class TextEndsAtZero(Fault):
    """A text ends where C would end it."""

    def column(self, field: Field, rows: int, data: bytes, nulls: bytes) -> Column:
        return (
            (packed(text.split(b"\0")[0] for text in texts(data)), nulls)
            if field["datatype"] == "BYTES"
            else (data, nulls)
        )


class NoEmptyBatch(Fault):
    """A batch without rows is an error."""

    def before(self, rows: int, acts: list[bytes]) -> None:
        if not rows:
            raise ValueError("cannot compute zero rows")


class ErrorsAreZeros(Fault):
    """The model's error is swallowed."""

    def raised(self) -> None:
        pass


class ErrorsEnd(Fault):
    """The model's error ends the program."""

    def raised(self) -> None:
        os._exit(1)


class PrintsOntoWire(Fault):
    """What the model prints lands between the answers."""

    def printed(self) -> None:
        if os.environ["MUSTER_WIRE"] == "lines":
            sys.stdout.write('{"a line": "for the log"}\n')
            sys.stdout.flush()
        else:
            os.write(4, b"a line for the log, which is no frame")


class Late(Fault):
    """A row takes more than a second."""

    def before(self, rows: int, acts: list[bytes]) -> None:
        if rows == 1 and acts == [b""]:
            self.slept(1050)


class Leaves(Fault):
    """What was asked to end answers."""

    def exited(self) -> None:
        pass


class Frugal(Fault):
    """What was asked to take memory takes none, so that no limit is met."""

    def allocated(self, mebibytes: int) -> None:
        pass


class Lingers(Fault):
    """The end is not noticed."""

    def stopped(self) -> None:
        signal.pause()


#: Name → the fault, and the case that is about it.
FAULTS: dict[str, tuple[type[Fault], str]] = {
    "rows-shifted": (RowsShifted, "batch-is-singles"),
    "neighbours-matter": (NeighboursMatter, "neighbours"),
    "big-batches-mixed": (BigBatchesMixed, "big-batch"),
    "nan-for-null": (NanForNull, "nulls"),
    "zero-for-null": (ZeroForNull, "nulls"),
    "last-bit-lost": (LastBitLost, "float-bits"),
    "minus-zero-lost": (MinusZeroLost, "float-bits"),
    "subnormals-flushed": (SubnormalsFlushed, "float-bits"),
    "through-double": (ThroughDouble, "integers-64"),
    "sign-forgotten": (SignForgotten, "datatypes"),
    "text-normalised": (TextNormalised, "unicode"),
    "text-ends-at-zero": (TextEndsAtZero, "unicode"),
    "no-empty-batch": (NoEmptyBatch, "empty-batch"),
    "errors-are-zeros": (ErrorsAreZeros, "raises"),
    "errors-end": (ErrorsEnd, "raises"),
    "prints-onto-wire": (PrintsOntoWire, "prints"),
    "late": (Late, "answers-in-time"),
    "leaves": (Leaves, "exits"),
    "frugal": (Frugal, "memory-limit"),
    "lingers": (Lingers, "stops-while-busy"),
}


def act(fault: Fault, acts: list[bytes]) -> None:
    """Do what the rows ask for."""
    for text in acts:
        word, _, amount = text.decode().partition(":")
        if word == "raise":
            fault.raised()
        elif word == "print":
            fault.printed()
        elif word == "exit":
            fault.exited()
        elif word == "sleep":
            fault.slept(int(amount))
        elif word == "allocate":
            fault.allocated(int(amount))


class Frames:
    """The binary wire."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.inputs: list[Field] = []

    def run(self) -> None:
        while True:
            length, kind, _, _, sequence = HEAD.unpack(self.read(HEAD.size))
            payload = self.read(length)
            if kind == STOP:
                self.fault.stopped()
            elif kind == LOAD:
                self.inputs = json.loads(payload)["inputs"]
                self.say(LOADED, b'{"language":"python","helper":"0"}', 0)
            else:
                try:
                    self.say(ANSWER, self.answer(payload), sequence)
                except (ValueError, MemoryError) as error:
                    said = {"code": "model-raised", "message": f"{type(error).__name__}: {error}"}
                    self.say(ERROR, json.dumps(said).encode(), sequence)

    def read(self, length: int) -> bytes:
        parts = bytearray()
        while len(parts) < length:
            part = os.read(3, length - len(parts))
            if not part:
                self.fault.stopped()
            parts += part
        return bytes(parts)

    def say(self, kind: int, payload: bytes, sequence: int) -> None:
        data = memoryview(HEAD.pack(len(payload), kind, 1, 0, sequence) + payload)
        while data:
            data = data[os.write(4, data) :]

    def answer(self, payload: bytes) -> bytes:
        rows, count = struct.unpack_from("<II", payload, 16)
        lengths = struct.unpack_from(f"<{2 * count}Q", payload, 24)
        at = 24 + 16 * count
        columns = []
        for data_size, null_size in zip(lengths[::2], lengths[1::2], strict=True):
            data = payload[at : at + data_size]
            at += data_size + -data_size % 8
            columns.append((data, payload[at : at + null_size]))
            at += null_size + -null_size % 8
        acts = texts(columns[0][0])
        self.fault.before(rows, acts)
        act(self.fault, acts)
        columns = [self.fault.column(field, rows, *column) for field, column in zip(self.inputs, columns, strict=True)]
        sizes = [size for data, nulls in columns for size in (len(data), len(nulls))]
        parts = [LEAD, struct.pack(f"<II{len(sizes)}Q", rows, count, *sizes)]
        for data, nulls in columns:
            parts += [data, bytes(-len(data) % 8), nulls, bytes(-len(nulls) % 8)]
        return b"".join(parts)


class Lines:
    """The wire of lines; faults of columns are for the binary one."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault

    def run(self) -> None:
        for line in sys.stdin:
            said = json.loads(line)
            if "load" in said:
                self.say({"loaded": {"language": "python"}})
                continue
            try:
                first = said["inputs"][0]
                acts = [text.encode() for text in first["data"]]
                self.fault.before(len(acts), acts)
                act(self.fault, acts)
                self.say(
                    {
                        "id": said["id"],
                        "outputs": [{**column, "name": "y_" + column["name"]} for column in said["inputs"]],
                    }
                )
            except (ValueError, MemoryError) as error:
                self.say({"id": said["id"], "error": f"{type(error).__name__}: {error}"})
        self.fault.stopped()

    def say(self, document: dict[str, Any]) -> None:
        sys.stdout.write(json.dumps(document, ensure_ascii=False) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    fault = FAULTS[sys.argv[2]][0]() if sys.argv[1:2] == ["--fault"] else Fault()
    if os.environ["MUSTER_WIRE"] == "lines":
        for stream in (sys.stdin, sys.stdout):
            stream.reconfigure(encoding="utf-8")  # type: ignore[union-attr]
        Lines(fault).run()
    else:
        Frames(fault).run()
