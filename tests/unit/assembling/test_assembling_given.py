"""Rows that an author gives as a file: what their columns are taken for, and what muster.toml says better."""

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from muster.assembling.errors import RowsUnreadable, SourceUnusable
from muster.assembling.given import contract_and_rows, expected_answers, read_given
from muster.packaging.columns import values_of
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Field

OUTPUTS = (Field(name="p", datatype=Datatype.FP64),)


def contract_of(tmp_path: Path, text: str, *declared: dict[str, Any]) -> dict[str, tuple[Datatype, bool, list[Any]]]:
    """Field → datatype, whether it may be null, and the values."""
    file = tmp_path / "rows.csv"
    file.write_text(text)
    contract, table = contract_and_rows(read_given(file), declared, OUTPUTS)
    return {f.name: (f.datatype, f.nullable, values_of(table.columns[f.name])) for f in contract.inputs}


@pytest.mark.parametrize(
    ("cells", "datatype", "values"),
    [
        (["1", "-2", "0"], Datatype.INT64, [1, -2, 0]),
        (["1", "", "3"], Datatype.INT64, [1, None, 3]),
        (["9223372036854775807", "1", "2"], Datatype.INT64, [2**63 - 1, 1, 2]),
        (["9223372036854775808", "1", "2"], Datatype.FP64, [2.0**63, 1.0, 2.0]),
        (["1.5", "2", ""], Datatype.FP64, [1.5, 2.0, None]),
        ([".5", "1e3", "-2E-1"], Datatype.FP64, [0.5, 1000.0, -0.2]),
        (["007", "1", "2"], Datatype.BYTES, ["007", "1", "2"]),
        (["1e", "1", "2"], Datatype.BYTES, ["1e", "1", "2"]),
        ([".", "1", "2"], Datatype.BYTES, [".", "1", "2"]),
        (["e5", "1", "2"], Datatype.BYTES, ["e5", "1", "2"]),
        (["true", "False", "true"], Datatype.BOOL, [True, False, True]),
        (["a", "b", "größer"], Datatype.BYTES, ["a", "b", "größer"]),
        (["a", "", "b"], Datatype.BYTES, ["a", "", "b"]),
        (["1_000", "1", "2"], Datatype.BYTES, ["1_000", "1", "2"]),
        (["٣", "1", "2"], Datatype.BYTES, ["٣", "1", "2"]),
    ],
)
def test_a_column_of_csv_is_what_all_its_cells_look_like(
    tmp_path: Path, cells: list[str], datatype: Datatype, values: list[Any]
) -> None:
    """Whole numbers, numbers and truths are found; what only resembles one stays text; an empty cell is null but in text."""
    found = contract_of(tmp_path, "x,y\n" + "".join(f"{cell},1\n" for cell in cells))
    assert found["x"] == (datatype, None in values, values)


def test_what_is_declared_wins_key_by_key(tmp_path: Path) -> None:
    """A declared datatype, nullability, limit and mark of personal data hold; the rest is inferred, in the columns' order."""
    text = "zip,age,note\n01234,41,x\n99999,,y\n"
    file = tmp_path / "rows.csv"
    file.write_text(text)
    declared = (
        {"name": "zip", "datatype": "BYTES", "personal": True},
        {"name": "age", "datatype": "UINT8", "nullable": True},
        {"name": "note", "description": "of the call centre"},
    )
    contract, table = contract_and_rows(read_given(file), declared, OUTPUTS)
    by_name = {field.name: field for field in contract.inputs}
    assert [field.name for field in contract.inputs] == ["zip", "age", "note"]
    assert (by_name["zip"].datatype, by_name["zip"].personal, by_name["zip"].observed) == (Datatype.BYTES, True, None)
    assert by_name["age"].datatype is Datatype.UINT8
    assert values_of(table.columns["age"]) == [41, None]
    assert by_name["note"].description == "of the call centre"
    assert by_name["note"].observed is not None


def test_declared_fields_in_another_order_give_the_order(tmp_path: Path) -> None:
    """When every input is declared, the contract has the author's order, whatever the file's."""
    found = contract_of(tmp_path, "b,a\n1,2\n", {"name": "a"}, {"name": "b"})
    assert list(found) == ["a", "b"]
    assert found["a"][2] == [2]


