"""Records as rows of Parquet, format 2, and back: docs/reference/decision-record.md describes the columns.

Everything of a record has a typed column. The few records that typed columns cannot give back byte for byte, which no
front writes, lie as MessagePack in the column `raw` and leave `inputs` and `answers` empty.

Columns are only ever added, each with the value that its absence stands for, so older files stay readable: format 1
(Muster 0.1) lacks `weights`, `combined`, `step` and `overrides`.
"""

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import accumulate, chain
from operator import attrgetter
from typing import Any

import msgspec
import pyarrow as pa
from msgspec.structs import replace

from muster.archive.columns import LaidField, Layout, from_arrow, layout_of, rows_of, to_arrow
from muster.archive.records import Record
from muster.vocabulary.request_ids import request_id_text
from muster.vocabulary.tensors import Datatype
from muster.wire.records import AnsweredLate, Decided, StoredColumn, VariantAnswer

ARCHIVE_FORMAT = 2
READABLE_FORMATS = (1, 2)
INT64 = range(-(1 << 63), 1 << 63)
_LOWEST, _HIGHEST = INT64.start, INT64.stop - 1

_TIME = pa.timestamp("ns", "UTC")
_TEXT, _WHOLE = pa.string(), pa.int64()
#: Column, attribute and type of what is one value per request.
_REQUEST_COLUMNS: tuple[tuple[str, str, pa.DataType], ...] = (
    ("client_id", "client_id", _TEXT),
    ("idempotency_key", "idempotency_key", _TEXT),
    ("consumer", "consumer", _TEXT),
    ("project", "project", _TEXT),
    ("endpoint", "endpoint", _TEXT),
    ("release", "release", _WHOLE),
    ("plan", "plan", _TEXT),
    ("contract", "contract", _TEXT),
    ("received_at", "received_ns", _TIME),
    ("decided_at", "decided_ns", _TIME),
    ("elapsed_ns", "elapsed_ns", _WHOLE),
    ("deadline_ns", "deadline_ns", _WHOLE),
    ("rows", "rows", _WHOLE),
    ("body_sha256", "body_sha256", pa.binary()),
    ("chosen", "chosen", pa.list_(_WHOLE)),
    ("reason", "reason", _TEXT),
    ("probability", "probability", pa.float64()),
    ("forced", "forced", pa.bool_()),
    ("default", "default", _TEXT),
    ("front", "front", _TEXT),
    ("format", "format", _WHOLE),
    ("weights", "weights", pa.list_(pa.float64())),
    ("step", "step", _WHOLE),
    ("overrides", "overrides", pa.list_(_TEXT)),
)
#: What a column that an older file lacks stands for.
ABSENT: dict[str, Any] = {"weights": (), "step": 0, "overrides": ()}
_LISTS = frozenset({"chosen", "weights", "overrides"})
#: The same of an answer, without its outputs.
_ANSWER_COLUMNS: tuple[tuple[str, pa.DataType], ...] = (
    ("version", _TEXT),
    ("role", _TEXT),
    ("status", _TEXT),
    ("error", _TEXT),
    ("latency_ns", _WHOLE),
    ("compute_ns", _WHOLE),
    ("environment", _TEXT),
    ("host", _TEXT),
    ("batch", _WHOLE),
    ("position", _WHOLE),
    ("batch_rows", _WHOLE),
    ("alone", pa.bool_()),
    ("threads", _WHOLE),
    ("cpu", _TEXT),
)
_REPEATED_TEXTS = frozenset({"consumer", "project", "endpoint", "plan", "contract", "reason", "front"})
_REPEATED_IN_ANSWERS = frozenset({"version", "role", "status", "environment", "host", "cpu"})
_WHOLE_OF_DECIDED = tuple(name for _, name, kind in _REQUEST_COLUMNS if kind in (_WHOLE, _TIME))
_WHOLE_OF_ANSWER = tuple(name for name, kind in _ANSWER_COLUMNS if kind == _WHOLE)
_VALUES_OF = attrgetter(*(attribute for _, attribute, _ in _REQUEST_COLUMNS))
_VALUES_OF_ANSWER = attrgetter(*(name for name, _ in _ANSWER_COLUMNS))
_WHOLES_OF = attrgetter(*_WHOLE_OF_DECIDED)
_WHOLES_OF_ANSWER = attrgetter(*_WHOLE_OF_ANSWER)
_DEFAULT = next(place for place, (_, attribute, _) in enumerate(_REQUEST_COLUMNS) if attribute == "default")


