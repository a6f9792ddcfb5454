"""The records form in JSON, NDJSON, CSV and Arrow: the same rows become the same columns, and answers say the same in each."""

import contextlib
import csv
import io
import json
from decimal import Decimal
from typing import Any

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from contract_values import fields, row_values
from decided_requests import REQUEST_ID_TEXT, plan_of, scored
from muster.packaging.columns import Column, Table, column_of, values_of
from muster.packaging.errors import ContractBroken
from muster.packaging.golden import arrow_of
from muster.serving.errors import AnswerFormUnknown, FormUnknown, RequestMalformed
from muster.serving.front import records, records_answers
from muster.serving.front.forms import ARROW, CSV, JSON, NDJSON
from muster.vocabulary.states import Reason
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Declared, Field

D = Datatype


def stream(table: pa.Table, **options: Any) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema, options=pa.ipc.IpcWriteOptions(**options)) as writer:
        writer.write_table(table)
    written: bytes = sink.getvalue().to_pybytes()
    return written


def plain(table: Table) -> tuple[int, dict[str, Any]]:
    """A table as values that can be compared: nulls are absent, or one byte per row."""
    return table.rows, {name: flat(column) for name, column in table.columns.items()}


def flat(column: Column) -> tuple[Any, ...]:
    nulls = bytes(column.nulls or b"")
    return column.datatype, column.shape, bytes(column.data), nulls if any(nulls) else None


def as_cell(value: Any) -> str:
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)


@given(st.data())
@settings(max_examples=120)
def test_every_form_makes_the_same_columns(data: st.DataObject) -> None:
    """Rows as JSON, NDJSON, CSV and Arrow are accepted alike, and become the same columns."""
    inputs = [data.draw(fields(f"field {place}")) for place in range(data.draw(st.integers(1, 3)))]
    plan = plan_of(*inputs)
    rows = [
        {field.name: data.draw(row_values(field, strange=False)) for field in inputs}
        for _ in range(data.draw(st.integers(1, 3)))
    ]
    try:
        table = plan.checker.check_records(rows)
    except ContractBroken:
        assume(False)
    wanted = plain(table)
    assert plain(records.read(plan, json.dumps({"rows": rows}).encode()).table) == wanted
    assert plain(records.read(plan, b"\n".join(json.dumps(row).encode() for row in rows), NDJSON).table) == wanted
    arrow = pa.table({name: arrow_of(column) for name, column in table.columns.items()})
    assert plain(records.read(plan, stream(arrow), ARROW).table) == wanted
    assert (
        plain(records.read(plan, stream(pa.Table.from_batches(arrow.to_batches(max_chunksize=1))), ARROW).table)
        == wanted
    )
    # CSV has no null apart from the empty text, and text that a spreadsheet cannot hold is not asked of it.
    texts = [row[field.name] for row in rows for field in inputs if field.datatype is D.BYTES and not field.shape]
    assume(all(text is None or (text and "\0" not in text) for text in texts))
    file = io.StringIO()
    writer = csv.writer(file, quoting=csv.QUOTE_ALL)
    writer.writerow([field.name for field in inputs])
    writer.writerows([[as_cell(row[field.name]) for field in inputs] for row in rows])
    assert plain(records.read(plan, file.getvalue().encode(), CSV).table) == wanted


