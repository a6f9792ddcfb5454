"""The question whether answers change as the author says when an input does, and stay where the author says that they stay."""

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, ClassVar

import msgspec

from muster.certification import relation_cases as cases
from muster.certification.checks import Bench, Finding
from muster.certification.reaches import PERSONAL
from muster.certification.records import Figure
from muster.certification.relation_cases import Floats, Judged
from muster.certification.robustness import shortened
from muster.packaging.claims import Relation
from muster.packaging.columns import Table, joined, rows_between, values_of
from muster.packaging.contract import ContractChecker
from muster.packaging.errors import ContractBroken
from muster.runtimes.channel import Channel
from muster.runtimes.conformance.tables import ask, outputs_of
from muster.runtimes.conformance.values import drawn
from muster.vocabulary.digests import hex_of
from muster.wire.evidence import Exhibit, Grid, Rows

_BATCH_ROWS = 250
#: Counterexamples that are shown, of one relation and in all.
_SHOWN_OF_ONE, _SHOWN = 3, 20
#: How often the interval between two values is halved to find the smallest change that is wrong.
_HALVINGS = 40
#: As large a share of the effect must one half have to be shown instead of the whole change.
_MOST_OF_IT = 0.75
#: Of golden and drawn rows as large a share must be compared: a model that refuses the others has not been tried.
_LEAST_SHARE = 0.5


class RelationsOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """On how much relations are tried."""

    drawn_rows: int = 200
    """Rows drawn from the contract, beside the golden ones."""
    past_rows: int = 200
    """The newest rows that callers have asked, at most; they are counted and never shown."""
    values: int = 12
    """Values that a field is set to, at most, where the author gives none."""
    seconds: float = 20.0
    """What all relations may take, each its share of what is left. One that was tried on fewer than half of the rows by then fails."""

    def problems(self) -> list[str]:
        """What the types cannot say."""
        told = [
            f"{name} is 0 to 100,000" for name in ("drawn_rows", "past_rows") if not 0 <= getattr(self, name) <= 100_000
        ]
        told += [] if 2 <= self.values <= 1000 else ["values is 2 to 1,000"]
        return told if 0 < self.seconds <= 3600 else [*told, "seconds is above 0 and at most 3600"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What came of one relation."""

    relation: Relation
    compared: int = 0
    broken: int = 0
    """Rows for which it does not hold, past ones among them."""
    problem: str = ""
    """Why it does not hold, in words; empty where it does."""
    rows: tuple[dict[str, Any], ...] = ()
    """Counterexamples, each before the change; golden and drawn ones alone, without what is personal in them."""
    why: tuple[str, ...] = ()


class RelationsHold:
    """The relations that the author declares hold on golden rows, rows drawn from the contract, and past ones."""

    name: ClassVar[str] = "relations"
    asks: ClassVar[str] = "do the relations hold that its author declares?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = (
        "Look at the smallest change that is shown. Constrain the model (monotone constraints, without the field), or declare what it "
        "really keeps: another direction, a tolerance, narrower `values`."
    )
    Options: ClassVar[type[msgspec.Struct]] = RelationsOptions

    def is_asked(self, bench: Bench) -> bool:
        """Whether the author declares any."""
        return bench.bundle is not None and bool(bench.bundle.relations)

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """How many relations do not hold."""
        assert bench.bundle is not None
        if not bench.bundle.relations:
            told = "its muster.toml declares no [[relations]], and the standard asks for some"
            return Finding(
                passed=False,
                figure=0,
                limit=0,
                detail=told,
                remedy="Declare [[relations]] in muster.toml; docs/reference/bundle.md.",
            )
        options = bench.given(self, RelationsOptions)
        trial = _Trial(bench, options)
        until = time.monotonic() + options.seconds
        declared = bench.bundle.relations
        tried = [
            trial.tried(relation, _share_of(until, len(declared) - at))
            if time.monotonic() < until
            else Tried(relation=relation, problem=f"was not tried within {options.seconds:g} s")
            for at, relation in enumerate(declared)
        ]
        # Past rows come last: what the model answers to others, and what is shown of that, it says before it has seen one of them.
        found = [trial.with_past(one, _share_of(until, len(tried) - at)) for at, one in enumerate(tried)]
        without = (
            f"; {found.count(None)} of them not on past requests within {options.seconds:g} s" if None in found else ""
        )
        tried = [more or one for one, more in zip(tried, found, strict=True)]
        bad = [one for one in tried if one.problem]
        pairs = sum(one.compared for one in tried)
        hold = "relations hold" if len(tried) > 1 else "relation holds"
        well = f"{len(tried)} {hold} on {trial.rows} rows, {pairs:,} pairs of answers{without}"
        exhibits: tuple[Exhibit, ...] = (_summary(tried), *_counterexamples(bad))
        return Finding(
            passed=not bad,
            figure=len(bad),
            limit=0,
            detail="; ".join(f"{one.relation.name}: {one.problem}" for one in bad[:3]) or well,
            figures={"relations": len(tried), "rows": trial.rows, "pairs": pairs},
            exhibits=exhibits,
        )


class _Trial:
    """The rows on which relations are tried, and the host that is asked."""

    def __init__(self, bench: Bench, options: RelationsOptions) -> None:
        assert bench.golden is not None
        assert bench.channel is not None
        assert bench.confidential is not None
        self._contract = bench.version.contract
        self._golden = bench.golden.inputs
        self._channel = bench.channel
        self._confidential = bench.confidential
        self._values = options.values
        self._checker = ContractChecker(self._contract, max_rows=_BATCH_ROWS)
        self._records = self._checker.records_of(_rows(bench, options))
        past = _past(bench, options)
        self._past = [] if past is None else self._checker.records_of(past)
        self._personal = frozenset(field.name for field in self._contract.inputs if field.personal)

    @property
    def rows(self) -> int:
        """On how many rows each relation is tried."""
        return len(self._records) + len(self._past)

    def tried(self, relation: Relation, until: float) -> Tried:
        """What comes of a relation on golden and drawn rows, as many as are answered until then."""
        problems = cases.relation_problems(relation, self._contract)
        if problems:
            return Tried(relation=relation, problem=problems[0])
        groups = self._groups(relation, self._records)
        if not any(groups):
            return Tried(
                relation=relation, problem=f"the contract leaves no value to which {relation.field} could be set"
            )
        try:
            answers = self._answers(relation, groups, until)
        except ContractBroken as error:
            return Tried(relation=relation, problem=f"the contract refuses what it sets: {self._refused(error)}")
        found = cases.judged(relation, answers)
        if not found.compared:
            return Tried(relation=relation, problem="no two rows were answered that could be compared")
        return self._told(relation, groups, found, until)

    def with_past(self, tried: Tried, until: float) -> Tried | None:
        """What comes of it on past rows as well: how many, for a report's readers may not read requests. None: no time is left."""
        if not self._past or not tried.compared:
            return tried  # there is nothing to ask, or nothing that could be said of it
        if time.monotonic() >= until:
            return None
        relation = tried.relation
        try:
            found = cases.judged(relation, self._answers_in_confidence(relation, until))
        except ContractBroken:
            told = "the contract refuses what it sets in past requests, whose values are not shown"
            return replace(tried, problem="; ".join(filter(None, (tried.problem, told))))
        told = f"does not hold for {len(found.broken)} of {len(self._past)} rows of past requests, which are not shown"
        return replace(
            tried,
            compared=tried.compared + found.compared,
            broken=tried.broken + len(found.broken),
            problem="; ".join(filter(None, (tried.problem, told if found.broken else ""))),
        )

    def _groups(self, relation: Relation, records: list[dict[str, Any]]) -> list[list[dict[str, Any]]]:
        field = self._contract.input(relation.field)
        assert field is not None
        choices = cases.Choices(relation, field, self._golden.columns[field.name], self._values)
        return cases.variants(relation, records, choices)

    def _told(
        self, relation: Relation, groups: Sequence[Sequence[dict[str, Any]]], found: Judged, until: float
    ) -> Tried:
        rows = len(self._records)
        if not found.broken:
            problem = ""
            if found.rows < _LEAST_SHARE * rows:
                within = " in time" if time.monotonic() >= until else ""
                problem = f"only {found.rows} of {rows} rows were answered{within} so that they could be compared, and half are asked for"
            return Tried(relation=relation, compared=found.compared, problem=problem)
        worst = sorted(found.broken, key=lambda one: (one.row >= self._golden.rows, -one.excess))[:_SHOWN_OF_ONE]
        shown = [
            self._smallest(relation, groups[one.row][one.before], groups[one.row][one.after], until) for one in worst
        ]
        return Tried(
            relation=relation,
            compared=found.compared,
            broken=len(found.broken),
            problem=f"does not hold for {len(found.broken)} of {rows} rows: {shown[0][1]}",
            rows=tuple(self._masked(record) for record, _ in shown),
            why=tuple(f"{relation.name}: {why}" for _, why in shown),
        )

    def _masked(self, record: dict[str, Any]) -> dict[str, Any]:
        """A row for a report."""
        return {name: PERSONAL if name in self._personal else shortened(value) for name, value in record.items()}

    def _refused(self, error: ContractBroken) -> str:
        if error.facts.get("field") in self._personal:
            return f"{error.facts['field']}: {PERSONAL}, expected {error.facts.get('expected')}"
        return error.message

    def _smallest(
        self, relation: Relation, before: dict[str, Any], after: dict[str, Any], until: float
    ) -> tuple[dict[str, Any], str]:
        """The smallest change between two rows that is found until then: the row before it, and what it does to the answer."""
        field = self._contract.input(relation.field)
        assert field is not None
        for _ in range(_HALVINGS if relation.kind != "symmetric" else 0):
            between = cases.middle(field, before.get(field.name), after.get(field.name))
            if between is None or time.monotonic() >= until:
                break
            halfway = {**before, field.name: between}
            low, answer, high = self._answers(relation, [[before, halfway, after]])[0]
            if low is None or answer is None or high is None:
                break
            # Of a slope, the smallest change would be one that nobody sees: a half is taken when it has most of the effect.
            enough = _MOST_OF_IT * cases.beyond(relation, low, high)
            if cases.beyond(relation, low, answer) >= enough:
                after = halfway
            elif cases.beyond(relation, answer, high) >= enough:
                before = halfway
            else:
                break
        return before, self._change(relation, before, after)

    def _change(self, relation: Relation, before: dict[str, Any], after: dict[str, Any]) -> str:
        """What a change does to the answer, in words."""
        outputs, _ = self._asked(self._channel, [before, after])
        low, high = values_of(outputs.columns[cases.output_of(relation, self._contract).name])
        field, other = relation.field, relation.other
        if relation.kind == "symmetric":
            values = PERSONAL
            if not {field, other} & self._personal:
                values = f"({shortened(before.get(field))!r}, {shortened(before.get(other))!r})"
            changed = f"{field} and {other} swapped {values}"
        elif field in self._personal:
            changed = f"another {field} {PERSONAL}"
        else:
            changed = f"{field} {shortened(before.get(field))!r} → {shortened(after.get(field))!r}"
        within = f" (tolerance {relation.tolerance:g})" if relation.tolerance else ""
        return f"{changed} moves the answer from {_told_apart(low, high)}; {_wanted(relation)}{within}"

    def _answers(
        self, relation: Relation, groups: Sequence[Sequence[dict[str, Any]]], until: float = math.inf
    ) -> list[list[Floats | None]]:
        """The answers to rows in groups, in the same groups; None for those that are not asked by then, the last ones.

        Raises:
            ContractBroken: a row is not what the contract allows.
        """
        return self._grouped(relation, groups, self._all_asked(self._channel, groups, until))

    def _answers_in_confidence(self, relation: Relation, until: float) -> list[list[Floats | None]]:
        """The answers to past rows, of a host apart.

        Raises:
            ContractBroken: a row is not what the contract allows.
            FailedInConfidence: the host did not answer.
        """
        groups = self._groups(relation, self._past)
        with self._confidential.asked() as channel:
            return self._grouped(relation, groups, self._all_asked(channel, groups, until))

    def _grouped(
        self, relation: Relation, groups: Sequence[Sequence[dict[str, Any]]], tables: list[tuple[Table, list[bool]]]
    ) -> list[list[Floats | None]]:
        # All at once: the places of texts among each other are only comparable within one table.
        numbers = cases.numbers_of(cases.output_of(relation, self._contract), joined([table for table, _ in tables]))
        rows = iter(numbers)
        flat = iter([next(rows) if is_answered else None for _, answered in tables for is_answered in answered])
        return [[next(flat, None) for _ in group] for group in groups]

    def _all_asked(
        self, channel: Channel, groups: Sequence[Sequence[dict[str, Any]]], until: float
    ) -> list[tuple[Table, list[bool]]]:
        """What comes of all rows, or of the first ones: at least one batch of them, and no further one after that time."""
        records = list(chain.from_iterable(groups))
        asked: list[tuple[Table, list[bool]]] = []
        for start in range(0, len(records), _BATCH_ROWS):
            if asked and time.monotonic() >= until:
                break
            asked.append(self._asked(channel, records[start : start + _BATCH_ROWS]))
        return asked

    def _asked(self, channel: Channel, records: list[dict[str, Any]]) -> tuple[Table, list[bool]]:
        """The outputs of the rows that are answered, and which those are."""
        table = self._checker.check_records(records)
        answer = ask(channel, table)
        if answer.errors:  # one row is enough to fail a request: which ones are answered is found one by one
            answer = ask(channel, table, [1] * table.rows)
            return outputs_of(answer, self._contract), [not status for status in answer.statuses]
        return outputs_of(answer, self._contract), [True] * table.rows


def _rows(bench: Bench, options: RelationsOptions) -> Table:
    """Golden rows, and rows drawn from the contract."""
    assert bench.golden is not None
    golden = bench.golden.inputs
    tables = [golden]
    if options.drawn_rows:
        seed = int(hex_of(bench.version.digest)[:12], 16)
        tables.append(drawn(bench.version.contract, golden, options.drawn_rows, seed))
    return joined(tables)


def _past(bench: Bench, options: RelationsOptions) -> Table | None:
    """The newest rows that callers have asked."""
    past = bench.past.newest(bench.version, options.past_rows) if bench.past is not None and options.past_rows else None
    return None if past is None else rows_between(past, 0, min(past.rows, options.past_rows))


def _wanted(relation: Relation) -> str:
    if relation.kind != "monotone":
        return "it should stay"
    return "it should not fall" if relation.direction == "up" else "it should not rise"


def _told_apart(low: Any, high: Any) -> str:
    """Two answers, with as many digits as it takes to see that they differ."""
    if not (isinstance(low, float) and isinstance(high, float)):
        return f"{shortened(low)!r} to {shortened(high)!r}"
    pairs = ((f"{low:.{digits}g}", f"{high:.{digits}g}") for digits in (6, 9, 12, 17))
    return " to ".join(next((pair for pair in pairs if pair[0] != pair[1]), (repr(low), repr(high))))


def _share_of(until: float, left: int) -> float:
    """Until when the next of so many may take."""
    now = time.monotonic()
    return now + (until - now) / left


def _summary(tried: Sequence[Tried]) -> Grid:
    return Grid(
        title="Relations that the author declares",
        columns=("relation", "kind", "field", "pairs of answers", "rows for which it does not hold"),
        rows=tuple(
            (one.relation.name, one.relation.kind, one.relation.field, one.compared, one.broken) for one in tried
        ),
    )


def _counterexamples(bad: Sequence[Tried]) -> tuple[Rows, ...]:
    rows = [(row, why) for one in bad for row, why in zip(one.rows, one.why, strict=True)]
    if not rows:
        return ()
    return (
        Rows(
            title="Counterexamples, each with the smallest change that was found",
            rows=tuple(row for row, _ in rows[:_SHOWN]),
            why=tuple(why for _, why in rows[:_SHOWN]),
        ),
    )
