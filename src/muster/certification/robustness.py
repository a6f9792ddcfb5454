"""The question whether a model answers whatever its contract allows, or says why not, and goes on."""

from collections.abc import Collection, Sequence
from contextlib import ExitStack
from typing import Any, ClassVar

import msgspec

from muster.certification.checks import Bench, Finding
from muster.certification.reaches import ANSWERED, PERSONAL, Reach
from muster.certification.records import Figure
from muster.packaging.contract import ContractChecker
from muster.runtimes.channel import Answer, Channel
from muster.runtimes.conformance.tables import ask, same_answers
from muster.runtimes.errors import HostGone, HostTimedOut, ProtocolBroken
from muster.vocabulary.digests import hex_of
from muster.wire.evidence import Exhibit, Grid, Rows

_LONGEST_SHOWN = 400
#: As `hunting` has them, which is imported late.
_DIED, _HUNG = "host-died", "no-answer"
_SHOWN_OF_LONG = 60
_TOO_SLOW = (
    "Make the model faster on the rows that are shown as asked, above all where it refuses one: a batch with such a row is computed "
    "once more, row by row. Or have the standard give it more time: the option `longest`."
)


class RobustnessOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How hard a model is tried."""

    max_examples: int = 100
    """Batches of one to eight generated rows, beside those that make a failing row smaller."""
    seconds: float = 10.0
    """After that time no more is put than the least: 300 single rows and 10 batches, as far as there are so many."""
    longest: float = 60.0
    """After that time nothing more is put, and a model to which the least was not put yet fails."""
    answer_s: float = 5.0
    """What one batch may take before it counts as not answered."""
    must_answer: tuple[Reach, ...] = ANSWERED
    """Kinds of rows that need an answer: seen, null, text, unseen, extreme, not-finite. Of others a clean error is one, too."""

    def problems(self) -> list[str]:
        """What the types cannot say."""
        told = [] if 1 <= self.max_examples <= 100_000 else ["max_examples is 1 to 100,000"]
        told += [
            f"{name} is above 0 and at most 3600"
            for name in ("seconds", "longest")
            if not 0 < getattr(self, name) <= 3600
        ]
        return told if 0 < self.answer_s <= 600 else [*told, "answer_s is above 0 and at most 600"]


class Robustness:
    """Generated rows that the contract allows are answered within the contract, and leave the host as it was."""

    name: ClassVar[str] = "robustness"
    asks: ClassVar[str] = "does it answer whatever its contract allows?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False
    is_kept: ClassVar[bool] = True
    remedy: ClassVar[str] = (
        "Have the model answer the rows that are shown, or declare limits in the contract that refuse them before they reach it."
    )
    Options: ClassVar[type[msgspec.Struct]] = RobustnessOptions

    def is_asked(self, bench: Bench) -> bool:
        """Unless the factory's settings leave it out."""
        return bench.options.try_generated

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - hosts end with those that started them
        """How many ways to fail were found."""
        # Hypothesis takes longer to import than most commands take as a whole.
        from muster.certification import generated, hunting  # noqa: PLC0415

        assert bench.golden is not None
        options = bench.given(self, RobustnessOptions)
        contract, golden = bench.version.contract, bench.golden.inputs
        records = generated.golden_records(contract, golden)
        tried = _Tried(bench, options.answer_s)

        def asks(rows: Sequence[generated.Row]) -> Answer | hunting.Ended:
            found = tried.asked([row.record(records) for row in rows])
            return found if isinstance(found, Answer) else hunting.Ended(kind=found[0], told=found[1])

        haul = hunting.hunt(
            generated.singles_with(contract, golden, hunting.LEAST_SINGLES),
            generated.rows(contract, golden),
            asks,
            contract,
            must_answer=options.must_answer,
            number=int(hex_of(bench.version.digest)[:12], 16),
            examples=options.max_examples,
            seconds=options.seconds,
            longest=options.longest,
        )
        changed = tried.changed()
        failures = haul.failures
        personal = frozenset(field.name for field in contract.inputs if field.personal)
        told = [_why(failure, personal) for failure in failures] + ([changed] if changed else [])
        if haul.is_short:
            within = max(options.seconds, options.longest)
            told.append(
                f"only {haul.rows} generated rows could be put within {within:g} s, which is too few to have tried it"
            )
        figure = len(told)
        is_cut = haul.was_cut and not haul.is_short
        cut = f"; the time of {options.seconds:g} s was up before all were put" if is_cut else ""
        well = f"{haul.rows} generated rows answered within the contract, or refused where they may be"
        shown: list[Exhibit] = [_asked(haul, options.must_answer)]
        if failures:
            shown.insert(0, _failing(failures, records, personal))
        return Finding(
            passed=not told,
            figure=figure,
            limit=0,
            detail=("; ".join(told[:3]) if told else well) + cut,
            figures={"rows": haul.rows, "batches": haul.batches, "refused": haul.refused.total()},
            exhibits=tuple(shown),
            remedy=_TOO_SLOW if haul.is_short else "",
        )


