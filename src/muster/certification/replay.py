"""Replay: a past request is computed again, on the sealed bundle, in its environment, in the very batch it was in.

Linear algebra gives other last bits for other batch sizes, so one request alone proves nothing. The record names host,
batch and position of every answer; replay gathers the other members of that batch from the archive, puts the rows
together in the same order with the same borders between requests, and has a fresh host compute them once. `identical`
means bit for bit. Where a member is missing, the batch is incomplete: then answers are compared within the tolerance
that the bundle declares, and never called identical.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import structlog

from muster.access.actor import Call
from muster.access.roles import Right
from muster.archive.errors import RequestNotFound
from muster.archive.reader import Reader
from muster.archive.records import Record
from muster.archive.service import Requests
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.blobs.protocol import Blobs
from muster.certification import store
from muster.certification.recorded import column_of, inputs_of
from muster.environments.shelf import Built, Shelf
from muster.packaging.bundle import read_bundle
from muster.packaging.columns import Column, Table, joined, rows_between
from muster.packaging.documents import Bundle
from muster.packaging.golden import Comparison, compare, tolerance_of
from muster.packaging.sealed import materialise
from muster.registry.service import Registry
from muster.runtimes.channel import Answer, Channel
from muster.runtimes.host import running_host
from muster.sessions.errors import SessionInterrupted
from muster.sessions.records import REPLAY, Session
from muster.sessions.service import Sessions
from muster.storage.transaction import Database
from muster.vocabulary.digests import DigestMalformed, checked_digest
from muster.vocabulary.errors import MusterError
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import SessionState
from muster.wire.records import VariantAnswer

Say = Callable[[str], None]
_DIGEST_BEGINS = 19
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantReplay:
    """What came of computing one variant's answer again."""

    version: str
    identical: bool
    """Bit for bit, in the complete batch."""
    within_tolerance: bool
    """No value is further away than the bundle declares for its golden answers."""
    largest_deviation: float | None
    """Largest |replayed - recorded|; infinite where null, NaN or text differ; None when nothing could be compared."""
    where: str | None
    """The value that differs most, in words."""
    batch_complete: bool
    batch_requests: int
    """Members of the batch that were computed together."""
    batch_rows: int
    rows_missing: int
    """Rows of the batch whose requests the archive does not hold."""
    differences: tuple[str, ...]
    """What is not as it was: the answer, the batch, the environment, the hardware."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplayResult:
    """What came of a replay."""

    request_id: str
    identical: bool
    """Every answer that was computed then is the same now, bit for bit."""
    differences: tuple[str, ...]
    """Of all variants, each beginning with the version."""
    variants: tuple[VariantReplay, ...]

    def document(self) -> dict[str, Any]:
        """Plain JSON-able values, for a session's result."""
        found = msgspec.to_builtins(self)
        for variant in found["variants"]:
            if variant["largest_deviation"] is not None and math.isinf(variant["largest_deviation"]):
                variant["largest_deviation"] = "Infinity"
        assert isinstance(found, dict)
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedBundle:
    """A version as it was registered, ready to be run."""

    folder: Path
    bundle: Bundle
    environment: Built