@dataclass(frozen=True, slots=True)
class RowLayout:
    """What decides the schema of a file; empty: the side has no typed columns."""

    inputs: Layout = ()
    outputs: Layout = ()

    def schema(self) -> pa.Schema:
        """Columns of the file of an endpoint's requests."""
        return pa.schema(
            [
                pa.field("request_id", _TEXT, nullable=False),
                *(pa.field(column, kind) for column, _, kind in _REQUEST_COLUMNS),
                *([pa.field("inputs", _struct(self.inputs))] if self.inputs else []),
                pa.field("answers", pa.list_(_answer_type(self.outputs))),
                pa.field("late_answers", pa.list_(_late_type(self.outputs))),
                *([pa.field("combined", _struct(self.outputs))] if self.outputs else []),
                pa.field("raw", pa.binary()),
            ]
        )

    def late_schema(self) -> pa.Schema:
        """Columns of a side file: answers that came after their request's row was written."""
        late = [pa.field("request_id", _TEXT, nullable=False), pa.field("endpoint", _TEXT), *_late_type(self.outputs)]
        return pa.schema([*late, pa.field("raw", pa.binary())])

    def to_json(self) -> str:
        """For the file's metadata."""
        return json.dumps(
            {side: [[f.name, f.datatype, list(f.shape)] for f in fields] for side, fields in self._sides()},
            separators=(",", ":"),
        )

    @classmethod
    def from_json(cls, text: str | bytes) -> "RowLayout":
        """What `to_json` wrote."""
        sides = {
            side: tuple(LaidField(name, Datatype(datatype), tuple(shape)) for name, datatype, shape in fields)
            for side, fields in json.loads(text).items()
        }
        return cls(sides["inputs"], sides["outputs"])

    def _sides(self) -> tuple[tuple[str, Layout], ...]:
        return (("inputs", self.inputs), ("outputs", self.outputs))


def dictionary_columns(schema: pa.Schema) -> list[str]:
    """Parquet columns that repeat a few texts; floats never: a dictionary takes all NaNs for the same."""
    found = [name for name in schema.names if name in _REPEATED_TEXTS | _REPEATED_IN_ANSWERS]
    for name in ("answers", "late_answers"):
        if name in schema.names:
            found += [f"{name}.list.element.{field}" for field in sorted(_REPEATED_IN_ANSWERS)]
    return found


def row_layout_of(record: Record) -> RowLayout | None:
    """The schema a record needs; None when only `raw` gives it back as it was."""
    decided = record.decided
    inputs = layout_of(decided.inputs, decided.rows)
    answers = [*decided.answers, *(event.answer for event in record.late)]
    outputs = _outputs_layout(answers, decided.rows, decided.combined)
    if inputs is None or outputs is None or not _plain_decided(decided):
        return None
    if not all(event.at_ns in INT64 and event.endpoint == decided.endpoint for event in record.late):
        return None
    return RowLayout(inputs, outputs)


def late_layout_of(event: AnsweredLate) -> RowLayout | None:
    """The schema that a late answer needs in a side file; None when only `raw` gives it back as it was."""
    layout = _outputs_layout([event.answer], _rows_of_outputs(event))
    return None if layout is None or event.at_ns not in INT64 else RowLayout((), layout)