class TestDelimited:
    """CSV and NDJSON."""

    PLAN = plan_of(
        Field("n", D.INT64), Field("x", D.FP32, nullable=True), Field("b", D.BOOL), Field("t", D.BYTES), rows=3
    )

    def refused(self, body: bytes, form: bytes = CSV) -> str:
        with pytest.raises((RequestMalformed, ContractBroken)) as caught:
            records.read(self.PLAN, body, form)
        return caught.value.message

    def test_csv_of_a_spreadsheet(self) -> None:
        """A byte order mark, carriage returns, other order of columns, quotes and line breaks in cells, empty lines."""
        body = '\ufeff"t",n,b,x\r\n"a ""b""\nc",1,TRUE,\r\n\r\n,2,false,1e3\r\n'.encode()
        columns = records.read(self.PLAN, body, CSV + b"; charset=UTF-8; header=present").table.columns
        assert list(columns) == ["n", "x", "b", "t"]
        assert [values_of(column) for column in columns.values()] == [
            [1, 2],
            [None, 1000.0],
            [True, False],
            ['a "b"\nc', ""],
        ]

    @pytest.mark.parametrize(
        ("body", "told"),
        [
            (b"", "empty"),
            (b"n,x,b,t\n", "no rows"),
            (b"n,x,b\n1,1,true\n", "field 't'"),
            (b"n,x,b,t,z\n1,1,true,a,1\n", "field 'z'"),
            (b"n,x,b,t,n\n1,1,true,a,1\n", "names the field 'n' twice"),
            (b"n,x,b,t\n1,1,true\n", "line 2: 3 cells"),
            (
                b"n,x,b,t\n1,1,true,a\n1,1,maybe,a\n",
                "line 3, field 'b', row 1: expected true or false (BOOL), got 'maybe'",
            ),
            (b'n,x,b,t\n1,1,true,"a\nb"\nx,1,true,a\n', "line 4, field 'n', row 1"),
            (b"n,x,b,t\n1.5,1,true,a\n", "line 2, field 'n'"),
            (b"n,x,b,t\n1_0,1,true,a\n", "line 2, field 'n'"),
            (b"n,x,b,t\n1, 1,true,a\n", "line 2, field 'x'"),
            (b"n,x,b,t\n1,nan,true,a\n", "line 2, field 'x'"),
            (b"n,x,b,t\n,1,true,a\n", "line 2, field 'n'"),
            (b"n,x,b,t\n1,1e39,true,a\n", "line 2, field 'x'"),
            (b'n,x,b,t\n1,1,true,"a"b\n', "line 2"),
            (b'n,x,b,t\n1,1,true,"a\n', "line 2"),
            (b"n,x,b,t\n1,1,true,\xff\n", "not UTF-8"),
            (b"n,x,b,t\n" + b"1,1,true,a\n" * 4, "at most 3 rows"),
            (b"n,x,b,t\n" + b"9" * 5000 + b",1,true,a\n", "line 2, field 'n'"),
        ],
    )
    def test_csv_that_is_refused(self, body: bytes, told: str) -> None:
        """The message names the line and the field."""
        assert told in self.refused(body)

    @pytest.mark.parametrize(
        ("body", "told"),
        [
            (b"", "no rows"),
            (b"\n\n", "no rows"),
            (b'{"n":1,"x":1,"b":true,"t":"a"}\n[]\n', "line 2 is no JSON object"),
            (b'{"n":1,"x":1,"b":true,"t":"a"}\n\n{"n":1.5,"x":1,"b":true,"t":"a"}', "line 3, field 'n', row 1"),
            (b'{"n":1,"x":1,"b":true,"t":"a"}\n{"n":1,', "line 2"),
            (b'{"n":1,"x":1,"b":true,"t":"a"}\n' * 4, "at most 3 rows"),
            (b"\xff\n", "line 1"),
            (b"[" * 100_000, "line 1"),
        ],
    )
    def test_ndjson_that_is_refused(self, body: bytes, told: str) -> None:
        """The message names the line."""
        assert told in self.refused(body, NDJSON)