class _Tried:
    """The host on the bench, and another after each that ended."""

    def __init__(self, bench: Bench, answer_s: float) -> None:
        assert bench.golden is not None
        self._bench = bench
        self._answer_s = answer_s
        self._golden = bench.golden.inputs
        self._checker = ContractChecker(bench.version.contract, max_rows=1000)
        self._has_ended = False

    def asked(self, records: list[dict[str, Any]]) -> Answer | tuple[str, str]:
        """The answer to rows, each a request of its own; or the kind of end that the host came to, and how."""
        table = self._checker.check_records(records)
        try:
            return ask(self._channel(), table, [1] * table.rows, self._answer_s)
        except (HostGone, ProtocolBroken) as error:
            return self._ended(_DIED, error.message)
        except HostTimedOut:
            return self._ended(_HUNG, f"no answer within {self._answer_s:g} s")

    def changed(self) -> str:
        """What is wrong with the host after all; empty when it answers the golden rows as before."""
        if self._has_ended or not self._bench.answered:
            return ""  # another host answers now, and why is told already
        try:
            answer = ask(self._channel(), self._golden)
        except (HostGone, ProtocolBroken, HostTimedOut) as error:
            self._ended(_DIED, error.message)
            return f"the golden rows were not answered afterwards: {error.message}"
        if same_answers(answer, self._bench.answered[0]):
            return ""
        return "the golden rows were answered otherwise afterwards"

    def _channel(self) -> Channel:
        assert self._bench.channel is not None
        return self._bench.channel

    def _ended(self, kind: str, told: str) -> tuple[str, str]:
        assert self._bench.hosts is not None
        self._has_ended = True
        self._bench.channel = self._bench.hosts.start()
        return kind, told


def _failing(failures: Sequence[Any], records: list[dict[str, Any]], personal: Collection[str]) -> Rows:
    return Rows(
        title="Rows on which it failed, each as simple as it could be made",
        rows=tuple(
            {
                name: PERSONAL if name in personal and failure.row.is_sampled(name) else shortened(value)
                for name, value in failure.row.record(records).items()
            }
            for failure in failures
        ),
        why=tuple(_why(failure, personal) for failure in failures),
    )


def _why(failure: Any, personal: Collection[str]) -> str:
    """The row and what came of it; where the row holds a person's values, in no words of the model's, which may repeat them."""
    told = failure.kind if any(failure.row.is_sampled(name) for name in personal) else failure.told
    return f"{failure.row.in_words(personal)}: {told}"


def _asked(haul: Any, must_answer: Sequence[Reach]) -> Grid:
    return Grid(
        title="Generated rows, by how far they reach beyond the sample",
        columns=("rows", "asked", "refused with a clean error", "needs an answer"),
        rows=tuple(
            (str(reach), haul.asked[reach], haul.refused[reach], reach in must_answer)
            for reach in Reach
            if haul.asked[reach]
        ),
    )


def shortened(value: Any) -> Any:
    """A value for a report: long texts and tensors cut, with how long they are."""
    if isinstance(value, str) and len(value) > _LONGEST_SHOWN:
        return f"{value[:_SHOWN_OF_LONG]}… ({len(value):,} characters)"
    if isinstance(value, list) and len(repr(value)) > _LONGEST_SHOWN:
        return f"{repr(value)[:_SHOWN_OF_LONG]}… ({len(value):,} values)"
    return value
