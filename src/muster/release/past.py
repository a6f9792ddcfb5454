"""One past request as a policy would see it again: the same answers after the same times.

    t = 0          12 ms              31 ms            60 ms
    nothing is in  churn:1 answers    churn:3 fails    a patience ends

The policy is asked at each of these moments, as the rendezvous asks it, until it decides. Nothing here knows a clock.
"""

from collections.abc import Mapping

from muster.archive.records import Record
from muster.packaging.columns import Column
from muster.serving.decisions import Decision, Outcome, Policy
from muster.serving.plan import Plan
from muster.vocabulary.tensors import Datatype
from muster.wire.records import StoredColumn


class Past:
    """A record, seen by the policy of a plan that need not be the plan it was answered under. Used once.

    A version that the record tells nothing of was not asked then; it is seen as one on probation, which nobody waits for. One that
    was asked and never answered is pending for ever.

    Args:
        record: what happened.
        plan: whose policy shall decide.
        step: of its ramp.
    """

    def __init__(self, record: Record, plan: Plan, step: int) -> None:
        self.rows = record.decided.rows
        self.step = step
        self.outcomes: list[Outcome] = []
        self.absent: list[int] = []
        """Variants that the record tells nothing of."""
        self.unasked: list[int] = []
        """Variants that were sent nothing: these, and those that were on probation or had no host."""
        self._inputs = {column.name: column for column in record.decided.inputs}
        self._stored: dict[int, tuple[StoredColumn, ...]] = {}
        arrivals: list[tuple[float, int, Outcome]] = []
        names = frozenset(field.name for field in plan.contract.outputs)
        for index, variant in enumerate(plan.variants):
            answer = record.answer_of(variant.version)
            self.outcomes.append(Outcome.PENDING)
            if answer is None:
                self.outcomes[index] = Outcome.PASSED_OVER
                self.absent.append(index)
                self.unasked.append(index)
            elif answer.status == "unsent":
                self.unasked.append(index)
            elif answer.status == "answered" and answer.outputs is not None:
                if names <= {column.name for column in answer.outputs}:
                    self._stored[index] = answer.outputs
                    arrivals.append((answer.latency_ns / 1e9, index, Outcome.ANSWERED))
            elif answer.status == "failed":
                arrivals.append((answer.latency_ns / 1e9, index, Outcome.FAILED))
        self._arrivals = sorted(arrivals, reverse=True)

    def outputs(self, variant: int) -> Mapping[str, Column]:
        """The columns of a variant that has answered, by output."""
        return {column.name: column_of(column) for column in self._stored[variant]}

    def input(self, name: str) -> Column:
        """One column of the request."""
        return column_of(self._inputs[name])

    def has_input(self, name: str) -> bool:
        """Whether the request had such a column."""
        return name in self._inputs

    def decided(self, policy: Policy) -> tuple[Decision, float]:
        """What the policy decides, and when, seconds from the request's arrival."""
        elapsed_s = 0.0
        while True:
            said = policy.choose(self, elapsed_s)
            if isinstance(said, Decision):
                return said, elapsed_s
            if self._arrivals and self._arrivals[-1][0] <= said.elapsed_s:
                moment, index, outcome = self._arrivals.pop()
                self.outcomes[index] = outcome
                elapsed_s = max(elapsed_s, moment)
            else:
                assert said.elapsed_s > elapsed_s, "a policy waits for something that is to come"
                elapsed_s = said.elapsed_s


def column_of(stored: StoredColumn) -> Column:
    """A column as it was recorded."""
    return Column(Datatype(stored.datatype), stored.shape, stored.data, stored.nulls)