def table_of(layout: RowLayout, records: Sequence[Record]) -> pa.Table:
    """Records as rows.

    Args:
        layout: what `row_layout_of` says of every one of them, except that records without any outputs go with every
            layout of their inputs; the empty layout writes all of them as `raw`.
        records: in the order of the rows.
    """
    typed = bool(layout.inputs)
    decideds = [record.decided if typed else _shown(record.decided) for record in records]
    answers = [record.decided.answers if typed else () for record in records]
    late_ones = [record.late if typed else () for record in records]
    rows = [decided.rows for decided in decideds]
    arrays = [pa.array([request_id_text(decided.request_id) for decided in decideds], _TEXT)]
    values = list(zip(*map(_VALUES_OF, decideds), strict=True)) or [()] * len(_REQUEST_COLUMNS)
    values[_DEFAULT] = tuple(None if given is None else given.decode() for given in values[_DEFAULT])
    arrays += [pa.array(column, kind) for (_, _, kind), column in zip(_REQUEST_COLUMNS, values, strict=True)]
    if typed:
        arrays.append(_struct_array(layout.inputs, [decided.inputs for decided in decideds], rows))
    answer_rows = [count for count, found in zip(rows, answers, strict=True) for _ in found]
    late_rows = [count for count, found in zip(rows, late_ones, strict=True) for _ in found]
    arrays += [
        _list_array(answers, _answers_array(layout.outputs, list(chain.from_iterable(answers)), answer_rows)),
        _list_array(late_ones, _late_array(layout.outputs, list(chain.from_iterable(late_ones)), late_rows)),
    ]
    if layout.outputs:
        arrays.append(_struct_array(layout.outputs, [decided.combined or None for decided in decideds], rows))
    arrays += [
        pa.array([None if typed else _packed(record) for record in records], pa.binary()),
    ]
    return pa.Table.from_arrays(arrays, schema=layout.schema())


def late_table_of(layout: RowLayout, events: Sequence[AnsweredLate]) -> pa.Table:
    """Late answers of one layout as rows of a side file."""
    raw = [None if late_layout_of(event) is not None else msgspec.msgpack.encode(event) for event in events]
    shown = [
        event if packed is None else replace(event, at_ns=_clamped(event.at_ns), answer=_shown_answer(event.answer))
        for event, packed in zip(events, raw, strict=True)
    ]
    late_ones = _late_array(layout.outputs, shown, [_rows_of_outputs(event) for event in shown])
    arrays = [
        pa.array([request_id_text(event.request_id) for event in events], _TEXT),
        pa.array([event.endpoint for event in events], _TEXT),
        *late_ones.flatten(),
        pa.array(raw, pa.binary()),
    ]
    return pa.Table.from_arrays(arrays, schema=layout.late_schema())


def records_of(layout: RowLayout, table: pa.Table) -> list[Record]:
    """What `table_of` was given."""
    table = table.combine_chunks()
    ids = table.column("request_id").to_pylist()
    there = set(table.column_names)
    values = {
        attribute: _values(table.column(column), kind) if column in there else [ABSENT[attribute]] * len(ids)
        for column, attribute, kind in _REQUEST_COLUMNS
    }
    for attribute in _LISTS:
        values[attribute] = [tuple(items or ()) for items in values[attribute]]
    combined: list[tuple[StoredColumn, ...] | None] = [None] * len(ids)
    if layout.outputs and "combined" in there:
        combined = _stored(layout.outputs, table.column("combined").combine_chunks())
    inputs = _stored(layout.inputs, table.column("inputs").combine_chunks()) if layout.inputs else [None] * len(ids)
    answers = _grouped(table.column("answers").combine_chunks(), lambda found: _answers_of(layout.outputs, found))
    late_ones = _grouped(
        table.column("late_answers").combine_chunks(), lambda found: _late_structs_of(layout.outputs, found)
    )
    found = []
    for row, (id_text, raw) in enumerate(zip(ids, table.column("raw").to_pylist(), strict=True)):
        if raw is not None:
            found.append(unpacked(raw))
            continue
        known = {attribute: column[row] for attribute, column in values.items()}
        known["default"] = None if known["default"] is None else known["default"].encode()
        decided = Decided(
            request_id=_id_bytes(id_text),
            inputs=inputs[row] or (),
            answers=tuple(answers[row]),
            combined=combined[row] or (),
            **known,
        )
        events = tuple(
            AnsweredLate(
                format=version, request_id=decided.request_id, endpoint=decided.endpoint, at_ns=at, answer=answer
            )
            for version, at, answer in late_ones[row]
        )
        found.append(Record(decided=decided, late=events))
    return found


