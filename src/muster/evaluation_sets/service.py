"""Sealing evaluation sets, and giving them to whoever examines."""

import io
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from muster.access.actor import Call
from muster.access.roles import Right
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.blobs.protocol import Blobs
from muster.evaluation_sets import store
from muster.evaluation_sets.errors import EvaluationSetKnown, EvaluationSetNotFound, LabelUnknown, OwnModel
from muster.evaluation_sets.files import read_rows, salted, unsalted, written
from muster.evaluation_sets.labels import require_sensible
from muster.evaluation_sets.records import EvaluationSet
from muster.evaluation_sets.rows import EvaluationRows
from muster.packaging.claims import Prediction
from muster.registry.reasons import checked_reason
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock
from muster.vocabulary.digests import Digest, digest_of, digest_of_file
from muster.vocabulary.names import checked_name
from muster.wire.contracts import Contract

_SEALED = "evaluation.sealed"
_READ = "evaluation.read"


class EvaluationSets:
    """The sealed sets of all models.

    Args:
        database: where sets are told of.
        journal: where each deed is put on record.
        blobs: where their rows lie.
        registry: tells whose a model is and what its versions take.
        clock: tells when.
    """

    def __init__(self, *, database: Database, journal: Journal, blobs: Blobs, registry: Registry, clock: Clock) -> None:
        self._database = database
        self._journal = journal
        self._blobs = blobs
        self._registry = registry
        self._clock = clock

    def add(self, call: Call, model: str, file: Path, reason: str, label: str | None = None) -> EvaluationSet:
        """Seal the rows of a file for a model; from now on its versions are judged on them.

        Args:
            call: who, and in which project.
            model: whose.
            file: Parquet, or CSV with a header; the inputs of the newest version, the label, and columns to slice by.
            reason: why, for the audit journal.
            label: the column that holds what really happened; None: the one that the newest version's `[prediction]` names.

        Raises:
            ModelNotFound: the project has none of this name.
            OwnModel: the caller has part in a version of it.
            EvaluationFileMalformed: the file cannot be read.
            LabelUnknown: nobody says what the label is.
            EvaluationSetUnfit: the newest version could not be asked the rows, or they could not be judged.
            EvaluationSetKnown: the newest set holds these rows.
        """
        call.require(Right.SEAL_EVALUATION)
        told = checked_reason(reason)
        with self._database.read() as tx:
            if (
                entry := self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            ) is not None:
                return self._held(tx, call.project, model, int(entry.subject.rpartition(":")[2]))
        versions = self._registry.versions(call, checked_name(model, of="model"))
        deputies = self._deputies(call, versions)
        with self._database.read() as tx:  # asked again when it gets its number: here, before a large file is read
            self._waived(tx, call, versions, deputies)
        newest = versions[0]
        claim = self._registry.bundle(call, newest.name).prediction
        name = label or _label_of(claim, newest)
        table = read_rows(file, newest.contract)
        rows = EvaluationRows(table, newest.contract, name)
        if claim is not None and claim.label == name:
            require_sensible(rows, claim, newest.contract)
        content = written(table)
        blob = self._blobs.put(io.BytesIO(salted(content)))
        with self._database.write() as tx:
            if (
                entry := self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            ) is not None:
                return self._held(tx, call.project, model, int(entry.subject.rpartition(":")[2]))
            tx.lock("muster.evaluation-sets", call.project)
            waived = self._waived(tx, call, versions, deputies)
            before = store.newest(tx, call.project, model)
            sealed = EvaluationSet(
                project=call.project,
                model=model,
                number=1 if before is None else before.number + 1,
                digest=digest_of(content),
                blob=blob,
                source=digest_of_file(file),
                label=name,
                columns=tuple(table.column_names),
                rows=table.num_rows,
                bytes=len(content),
                against=newest.number,
                sealed_by=call.actor.name,
                sealed_at=self._clock.now(),
                reason=told,
            )
            if before is not None and (before.digest, before.label) == (sealed.digest, sealed.label):
                raise EvaluationSetKnown(f"{before.subject} holds these rows", model=model, evaluation=before.number)
            store.add(tx, sealed)
            self._record(tx, call, sealed, waived=waived)
        return sealed

    def sets(self, call: Call, model: str) -> tuple[EvaluationSet, ...]:
        """The sets of a model, the newest first.

        Raises:
            ModelNotFound: the project has none of this name.
        """
        self._registry.model(call, checked_name(model, of="model"), limit=0)
        with self._database.read() as tx:
            return store.sets_of(tx, call.project, model)

    def one(self, call: Call, model: str, number: int) -> EvaluationSet:
        """One set of a model: who sealed which rows, and why.

        Raises:
            EvaluationSetNotFound: there is none of this number.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            return self._held(tx, call.project, model, number)

    def content(self, call: Call, model: str, number: int) -> bytes:
        """The rows of a set as Parquet, for whoever may seal sets and has no part in the model.

        Raises:
            EvaluationSetNotFound: there is none of this number.
            OwnModel: the caller has part in a version of the model.
        """
        call.require(Right.SEAL_EVALUATION)
        held = self.one(call, model, number)
        versions = self._registry.versions(call, model)
        deputies = self._deputies(call, versions)
        content = written(self._rows_of(held))
        with self._database.write() as tx:
            waived = self._waived(tx, call, versions, deputies)
            self._journal.append(
                tx,
                Deed(
                    actor=call.actor.name,
                    action=_READ,
                    subject=held.subject,
                    project=held.project,
                    details={"digest": held.digest, **({"own_work_waived": True} if waived else {})},
                ),
            )
        return content

    def has_part(self, call: Call, model: str) -> bool:
        """Whether the caller has part in a version of a model, and is shown no row of its sets; waived in a factory for one person.

        Raises:
            ModelNotFound: the project has none of this name.
        """
        versions = self._registry.versions(call, model)
        deputies = self._deputies(call, versions)
        with self._database.read() as tx:
            try:
                self._waived(tx, call, versions, deputies)
            except OwnModel:
                return True
        return False

    def may_read(self, call: Call, model: str) -> bool:
        """Whether the caller may see the rows of a model's sets: has the right to seal them, and no part in the model.

        Raises:
            ModelNotFound: the project has none of this name.
        """
        return call.may(Right.SEAL_EVALUATION) and not self.has_part(call, model)

    # For rooms above, which examine.

    def newest(self, project: str, model: str) -> EvaluationSet | None:
        """The set that counts; None: the model has none."""
        with self._database.read() as tx:
            return store.newest(tx, project, model)

    def rows(self, held: EvaluationSet, contract: Contract) -> EvaluationRows:
        """The rows of a set for a version of a contract.

        Raises:
            EvaluationSetUnfit: such a version cannot be asked them.
            EvaluationSetDamaged: the store has other rows.
        """
        return EvaluationRows(self._rows_of(held), contract, held.label)

    def answers(self, manifest: Digest, held: EvaluationSet, environment: Digest) -> bytes | None:
        """What a version answered to a set, as it was kept; None: it was not asked in this environment."""
        with self._database.read() as tx:
            kept = store.answers(tx, manifest, held.digest, environment)
        return None if kept is None or not self._blobs.has(kept) else self._blobs.read(kept)

    def keep_answers(self, manifest: Digest, held: EvaluationSet, environment: Digest, answers: bytes) -> None:
        """Keep what a version answered to a set, so that it need not be asked again when it is the champion."""
        kept = self._blobs.put(io.BytesIO(answers))
        with self._database.write() as tx:
            tx.lock("muster.evaluation-answers")
            store.set_answers(tx, manifest, held.digest, environment, kept, self._clock.now())

    # Within.

    def _rows_of(self, held: EvaluationSet) -> pa.Table:
        return unsalted(self._blobs.read(held.blob), held.digest)

    def _held(self, tx: Transaction, project: str, model: str, number: int) -> EvaluationSet:
        found = store.one(tx, project, model, number)
        if found is None:
            raise EvaluationSetNotFound(f"model {model} has no evaluation set {number}", model=model, evaluation=number)
        return found

    def _deputies(self, call: Call, versions: Sequence[Version]) -> frozenset[str]:
        """Whom the bundles' cards name as standing in for their owners, in lower case."""
        cards = (self._registry.bundle(call, version.name).card for version in versions)
        return frozenset(card.deputy.casefold() for card in cards if card.deputy)

    def _waived(self, tx: Transaction, call: Call, versions: Sequence[Version], deputies: frozenset[str]) -> bool:
        """Whether the rule about own work had to be waived, which only a factory for one person does.

        Raises:
            OwnModel: the caller has part in one of the versions.
        """
        name = call.actor.name
        mine = [one for one in versions if self._registry.with_past_stewards(tx, one).is_work_of(name)]
        if not mine and name.casefold() not in deputies:
            return False
        if call.actor.solo:
            return True
        model = versions[0].model
        raise OwnModel(
            f"{name} has part in {mine[0].name if mine else model}, and neither seals nor reads evaluation sets of {model}",
            actor=name,
            model=model,
        )

    def _record(self, tx: Transaction, call: Call, sealed: EvaluationSet, *, waived: bool) -> None:
        self._journal.append(
            tx,
            Deed(
                actor=call.actor.name,
                action=_SEALED,
                subject=sealed.subject,
                project=sealed.project,
                details={
                    "digest": sealed.digest,
                    "source": sealed.source,
                    "label": sealed.label,
                    "rows": sealed.rows,
                    "against": sealed.against,
                    **({"own_work_waived": True} if waived else {}),
                },
                reason=sealed.reason,
                idempotency_key=call.idempotency_key,
                request_digest=call.request_digest,
            ),
        )


def _label_of(claim: Prediction | None, version: Version) -> str:
    if claim is None:
        raise LabelUnknown(f"{version.name} says nothing of what it predicts", version=str(version.name))
    return claim.label
