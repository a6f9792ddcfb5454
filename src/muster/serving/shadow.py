"""The way to the host of a version on trial: it sees requests after everybody else, and nobody waits for it.

A shadow is no variant of a plan. No policy, probation, deadline, readiness or idempotency key knows of it: a lane of this kind
holds a request after its own plan has been asked, sends it at the next turn of the event loop, and writes what came of it as an
answer that came after the decision. Nothing ever comes back to the request.

    request ─► its variants ─► decision ─► reply
        └────► offered ─► host ─► record, once the decision is recorded

It is the first to be left out: it holds few requests, takes none while the front has much to do, and what it could not take is
on record as `unsent`. A request that was with a host that ended is not sent again.
"""

from collections import deque
from collections.abc import Callable, Iterator
from time import monotonic
from zlib import crc32

import structlog

from muster.serving.pieces import Cutter, Raw, put_together, row_bytes
from muster.serving.plan import Plan, Variant
from muster.serving.rendezvous import Mailbox
from muster.serving.workers.link import HostLink
from muster.serving.workers.roster import HostStanding
from muster.vocabulary.clock import wall_ns
from muster.vocabulary.states import Role
from muster.wire.plans import Shadow
from muster.wire.records import RECORD_FORMAT, AnsweredLate, StoredColumn, VariantAnswer
from muster_host import frames

#: Requests that wait for the host at most, and their rows.
MOST_QUEUED = 64
MOST_QUEUED_ROWS = 4096
#: Rows of one batch, unless a single request has more.
BATCH_ROWS = 256
#: A host that has one batch for longer than this, seconds, hangs.
_HUNG_AFTER_S = 10.0
#: A shadow whose host has ended so often within so many seconds is given up.
MOST_ENDS = 5
ENDS_WITHIN_S = 120.0
#: What is on record of a request that had no answer when it was given up.
NO_ANSWER = "it had not answered when the request was given up"
#: What is on record of a request that came, or waited, while no host ran, although one had before.
HOST_DOWN = "no host of it runs: it ended"
_SHORTEST_WAIT_S = 1.0
_DEADLINES_WAITED = 2.0
_DROPPED = "the front had too much to do, and a version on trial is left out first"
log = structlog.get_logger()


