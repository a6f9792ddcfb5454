"""The contract at work: what came in is checked and becomes columns, what goes out becomes JSON.

Rules: docs/reference/contract.md. Type, nullability, missing and unknown fields and declared limits refuse; what a
sample merely showed never does.
"""

import math
import unicodedata
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec
import rfc8785

from muster.packaging.columns import Buffer, Column, Table, values_of
from muster.packaging.errors import ContractBroken
from muster.packaging.field_checks import EXACT_INTEGER, FieldBroken, FieldCheck, InWords, widens
from muster.vocabulary.digests import Digest, digest_of
from muster.vocabulary.tensors import FLOATS, INTEGER_RANGES, Datatype
from muster.wire.contracts import Contract, Field, as_document

#: Makes a field's column, given its check and the number of rows; raises `FieldBroken`.
ColumnOf = Callable[[FieldCheck, int], Column]

_SHOWN_CHARACTERS = 80


class TensorLike(Protocol):
    """One input tensor of a V2 request, however it was decoded; `data` is a list (nested or flat) or raw bytes."""

    @property
    def name(self) -> str:
        """The field it is for."""
        ...

    @property
    def datatype(self) -> str:
        """The V2 datatype that the caller states."""
        ...

    @property
    def shape(self) -> Sequence[int]:
        """The shape that the caller states, rows first."""
        ...

    @property
    def data(self) -> Any:
        """Its elements."""
        ...


