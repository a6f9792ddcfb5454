"""A folder with an `MLmodel` becomes a bundle: its signature is the contract, its requirements the lock, its example the rows.

MLflow itself is never imported here. Of MLmodel, which is YAML, three values are read: the signature (JSON in a string), the
version of Python, and what the input example is called; whatever else is in it is for the model's own environment.
"""

import json
import re
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import tomli_w

from muster.assembling.assemble import Assembled, Say, assemble
from muster.assembling.errors import SourceUnusable
from muster.environments.languages.mlflow import MODEL_NAME
from muster.packaging.interpreters import running_version
from muster.packaging.manifest import DESCRIPTION_NAME
from muster.vocabulary.tensors import Datatype

_FOLDER = "mlflow"
_ROWS = "rows.json"
#: What one output is called that the signature gives no name.
_OUTPUT = "prediction"
_COLUMNS = {
    "boolean": Datatype.BOOL, "integer": Datatype.INT32, "long": Datatype.INT64, "float": Datatype.FP32,
    "double": Datatype.FP64, "string": Datatype.BYTES, "datetime": Datatype.BYTES,
}  # fmt: skip
_TENSORS = {
    "bool": Datatype.BOOL, "int8": Datatype.INT8, "int16": Datatype.INT16, "int32": Datatype.INT32,
    "int64": Datatype.INT64, "uint8": Datatype.UINT8, "uint16": Datatype.UINT16, "uint32": Datatype.UINT32,
    "uint64": Datatype.UINT64, "float16": Datatype.FP16, "float32": Datatype.FP32, "float64": Datatype.FP64,
    "object": Datatype.BYTES, "str": Datatype.BYTES,
}  # fmt: skip
_PYTHON = re.compile(r"^\s+python_version:\s*['\"]?(\d+\.\d+\.\d+)['\"]?\s*$", re.MULTILINE)
_EXAMPLE = re.compile(r"^\s+artifact_path:\s*(\S+)\s*$", re.MULTILINE)


def import_mlflow(
    source: Path,
    target: Path,
    *,
    name: str | None = None,
    owners: tuple[str, ...],
    rows: Path | None = None,
    say: Say = lambda _: None,
) -> Assembled:
    """Make a bundle of a folder that MLflow has saved.

    Args:
        source: the folder with the MLmodel; it is not written to.
        target: the bundle's folder.
        name: the model's name; None: that of the folder.
        owners: who answers for it.
        rows: rows as the model is given them; None: the input example that was logged with it.
        say: told what is being done, a line at a time.

    Raises:
        SourceUnusable: there is no MLmodel, no signature, no example and no rows, or a type that no contract can express.
        Exception: whatever `assemble` raises.
    """
    if not (source / MODEL_NAME).is_file():
        raise SourceUnusable(f"{source} has no {MODEL_NAME}, so MLflow has not saved it", path=str(source))
    try:
        text = (source / MODEL_NAME).read_text(encoding="utf-8")
    except ValueError as error:
        raise SourceUnusable(f"{source / MODEL_NAME} is no text in UTF-8: {error}", path=str(source)) from error
    inputs = contract_fields(_signature(text, "inputs", source), source, "input")
    outputs = contract_fields(_signature(text, "outputs", source), source, "output")
    python = _PYTHON.search(text)
    document = {
        "name": name or _named_after(source),
        "owners": list(owners),
        "description": f"Imported from the MLflow folder {source.name}.",
        "runtime": {
            "kind": "mlflow",
            "folder": _FOLDER,
            "python": python[1] if python is not None else running_version(),
        },
        "contract": {"inputs": inputs, "outputs": outputs},
    }
    with tempfile.TemporaryDirectory(prefix="muster-mlflow-") as scratch:
        draft = Path(scratch) / "source"
        draft.mkdir()
        given = rows
        if given is None:
            given = Path(scratch) / _ROWS
            given.write_text(json.dumps(_example(source, text, inputs)), encoding="utf-8")
        (draft / DESCRIPTION_NAME).write_text(tomli_w.dumps(document), encoding="utf-8")
        shutil.copytree(source, draft / _FOLDER, symlinks=True, ignore=shutil.ignore_patterns("__pycache__", ".*"))
        return assemble(draft, target, rows=given, say=say)


def contract_fields(specs: Sequence[Mapping[str, Any]], source: Path, what: str) -> list[dict[str, Any]]:
    """Fields of a contract, made of one side of a signature.

    Args:
        specs: columns or tensors as MLflow writes them.
        source: for messages.
        what: `input` or `output`.

    Raises:
        SourceUnusable: a type is none that a contract can express, or a name is missing where there are several.
    """
    if len(specs) > 1 and any(not spec.get("name") for spec in specs):
        raise SourceUnusable(
            f"{source}: the signature has {len(specs)} {what}s without names; log the model with a signature that names them",
            path=str(source),
        )
    usual = _OUTPUT if what == "output" else "input"
    return [_field(spec, str(spec.get("name") or usual), source, what) for spec in specs]


