"""A contract compiled into typed decoders: the shortest way from JSON to checked columns.

The decoder of the usual request knows the fields, their datatypes and their limits, so that msgspec checks them in C while it reads.
Whatever is not of the usual form gives None: the caller then reads it generally, which accepts it or says exactly what is
wrong. Both ways give the same columns for what both accept.
"""

import struct
from operator import attrgetter
from typing import Any, Literal

import msgspec

from muster.packaging.columns import Column, Table
from muster.packaging.contract import ContractChecker
from muster.packaging.field_checks import FieldBroken
from muster.packaging.typed_fields import typed_field
from muster.serving.plan import Plan
from muster.wire.inference import Parameters, RequestedOutput

#: A contract with more fields has no typed form: to compile it would take longer than it saves.
_MOST_FIELDS = 1000
#: Compiled forms that are kept; a front holds a handful of plans.
_KEPT = 256
_NOT_USUAL = (
    msgspec.DecodeError, UnicodeDecodeError, RecursionError, FieldBroken, ValueError, TypeError, LookupError, struct.error,
)  # fmt: skip
_values_of = msgspec.structs.astuple
_shape_of = attrgetter("shape")


class CompiledForms:
    """The typed decoders of one contract.

    Args:
        checker: the contract's check.
    """

    def __init__(self, checker: ContractChecker) -> None:
        self._max_rows = checker.max_rows
        self._checks = tuple(checker.checks.values())
        self._names = tuple(checker.checks)
        self._typed = tuple(typed_field(check) for check in self._checks)
        self._ones = tuple(typed.one for typed in self._typed)
        is_small = len(self._checks) <= _MOST_FIELDS
        self._one_row_shapes = (
            [[1, *check.shape] for check in self._checks],
            [[1, *(check.shape or (1,))] for check in self._checks],
        )
        self._are_scalars = not any(check.shape for check in self._checks)
        self._requests: list[tuple[msgspec.json.Decoder[Any], bool]] = []
        self._records: msgspec.json.Decoder[Any] | None = None
        self._lines: msgspec.json.Decoder[Any] | None = None
        if is_small and all(typed.element is not None for typed in self._typed):
            self._requests = [(self._request_decoder(nested=nested), nested) for nested in (False, True)]
            if self._are_scalars:
                self._requests.pop()
        #: One row as one flat tensor of several elements: the form in which most models of numbers are asked.
        is_only = len(self._checks) == 1 and bool(self._checks[0].shape) and bool(self._requests)
        self._only = self._requests[0][0] if is_only else None
        self._only_shape = self._one_row_shapes[0][0] if is_only else []
        if is_small:
            self._compile_records()

    # V2 tensors.

    def tensors(self, body: bytes) -> tuple[Any, Table] | None:
        """A V2 request whose tensors are all there, in the order of the contract, each of its field's own datatype.

        Returns:
            The request, with `id`, `parameters` and `outputs` as in `InferRequest`, and its table; None: not of that form.
        """
        if self._only is not None:
            try:
                request = self._only.decode(body)
                (tensor,) = request.inputs
                if tensor.shape == self._only_shape:
                    return request, Table(1, {self._names[0]: self._ones[0](tensor.data)})
            except _NOT_USUAL:
                pass
        for decoder, is_nested in self._requests:
            try:
                request = decoder.decode(body)
                table = self._table(request.inputs, is_nested=is_nested)
            except _NOT_USUAL:
                continue
            if decoder is not self._requests[0][0]:  # the next request is likely to be of the same form
                self._requests.reverse()
            return request, table
        return None

    def _table(self, tensors: tuple[Any, ...], *, is_nested: bool) -> Table:
        if list(map(_shape_of, tensors)) in self._one_row_shapes:
            one_row = self._one_row_nested if is_nested or self._are_scalars else self._one_row_flat
            return Table(1, dict(zip(self._names, one_row(tensors), strict=True)))
        rows = tensors[0].shape[0]
        if not 1 <= rows <= self._max_rows:
            raise ValueError(rows)
        columns: dict[str, Column] = {}
        for name, check, typed, tensor in zip(self._names, self._checks, self._typed, tensors, strict=True):
            if tensor.shape != [rows, *check.shape] and (check.shape or tensor.shape != [rows, 1]):
                raise ValueError(tensor.shape)
            if is_nested and check.shape:
                if len(tensor.data) != rows:
                    raise ValueError(len(tensor.data))
                columns[name] = check.many(tensor.data)
            else:
                columns[name] = typed.flat(tensor.data, rows)
        return Table(rows, columns)

    def _one_row_nested(self, tensors: tuple[Any, ...]) -> list[Column]:
        """Each tensor's only row, one level into its data."""
        return [one(*tensor.data) for one, tensor in zip(self._ones, tensors, strict=True)]

    def _one_row_flat(self, tensors: tuple[Any, ...]) -> list[Column]:
        """Each tensor's only row: its data as a whole, but for scalars."""
        return [
            one(tensor.data) if check.shape else one(*tensor.data)
            for check, one, tensor in zip(self._checks, self._ones, tensors, strict=True)
        ]

    def _request_decoder(self, *, nested: bool) -> msgspec.json.Decoder[Any]:
        tensors = []
        for check, typed in zip(self._checks, self._typed, strict=True):
            data = list[typed.value] if nested and check.shape else list[typed.element]  # type: ignore[name-defined]
            tensors.append(
                msgspec.defstruct(
                    "Tensor",
                    [
                        ("name", Literal[check.name]),
                        ("shape", list[int]),
                        ("datatype", Literal[check.datatype.value]),
                        ("data", data),
                        ("parameters", None, None),
                    ],
                    gc=False,
                )
            )
        request = msgspec.defstruct(
            "Request",
            [
                ("inputs", tuple[tuple(tensors)]),  # type: ignore[misc]
                ("id", str | None, None),
                ("parameters", Parameters | None, None),
                ("outputs", tuple[RequestedOutput, ...] | None, None),
            ],
            gc=False,
        )
        return msgspec.json.Decoder(request)

    # Records.

    def records(self, body: bytes) -> tuple[Any, Table] | None:
        """A request in the records form whose rows hold every required field in its own type.

        Returns:
            The request, with `id` and `deadline_ms`, and its table; None: not of that form.
        """
        if self._records is None:
            return None
        try:
            request = self._records.decode(body)
            return request, self._rows(request.rows)
        except _NOT_USUAL:
            return None

    def lines(self, body: bytes) -> Table | None:
        """Rows as JSON objects, one a line; None: not of that form."""
        if self._lines is None:
            return None
        try:
            return self._rows(self._lines.decode_lines(body))
        except _NOT_USUAL:
            return None

    def _rows(self, rows: list[Any]) -> Table:
        if len(rows) == 1:
            values = _values_of(rows[0])
            return Table(
                1,
                dict(
                    zip(self._names, [one(value) for one, value in zip(self._ones, values, strict=True)], strict=True)
                ),
            )
        if not 1 <= len(rows) <= self._max_rows:
            raise ValueError(len(rows))
        columns = zip(*map(_values_of, rows), strict=True)
        count = len(rows)
        return Table(
            count,
            {
                name: check.many(values) if check.shape else typed.flat(values, count)
                for name, check, typed, values in zip(self._names, self._checks, self._typed, columns, strict=True)
            },
        )

    def _compile_records(self) -> None:
        fields: list[tuple[str, Any, Any]] = []
        for place, (check, typed) in enumerate(zip(self._checks, self._typed, strict=True)):
            named = (
                msgspec.field(name=check.name)
                if check.required
                else msgspec.field(name=check.name, default=_unchanging(check.default))
            )
            fields.append((f"f{place}", typed.value, named))
        try:
            row = msgspec.defstruct("Row", fields, kw_only=True, forbid_unknown_fields=True, gc=False)
        except ValueError:  # a name that msgspec cannot look for, as one with a quotation mark
            return
        request = msgspec.defstruct(
            "Request",
            [("rows", list[row]), ("deadline_ms", float | None, None), ("id", str | None, None)],  # type: ignore[valid-type]
            forbid_unknown_fields=True,
            gc=False,
        )
        self._records = msgspec.json.Decoder(request)
        self._lines = msgspec.json.Decoder(row)


def _unchanging(value: Any) -> Any:
    """A default that no row can change for the others: a tensor's lists as tuples."""
    return tuple(_unchanging(inner) for inner in value) if isinstance(value, list) else value


_compiled: dict[str, CompiledForms] = {}


def compiled(plan: Plan) -> CompiledForms:
    """The typed decoders of a plan; made when they are first asked for."""
    forms = _compiled.get(plan.digest)
    if forms is None:
        if len(_compiled) >= _KEPT:
            _compiled.clear()
        forms = _compiled[plan.digest] = CompiledForms(plan.checker)
    return forms