class Replays:
    """Replays past requests: `replay` asks for it, `run` does it, in an executor.

    Args:
        database: where sessions are kept.
        journal: where it is put on record that somebody asked.
        sessions: every execution of long work.
        registry: knows each version's bundle.
        requests: which past requests the caller may see.
        reader: finds records and batches.
        blobs: where the files of bundles lie.
        bundles: folder in which bundles are unpacked.
        environments: the environments of this machine.
        logs: folder for what hosts say.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        sessions: Sessions,
        registry: Registry,
        requests: Requests,
        reader: Reader,
        blobs: Blobs,
        bundles: Path,
        environments: Shelf,
        logs: Path,
    ) -> None:
        self._database = database
        self._journal = journal
        self._sessions = sessions
        self._registry = registry
        self._requests = requests
        self._reader = reader
        self._blobs = blobs
        self._bundles = bundles
        self._environments = environments
        self._logs = logs

    def replay(self, call: Call, request_id: str) -> Session:
        """A session that replays the request; one that is queued or running already serves as well.

        Raises:
            RequestNotFound: there is no such record, or the caller may not see it.
            RightMissing: the caller may not replay it.
        """
        record = self._requests.request(call, request_id)
        if not call.may(Right.REPLAY) and not (call.may(Right.REPLAY_OWN) and self._requests.is_own(call, record)):
            call.require(Right.REPLAY)
        with self._database.write() as tx:
            entry = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            if entry is not None:
                return self._sessions.session_in(tx, call.project, msgspec.json.decode(entry.details)["session"])
            session, _ = self._sessions.queue(tx, call, REPLAY, record.request_id)
            self._journal.append(
                tx,
                Deed(
                    actor=call.actor.name,
                    action="replay.requested",
                    subject=record.request_id,
                    project=call.project,
                    details={"session": session.id, "endpoint": record.decided.endpoint},
                    idempotency_key=call.idempotency_key,
                    request_digest=call.request_digest,
                ),
            )
        return session

    def run(self, session: Session, say: Say) -> Session:
        """Do the work of a claimed session; called by an executor. `passed` means identical.

        Args:
            session: claimed, running.
            say: takes lines of progress.

        Raises:
            SessionInterrupted: the session was ended meanwhile; nothing is kept.
        """
        try:
            found = self._replayed(session, say)
        except SessionInterrupted:
            raise
        except MusterError as error:
            log.warning("replay.failed", session=session.id, request_id=session.subject, error=str(error))
            result: dict[str, Any] = {
                "request_id": session.subject,
                "identical": False,
                "differences": [f"it could not be computed again: {error.message}"],
                "variants": [],
                "error": {"code": error.code, "message": error.message},
            }
            return self._finish(session, SessionState.FAILED, result)
        return self._finish(session, SessionState.PASSED if found.identical else SessionState.FAILED, found.document())

    def _replayed(self, session: Session, say: Say) -> ReplayResult:
        record = self._reader.find(session.subject)
        if record is None:
            raise RequestNotFound(f"there is no request {session.subject}", request_id=session.subject)

        return replay(
            record,
            self._reader,
            lambda answer: self._sealed(session.project, answer, say),
            self._logs / "replays.log",
            say,
        )

    def _finish(self, session: Session, state: SessionState, result: dict[str, Any]) -> Session:
        with self._database.write() as tx:
            return self._sessions.finish(tx, session, state, result)

    def _sealed(self, project: str, answer: VariantAnswer, say: Say) -> SealedBundle:
        with self._database.read() as tx:
            version = self._registry.version_in(tx, project, VersionName.parse(answer.version))
            twins = store.twins_of(tx, project, version.name)
        # What answered was the version itself or a compiled twin of it: the environment tells which.
        made = (twin.twinned.manifest for twin in twins if twin.twinned.environment == answer.environment)
        digest = next(made, version.digest)
        folder = materialise(digest, self._blobs, self._bundles)
        bundle = read_bundle(folder)
        return SealedBundle(folder=folder, bundle=bundle, environment=self._environment(folder, bundle, answer, say))

    def _environment(self, folder: Path, bundle: Bundle, answer: VariantAnswer, say: Say) -> Built:
        """The very environment of the answer if this machine has it or can rebuild it from its seal, otherwise what the lock gives here."""
        try:
            wanted = checked_digest(answer.environment)
            return self._environments.verify(wanted)
        except DigestMalformed:
            return self._environments.ensure(folder, bundle, say)
        except MusterError as error:
            say(f"{answer.version}: {error.message}")
        with self._database.read() as tx:
            seal = store.seal_of(tx, wanted)
        if seal is not None:
            self._environments.remember(wanted, seal)
        return self._environments.ensure(folder, bundle, say)


def replay(
    record: Record,
    reader: Reader,
    sealed: Callable[[VariantAnswer], SealedBundle],
    host_log: Path,
    say: Say = lambda _: None,
) -> ReplayResult:
    """Compute again what every variant computed for a request, and compare.

    Args:
        record: what happened.
        reader: finds the other members of each batch.
        sealed: gives the bundle and the environment that an answer came from.
        host_log: where the hosts write.
        say: told of each step.

    Raises:
        MusterError: a bundle, an environment or a host cannot be had; the message says which and why.
    """
    computed = [answer for answer in record.answers() if answer.host and answer.status in {"answered", "failed"}]
    variants = tuple(
        _replay_variant(record, answer, reader, sealed, host_log, say)
        for answer in computed
        if answer.outputs is not None or _is_of_the_model(answer)
    )
    differences = [f"{variant.version}: {text}" for variant in variants for text in variant.differences]
    if not variants:
        differences = ["no variant computed an answer, so there is nothing to compute again"]
    return ReplayResult(
        request_id=record.request_id,
        identical=bool(variants) and all(variant.identical for variant in variants),
        differences=tuple(differences),
        variants=variants,
    )


@dataclass(frozen=True, slots=True)
class _Batch:
    """The members of a batch, and this request's place among them."""

    records: tuple[Record, ...]
    place: int
    rows: int
    """Rows that the batch had."""

    @property
    def request_rows(self) -> tuple[int, ...]:
        """Rows of each request that was found, in the order of the batch."""
        return tuple(record.decided.rows for record in self.records)

    @property
    def rows_missing(self) -> int:
        """Rows of the batch whose requests the archive does not hold; 0: it is complete."""
        return max(0, self.rows - sum(self.request_rows))


