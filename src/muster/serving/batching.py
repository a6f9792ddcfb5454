"""One lane per host: what arrives while the host computes goes next, as one batch. No timer.

How many rows a batch may have follows the host: more when full batches come back quickly, half when one took longer than its
share of the requests' deadline (additive increase, multiplicative decrease, as in Clipper, NSDI 2017, section 4.3).

A host that dies takes its batch with it. The requests of that batch go to its successor one at a time, so that one bad
request cannot take others down twice; a request that was alone in its batch when a host died, for the second time, is
quarantined: the same input is not sent to this version again for ten minutes.
"""

import time
from collections import deque
from collections.abc import Iterator
from hashlib import sha256
from itertools import count
from time import monotonic

import structlog

from muster.serving.decisions import Outcome
from muster.serving.pieces import Cutter, Raw, put_together, row_bytes
from muster.serving.plan import Variant
from muster.serving.rendezvous import Mailbox, Rendezvous
from muster.serving.workers.link import HostLink
from muster.serving.workers.roster import HostStanding
from muster.wire.contracts import Field
from muster.wire.records import StoredColumn, VariantAnswer
from muster_host import frames

#: What a batch may have before anything is known of the host, and at most.
FIRST_BATCH_ROWS = 256
MAX_BATCH_ROWS = 4096
_MORE_ROWS = 16
#: The share of a deadline that one batch may take.
_BATCH_SHARE = 0.25
_SMOOTHING = 0.2
#: A batch takes at most so many times what its computing takes, as other fronts have theirs computed by the same host, and so
#: many seconds more.
_BEYOND_COMPUTING = 4.0
#: How long a host has to be idle, seconds, before what its batches took is believed half as much every second.
_IDLE_S = 0.1
_ON_THE_WAY_S = 0.001
MAX_QUEUED = 4096
#: How long requests wait for a host that is gone before its absence counts as a failure.
_PATIENCE_WITH_ABSENT_HOST_S = 0.25
_FAILED_FOR_GOOD = frozenset({"golden_failed", "load_failed"})
_QUARANTINE_S = 600.0
#: A host that has one batch for longer than this, and longer than its requests' deadlines, hangs.
_HUNG_AFTER_S = 10.0
_TOO_LATE = "its deadline had passed before the host was free"
_COUNTING_SINCE_S = 1_700_000_000
log = structlog.get_logger()


#: One request on its way to one variant: its mailbox and the variant's index in its plan.
_Parcel = tuple[Mailbox, int]