def test_parquet_keeps_its_types(tmp_path: Path) -> None:
    """Types of a Parquet file are those of the contract: no number becomes wider than it was."""
    file = tmp_path / "rows.parquet"
    table = pa.table({"a": pa.array([1, 2], pa.int8()), "b": pa.array([0.5, None], pa.float32()), "c": ["x", "y"]})
    pq.write_table(table, file)
    contract, columns = contract_and_rows(read_given(file), (), OUTPUTS)
    assert [(str(field.datatype), field.nullable) for field in contract.inputs] == [
        ("INT8", False), ("FP32", True), ("BYTES", False),
    ]  # fmt: skip
    assert values_of(columns.columns["b"]) == [0.5, None]


@pytest.mark.parametrize("suffix", [".json", ".jsonl"])
def test_json_says_what_is_text(tmp_path: Path, suffix: str) -> None:
    """In JSON a number in quotes is text, and a field that is absent is null."""
    rows = [{"a": 1, "b": "2"}, {"b": "3"}]
    file = tmp_path / f"rows{suffix}"
    file.write_text(json.dumps(rows) if suffix == ".json" else "\n".join(map(json.dumps, rows)))
    contract, table = contract_and_rows(read_given(file), (), OUTPUTS)
    assert [(field.name, str(field.datatype), field.nullable) for field in contract.inputs] == [
        ("a", "INT64", True), ("b", "BYTES", False),
    ]  # fmt: skip
    assert values_of(table.columns["a"]) == [1, None]


@pytest.mark.parametrize(
    ("name", "content", "told"),
    [
        ("rows.csv", b"a,a\n1,2\n", "the same name"),
        ("rows.csv", b"a,b\n1\n", "row 0: 1 cells, 2 in the header"),
        ("rows.csv", b"a\n", "has no rows"),
        ("rows.csv", b"", "has no rows"),
        ("rows.csv", b"a\n\xff\xfe\n", "cannot be read"),
        ("rows.json", b"[1]", "row 0 is no object"),
        ("rows.json", b"{", "cannot be read"),
        ("rows.parquet", b"PAR1", "cannot be read"),
        ("rows.xlsx", b"x", "of no kind that is known"),
    ],
)
def test_a_file_that_is_no_rows_is_named_with_what_is_wrong(
    tmp_path: Path, name: str, content: bytes, told: str
) -> None:
    """Whatever is wrong with a file, the error names it and says what."""
    file = tmp_path / name
    file.write_bytes(content)
    with pytest.raises(RowsUnreadable, match=told) as raised:
        read_given(file)
    assert str(file) in raised.value.message


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    """A file that is not there is named."""
    with pytest.raises(RowsUnreadable, match="there is no file"):
        read_given(tmp_path / "rows.csv")


@pytest.mark.parametrize(
    ("declared", "error", "told"),
    [
        ({"name": "nope"}, SourceUnusable, "'nope', which is no column"),
        ({"name": "a", "dtype": "INT8"}, SourceUnusable, "dtype"),
        ({"name": "a", "datatype": "BOOL"}, RowsUnreadable, "row 0, 'a'"),
        ({"name": "a", "datatype": "UINT8", "declared": {"maximum": 40}}, RowsUnreadable, "row 1, 'a'"),
    ],
)
def test_what_is_declared_has_to_fit_the_rows(
    tmp_path: Path, declared: dict[str, Any], error: type[Exception], told: str
) -> None:
    """A declaration that names no column, has an unknown key or refuses the author's own rows is told by field and row."""
    with pytest.raises(error, match=told):
        contract_of(tmp_path, "a\n40\n41\n", declared)


def test_expected_answers_are_the_outputs_columns(tmp_path: Path) -> None:
    """Expected answers have the outputs' types; a wrong number of lines or a missing column is told."""
    file = tmp_path / "expected.csv"
    file.write_text("p\n0.1\n1e-300\n")
    assert values_of(expected_answers(read_given(file), OUTPUTS, 2).columns["p"]) == [0.1, 1e-300]
    with pytest.raises(RowsUnreadable, match="has 2 lines, the rows are 3"):
        expected_answers(read_given(file), OUTPUTS, 3)
    with pytest.raises(RowsUnreadable, match="no column 'q'"):
        expected_answers(read_given(file), (Field(name="q", datatype=Datatype.FP64),), 2)
