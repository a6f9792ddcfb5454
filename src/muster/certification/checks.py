"""Questions of certification, and what they work with; `questions` has all of them in their order.

Each is a small class with a name, what it asks, and `answer`, which gives a figure and a limit. A question that `is_needed` by
those after it ends the examination when it is not passed.
"""

import re
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, suppress
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import cycle
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar, runtime_checkable

import msgspec
import psutil

from muster.blobs.protocol import Blobs
from muster.certification.at_hand import AtHand
from muster.certification.confidential import Confidential
from muster.certification.evaluated import Evaluated, KeptTable
from muster.certification.judgement import Judgement
from muster.certification.options import CertificationOptions
from muster.certification.recorded import PastRows
from muster.certification.records import LATENCY_CHECK, Check, Figure
from muster.certification.timing import FEWEST_CALLS, measured
from muster.certification.twinned import Twinned, TwinOrder
from muster.environments.languages.known import language_problems
from muster.environments.sealing import Sealed
from muster.environments.shelf import Built, Shelf
from muster.environments.trust import ALLOW_ALL, Rules
from muster.packaging.bundle import check_bundle, read_bundle
from muster.packaging.columns import rows_between
from muster.packaging.contract import ContractChecker
from muster.packaging.documents import Bundle
from muster.packaging.errors import ContractBroken
from muster.packaging.golden import Golden, compare, read_golden
from muster.packaging.sealed import materialise
from muster.registry.records import Version
from muster.runtimes.channel import Answer, Channel
from muster.runtimes.conformance.tables import are_same, ask, is_refused, outputs_of, same_answers, wrong_tables
from muster.runtimes.errors import HostGone
from muster.runtimes.host import Succession, hosts
from muster.runtimes.parent import Limits as HostLimits
from muster.runtimes.parent import private_memory
from muster.scanning.vulnerabilities import Source
from muster.sessions.errors import SessionInterrupted
from muster.sessions.records import Measure
from muster.storage.errors import DatabaseDamaged, DatabaseUnavailable, SchemaMismatch, WriteConflict
from muster.vocabulary.digests import Digest
from muster.vocabulary.errors import MusterError
from muster.wire.evidence import CheckEvidence, Exhibit

#: Told while a line of progress was to be kept: nothing may be concluded from them about the version.
_NOT_ITS_DOING = (SessionInterrupted, DatabaseUnavailable, DatabaseDamaged, SchemaMismatch, WriteConflict)
_SHOWN_FIRST, _SHOWN_LAST = 200, 400
S = TypeVar("S", bound=msgspec.Struct)


