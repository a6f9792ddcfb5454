"""What is read of an MLmodel: signature, version of Python, example; and what is refused."""

import json
from pathlib import Path
from typing import Any

import pytest

from muster.assembling import mlflow_import
from muster.assembling.errors import SourceUnusable
from muster.assembling.mlflow_import import contract_fields, import_mlflow
from muster.environments.errors import LockUnresolved
from muster.environments.languages.mlflow import requirements_of

#: As MLflow 3.17 writes it: JSON in single quotes, folded over lines.
MLMODEL = """flavors:
  python_function:
    loader_module: mlflow.sklearn
    python_version: 3.11.7
mlflow_version: 3.17.2
saved_input_example_info:
  artifact_path: input_example.json
  type: dataframe
signature:
  inputs: '[{"type": "long", "name": "tenure", "required": true}, {"type": "double",
    "name": "it''s", "required": false}]'
  outputs: '[{"type": "tensor", "tensor-spec": {"dtype": "float64", "shape": [-1, 2]}}]'
  params: null
utc_time_created: '2026-11-21 15:59:36.235146'
"""
EXAMPLE = {"columns": ["tenure", "it's"], "data": [[1, 2.5], [3, None]]}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """What MLflow has saved."""
    source = tmp_path / "Churn Model"
    source.mkdir()
    (source / "MLmodel").write_text(MLMODEL, encoding="utf-8")
    (source / "input_example.json").write_text(json.dumps(EXAMPLE), encoding="utf-8")
    (source / "requirements.txt").write_text("mlflow==3.17.2\nscikit-learn==1.9.1\n", encoding="utf-8")
    return source