class TestArrow:
    """Columns of other types come through unchanged, or not at all."""

    def values(self, field: Field, array: pa.Array) -> list[Any]:
        table = records.read(plan_of(field), stream(pa.table({field.name: array})), ARROW).table
        return values_of(table.columns[field.name])

    def refused(self, field: Field, array: pa.Array, **options: Any) -> str:
        with pytest.raises((RequestMalformed, ContractBroken)) as caught:
            records.read(plan_of(field, **options), stream(pa.table({field.name: array})), ARROW)
        return caught.value.message

    @pytest.mark.parametrize(
        ("datatype", "array", "values"),
        [
            (D.INT8, pa.array([1, -128], pa.int64()), [1, -128]),
            (D.UINT64, pa.array([1, 2**63 - 1], pa.int64()), [1, 2**63 - 1]),
            (D.INT64, pa.array([1.0, None], pa.float64()), [1, None]),
            (D.FP64, pa.array([1, None, 2**60]), [1.0, None, 2.0**60]),
            (D.FP64, pa.array([1.5, None], pa.float32()), [1.5, None]),
            (D.FP32, pa.array([1.5, float("inf")]), [1.5, "Infinity"]),
            (D.FP16, pa.array([1.5, None], pa.float16()), [1.5, None]),
            (D.FP64, pa.array([float("nan"), 1.0]), [None, 1.0]),
            (D.BYTES, pa.array(["a", None, "a"]).dictionary_encode(), ["a", None, "a"]),
            (D.BYTES, pa.array(["a", None], pa.large_string()), ["a", None]),
            (
                D.BYTES,
                pa.array(["a", None, "long enough for a view"], pa.string_view()),
                ["a", None, "long enough for a view"],
            ),
            (D.INT64, pa.array([1, None]).dictionary_encode(), [1, None]),
            (D.BOOL, pa.array([True, None, False]), [True, None, False]),
            (D.FP64, pa.array([Decimal("1.25"), None]), [1.25, None]),
            (D.INT32, pa.array([Decimal("7.00"), None]), [7, None]),
        ],
    )
    def test_lossless(self, datatype: Datatype, array: pa.Array, values: list[Any]) -> None:
        """Each value is what it was."""
        assert self.values(Field("a", datatype, nullable=True), array) == values

    @pytest.mark.parametrize(
        ("datatype", "array", "told"),
        [
            (D.INT8, pa.array([1, 128]), "row 1"),
            (D.UINT8, pa.array([-1]), "row 0"),
            (D.INT64, pa.array([2**63], pa.uint64()), "row 0"),
            (D.INT64, pa.array([1.0, 1.5]), "row 1"),
            (D.INT64, pa.array([2.0**60]), "row 0"),
            (D.INT64, pa.array([float("nan")]), "row 0"),
            (D.FP32, pa.array([0.5, 0.1]), "row 1"),
            (D.FP32, pa.array([1e300]), "row 0"),
            (D.FP64, pa.array([2**53 + 1]), "row 0"),
            (D.FP64, pa.array([Decimal("0.1234567890123456789012345")]), "row 0"),
            (D.FP64, pa.array(["1.5"]), "FP64"),
            (D.INT64, pa.array([True]), "INT64"),
            (D.BOOL, pa.array([1]), "BOOL"),
            (D.BYTES, pa.array([b"a"]), "got binary"),
            (D.BYTES, pa.array([1], pa.timestamp("s")), "got timestamp[s]"),
            (D.BYTES, pa.array([1]), "BYTES"),
            (D.FP64, pa.array([[1.0]]), "row 0"),
            (D.FP64, pa.array([{"a": 1.0}]), "got struct"),
            (D.FP64, pa.nulls(1), "got null"),
        ],
    )
    def test_lossy(self, datatype: Datatype, array: pa.Array, told: str) -> None:
        """What would change is refused, with its row or its type."""
        assert told in self.refused(Field("a", datatype), array)

    def test_null_where_none_may_be(self) -> None:
        """The row is named."""
        assert "row 1: expected a whole number (INT64), never null" in self.refused(
            Field("a", D.INT64), pa.array([1, None])
        )

    def test_limits_pass_over_nulls(self) -> None:
        """A null is within any limits."""
        spec = Field("a", D.INT64, nullable=True, declared=Declared(minimum=5))
        assert self.values(spec, pa.array([5, None])) == [5, None]
        assert "row 1" in self.refused(spec, pa.array([5, 4]))

    def test_tensors(self) -> None:
        """Fixed-size lists, lists whose lengths happen to fit, and Arrow's own tensors, also of several dimensions."""
        spec = Field("v", D.FP64, (2,), nullable=True)
        rows = [[1.0, 2.0], [3.0, 4.0]]
        for kind in (
            pa.list_(pa.float64(), 2),
            pa.list_(pa.float64()),
            pa.large_list(pa.float32()),
            pa.list_(pa.float64(), 2),
        ):
            assert self.values(spec, pa.array(rows, kind)) == rows
            assert self.values(spec, pa.array([*rows, None], kind)) == [*rows, None]
        square = Field("v", D.FP64, (2, 2))
        assert self.values(square, pa.array([rows], pa.list_(pa.list_(pa.float64(), 2), 2))) == [rows]
        assert self.values(square, pa.array([rows], pa.list_(pa.list_(pa.float64())))) == [rows]
        own = pa.FixedShapeTensorArray.from_numpy_ndarray(np.array([rows]))
        assert self.values(square, own) == [rows]
        assert "row 1" in self.refused(spec, pa.array([[1.0, 2.0], [1.0]], pa.list_(pa.float64())))
        assert "field 'v'" in self.refused(spec, pa.array([[1.0]], pa.list_(pa.float64(), 1)))
        assert "field 'v'" in self.refused(Field("v", D.FP64), pa.array(rows))

    def test_frames_of_polars(self) -> None:
        """What polars writes with its own types."""
        frame = pl.DataFrame(
            {
                "t": ["x", None],
                "c": pl.Series(["u", "v"], dtype=pl.Categorical),
                "v": pl.Series([[1.0, 2.0], [3.0, 4.0]], dtype=pl.Array(pl.Float64, 2)),
                "w": [[1.0, 2.0], [3.0, 4.0]],
            }
        )
        written = io.BytesIO()
        frame.write_ipc_stream(written)
        plan = plan_of(
            Field("t", D.BYTES, nullable=True), Field("c", D.BYTES), Field("v", D.FP64, (2,)), Field("w", D.FP64, (2,))
        )
        columns = records.read(plan, written.getvalue(), ARROW).table.columns
        assert [values_of(column) for column in columns.values()] == [
            ["x", None],
            ["u", "v"],
            [[1, 2], [3, 4]],
            [[1, 2], [3, 4]],
        ]

    def test_absent_columns(self) -> None:
        """A field that is not required is null; a required one is missed; an unknown or doubled column is refused."""
        plan = plan_of(Field("a", D.INT64), Field("b", D.BYTES, nullable=True, required=False))
        assert values_of(records.read(plan, stream(pa.table({"a": [1]})), ARROW).table.columns["b"]) == [None]
        for table, told in (
            (pa.table({"b": ["x"]}), "field 'a'"),
            (pa.table({"a": [1], "c": [1]}), "field 'c'"),
            (pa.Table.from_arrays([pa.array([1]), pa.array([1])], ["a", "a"]), "column 'a' twice"),
            (pa.table({"a": pa.array([], pa.int64())}), "no rows"),
        ):
            with pytest.raises((RequestMalformed, ContractBroken), match=told):
                records.read(plan, stream(table), ARROW)

    def test_nothing_grows(self) -> None:
        """Compressed batches, and texts that a dictionary or a view shows too often, are refused before they are spread out."""
        text = "x" * 100_000
        shown = pa.DictionaryArray.from_arrays(pa.array([0] * 500, pa.int8()), pa.array([text]))
        assert "50000000 bytes of text" in self.refused(Field("a", D.BYTES), shown, body_bytes=1_000_000)
        views = pa.array([text[:10_000]] * 200, pa.string_view())
        assert "2000000 bytes of text" in self.refused(Field("a", D.BYTES), views, body_bytes=1_000_000)
        with pytest.raises(RequestMalformed, match="compressed"):
            records.read(plan_of(Field("a", D.INT64)), stream(pa.table({"a": [1] * 1000}), compression="zstd"), ARROW)
        batches = stream(pa.table({"a": pa.array(["a"] * 1000).dictionary_encode()}), compression="lz4")
        with pytest.raises(RequestMalformed, match="compressed"):
            records.read(plan_of(Field("a", D.BYTES)), batches, ARROW)

    @given(st.data())
    @settings(max_examples=150)
    def test_damaged_streams(self, data: st.DataObject) -> None:
        """A stream with flipped or missing bytes is read, or refused: nothing else."""
        plan = plan_of(Field("a", D.INT64), Field("t", D.BYTES))
        body = bytearray(stream(pa.table({"a": [1, 2], "t": pa.array(["x", "y"]).dictionary_encode()})))
        for _ in range(data.draw(st.integers(1, 3))):
            body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
        cut = data.draw(st.integers(0, len(body)))
        with contextlib.suppress(RequestMalformed, ContractBroken):
            records.read(plan, bytes(body[: cut if data.draw(st.booleans()) else None]), ARROW)