@dataclass(slots=True, kw_only=True)
class Bench:
    """What the questions work with, and what each leaves for the next."""

    version: Version
    blobs: Blobs
    environments: Shelf
    bundles: Path
    log: Path
    scratch: Path
    """An empty folder that is taken away after the examination."""
    options: CertificationOptions
    say: Callable[[str], None]
    folder: Path | None = None
    bundle: Bundle | None = None
    environment: Built | None = None
    seal: Sealed | None = None
    """What the environment is made of, in the store."""
    rules: Rules = ALLOW_ALL
    """Which packages the project trusts."""
    advisories: Source | None = None
    """The file of known vulnerabilities that the project goes by; None: it has taken none in."""
    lacks: tuple[str, ...] | None = None
    """What the bundle lacks by the project's standard; None: the project has none."""
    forgiven: tuple[str, ...] = ()
    """What it lacks and need not carry for a while, with the waivers."""
    twin: TwinOrder | None = None
    """The compiled twin that is asked for; None: none."""
    twinned: Twinned | None = None
    """The twin that was made and agrees."""
    past: PastRows | None = None
    """Where to find what callers have asked; None: there is no archive."""
    channel: Channel | None = None
    """To the host that is asked; a question that has ended it leaves another."""
    hosts: Succession | None = None
    """Where the next host comes from."""
    confidential: Confidential | None = None
    """The host for sealed rows and past ones, which `channel` must never be asked: its answers are shown."""
    golden: Golden | None = None
    answered: list[Answer] = field(default_factory=list)
    """The answers to the golden rows, so that a later question can ask for them again."""
    given_options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """What the project's standard gives questions as settings, by name."""
    programs: Mapping[str, Digest] = field(default_factory=dict)
    """The project's own checks that its standard names: digest of the program, by the name of the check."""
    shown: list[CheckEvidence] = field(default_factory=list)
    measures: list[Measure] = field(default_factory=list)
    evaluation: Evaluated | None = None
    """The newest evaluation set of the model; None: it has none."""
    champion: Version | None = None
    """The version of the model that is in front now; None: none is."""
    judgement: Judgement | None = None
    """The version's answers to the evaluation set, once it was asked."""
    unjudged: MusterError | None = None
    """Why there is no judgement although it was wanted."""
    tables: list[KeptTable] = field(default_factory=list)
    """Tables in the store that curves are derived from."""
    at_hand: AtHand = field(default_factory=AtHand)
    """Data that the factory may read, and what questions about data and load leave for those after them."""

    @property
    def host_limits(self) -> HostLimits:
        """What every host of the examination has to keep to: the memory that one may have when it serves."""
        return HostLimits(memory_bytes=private_memory(self.options.host_memory_mib * 2**20))

    def given(self, question: "Question", options: type[S]) -> S:
        """The settings of a question: those of the standard, the defaults for the rest."""
        return msgspec.convert(dict(self.given_options.get(question.name, {})), options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """The answer to a question."""

    passed: bool
    figure: Figure
    limit: Figure
    detail: str
    figures: Mapping[str, float] = field(default_factory=dict)
    exhibits: tuple[Exhibit, ...] = ()
    """What it shows, for the report; all together below `wire.evidence.MOST_BYTES_OF_A_CHECK`."""
    measures: tuple[Measure, ...] = ()
    """Numbers by standard definitions, for the session to hold."""
    remedy: str = ""
    """What can be done about it, where that is more than the question itself can say."""


class Question(Protocol):
    """Something that certification asks."""

    @property
    def name(self) -> str:
        """What it is called; of checks that others bring it is each one's own."""
        ...

    asks: ClassVar[str]
    """The question in words."""
    limit: ClassVar[Figure]
    """What is asked for, where it does not depend on the version; used when no answer could be had."""
    is_needed: ClassVar[bool]
    """Without it no later question can be put."""
    remedy: ClassVar[str]
    """What the author can do when it is not passed."""

    # Two more that a question may say of itself: `is_kept = True`, it leaves nothing for later ones, and need not be put again when
    # the examination was interrupted; `is_timed = True`, it measures how long something takes, and wants the machine for itself.

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:
        """The answer; what has to be ended after the examination goes onto the stack."""
        ...


@runtime_checkable
class Optional(Protocol):
    """A question that is not put to every version."""

    def is_asked(self, bench: Bench) -> bool:
        """Whether it is put to this one."""
        ...


@runtime_checkable
class Configured(Protocol):
    """A question with settings, which a project's standard gives: `[checks.NAME] options = { … }`."""

    Options: ClassVar[type[msgspec.Struct]]
    """Every key has a default; unknown ones are refused. A method `problems() -> list[str]` tells what types cannot."""


def option_problems(question: Question, given: Mapping[str, Any]) -> list[str]:
    """What is wrong with the settings that a standard gives to a question; empty when nothing is."""
    if not isinstance(question, Configured):
        return ["the check has no options"] if given else []
    try:
        options = msgspec.convert(dict(given), question.Options)
    except msgspec.ValidationError as error:
        return [str(error)]
    told: list[str] = options.problems() if hasattr(options, "problems") else []
    return told


#: What a model says in its errors, behind their code and the error's class. It may repeat what it was asked.
_WORDS = re.compile(r"\b(model-raised|output-broken): (\w*).*", re.DOTALL)
_NO_WORDS = r"\1: \2 (the model's own words are not shown, as its contract has personal fields)"


def put(question: Question, bench: Bench, stack: ExitStack) -> Check:
    """The question, answered; an error that Muster can name is an answer, too. What it shows and measures is left on the bench."""
    try:
        found = question.answer(bench, stack)
    except _NOT_ITS_DOING:
        raise
    except MusterError as error:
        found = Finding(passed=False, figure=error.code, limit=question.limit, detail=_told(error))
    if not found.passed and bench.options.host_memory_mib and _is_of_memory(found):
        told = f"{found.detail}; a host may hold {bench.options.host_memory_mib} MiB here (`serving.host_memory_mib`)"
        found = replace(found, detail=told)
    if _WORDS.search(found.detail) and any(one.personal for one in bench.version.contract.inputs):
        found = replace(found, detail=_WORDS.sub(_NO_WORDS, found.detail))
    if found.exhibits:
        bench.shown.append(CheckEvidence(name=question.name, exhibits=found.exhibits))
    bench.measures.extend(found.measures)
    return Check(
        name=question.name,
        passed=found.passed,
        figure=found.figure,
        limit=found.limit,
        detail=found.detail,
        figures=found.figures,
        remedy="" if found.passed else found.remedy or question.remedy,
    )


class BundleComplete:
    """The bundle comes back from the store as it was registered, and nothing of it is missing."""

    name: ClassVar[str] = "bundle-complete"
    asks: ClassVar[str] = "is the bundle complete, readable and unchanged?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = True
    remedy: ClassVar[str] = (
        "Pack the folder again with `muster pack`, which names every finding, and register the new version."
    )

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """How many findings there are."""
        bench.folder = materialise(bench.version.digest, bench.blobs, bench.bundles)
        errors = [finding for finding in check_bundle(bench.folder, language_problems) if finding.level == "error"]
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
    remedy: ClassVar[str] = (
        "Lock again where the model was made (`muster.save` does), or ask the operator whether the package index is reached."
    )

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:
        """Seconds it took."""
        assert bench.folder is not None
        assert bench.bundle is not None
        begun = time.monotonic()
        bench.environment = bench.environments.ensure(bench.folder, bench.bundle, bench.say)
        stack.enter_context(bench.environment.held())  # no certificate names it yet
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
    remedy: ClassVar[str] = (
        "Run `muster conform DIR` in the lab: it starts the same host. The host's log tells what the model's code said."
    )

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:
        """Seconds from starting the process to its hello."""
        assert bench.folder is not None
        assert bench.bundle is not None
        assert bench.environment is not None
        limit_s = bench.options.load_limit_s
        begins = partial(
            _hosts,
            bench.environment,
            bench.folder,
            bench.environment.order(bench.folder, bench.bundle),
            bench.options,
            bench.host_limits,
        )
        bench.confidential = Confidential(begins, bench.scratch)
        stack.callback(bench.confidential.end)
        begun = time.monotonic()
        bench.hosts = stack.enter_context(begins(bench.log))
        bench.channel = bench.hosts.start()
        took_s = round(time.monotonic() - begun, 3)
        memory = _resident_bytes(bench.channel.hello.pid) / 2**20
        detail = f"{took_s:g} s, {bench.environment.interpreter}, {memory:.0f} MiB resident"
        return Finding(passed=took_s <= limit_s, figure=took_s, limit=limit_s, detail=detail)


def _hosts(
    environment: Built,
    folder: Path,
    order: Mapping[str, Any],
    options: CertificationOptions,
    limits: HostLimits,
    log: Path,
) -> AbstractContextManager[Succession]:
    return hosts(
        environment,
        folder,
        order,
        log,
        limits=limits,
        load_timeout_s=options.load_limit_s,
        answer_timeout_s=options.answer_limit_s,
    )


def _resident_bytes(pid: int) -> int:
    """Memory of a host and of the program that it runs its model in."""
    total = 0
    with suppress(psutil.NoSuchProcess):
        host = psutil.Process(pid)
        for process in (host, *host.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):
                total += process.memory_info().rss
    return total


class GoldenAnswers:
    """The golden rows are answered as the author validated, within the tolerance."""

    name: ClassVar[str] = "golden-answers"
    asks: ClassVar[str] = "does it answer the golden rows as its author did?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = (
        "Look at the first value that differs. If the new answers are right, save the bundle again; if rounding differs, set a tolerance."
    )

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """How many values lie outside the tolerance."""
        assert bench.channel is not None
        assert bench.bundle is not None
        assert bench.golden is not None
        golden = bench.golden
        answer = ask(bench.channel, golden.inputs)
        if answer.errors:
            told = answer.errors[0]
            return Finding(passed=False, figure=told.code, limit=0, detail=f"{told.code}: {told.message}")
        bench.answered.append(answer)
        found = compare(outputs_of(answer, bench.bundle.contract), golden.expected, golden.tolerance, golden.ranked)
        tolerances = ", ".join(
            f"{name}: {allowed.abs:g} + {allowed.rel:g} x |expected|" for name, allowed in golden.tolerance.items()
        )
        ranked = "".join(
            f"; of {name} the order of the rows counts, Kendall's tau {tau:.4g}" for name, tau in found.tau.items()
        )
        worst = f" ({found.where})" if found.where else ""
        detail = (
            f"{found.wrong} of {found.compared} values outside the tolerance ({tolerances}), "
            f"largest deviation {found.largest_deviation:g}{worst}{ranked}"
        )
        figures = {f"tau_{name}": tau for name, tau in found.tau.items()}
        return Finding(passed=found.passed, figure=found.wrong, limit=0, detail=detail, figures=figures)


