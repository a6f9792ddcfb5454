"""Files of vulnerabilities: take one in, list them, say which versions the newest hits."""

import io
import json
from pathlib import Path

import msgspec
import rfc8785

from muster.access.actor import Call
from muster.access.roles import Right
from muster.advisories import store
from muster.advisories.errors import VulnerabilitiesMalformed
from muster.advisories.records import Affected, Survey, VulnerabilityFile
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.blobs.protocol import Blobs
from muster.environments.languages.known import LANGUAGES
from muster.packaging.documents import bundle_of
from muster.registry.reasons import checked_reason
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.scanning.machine import Unreadable
from muster.scanning.sheets import sheets_of
from muster.scanning.vulnerabilities import Hit, Sheet, Source, hits, read_vulnerabilities
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock
from muster.vocabulary.digests import Digest, digest_of, digest_of_file
from muster.vocabulary.states import VersionState

#: Larger than any export of OSV's; it is read into memory.
MOST_BYTES = 2**30
_LONGEST_NAME = 200
_IMPORTED = "vulnerabilities.imported"
_LOOKED_AT = frozenset({VersionState.CERTIFIED, VersionState.ACCEPTED})


class Advisories:
    """The files of vulnerabilities of projects.

    Args:
        database: where they are listed.
        journal: where each deed is put on record.
        registry: the versions that they hit.
        blobs: where they lie.
        clock: tells when.
    """

    def __init__(self, *, database: Database, journal: Journal, registry: Registry, blobs: Blobs, clock: Clock) -> None:
        self._database = database
        self._journal = journal
        self._registry = registry
        self._blobs = blobs
        self._clock = clock

    def take_in(self, call: Call, file: Path, name: str, reason: str) -> VulnerabilityFile:
        """Take a file in; certifications from now on go by it.

        Args:
            call: who, and in which project.
            file: in the format of OSV.
            name: what it is called, for people.
            reason: why, for the audit journal.

        Raises:
            VulnerabilitiesMalformed: it is not in the format, or is too large.
            BlobsFull: the store has no room.
        """
        call.require(Right.MANAGE_PACKAGES)
        told = checked_reason(reason)
        size = file.stat().st_size
        if size > MOST_BYTES:
            raise VulnerabilitiesMalformed(f"the file has {size} bytes; {MOST_BYTES} can be taken in", bytes=size)
        try:
            reading = read_vulnerabilities(file.read_bytes())
        except Unreadable as error:
            raise VulnerabilitiesMalformed(f"{name}: {error}", file=name) from error
        digest = digest_of_file(file)
        self._blobs.put(file, digest)
        sheets: dict[str, str] = {sheet.ecosystem: self._put(sheet) for sheet in reading.sheets}
        with self._database.write() as tx:
            entry = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            if entry is not None:
                found = store.file(tx, call.project, json.loads(entry.details)["number"])
                assert found is not None  # nothing is ever removed
                return found
            tx.lock("muster.vulnerabilities", call.project)
            newest = next(iter(store.files_of(tx, call.project, limit=1)), None)
            added = VulnerabilityFile(
                project=call.project,
                source=Source(
                    number=1 if newest is None else newest.source.number + 1,
                    name=name[:_LONGEST_NAME],
                    digest=digest,
                    as_of=reading.as_of[:40],
                    sheets=sheets,
                ),
                records=reading.records,
                skipped=reading.skipped,
                imported_by=call.actor.name,
                at=self._clock.now(),
                reason=told,
            )
            store.add(tx, added)
            self._journal.append(
                tx,
                Deed(
                    actor=call.actor.name,
                    action=_IMPORTED,
                    subject=f"vulnerabilities {added.source.number} of {call.project}",
                    project=call.project,
                    details={"number": added.source.number, "digest": digest, "records": added.records},
                    reason=told,
                    idempotency_key=call.idempotency_key,
                    request_digest=call.request_digest,
                ),
            )
        return added

    def files(self, call: Call) -> tuple[VulnerabilityFile, ...]:
        """The files of the project, the newest first."""
        call.require(Right.READ)
        with self._database.read() as tx:
            return store.files_of(tx, call.project)

    def newest_in(self, tx: Transaction, project: str) -> Source | None:
        """What certification goes by, as this transaction sees it; None: no file was ever taken in."""
        found = next(iter(store.files_of(tx, project, limit=1)), None)
        return None if found is None else found.source

    def affected(self, call: Call) -> Survey:
        """Which certified and accepted versions of the project the newest file hits, those that are served first.

        A lock that cannot be read any more counts as none: such a version could not be certified again either.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            file = next(iter(store.files_of(tx, call.project, limit=1)), None)
            if file is None:
                return Survey(file=None, looked_at=0, affected=())
            versions = [version for version in self._registry.all_in(tx, call.project) if version.state in _LOOKED_AT]
            served = {version.name: self._registry.uses_in(tx, version) for version in versions}
        sheets = sheets_of(file.source, self._blobs)
        by_lock: dict[tuple[str, str], tuple[Hit, ...]] = {}
        found = []
        for version in versions:
            hit = self._hits(version, sheets, by_lock)
            if hit:
                found.append(Affected(version=version.name, state=version.state, served=served[version.name], hits=hit))
        found.sort(key=lambda one: (not one.served, one.version.model, -one.version.number))
        return Survey(file=file, looked_at=len(versions), affected=tuple(found))

    def _hits(
        self, version: Version, sheets: tuple[Sheet, ...], known: dict[tuple[str, str], tuple[Hit, ...]]
    ) -> tuple[Hit, ...]:
        runtime = bundle_of(self._registry.manifest_of(version.digest).declared).runtime
        if not runtime.lock:
            return ()
        key = (runtime.kind, version.lock_digest)
        if key not in known:
            packages = LANGUAGES[runtime.kind].packages(self._registry.document(version.lock_digest))
            known[key] = hits(packages, sheets)
        return known[key]

    def _put(self, sheet: Sheet) -> Digest:
        content = rfc8785.dumps(msgspec.to_builtins(sheet))
        return self._blobs.put(io.BytesIO(content), digest_of(content))
