"""Models and versions: register, look at, compare, retire, ban; and which packages they may be made of."""

import io
import json
import shutil
import tempfile
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO

from muster.access.actor import Actor, Call
from muster.access.projects import quotas_in
from muster.access.roles import Right
from muster.audit.entries import Deed, Entry
from muster.audit.journal import Journal
from muster.blobs.protocol import Blobs
from muster.catalogue.records import Kind
from muster.catalogue.service import Catalogue
from muster.environments.languages.known import language_problems
from muster.environments.trust import rules_of
from muster.packaging.bundle import check_bundle, unpack
from muster.packaging.contract import contract_digest
from muster.packaging.documents import Bundle, bundle_of
from muster.packaging.manifest import Manifest, read_manifest
from muster.registry import store
from muster.registry.differences import Diff, diff_of
from muster.registry.errors import (
    BundleRefused,
    FileNotFound,
    ModelNameOther,
    ModelNotFound,
    NotYourModel,
    OwnerGone,
    OwnerUnfit,
    VersionAltered,
    VersionInUse,
    VersionNotFound,
    VersionStateUnfit,
)
from muster.registry.facts import Told, changed_facts, differing_facts, model_entry, told_in, version_entry
from muster.registry.reasons import checked_reason
from muster.registry.records import Held, Model, ModelChanges, ModelFacts, ModelSummary, Version
from muster.registry.rules import NOTHING_SAID, PackageRules
from muster.registry.uses import Members, VersionUses
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock, rfc3339
from muster.vocabulary.digests import Digest, digest_of
from muster.vocabulary.errors import Invalid
from muster.vocabulary.names import DEFAULT_PROJECT, VersionName, checked_name
from muster.vocabulary.states import VERSION_MOVES, VersionState

_STATES_LOCK = "muster.version-states"
_REGISTERED = "version.registered"
_MODEL_CHANGED = "model.changed"


