"""Where the answers of one request meet: a mailbox per request, and one queue of deadlines for all.

A mailbox is decided once, by the plan's policy, at the latest when its deadline comes. The chosen answer leaves as soon as the
policy is content; answers that come later are recorded as late. Nothing here makes a task, a future or a timer per request:
whoever opened a mailbox is called back once its decision is recorded.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from math import inf
from time import monotonic

import structlog

from muster.packaging.columns import Column, Table
from muster.serving.counts import VariantCounts
from muster.serving.decisions import COMBINED, DEFAULT, Decision, Outcome, Policy
from muster.serving.errors import RecordNotWritten
from muster.serving.plan import Plan
from muster.serving.probation import ProbationEvent, Probations
from muster.serving.recorder import Ledger, Recorder
from muster.vocabulary.clock import wall_ns
from muster.vocabulary.states import Reason
from muster.vocabulary.tensors import Datatype
from muster.wire.records import RECORD_FORMAT, AnsweredLate, Decided, StoredColumn, VariantAnswer

#: Called with the mailbox once its decision is recorded, or with what went wrong. Must not raise.
Done = Callable[["Mailbox", RecordNotWritten | None], None]
#: The measured lag of the loop is taken into account up to this, seconds; beyond it, deciding early would cost good answers.
_MOST_LAG_S = 0.008
_LAG_FADES = 0.95
_MOST_QUEUES = 64
_PASSED_OVER_AT_ONCE = 64
log = structlog.get_logger()


class Mailbox:
    """One request and what has come back for it; made by `Endpoints.submit`."""

    __slots__ = (
        "answers", "arrived_at", "body_sha256", "client_id", "columns", "consumer", "deadline_s", "decided",
        "decision", "done", "elapsed_ns", "forced", "idempotency_key", "ledger", "outcomes", "overdue", "overrides", "plan", "policy",
        "probations", "received_ns", "request_id", "rows", "step", "table", "trace",
        "variants",
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
        done: Done,
        ledger: Ledger,
        variants: Sequence[VariantCounts],
        probations: Probations,
        forced: bool = False,
        step: int = 0,
        overrides: tuple[str, ...] = (),
        idempotency_key: str | None = None,
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
        self.done = done
        self.ledger = ledger
        self.variants = variants
        self.probations = probations
        self.forced = forced
        self.step = step
        self.overrides = overrides
        self.idempotency_key = idempotency_key
        self.outcomes = [Outcome.PENDING] * len(plan.variants)
        self.answers: list[VariantAnswer] = plan.pending.copy()
        self.decided = False
        self.decision: Decision | None = None
        self.elapsed_ns = 0
        self.overdue: tuple[int, ...] = ()
        """Variants that the decision did not wait for any longer."""
        self.trace: object = None

    def told(self, problem: RecordNotWritten | None) -> None:
        """The recorder is done with the decision."""
        self.done(self, problem)

    def outputs(self, variant: int) -> Mapping[str, Column]:
        """The columns of a variant that has answered, by output."""
        return {
            # What came from a host has its field's own datatype; looking it up by name costs more than all the rest here.
            column.name: Column(
                column.datatype if type(column.datatype) is Datatype else Datatype(column.datatype),
                column.shape, column.data, column.nulls,
            )
            for column in self.answers[variant].outputs or ()
        }  # fmt: skip

    def input(self, name: str) -> Column:
        """One column of the request."""
        return self.table.columns[name]


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
        self._queues: dict[float, deque[tuple[float, Mailbox]]] = {}
        self._odd: list[tuple[float, int, Mailbox]] = []
        self._tie = count()
        self._timer: asyncio.Handle | None = None
        self._timer_at = 0.0  # kept here: a timer of uvloop that is due at once cannot say when it is due
        self.lag_s = 0.0
        """How late the loop has been of late when a deadline came, seconds."""
        self.open_mailboxes = 0
        """Requests that have arrived and are not decided yet."""
        self.decided = 0
        """Requests decided since the start."""

    def open(self, mailbox: Mailbox) -> None:
        """Begin to wait for a request's answers; call before any answer can come."""
        self.open_mailboxes += 1
        self._consult(mailbox, 0.0)

    def answered(self, mailbox: Mailbox, index: int, outcome: Outcome, answer: VariantAnswer) -> None:
        """A variant has answered or failed."""
        before = mailbox.outcomes[index]
        if before is Outcome.ANSWERED or before is Outcome.FAILED:
            return
        mailbox.outcomes[index] = outcome
        mailbox.answers[index] = answer
        if mailbox.decided:
            self._recorder.answered_late(
                AnsweredLate(RECORD_FORMAT, mailbox.request_id, mailbox.plan.endpoint, wall_ns(), answer)
            )
        else:
            self._consult(mailbox, 0.0)

    def flush(self) -> None:
        """Write what has been decided, and let the replies leave; called at the end of each batch."""
        self._recorder.flush()

    def _consult(self, mailbox: Mailbox, ahead_s: float) -> None:
        """Ask the policy, as of `ahead_s` from now."""
        elapsed_s = monotonic() - mailbox.arrived_at
        try:
            said = mailbox.policy.choose(mailbox, elapsed_s + ahead_s)
        except Exception:  # an answer all the same: nobody else would take this mailbox up again
            log.exception("policy.failed", endpoint=mailbox.plan.endpoint)
            said = Decision(DEFAULT, Reason.DEFAULT)
        if isinstance(said, Decision):
            try:
                self._decide(mailbox, said, elapsed_s, ahead_s)
            except Exception:  # one request that cannot be recorded must not take its batch along
                log.exception("decision.failed", endpoint=mailbox.plan.endpoint)
                if not mailbox.decided:
                    mailbox.decided = True
                    self.open_mailboxes -= 1
                mailbox.told(RecordNotWritten("the decision could not be recorded: an error inside Muster"))
        else:
            self._wait(mailbox, said.elapsed_s)

    def _wait(self, mailbox: Mailbox, elapsed_s: float) -> None:
        """Look at the mailbox again so long after its request came.

        Nearly all requests of an endpoint wait equally long, so those that do stand in one queue, in the order of their
        deadlines; whatever does not fit in one goes to a heap.
        """
        moment = mailbox.arrived_at + elapsed_s
        queue = self._queues.get(elapsed_s)
        while queue and queue[0][1].decided:  # what is decided is held no longer than the next request
            queue.popleft()
        while self._odd and self._odd[0][2].decided:
            heapq.heappop(self._odd)
        if queue is None and len(self._queues) < _MOST_QUEUES:
            queue = self._queues[elapsed_s] = deque()
        if queue is None or (queue and moment < queue[-1][0]):
            heapq.heappush(self._odd, (moment, next(self._tie), mailbox))
        else:
            queue.append((moment, mailbox))
        if self._timer is None or moment - self.lag_s < self._timer_at:
            self._set_timer(moment - self.lag_s)

    def _decide(self, mailbox: Mailbox, decision: Decision, elapsed_s: float, ahead_s: float) -> None:
        plan = mailbox.plan
        variant = decision.variant
        default = None
        if mailbox.forced:
            decision = Decision(variant, Reason.FORCED if variant >= 0 else Reason.NONE)
        elif variant == DEFAULT:
            default = plan.default_json
            if default is None:
                decision = Decision(DEFAULT, Reason.NONE, decision.probability)
        mailbox.decided = True
        mailbox.decision = decision
        elapsed_ns = mailbox.elapsed_ns = int(elapsed_s * 1e9)
        self.open_mailboxes -= 1
        self.decided += 1
        if elapsed_s + ahead_s >= plan.least_patience_s:
            self._tell_overdue(mailbox, elapsed_s + ahead_s)
        deadline_ns = int(mailbox.deadline_s * 1e9)
        mailbox.ledger.counts.decided(mailbox.variants, decision, elapsed_ns, deadline_ns, mailbox.rows)
        combined: tuple[StoredColumn, ...] = ()
        if variant == COMBINED and decision.outputs is not None:
            combined = stored(decision.outputs)
        # Positional, in the order of the record: naming thirty fields would cost more than filling them.
        event = Decided(
            RECORD_FORMAT,
            mailbox.request_id,
            mailbox.client_id,
            mailbox.idempotency_key,
            mailbox.consumer,
            plan.document.project,
            plan.endpoint,
            plan.release,
            plan.digest,
            plan.document.contract_digest,
            mailbox.received_ns,
            mailbox.received_ns + elapsed_ns,
            elapsed_ns,
            deadline_ns,
            mailbox.rows,
            mailbox.body_sha256,
            stored(mailbox.table.columns),
            tuple(mailbox.answers),
            decision.chosen or (variant,),
            decision.reason,
            decision.probability,
            mailbox.forced,
            default,
            self._front,
            decision.weights or (),
            combined,
            mailbox.step,
            mailbox.overrides,
        )
        self._recorder.decided(event, plan.document.archive_level, plan.document.archive_full, mailbox, mailbox.ledger)

    def _tell_overdue(self, mailbox: Mailbox, elapsed_s: float) -> None:
        """Variants that the endpoint waited for in vain are cases for probation."""
        plan, outcomes = mailbox.plan, mailbox.outcomes
        now = mailbox.arrived_at + elapsed_s
        for index in plan.order:
            if outcomes[index] is Outcome.PENDING and elapsed_s >= plan.patience_s(index):
                mailbox.overdue = (*mailbox.overdue, index)
                self.on_probation(mailbox, index, mailbox.probations.overdue(index, now, mailbox.arrived_at))

    def on_probation(self, mailbox: Mailbox, index: int, event: ProbationEvent | None) -> None:
        """A variant was put on probation or taken back: say so."""
        if event is None:
            return
        variant = mailbox.plan.variants[index]
        mailbox.variants[index].probation(is_on=event is ProbationEvent.ENTERED)
        log.warning(
            "variant.on_probation" if event is ProbationEvent.ENTERED else "variant.taken_back",
            endpoint=mailbox.plan.endpoint,
            version=variant.version,
        )
        if event is ProbationEvent.ENTERED:
            self._loop.call_soon(self._pass_over, mailbox.plan, index)

    def _pass_over(self, plan: Plan, index: int) -> None:
        """A variant is on probation: requests that wait for it already need not wait any longer either."""
        waiting = deque(mailbox for queue in self._queues.values() for _, mailbox in queue)
        waiting.extend(mailbox for _, _, mailbox in self._odd)
        self._pass_over_some(waiting, plan, index)

    def _pass_over_some(self, waiting: deque[Mailbox], plan: Plan, index: int) -> None:
        """Release some and let their replies leave, before the next: the first have waited longest, and there may be thousands."""
        for _ in range(min(len(waiting), _PASSED_OVER_AT_ONCE)):
            mailbox = waiting.popleft()
            is_of_it = mailbox.plan is plan and not mailbox.decided and not mailbox.forced
            if is_of_it and mailbox.outcomes[index] is Outcome.PENDING:
                mailbox.outcomes[index] = Outcome.PASSED_OVER
                self._consult(mailbox, 0.0)
        self._recorder.flush()
        if waiting:
            self._loop.call_soon(self._pass_over_some, waiting, plan, index)

    def _set_timer(self, moment: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._timer = self._loop.call_at(moment, self._wake)
        self._timer_at = moment

    def _wake(self) -> None:
        self._timer = None
        now = monotonic()
        self.lag_s = min(max(now - self._timer_at, self.lag_s * _LAG_FADES), _MOST_LAG_S)
        ahead_s = self.lag_s
        due = now + ahead_s
        next_at = inf
        try:
            for queue in list(self._queues.values()):
                while queue and (queue[0][1].decided or queue[0][0] <= due):
                    mailbox = queue.popleft()[1]
                    if not mailbox.decided:
                        self._consult(mailbox, ahead_s)
                if queue:
                    next_at = min(next_at, queue[0][0])
            odd = self._odd
            while odd and (odd[0][2].decided or odd[0][0] <= due):
                mailbox = heapq.heappop(odd)[2]
                if not mailbox.decided:
                    self._consult(mailbox, ahead_s)
            if odd:
                next_at = min(next_at, odd[0][0])
        except Exception:  # whatever one request did, the deadlines of all others hold
            log.exception("rendezvous.failed")
            next_at = now
        if next_at < inf and (self._timer is None or next_at - ahead_s < self._timer_at):
            self._set_timer(next_at - ahead_s)
        self._recorder.flush()


def stored(columns: Mapping[str, Column]) -> tuple[StoredColumn, ...]:
    """Columns as a record holds them."""
    return tuple([
        StoredColumn(name, column.datatype, column.shape, column.data, column.nulls)  # type: ignore[arg-type]
        for name, column in columns.items()
    ])  # fmt: skip