def late_of(layout: RowLayout, table: pa.Table) -> list[AnsweredLate]:
    """What `late_table_of` was given."""
    table = table.combine_chunks()
    fields = [field.name for field in _late_type(layout.outputs)]
    answers = pa.StructArray.from_arrays(
        [table.column(name).combine_chunks() for name in fields], fields=list(_late_type(layout.outputs))
    )
    rows = zip(
        _late_structs_of(layout.outputs, answers),
        table.column("request_id").to_pylist(),
        table.column("endpoint").to_pylist(),
        table.column("raw").to_pylist(),
        strict=True,
    )
    return [
        msgspec.msgpack.decode(raw, type=AnsweredLate)
        if raw is not None
        else AnsweredLate(format=version, request_id=_id_bytes(id_text), endpoint=endpoint, at_ns=at, answer=answer)
        for (version, at, answer), id_text, endpoint, raw in rows
    ]


def _struct(fields: Layout) -> pa.StructType:
    return pa.struct([pa.field(field.name, field.arrow_type) for field in fields])


def _answer_type(outputs: Layout) -> pa.StructType:
    typed = [pa.field("outputs", _struct(outputs))] if outputs else []
    return pa.struct([*(pa.field(name, kind) for name, kind in _ANSWER_COLUMNS), *typed])


def _late_type(outputs: Layout) -> pa.StructType:
    return pa.struct([pa.field("format", _WHOLE), pa.field("at", _TIME), *_answer_type(outputs)])


def _outputs_layout(
    answers: Iterable[VariantAnswer], rows: int, combined: tuple[StoredColumn, ...] = ()
) -> Layout | None:
    """The one layout of all outputs; empty when there are none, None when they do not fit."""
    found: Layout = ()
    for answer in answers:
        wholes = _WHOLES_OF_ANSWER(answer)
        if min(wholes) < _LOWEST or max(wholes) > _HIGHEST:
            return None
        if answer.outputs is None:
            continue
        layout = layout_of(answer.outputs, rows)
        if layout is None or (found and layout is not found and layout != found):
            return None
        found = layout
    if combined:
        layout = layout_of(combined, rows)
        if layout is None or (found and layout != found):
            return None
        found = layout
    return found


def _plain_decided(decided: Decided) -> bool:
    wholes = _WHOLES_OF(decided)
    if min(wholes) < _LOWEST or max(wholes) > _HIGHEST:
        return False
    chosen = decided.chosen
    if len(decided.request_id) != 16 or decided.rows < 0:
        return False
    if chosen and (min(chosen) < _LOWEST or max(chosen) > _HIGHEST):
        return False
    try:
        _ = decided.default is not None and decided.default.decode()
    except UnicodeDecodeError:
        return False
    return True


def _clamped(value: int) -> int:
    return min(max(value, INT64.start), INT64.stop - 1)


def _shown(decided: Decided) -> Decided:
    """What the typed columns of a `raw` row say: the same as far as it fits."""
    whole = {name: _clamped(getattr(decided, name)) for name in _WHOLE_OF_DECIDED}
    chosen = tuple(map(_clamped, decided.chosen))
    return replace(decided, **whole, inputs=(), answers=(), chosen=chosen, default=None, combined=())


def _shown_answer(answer: VariantAnswer) -> VariantAnswer:
    return replace(answer, outputs=None, **{name: _clamped(getattr(answer, name)) for name in _WHOLE_OF_ANSWER})


def _rows_of_outputs(event: AnsweredLate) -> int:
    return (rows_of(event.answer.outputs[0]) or 0) if event.answer.outputs else 0