class ContractHolds:
    """The golden inputs can be sent by a consumer: as JSON they pass the contract check and come out as the same columns."""

    name: ClassVar[str] = "contract-holds"
    asks: ClassVar[str] = "do the golden inputs keep the contract?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False
    is_kept: ClassVar[bool] = True
    remedy: ClassVar[str] = "Save the bundle again with golden rows that consumers could send, or declare wider limits."

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
                is_personal = any(
                    one.personal and one.name == error.facts.get("field") for one in checker.contract.inputs
                )
                told = (
                    f"{error.facts['field']} (personal) is not what the contract allows"
                    if is_personal
                    else error.message
                )
                broken.append(f"golden row {row}: {told}")
                continue
            unlike = [name for name, column in one.columns.items() if not are_same(column, arrived.columns[name])]
            broken.extend(f"golden row {row}: field {name!r} arrives as another value" for name in unlike[:1])
        detail = "; ".join(broken[:3]) or f"{inputs.rows} golden rows pass the contract check as consumers send them"
        return Finding(passed=not broken, figure=len(broken), limit=0, detail=detail)


class WrongInputs:
    """Wrong tables are refused and leave the host alive, answering as before."""

    name: ClassVar[str] = "wrong-inputs"
    asks: ClassVar[str] = "do wrong inputs get errors and leave the host alive?"
    limit: ClassVar[Figure] = None
    is_needed: ClassVar[bool] = True
    remedy: ClassVar[str] = (
        "A host has to refuse what breaks the contract and go on: use its language's helper, or follow docs/reference/host-protocol.md."
    )

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """How many wrong tables got an error."""
        assert bench.channel is not None
        assert bench.golden is not None
        channel, inputs = bench.channel, rows_between(bench.golden.inputs, 0, 1)
        pid, refused, wrong = channel.hello.pid, 0, []
        tables = list(wrong_tables(inputs, bench.version.contract))
        for what, columns in tables:
            if is_refused(channel, columns):
                refused += 1
            else:
                wrong.append(f"{what} was answered")
        if channel.health().pid != pid:
            wrong.append("the host was another one afterwards")
        if bench.answered and not same_answers(ask(channel, bench.golden.inputs), bench.answered[0]):
            wrong.append("the golden rows were answered otherwise afterwards")
        detail = "; ".join(wrong) or f"{refused} wrong tables refused, the same host answers as before"
        return Finding(passed=not wrong, figure=refused, limit=len(tables), detail=detail)


