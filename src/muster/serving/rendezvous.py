"""Where the answers of one request meet: a mailbox per request, and one queue of deadlines for all.

A mailbox is decided once, by the plan's policy, at the latest when its deadline comes. The chosen answer leaves as soon as the
policy is content; answers that come later are recorded as late.
"""

import asyncio
import heapq
from collections.abc import Mapping
from itertools import count
from time import monotonic

from muster.packaging.columns import Column, Table
from muster.serving.decisions import Decision, Outcome, Policy
from muster.serving.errors import RecordNotWritten
from muster.serving.plan import Plan
from muster.serving.recorder import Recorder
from muster.vocabulary.clock import wall_ns
from muster.vocabulary.states import Reason
from muster.vocabulary.tensors import Datatype
from muster.wire.records import RECORD_FORMAT, AnsweredLate, Decided, StoredColumn, VariantAnswer


class Mailbox:
    """One request and what has come back for it; made by `Rendezvous.open`."""

    __slots__ = (
        "_future", "answers", "arrived_at", "body_sha256", "client_id", "columns", "consumer", "deadline_s", "decided",
        "decision", "elapsed_ns", "forced", "outcomes", "plan", "policy", "received_ns", "request_id", "rows", "step", "table",
    )  # fmt: skip

    def __init__(
        self,
        *,
        plan: Plan,
        policy: Policy,
        table: Table,
        request_id: bytes,
        client_id: str | None,
        consumer: str,
        body_sha256: bytes,
        arrived_at: float,
        received_ns: int,
        deadline_s: float,
        forced: bool,
    ) -> None:
        self.plan = plan
        self.policy = policy
        self.table = table
        self.columns = tuple(table.columns.values())
        self.rows = table.rows
        self.request_id = request_id
        self.client_id = client_id
        self.consumer = consumer
        self.body_sha256 = body_sha256
        self.arrived_at = arrived_at
        self.received_ns = received_ns
        self.deadline_s = deadline_s
        self.forced = forced
        self.step = 0
        self.outcomes = [Outcome.PENDING] * len(plan.variants)
        self.answers: list[VariantAnswer] = [
            VariantAnswer(variant.version, variant.planned.role, "pending") for variant in plan.variants
        ]
        self.decided = False
        self.decision: Decision | None = None
        self.elapsed_ns = 0
        self._future: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def outputs(self, variant: int) -> Mapping[str, Column]:
        """The columns of a variant that has answered, by output."""
        return {
            column.name: Column(Datatype(column.datatype), column.shape, column.data, column.nulls)
            for column in self.answers[variant].outputs or ()
        }

    def input(self, name: str) -> Column:
        """One column of the request."""
        return self.table.columns[name]

    async def wait(self) -> Decision:
        """The decision, once it is recorded.

        Raises:
            RecordNotWritten: it could not be recorded.
        """
        await self._future
        assert self.decision is not None
        return self.decision

    def told(self, problem: RecordNotWritten | None) -> None:
        """The recorder is done with the decision."""
        if self._future.done():  # the caller has hung up
            return
        if problem is None:
            self._future.set_result(None)
        else:
            self._future.set_exception(problem)


class Rendezvous:
    """All open mailboxes of a front.

    Args:
        recorder: writes what was decided.
        front: this front's name, for the records.
    """

    def __init__(self, recorder: Recorder, front: str) -> None:
        self._recorder = recorder
        self._front = front
        self._loop = asyncio.get_running_loop()
        self._due: list[tuple[float, int, Mailbox]] = []
        self._tie = count()
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0  # kept here: a timer of uvloop that is due at once cannot say when it is due
        self.open_mailboxes = 0
        """Requests that have arrived and are not decided yet."""

    def open(self, mailbox: Mailbox) -> None:
        """Begin to wait for a request's answers; call before any answer can come."""
        self.open_mailboxes += 1
        self._consult(mailbox)

    def sent(self, mailbox: Mailbox, index: int, answer: VariantAnswer) -> None:
        """The request left for a host: its batch is known from now on."""
        mailbox.answers[index] = answer

    def answered(self, mailbox: Mailbox, index: int, outcome: Outcome, answer: VariantAnswer) -> None:
        """A variant has answered or failed."""
        if mailbox.outcomes[index] is not Outcome.PENDING:
            return
        mailbox.outcomes[index] = outcome
        mailbox.answers[index] = answer
        if mailbox.decided:
            self._recorder.answered_late(
                AnsweredLate(RECORD_FORMAT, mailbox.request_id, mailbox.plan.endpoint, wall_ns(), answer)
            )
        else:
            self._consult(mailbox)

    def _consult(self, mailbox: Mailbox) -> None:
        elapsed_s = monotonic() - mailbox.arrived_at
        said = mailbox.policy.choose(mailbox, elapsed_s)
        if isinstance(said, Decision):
            self._decide(mailbox, said, elapsed_s)
        else:
            self._wake_at(mailbox.arrived_at + said.elapsed_s, mailbox)

    def _decide(self, mailbox: Mailbox, decision: Decision, elapsed_s: float) -> None:
        plan = mailbox.plan
        default = None
        if mailbox.forced:
            decision = Decision(decision.variant, Reason.FORCED if decision.variant >= 0 else Reason.NONE)
        elif decision.variant < 0:
            if plan.default_json is None:
                decision = Decision(-1, Reason.NONE, decision.probability)
            default = plan.default_json
        mailbox.decided = True
        mailbox.decision = decision
        mailbox.elapsed_ns = int(elapsed_s * 1e9)
        self.open_mailboxes -= 1
        event = Decided(
            format=RECORD_FORMAT,
            request_id=mailbox.request_id,
            client_id=mailbox.client_id,
            idempotency_key=None,
            consumer=mailbox.consumer,
            project=plan.document.project,
            endpoint=plan.endpoint,
            release=plan.release,
            plan=plan.digest,
            contract=plan.document.contract_digest,
            received_ns=mailbox.received_ns,
            decided_ns=wall_ns(),
            elapsed_ns=mailbox.elapsed_ns,
            deadline_ns=int(mailbox.deadline_s * 1e9),
            rows=mailbox.rows,
            body_sha256=mailbox.body_sha256,
            inputs=tuple(
                StoredColumn(name, column.datatype, column.shape, column.data, column.nulls)  # type: ignore[arg-type]
                for name, column in mailbox.table.columns.items()
            ),
            answers=tuple(mailbox.answers),
            chosen=(decision.variant,),
            reason=decision.reason,
            probability=decision.probability,
            forced=mailbox.forced,
            default=default,
            front=self._front,
        )
        self._recorder.decided(event, plan.document.archive_level, mailbox.told)

    def _wake_at(self, moment: float, mailbox: Mailbox) -> None:
        heapq.heappush(self._due, (moment, next(self._tie), mailbox))
        if self._timer is None or moment < self._timer_at:
            self._set_timer(moment)

    def _set_timer(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(moment, self._wake)
        self._timer_at = moment

    def _wake(self) -> None:
        self._timer = None
        due = self._due
        now = monotonic()
        try:
            while due and (due[0][0] <= now or due[0][2].decided):
                mailbox = heapq.heappop(due)[2]
                if not mailbox.decided:
                    self._consult(mailbox)
        finally:  # whatever one request did, the deadlines of all others hold
            if due:
                self._set_timer(due[0][0])
