"""The fields of a contract as a host needs them: sizes, and whether the bytes of a column fit."""

from __future__ import annotations

import struct
from typing import Any, Mapping

from muster_host.frames import FrameError

#: Bytes of one element; BYTES elements vary.
ITEM_BYTES = {
    "BOOL": 1, "UINT8": 1, "INT8": 1, "UINT16": 2, "INT16": 2, "FP16": 2, "UINT32": 4, "INT32": 4, "FP32": 4,
    "UINT64": 8, "INT64": 8, "FP64": 8,
}  # fmt: skip
NUMPY_NAMES = {
    "BOOL": "|b1", "UINT8": "|u1", "INT8": "|i1", "UINT16": "<u2", "INT16": "<i2", "FP16": "<f2", "UINT32": "<u4",
    "INT32": "<i4", "FP32": "<f4", "UINT64": "<u8", "INT64": "<i8", "FP64": "<f8",
}  # fmt: skip
STRUCT_CODES = {
    "BOOL": "?", "UINT8": "B", "INT8": "b", "UINT16": "H", "INT16": "h", "FP16": "e", "UINT32": "I", "INT32": "i",
    "FP32": "f", "UINT64": "Q", "INT64": "q", "FP64": "d",
}  # fmt: skip
FLOATS = ("FP16", "FP32", "FP64")
INTEGER_RANGES = {
    "UINT8": (0, 2**8 - 1), "UINT16": (0, 2**16 - 1), "UINT32": (0, 2**32 - 1), "UINT64": (0, 2**64 - 1),
    "INT8": (-(2**7), 2**7 - 1), "INT16": (-(2**15), 2**15 - 1), "INT32": (-(2**31), 2**31 - 1),
    "INT64": (-(2**63), 2**63 - 1),
}  # fmt: skip
_LENGTH = struct.Struct("<I")


class TableBroken(FrameError):
    """The bytes of a table do not fit the contract."""


class Field:
    """One input or output.

    Args:
        document: the field as the contract writes it.
    """

    __slots__ = (
        "categories", "datatype", "elements", "has_limits", "is_float", "item_bytes", "maximum", "minimum", "name", "nullable",
        "row_bytes", "shape",
    )  # fmt: skip

    def __init__(self, document: Mapping[str, Any]) -> None:
        self.name: str = document["name"]
        self.datatype: str = document["datatype"]
        self.shape: tuple[int, ...] = tuple(document.get("shape", ()))
        self.nullable: bool = bool(document.get("nullable", False))
        if self.datatype != "BYTES" and self.datatype not in ITEM_BYTES:
            raise ValueError(
                "field %r has the datatype %r, which host protocol 1 does not know" % (self.name, self.datatype)
            )
        self.elements = 1
        for extent in self.shape:
            self.elements *= int(extent)
        #: Bytes of one element, 0 for BYTES.
        self.item_bytes = ITEM_BYTES.get(self.datatype, 0)
        #: Bytes of one row, 0 for BYTES.
        self.row_bytes = self.item_bytes * self.elements
        self.is_float = self.datatype in FLOATS
        declared = document.get("declared") or {}
        #: What the author declares; the limits of inputs are held before a request reaches a host.
        self.minimum: float | None = declared.get("minimum")
        self.maximum: float | None = declared.get("maximum")
        categories = declared.get("categories")
        self.categories: frozenset[Any] | None = None if categories is None else frozenset(categories)
        self.has_limits = not (self.minimum is None and self.maximum is None and categories is None)

    def check(self, rows: int, data: memoryview, nulls: memoryview | None) -> None:
        """Raise `TableBroken` unless the column holds `rows` values of this field."""
        if self.row_bytes or self.item_bytes:
            if len(data) != rows * self.row_bytes:
                raise TableBroken(
                    "field %r needs %d bytes for %d rows of %s, and has %d"
                    % (self.name, rows * self.row_bytes, rows, self.datatype, len(data))
                )
            if self.datatype == "BOOL" and bytes(data).strip(b"\0\1"):
                raise TableBroken("field %r has a BOOL that is neither 0 nor 1" % self.name)
        if nulls is not None:
            marks = bytes(nulls)
            if marks.strip(b"\0\1"):
                raise TableBroken("field %r has a null mark that is neither 0 nor 1" % self.name)
            if not self.nullable and b"\1" in marks:
                raise TableBroken("field %r is null in row %d and is not nullable" % (self.name, marks.index(b"\1")))

    def end_of_rows(self, data: memoryview, begin: int, rows: int) -> int:
        """Where the bytes of the next `rows` rows end that begin at `begin`."""
        if self.item_bytes:
            return begin + rows * self.row_bytes
        at = begin
        try:
            for _ in range(rows * self.elements):
                at += 4 + _LENGTH.unpack_from(data, at)[0]
        except struct.error:
            raise TableBroken("field %r is cut off" % self.name) from None
        if at > len(data):
            raise TableBroken("field %r is cut off" % self.name)
        return at

    def texts(self, data: memoryview, count: int) -> list[str]:
        """The elements of a BYTES column."""
        found = []
        at = 0
        try:
            for _ in range(count):
                end = at + 4 + _LENGTH.unpack_from(data, at)[0]
                found.append(str(data[at + 4 : end], "utf-8"))
                at = end
        except struct.error:
            raise TableBroken("field %r is cut off" % self.name) from None
        except UnicodeDecodeError as error:
            raise TableBroken("field %r is not UTF-8: %s" % (self.name, error)) from None
        if at != len(data):
            raise TableBroken("field %r has %d bytes, its elements have %d" % (self.name, len(data), at))
        return found

    def values(self, rows: int, data: memoryview) -> list[Any]:
        """All elements as Python's own values, row after row."""
        if not self.item_bytes:
            return self.texts(data, rows * self.elements)
        return list(struct.unpack("<%d%s" % (rows * self.elements, STRUCT_CODES[self.datatype]), data))


def text_bytes(texts: list[str]) -> bytes:
    """A BYTES column of these texts."""
    parts = []
    for text in texts:
        encoded = text.encode("utf-8")
        parts.append(_LENGTH.pack(len(encoded)))
        parts.append(encoded)
    return b"".join(parts)


def nested(values: list[Any], shape: tuple[int, ...]) -> list[Any]:
    """Flat row-major values of many rows as one nested list per row."""
    for extent in reversed(shape):
        values = [values[at : at + extent] for at in range(0, len(values), extent)] if extent else []
    return values
