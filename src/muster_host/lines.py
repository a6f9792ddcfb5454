"""The wire of JSON lines, for programs that have only a JSON parser: one object per line, in UTF-8.

    → {"muster": 1, "load": {…}}                  ← {"loaded": {…}}  or  {"error": "…"}
    → {"id": "17", "inputs": [{"name", "datatype", "shape", "data"}, …]}
    ← {"id": "17", "outputs": [{"name", "datatype", "shape", "data"}, …]}  or  {"id": "17", "error": "…"}

Tensors are those of the Open Inference Protocol V2, data flat and row-major. What JSON cannot say: a null is null (all
elements of a row, in a tensor); NaN and the infinities are the texts "NaN", "Infinity", "-Infinity"; a whole number
beyond ±2^53 is written as decimal text, and read as text or literal, never by way of a float. A finite float is the
shortest decimal that gives the same double back, so every bit of it survives; only which NaN it was does not.
"""

from __future__ import annotations

import contextlib
import json
import math
import struct
import sys
import time
from typing import Any, Dict, List, Mapping, Sequence

from muster_host.fields import FLOATS, STRUCT_CODES, Field, nested
from muster_host.frames import Views
from muster_host.programs import Process, ProgramGone
from muster_host.promises import OutputBroken
from muster_host.raised import ModelRaised, ProgramFailed, words

_EXACT = 1 << 53
_READ = 1 << 16
_LOG_BYTES_PER_MINUTE = 1 << 20
_NOT_FINITE = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
_NAMES = {math.inf: "Infinity", -math.inf: "-Infinity"}


class Literal(str):
    """A number of a JSON document as it is written."""

    __slots__ = ()


def question(number: int, fields: Sequence[Field], rows: int, columns: Sequence[Views]) -> bytes:
    """The line that asks for one request.

    Args:
        number: its id.
        fields: the contract's inputs.
        rows: how many there are.
        columns: data and nulls per input.
    """
    inputs = [
        {
            "name": field.name,
            "datatype": field.datatype,
            "shape": [rows, *field.shape],
            "data": written(field, rows, data, nulls),
        }
        for field, (data, nulls) in zip(fields, columns)
    ]
    return line_of({"id": str(number), "inputs": inputs})


