"""What the policy of a release would have done with past requests: `muster release simulate`.

The policy is pure, so it can be asked again about what is in the archive: each version's recorded answer comes after its recorded
time, and the policy of the release decides by its own deadline and patience. What cannot be known is said: a version that
was not asked then has no answer, and under another load all times would have been others.
"""

import threading
from array import array
from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from itertools import islice

import msgspec

from muster.access.actor import Call
from muster.access.roles import Right
from muster.archive.reader import Reader
from muster.archive.records import Record
from muster.certification.percentiles import percentile
from muster.packaging.columns import Column
from muster.packaging.errors import ContractBroken
from muster.release.agreement import Agreement, Given
from muster.release.errors import SimulationUnderWay, StepUnfit, WindowMalformed
from muster.release.held import held_release
from muster.release.past import Past, column_of
from muster.release.records import Release, Simulation, Window
from muster.serving.decisions import COMBINED, DEFAULT, Decision
from muster.serving.plan import Plan
from muster.storage.transaction import Database
from muster.vocabulary.states import Reason
from muster.wire.control import MOST_RECORDS
from muster.wire.plans import SplitPolicy
from muster.wire.records import Decided

_FALLBACKS = (Reason.FALLBACK_LATE, Reason.FALLBACK_ERROR)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FORCED = "a version was asked for directly"
NOBODY_ASKED = "no version that may answer in the release was asked"
NO_UNIT = "it has not the input that the release splits by"


class Simulations:
    """Lets releases decide again about what is in the archive.

    Args:
        database: where releases are kept.
        reader: finds records.
    """

    def __init__(self, database: Database, reader: Reader) -> None:
        self._database = database
        self._reader = reader
        self._one_at_a_time = threading.Lock()
        """Reading thousands of records keeps a core busy, and control has other things to do."""

    def simulate(
        self, call: Call, endpoint: str, number: int, window: Window, *, step: int | None = None
    ) -> Simulation:
        """What the policy of a release, in whatever state that is, would have done with past requests of its endpoint.

        Args:
            call: who, and in which project.
            endpoint: of the release and of the requests.
            number: of the release.
            window: which requests.
            step: of its ramp; None: where it stands.

        Raises:
            EndpointNotFound, ReleaseNotFound: there is none.
            StepUnfit: the release has no such step.
            WindowMalformed: the window holds nothing, or too much.
            SimulationUnderWay: somebody else's runs.
        """
        call.require(Right.READ_REQUESTS)
        _check(window)
        with self._database.read() as tx:
            held = held_release(tx, call, endpoint, number)
        at = _step(held, step)
        from_ns, to_ns = _nanoseconds(window.from_), _nanoseconds(window.to)
        if not self._one_at_a_time.acquire(blocking=False):
            raise SimulationUnderWay("another simulation is running in this factory")
        try:
            records = self._reader.newest(endpoint, from_ns=from_ns or 0, to_ns=to_ns)
            own = (record for record in records if record.decided.project == call.project)
            return simulated(held, islice(own, window.last), at)
        finally:
            self._one_at_a_time.release()


def simulated(held: Release, records: Iterable[Record], step: int) -> Simulation:
    """What the policy of a release would have done; looks at one record at a time."""
    tally = _Tally(held, step)
    for record in records:
        tally.take(record)
    return tally.result()