def _field(spec: Mapping[str, Any], name: str, source: Path, what: str) -> dict[str, Any]:
    kind = spec.get("type")
    described = spec.get("tensor-spec")
    tensor = described if isinstance(described, dict) else {}
    found = _TENSORS.get(str(tensor.get("dtype"))) if kind == "tensor" else _COLUMNS.get(str(kind))
    if found is None:
        raise SourceUnusable(
            f"{source}: the {what} {name!r} is of MLflow's type {tensor.get('dtype') or kind}, which no contract can express; "
            f"known are {', '.join(_COLUMNS)} and tensors of numbers or text",
            path=str(source),
        )
    field: dict[str, Any] = {"name": name, "datatype": str(found)}
    said = tensor.get("shape") or [-1]
    shape = said[1:] if isinstance(said, list) else [said]
    if any(type(extent) is not int or extent < 1 for extent in shape):
        raise SourceUnusable(
            f"{source}: the {what} {name!r} has the shape {said}; only its first dimension, the rows, may be open",
            path=str(source),
        )
    if shape:
        field["shape"] = shape
    if spec.get("required") is False:
        field |= {"nullable": True} if what == "output" else {"nullable": True, "required": False}
    if kind == "datetime":
        field["description"] = "A moment: 2026-01-31T12:00:00."
    return field


def _named_after(source: Path) -> str:
    """A model's name made of a folder's."""
    name = re.sub(r"[^a-z0-9-]+", "-", source.resolve().name.lower()).strip("-")
    return name if re.match(r"[a-z]", name) else f"model-{name}".strip("-")


def _signature(text: str, side: str, source: Path) -> list[Mapping[str, Any]]:
    """One side of the signature: JSON in a string of a YAML document."""
    block = re.search(r"^signature:\n((?:[ \t]+.*\n?)+)", text, re.MULTILINE)
    found = None if block is None else re.search(rf"^  {side}:((?:.|\n(?!  \w))*)", block[1], re.MULTILINE)
    content = "" if found is None else found[1].strip()
    if content in {"", "null", "~"}:
        raise SourceUnusable(
            f"{source} has no {side} in its signature; log the model again with one: "
            "mlflow.models.infer_signature(rows, answers)",
            path=str(source),
        )
    try:
        specs = json.loads(_scalar(content))
    except (ValueError, RecursionError) as error:
        raise SourceUnusable(
            f"{source}: the {side} of its signature cannot be read: {error}", path=str(source)
        ) from error
    if not isinstance(specs, list) or not specs or not all(isinstance(spec, dict) for spec in specs):
        raise SourceUnusable(
            f"{source}: the {side} of its signature are no list of columns or tensors", path=str(source)
        )
    return specs


def _scalar(content: str) -> str:
    """The text of a YAML scalar that may go over several lines: plain, in single or in double quotes."""
    if content.startswith("'"):
        return re.sub(r"\s*\n\s*", " ", content[1:-1]).replace("''", "'")
    if content.startswith('"'):
        joined = re.sub(r"\\\n\s*(\\(?= ))?", "", content[1:-1])
        plain = re.sub(r"\s*\n\s*", " ", joined)
        decoded: str = json.loads('"' + re.sub(r"\\x([0-9a-fA-F]{2})", r"\\u00\1", plain) + '"')
        return decoded
    return re.sub(r"\s*\n\s*", " ", content)


def _example(source: Path, text: str, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of the input example that was logged with the model, as objects."""
    named = _EXAMPLE.search(text)
    path = source / (named[1] if named is not None else "input_example.json")
    if not path.resolve().is_relative_to(source.resolve()):
        raise SourceUnusable(
            f"{source / MODEL_NAME} names the input example {path}, which is not inside of the folder; give rows with --rows FILE",
            path=str(path),
        )
    if not path.is_file():
        raise SourceUnusable(
            f"{source} holds no input example; give rows with --rows FILE, or log the model with input_example=…",
            path=str(path),
        )
    try:
        example = json.loads(path.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise SourceUnusable(f"{path} is no JSON: {error}", path=str(path)) from error
    rows = _rows_of(example, inputs)
    if not rows:
        raise SourceUnusable(
            f"{path} holds no rows that the signature could be about; give rows with --rows FILE", path=str(path)
        )
    return rows


def _rows_of(example: Any, inputs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The rows of an example in any of MLflow's forms: split, columns, records, one tensor; none where it is something else."""
    if isinstance(example, dict) and {"columns", "data"} <= example.keys():
        names, data = example["columns"], example["data"]
        are_lists = isinstance(names, list) and isinstance(data, list)
        are_rows = are_lists and all(isinstance(row, list) and len(row) == len(names) for row in data)
        return [dict(zip(map(str, names), row, strict=True)) for row in data] if are_rows else []
    if isinstance(example, dict) and "inputs" in example:
        example = example["inputs"]
    if isinstance(example, dict):
        columns = list(example.values())
        if not all(isinstance(values, list) and len(values) == len(columns[0]) for values in columns):
            return []
        return [dict(zip(example, row, strict=True)) for row in zip(*columns, strict=True)]
    if not isinstance(example, list):
        return []
    if len(inputs) == 1 and not all(isinstance(row, dict) for row in example):
        return [{inputs[0]["name"]: row} for row in example]
    return example if all(isinstance(row, dict) for row in example) else []