class TestHeaders:
    """Which form is read, and which is written."""

    PLAN = plan_of(Field("a", D.INT64))
    BODY = b'{"rows": [{"a": 1}]}'

    @pytest.mark.parametrize(
        "name",
        [
            None,
            b"",
            b"application/json",
            b"Application/JSON; charset=utf-8",
            b"text/json",
            b"application/x-www-form-urlencoded",
        ],
    )
    def test_names_of_json(self, name: bytes | None) -> None:
        """JSON is also what nothing is said about, and what curl says by itself."""
        assert records.read(self.PLAN, self.BODY, name).table.rows == 1

    @pytest.mark.parametrize(
        "name",
        [b"text/plain", b"application/xml", b"application/json; charset=utf-16", b"text/csv;charset=latin1", b"x"],
    )
    def test_unknown_names(self, name: bytes) -> None:
        """Any other type or charset is refused as such."""
        with pytest.raises(FormUnknown):
            records.read(self.PLAN, self.BODY, name)

    @pytest.mark.parametrize(
        ("accept", "form"),
        [
            (None, JSON),
            (b"", JSON),
            (b"*/*", JSON),
            (b"application/*", JSON),
            (b"application/x-ndjson", NDJSON),
            (b"application/json;q=0.5, application/x-ndjson", NDJSON),
            (b"*/*;q=0.1, application/vnd.apache.arrow.stream", ARROW),
            (b"application/json;q=0, */*", NDJSON),
            (b"text/html, application/vnd.apache.arrow.stream;q=0.2", ARROW),
        ],
    )
    def test_preferences(self, accept: bytes | None, form: bytes) -> None:
        """The form that the caller likes best; JSON where there is no preference."""
        assert records.answer_form(accept) == form

    @pytest.mark.parametrize(
        "accept", [b"text/html", b"application/json;q=0", b"text/*", b"*/*;q=0", b"application/json;q=x"]
    )
    def test_nothing_acceptable(self, accept: bytes) -> None:
        """It is refused, before anything is computed."""
        with pytest.raises(AnswerFormUnknown):
            records.answer_form(accept)

    @pytest.mark.parametrize("deadline", [0, -1, "x", True])
    def test_deadlines_that_are_none(self, deadline: Any) -> None:
        """A deadline is a number of milliseconds above 0."""
        with pytest.raises(RequestMalformed):
            records.read(self.PLAN, json.dumps({"rows": [{"a": 1}], "deadline_ms": deadline}).encode())

    @pytest.mark.parametrize("value", [1, 1.0])
    def test_id_and_deadline(self, value: float) -> None:
        """They are read by both ways."""
        asked = records.read(self.PLAN, json.dumps({"rows": [{"a": value}], "deadline_ms": 5, "id": "é"}).encode())
        assert (asked.deadline_s, asked.id) == (0.005, "é")