class Registry:
    """The catalogue of models and versions.

    Args:
        database: where models and versions are kept.
        journal: where each deed is put on record.
        blobs: where the files of bundles lie.
        clock: tells when.
        scratch: folder in which bundles are unpacked to be judged, on a disk with room for them; None: the system's own.
        members: tells who is still there; None: everybody is taken to be.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        blobs: Blobs,
        clock: Clock,
        scratch: Path | None = None,
        members: Members | None = None,
    ) -> None:
        self._database = database
        self._journal = journal
        self._blobs = blobs
        self._clock = clock
        self._scratch = scratch
        self._members = members
        self._catalogue = Catalogue(database)
        self._uses: list[VersionUses] = []

    def used_by(self, room: VersionUses) -> None:
        """From now on ask this room what it uses, and tell it of bans."""
        self._uses.append(room)

    # Deeds.

    def register(self, call: Call, bundle: Path, model: str | None = None) -> Version:
        """Give a bundle its place and number; the same bytes again are the same version.

        Args:
            call: who, and in which project.
            bundle: the zip that `muster pack` made.
            model: under which model; None: the name in its `muster.toml`.

        Raises:
            ZipRefused: the zip is not one that `muster pack` makes.
            BundleMalformed: its muster.toml cannot be used.
            BundleRefused: it is incomplete; every finding is in the facts.
            ModelNameOther: it says that it is of another model.
            BlobsFull: the store has no room.
            QuotaExceeded: the project would hold more versions or bytes than its quota allows.
        """
        call.require(Right.REGISTER)
        if model is not None:
            checked_name(model, of="model")
        with self._unpacked(bundle) as (folder, manifest):
            described = bundle_of(manifest.declared)
            if model is not None and described.name != model:
                raise ModelNameOther(
                    f"the bundle is of model {described.name}, not of {model}", model=model, named=described.name
                )
            self._judge(folder, manifest)
            lock_digest = self._lock_digest(manifest, described)
            told = told_in(folder, described)
            proposed = Version(
                name=VersionName(described.name, 1),
                project=call.project,
                digest=manifest.digest,
                state=VersionState.REGISTERED,
                registered_by=call.actor.name,
                registered_at=self._clock.now(),
                description=described.description,
                owners=described.owners,
                authors=described.authors,
                tags=described.tags,
                contract=described.contract,
                contract_digest=contract_digest(described.contract),
                lock_digest=lock_digest,
                python=described.runtime.interpreter,
                files=len(manifest.files),
                size=manifest.total_bytes,
            )
            with self._database.read() as tx:
                # Asked again when it gets its number: here, so that what is refused takes no room in the store.
                if store.version_with_digest(tx, call.project, proposed.digest) is None:
                    _require_room(tx, proposed)
            self._store(folder, manifest)
        with self._database.write() as tx:
            return self._add(tx, call, proposed, told)

    def retire(self, call: Call, name: VersionName, reason: str) -> Version:
        """End a version's life: new releases refuse it; what was released with it can still be rolled back to.

        Raises:
            VersionNotFound: there is none.
            VersionInUse: it is served, or about to be.
            VersionStateUnfit: it is neither certified nor accepted.
        """
        call.require(Right.RETIRE)
        told = checked_reason(reason)
        with self._database.write() as tx:
            if (entry := self._earlier(tx, call)) is not None:
                return self._present(tx, call, entry)
            self.hold_states(tx)
            held = self.version_in(tx, call.project, name)
            uses = [*self.uses_in(tx, held)]
            if uses:
                raise VersionInUse(f"{name} is in use: {', '.join(uses)}", version=str(name), uses=uses)
            retired = self.move(tx, held, VersionState.RETIRED)
            self._record(tx, call, "version.retired", held, told)
        return retired

    def ban(self, call: Call, name: VersionName, reason: str) -> Version:
        """Say that a version should not be used: fronts stop asking it, new releases refuse it, for ever.

        Raises:
            VersionNotFound: there is none.
            VersionStateUnfit: it is banned already.
        """
        call.require(Right.BAN)
        told = checked_reason(reason)
        with self._database.write() as tx:
            if (entry := self._earlier(tx, call)) is not None:
                return self._present(tx, call, entry)
            self.hold_states(tx)
            held = self.version_in(tx, call.project, name)
            banned = self.move(tx, held, VersionState.BANNED)
            for room in self._uses:
                room.banned(tx, call, banned)
            self._record(tx, call, "version.banned", held, told)
        return banned

    def set_package_rules(self, call: Call, text: str, reason: str) -> PackageRules:
        """Say which packages the project trusts; certifications from now on hold their locks against it.

        Args:
            call: who, and in which project.
            text: TOML, as `muster.environments.trust` describes it; empty: every package is trusted.
            reason: why, for the audit journal.

        Raises:
            PackageRulesMalformed: the rules cannot be read, or one contradicts itself.
        """
        call.require(Right.MANAGE_PACKAGES)
        told = checked_reason(reason)
        rules_of(text)
        with self._database.write() as tx:
            if self._earlier(tx, call) is not None:
                return store.package_rules_of(tx, call.project) or NOTHING_SAID
            tx.lock("muster.package-rules", call.project)
            rules = PackageRules(text=text, set_by=call.actor.name, set_at=self._clock.now())
            store.set_package_rules(tx, call.project, rules)
            self._journal.append(
                tx,
                Deed(
                    actor=call.actor.name,
                    action="packages.rules-set",
                    subject=f"packages of {call.project}",
                    project=call.project,
                    details={"rules": str(digest_of(text.encode("utf-8"))), "bytes": len(text.encode("utf-8"))},
                    reason=told,
                    idempotency_key=call.idempotency_key,
                    request_digest=call.request_digest,
                ),
            )
        return rules

    def set_model(self, call: Call, name: str, changes: ModelChanges, reason: str) -> Model:
        """Change what a model carries besides its versions: owner, deputy, description, business metric, tags.

        Args:
            call: who, and in which project.
            name: of the model.
            changes: what shall become other.
            reason: why, for the audit journal.

        Raises:
            ModelNotFound: the project has none of this name.
            NotYourModel: the caller neither owns it nor has the right manage-models.
            OwnerUnfit: who is to own it, or to stand in, has no role in the project.
            ModelFactsMalformed: what is to be said cannot be kept, or nothing is to be said.
        """
        call.require(Right.READ)
        told = checked_reason(reason)
        with self._database.write() as tx:
            if self._earlier(tx, call) is not None:
                return self._model_in(tx, call.project, name)
            tx.lock("muster.registry", call.project)
            held = self._model_in(tx, call.project, name, limit=0)
            if held.facts.owner != call.actor.name and not call.may(Right.MANAGE_MODELS):
                raise NotYourModel(
                    f"{call.actor.name} does not own the model {name}, and may not {Right.MANAGE_MODELS}",
                    model=name,
                    owner=held.facts.owner,
                )
            facts = changed_facts(held.facts, changes)
            self._check_people(tx, call.project, held.facts, facts)
            store.set_facts(tx, call.project, name, facts)
            self._enter_model(tx, call.project, name)
            self._journal.append(
                tx,
                Deed(
                    actor=call.actor.name,
                    action=_MODEL_CHANGED,
                    subject=f"model {name}",
                    project=call.project,
                    details=differing_facts(held.facts, facts),
                    reason=told,
                    idempotency_key=call.idempotency_key,
                    request_digest=call.request_digest,
                ),
            )
            return self._model_in(tx, call.project, name)

    # What there is.

    def package_rules(self, call: Call) -> PackageRules:
        """Which packages the project trusts."""
        call.require(Right.READ)
        with self._database.read() as tx:
            return self.package_rules_in(tx, call.project)

    def models(self, call: Call, *, limit: int | None = None, after: str | None = None) -> tuple[ModelSummary, ...]:
        """The models of the project, by name: so many behind a name, or all."""
        call.require(Right.READ)
        with self._database.read() as tx:
            return store.models_of(tx, call.project, limit=limit, after=after)

    def model(self, call: Call, name: str, *, limit: int | None = None, after: int | None = None) -> Model:
        """A model and its versions, the newest first: so many below a number, or all.

        Raises:
            ModelNotFound: the project has none of this name.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            return self._model_in(tx, call.project, name, limit=limit, after=after)

    def versions(
        self, call: Call, model: str, *, limit: int | None = None, after: int | None = None
    ) -> tuple[Version, ...]:
        """The versions of a model, the newest first: so many below a number, or all.

        Raises:
            ModelNotFound: the project has no such model.
        """
        return self.model(call, model, limit=limit, after=after).versions

    def version(self, call: Call, name: VersionName) -> Version:
        """One version.

        Raises:
            VersionNotFound: there is none.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            return self.version_in(tx, call.project, name)

    def manifest(self, call: Call, name: VersionName) -> Manifest:
        """A version's manifest: every file by path, digest and size.

        Raises:
            VersionNotFound: there is none.
        """
        return self.manifest_of(self.version(call, name).digest)

    def bundle(self, call: Call, name: VersionName) -> Bundle:
        """What a version says of itself.

        Raises:
            VersionNotFound: there is none.
        """
        return bundle_of(self.manifest(call, name).declared)

    def file(self, call: Call, name: VersionName, path: str) -> BinaryIO:
        """A file of a version as a stream, verified at its end.

        Raises:
            VersionNotFound: there is no such version.
            FileNotFound: its bundle holds no such file.
        """
        entry = self.manifest(call, name).file(path)
        if entry is None:
            raise FileNotFound(f"{name} has no file {path!r}", version=str(name), path=path)
        return self._blobs.open(Digest(entry.digest))

    def diff(self, call: Call, before: VersionName, after: VersionName) -> Diff:
        """How a version differs from an earlier one: files, contract, locked packages, and what else it declares.

        Raises:
            VersionNotFound: there is no such version.
        """
        manifests = self.manifest(call, before), self.manifest(call, after)
        return diff_of(before, after, *manifests, read=self._blobs.read)

    def owns(self, actor: Actor, version: str, project: str = DEFAULT_PROJECT) -> bool:
        """Whether the version, written `churn:3`, is the actor's own work; False where there is no such version."""
        try:
            name = VersionName.parse(version)
        except Invalid:
            return False
        with self._database.read() as tx:
            found = store.version(tx, project, name)
        return found is not None and found.is_work_of(actor.name)

    def manifest_of(self, digest: Digest) -> Manifest:
        """The manifest of that digest; it was stored when a version was registered."""
        return read_manifest(self._blobs.read(digest))

    def document(self, digest: Digest) -> bytes:
        """A small document that another room has put into the store beside the bundles: a seal, for one."""
        return self._blobs.read(digest)

    def keep_document(self, content: bytes) -> Digest:
        """Put a small document of another room into the store; one that is there already stays as it is."""
        return self._blobs.put(io.BytesIO(content), digest_of(content))

    # For the rooms above, within their transactions.

    def package_rules_in(self, tx: Transaction, project: str) -> PackageRules:
        """Which packages a project trusts, as this transaction sees it."""
        return store.package_rules_of(tx, project) or NOTHING_SAID

    def held_by(self, tx: Transaction, project: str) -> Held:
        """What a project has of what its quotas limit."""
        return store.held_by(tx, project)

    def hold_states(self, tx: Transaction) -> None:
        """No version changes its state until this transaction ends, unless this transaction changes it.

        Whoever relies on a state (a gate, a plan) asks for this first of all, after the idempotency key.
        """
        tx.lock(_STATES_LOCK)

    def version_in(self, tx: Transaction, project: str, name: VersionName) -> Version:
        """One version, as this transaction sees it; its digest is the one that the audit chain saw registered.

        Raises:
            VersionNotFound: there is none.
            VersionAltered: somebody changed the row by other means than Muster.
        """
        found = store.version(tx, project, name)
        if found is None:
            raise VersionNotFound(f"there is no version {name}", version=str(name))
        if found.digest not in self._registered_digests(tx, project, name):
            raise VersionAltered(
                f"{name} has the digest {found.digest} now, which is not the one that was registered", version=str(name)
            )
        return found

    def banned_among(self, tx: Transaction, project: str, names: Collection[VersionName]) -> set[VersionName]:
        """Those of the named versions that are banned."""
        return store.names_in_state(tx, project, names, VersionState.BANNED)

    def require_move(self, held: Version, to: VersionState) -> None:
        """Nothing, if the version's state permits it to come into another.

        Raises:
            VersionStateUnfit: it does not.
        """
        if to not in VERSION_MOVES[held.state]:
            raise VersionStateUnfit(
                f"{held.name} is {held.state} and cannot become {to}", version=str(held.name), state=str(held.state)
            )

    def move(self, tx: Transaction, held: Version, to: VersionState) -> Version:
        """Bring a version into a state; the caller holds the states, and puts it on record.

        Raises:
            VersionStateUnfit: its state does not permit it.
        """
        self.require_move(held, to)
        store.set_state(tx, held, to)
        self._catalogue.move(tx, held.project, Kind.VERSION, str(held.name), str(to))
        return replace(held, state=to)

    def measured(self, tx: Transaction, held: Version, figures: Mapping[str, float]) -> None:
        """Figures were measured of a version: from now on it is found by them."""
        self._catalogue.measured(tx, held.project, Kind.VERSION, str(held.name), figures)

    def with_past_stewards(self, tx: Transaction, version: Version) -> Version:
        """The version with everybody who has owned its model, or stood in for the owner, at any time since it was registered.

        For gates: a model that is handed on until a gate is passed stays one's own work.
        """
        past = set(version.stewards)
        # By their order in the journal: clocks of several controls differ, and two events may share a moment.
        registered = self._journal.about(tx, str(version.name), version.project, _REGISTERED)
        since = min((entry.sequence for entry in registered), default=0)
        for entry in self._journal.about(tx, f"model {version.model}", version.project, _MODEL_CHANGED):
            if entry.sequence > since:
                told = json.loads(entry.details)
                past |= {name for key in ("owner", "deputy") for name in told.get(key, {}).values() if name}
        return replace(version, stewards=tuple(sorted(past)))

    def check_owners(self, tx: Transaction, project: str, models: Collection[str], *, hold: bool = True) -> None:
        """Nothing, if the owner of each of the models has a role in the project.

        Args:
            tx: transaction.
            project: of the models.
            models: their names.
            hold: nobody loses a role until the transaction ends; only in one that writes.

        Raises:
            OwnerGone: one has none any more.
        """
        if self._members is None:
            return
        if hold:
            self._members.hold_roles(tx)
        for model, owner in sorted(store.owners_of(tx, project, models).items()):
            if not self._members.has_role(tx, owner, project):
                raise OwnerGone(
                    f"{owner}, who owns the model {model}, has no role in project {project} any more",
                    model=model,
                    owner=owner,
                    project=project,
                )

    def newest_in(self, tx: Transaction, project: str, models: Collection[str]) -> dict[str, VersionName]:
        """The newest version of each of the models, whatever its state; those without one are left out."""
        return store.newest_of(tx, project, models)

    def versions_in(
        self, tx: Transaction, project: str, names: Collection[VersionName], digests: Collection[Digest] = ()
    ) -> tuple[Version, ...]:
        """Those of the versions, named or given by digest, that there are, for lists: not held against the audit chain."""
        named = store.versions_named(tx, project, names)
        known = {version.name for version in named}
        by_digest = store.versions_with_digests(tx, project, digests)
        return (*named, *(version for version in by_digest if version.name not in known))

    def all_in(self, tx: Transaction, project: str) -> tuple[Version, ...]:
        """Every version of a project, for surveys: not held against the audit chain."""
        models = store.models_of(tx, project)
        return tuple(version for model in models for version in store.versions_of(tx, project, model.name))

    def uses_in(self, tx: Transaction, version: Version) -> tuple[str, ...]:
        """Where a version is used now, for people: `endpoint churn, release 2`; empty: nowhere."""
        return tuple(use for room in self._uses for use in room.uses_of(tx, version))

    # Within.

    @contextmanager
    def _unpacked(self, bundle: Path) -> Iterator[tuple[Path, Manifest]]:
        if self._scratch is not None:
            self._scratch.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix="muster-register-", dir=self._scratch))
        try:
            folder = scratch / "bundle"
            manifest = unpack(bundle, folder)
            yield folder, manifest
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _judge(self, folder: Path, manifest: Manifest) -> None:
        findings = [finding for finding in check_bundle(folder, language_problems) if finding.level == "error"]
        said = [f"{finding.path}: {finding.problem}" for finding in findings]
        remedies = [finding.remedy for finding in findings]
        for entry in manifest.external:
            # The factory fetches nothing from addresses that a bundle names: what it serves, it holds.
            if not self._blobs.has(Digest(entry.digest)):
                said.append(f"{entry.path}: it is named by reference, and the factory's store does not hold it")
                remedies.append("Put the file into the bundle.")
        if said:
            raise BundleRefused(
                f"the bundle has {len(said)} finding{'s' if len(said) > 1 else ''}: {'; '.join(said[:3])}",
                findings=said,
                remedies=remedies,
            )

    def _lock_digest(self, manifest: Manifest, described: Bundle) -> Digest:
        if not described.runtime.lock:  # somebody else's server: there is nothing here that could be locked
            return digest_of(b"")
        entry = manifest.file(described.runtime.lock)
        if entry is None:  # named by reference, which judging allows and building an environment does not
            raise BundleRefused(
                f"the bundle does not carry its lock {described.runtime.lock}",
                findings=[f"{described.runtime.lock}: the lock is missing"],
                remedies=["Put the lock into the bundle."],
            )
        return Digest(entry.digest)

    def _store(self, folder: Path, manifest: Manifest) -> None:
        """Put every file, then the manifest: whoever finds a manifest finds its files, too."""
        for entry in manifest.files:
            self._blobs.put(folder / entry.path, Digest(entry.digest))
        with (folder.parent / "manifest").open("w+b") as stream:
            stream.write(manifest.content)
            stream.seek(0)
            self._blobs.put(stream, digest_of(manifest.content))

    def _add(self, tx: Transaction, call: Call, proposed: Version, told: Told) -> Version:
        if (entry := self._earlier(tx, call)) is not None:
            return self._present(tx, call, entry)
        # Two who register at once take turns here: the second finds the first's version, or takes the next number.
        tx.lock("muster.registry", call.project)
        same = store.version_with_digest(tx, call.project, proposed.digest)
        if same is not None:
            return same
        at = rfc3339(proposed.registered_at)
        _require_room(tx, proposed)
        if not store.has_model(tx, call.project, proposed.model):
            store.add_model(tx, call.project, proposed.model, call.actor.name, at)
            self._enter_model(tx, call.project, proposed.model)
        number = store.next_number(tx, call.project, proposed.model)
        added = replace(proposed, name=VersionName(proposed.model, number))
        store.add_version(tx, added)
        added = replace(added, stewards=self._model_in(tx, call.project, added.model, limit=0).facts.people)
        self._catalogue.enter(tx, version_entry(added, told))
        self._record(tx, call, _REGISTERED, added, "", {"digest": added.digest})
        return added

    def _model_in(
        self, tx: Transaction, project: str, name: str, *, limit: int | None = None, after: int | None = None
    ) -> Model:
        found = store.model(tx, project, name, limit=limit, after=after)
        if found is None:
            raise ModelNotFound(f"there is no model {name}", model=name)
        return found

    def _enter_model(self, tx: Transaction, project: str, name: str) -> None:
        self._catalogue.enter(tx, model_entry(self._model_in(tx, project, name, limit=0)))

    def _check_people(self, tx: Transaction, project: str, before: ModelFacts, facts: ModelFacts) -> None:
        """Nothing, if whoever is newly named is there. Who was named before may be gone: that is what naming another mends."""
        if facts.deputy == facts.owner:
            raise OwnerUnfit(f"{facts.owner} cannot stand in for {facts.owner}", name=facts.owner)
        if self._members is None:
            return
        self._members.hold_roles(tx)
        for name, earlier in ((facts.owner, before.owner), (facts.deputy, before.deputy)):
            if name is not None and name != earlier and not self._members.has_role(tx, name, project):
                raise OwnerUnfit(f"{name} has no role in project {project}", name=name, project=project)

    def _registered_digests(self, tx: Transaction, project: str, name: VersionName) -> set[str]:
        """What the chain says was registered under a name: one digest, or none for a row that nobody registered."""
        return {
            str(json.loads(entry.details)["digest"])
            for entry in self._journal.about(tx, str(name), project, _REGISTERED)
        }

    def _earlier(self, tx: Transaction, call: Call) -> Entry | None:
        return self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)

    def _present(self, tx: Transaction, call: Call, entry: Entry) -> Version:
        return self.version_in(tx, call.project, VersionName.parse(entry.subject))

    def _record(
        self,
        tx: Transaction,
        call: Call,
        action: str,
        version: Version,
        reason: str,
        details: dict[str, object] | None = None,
    ) -> None:
        self._journal.append(
            tx,
            Deed(
                actor=call.actor.name,
                action=action,
                subject=str(version.name),
                project=version.project,
                details=details or {"digest": version.digest},
                reason=reason,
                idempotency_key=call.idempotency_key,
                request_digest=call.request_digest,
            ),
        )


def _require_room(tx: Transaction, proposed: Version) -> None:
    """Nothing, if the quotas of its project leave room for the version.

    Raises:
        QuotaExceeded: they do not.
    """
    quotas, held = quotas_in(tx, proposed.project), store.held_by(tx, proposed.project)
    quotas.require(proposed.project, "versions", held.versions, 1)
    quotas.require(proposed.project, "bytes", held.bytes, proposed.size)