class _Tally:
    """Counts what is decided."""

    def __init__(self, held: Release, step: int) -> None:
        self._held = held
        self._step = step
        self._plan = Plan(held.plan)
        self._policy = self._plan.policy(self._plan.deadline_s)
        self._defaults = self._plan.default_columns
        self._agreement = Agreement(held.plan.contract.outputs)
        self._skipped: Counter[str] = Counter()
        self._absent: Counter[str] = Counter()
        self._unasked = self._unasked_and_none = 0
        self._seen: set[str] = set()
        self._reasons: Counter[str] = Counter()
        self._answered_by: dict[str, float] = {}
        self._elapsed_ms = array("d")
        self._looked_at = self._used = 0
        self._first_ns: int | None = None
        self._last_ns: int | None = None

    def take(self, record: Record) -> None:
        """Let the policy decide about one more request."""
        self._looked_at += 1
        past = Past(record, self._plan, self._step)
        absent = {self._plan.variants[index].version for index in past.absent}
        self._seen.update(variant.version for variant in self._plan.variants if variant.version not in absent)
        why = self._unusable(record, past)
        if why is not None:
            self._skipped[why] += 1
            return
        self._used += 1
        self._absent.update(absent)
        received_ns = record.decided.received_ns
        self._first_ns = received_ns if self._first_ns is None else min(self._first_ns, received_ns)
        self._last_ns = received_ns if self._last_ns is None else max(self._last_ns, received_ns)
        decision, elapsed_s = past.decided(self._policy)
        self._elapsed_ms.append(elapsed_s * 1000)
        reason = self._note(decision)
        if not set(self._plan.order).isdisjoint(past.unasked):
            self._unasked += 1
            self._unasked_and_none += reason is Reason.NONE
        self._agreement.compare(_given_then(record, self._plan), self._given_now(decision, past))

    def _unusable(self, record: Record, past: Past) -> str | None:
        if record.decided.forced:
            return FORCED
        if all(index in past.absent for index in self._plan.order):
            return NOBODY_ASKED
        policy = self._held.plan.policy
        if isinstance(policy, SplitPolicy) and not past.has_input(policy.field):
            return NO_UNIT
        return None

    def _note(self, decision: Decision) -> Reason:
        reason = decision.reason
        if decision.variant == DEFAULT and decision.chosen is None and self._defaults is None:
            reason = Reason.NONE
        self._reasons[str(reason)] += 1
        chosen = Counter(decision.chosen or (decision.variant,))
        for source, count in chosen.items():
            name = self._name(source)
            self._answered_by[name] = self._answered_by.get(name, 0.0) + count / chosen.total()
        return reason

    def _name(self, source: int) -> str:
        if source == COMBINED:
            return "combined"
        if source == DEFAULT:
            return "default" if self._defaults is not None else "none"
        return self._plan.variants[source].version

    def _given_now(self, decision: Decision, past: Past) -> Given:
        chosen = decision.chosen or (decision.variant,)
        sources = {source: past.outputs(source) for source in set(chosen) if source >= 0}
        if self._defaults is not None:
            sources[DEFAULT] = self._defaults
        if decision.outputs is not None:
            sources[COMBINED] = decision.outputs
        return Given(chosen, past.rows, sources)

    def result(self) -> Simulation:
        """What it came to."""
        used = max(1, self._used)
        elapsed = self._elapsed_ms
        answered_by = {name: total / used for name, total in sorted(self._answered_by.items())}
        variants = [variant.version for variant in self._plan.variants]
        return Simulation(
            endpoint=self._held.endpoint,
            release=self._held.number,
            step=self._step if isinstance(self._held.plan.policy, SplitPolicy) else None,
            records=self._looked_at,
            used=self._used,
            skipped=dict(self._skipped),
            first_ns=self._first_ns,
            last_ns=self._last_ns,
            never_seen=tuple(version for version in variants if version not in self._seen),
            absent=dict(self._absent),
            unasked=self._unasked,
            unasked_and_none=self._unasked_and_none,
            champion_share=answered_by.get(variants[0], 0.0),
            fallback_share=sum(self._reasons[reason] for reason in _FALLBACKS) / used,
            default_share=self._reasons[Reason.DEFAULT] / used,
            on_time_share=(self._used - self._reasons[Reason.NONE]) / used,
            reasons={reason: count / used for reason, count in sorted(self._reasons.items())},
            answered_by=answered_by,
            p50_ms=percentile(elapsed, 0.5) if elapsed else None,
            p99_ms=percentile(elapsed, 0.99) if elapsed else None,
            rows_compared=self._agreement.rows,
            agreement=self._agreement.share,
            mean_absolute_difference=self._agreement.mean_absolute_difference,
        )


def _given_then(record: Record, plan: Plan) -> Given:
    """The answer that the caller got."""
    decided = record.decided
    sources = {
        index: {column.name: column_of(column) for column in answer.outputs}
        for index, answer in enumerate(decided.answers)
        if index in decided.chosen and answer.outputs is not None
    }
    if decided.combined:
        sources[COMBINED] = {column.name: column_of(column) for column in decided.combined}
    default = _default_then(decided, plan)
    if default is not None:
        sources[DEFAULT] = default
    return Given(decided.chosen, decided.rows, sources)


def _default_then(decided: Decided, plan: Plan) -> dict[str, Column] | None:
    """The default answer that was given, if it is of the outputs of this plan."""
    if decided.default is None:
        return None
    try:
        return dict(plan.output_checker.check_records([msgspec.json.decode(decided.default)]).columns)
    except ContractBroken:
        return None


def _check(window: Window) -> None:
    if not 1 <= window.last <= MOST_RECORDS:
        raise WindowMalformed(f"a simulation takes 1 to {MOST_RECORDS} records, not {window.last}", last=window.last)
    if window.from_ is not None and window.to is not None and window.from_ >= window.to:
        raise WindowMalformed(f"there is no time between {window.from_.isoformat()} and {window.to.isoformat()}")


def _step(held: Release, step: int | None) -> int:
    policy = held.plan.policy
    steps = len(policy.steps) if isinstance(policy, SplitPolicy) else 0
    if step is None:
        return held.step
    if not step < steps:
        has = f"has the steps 0 to {steps - 1}, and no step {step}" if steps else "has no ramp: its policy is no split"
        raise StepUnfit(f"{held.subject} {has}", endpoint=held.endpoint, release=held.number, step=step)
    return step


def _nanoseconds(moment: datetime | None) -> int | None:
    if moment is None:
        return None
    since = moment - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