@pytest.fixture
def assembled(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """What was handed over to be assembled; what comes of it is the subject of other tests."""
    seen: dict[str, Any] = {}

    def assemble(source: Path, _target: Path, *, rows: Path, say: Any) -> None:
        seen["toml"] = (source / "muster.toml").read_text(encoding="utf-8")
        seen["files"] = sorted(str(path.relative_to(source)) for path in source.rglob("*") if path.is_file())
        seen["rows"] = json.loads(rows.read_text(encoding="utf-8"))

    monkeypatch.setattr(mlflow_import, "assemble", assemble)
    return seen


def test_signature_example_and_python_are_taken_over(folder: Path, assembled: dict[str, Any], tmp_path: Path) -> None:
    """The draft has the contract of the signature, the rows of the example, and the whole folder inside."""
    import_mlflow(folder, tmp_path / "bundle", owners=("ana",))
    text = assembled["toml"]
    assert 'name = "churn-model"' in text
    assert 'python = "3.11.7"' in text
    assert assembled["rows"] == [{"tenure": 1, "it's": 2.5}, {"tenure": 3, "it's": None}]
    assert assembled["files"] == [
        "mlflow/MLmodel",
        "mlflow/input_example.json",
        "mlflow/requirements.txt",
        "muster.toml",
    ]
    assert '"it\'s"' in text
    assert "prediction" in text


@pytest.mark.parametrize(
    ("spec", "field"),
    [
        ({"type": "long", "name": "a", "required": True}, {"name": "a", "datatype": "INT64"}),
        (
            {"type": "string", "name": "a", "required": False},
            {"name": "a", "datatype": "BYTES", "nullable": True, "required": False},
        ),
        (
            {"type": "tensor", "name": "t", "tensor-spec": {"dtype": "float32", "shape": [-1, 28, 28]}},
            {"name": "t", "datatype": "FP32", "shape": [28, 28]},
        ),
    ],
)
def test_types_of_a_signature_are_those_of_a_contract(spec: dict[str, Any], field: dict[str, Any]) -> None:
    """Each type of MLflow has its datatype; what need not be there may be null."""
    assert contract_fields([spec], Path("m"), "input") == [field]


@pytest.mark.parametrize(
    ("specs", "told"),
    [
        ([{"type": "binary", "name": "a"}], "binary"),
        ([{"type": "array", "items": {"type": "long"}, "name": "a"}], "array"),
        ([{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, -1]}}], "only its first dimension"),
        ([{"type": "long"}, {"type": "long"}], "without names"),
        ([{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": [-1, "2"]}}], "only its first dimension"),
        ([{"type": "tensor", "tensor-spec": {"dtype": "float32", "shape": "wide"}}], "only its first dimension"),
        ([{"type": "tensor", "tensor-spec": "float32"}], "no contract can express"),
    ],
)
def test_what_no_contract_can_express_is_refused(specs: list[dict[str, Any]], told: str) -> None:
    """The message names the type, the shape or the names that are missing."""
    with pytest.raises(SourceUnusable) as refused:
        contract_fields(specs, Path("m"), "input")
    assert told in refused.value.message


@pytest.mark.parametrize(
    ("text", "told"),
    [
        (MLMODEL.replace("signature:", "signatures:"), "no inputs in its signature"),
        (MLMODEL.replace('"tenure", ', ""), "cannot be read"),
        (MLMODEL.replace("input_example.json", "gone.json"), "holds no input example"),
        (MLMODEL.replace("input_example.json", "/etc/hostname"), "not inside of the folder"),
        (MLMODEL.replace("input_example.json", "../rows.json"), "not inside of the folder"),
        (MLMODEL.replace("input_example.json", "linked.json"), "not inside of the folder"),
    ],
)
def test_a_folder_that_lacks_something_is_refused(
    folder: Path, assembled: dict[str, Any], tmp_path: Path, text: str, told: str
) -> None:
    """Without a signature or an example nothing is assembled, and the message says how to log the model again."""
    (folder / "MLmodel").write_text(text, encoding="utf-8")
    # Rows that are none of the folder's: they are not read, wherever MLmodel says that they are.
    (tmp_path / "rows.json").write_text(json.dumps(EXAMPLE), encoding="utf-8")
    (folder / "linked.json").symlink_to(tmp_path / "rows.json")
    with pytest.raises(SourceUnusable) as refused:
        import_mlflow(folder, tmp_path / "bundle", owners=("ana",))
    assert told in refused.value.message
    assert not assembled


@pytest.mark.parametrize(
    "example",
    [
        "{}", "[]", "5", "null", '"text"', '{"inputs": {}}', '{"inputs": 5}', '{"a": [1], "b": [1, 2]}', '{"a": 1}', '{"a": []}',
        '{"columns": ["a"], "data": [[1, 2]]}', '{"columns": ["a"], "data": [1]}', '{"columns": 5, "data": []}',
        '{"columns": ["a"], "data": null}', "[1, 2]", '[{"tenure": 1}, 2]', '"\\ud800', "[" * 100_000,
    ],
)  # fmt: skip
def test_an_odd_example_is_refused(folder: Path, assembled: dict[str, Any], tmp_path: Path, example: str) -> None:
    """Whatever the file holds, it is rows or a message that names it."""
    (folder / "input_example.json").write_text(example, encoding="utf-8")
    with pytest.raises(SourceUnusable, match=r"input_example\.json"):
        import_mlflow(folder, tmp_path / "bundle", owners=("ana",))
    assert not assembled


@pytest.mark.parametrize(
    ("example", "rows"),
    [
        ('{"tenure": [1, 2], "it\'s": [0.5, null]}', [{"tenure": 1, "it's": 0.5}, {"tenure": 2, "it's": None}]),
        ('{"inputs": {"tenure": [3]}}', [{"tenure": 3}]),
        ('[{"tenure": 4}]', [{"tenure": 4}]),
    ],
)
def test_every_form_of_an_example_gives_its_rows(
    folder: Path, assembled: dict[str, Any], tmp_path: Path, example: str, rows: list[dict[str, Any]]
) -> None:
    """Columns and records, beside the split form."""
    (folder / "input_example.json").write_text(example, encoding="utf-8")
    import_mlflow(folder, tmp_path / "bundle", owners=("ana",))
    assert assembled["rows"] == rows


def test_a_file_that_is_no_text_is_refused(folder: Path, tmp_path: Path) -> None:
    """As MLmodel is YAML in UTF-8."""
    (folder / "MLmodel").write_bytes(b"\xff\xfe")
    with pytest.raises(SourceUnusable, match="no text in UTF-8"):
        import_mlflow(folder, tmp_path / "bundle", owners=("ana",))


def test_a_signature_in_double_quotes_is_read(folder: Path, assembled: dict[str, Any], tmp_path: Path) -> None:
    """YAML writes what is not ASCII with escapes and breaks lines with a backslash."""
    quoted = '"[{\\"type\\": \\"long\\", \\"name\\": \\"gr\\xF6\\\n    \\xDFe\\"}]"'
    begin, _, rest = MLMODEL.partition("  inputs: ")
    text = begin + "  inputs: " + quoted + "\n  outputs:" + rest.partition("  outputs:")[2]
    (folder / "MLmodel").write_text(text, encoding="utf-8")
    (folder / "input_example.json").write_text('[{"größe": 1}]', encoding="utf-8")
    import_mlflow(folder, tmp_path / "bundle", owners=("ana",))
    assert "größe" in assembled["toml"]


def test_mlflow_is_locked_without_its_server_where_that_is_enough(folder: Path) -> None:
    """The loader of scikit-learn models needs mlflow-skinny with pandas and NumPy; a loader nobody knows gets all of MLflow."""
    assert requirements_of(folder) == ["mlflow-skinny==3.17.2", "scikit-learn==1.9.1", "pandas", "numpy"]
    (folder / "MLmodel").write_text(MLMODEL.replace("mlflow.sklearn", "my.own"), encoding="utf-8")
    assert requirements_of(folder) == ["mlflow==3.17.2", "scikit-learn==1.9.1"]


@pytest.mark.parametrize("line", ["-e .", "./wheels/x.whl", "x @ file:///x", "git+https://example.org/x"])
def test_requirements_that_nobody_else_can_install_are_refused(folder: Path, line: str) -> None:
    """Options, paths and addresses are no requirements of a version."""
    (folder / "requirements.txt").write_text(f"{line}\n", encoding="utf-8")
    with pytest.raises(LockUnresolved, match="nobody else"):
        requirements_of(folder)