class ShadowLane:
    """The way to the host of one endpoint's shadow, for one front.

    Args:
        shadow: as control published it.
        plan: the plan beside which it runs.
        batches: numbers for batches; unique per host for ever.
        record: takes what came of a request, for the archive.
        soon: has something called at the next turn of the event loop.
    """

    def __init__(
        self,
        shadow: Shadow,
        plan: Plan,
        batches: Iterator[int],
        record: Callable[[AnsweredLate], None],
        soon: Callable[[Callable[[], None]], object],
    ) -> None:
        self.shadow = shadow
        self.plan = plan
        self.variant = shadow_variant(shadow, plan)
        self.key = self.variant.key
        self.standing = HostStanding(self.key, "starting")
        self._outputs = plan.contract.outputs
        self._row_bytes = tuple(map(row_bytes, self._outputs))
        self._batches = batches
        self._record = record
        self._soon = soon
        self._limit = round(shadow.share * (1 << 32))
        self._link: HostLink | None = None
        self._was_up = False
        self._queue: deque[Mailbox] = deque()
        self._queued_rows = 0
        self._in_flight: list[Mailbox | None] = []
        """None: given up, its answer is not wanted any more."""
        self._give_up_after_s = given_up_after_s(plan.deadline_s)
        self._in_flight_since = 0.0
        self._sizes: list[int] = []
        """Rows of each request of the batch under way."""
        self._sequence = -1
        self._is_planned = False
        self._held: deque[tuple[Mailbox, VariantAnswer]] = deque()
        self._ends: deque[float] = deque()

    @property
    def is_up(self) -> bool:
        """Whether a host is connected that has passed its golden answers."""
        return self._link is not None

    @property
    def is_hung(self) -> bool:
        """Whether the host has had its present batch for far too long."""
        return bool(self._in_flight) and monotonic() - self._in_flight_since > _HUNG_AFTER_S

    @property
    def keeps_ending(self) -> bool:
        """Whether its hosts end one after the other."""
        return len(self._ends) >= MOST_ENDS and self._ends[-1] - self._ends[-MOST_ENDS] <= ENDS_WITHIN_S

    def is_connected_to(self, host: str) -> bool:
        """Whether the lane's link is to that host process."""
        return self._link is not None and self._link.standing.host == host

    def offer(self, mailbox: Mailbox, *, is_busy: bool) -> None:
        """Let the shadow see a request, now or a little later; never raises, and costs a few microseconds.

        Args:
            mailbox: the request, which its own variants have been sent.
            is_busy: the front has as much to do as leaves no time for a trial.
        """
        if not self._was_up or mailbox.plan is not self.plan or mailbox.forced:
            return
        if self._limit < 1 << 32 and crc32(mailbox.request_id) >= self._limit:
            return
        if self._link is None:
            # Else a version that keeps ending would be judged by its good moments alone.
            self._settle(mailbox, self._without_answer("unsent", HOST_DOWN, mailbox))
            return
        if is_busy or len(self._queue) >= MOST_QUEUED or self._queued_rows >= MOST_QUEUED_ROWS:
            self._settle(mailbox, self._without_answer("unsent", _DROPPED, mailbox))
            return
        self._queue.append(mailbox)
        self._queued_rows += mailbox.rows
        if not self._in_flight and not self._is_planned:
            self._is_planned = True
            self._soon(self._send_planned)

    def connect(self, link: HostLink) -> None:
        """A host is there; begin with what waits."""
        before = self._link
        if before is not None:
            self.lost(before)
            before.close()
        self._link, self._was_up = link, True
        self.standing = link.standing
        self._send_next()

    def stands(self, standing: HostStanding) -> None:
        """The keeper says how the host is."""
        self.standing = standing

    def close(self) -> None:
        """It is on trial no more; what it was sent and has not answered is on record as that."""
        self._was_up = False
        if self._link is not None:
            self._link.close()
            self._link = None
        for mailbox in self._taken():
            self._settle(mailbox, self._without_answer("unsent", "its live-test ended before it had answered", mailbox))
        self._give_up("its live-test ended before it was sent")
        for mailbox, answer in self._held:
            self._write(mailbox, answer)
        self._held.clear()

    def tidy(self) -> None:
        """Write what has waited for its decision, give up what has no answer; called now and then."""
        long_ago = monotonic() - self._give_up_after_s
        for place, sent in enumerate(self._in_flight):
            if sent is not None and sent.arrived_at < long_ago:
                self._in_flight[place] = None
                self._settle(sent, self._without_answer("failed", NO_ANSWER, sent))
        while self._queue and self._queue[0].arrived_at < long_ago:
            waiting = self._queue.popleft()
            self._queued_rows -= waiting.rows
            self._settle(waiting, self._without_answer("unsent", _DROPPED, waiting))
        for _ in range(len(self._held)):
            mailbox, answer = self._held.popleft()
            self._settle(mailbox, answer)

    # What the link tells.

    def answered(self, link: HostLink, sequence: int, payload: memoryview) -> None:
        """The host answered its batch: the next one leaves, and the answers are recorded."""
        if link is not self._link or sequence != self._sequence or not self._in_flight:
            return
        sent, sizes, self._in_flight = self._in_flight, self._sizes, []
        arrived = monotonic()
        self._send_soon()
        try:
            statuses, compute_ns, errors, _, columns, alone = frames.read_answer(payload)
            if len(statuses) != len(sent) or len(columns) != len(self._outputs):
                raise frames.FrameError("the answer is for another batch")  # noqa: TRY301
        except frames.FrameError as error:
            self._fail(
                [mailbox for mailbox in sent if mailbox is not None], f"the host's answer cannot be read: {error}"
            )
            return
        standing, batch_rows = link.standing, sum(sizes)
        cutter = Cutter(self._outputs, self._row_bytes, columns)
        position = 0
        for place, (mailbox, rows) in enumerate(zip(sent, sizes, strict=True)):
            outputs, wrong = _cut(cutter, rows, statuses[place], errors.get(place))
            if mailbox is not None:
                answer = VariantAnswer(
                    version=self.variant.version,
                    role=Role.SHADOW,
                    status="failed" if outputs is None else "answered",
                    outputs=outputs,
                    error=wrong,
                    latency_ns=int((arrived - mailbox.arrived_at) * 1e9),
                    compute_ns=compute_ns,
                    environment=standing.environment,
                    host=standing.host,
                    batch=sequence,
                    position=position,
                    batch_rows=rows if alone else batch_rows,
                    alone=alone,
                    threads=standing.threads,
                    cpu=standing.cpu,
                )
                self._settle(mailbox, answer)
            position += rows

    def erred(self, link: HostLink, sequence: int, payload: memoryview) -> None:
        """The host refused the batch as a whole."""
        if link is not self._link or sequence != self._sequence:
            return
        message = bytes(payload[:2000]).decode("utf-8", "replace")
        self._fail(self._taken(), f"the host refused the batch: {message}")
        self._send_soon()

    def lost(self, link: HostLink) -> None:
        """The host is gone, and takes its batch with it."""
        if link is not self._link:
            return
        self._link = None
        self._ends.append(monotonic())
        while len(self._ends) > MOST_ENDS:
            self._ends.popleft()
        self._fail(self._taken(), "its host ended while it had this request")
        self._give_up(HOST_DOWN)

    # Batches.

    def _send_planned(self) -> None:
        self._is_planned = False
        if not self._in_flight:
            self._send_next()

    def _send_soon(self) -> None:
        """The next batch leaves at the next turn: who waits for replies goes first."""
        if self._queue and not self._is_planned:
            self._is_planned = True
            self._soon(self._send_planned)

    def _send_next(self) -> None:
        link = self._link
        if link is None or not self._queue:
            return
        mailboxes = self._next()
        self._sizes = [mailbox.rows for mailbox in mailboxes]
        self._sequence = next(self._batches)
        self._in_flight = list(mailboxes)
        self._in_flight_since = monotonic()
        try:
            link.send(frames.predict_frame(self._sequence, self._sizes, self._columns_of(mailboxes)))
        except Exception as error:  # as a batch beyond what a frame may hold; the lane must not wait for its answer
            log.exception("shadow.not_sent", version=self.variant.version)
            self._in_flight = []
            self._fail(mailboxes, f"the batch could not be sent: {error}")
            self._send_soon()

    def _next(self) -> list[Mailbox]:
        mailboxes: list[Mailbox] = []
        rows = 0
        while self._queue and (not mailboxes or rows + self._queue[0].rows <= BATCH_ROWS):
            mailbox = self._queue.popleft()
            rows += mailbox.rows
            mailboxes.append(mailbox)
        self._queued_rows -= rows
        return mailboxes

    def _columns_of(self, mailboxes: list[Mailbox]) -> list[Raw]:
        if len(mailboxes) == 1:
            columns = mailboxes[0].columns
            return [(columns[at].data, columns[at].nulls) for at in self.variant.columns]
        gathered = [[mailbox.columns[at] for mailbox in mailboxes] for at in self.variant.columns]
        return put_together(gathered, [mailbox.rows for mailbox in mailboxes])

    # Ends.

    def _taken(self) -> list[Mailbox]:
        """What is with the host, and is not any more."""
        sent, self._in_flight = self._in_flight, []
        return [mailbox for mailbox in sent if mailbox is not None]

    def _fail(self, mailboxes: list[Mailbox], why: str) -> None:
        for mailbox in mailboxes:
            self._settle(mailbox, self._without_answer("failed", why, mailbox))

    def _give_up(self, why: str) -> None:
        waiting, self._queue, self._queued_rows = self._queue, deque(), 0
        for mailbox in waiting:
            self._settle(mailbox, self._without_answer("unsent", why, mailbox))

    def _without_answer(self, status: str, why: str, mailbox: Mailbox) -> VariantAnswer:
        return VariantAnswer(
            version=self.variant.version,
            role=Role.SHADOW,
            status=status,
            error=why,
            latency_ns=int((monotonic() - mailbox.arrived_at) * 1e9),
            host=self.standing.host if status == "failed" else "",
            environment=self.standing.environment if status == "failed" else "",
        )

    def _settle(self, mailbox: Mailbox, answer: VariantAnswer) -> None:
        """Record what came of a request, after its decision: a record never tells of an answer to nothing."""
        if mailbox.decided:
            self._write(mailbox, answer)
        else:
            self._held.append((mailbox, answer))

    def _write(self, mailbox: Mailbox, answer: VariantAnswer) -> None:
        self._record(AnsweredLate(RECORD_FORMAT, mailbox.request_id, mailbox.plan.endpoint, wall_ns(), answer))