def _replay_variant(
    record: Record,
    answer: VariantAnswer,
    reader: Reader,
    sealed: Callable[[VariantAnswer], SealedBundle],
    host_log: Path,
    say: Say,
) -> VariantReplay:
    batch = _batch_of(record, answer, reader)
    say(f"{answer.version}: a batch of {len(batch.records)} requests, {batch.rows} rows")
    found = sealed(answer)
    order = found.environment.order(found.folder, found.bundle, answer.threads)
    inputs = joined([inputs_of(member, found.bundle.contract) for member in batch.records])
    columns = [(column.data, column.nulls) for column in inputs.columns.values()]
    host_log.parent.mkdir(parents=True, exist_ok=True)
    with running_host(found.environment, found.folder, order, host_log) as channel:
        again = channel.predict(batch.request_rows, columns)
        surroundings = _surroundings(answer, found, channel)
    differences, comparison = _compared(answer, again, batch, found.bundle)
    if batch.rows_missing:
        differences.insert(
            0, f"batch incomplete: the archive does not hold the requests of {batch.rows_missing} of {batch.rows} rows"
        )
    identical = not differences
    return VariantReplay(
        version=answer.version,
        identical=identical,
        within_tolerance=identical if comparison is None else comparison.passed,
        largest_deviation=None if comparison is None else comparison.largest_deviation,
        where=None if comparison is None else comparison.where,
        batch_complete=not batch.rows_missing,
        batch_requests=len(batch.records),
        batch_rows=batch.rows,
        rows_missing=batch.rows_missing,
        # Another machine that gives the same bits is no difference; where bits differ, it is the first suspect.
        differences=() if identical else (*differences, *surroundings),
    )


def _batch_of(record: Record, answer: VariantAnswer, reader: Reader) -> _Batch:
    rows = record.decided.rows
    if answer.alone or answer.batch_rows == rows:
        return _Batch((record,), 0, rows)
    members = [member for member, _ in reader.batch(record.decided.endpoint, answer.host, answer.batch, record)]
    place = next(
        (index for index, member in enumerate(members) if member.decided.request_id == record.decided.request_id), None
    )
    if place is None:
        return _Batch((record,), 0, answer.batch_rows)
    return _Batch(tuple(members), place, answer.batch_rows)


def _compared(
    answer: VariantAnswer, again: Answer, batch: _Batch, bundle: Bundle
) -> tuple[list[str], Comparison | None]:
    """What differs between the recorded answer and the new one, and by how much."""
    failed_now = again.errors.get(batch.place)
    if answer.outputs is None:
        now = "it answers" if failed_now is None else f"{failed_now.code}: {failed_now.message}"
        return ([] if now == answer.error else [f"it failed then with {answer.error!r}; now {now}"]), None
    if failed_now is not None:
        return [f"it answered then; now it fails with {failed_now.code}: {failed_now.message}"], None
    recorded = {column.name: column_of(column) for column in answer.outputs}
    given = _outputs_at(again, batch, bundle)
    rows = batch.request_rows[batch.place]
    wanted = Table(rows, {name: recorded[name] for name in given.columns if name in recorded})
    comparison = compare(given, wanted, tolerance_of(bundle))
    if list(given.columns) == list(recorded) and all(
        _same_bits(given.columns[name], column) for name, column in recorded.items()
    ):
        return [], comparison
    if comparison.largest_deviation == 0.0:
        return ["the values are equal, their bits are not (signs of zero, or payloads of NaN)"], comparison
    place = "" if comparison.where is None else f", most at {comparison.where}"
    within = "within" if comparison.passed else "outside"
    return [f"answers differ by up to {comparison.largest_deviation!r}, {within} the tolerance{place}"], comparison


def _outputs_at(again: Answer, batch: _Batch, bundle: Bundle) -> Table:
    """The outputs of the request in the batch; the host gives only the rows of those that it could answer."""
    answered = [(index, rows) for index, rows in enumerate(batch.request_rows) if not again.statuses[index]]
    start = sum(rows for index, rows in answered if index < batch.place)
    whole = Table(
        again.rows,
        {
            field.name: Column(field.datatype, field.shape, data, nulls)
            for field, (data, nulls) in zip(bundle.contract.outputs, again.columns, strict=True)
        },
    )
    return rows_between(whole, start, start + batch.request_rows[batch.place])


def _same_bits(left: Column, right: Column) -> bool:
    def marks(column: Column) -> bytes:
        nulls = b"" if column.nulls is None else bytes(column.nulls)
        return nulls if any(nulls) else b""

    return (
        (left.datatype, left.shape) == (right.datatype, right.shape)
        and bytes(left.data) == bytes(right.data)
        and marks(left) == marks(right)
    )


def _is_of_the_model(answer: VariantAnswer) -> bool:
    """The failure came from computing, so that computing can show it again; not from a death or an absence."""
    code = (answer.error or "").partition(":")[0]
    return code in {"model-raised", "output-broken"}


def _surroundings(answer: VariantAnswer, found: SealedBundle, channel: Channel) -> list[str]:
    """What is not as it was when the answer was computed."""
    differences = []
    if found.environment.id != answer.environment:
        then, now = answer.environment[:_DIGEST_BEGINS], found.environment.id[:_DIGEST_BEGINS]
        differences.append(
            f"environment: {then}… then, {now}… now ({found.environment.interpreter}, {found.environment.platform})"
        )
    hello = channel.hello
    if answer.cpu and hello.cpu != answer.cpu:
        differences.append(f"hardware: {answer.cpu} then, {hello.cpu} now")
    if hello.threads != answer.threads:
        differences.append(f"threads: {answer.threads} then, {hello.threads} now")
    return differences