class ContractChecker:
    """Checks requests against a contract; made once, used for every request, from any thread.

    Args:
        contract: what is asked for.
        max_rows: how many rows one request may have.
    """

    def __init__(self, contract: Contract, max_rows: int) -> None:
        self.contract = contract
        self.max_rows = max_rows
        self.checks = {field.name: FieldCheck(field) for field in contract.inputs}
        """The check of each field, in the order of the contract."""
        self._ones = tuple((name, check.one) for name, check in self.checks.items())
        self._count = len(self._ones)

    def check_records(self, rows: list[dict[str, Any]]) -> Table:
        """The table of rows given as JSON objects.

        Raises:
            ContractBroken: they do not keep the contract.
        """
        if len(rows) == 1:
            # Nearly every request has one row: no lists, and no look for unknown fields unless the count differs.
            row = rows[0]
            columns = {}
            try:
                for name, one in self._ones:
                    columns[name] = one(row[name])
                if len(row) == self._count:
                    return Table(1, columns)
            except (KeyError, TypeError, FieldBroken):
                pass  # the slow way finds out what it was
        return self._check_many(rows)

    def check_tensors(self, tensors: Sequence[TensorLike]) -> Table:
        """The table of V2 input tensors.

        Raises:
            ContractBroken: they do not keep the contract.
        """
        given: dict[str, TensorLike] = {}
        for tensor in tensors:
            if tensor.name not in self.checks:
                raise self._unknown(tensor.name)
            if tensor.name in given:
                raise _broken(tensor.name, None, "two tensors", "one tensor")
            given[tensor.name] = tensor
        rows = self._rows_of(given)
        return self._table(rows, {name: partial(_column_of_tensor, tensor) for name, tensor in given.items()})

    def check_columns(self, rows: int, given: Mapping[str, ColumnOf]) -> Table:
        """The table of columns that are already apart.

        Args:
            rows: how many rows they have.
            given: per field what makes its column.

        Raises:
            ContractBroken: they do not keep the contract.
        """
        for name in given:
            if name not in self.checks:
                raise self._unknown(name)
        self._check_count(rows)
        return self._table(rows, given)

    def _table(self, rows: int, given: Mapping[str, ColumnOf]) -> Table:
        columns = {}
        for name, check in self.checks.items():
            column_of = given.get(name)
            if column_of is None:
                if check.required:
                    raise self._missing(name, None)
                columns[name] = check.absent(rows)
                continue
            try:
                columns[name] = column_of(check, rows)
            except FieldBroken as broken:
                raise _broken(name, broken.row, _shown(broken.value), broken.expected) from None
        return Table(rows, columns)

    def records_of(self, outputs: Table) -> list[dict[str, Any]]:
        """A table of outputs as one JSON-able object per row."""
        names = tuple(outputs.columns)
        columns = [values_of(column) for column in outputs.columns.values()]
        return [dict(zip(names, values, strict=True)) for values in zip(*columns, strict=True)]

    def values_of(self, column: Column) -> list[Any]:
        """One JSON-able value per row of a column."""
        return values_of(column)

    def _check_many(self, rows: list[dict[str, Any]]) -> Table:
        count = len(rows)
        self._check_count(count)
        for index, row in enumerate(rows):
            if not isinstance(row, dict):
                raise _broken(None, index, _shown(row), "an object with one member per field")
            if not row.keys() <= self.checks.keys():
                raise self._unknown(next(name for name in row if name not in self.checks), index)
        columns = {}
        for name, check in self.checks.items():
            try:
                columns[name] = self._check_column(name, check, rows)
            except FieldBroken as broken:
                raise _broken(name, broken.row, _shown(broken.value), broken.expected) from None
        return Table(count, columns)

    def _check_column(self, name: str, check: FieldCheck, rows: list[dict[str, Any]]) -> Column:
        try:
            values = [row[name] for row in rows]
        except KeyError:
            if check.required:
                index = next(index for index, row in enumerate(rows) if name not in row)
                raise self._missing(name, index) from None
            values = [row.get(name, check.default) for row in rows]
        return check.many(values)

    def _check_count(self, rows: int) -> None:
        if rows == 0:
            raise _broken(None, None, "no rows", "at least one row")
        if rows > self.max_rows:
            raise _broken(None, None, f"{rows} rows", f"at most {self.max_rows} rows in one request")

    def _rows_of(self, tensors: dict[str, TensorLike]) -> int:
        counted: tuple[str, int] | None = None
        for name, tensor in tensors.items():
            check = self.checks[name]
            shape = tuple(tensor.shape)
            if shape[1:] != check.shape and not (check.shape == () and shape[1:] == (1,)):
                wanted = " or [rows, 1]" if not check.shape else ""
                shown = ", ".join(["rows", *map(str, check.shape)])
                raise _broken(name, None, f"shape {list(shape)}", f"shape [{shown}]{wanted}")
            if not shape or type(shape[0]) is not int or shape[0] < 0:
                raise _broken(name, None, f"shape {list(shape)}", "a number of rows first")
            if counted is None:
                counted = name, shape[0]
            elif counted[1] != shape[0]:
                raise _broken(name, None, f"{shape[0]} rows", f"{counted[1]} rows, like {counted[0]!r}")
        if counted is None:
            required = [name for name, check in self.checks.items() if check.required]
            if required:
                raise self._missing(required[0], None)
            raise _broken(None, None, "no tensors", "at least one, to know how many rows there are")
        self._check_count(counted[1])
        return counted[1]

    def _unknown(self, name: object, row: int | None = None) -> ContractBroken:
        known = ", ".join(self.checks)
        return _broken(
            str(name)[:_SHOWN_CHARACTERS], row, "an unknown field", f"only the fields of the contract: {known}"
        )

    def _missing(self, name: str, row: int | None) -> ContractBroken:
        return _broken(name, row, "nothing", self.checks[name].expected())


def _column_of_tensor(tensor: TensorLike, check: FieldCheck, rows: int) -> Column:
    try:
        datatype = Datatype(tensor.datatype)
    except ValueError:
        raise FieldBroken(None, InWords(f"datatype {tensor.datatype}"), f"datatype {check.datatype}") from None
    if not widens(datatype, check.datatype):
        raise FieldBroken(None, InWords(f"datatype {datatype}"), f"datatype {check.datatype}")
    data = tensor.data
    if isinstance(data, Buffer):
        return check.raw(data, datatype, rows)
    if not isinstance(data, list | tuple):
        raise FieldBroken(None, data, "a list of elements")
    if not check.shape and data and type(data[0]) is list:
        if len(tensor.shape) != 2 or any(type(inner) is not list or len(inner) != 1 for inner in data):
            raise FieldBroken(
                None, data, f"a flat list of {rows} elements, or lists of one element for shape [rows, 1]"
            )
        data = [inner[0] for inner in data]
    elements = rows * check.size
    if check.shape and len(data) == rows and data and (data[0] is None or isinstance(data[0], list)):
        return check.many(data)
    if len(data) != elements:
        raise FieldBroken(None, InWords(f"{len(data)} elements"), f"{elements} elements for shape {list(tensor.shape)}")
    return check.flat(data, rows)