def given_up_after_s(deadline_s: float) -> float:
    """How long after its arrival a request without a shadow's answer is given up, seconds."""
    return max(_SHORTEST_WAIT_S, deadline_s * _DEADLINES_WAITED)


def _cut(cutter: Cutter, rows: int, status: int, said: object) -> tuple[tuple[StoredColumn, ...] | None, str | None]:
    """The next request's outputs, or what is wrong with them."""
    if status:
        return None, f"{said.get('code')}: {said.get('message')}" if isinstance(said, dict) else "it does not say why"
    try:
        return cutter.cut(rows), None
    except ValueError as problem:
        return None, f"the host's answer is cut off: {problem}"
    finally:
        cutter.skip(rows)


def shadow_key(endpoint: str, shadow: Shadow) -> str:
    """Names the shadow's host on a machine: never that of a variant, which must not run at a shadow's priority."""
    return f"{endpoint}/{shadow.variant.version}@{shadow.variant.manifest[7:19]}~shadow"


def shadow_variant(shadow: Shadow, plan: Plan) -> Variant:
    """The shadow, ready to be asked beside a plan."""
    places = {field.name: index for index, field in enumerate(plan.contract.inputs)}
    return Variant(
        planned=shadow.variant,
        key=shadow_key(plan.endpoint, shadow),
        columns=tuple(places[name] for name in shadow.variant.inputs),
        version=shadow.variant.version,
        role=Role.SHADOW,
    )
