"""What people say about versions, releases and standards before they are decided: changes asked for, comments, waivers."""

from dataclasses import dataclass
from datetime import datetime

from muster.access.actor import Call
from muster.access.roles import Right
from muster.audit.journal import Journal
from muster.gates.errors import VoteUnfit
from muster.gates.records import Matter, Review, Verdict, Waiver, WaiverState
from muster.gates.service import Gates
from muster.gates.waivers import Waivers
from muster.gates.words import checked_words
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.release import store
from muster.release.glass import to_confirm
from muster.release.held import held_release
from muster.release.judging import Judging
from muster.release.records import Release
from muster.standards.records import StandardState
from muster.standards.service import Standards
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import ReleaseState, VersionState


@dataclass(frozen=True, slots=True)
class ReleaseName:
    """A release of an endpoint."""

    endpoint: str
    number: int


@dataclass(frozen=True, slots=True)
class StandardName:
    """A standard of the project."""

    number: int


About = VersionName | ReleaseName | StandardName
_ACTIONS = {VersionName: "version", ReleaseName: "release", StandardName: "standard"}


@dataclass(frozen=True, slots=True, kw_only=True)
class _Open:
    """Something at its gate, and whether a vote on it means anything."""

    matter: Matter
    is_open: bool
    state: str


class Reviews:
    """Takes down what is said at gates.

    Args:
        database: where it is kept.
        journal: where it is put on record.
        registry: the versions.
        judging: versions and releases as their gates see them.
        standards: the standards of projects.
        gates: the votes.
        waivers: what need not be met for a while.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        registry: Registry,
        judging: Judging,
        standards: Standards,
        gates: Gates,
        waivers: Waivers,
    ) -> None:
        self._database = database
        self._journal = journal
        self._registry = registry
        self._judging = judging
        self._standards = standards
        self._gates = gates
        self._waivers = waivers

    def review(self, call: Call, about: About) -> Review:
        """All that was said, and what it comes to.

        Raises:
            VersionNotFound, EndpointNotFound, ReleaseNotFound, StandardNotFound: there is no such thing.
        """
        call.require(Right.READ)
        self._prepare(call, about)
        with self._database.read() as tx:
            return self._gates.review(tx, self._open(tx, call, about).matter)

    def request_changes(self, call: Call, about: About, text: str, *, for_person: str | None = None) -> Review:
        """Keep the gate shut until the caller says otherwise, or what is judged has become something else.

        Raises:
            VersionNotFound, EndpointNotFound, ReleaseNotFound, StandardNotFound: there is no such thing.
            VoteUnfit: it is decided already.
            PartInIt, VoiceLost, NotDelegated: the caller, or who is absent, has no voice here.
        """
        told = checked_words(text)
        return self._said(call, about, told, for_person)

    def withdraw_vote(self, call: Call, about: About, reason: str) -> Review:
        """Take back what the caller has said about something.

        Raises:
            VersionNotFound, EndpointNotFound, ReleaseNotFound, StandardNotFound: there is no such thing.
            VoteUnfit: it is decided already.
            NothingToWithdraw: the caller has said nothing.
        """
        told = checked_words(reason)
        self._prepare(call, about)
        with self._database.write() as tx:
            if self._repeated(tx, call):
                return self._gates.review(tx, self._open(tx, call, about).matter)
            self._registry.hold_states(tx)
            found = self._required_open(tx, call, about)
            call.require(found.matter.right)
            self._gates.take_back(tx, call, found.matter)
            self._gates.record(tx, call, f"{_ACTIONS[type(about)]}.vote-withdrawn", found.matter, told)
            return self._gates.review(tx, found.matter)

    def comment(self, call: Call, about: About, text: str) -> Review:
        """Remark something; open to whoever may read, authors among them.

        Raises:
            VersionNotFound, EndpointNotFound, ReleaseNotFound, StandardNotFound: there is no such thing.
        """
        call.require(Right.READ)
        told = checked_words(text)
        self._prepare(call, about)
        with self._database.write() as tx:
            is_repeated = self._repeated(tx, call)
            found = self._open(tx, call, about)
            if not is_repeated:
                self._gates.comment(tx, call, found.matter, told)
                self._gates.record(tx, call, f"{_ACTIONS[type(about)]}.commented", found.matter, told)
            return self._gates.review(tx, found.matter)

    # Waivers.

    def waivers(self, call: Call) -> tuple[Waiver, ...]:
        """The waivers of the project, the newest first."""
        call.require(Right.READ)
        with self._database.read() as tx:
            return self._waivers.of_project(tx, call.project)

    def ask_waiver(self, call: Call, version: VersionName, check: str, ends: datetime, reason: str) -> Waiver:
        """Ask that a version may fail a check, or lack something, until a moment. Takes the right certify, or waive.

        Raises:
            VersionNotFound: there is none.
            WaiverMalformed: it names nothing that can be waived, or its end is past or too far.
        """
        if not call.may(Right.WAIVE):
            call.require(Right.CERTIFY)
        with self._database.write() as tx:
            entry = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            if entry is not None:
                return self._waivers.present(tx, call, entry)
            held = self._registry.version_in(tx, call.project, version)
            return self._waivers.ask(tx, call, str(version), held.digest, check, ends=ends, reason=reason)

    def decide_waiver(self, call: Call, waiver_id: str, state: WaiverState, reason: str) -> Waiver:
        """Grant or refuse a waiver that somebody else asked for.

        Raises:
            WaiverNotFound: there is none.
            WaiverStateUnfit: it was decided already, or its time is over.
            WaiverOwn: the caller asked for it, or has part in the version.
        """
        call.require(Right.WAIVE)
        with self._database.read() as tx:
            seen = self._waivers.held(tx, call.project, waiver_id)
            version = self._registry.version_in(tx, call.project, VersionName.parse(seen.subject))
        self._judging.prepare([version])
        with self._database.write() as tx:
            entry = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            if entry is not None:
                return self._waivers.present(tx, call, entry)
            self._gates.hold(tx)
            self._gates.require_right(tx, call, Right.WAIVE)
            excluded = self._judging.part_in(tx, version)
            return self._waivers.decide(tx, call, waiver_id, state, reason, excluded)

    # Within.

    def _said(self, call: Call, about: About, told: str, for_person: str | None) -> Review:
        self._prepare(call, about)
        with self._database.write() as tx:
            if self._repeated(tx, call):
                return self._gates.review(tx, self._open(tx, call, about).matter)
            self._registry.hold_states(tx)
            found = self._required_open(tx, call, about)
            call.require(found.matter.right)
            self._gates.cast(tx, call, found.matter, Verdict.REQUEST_CHANGES, told, for_person=for_person)
            details = {} if for_person is None else {"for": for_person}
            self._gates.record(tx, call, f"{_ACTIONS[type(about)]}.changes-requested", found.matter, told, details)
            return self._gates.review(tx, found.matter)

    def _prepare(self, call: Call, about: About) -> None:
        """Have at hand what the bundles say, outside of the transaction."""
        with self._database.read() as tx:
            versions = self._versions(tx, call, about)
        self._judging.prepare(versions)

    def _versions(self, tx: Transaction, call: Call, about: About) -> list[Version]:
        if isinstance(about, VersionName):
            return [self._registry.version_in(tx, call.project, about)]
        if isinstance(about, ReleaseName):
            return self._versions_of(tx, call, held_release(tx, call, about.endpoint, about.number))
        return []

    def _versions_of(self, tx: Transaction, call: Call, release: Release) -> list[Version]:
        return [self._registry.version_in(tx, call.project, name) for name in release.versions]

    def _open(self, tx: Transaction, call: Call, about: About) -> _Open:
        solo = call.actor.solo
        if isinstance(about, VersionName):
            version = self._registry.version_in(tx, call.project, about)
            matter = self._judging.version(tx, version, solo=solo).matter
            return _Open(matter=matter, is_open=version.state is VersionState.CERTIFIED, state=str(version.state))
        if isinstance(about, ReleaseName):
            release = held_release(tx, call, about.endpoint, about.number)
            matter = self._judging.release(tx, release, self._versions_of(tx, call, release), solo=solo).matter
            glass = next(iter(store.glass_of(tx, about.endpoint, about.number)), None)
            if glass is not None and glass.is_open:  # live or not: others have to say yes still, and so may say no
                return _Open(matter=to_confirm(matter, glass, solo=solo), is_open=True, state=str(release.state))
            return _Open(matter=matter, is_open=release.state is ReleaseState.PROPOSED, state=str(release.state))
        held, matter = self._standards.at_gate(tx, call, about.number)
        return _Open(matter=matter, is_open=held.state is StandardState.PROPOSED, state=str(held.state))

    def _required_open(self, tx: Transaction, call: Call, about: About) -> _Open:
        found = self._open(tx, call, about)
        if not found.is_open:
            raise VoteUnfit(f"{found.matter.subject} is {found.state}", subject=found.matter.subject, state=found.state)
        return found

    def _repeated(self, tx: Transaction, call: Call) -> bool:
        return self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest) is not None