def _broken(field: str | None, row: int | None, value: str, expected: str) -> ContractBroken:
    where = ", ".join(
        part for part in ("" if field is None else f"field {field!r}", "" if row is None else f"row {row}") if part
    )
    message = f"{where}: expected {expected}, got {value}" if where else f"expected {expected}, got {value}"
    return ContractBroken(message, field=field, row=row, value=value, expected=expected)


def _shown(value: object) -> str:
    """A value for a message: what JSON would show, cut short."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, memoryview | bytes | bytearray):
        return f"{len(value)} bytes"
    if isinstance(value, InWords):
        return str(value)
    try:
        text = repr(value[:_SHOWN_CHARACTERS] if isinstance(value, str | list | tuple) else value)
    except RecursionError:  # as deep as it could just be read, and a little deeper in the stack
        return "a value that is nested too deeply to be shown"
    return text if len(text) <= _SHOWN_CHARACTERS else text[: _SHOWN_CHARACTERS - 1] + "…"


def contract_digest(contract: Contract) -> Digest:
    """The contract's identity: SHA-256 of its canonical JSON (RFC 8785)."""
    return digest_of(rfc8785.dumps(as_document(contract)))


def compatible(endpoint: Contract, version: Contract) -> list[str]:
    """Why a version cannot serve an endpoint's contract; empty when it can.

    What the version takes must be among the endpoint's inputs, of the same datatype and shape; where the endpoint
    allows null or absence, so must the version. Outputs are the same in name, datatype, shape, labels and nullability.
    """
    reasons = []
    for wanted in version.inputs:
        offered = endpoint.input(wanted.name)
        if offered is None:
            if wanted.required:
                reasons.append(f"it needs the input {wanted.name!r}, which the endpoint does not have")
            else:
                reasons.append(f"it knows the input {wanted.name!r}, which the endpoint does not have")
            continue
        reasons.extend(_differences("input", offered, wanted))
        if offered.nullable and not wanted.nullable:
            reasons.append(f"input {wanted.name!r}: the endpoint allows null, the version does not")
    reasons.extend(_declared_differences(endpoint, version))
    for offered in endpoint.outputs:
        given = version.output(offered.name)
        if given is None:
            reasons.append(f"it lacks the output {offered.name!r}")
            continue
        reasons.extend(_differences("output", offered, given))
        if given.labels != offered.labels:
            reasons.append(f"output {offered.name!r}: labels {given.labels} instead of {offered.labels}")
        if given.nullable and not offered.nullable:
            reasons.append(f"output {offered.name!r}: the version may give null, the endpoint never does")
    extra = [field.name for field in version.outputs if endpoint.output(field.name) is None]
    reasons.extend(f"it has the output {name!r}, which the endpoint does not have" for name in extra)
    return reasons


def _differences(kind: str, offered: Field, other: Field) -> list[str]:
    reasons = []
    if offered.datatype is not other.datatype:
        reasons.append(f"{kind} {other.name!r}: datatype {other.datatype} instead of {offered.datatype}")
    if offered.shape != other.shape:
        reasons.append(f"{kind} {other.name!r}: shape {list(other.shape)} instead of {list(offered.shape)}")
    return reasons


def _declared_differences(endpoint: Contract, version: Contract) -> list[str]:
    """A version that declares narrower limits than the endpoint would be asked what it refuses."""
    reasons = []
    for wanted in version.inputs:
        offered = endpoint.input(wanted.name)
        if offered is None or wanted.declared is None or offered.declared == wanted.declared:
            continue
        if not _covers(wanted, offered):
            reasons.append(f"input {wanted.name!r}: the version declares narrower limits than the endpoint")
    return reasons


