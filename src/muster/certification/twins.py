"""Compiled twins: a fitted Python model as an ONNX graph, made by certification and held against its original.

A twin is a bundle of kind onnx with the original's contract, golden set and tolerance. It is no version of its own: a
certificate names it, and whoever serves the version may serve the twin in its place.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, replace
from importlib.metadata import version
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import msgspec
import numpy as np
import numpy.typing as npt

import muster_host
from muster.blobs.protocol import Blobs
from muster.certification.checks import Bench, Finding
from muster.certification.confidential import log_apart, told_by_code
from muster.certification.errors import TwinNotMade
from muster.certification.records import Figure
from muster.certification.twinned import Twinned, TwinOrder
from muster.environments.languages.known import LANGUAGES
from muster.environments.languages.python import locked
from muster.environments.offline import run_tool
from muster.environments.protocol import Package
from muster.environments.sealing import Sealed
from muster.environments.shelf import Built
from muster.environments.trust import distrusted
from muster.packaging.columns import Table, array_of, joined, nulls_of, rows_between
from muster.packaging.documents import GOLDEN_NAME, WHEELS_NAME, Bundle, Made, Tolerance, toml_of
from muster.packaging.golden import compare, tolerance_of
from muster.packaging.interpreters import platform_tag
from muster.packaging.manifest import DESCRIPTION_NAME, manifest_of
from muster.packaging.runtimes import OnnxRuntime, PythonRuntime
from muster.packaging.uv import last_lines
from muster.runtimes.channel import Answer, Channel
from muster.runtimes.conformance.tables import ask, outputs_of
from muster.runtimes.conformance.values import drawn
from muster.runtimes.host import running_host
from muster.vocabulary.digests import Digest, digest_of
from muster.vocabulary.tensors import FLOATS
from muster.wire.contracts import Contract, Field

#: Answers beyond the golden ones that are compared, at least; so many rows are drawn at a time, and at most so many past ones are asked.
ROWS = 10_000
#: How often rows are drawn, while too few of them are answered by both.
_DRAWS = 5
#: Share of the drawn values, of each field without declared limits, that are such as the author's sample did not show.
_UNSEEN = 0.02
_BATCH_ROWS = 1000
#: Of the rows that are drawn; the same version is always judged on the same ones.
_SEED = 20_260_101
_MAKER = Path(muster_host.__file__).parent / "twin_maker.py"
_CONVERTERS = ("skl2onnx", "onnxmltools", "onnxruntime")
#: Packages whose models the converters know.
_CONVERTIBLE = ("scikit-learn", "xgboost", "lightgbm")
_MAKING_S = 600.0
_MODEL = "model/model.onnx"
_SHOWN = 3


class TwinAgrees:
    """The compiled twin can be made, and answers as the version does."""

    name: ClassVar[str] = "twin-agrees"
    asks: ClassVar[str] = "does its compiled twin answer as it does?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = "Give a tolerance that the business can bear, or certify the version without a twin."

    def is_asked(self, bench: Bench) -> bool:
        """Whether a twin was asked for."""
        return bench.twin is not None

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - its hosts end with it
        """How many labels and values are others than the version's."""
        assert bench.twin is not None
        assert bench.golden is not None
        assert bench.bundle is not None
        made = make(bench)
        golden = bench.golden.inputs
        past = bench.past.newest(bench.version, ROWS) if bench.past is not None else None
        past_rows = 0 if past is None else past.rows
        bench.say(
            f"the twin is made ({made.numbers}, {made.converters}); both are asked about {golden.rows:,} golden rows, "
            f"{ROWS:,} drawn from the contract and {past_rows:,} past ones"
        )
        allowed = _allowed(bench.twin, bench.bundle)
        with _hosts(bench, made) as (original, twin), nullcontext() if past is None else told_by_code():
            found = held(original, twin, bench.bundle, golden, past, allowed)
        if found.passed and found.rows < golden.rows + ROWS:
            detail = (
                f"only {found.rows:,} of {found.asked:,} rows have two answers to compare, where {golden.rows + ROWS:,} are needed; "
                "declare limits of its inputs in the contract, so that the rows that are drawn are such as it takes"
            )
            return Finding(
                passed=False, figure="too-few-rows", limit=0, detail=detail, figures=_figures(found, past_rows)
            )
        told = ", ".join(f"{name}: {one.abs:g} + {one.rel:g} x |value|" for name, one in allowed.items())
        if found.passed:
            bench.twinned = Twinned(
                manifest=made.manifest,
                environment=made.environment.id,
                sealed=made.sealed,
                rows=found.rows,
                flips=found.flips,
                largest=found.largest,
                tolerance=told,
            )
        drawn_rows = found.asked - golden.rows - past_rows
        return Finding(
            passed=found.passed,
            figure=found.flips + found.outside,
            limit=0,
            detail=(
                f"{found.flips} labels flipped and {found.outside} values outside the tolerance ({told}) on {found.rows:,} rows "
                f"that both answer, of {golden.rows} golden, {drawn_rows} drawn and {past_rows} past; "
                f"largest deviation {found.largest:.3g}{found.where}; {made.numbers} by {made.converters}"
            ),
            figures=_figures(found, past_rows),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class MadeTwin:
    """A twin that lies in the store, not yet judged."""

    manifest: Digest
    folder: Path
    bundle: Bundle
    environment: Built
    sealed: Sealed
    numbers: str
    """`double` or `float`: what it computes in."""
    converters: str
    """Who made it: `skl2onnx 1.20.0, onnxruntime 1.31.1`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Judgement:
    """How a twin's answers compare with its original's."""

    asked: int
    """Rows that both were asked about."""
    rows: int
    """Rows that both have answered, so that there was something to compare."""
    flips: int
    """Rows with another label, or answered by one of the two alone."""
    outside: int
    """Values outside the tolerance."""
    largest: float
    where: str
    """The worst value in words, in brackets; empty where all are equal."""
    original_ns: int
    """What the original's host spent on all rows, in batches."""
    twin_ns: int

    @property
    def original_us(self) -> float:
        """What the original's host spent on a row, microseconds."""
        return round(self.original_ns / 1000 / max(1, self.asked), 3)

    @property
    def twin_us(self) -> float:
        """What the twin's host spent on a row, microseconds."""
        return round(self.twin_ns / 1000 / max(1, self.asked), 3)

    @property
    def passed(self) -> bool:
        """No label flipped, and no value lies outside."""
        return not self.flips and not self.outside


def make(bench: Bench) -> MadeTwin:
    """Make the twin of the version on the bench, and put it into the store.

    Raises:
        TwinNotMade: the model cannot be converted; the message says why.
        LockUnresolved, EnvironmentFailed, …: its environment or that of the converters cannot be built.
    """
    assert bench.folder is not None
    assert bench.bundle is not None
    assert bench.environment is not None
    runtime = bench.bundle.runtime
    if not isinstance(runtime, PythonRuntime):
        raise TwinNotMade(f"cannot be converted: a twin is made of models of kind python, and this is {runtime.kind}")
    packages = LANGUAGES[runtime.kind].packages((bench.folder / runtime.lock).read_bytes())
    _refuse_unlikely(runtime, packages)
    scratch = bench.scratch / "twin"
    folder = scratch / "bundle"
    (folder / _MODEL).parent.mkdir(parents=True)
    told = _converted(bench, runtime, packages, scratch, folder / _MODEL)
    bundle = _described(bench.bundle, runtime, told)
    lock = _lock(runtime, packages, scratch)
    _require_trusted(lock, bench, "of its own environment")
    (folder / bundle.runtime.lock).write_bytes(lock)
    (folder / GOLDEN_NAME).write_bytes((bench.folder / GOLDEN_NAME).read_bytes())
    (folder / DESCRIPTION_NAME).write_bytes(toml_of(bundle))
    environment = bench.environments.ensure(folder, bundle, bench.say)
    return MadeTwin(
        manifest=_stored(folder, bench.blobs),
        folder=folder,
        bundle=bundle,
        environment=environment,
        sealed=bench.environments.seal(environment, folder, bundle, bench.say),
        numbers=told["numbers"],
        converters=", ".join(f"{name} {number}" for name, number in told["converters"].items()),
    )


def _refuse_unlikely(runtime: PythonRuntime, packages: Sequence[Package]) -> None:
    """Say without building anything what no converter could do."""
    if runtime.method not in {"predict", "predict_proba"} or runtime.input not in {"pandas", "polars", "numpy"}:
        raise TwinNotMade(
            f"cannot be converted: a twin is made of models that take a table or a matrix and have predict or predict_proba; "
            f"this takes {runtime.input} and has {runtime.method}"
        )
    if not any(package.name in _CONVERTIBLE for package in packages):
        raise TwinNotMade(f"cannot be converted: its lock names none of {', '.join(_CONVERTIBLE)}")


def _converted(
    bench: Bench, runtime: PythonRuntime, packages: Sequence[Package], scratch: Path, target: Path
) -> dict[str, Any]:
    """Write the graph, and give what its maker says of it."""
    assert bench.folder is not None
    assert bench.bundle is not None
    assert bench.environment is not None
    wheels = bench.folder / WHEELS_NAME
    converter = scratch / "converter"
    converter.mkdir()
    pins = [f"{package.name}=={package.version}" + _marked(package.marker) for package in packages]
    bench.say("building the environment of the converters")
    lock = locked([*pins, *_CONVERTERS], runtime.python, converter, wheels=wheels if wheels.is_dir() else None)
    _require_trusted(lock, bench, "of the converters")
    (converter / runtime.lock).write_bytes(lock)
    if wheels.is_dir():
        (converter / WHEELS_NAME).symlink_to(wheels.resolve(), target_is_directory=True)
    described = msgspec.structs.replace(
        bench.bundle, runtime=OnnxRuntime(python=runtime.python, model=_MODEL, lock=runtime.lock)
    )
    environment = bench.environments.ensure(converter, described, bench.say)
    order = scratch / "order.json"
    order.write_text(json.dumps(bench.environment.order(bench.folder, bench.bundle)), encoding="utf-8")
    with environment.held():
        answer = run_tool(
            [environment.python, "-I", "-B", "-X", "utf8", _MAKER, order, target.parent],
            folder=bench.folder,
            scratch=scratch / "tools",
            variables={"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
            deadline_s=_MAKING_S,
        )
    said = target.parent / "twin.json"
    if answer.returncode != 0 or not said.is_file():
        raise TwinNotMade(
            f"cannot be converted: its maker ended with {answer.returncode}:\n{last_lines(answer.stderr)}"
        )
    told: dict[str, Any] = json.loads(said.read_text(encoding="utf-8"))
    said.unlink()
    if "refused" in told:
        raise TwinNotMade(str(told["refused"]))
    return told


def _require_trusted(lock: bytes, bench: Bench, whose: str) -> None:
    """Nothing, if the project's rules let every package pass: code of a package that is not trusted is not run.

    Raises:
        TwinNotMade: they do not; the message names the packages.
    """
    found = distrusted(LANGUAGES["python"].packages(lock), bench.rules)
    if found:
        told = "; ".join(one.why for one in found[:_SHOWN]) + ("; …" if len(found) > _SHOWN else "")
        raise TwinNotMade(f"is not made: the project does not trust {len(found)} packages {whose}: {told}")


def _marked(marker: str | None) -> str:
    return "" if marker is None else f" ; {marker}"


def _described(original: Bundle, runtime: PythonRuntime, told: Mapping[str, Any]) -> Bundle:
    """muster.toml of the twin: everything of the original but how it is run."""
    return msgspec.structs.replace(
        original,
        runtime=msgspec.convert(
            {
                "kind": "onnx",
                "python": runtime.python,
                "model": _MODEL,
                "inputs": told["inputs"],
                "outputs": told["outputs"],
            },
            OnnxRuntime,
        ),
        golden=msgspec.structs.replace(original.golden, tolerance=tolerance_of(original)),
        tags={**original.tags, "twin": "compiled by certification"},
        made=Made(by=f"muster {version('muster-ml')}", python=runtime.python, platform=platform_tag()),
        external=(),
    )


def _lock(runtime: PythonRuntime, packages: Sequence[Package], scratch: Path) -> bytes:
    """onnxruntime, with the original's own version of whatever both need."""
    place = scratch / "lock"
    place.mkdir()
    return locked(["onnxruntime"], runtime.python, place, [package for package in packages if not package.marker])


def _stored(folder: Path, blobs: Blobs) -> Digest:
    """The digest of the twin's manifest, which with all files is in the store now."""
    manifest = manifest_of(folder)
    for entry in manifest.files:
        if not blobs.has(Digest(entry.digest)):
            blobs.put(folder / entry.path, Digest(entry.digest))
    digest = digest_of(manifest.content)
    if not blobs.has(digest):
        blobs.put(BytesIO(manifest.content), digest)
    return digest


@contextmanager
def _hosts(bench: Bench, made: MadeTwin) -> Iterator[tuple[Channel, Channel]]:
    """Hosts of original and twin, side by side."""
    assert bench.folder is not None
    assert bench.bundle is not None
    assert bench.environment is not None
    limit_s, limits = bench.options.answer_limit_s, bench.host_limits
    order = bench.environment.order(bench.folder, bench.bundle)
    twins = made.environment.order(made.folder, made.bundle)
    with (
        log_apart(bench.scratch) as log,
        running_host(bench.environment, bench.folder, order, log, limits=limits, answer_timeout_s=limit_s) as original,
        running_host(made.environment, made.folder, twins, log, limits=limits, answer_timeout_s=limit_s) as twin,
    ):
        yield original, twin


def _allowed(order: TwinOrder, bundle: Bundle) -> dict[str, Tolerance]:
    if order.tolerance is None:
        return tolerance_of(bundle)
    return {
        field.name: order.tolerance if field.datatype in FLOATS else Tolerance() for field in bundle.contract.outputs
    }


def _figures(found: Judgement, past: int) -> dict[str, float]:
    return {
        "rows": found.rows,
        "asked": found.asked,
        "past_rows": past,
        "flips": found.flips,
        "largest_deviation": found.largest,
        "original_us": found.original_us,
        "twin_us": found.twin_us,
    }


def held(
    original: Channel,
    twin: Channel,
    bundle: Bundle,
    golden: Table,
    past: Table | None,
    allowed: Mapping[str, Tolerance],
) -> Judgement:
    """A twin held against its original on golden rows, past ones, and rows drawn from the contract until enough can be compared.

    Rows that both refuse say nothing of the twin, so further ones are drawn in their place, five times at most. Past rows come last, and
    no answer to them is told: it is the model's, and could hold what it was asked.

    Args:
        original: whose answers count.
        twin: whose answers are judged.
        bundle: of the original.
        golden: its golden inputs.
        past: the newest rows that callers have asked the model.
        allowed: tolerance of each output.
    """
    found = judged(original, twin, bundle, golden, allowed)
    for turn in range(_DRAWS):
        rows = drawn(bundle.contract, golden, ROWS, _SEED + turn, unseen=_UNSEEN)
        found = judged(original, twin, bundle, rows, allowed, found)
        if not found.passed or found.rows >= golden.rows + ROWS:
            break
    if past is None:
        return found
    with_past = judged(original, twin, bundle, past, allowed, found)
    return with_past if with_past.where == found.where else replace(with_past, where=" (of a past row)")


def judged(
    original: Channel,
    twin: Channel,
    bundle: Bundle,
    inputs: Table,
    allowed: Mapping[str, Tolerance],
    before: Judgement | None = None,
) -> Judgement:
    """How the answers of two hosts compare, row by row.

    Args:
        original: whose answers count.
        twin: whose answers are judged.
        bundle: of the original.
        inputs: the rows that both are asked about.
        allowed: tolerance of each output.
        before: what was found on other rows, to which this is added.
    """
    total = before or Judgement(asked=0, rows=0, flips=0, outside=0, largest=0.0, where="", original_ns=0, twin_ns=0)
    for batch in _batches(inputs):
        one, other = _answers(original, twin, batch)
        contract = bundle.contract
        ours, theirs, alone = _answered_by_both(one, other, batch.rows, contract)
        compared = compare(theirs, ours, allowed)
        flips = sum(flipped(field, ours, theirs, bundle) for field in contract.outputs)
        is_worse = compared.where is not None and compared.largest_deviation >= total.largest
        total = replace(
            total,
            asked=total.asked + batch.rows,
            rows=total.rows + ours.rows,
            flips=total.flips + flips + alone,
            outside=total.outside + compared.wrong,
            largest=max(total.largest, compared.largest_deviation),
            where=f" ({compared.where})" if is_worse else total.where,
            original_ns=total.original_ns + one.compute_ns,
            twin_ns=total.twin_ns + other.compute_ns,
        )
    return total


def _batches(inputs: Table) -> Iterator[Table]:
    for start in range(0, inputs.rows, _BATCH_ROWS):
        yield rows_between(inputs, start, min(start + _BATCH_ROWS, inputs.rows))


def _answers(original: Channel, twin: Channel, batch: Table) -> tuple[Answer, Answer]:
    """Both answers; where one of them fails, row by row, so that it is known which rows have one."""
    one, other = ask(original, batch), ask(twin, batch)
    if one.errors or other.errors:
        singly = [1] * batch.rows
        one, other = ask(original, batch, singly), ask(twin, batch, singly)
    return one, other


def _answered_by_both(one: Answer, other: Answer, rows: int, contract: Contract) -> tuple[Table, Table, int]:
    """The answers to rows that both have one for, and how many rows have only one."""
    ours, theirs = outputs_of(one, contract), outputs_of(other, contract)
    if not one.errors and not other.errors:
        return ours, theirs, 0
    answers = [
        dict(zip((row for row in range(rows) if not answer.statuses[row]), range(rows), strict=False))
        for answer in (one, other)
    ]
    both = sorted(answers[0].keys() & answers[1].keys())
    if not both:
        return rows_between(ours, 0, 0), rows_between(theirs, 0, 0), len(answers[0].keys() ^ answers[1].keys())
    picked = [
        joined([rows_between(table, places[row], places[row] + 1) for row in both])
        for table, places in zip((ours, theirs), answers, strict=True)
    ]
    return picked[0], picked[1], len(answers[0].keys() ^ answers[1].keys())


def flipped(field: Field, ours: Table, theirs: Table, bundle: Bundle) -> int:
    """Rows in which an output says another label: another class, the other side of one half, another most likely class.

    A number that is no probability has no label.
    """
    one, other = ours.columns[field.name], theirs.columns[field.name]
    mine, yours = array_of(one), array_of(other)
    gone = _gone(nulls_of(one), len(mine)) != _gone(nulls_of(other), len(yours))
    if field.datatype not in FLOATS:
        return int((gone | (mine != yours).reshape(len(mine), -1).any(axis=1)).sum())
    runtime = bundle.runtime
    if not isinstance(runtime, PythonRuntime) or runtime.method != "predict_proba":
        return int(gone.sum())
    if field.shape:
        return int((gone | (_most_likely(mine) != _most_likely(yours))).sum())
    return int((gone | ((mine >= 0.5) != (yours >= 0.5))).sum())


def _most_likely(probabilities: npt.NDArray[Any]) -> npt.NDArray[np.intp]:
    return np.asarray(probabilities.reshape(len(probabilities), -1).argmax(axis=1))


def _gone(nulls: npt.NDArray[np.bool_] | None, rows: int) -> npt.NDArray[np.bool_]:
    return np.zeros(rows, np.bool_) if nulls is None else nulls
