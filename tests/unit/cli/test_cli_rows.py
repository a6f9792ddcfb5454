"""Rows from CSV files, read as the contract's types say."""

import csv
import tempfile
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.cli.errors import FileMissing, FileNotUnderstood
from muster.cli.rows import Kind, kinds_of_contract, kinds_of_metadata, read_rows
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field
from muster.wire.inference import ModelMetadata, TensorMetadata

KINDS = {
    "n": Kind(datatype=Datatype.INT64),
    "x": Kind(datatype=Datatype.FP64, nullable=True),
    "name": Kind(datatype=Datatype.BYTES),
    "yes": Kind(datatype=Datatype.BOOL),
}
TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
ROWS = st.lists(
    st.fixed_dictionaries(
        {
            "n": st.integers(-(2**53), 2**53),
            "x": st.none() | st.floats(allow_nan=False, allow_infinity=False),
            "name": TEXT,
            "yes": st.booleans(),
        }
    ),
    min_size=1,
    max_size=5,
)


def written(text: str, name: str = "rows.csv") -> Path:
    """A file in a folder of its own."""
    path = Path(tempfile.mkdtemp()) / name
    path.write_text(text, encoding="utf-8", newline="")
    return path


@given(ROWS)
def test_what_a_spreadsheet_writes_is_read_as_it_was(rows: list[dict[str, Any]]) -> None:
    """Numbers, text and truth come back as what they were, an empty cell as null where there may be one."""
    path = written("")
    with path.open("w", encoding="utf-8", newline="") as stream:
        writer = csv.DictWriter(stream, list(KINDS))
        writer.writeheader()
        writer.writerows(rows)
    assert read_rows(path, lambda: KINDS) == rows


def test_what_does_not_fit_its_type_is_left_for_the_contract_to_refuse() -> None:
    """The contract names field, row and value; reading does not guess. Unknown columns are kept for it, too."""
    path = written("n,yes,other\nmany,perhaps,1\n")
    assert read_rows(path, lambda: KINDS) == [{"n": "many", "yes": "perhaps", "other": "1"}]


def test_a_tensor_is_a_list_in_a_cell() -> None:
    """A cell of a tensor column holds a JSON list."""
    kinds = {"input": Kind(datatype=Datatype.FP64, shape=(2,))}
    assert read_rows(written('input\n"[1.5, 2]"\n'), lambda: kinds) == [{"input": [1.5, 2]}]
    with pytest.raises(FileNotUnderstood, match="row 0, 'input'"):
        read_rows(written("input\n1;2\n"), lambda: kinds)


@pytest.mark.parametrize("text", ["a,b\n1\n", "a,b\n1,2,3\n", "a,a\n1,2\n", 'a\n"unclosed\n'])
def test_a_ragged_file_is_refused(text: str) -> None:
    """Rows that do not fit the header are an error, not a guess."""
    with pytest.raises(FileNotUnderstood):
        read_rows(written(text), dict)


def test_files_that_are_not_there_or_of_no_kind() -> None:
    """A missing file and a suffix that nobody knows are told apart."""
    with pytest.raises(FileMissing):
        read_rows(Path("/nowhere/rows.csv"), dict)
    with pytest.raises(FileNotUnderstood, match="no kind"):
        read_rows(written("x", "rows.xls"), dict)


def test_kinds_are_those_of_the_contract_or_the_endpoint() -> None:
    """In the lab the contract says what a column is, at an endpoint its metadata."""
    contract = Contract(inputs=(Field("x", Datatype.FP64, nullable=True), Field("i", Datatype.INT8, (3,))), outputs=())
    metadata = ModelMetadata(
        name="e", versions=(), platform="muster", outputs=(),
        inputs=(TensorMetadata("x", "FP64", (-1,), {"nullable": True}), TensorMetadata("i", "INT8", (-1, 3))),
    )  # fmt: skip
    assert kinds_of_contract(contract) == kinds_of_metadata(metadata)
