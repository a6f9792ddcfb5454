"""A request that is repeated with its idempotency key is carried out once, and answered as the first time.

A key belongs to a consumer and an endpoint and counts for ten minutes, on all fronts of a machine and through their restarts.

    claim laid ──► carried out ──► recorded ──► answered
       │                │              │
       └── killed here ─┘              └── killed here: the repetition finds the record and answers from it
           the repetition finds a claim without a record whose front is gone, and carries the request out

The same key with another input is refused. A request that got no answer leaves its key free, unless its decision may be on record
all the same: where the disk took the record and failed to make it safe (level `sync`), the caller got an error, and the key stays with
the decision. A repetition is answered from it once it is safe, for two decisions under one key would be two answers to one question.
"""

import asyncio
import os
import re
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from time import monotonic
from typing import Any, Protocol, TypeVar

import structlog

from muster.archive.records import Record
from muster.packaging.columns import Table
from muster.serving.claims import Claim, Claims, Name
from muster.serving.endpoint import Endpoints, Scored
from muster.serving.errors import IdempotencyKeyReused, RecordNotWritten, RequestMalformed, RequestUnderWay
from muster.serving.plan import Plan
from muster.serving.recalled import Recalled, recalled, was_answered
from muster.vocabulary.errors import MusterError
from muster.vocabulary.request_ids import request_id_text

#: After its deadline a request has so long to be recorded, before it counts as abandoned, seconds.
_GRACE_S = 0.25
_FIRST_LOOK_S = 0.004
_LONGEST_PAUSE_S = 0.05
_KEY = re.compile(r"[!-~]{1,200}")
_T = TypeVar("_T")
log = structlog.get_logger()


def checked_key(key: bytes | str) -> str:
    """An idempotency key as the caller gave it.

    Raises:
        RequestMalformed: it is none.
    """
    text = key.decode("latin-1") if isinstance(key, bytes) else key
    if _KEY.fullmatch(text) is None:
        raise RequestMalformed("the Idempotency-Key is 1 to 200 printable ASCII characters without spaces")
    return text


def input_digest(table: Table, variant: str) -> bytes:
    """What makes two requests the same: their checked rows, whatever form they came in, and the variant they ask for.

    Args:
        table: the rows.
        variant: the only one that may answer, or empty.
    """
    digest = sha256(f"1\n{variant}\n{table.rows}\n".encode())
    for name, column in table.columns.items():
        nulls = b"" if column.nulls is None or not any(column.nulls) else bytes(column.nulls)
        digest.update(f"{name!r} {column.datatype.value} {column.shape} {len(column.data)} {len(nulls)}\n".encode())
        digest.update(column.data)
        digest.update(nulls)
    return digest.digest()


class Past(Protocol):
    """The archive, as far as repetitions need it; called in threads."""

    def find(self, request_id: str, /) -> Record | None:
        """The record of a request by its written id; None: there is none."""
        ...

    def make_safe(self, request_id: str, /, *, writer_is_gone: bool) -> bool:
        """Whether no power cut can lose the record any more; makes sure of it where it may."""
        ...