def line_of(document: Mapping[str, Any]) -> bytes:
    """A document as one line."""
    text = json.dumps(document, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
    return text.encode("utf-8") + b"\n"


def written(field: Field, rows: int, data: memoryview, nulls: memoryview | None) -> list[Any]:
    """A column as the flat `data` of a V2 tensor."""
    values = field.values(rows, data)
    if field.is_float:
        values = [value if value - value == 0 else _NAMES.get(value, "NaN") for value in values]
    elif field.datatype in ("INT64", "UINT64"):
        values = [value if -_EXACT <= value <= _EXACT else str(value) for value in values]
    if nulls is not None:
        for row, mark in enumerate(nulls):
            if mark:
                values[row * field.elements : (row + 1) * field.elements] = [None] * field.elements
    return values


def parse(line: bytes) -> Any:
    """A JSON document, its numbers that are no plain integers as they are written; raises ValueError where it is none."""
    return json.loads(line.decode("utf-8"), parse_float=Literal, parse_constant=Literal)


def answered(document: Mapping[str, Any], fields: Sequence[Field], rows: int) -> Dict[str, List[Any]]:
    """The values of each output, one per row, as `outputs.reader_of` takes them.

    Args:
        document: a parsed answer.
        fields: the contract's outputs.
        rows: how many went in.

    Raises:
        OutputBroken: an output is missing, unknown, or not what it says of itself.
    """
    outputs = document.get("outputs")
    if not isinstance(outputs, list) or not all(isinstance(tensor, dict) for tensor in outputs):
        raise OutputBroken("the model answered without a list of outputs")
    by_name = {str(tensor.get("name")): tensor for tensor in outputs}
    names = [field.name for field in fields]
    if sorted(str(tensor.get("name")) for tensor in outputs) != sorted(names):
        raise OutputBroken(
            "the model answered outputs named %s; its contract names %s"
            % (", ".join(sorted(by_name)) or "nothing", ", ".join(names))
        )
    return {field.name: values_of(field, by_name[field.name], rows) for field in fields}


def values_of(field: Field, tensor: Mapping[str, Any], rows: int) -> list[Any]:
    """One value per row of a V2 tensor whose data are flat.

    Raises:
        OutputBroken: datatype, shape or a value are not the field's.
    """
    datatype, shape, data = tensor.get("datatype"), tensor.get("shape"), tensor.get("data")
    if datatype is not None and datatype != field.datatype:
        raise OutputBroken("output %r is %.40s; its contract says %s" % (field.name, datatype, field.datatype))
    wanted = [rows, *field.shape]
    if shape is not None and shape != wanted:
        raise OutputBroken("output %r has the shape %.80s; it should be %s" % (field.name, shape, wanted))
    if not isinstance(data, list) or len(data) != rows * field.elements:
        have = len(data) if isinstance(data, list) else type(data).__name__
        raise OutputBroken(
            "output %r has %s elements for %d rows, not %d" % (field.name, have, rows, rows * field.elements)
        )
    flat = [_value(field, value, at) for at, value in enumerate(data)]
    if not field.shape:
        return flat
    by_row = nested(flat, field.shape)
    if field.nullable and field.elements:
        for row in range(rows):
            of_row = flat[row * field.elements : (row + 1) * field.elements]
            if of_row.count(None) == field.elements:
                by_row[row] = None
    return by_row


def _value(field: Field, value: Any, at: int) -> Any:
    """One element, as `outputs` takes it: None, a bool, an exact int, a float of the field's own precision, a text."""
    if value is None:
        return None
    if field.datatype == "BYTES":
        if type(value) is str:
            return _sound(field, value, at)
    elif field.datatype == "BOOL":
        if isinstance(value, bool):
            return value
    elif isinstance(value, (int, str)) and not isinstance(value, bool):
        try:
            return _float(field, value) if field.datatype in FLOATS else _whole(value)
        except (ValueError, OverflowError):
            pass
    row = at // max(1, field.elements)
    raise OutputBroken("output %r is %.80r in row %d, which is no %s" % (field.name, value, row, field.datatype))


def _sound(field: Field, text: str, at: int) -> str:
    try:
        text.encode("utf-8")
    except UnicodeEncodeError:
        row = at // max(1, field.elements)
        raise OutputBroken("output %r has half of a surrogate pair in row %d" % (field.name, row)) from None
    return text


def _float(field: Field, value: int | str) -> float:
    """The value of the field's own precision that lies nearest to a decimal."""
    if isinstance(value, str) and type(value) is not Literal:
        return _NOT_FINITE[value] if value in _NOT_FINITE else _refuse(value)
    number = float(value)
    if field.item_bytes == 8:
        return number
    code = "<" + STRUCT_CODES[field.datatype]
    (nearest,) = struct.unpack(code, struct.pack(code, number))
    return float(nearest)


def _whole(value: int | str) -> int:
    """An integer, whether it came as a number or as text; `3.0` and `1e3` are integers, too."""
    if isinstance(value, int):
        return value
    if type(value) is not Literal:
        sign_less = value[1:] if value[:1] == "-" else value
        return int(value) if sign_less.isascii() and sign_less.isdigit() else int(_refuse(value))
    mantissa, _, exponent = value.lower().partition("e")
    whole, _, fraction = mantissa.partition(".")
    power = int(exponent or 0) - len(fraction)
    if abs(power) > 400:
        _refuse(value)
    digits = int(whole + fraction)
    if power >= 0:
        return digits * int(10**power)
    number, rest = divmod(abs(digits), int(10**-power))
    if rest:
        _refuse(value)
    return -number if digits < 0 else number


def _refuse(value: str) -> float:
    raise ValueError(value)


class LinesProgram:
    """A program that speaks in JSON lines.

    Args:
        process: the running program; the wire is its standard input and output.
        document: what it is to load.
        load_s: how long that may take.
        inputs: the contract's inputs.
        outputs: the contract's outputs.
        line_bytes: the longest line that it may answer with.

    Raises:
        ProgramFailed: it cannot load it, does not say in time that it has, or ends over it.
    """

    def __init__(
        self,
        process: Process,
        document: Mapping[str, Any],
        load_s: float,
        inputs: Sequence[Field],
        outputs: Sequence[Field],
        line_bytes: int = 1 << 28,
    ) -> None:
        self._process = process
        self._inputs = inputs
        self._outputs = outputs
        self._line_bytes = line_bytes
        self._number = 0
        self._came = bytearray()
        self._log_minute = 0
        self._log_left = _LOG_BYTES_PER_MINUTE
        try:
            self._process.write([line_of({"muster": 1, "load": document})], self._take)
            said = self._document(time.monotonic() + load_s)
        except ProgramGone as error:
            raise ProgramFailed("%s (%s) before it had loaded the model" % (error, process.ending(1.0))) from error
        if said.get("error") is not None:
            raise ProgramFailed(_told(said["error"]))
        if not isinstance(said.get("loaded"), dict):
            raise ProgramFailed('it began with %.200s, not with {"loaded": {…}}' % json.dumps(said))
        self.about: dict[str, Any] = said["loaded"]

    def ask(self, rows: int, columns: Sequence[Views]) -> Dict[str, List[Any]]:
        """The values of each output, one per row.

        Raises:
            ModelRaised: the model failed.
            OutputBroken: the answer does not fit the contract.
            ProgramGone: the program ended, or did not answer just this.
        """
        self._number += 1
        if self._came.lstrip().startswith(b"{"):
            raise ProgramGone("the program said something that nobody asked for")
        self._process.write([question(self._number, self._inputs, rows, columns)], self._take)
        said = self._document(None)
        if said.get("id") != str(self._number):
            raise ProgramGone("the program answered question %.40r; %d was asked" % (said.get("id"), self._number))
        if said.get("error") is not None:
            raise ModelRaised(_told(said["error"]))
        return answered(said, self._outputs, rows)

    def stop(self) -> None:
        """Close its standard input, and end it if it does not end."""
        self._process.close()

    def _take(self, data: bytes) -> None:
        self._came += data
        if len(self._came) > self._line_bytes and b"\n" not in self._came:
            raise ProgramGone("a line is above this host's limit of %d bytes" % self._line_bytes)

    def _document(self, until: float | None) -> dict[str, Any]:
        """The next line that is an object; what is none is log."""
        searched = 0
        while True:
            end = self._came.find(b"\n", searched)
            if end < 0:
                searched = len(self._came)
                self._take(self._process.read(_READ if searched < _READ else 1 << 20, until))
                continue
            line = bytes(self._came[:end])
            del self._came[: end + 1]
            searched = 0
            if not line.lstrip().startswith(b"{"):
                self._log(line)
                continue
            try:
                return dict(_parsed(line))
            except (ValueError, RecursionError) as error:
                raise ProgramGone("a line of the program's is no JSON: %s: %.200r" % (error, line)) from error

    def _log(self, line: bytes) -> None:
        """Hand on what the program prints, though not without end."""
        minute = int(time.monotonic() // 60)
        if minute != self._log_minute:
            self._log_minute, self._log_left = minute, _LOG_BYTES_PER_MINUTE
        if self._log_left <= 0:
            return
        self._log_left -= len(line) + 1
        with contextlib.suppress(OSError, ValueError):
            print(line[:_READ].decode("utf-8", "replace"), file=sys.stderr, flush=True)  # noqa: T201 - the host's log
            if self._log_left <= 0:
                print("further lines of this minute are left out", file=sys.stderr, flush=True)  # noqa: T201


def _parsed(line: bytes) -> Any:
    """A line; one that is no UTF-8 is taken if it tells an error, whose words are the model's own."""
    try:
        return parse(line)
    except UnicodeDecodeError:
        said = parse(line.decode("utf-8", "replace").encode("utf-8"))
        if isinstance(said, dict) and said.get("error") is not None:
            return said
        raise


def _told(error: Any) -> str:
    if isinstance(error, dict):
        error = error.get("message", error)
    return words(error)