class Lane:
    """The way to one host, for one front.

    Args:
        variant: whose host it is.
        inputs: the fields the version takes, in its order.
        outputs: the fields it answers with.
        rendezvous: told of every answer.
        batches: numbers for batches; unique per host for ever.
    """

    def __init__(
        self,
        variant: Variant,
        inputs: tuple[Field, ...],
        outputs: tuple[Field, ...],
        rendezvous: Rendezvous,
        batches: Iterator[int],
    ) -> None:
        self.key = variant.key
        self.standing = HostStanding(variant.key, "starting")
        self._version = variant.version
        self._inputs = inputs
        self._outputs = outputs
        self._row_bytes = tuple(map(row_bytes, outputs))
        self._rendezvous = rendezvous
        self._link: HostLink | None = None
        self._absent_since = monotonic()
        self._queue: deque[_Parcel] = deque()
        self._queued_rows = 0
        self._again: deque[_Parcel] = deque()
        self._deaths: dict[Mailbox, tuple[int, int]] = {}
        """Of requests that were with a host that ended: how often, and how often alone."""
        self._in_flight: list[_Parcel] = []
        self._in_flight_since = 0.0
        self._batches = batches
        self._sequence = -1
        self._batch_rows = 0
        self._is_resent = False
        """The batch under way is one request that was with a host that ended; it teaches nothing about batches."""
        self._most_rows = FIRST_BATCH_ROWS
        self._learnt_at = 0.0
        self._batch_s = 0.0
        self._usual_rows = 1.0
        self._quarantine: dict[bytes, float] = {}

    @property
    def is_up(self) -> bool:
        """Whether a host is connected that has passed its golden answers."""
        return self._link is not None

    @property
    def queued(self) -> int:
        """Requests that wait for the host."""
        return len(self._queue) + len(self._again)

    @property
    def is_idle(self) -> bool:
        """Whether no request waits for the host or is with it."""
        return not (self._queue or self._again or self._in_flight)

    @property
    def is_hung(self) -> bool:
        """Whether the host has had its present batch for far too long."""
        if not self._in_flight:
            return False
        longest = max(_HUNG_AFTER_S, *(2 * mailbox.deadline_s for mailbox, _ in self._in_flight))
        return monotonic() - self._in_flight_since > longest

    @property
    def is_at_hand(self) -> bool:
        """Whether a host is there that would take one more request with its next batch."""
        return self._link is not None and self._queued_rows < self._most_rows

    @property
    def expected_wait_s(self) -> float:
        """How long a request that came now would wait for its answer, seconds; measured on the last batches."""
        if not self._in_flight:
            return 0.0
        # Of sums and not of single batches: one row that met a pause of the machine says nothing about rows.
        row_s = self._batch_s / self._usual_rows
        left_s = max(0.0, self._batch_rows * row_s - (monotonic() - self._in_flight_since))
        return left_s + (self._queued_rows + min(self._queued_rows, self._most_rows) + 1) * row_s

    def is_connected_to(self, host: str) -> bool:
        """Whether the lane's link is to that host process."""
        return self._link is not None and self._link.standing.host == host

    @property
    def is_given_up(self) -> bool:
        """Whether there is no host, and none is expected soon."""
        return not self.is_expected(_PATIENCE_WITH_ABSENT_HOST_S)

    def is_expected(self, absent_s: float) -> bool:
        """Whether a host is there, or has been absent for no longer than that and has not failed for good."""
        if self._link is not None:
            return True
        return self.standing.state not in _FAILED_FOR_GOOD and monotonic() - self._absent_since <= absent_s

    def submit(self, mailbox: Mailbox, index: int) -> None:
        """Send a request to the host, now or with the next batch."""
        if self._link is None and self.is_given_up and not self._is_last_hope(mailbox, index):
            self._fail(mailbox, index, f"no host of {self._version} runs: {self.standing.message or 'it is down'}")
        elif self._quarantine and self._is_quarantined(mailbox):
            self._fail(mailbox, index, "quarantined: this input ended a host of this version twice")
        elif len(self._queue) >= MAX_QUEUED:
            self._fail(mailbox, index, "too many requests wait for this version", "unsent")
        else:
            self._queue.append((mailbox, index))
            self._queued_rows += mailbox.rows
            if self._link is not None and not self._in_flight:
                self._send_next()

    def connect(self, link: HostLink) -> None:
        """A host is there; begin with what waits."""
        if self._link is not None:
            before = self._link
            self.lost(before)  # its batch goes to the new host
            before.close()
        self._link = link
        self.standing = link.standing
        self._send_next()

    def stands(self, standing: HostStanding) -> None:
        """The keeper says how the host is."""
        self.standing = standing
        if self.is_given_up:
            self._give_up()

    def close(self) -> None:
        """No plan names this host any more; whatever still waits fails."""
        if self._link is not None:
            self._link.close()
            self._link = None
        self._again.extend(self._in_flight)
        self._in_flight = []
        self._give_up("the release was withdrawn")

    def tidy(self) -> None:
        """Give up waiting for a host that has been gone for too long, and on requests that are over; called now and then."""
        if self.is_given_up:
            self._give_up()
        now = monotonic()
        while self._queue and _is_stale(self._queue[0][0], now):
            mailbox, index = self._queue.popleft()
            self._queued_rows -= mailbox.rows
            self._fail(mailbox, index, _TOO_LATE, "unsent")
        self._quarantine = {digest: until for digest, until in self._quarantine.items() if until > now}

    # What the link tells.

    def answered(self, link: HostLink, sequence: int, payload: memoryview) -> None:
        """The host answered its batch: the next one leaves first, then the answers are handed on."""
        if link is not self._link or sequence != self._sequence or not self._in_flight:
            return
        parcels, self._in_flight = self._in_flight, []
        batch_rows = self._batch_rows
        try:
            statuses, compute_ns, errors, _, columns, alone = frames.read_answer(payload)
            if len(statuses) != len(parcels) or len(columns) != len(self._outputs):
                raise frames.FrameError("the answer is for another batch")  # noqa: TRY301
        except frames.FrameError as error:
            self._send_next()
            for mailbox, index in parcels:
                self._fail(mailbox, index, f"the host's answer cannot be read: {error}")
            self._rendezvous.flush()
            return
        arrived = self._learnt_at = monotonic()
        if not self._is_resent:
            # An answer that has come waits until this front reads it. Where that is what takes long, the host is not the slow one, and
            # to refuse requests for its sake would make it idle.
            most_s = compute_ns / 1e9 * _BEYOND_COMPUTING + _ON_THE_WAY_S
            self._learn(min(arrived - self._in_flight_since, most_s), batch_rows, parcels[0][0].deadline_s)
        self._send_next()
        self._judge(parcels, statuses, arrived)
        first, at = parcels[0]
        first.variants[at].computed(batch_rows, len(parcels), compute_ns)
        standing = link.standing
        environment, host, threads, cpu = standing.environment, standing.host, standing.threads, standing.cpu
        version = self._version
        answer_of, answered = VariantAnswer, self._rendezvous.answered
        position = 0
        cutter = Cutter(self._outputs, self._row_bytes, columns)
        for place, (mailbox, index) in enumerate(parcels):
            rows = mailbox.rows
            outputs: tuple[StoredColumn, ...] | None = None
            wrong: str | None = None
            if statuses[place]:
                said = errors.get(place)
                wrong = (
                    f"{said.get('code')}: {said.get('message')}" if isinstance(said, dict) else "it does not say why"
                )
            else:
                try:
                    outputs = cutter.cut(rows)
                except ValueError as problem:
                    wrong = f"the host's answer is cut off: {problem}"
                cutter.skip(rows)
            latency_ns = int((arrived - mailbox.arrived_at) * 1e9)
            if outputs is None:
                outcome, status = Outcome.FAILED, "failed"
                mailbox.variants[index].failed(latency_ns)
            else:
                outcome, status = Outcome.ANSWERED, "answered"
                mailbox.variants[index].answered(latency_ns, mailbox.decided)
            # Positional, in the order of the record: it is made for every answer.
            answer = answer_of(
                version, mailbox.plan.variants[index].role, status, outputs, wrong, latency_ns, compute_ns, environment,
                host, sequence, position, rows if alone else batch_rows, alone, threads, cpu,
            )  # fmt: skip
            position += rows
            answered(mailbox, index, outcome, answer)
        self._rendezvous.flush()

    def erred(self, link: HostLink, sequence: int, payload: memoryview) -> None:
        """The host refused the batch as a whole."""
        if link is not self._link or sequence != self._sequence:
            return
        parcels, self._in_flight = self._in_flight, []
        message = bytes(payload[:2000]).decode("utf-8", "replace")
        self._send_next()
        for mailbox, index in parcels:
            self._fail(mailbox, index, f"the host refused the batch: {message}")
        self._rendezvous.flush()

    def lost(self, link: HostLink) -> None:
        """The host is gone: its batch goes to the next one, request by request."""
        if link is not self._link:
            return
        self._link = None
        self._absent_since = monotonic()
        parcels, self._in_flight = self._in_flight, []
        for mailbox, index in parcels:
            deaths, alone = self._deaths.get(mailbox, (0, 0))
            deaths += 1
            alone += len(parcels) == 1
            if deaths >= 2 and alone >= 1:
                self._deaths.pop(mailbox, None)
                self._quarantine[_input_digest(mailbox)] = monotonic() + _QUARANTINE_S
                log.error("request.quarantined", version=self._version, request_id=mailbox.request_id.hex())
                self._fail(mailbox, index, "quarantined: this input ended a host of this version twice")
            else:
                self._deaths[mailbox] = deaths, alone
                self._again.append((mailbox, index))
        self._rendezvous.flush()

    # Batches.

    def _send_next(self) -> None:
        link = self._link
        if link is None:
            return
        parcels = self._next_parcels()
        if not parcels:
            return
        self._sequence = sequence = next(self._batches)
        self._in_flight = parcels
        now = self._in_flight_since = monotonic()
        idle_s = now - self._learnt_at
        if idle_s > _IDLE_S:  # what was slow then may be no more, and nobody would find out if it had everybody refused
            self._batch_s *= 0.5**idle_s
        rows = [mailbox.rows for mailbox, _ in parcels]
        self._batch_rows = sum(rows)
        try:
            link.send(frames.predict_frame(sequence, rows, self._columns_of(parcels)))
        except Exception as error:  # as a batch beyond what a frame may hold; the lane must not wait for its answer
            log.exception("batch.not_sent", version=self._version)
            self._in_flight = []
            for mailbox, index in parcels:
                self._fail(mailbox, index, f"the batch could not be sent: {error}", "unsent")
            self._rendezvous.flush()
            return
        self._note_sent(parcels, sequence, link.standing)

    def _next_parcels(self) -> list[_Parcel]:
        now = monotonic()
        while self._again:
            mailbox, index = parcel = self._again.popleft()
            if not _is_stale(mailbox, now):
                self._is_resent = True
                return [parcel]
            self._deaths.pop(mailbox, None)
            self._fail(mailbox, index, "decided before a host was there again", "unsent")
        self._deaths.clear()
        self._is_resent = False
        queue = self._queue
        if not queue:
            return []
        if self._queued_rows <= self._most_rows and not _is_stale(queue[0][0], now):  # the whole queue fits
            parcels = list(queue)
            queue.clear()
            self._queued_rows = 0
            return parcels
        parcels = []
        rows = 0
        while queue:
            mailbox, index = parcel = queue[0]
            if parcels and rows + mailbox.rows > self._most_rows:
                break
            queue.popleft()
            self._queued_rows -= mailbox.rows
            if _is_stale(mailbox, now):
                self._fail(mailbox, index, _TOO_LATE, "unsent")
                continue
            parcels.append(parcel)
            rows += mailbox.rows
        return parcels

    def _learn(self, took_s: float, rows: int, deadline_s: float) -> None:
        """What a batch has taught: how large the next may be, and how long one takes."""
        self._batch_s += (took_s - self._batch_s) * _SMOOTHING
        self._usual_rows += (rows - self._usual_rows) * _SMOOTHING
        if took_s > deadline_s * _BATCH_SHARE:
            if rows * 2 > self._most_rows:
                fitting = int(rows * deadline_s * _BATCH_SHARE / took_s)  # halving would take seconds from 256 rows
                self._most_rows = max(min(self._most_rows // 2, fitting), 1)
        elif rows >= self._most_rows:
            self._most_rows = min(self._most_rows + _MORE_ROWS, MAX_BATCH_ROWS)

    def _judge(self, parcels: list[_Parcel], statuses: bytes, now: float) -> None:
        """Tell the plan's probations how the variant has kept its patience; of a whole batch at once where that is the same."""
        first, index = parcels[0]
        last = parcels[-1][0]
        plan = first.plan
        if (
            last.plan is plan
            and not any(statuses)
            and now - first.arrived_at <= plan.patience_s(index)
            and not first.probations.passed_over
        ):
            first.probations.answered(index, now, last.arrived_at, len(parcels))
            return
        for (mailbox, at), failed in zip(parcels, statuses, strict=True):
            if at not in mailbox.overdue:
                tell = mailbox.probations.failed if failed else mailbox.probations.answered
                self._rendezvous.on_probation(mailbox, at, tell(at, now, mailbox.arrived_at))

    def _columns_of(self, parcels: list[_Parcel]) -> list[Raw]:
        mailbox, index = parcels[0]
        if len(parcels) == 1:
            return [
                (mailbox.columns[at].data, mailbox.columns[at].nulls) for at in mailbox.plan.variants[index].columns
            ]
        plan = mailbox.plan
        if all(mailbox.plan is plan for mailbox, _ in parcels):
            gathered = [[mailbox.columns[at] for mailbox, _ in parcels] for at in plan.variants[index].columns]
        else:  # two releases with the same version, whose endpoints order their inputs differently
            picks = [(mailbox, mailbox.plan.variants[index].columns) for mailbox, index in parcels]
            gathered = [[mailbox.columns[pick[place]] for mailbox, pick in picks] for place in range(len(self._inputs))]
        return put_together(gathered, [mailbox.rows for mailbox, _ in parcels])

    def _note_sent(self, parcels: list[_Parcel], sequence: int, standing: HostStanding) -> None:
        """What a record says of a variant that has the request and has not answered yet."""
        position = 0
        version, batch_rows = self._version, self._batch_rows
        environment, host, threads, cpu = standing.environment, standing.host, standing.threads, standing.cpu
        for mailbox, index in parcels:
            mailbox.answers[index] = VariantAnswer(
                version, mailbox.plan.variants[index].role, "pending", None, None, 0, 0, environment, host, sequence,
                position, batch_rows, False, threads, cpu,
            )  # fmt: skip
            position += mailbox.rows

    # Ends.

    def _fail(self, mailbox: Mailbox, index: int, why: str, status: str = "failed") -> None:
        now = monotonic()
        latency_ns = int((now - mailbox.arrived_at) * 1e9)
        if index not in mailbox.overdue:
            event = mailbox.probations.failed(index, now, mailbox.arrived_at)
            self._rendezvous.on_probation(mailbox, index, event)
        if status == "failed":
            mailbox.variants[index].failed(latency_ns)
        else:
            mailbox.variants[index].unsent()
        before = mailbox.answers[index]
        answer = VariantAnswer(
            version=self._version,
            role=mailbox.plan.variants[index].role,
            status=status,
            error=why,
            latency_ns=latency_ns,
            environment=before.environment,
            host=before.host,
            batch=before.batch,
            position=before.position,
            batch_rows=before.batch_rows,
        )
        self._rendezvous.answered(mailbox, index, Outcome.FAILED, answer)

    def _give_up(self, why: str | None = None) -> None:
        waiting = [*self._again, *self._queue]
        self._again.clear()
        self._queue.clear()
        self._queued_rows = 0
        self._deaths.clear()
        for mailbox, index in waiting:
            if why is None and self._is_last_hope(mailbox, index):
                self._queue.append((mailbox, index))
                self._queued_rows += mailbox.rows
                continue
            self._fail(
                mailbox, index, why or f"no host of {self._version} runs: {self.standing.message or 'it is down'}"
            )
        self._rendezvous.flush()

    def _is_last_hope(self, mailbox: Mailbox, index: int) -> bool:
        """Whether nobody else can answer a request any more: it waits for a host to come back as long as it has time."""
        plan = mailbox.plan
        return (
            not mailbox.decided
            and plan.default_columns is None
            and index in plan.order
            and self.standing.state not in _FAILED_FOR_GOOD
            and not any(
                mailbox.outcomes[other] in {Outcome.PENDING, Outcome.ANSWERED} for other in plan.order if other != index
            )
        )

    def _is_quarantined(self, mailbox: Mailbox) -> bool:
        return self._quarantine.get(_input_digest(mailbox), 0.0) > monotonic()


def _is_stale(mailbox: Mailbox, now: float) -> bool:
    return mailbox.decided and now > mailbox.arrived_at + mailbox.deadline_s


def _input_digest(mailbox: Mailbox) -> bytes:
    digest = sha256()
    for column in mailbox.columns:
        digest.update(len(column.data).to_bytes(8, "little"))
        digest.update(column.data)
        digest.update(column.nulls or b"")
    return digest.digest()


def batch_numbers(front: int) -> Iterator[int]:
    """Numbers for the batches that one front sends to one host: no other front's, and no earlier run's.

    The last 12 bits are the front; the rest counts from where the clock stands, 2,048 a second, which no run overtakes on
    average. All stay below 2^53 until 2057.
    """
    begin = (int(time.time()) - _COUNTING_SINCE_S) * 2048
    return count((begin << 12) | front, 1 << 12)
