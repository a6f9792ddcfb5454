"""ONNX files in a real host, with a real onnxruntime in an environment of its own."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import small_graphs as small
from muster.blobs.local import LocalBlobs
from muster.environments.languages.known import language_problems
from muster.environments.shelf import Built, Shelf
from muster.packaging.columns import Column, Table, column_of
from muster.packaging.documents import Bundle, GoldenDescription
from muster.packaging.findings import Finding, findings_of
from muster.packaging.interpreters import running_version
from muster.packaging.runtimes import OnnxRuntime, TensorPlace
from muster.runtimes.channel import Channel
from muster.runtimes.conformance.tables import ask, outputs_of
from muster.runtimes.errors import HostLoadFailed
from muster.runtimes.host import running_host
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field

LOCK = Path(__file__).resolve().parents[3] / "requirements" / "test-onnx.lock"
#: y = X · (1, 10, 100), and a text and a whole number as they came.
GRAPH = small.graph(
    [
        small.node("MatMul", ["X", "W"], ["Y"]),
        small.node("Identity", ["plan"], ["plan_out"]),
        small.node("Identity", ["big"], ["big_out"]),
    ],
    [
        small.tensor("X", small.DOUBLE, "N", 3),
        small.tensor("plan", small.STRING, "N", 1),
        small.tensor("big", small.INT64, "N"),
    ],
    [
        small.tensor("Y", small.DOUBLE, "N", 1),
        small.tensor("plan_out", small.STRING, "N", 1),
        small.tensor("big_out", small.INT64, "N"),
    ],
    [small.doubles("W", [1.0, 10.0, 100.0], 3, 1)],
)
CONTRACT = Contract(
    inputs=(
        Field("hundreds", Datatype.FP64, nullable=True),
        Field("ones", Datatype.INT64),
        Field("tens", Datatype.BOOL),
        Field("plan", Datatype.BYTES, nullable=True),
        Field("big", Datatype.INT64),
    ),
    outputs=(
        Field("score", Datatype.FP64, nullable=True),
        Field("plan_out", Datatype.BYTES),
        Field("big_out", Datatype.INT64),
    ),
)
INPUTS = {
    "ones": TensorPlace("X", 0),
    "tens": TensorPlace("X", 1),
    "hundreds": TensorPlace("X", 2),
}
OUTPUTS = {"score": TensorPlace("Y", 0)}


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Shelf:
    """Where the one environment of these tests stands."""
    root = tmp_path_factory.mktemp("onnx")
    return Shelf(root / "environments", root / "uv-cache", LocalBlobs(root / "blobs"))


def bundle_in(folder: Path, graph: bytes = GRAPH, contract: Contract = CONTRACT, **mapping: Any) -> Bundle:
    """A folder with the graph and the lock, and what its muster.toml would say."""
    (folder / "model").mkdir(parents=True)
    (folder / "model" / "model.onnx").write_bytes(graph)
    (folder / "requirements.lock").write_bytes(LOCK.read_bytes())
    runtime = OnnxRuntime(python=running_version(), **{"inputs": INPUTS, "outputs": OUTPUTS, **mapping})
    return Bundle(format=1, name="small", runtime=runtime, contract=contract, golden=GoldenDescription(rows=1))


@contextmanager
def hosted(shelf: Shelf, folder: Path, bundle: Bundle) -> Iterator[Channel]:
    """A host of the bundle."""
    built: Built = shelf.ensure(folder, bundle)
    with running_host(built, folder, built.order(folder, bundle), folder.parent / "host.log") as channel:
        yield channel


def rows(hundreds: list[float], ones: list[int], tens: list[bool], plan: list[str | None], big: list[int]) -> Table:
    """A table of the contract; NaN among the hundreds is null."""
    numbers = np.array(hundreds)
    texts = np.array([text or "" for text in plan], dtype=object)
    return Table(
        len(ones),
        {
            "hundreds": column_of(Datatype.FP64, numbers, np.isnan(numbers)),
            "ones": column_of(Datatype.INT64, np.array(ones)),
            "tens": column_of(Datatype.BOOL, np.array(tens)),
            "plan": column_of(Datatype.BYTES, texts, np.array([text is None for text in plan])),
            "big": column_of(Datatype.INT64, np.array(big)),
        },
    )


def test_columns_become_tensors_and_tensors_outputs(shelf: Shelf, tmp_path: Path) -> None:
    """Fields go into the columns of a shared tensor whatever their order, a null is NaN or the empty text, 64 bits stay whole."""
    folder = tmp_path / "bundle"
    bundle = bundle_in(folder)
    with hosted(shelf, folder, bundle) as channel:
        table = rows([5.0, float("nan"), 0.5], [3, 2, 1], [True, False, True], ["größer", None, ""], [2**63 - 1, -1, 0])
        found = outputs_of(ask(channel, table), CONTRACT)
        empty = ask(channel, rows([], [], [], [], []))
        assert channel.hello.environment == shelf.ensure(folder, bundle).id
    scores = found.columns["score"]
    assert np.frombuffer(scores.data)[[0, 2]].tolist() == [513.0, 61.0]
    assert bytes(scores.nulls or b"") == b"\0\1\0"
    assert found.columns["plan_out"] == Column(
        Datatype.BYTES, (), b"\x08\0\0\0gr\xc3\xb6\xc3\x9fer\0\0\0\0\0\0\0\0", None
    )
    assert np.frombuffer(found.columns["big_out"].data, "<i8").tolist() == [2**63 - 1, -1, 0]
    assert empty.rows == 0
    assert [bytes(data) for data, _ in empty.columns] == [b"", b"", b""]


@pytest.mark.parametrize(
    ("mapping", "contract", "told"),
    [
        ({"inputs": {}}, CONTRACT, "no tensor 'hundreds'"),
        ({"inputs": {**INPUTS, "hundreds": TensorPlace("X", 3)}}, CONTRACT, "its columns 0 to 2 take one input each"),
        ({"inputs": {**INPUTS, "tens": TensorPlace("big")}}, CONTRACT, "'X' has the shape"),
        ({"outputs": {"score": TensorPlace("Y", 1)}}, CONTRACT, "columns 0 to 0 and no 1"),
        (
            {},
            Contract((*CONTRACT.inputs[:4], Field("big", Datatype.INT64, nullable=True)), CONTRACT.outputs),
            "only floats",
        ),
        ({}, Contract((*CONTRACT.inputs[:4], Field("big", Datatype.FP64)), CONTRACT.outputs), "cannot hold all"),
        ({}, Contract((*CONTRACT.inputs[:4], Field("big", Datatype.BYTES)), CONTRACT.outputs), "'big' is BYTES"),
    ],
    ids=["unmapped", "gap", "shared", "no such column", "null", "float", "text"],
)
def test_a_contract_that_does_not_fit_the_graph_is_told_at_load(
    shelf: Shelf, tmp_path: Path, mapping: dict[str, Any], contract: Contract, told: str
) -> None:
    """A field without a tensor, a tensor without a field and a type that does not fit are said before any row is sent."""
    folder = tmp_path / "bundle"
    bundle = bundle_in(folder, contract=contract, **mapping)
    with pytest.raises(HostLoadFailed, match="GraphMismatch") as refused, hosted(shelf, folder, bundle):
        pass
    assert told in refused.value.message


def test_a_file_that_is_no_graph_is_told_at_load(shelf: Shelf, tmp_path: Path) -> None:
    """Bytes that onnxruntime cannot read end in its own words, and a fixed number of rows in ours."""
    folder = tmp_path / "bundle"
    with (
        pytest.raises(HostLoadFailed, match=r"(?i)protobuf|model"),
        hosted(shelf, folder, bundle_in(folder, b"nonsense")),
    ):
        pass
    fixed = small.graph(
        [small.node("Identity", ["x"], ["y"])],
        [small.tensor("x", small.DOUBLE, 1)],
        [small.tensor("y", small.DOUBLE, 1)],
    )
    contract = Contract((Field("x", Datatype.FP64),), (Field("y", Datatype.FP64),))
    folder = tmp_path / "fixed"
    bundle = bundle_in(folder, fixed, contract, inputs={}, outputs={})
    with pytest.raises(HostLoadFailed, match="a first dimension that is free"), hosted(shelf, folder, bundle):
        pass


def _of_the_lock(folder: Path, bundle: Bundle) -> list[Finding]:
    return [
        finding for finding in findings_of(folder, bundle, language_problems) if finding.path == bundle.runtime.lock
    ]


def test_a_lock_without_onnxruntime_is_a_finding(tmp_path: Path) -> None:
    """A bundle of kind onnx whose lock names no onnxruntime is told so before anything is built."""
    bundle = bundle_in(tmp_path / "bundle")
    assert _of_the_lock(tmp_path / "bundle", bundle) == []
    (tmp_path / "bundle" / "requirements.lock").write_bytes(b"numpy==2.4.6 --hash=sha256:" + b"0" * 64 + b"\n")
    (finding,) = _of_the_lock(tmp_path / "bundle", bundle)
    assert finding.level == "error"
    assert "onnxruntime" in finding.problem
