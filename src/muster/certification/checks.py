"""The questions of certification, in the order in which they are put.

Each is a small class with a name, what it asks, and `answer`, which gives a figure and a limit. A question that `is_needed` by
those after it ends the examination when it is not passed.
"""

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field
from itertools import cycle
from pathlib import Path
from typing import ClassVar, Protocol

from muster.blobs.protocol import Blobs
from muster.certification.options import CertificationOptions
from muster.certification.records import LATENCY_CHECK, Check, Figure
from muster.certification.timing import FEWEST_CALLS, measured
from muster.packaging.bundle import check_bundle, read_bundle
from muster.packaging.columns import Column, Table, encode_text, rows_between
from muster.packaging.contract import ContractChecker
from muster.packaging.documents import Bundle, load_order
from muster.packaging.environments import Environment, Environments
from muster.packaging.errors import ContractBroken
from muster.packaging.golden import Golden, compare, read_golden
from muster.packaging.sealed import materialise
from muster.registry.records import Version
from muster.runtimes.channel import Answer, Channel
from muster.runtimes.errors import TableRefused
from muster.runtimes.host import running_host
from muster.sessions.errors import SessionInterrupted
from muster.storage.errors import DatabaseDamaged, DatabaseUnavailable, SchemaMismatch, WriteConflict
from muster.vocabulary.errors import MusterError
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract

#: Told while a line of progress was to be kept: nothing may be concluded from them about the version.
_NOT_ITS_DOING = (SessionInterrupted, DatabaseUnavailable, DatabaseDamaged, SchemaMismatch, WriteConflict)
_SHOWN = 300


@dataclass(slots=True, kw_only=True)
class Bench:
    """What the questions work with, and what each leaves for the next."""

    version: Version
    blobs: Blobs
    environments: Environments
    bundles: Path
    log: Path
    options: CertificationOptions
    say: Callable[[str], None]
    folder: Path | None = None
    bundle: Bundle | None = None
    environment: Environment | None = None
    channel: Channel | None = None
    golden: Golden | None = None
    answered: list[Answer] = field(default_factory=list)
    """The answers to the golden rows, so that a later question can ask for them again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The answer to a question."""

    passed: bool
    figure: Figure
    limit: Figure
    detail: str
    figures: Mapping[str, float] = field(default_factory=dict)


class Question(Protocol):
    """Something that certification asks."""

    name: ClassVar[str]
    asks: ClassVar[str]
    """The question in words."""
    limit: ClassVar[Figure]
    """What is asked for, where it does not depend on the version; used when no answer could be had."""
    is_needed: ClassVar[bool]
    """Without it no later question can be put."""

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:
        """The answer; what has to be ended after the examination goes onto the stack."""
        ...


def put(question: Question, bench: Bench, stack: ExitStack) -> Check:
    """The question, answered; an error that Muster can name is an answer, too."""
    try:
        found = question.answer(bench, stack)
    except _NOT_ITS_DOING:
        raise
    except MusterError as error:
        found = Finding(passed=False, figure=error.code, limit=question.limit, detail=_told(error))
    return Check(
        name=question.name,
        passed=found.passed,
        figure=found.figure,
        limit=found.limit,
        detail=found.detail,
        figures=found.figures,
    )


class BundleComplete:
    """The bundle comes back from the store as it was registered, and nothing of it is missing."""

    name: ClassVar[str] = "bundle-complete"
    asks: ClassVar[str] = "is the bundle complete, readable and unchanged?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = True

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """How many findings there are."""
        bench.folder = materialise(bench.version.digest, bench.blobs, bench.bundles)
        errors = [finding for finding in check_bundle(bench.folder) if finding.level == "error"]
        if not errors:
            bench.bundle = read_bundle(bench.folder)
            bench.golden = read_golden(bench.folder, bench.bundle)
        detail = "; ".join(f"{finding.path}: {finding.problem}" for finding in errors[:3])
        files = f"{bench.version.files} files, {bench.version.size} bytes, all as registered"
        return Finding(passed=not errors, figure=len(errors), limit=0, detail=detail or files)


class EnvironmentBuilds:
    """The environment can be built from the lock, or is there and whole."""

    name: ClassVar[str] = "environment-builds"
    asks: ClassVar[str] = "can its environment be built from the lock?"
    limit: ClassVar[Figure] = None
    is_needed: ClassVar[bool] = True

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """Seconds it took."""
        assert bench.folder is not None
        assert bench.bundle is not None
        begun = time.monotonic()
        lock = (bench.folder / bench.bundle.runtime.lock).read_bytes()
        wheels = bench.folder / "wheels"
        bench.environment = bench.environments.ensure(
            lock, bench.bundle.runtime.python, wheels if wheels.is_dir() else None, bench.say
        )
        took_s = round(time.monotonic() - begun, 3)
        limit_s = bench.options.build_limit_s
        detail = f"{took_s:g} s, {bench.environment.interpreter} on {bench.environment.platform}"
        return Finding(passed=took_s <= limit_s, figure=took_s, limit=limit_s, detail=detail)