def _covers(wide: Field, narrow: Field) -> bool:
    """Whether everything that `narrow` declares is within what `wide` declares."""
    outer, inner = wide.declared, narrow.declared
    assert outer is not None
    known = None if inner is None or inner.categories is None else set(inner.categories)
    if outer.categories is not None and (known is None or not known <= set(outer.categories)):
        return False
    low = None if inner is None else inner.minimum
    high = None if inner is None else inner.maximum
    if outer.minimum is not None and (low is None or low < outer.minimum):
        return False
    return outer.maximum is None or (high is not None and high <= outer.maximum)


def contract_problems(contract: Contract) -> list[str]:
    """What is wrong with a contract in itself; empty when nothing is."""
    problems = []
    for kind, fields in (("input", contract.inputs), ("output", contract.outputs)):
        if not fields:
            problems.append(f"there is no {kind}")
        names = Counter(unicodedata.normalize("NFC", field.name) for field in fields)
        problems.extend(f"{kind} {name!r} is there {count} times" for name, count in names.items() if count > 1)
        for field in fields:
            problems.extend(f"{kind} {field.name!r}: {problem}" for problem in _field_problems(field))
            if kind == "output" and field.default is not None:
                problems.append(
                    f"output {field.name!r}: a default is for inputs; a release has a default answer of its own"
                )
    return problems


def _field_problems(field: Field) -> list[str]:
    problems = []
    if not 0 < len(field.name) <= 256 or not field.name.isprintable():
        problems.append("a name has 1 to 256 printable characters")
    if any(size < 1 for size in field.shape):
        problems.append(f"shape {list(field.shape)} has a size below 1")
    if not field.required and not field.nullable and field.default is None:
        problems.append("a field that is not required must be nullable, as absent means null, or have a default")
    if field.default is not None:
        problems.extend(_default_problems(field))
    if field.labels is not None and (not field.shape or field.shape[-1] != len(field.labels)):
        problems.append(f"{len(field.labels)} labels do not fit shape {list(field.shape)}")
    if field.declared is not None:
        problems.extend(_declared_problems(field))
    return problems


def _default_problems(field: Field) -> list[str]:
    if field.required:
        return ["a default is for a field that may be left out: it needs required = false"]
    try:
        rfc8785.dumps(as_document(field.default))
    except (rfc8785.CanonicalizationError, msgspec.ValidationError, TypeError) as error:
        # NaN, or a whole number beyond ±2^53: requests give these as text as well.
        return [f"the default cannot be written as JSON: {error}"]
    try:
        FieldCheck(field)
    except FieldBroken as broken:
        return [f"the default {_shown(broken.value)} does not fit it: expected {broken.expected}"]
    except (
        TypeError,
        ValueError,
        OverflowError,
    ) as error:  # what is declared contradicts itself, and says so elsewhere
        return [f"the default cannot be held against the field: {error}"]
    return []


def _declared_problems(field: Field) -> list[str]:
    declared = field.declared
    assert declared is not None
    problems = []
    limits = [limit for limit in (declared.minimum, declared.maximum) if limit is not None]
    if limits and field.datatype not in FLOATS and field.datatype not in INTEGER_RANGES:
        problems.append(f"minimum and maximum are for numbers, not for {field.datatype}")
    if any(not math.isfinite(limit) or (abs(limit) >= EXACT_INTEGER and type(limit) is int) for limit in limits):
        problems.append("a declared limit must be finite, and a whole number within ±2^53")
    if len(limits) == 2 and limits[0] > limits[1]:
        problems.append(f"the declared minimum {limits[0]} is above the maximum {limits[1]}")
    if declared.categories is not None:
        if not declared.categories:
            problems.append("an empty list of categories excludes every value")
        wanted = {Datatype.BYTES: str, Datatype.BOOL: bool}.get(field.datatype, int)
        wrong = [category for category in declared.categories if type(category) is not wanted]
        if wrong:
            problems.append(f"the category {wrong[0]!r} is no value of {field.datatype}")
    return problems