class OneRowLatency:
    """One row is answered fast enough, by the 99th percentile on the real host."""

    name: ClassVar[str] = LATENCY_CHECK
    asks: ClassVar[str] = "how long does one row take?"
    limit: ClassVar[Figure] = None
    is_needed: ClassVar[bool] = False
    is_kept: ClassVar[bool] = True
    is_timed: ClassVar[bool] = True
    remedy: ClassVar[str] = (
        "Make the model faster, have a compiled twin made (`muster certify --twin`), or ask for another limit in the standard."
    )

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """Milliseconds at the 99th percentile."""
        assert bench.channel is not None
        assert bench.golden is not None
        inputs, options = bench.golden.inputs, bench.options
        rows = [rows_between(inputs, row, row + 1) for row in range(inputs.rows)]
        channel = bench.channel
        for row in rows[:FEWEST_CALLS]:  # what a first call sets up is not what a request waits for
            ask(channel, row)
        turns = cycle(rows)
        found = measured(
            lambda: ask(channel, next(turns)).latency_ns / 1e6,
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


def _is_of_memory(found: Finding) -> bool:
    """Whether the model may have been refused memory: it says so, or its host has ended."""
    return "MemoryError" in found.detail or found.figure == HostGone.code


def _told(error: MusterError) -> str:
    """A long message says first what it is about, and ends with what a tool or the model's own code said."""
    message = error.message
    if len(message) <= _SHOWN_FIRST + _SHOWN_LAST:
        return message
    return f"{message[:_SHOWN_FIRST]} … {message[-_SHOWN_LAST:]}"