class ModelLoads:
    """The model loads in a host of its own, in its own environment."""

    name: ClassVar[str] = "model-loads"
    asks: ClassVar[str] = "does the model load in its host?"
    limit: ClassVar[Figure] = None
    is_needed: ClassVar[bool] = True

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:
        """Seconds from starting the process to its hello."""
        assert bench.folder is not None
        assert bench.bundle is not None
        assert bench.environment is not None
        limit_s = bench.options.load_limit_s
        begun = time.monotonic()
        bench.channel = stack.enter_context(
            running_host(
                bench.environment,
                bench.folder,
                load_order(bench.folder, bench.bundle),
                bench.log,
                load_timeout_s=limit_s,
                answer_timeout_s=bench.options.answer_limit_s,
            )
        )
        took_s = round(time.monotonic() - begun, 3)
        memory = bench.channel.health().rss_bytes / 2**20
        detail = f"{took_s:g} s, Python {bench.channel.hello.python}, {memory:.0f} MiB resident"
        return Finding(passed=took_s <= limit_s, figure=took_s, limit=limit_s, detail=detail)


class GoldenAnswers:
    """The golden rows are answered as the author validated, within the tolerance."""

    name: ClassVar[str] = "golden-answers"
    asks: ClassVar[str] = "does it answer the golden rows as its author did?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """How many values lie outside the tolerance."""
        assert bench.channel is not None
        assert bench.bundle is not None
        assert bench.golden is not None
        golden = bench.golden
        answer = _ask(bench.channel, golden.inputs)
        if answer.errors:
            told = answer.errors[0]
            return Finding(passed=False, figure=told.code, limit=0, detail=f"{told.code}: {told.message}")
        bench.answered.append(answer)
        found = compare(_outputs(answer, bench.bundle.contract), golden.expected, golden.tolerance)
        tolerances = ", ".join(
            f"{name}: {allowed.abs:g} + {allowed.rel:g} x |expected|" for name, allowed in golden.tolerance.items()
        )
        worst = f" ({found.where})" if found.where else ""
        detail = (
            f"{found.wrong} of {found.compared} values outside the tolerance ({tolerances}), "
            f"largest deviation {found.largest_deviation:g}{worst}"
        )
        return Finding(passed=found.passed, figure=found.wrong, limit=0, detail=detail)


class ContractHolds:
    """The golden inputs can be sent by a consumer: as JSON they pass the contract check and come out as the same columns."""

    name: ClassVar[str] = "contract-holds"
    asks: ClassVar[str] = "do the golden inputs keep the contract?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """How many golden rows do not."""
        assert bench.golden is not None
        inputs = bench.golden.inputs
        checker = ContractChecker(bench.version.contract, max_rows=1)
        broken: list[str] = []
        for row in range(inputs.rows):
            one = rows_between(inputs, row, row + 1)
            try:
                arrived = checker.check_records(checker.records_of(one))
            except ContractBroken as error:
                broken.append(f"golden row {row}: {error.message}")
                continue
            unlike = [name for name, column in one.columns.items() if not _same(column, arrived.columns[name])]
            broken.extend(f"golden row {row}: field {name!r} arrives as another value" for name in unlike[:1])
        detail = "; ".join(broken[:3]) or f"{inputs.rows} golden rows pass the contract check as consumers send them"
        return Finding(passed=not broken, figure=len(broken), limit=0, detail=detail)


class WrongInputs:
    """Wrong tables are refused and leave the host alive, answering as before."""

    name: ClassVar[str] = "wrong-inputs"
    asks: ClassVar[str] = "do wrong inputs get errors and leave the host alive?"
    limit: ClassVar[Figure] = None
    is_needed: ClassVar[bool] = True

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """How many wrong tables got an error."""
        assert bench.channel is not None
        assert bench.golden is not None
        channel, inputs = bench.channel, rows_between(bench.golden.inputs, 0, 1)
        pid, refused, wrong = channel.hello.pid, 0, []
        tables = list(_wrong_tables(inputs, bench.version.contract))
        for what, columns in tables:
            if _is_refused(channel, columns):
                refused += 1
            else:
                wrong.append(f"{what} was answered")
        if channel.health().pid != pid:
            wrong.append("the host was another one afterwards")
        if bench.answered and not _same_answers(_ask(channel, bench.golden.inputs), bench.answered[0]):
            wrong.append("the golden rows were answered otherwise afterwards")
        detail = "; ".join(wrong) or f"{refused} wrong tables refused, the same host answers as before"
        return Finding(passed=not wrong, figure=refused, limit=len(tables), detail=detail)


class OneRowLatency:
    """One row is answered fast enough, by the 99th percentile on the real host."""

    name: ClassVar[str] = LATENCY_CHECK
    asks: ClassVar[str] = "how long does one row take?"
    limit: ClassVar[Figure] = None
    is_needed: ClassVar[bool] = False

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """Milliseconds at the 99th percentile."""
        assert bench.channel is not None
        assert bench.golden is not None
        inputs, options = bench.golden.inputs, bench.options
        rows = [rows_between(inputs, row, row + 1) for row in range(inputs.rows)]
        channel = bench.channel
        for row in rows[:FEWEST_CALLS]:  # what a first call sets up is not what a request waits for
            _ask(channel, row)
        turns = cycle(rows)
        found = measured(
            lambda: _ask(channel, next(turns)).latency_ns / 1e6,
            within_s=options.latency_budget_s,
            calls=options.latency_calls,
            rounds=options.latency_rounds,
        )
        limit_ms = options.latency_limit_ms
        return Finding(
            passed=found.p99_ms <= limit_ms,
            figure=round(found.p99_ms, 3),
            limit=limit_ms,
            detail=f"{found}; limit of p99 {limit_ms:g} ms",
            figures=found.figures(),
        )


QUESTIONS: tuple[Question, ...] = (
    BundleComplete(),
    EnvironmentBuilds(),
    ModelLoads(),
    GoldenAnswers(),
    ContractHolds(),
    WrongInputs(),
    OneRowLatency(),
)


def _ask(channel: Channel, inputs: Table) -> Answer:
    return channel.predict([inputs.rows], [(column.data, column.nulls) for column in inputs.columns.values()])


def _outputs(answer: Answer, contract: Contract) -> Table:
    columns = {
        field.name: Column(field.datatype, field.shape, data, nulls)
        for field, (data, nulls) in zip(contract.outputs, answer.columns, strict=True)
    }
    return Table(answer.rows, columns)


def _same_answers(one: Answer, other: Answer) -> bool:
    return [_raw(*pair) for pair in one.columns] == [_raw(*pair) for pair in other.columns]


def _same(one: Column, other: Column) -> bool:
    return _raw(one.data, one.nulls) == _raw(other.data, other.nulls)


def _raw(data: bytes | bytearray | memoryview, nulls: bytes | bytearray | memoryview | None) -> tuple[bytes, bytes]:
    marks = bytes(nulls or b"")
    return bytes(data), marks if any(marks) else b""


_Columns = list[tuple[bytes, bytes | None]]


def _wrong_tables(inputs: Table, contract: Contract) -> Iterator[tuple[str, _Columns]]:
    """Tables of one row that no contract check would let through, and that a host may still be sent by a mistake."""
    good: _Columns = [
        (bytes(column.data), None if column.nulls is None else bytes(column.nulls))
        for column in inputs.columns.values()
    ]
    yield "a table without its last column", good[:-1]
    yield "a table with a column too many", [*good, (b"\0" * 8, None)]
    yield "a column that is cut off", [(good[0][0][:-1], good[0][1]), *good[1:]]
    yield "a column with a row too many", [(good[0][0] * 2, good[0][1]), *good[1:]]
    yield "null marks for more rows than there are", [(good[0][0], b"\0\0"), *good[1:]]
    text = next((at for at, of in enumerate(contract.inputs) if of.datatype is Datatype.BYTES and not of.shape), None)
    if text is not None:
        yield "text that is not UTF-8", _with(good, text, (encode_text([b"\xff\xfe"]), None))
    never_null = next((at for at, of in enumerate(contract.inputs) if not of.nullable), None)
    if never_null is not None:
        name = contract.inputs[never_null].name
        yield f"null for {name}, which is never null", _with(good, never_null, (good[never_null][0], b"\1"))


def _with(columns: _Columns, place: int, column: tuple[bytes, bytes | None]) -> _Columns:
    return [*columns[:place], column, *columns[place + 1 :]]


def _is_refused(channel: Channel, columns: _Columns) -> bool:
    try:
        return bool(channel.predict([1], columns).errors)
    except TableRefused:
        return True


def _told(error: MusterError) -> str:
    return error.message if len(error.message) <= _SHOWN else "…" + error.message[-_SHOWN:]