class TestAnswers:
    """What each form of an answer says."""

    def columns(self, rows: int, *names: str) -> dict[str, Column]:
        return {name: column_of(D.FP64, np.arange(rows) + 0.5) for name in names}

    def answers(
        self, form: bytes, rows: int, *names: str, **options: Any
    ) -> tuple[list[dict[str, Any]], dict[str, Any]]:
        """The rows of an answer, and what it says of them all."""
        plan = plan_of(Field("x", D.FP64), outputs=tuple(Field(name, D.FP64) for name in names))
        answer = records_answers.answer(scored(plan, self.columns(rows, *names), rows, **options), form)
        assert answer.content_type == form
        assert answer.json_bytes is None
        said: dict[str, Any] = {key.decode().removeprefix("muster-"): value.decode() for key, value in answer.headers}
        if form == JSON:
            document = json.loads(answer.body())
            return document.pop("answers"), document
        if form == NDJSON:
            return [json.loads(line) for line in answer.body().splitlines()], said
        table = pa.ipc.open_stream(answer.body()).read_all()
        metadata = {
            key.decode().removeprefix("muster."): value.decode() for key, value in table.schema.metadata.items()
        }
        assert {key: metadata[key] for key in said} == said
        return table.to_pylist(), metadata

    @pytest.mark.parametrize("form", [JSON, NDJSON, ARROW])
    @pytest.mark.parametrize("rows", [1, 3])
    def test_one_variant(self, form: bytes, rows: int) -> None:
        """Each row has its outputs, variant, role and reason; the whole names release and request."""
        answers, whole = self.answers(form, rows, "score")
        facts = {"variant": "churn:2", "role": "champion", "reason": "champion"}
        assert answers == [{"score": row + 0.5, **facts} for row in range(rows)]
        assert str(whole["release"]) == "7"
        if form != NDJSON:
            assert whole["request_id"] == REQUEST_ID_TEXT

    @pytest.mark.parametrize("form", [JSON, NDJSON, ARROW])
    def test_rows_by_several_variants(self, form: bytes) -> None:
        """Each row names the variant that answered it."""
        answers, _ = self.answers(form, 3, "score", variant=1, reason=Reason.SPLIT, chosen=(1, -1, 2))
        assert [row["variant"] for row in answers] == ["churn:3", "default", "churn:4"]
        assert [row["role"] for row in answers] == ["challenger", "default", "canary"]

    @pytest.mark.parametrize("form", [JSON, NDJSON, ARROW])
    def test_combined(self, form: bytes) -> None:
        """The answer is combined, and says from what."""
        answers, whole = self.answers(form, 1, "score", variant=-2, reason=Reason.WEIGHTED, weights=(0.25, 0.0, 0.75))
        assert answers[0]["variant"] == "combined"
        weights = {"churn:2": 0.25, "churn:4": 0.75} if form == JSON else "churn:2=0.25,churn:4=0.75"
        assert whole["weights"] == weights

    @pytest.mark.parametrize("form", [JSON, NDJSON, ARROW])
    @pytest.mark.parametrize("rows", [1, 2])
    def test_outputs_that_have_the_name_of_a_fact(self, form: bytes, rows: int) -> None:
        """They stay what they are; the fact is under another name."""
        answers, whole = self.answers(form, rows, "variant", "muster_variant", "reason", "request_id")
        assert answers[0] == {
            "variant": 0.5,
            "muster_variant": 0.5,
            "reason": 0.5,
            "request_id": 0.5,
            "muster_muster_variant": "churn:2",
            "role": "champion",
            "muster_reason": "champion",
        }
        assert str(whole["release"]) == "7"

    def test_values_that_json_has_not(self) -> None:
        """NaN is text in JSON, a number in Arrow; null is null in both."""
        plan = plan_of(Field("x", D.FP64), outputs=(Field("score", D.FP64, nullable=True),))
        column = Column(D.FP64, (), np.array([np.nan, 0.0]).tobytes(), b"\0\1")
        done = scored(plan, {"score": column}, 2)
        rows = json.loads(records_answers.answer(done).body())["answers"]
        assert [row["score"] for row in rows] == ["NaN", None]
        table = pa.ipc.open_stream(records_answers.answer(done, ARROW).body()).read_all()
        assert table["score"].null_count == 1
        assert np.isnan(table["score"][0].as_py())