def _struct_array(
    fields: Layout, tables: Sequence[tuple[StoredColumn, ...] | None], rows: Sequence[int]
) -> pa.StructArray:
    counts = [0 if table is None else count for table, count in zip(tables, rows, strict=True)]
    children = [
        to_arrow(field, [None if table is None else table[index] for table in tables], counts)
        for index, field in enumerate(fields)
    ]
    mask = pa.array([table is None for table in tables], pa.bool_())
    return pa.StructArray.from_arrays(children, fields=list(_struct(fields)), mask=mask)


def _answer_children(outputs: Layout, answers: Sequence[VariantAnswer], rows: Sequence[int]) -> list[pa.Array]:
    values = zip(*map(_VALUES_OF_ANSWER, answers), strict=True) if answers else [()] * len(_ANSWER_COLUMNS)
    children = [pa.array(column, kind) for (_, kind), column in zip(_ANSWER_COLUMNS, values, strict=True)]
    if outputs:
        children.append(_struct_array(outputs, [answer.outputs for answer in answers], rows))
    return children


def _answers_array(outputs: Layout, answers: Sequence[VariantAnswer], rows: Sequence[int]) -> pa.StructArray:
    return pa.StructArray.from_arrays(_answer_children(outputs, answers, rows), fields=list(_answer_type(outputs)))


def _late_array(outputs: Layout, events: Sequence[AnsweredLate], rows: Sequence[int]) -> pa.StructArray:
    children = [
        pa.array([event.format for event in events], _WHOLE),
        pa.array([event.at_ns for event in events], _TIME),
        *_answer_children(outputs, [event.answer for event in events], rows),
    ]
    return pa.StructArray.from_arrays(children, fields=list(_late_type(outputs)))


def _list_array(groups: Sequence[Sequence[Any]], flat: pa.Array) -> pa.ListArray:
    return pa.ListArray.from_arrays(pa.array([0, *accumulate(map(len, groups))], pa.int32()), flat)


def _values(column: pa.ChunkedArray, kind: pa.DataType) -> list[Any]:
    values: list[Any] = (column.cast(_WHOLE) if kind == _TIME else column).to_pylist()
    return values


def _stored(fields: Layout, structs: pa.StructArray) -> list[tuple[StoredColumn, ...] | None]:
    present = structs.is_valid().to_pylist()
    columns = [from_arrow(field, child) for field, child in zip(fields, structs.flatten(), strict=True)]
    return [tuple(column[index] for column in columns) if there else None for index, there in enumerate(present)]


def _grouped(lists: pa.ListArray, read: Any) -> list[list[Any]]:
    flat = read(lists.flatten())
    groups, at = [], 0
    for length in lists.value_lengths().to_pylist():
        groups.append(flat[at : at + (length or 0)])
        at += length or 0
    return groups


def _answers_of(outputs: Layout, structs: pa.StructArray) -> list[VariantAnswer]:
    values = {name: structs.field(name).to_pylist() for name, _ in _ANSWER_COLUMNS}
    stored = _stored(outputs, structs.field("outputs")) if outputs else [None] * len(structs)
    return [
        VariantAnswer(outputs=stored[index], **{name: column[index] for name, column in values.items()})
        for index in range(len(structs))
    ]


def _late_structs_of(outputs: Layout, structs: pa.StructArray) -> list[tuple[int, int, VariantAnswer]]:
    formats = structs.field("format").to_pylist()
    times = structs.field("at").cast(_WHOLE).to_pylist()
    return list(zip(formats, times, _answers_of(outputs, structs), strict=True))


def _packed(record: Record) -> bytes:
    return msgspec.msgpack.encode((record.decided, record.late))


def unpacked(raw: bytes) -> Record:
    """The record that typed columns cannot give back, from the column `raw`."""
    decided, late = msgspec.msgpack.decode(raw, type=tuple[Decided, tuple[AnsweredLate, ...]])
    return Record(decided=decided, late=late)


def _id_bytes(text: str) -> bytes:
    return bytes.fromhex(text.replace("-", ""))