class Idempotency:
    """Keeps keyed requests from being carried out twice; made on the front's event loop.

    Args:
        endpoints: carry requests out.
        claims: of this machine; used from one thread of its own.
        past: what was decided.
    """

    def __init__(self, endpoints: Endpoints, claims: Claims, past: Past) -> None:
        self._endpoints = endpoints
        self._claims = claims
        self._past = past
        self._loop = asyncio.get_running_loop()
        self._thread = ThreadPoolExecutor(1, "claims")
        self._under_way: dict[tuple[Name, bytes], asyncio.Task[Scored]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._owner = _process(os.getpid())

    async def score(self, key: str | None, plan: Plan, table: Table, **asked: Any) -> Scored:
        """What `Endpoints.score` gives; a `Recalled` where the request was carried out before.

        Args:
            key: the caller's; None: the request has none, and is carried out.
            plan: as for `Endpoints.score`.
            table: the request's rows.
            asked: the other arguments of `Endpoints.score`.

        Raises:
            IdempotencyKeyReused: the key was used for another input.
            RequestUnderWay: the first request is under way on another front, and this one's time is over.
            ClaimNotWritten: the key could not be noted.
            MusterError: what `Endpoints.score` raises.
        """
        if key is None:
            return await self._endpoints.score(plan, table, **asked)
        version = asked.get("version")
        digest = input_digest(table, "" if version is None else plan.variants[version].version)
        name = (asked["consumer"], plan.endpoint, key)
        # By input too: which of two inputs a key belongs to, the claims alone know.
        first = self._under_way.get((name, digest))
        if first is None:
            task = self._loop.create_task(self._once(name, digest, plan, table, asked), name="idempotency.once")
            self._under_way[name, digest] = task
            task.add_done_callback(lambda done: self._ended(name, digest, done))
            # Whoever asked may hang up; the request is carried out all the same, and others may wait for it.
            return await asyncio.shield(task)
        await asyncio.wait({first}, timeout=max(0.0, _until(plan, asked) - monotonic()))
        if not first.done():
            raise _still_under_way(name)
        scored = first.result()
        return Recalled(scored.mailbox, scored.decision)

    def submit(
        self,
        key: str,
        plan: Plan,
        table: Table,
        answered: Callable[[Scored | None, Exception | None], None],
        **asked: Any,
    ) -> None:
        """`score` for whoever does not wait.

        Args:
            key: the caller's.
            plan: as for `Endpoints.score`.
            table: the request's rows.
            answered: called once, with what `score` gives or with what it raises; must not raise.
            asked: the other arguments of `Endpoints.score`.
        """

        async def answer() -> None:
            try:
                scored = await self.score(key, plan, table, **asked)
            except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told
                answered(None, error)
            else:
                answered(scored, None)

        task = self._loop.create_task(answer(), name="idempotency.answer")
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    async def close(self) -> None:
        """Wait for what is under way, and close the file."""
        tasks = [*self._under_way.values(), *self._answering]
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._in_thread(self._claims.close)
        self._thread.shutdown()

    # One key, for the first who comes with it to this front.

    async def _once(self, name: Name, digest: bytes, plan: Plan, table: Table, asked: dict[str, Any]) -> Scored:
        request_id = self._endpoints.new_request_id()
        until = _until(plan, asked)
        while True:
            there = await self._in_thread(self._claims.claim, name, digest, request_id, self._owner, until)
            if there is None:
                break
            if there.digest != digest:
                raise _reused(name)
            # In this order: what a front that is gone has recorded can be read.
            is_gone = _is_abandoned(there)
            record = await asyncio.to_thread(self._past.find, request_id_text(there.request_id))
            if record is not None and was_answered(record):
                if await self._is_safe(name, plan, there):
                    return recalled(record, plan)
                await self._made_safe(name, there, until)
            elif record is not None or is_gone:
                taken = (there.request_id, request_id, self._owner, until)
                if await self._in_thread(self._claims.take_over, name, *taken):
                    log.info("request.taken_over", endpoint=name[1], request_id=request_id_text(there.request_id))
                    break
            else:
                await self._other_front(name, there, until)
        return await self._carry_out(name, request_id, plan, table, asked)

    async def _other_front(self, name: Name, claim: Claim, until: float) -> None:
        """Wait, by cheap looks at the claim, while another front carries the request out."""
        there: Claim | None = claim
        pause_s = _FIRST_LOOK_S
        while there is not None and not _is_abandoned(there):
            if monotonic() > until + (_GRACE_S if there.decided else 0):
                raise _still_under_way(name)
            await asyncio.sleep(pause_s)
            if there.decided:
                return
            pause_s = min(pause_s * 1.5, _LONGEST_PAUSE_S)
            there = await self._in_thread(self._claims.find, name)

    async def _is_safe(self, name: Name, plan: Plan, claim: Claim) -> bool:
        """Whether an answer may be given from a record: at level `sync` no power cut may take back what was answered."""
        if claim.decided or plan.document.archive_level != "sync":
            return True
        request_id, is_gone = request_id_text(claim.request_id), not _is_alive(claim.owner)
        is_safe = await asyncio.to_thread(self._past.make_safe, request_id, writer_is_gone=is_gone)
        if is_safe:
            self._thread.submit(self._noted, self._claims.note_decided, name, claim.request_id)
        return is_safe

    async def _made_safe(self, name: Name, claim: Claim, until: float) -> None:
        """Wait until a record may be safe: its fsync is under way, or has failed and is made good by another front or this one."""
        if not _is_abandoned(claim):
            await self._other_front(name, claim, until)
        elif monotonic() > until:
            raise RequestUnderWay(
                f"the request to endpoint {name[1]!r} with the idempotency key {name[2]!r} is decided, and the disk has not made its "
                "record safe yet",
                endpoint=name[1],
            )
        else:
            await asyncio.sleep(_LONGEST_PAUSE_S)

    async def _carry_out(
        self, name: Name, request_id: bytes, plan: Plan, table: Table, asked: dict[str, Any]
    ) -> Scored:
        served = self._still(plan, asked)
        try:
            scored = await self._endpoints.score(served, table, **asked, idempotency_key=name[2], request_id=request_id)
        except BaseException as error:
            # There is no answer, so there is nothing to repeat; unless the answer was lost behind a record that is there.
            is_kept = isinstance(error, RecordNotWritten) and await self._may_be_on_record(served, request_id)
            note = self._keep if is_kept else self._claims.release
            await asyncio.shield(self._in_thread(self._noted, note, name, request_id))
            raise
        self._thread.submit(self._noted, self._claims.note_decided, name, request_id)
        return scored

    def _keep(self, name: Name, request_id: bytes) -> None:
        """Keep a claim that nobody decides any more, so that a repetition looks at the record at once."""
        self._claims.take_over(name, request_id, request_id, self._owner, monotonic() - _GRACE_S)

    async def _may_be_on_record(self, plan: Plan, request_id: bytes) -> bool:
        """Whether a decision can be found although its front was told that it was not recorded: only a sync fails after writing."""
        if plan.document.archive_level != "sync":
            return False
        try:
            record = await asyncio.to_thread(self._past.find, request_id_text(request_id))
        except Exception as error:  # noqa: BLE001 - who cannot look has to expect that it is there
            log.warning("request.not_looked_for", request_id=request_id_text(request_id), error=repr(error))
            return True
        return record is not None

    def _still(self, plan: Plan, asked: dict[str, Any]) -> Plan:
        """The plan that is served now, if the rows were checked for it too: a release may have been switched meanwhile."""
        now = self._endpoints.find(plan.endpoint)
        is_other = asked.get("version") is not None or now.document.contract_digest != plan.document.contract_digest
        return plan if is_other else now

    @staticmethod
    def _noted(note: Callable[[Name, bytes], object], name: Name, request_id: bytes) -> None:
        try:
            note(name, request_id)
        except MusterError as error:
            log.warning("claim.not_noted", error=error.message)

    def _ended(self, name: Name, digest: bytes, task: asyncio.Task[Scored]) -> None:
        self._under_way.pop((name, digest), None)
        if not task.cancelled():
            task.exception()  # whoever asked may have hung up; then nobody else looks at it

    def _in_thread(self, call: Callable[..., _T], *arguments: Any) -> "asyncio.Future[_T]":
        return self._loop.run_in_executor(self._thread, call, *arguments)


def _until(plan: Plan, asked: dict[str, Any]) -> float:
    """By when a request is decided, on the monotonic clock."""
    arrived_at: float = asked["arrived_at"]
    return arrived_at + plan.granted_s(asked.get("deadline_s"), asked.get("overrides", ()))


def _is_abandoned(claim: Claim) -> bool:
    """Whether nobody is going to decide the request any more: its front is gone, or long past the deadline."""
    return monotonic() > claim.until + _GRACE_S or not _is_alive(claim.owner)


def _process(pid: int) -> str:
    """A process by a name that no later one has: its pid and when it was started."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    state, *numbers = stat.rpartition(")")[2].split()
    return "" if state in {"Z", "X"} else f"{pid}:{numbers[18]}"


def _is_alive(owner: str) -> bool:
    """Whether a process that called itself so runs; where the system does not tell, it is taken to."""
    return owner == "" or _process(int(owner.partition(":")[0])) == owner


def _reused(name: Name) -> IdempotencyKeyReused:
    return IdempotencyKeyReused(
        f"the idempotency key {name[2]!r} was used for another request to endpoint {name[1]!r}", endpoint=name[1]
    )


def _still_under_way(name: Name) -> RequestUnderWay:
    return RequestUnderWay(
        f"the request to endpoint {name[1]!r} with the idempotency key {name[2]!r} is still under way", endpoint=name[1]
    )
