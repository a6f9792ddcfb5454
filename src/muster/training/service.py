"""Data sources of a project: registered, removed, listed."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from muster.access.actor import Call
from muster.access.roles import Right
from muster.audit.entries import Deed, Entry
from muster.audit.journal import Journal
from muster.registry.reasons import checked_reason
from muster.storage.transaction import Database, Transaction
from muster.training import store
from muster.training.addresses import checked_source
from muster.training.errors import SourceNotFound, SourceTaken
from muster.training.records import Source
from muster.vocabulary.clock import Clock, from_rfc3339
from muster.vocabulary.names import checked_name

_LOCK = "muster.data-sources"


class Sources:
    """Places from which the factory may read data, by name.

    Args:
        database: where they are kept.
        journal: where each deed is put on record.
        clock: tells when.
        private: folders of the factory itself; no source lies in one or around one.
    """

    def __init__(self, database: Database, journal: Journal, clock: Clock, *, private: Sequence[Path] = ()) -> None:
        self._database = database
        self._journal = journal
        self._clock = clock
        self._private = tuple(private)

    def add(self, call: Call, name: str, uri: str, reason: str) -> Source:
        """Register a place from which the factory may read data from now on.

        Args:
            call: who, and in which project.
            name: how bundles name it: `source:NAME/path.parquet`.
            uri: an absolute folder, `s3://bucket/prefix/` or `https://host/prefix/`.
            reason: why, for the audit journal.

        Raises:
            RightMissing: the caller may not.
            SourceMalformed: the address is none that the factory reads from.
            SourceTaken: the project has a source of this name.
        """
        call.require(Right.MANAGE_SOURCES)
        told = checked_reason(reason)
        checked_name(name, of="data source")
        made = Source(
            project=call.project,
            name=name,
            uri=checked_source(uri, self._private),
            added_by=call.actor.name,
            added_at=self._clock.now(),
            reason=told,
        )
        with self._database.write() as tx:
            repeated = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            tx.lock(_LOCK, call.project)
            if repeated is not None:
                return _as_told(made, repeated)
            held = store.source(tx, call.project, name)
            if held is not None:
                raise SourceTaken(f"{name} is the data source {held.uri} already", source=name, uri=held.uri)
            store.add_source(tx, made)
            self._record(tx, call, "source.added", made, told)
        return made

    def remove(self, call: Call, name: str, reason: str) -> Source:
        """Read nothing from there any more; what was read is kept.

        Raises:
            RightMissing: the caller may not.
            SourceNotFound: there is none of this name.
        """
        call.require(Right.MANAGE_SOURCES)
        told = checked_reason(reason)
        asked = Source(
            project=call.project,
            name=checked_name(name, of="data source"),
            uri="",
            added_by=call.actor.name,
            added_at=self._clock.now(),
            reason=told,
        )
        with self._database.write() as tx:
            repeated = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            tx.lock(_LOCK, call.project)
            if repeated is not None:
                return _as_told(asked, repeated)
            held = store.source(tx, call.project, name)
            if held is None:
                raise SourceNotFound(f"there is no data source {name[:80]!r}", source=name[:80])
            store.remove_source(tx, call.project, name)
            self._record(tx, call, "source.removed", held, told)
        return held

    def listed(self, call: Call) -> tuple[Source, ...]:
        """The sources of the caller's project, by name."""
        call.require(Right.READ)
        return self.of(call.project)

    def of(self, project: str) -> tuple[Source, ...]:
        """The sources of a project, for an executor that resolves references."""
        with self._database.read() as tx:
            return store.sources(tx, project)

    def _record(self, tx: Transaction, call: Call, action: str, source: Source, reason: str) -> None:
        self._journal.append(
            tx,
            Deed(
                actor=call.actor.name,
                action=action,
                subject=f"source {source.name}",
                project=call.project,
                details={"uri": source.uri, **({"solo": True} if call.actor.solo else {})},
                reason=reason,
                idempotency_key=call.idempotency_key,
                request_digest=call.request_digest,
            ),
        )


def _as_told(asked: Source, entry: Entry) -> Source:
    """What the first request of the same key did, whatever was done to the source since."""
    return replace(asked, uri=json.loads(entry.details)["uri"], added_at=from_rfc3339(entry.at))
