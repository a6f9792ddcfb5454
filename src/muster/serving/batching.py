"""One lane per host: what arrives while the host computes goes next, as one batch. No timer.

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

from muster.packaging.columns import Column
from muster.serving.decisions import Outcome
from muster.serving.plan import Variant
from muster.serving.rendezvous import Mailbox, Rendezvous
from muster.serving.workers.link import HostLink
from muster.serving.workers.roster import HostStanding
from muster.vocabulary.tensors import ITEM_BYTES
from muster.wire.contracts import Field
from muster.wire.records import StoredColumn, VariantAnswer
from muster_host import frames

MAX_BATCH_ROWS = 256
MAX_QUEUED = 4096
#: How long requests wait for a host that is gone before its absence counts as a failure.
_PATIENCE_WITH_ABSENT_HOST_S = 0.25
_QUARANTINE_S = 600.0
#: A host that has one batch for longer than this, and longer than its requests' deadlines, hangs.
_HUNG_AFTER_S = 30.0
_COUNTING_SINCE_S = 1_700_000_000
log = structlog.get_logger()


class _Parcel:
    """One request on its way to one variant."""

    __slots__ = ("alone_deaths", "deaths", "index", "mailbox")

    def __init__(self, mailbox: Mailbox, index: int) -> None:
        self.mailbox = mailbox
        self.index = index
        self.deaths = 0
        self.alone_deaths = 0


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
        self._row_bytes = tuple(_row_bytes(field) for field in outputs)
        self._rendezvous = rendezvous
        self._link: HostLink | None = None
        self._absent_since = monotonic()
        self._queue: deque[_Parcel] = deque()
        self._again: deque[_Parcel] = deque()
        self._in_flight: list[_Parcel] = []
        self._in_flight_since = 0.0
        self._batches = batches
        self._sequence = -1
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
        longest = max(_HUNG_AFTER_S, *(2 * parcel.mailbox.deadline_s for parcel in self._in_flight))
        return monotonic() - self._in_flight_since > longest

    def is_connected_to(self, host: str) -> bool:
        """Whether the lane's link is to that host process."""
        return self._link is not None and self._link.standing.host == host

    @property
    def is_given_up(self) -> bool:
        """Whether there is no host, and none is expected soon."""
        if self._link is not None:
            return False
        if self.standing.state in {"golden_failed", "load_failed"}:
            return True
        return monotonic() - self._absent_since > _PATIENCE_WITH_ABSENT_HOST_S

    def submit(self, mailbox: Mailbox, index: int) -> None:
        """Send a request to the host, now or with the next batch."""
        if self.is_given_up:
            self._fail(
                _Parcel(mailbox, index), f"no host of {self._version} runs: {self.standing.message or 'it is down'}"
            )
        elif self._quarantine and self._is_quarantined(mailbox):
            self._fail(_Parcel(mailbox, index), "quarantined: this input ended a host of this version twice")
        elif len(self._queue) >= MAX_QUEUED:
            self._unsent(_Parcel(mailbox, index), "too many requests wait for this version")
        else:
            self._queue.append(_Parcel(mailbox, index))
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
        """Give up waiting for a host that has been gone for too long; called now and then."""
        if self.is_given_up:
            self._give_up()
        now = monotonic()
        self._quarantine = {digest: until for digest, until in self._quarantine.items() if until > now}

    # What the link tells.

    def answered(self, link: HostLink, sequence: int, payload: memoryview) -> None:
        """The host answered its batch: the next one leaves first, then the answers are handed on."""
        if link is not self._link or sequence != self._sequence or not self._in_flight:
            return
        parcels, self._in_flight = self._in_flight, []
        try:
            statuses, compute_ns, errors, rows, columns, alone = frames.read_answer(payload)
            if len(statuses) != len(parcels) or len(columns) != len(self._outputs):
                raise frames.FrameError("the answer is for another batch")  # noqa: TRY301
        except frames.FrameError as error:
            self._send_next()
            for parcel in parcels:
                self._fail(parcel, f"the host's answer cannot be read: {error}")
            return
        arrived = monotonic()
        batch_rows = sum(parcel.mailbox.rows for parcel in parcels)
        self._send_next()
        taken = 0
        offsets = [0] * len(columns)
        standing = link.standing
        position = 0
        for place, parcel in enumerate(parcels):
            mailbox = parcel.mailbox
            outputs: tuple[StoredColumn, ...] | None = None
            wrong: str | None = None
            if statuses[place]:
                said = errors.get(place) or {}
                wrong = f"{said.get('code')}: {said.get('message')}"
            else:
                try:
                    outputs = self._cut(columns, offsets, taken, mailbox.rows)
                except ValueError as problem:
                    wrong = f"the host's answer is cut off: {problem}"
                taken += mailbox.rows
            outcome = Outcome.FAILED if outputs is None else Outcome.ANSWERED
            answer = VariantAnswer(
                version=self._version,
                role=mailbox.plan.variants[parcel.index].planned.role,
                status="failed" if outputs is None else "answered",
                outputs=outputs,
                error=wrong,
                latency_ns=int((arrived - mailbox.arrived_at) * 1e9),
                compute_ns=compute_ns,
                environment=standing.environment,
                host=standing.host,
                batch=sequence,
                position=position,
                batch_rows=mailbox.rows if alone else batch_rows,
                alone=alone,
                threads=standing.threads,
                cpu=standing.cpu,
            )
            position += mailbox.rows
            self._rendezvous.answered(mailbox, parcel.index, outcome, answer)
        if taken > rows:
            log.warning("host.answer_short", version=self._version, host=standing.host)

    def erred(self, link: HostLink, sequence: int, payload: memoryview) -> None:
        """The host refused the batch as a whole."""
        if link is not self._link or sequence != self._sequence:
            return
        parcels, self._in_flight = self._in_flight, []
        message = bytes(payload[:2000]).decode("utf-8", "replace")
        self._send_next()
        for parcel in parcels:
            self._fail(parcel, f"the host refused the batch: {message}")

    def lost(self, link: HostLink) -> None:
        """The host is gone: its batch goes to the next one, request by request."""
        if link is not self._link:
            return
        self._link = None
        self._absent_since = monotonic()
        parcels, self._in_flight = self._in_flight, []
        for parcel in parcels:
            parcel.deaths += 1
            if len(parcels) == 1:
                parcel.alone_deaths += 1
            if parcel.deaths >= 2 and parcel.alone_deaths >= 1:
                self._quarantine[_input_digest(parcel.mailbox)] = monotonic() + _QUARANTINE_S
                log.error("request.quarantined", version=self._version, request_id=parcel.mailbox.request_id.hex())
                self._fail(parcel, "quarantined: this input ended a host of this version twice")
            else:
                self._again.append(parcel)

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
        self._in_flight_since = monotonic()
        columns = self._columns_of(parcels)
        link.send(frames.predict_frame(sequence, [parcel.mailbox.rows for parcel in parcels], columns))
        self._note_sent(parcels, sequence, link.standing)

    def _next_parcels(self) -> list[_Parcel]:
        now = monotonic()
        while self._again:
            parcel = self._again.popleft()
            if not self._is_stale(parcel, now):
                return [parcel]
            self._unsent(parcel, "decided before a host was there again")
        parcels: list[_Parcel] = []
        rows = 0
        while self._queue:
            parcel = self._queue[0]
            if parcels and rows + parcel.mailbox.rows > MAX_BATCH_ROWS:
                break
            self._queue.popleft()
            if self._is_stale(parcel, now):
                self._unsent(parcel, "its deadline had passed before the host was free")
                continue
            parcels.append(parcel)
            rows += parcel.mailbox.rows
        return parcels

    def _is_stale(self, parcel: _Parcel, now: float) -> bool:
        mailbox = parcel.mailbox
        return mailbox.decided and now > mailbox.arrived_at + mailbox.deadline_s

    def _columns_of(self, parcels: list[_Parcel]) -> list[tuple[bytes, bytes | None]]:
        if len(parcels) == 1:
            mailbox = parcels[0].mailbox
            picked = mailbox.plan.variants[parcels[0].index].columns
            return [(mailbox.columns[at].data, mailbox.columns[at].nulls) for at in picked]  # type: ignore[misc]
        joined = []
        picks = [parcel.mailbox.plan.variants[parcel.index].columns for parcel in parcels]
        for place in range(len(self._inputs)):
            parts: list[Column] = [
                parcel.mailbox.columns[pick[place]] for parcel, pick in zip(parcels, picks, strict=True)
            ]
            nulls = None
            if any(part.nulls is not None for part in parts):
                nulls = b"".join(
                    bytes(parcel.mailbox.rows) if part.nulls is None else part.nulls
                    for parcel, part in zip(parcels, parts, strict=True)
                )
            joined.append((b"".join(part.data for part in parts), nulls))
        return joined

    def _note_sent(self, parcels: list[_Parcel], sequence: int, standing: HostStanding) -> None:
        batch_rows = sum(parcel.mailbox.rows for parcel in parcels)
        position = 0
        for parcel in parcels:
            mailbox = parcel.mailbox
            self._rendezvous.sent(
                mailbox,
                parcel.index,
                VariantAnswer(
                    version=self._version,
                    role=mailbox.plan.variants[parcel.index].planned.role,
                    status="pending",
                    environment=standing.environment,
                    host=standing.host,
                    batch=sequence,
                    position=position,
                    batch_rows=batch_rows,
                    threads=standing.threads,
                    cpu=standing.cpu,
                ),
            )
            position += mailbox.rows

    def _cut(
        self, columns: list[tuple[memoryview, memoryview | None]], offsets: list[int], start: int, rows: int
    ) -> tuple[StoredColumn, ...]:
        """The outputs of one request out of a batch's; `offsets` remembers where each BYTES column is."""
        outputs = []
        for place, (field, row_bytes, (data, nulls)) in enumerate(
            zip(self._outputs, self._row_bytes, columns, strict=True)
        ):
            if row_bytes is None:
                begin = offsets[place]
                end = begin
                for _ in range(rows * _elements(field)):
                    end += 4 + int.from_bytes(data[end : end + 4], "little")
                offsets[place] = end
            else:
                begin, end = start * row_bytes, (start + rows) * row_bytes
            if end > len(data):
                raise ValueError(f"output {field.name!r} has {len(data)} bytes")
            part = None if nulls is None else bytes(nulls[start : start + rows])
            outputs.append(StoredColumn(field.name, field.datatype, field.shape, bytes(data[begin:end]), part))
        return tuple(outputs)

    # Ends.

    def _fail(self, parcel: _Parcel, why: str, status: str = "failed") -> None:
        mailbox = parcel.mailbox
        before = mailbox.answers[parcel.index]
        answer = VariantAnswer(
            version=self._version,
            role=mailbox.plan.variants[parcel.index].planned.role,
            status=status,
            error=why,
            latency_ns=int((monotonic() - mailbox.arrived_at) * 1e9),
            environment=before.environment,
            host=before.host,
            batch=before.batch,
            position=before.position,
            batch_rows=before.batch_rows,
        )
        self._rendezvous.answered(mailbox, parcel.index, Outcome.FAILED, answer)

    def _unsent(self, parcel: _Parcel, why: str) -> None:
        self._fail(parcel, why, status="unsent")

    def _give_up(self, why: str | None = None) -> None:
        waiting = [*self._again, *self._queue]
        self._again.clear()
        self._queue.clear()
        for parcel in waiting:
            self._fail(parcel, why or f"no host of {self._version} runs: {self.standing.message or 'it is down'}")

    def _is_quarantined(self, mailbox: Mailbox) -> bool:
        return self._quarantine.get(_input_digest(mailbox), 0.0) > monotonic()


def _input_digest(mailbox: Mailbox) -> bytes:
    digest = sha256()
    for column in mailbox.columns:
        digest.update(len(column.data).to_bytes(8, "little"))
        digest.update(column.data)
        digest.update(column.nulls or b"")
    return digest.digest()


def _elements(field: Field) -> int:
    elements = 1
    for extent in field.shape:
        elements *= extent
    return elements


def _row_bytes(field: Field) -> int | None:
    """Bytes of one row, None where they vary."""
    item = ITEM_BYTES.get(field.datatype)
    return None if item is None else item * _elements(field)


def batch_numbers(front: int) -> Iterator[int]:
    """Numbers for the batches that one front sends to one host: no other front's, and no earlier run's.

    The last 12 bits are the front; the rest counts from where the clock stands, 2,048 a second, which no run overtakes on
    average. All stay below 2^53 until 2057.
    """
    begin = (int(time.time()) - _COUNTING_SINCE_S) * 2048
    return count((begin << 12) | front, 1 << 12)
