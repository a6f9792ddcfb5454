"""The certification sessions of a version, and what they showed."""

import json
from collections.abc import Iterable

import msgspec

from muster.access.actor import Call
from muster.audit.journal import Journal
from muster.certification.records import NO_EVIDENCE
from muster.certification.twinned import examined_by
from muster.dossiers.records import Examination
from muster.registry.service import Registry
from muster.sessions.records import REPLAY, Measured, MeasuresAsked, Session
from muster.sessions.service import Sessions
from muster.storage.transaction import Database
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import SessionState
from muster.wire.evidence import Evidence

_ENDED = frozenset({SessionState.PASSED, SessionState.FAILED})
_REQUESTED = "certification.requested"
_ON_LIVE = "live-test:"
#: Sessions that are looked at, the newest first, for one of the kind that is wanted.
_LOOKED_AT = 200


def has_verdict(session: Session) -> bool:
    """Whether a certification came to one: it has ended, and was not broken off, which says nothing of the version."""
    return session.state in _ENDED and "error" not in (session.result or {})


class Examinations:
    """Finds what was examined.

    Args:
        database: where sessions are kept.
        journal: tells which sessions are about a version.
        sessions: the sessions.
        registry: has what checks showed, in its store.
    """

    def __init__(self, *, database: Database, journal: Journal, sessions: Sessions, registry: Registry) -> None:
        self._database = database
        self._journal = journal
        self._sessions = sessions
        self._registry = registry

    def newest(self, call: Call, name: VersionName) -> Session | None:
        """The newest certification of a version that came to a verdict, else the newest of all; None: there is none."""
        with self._database.read() as tx:
            asked = [*self._journal.about(tx, str(name), call.project, _REQUESTED)]
        ids = [*dict.fromkeys(json.loads(entry.details)["session"] for entry in reversed(asked))]
        found: Session | None = None
        for session_id in ids[:_LOOKED_AT]:
            session = self._sessions.session(call, session_id)
            if has_verdict(session):
                return session
            found = found or session
        return found

    def of(self, call: Call, session: Session) -> Examination:
        """A session with what its checks showed, and what was measured in it."""
        name, _ = examined_by(session)
        digest = (session.result or {}).get("evidence")
        return Examination(
            session=session,
            evidence=self._evidence(Digest(digest)) if digest else NO_EVIDENCE,
            measures=self._sessions.measures(call, MeasuresAsked(model=name.model, session=session.id, slice=None)),
        )

    def replayed(self, call: Call, model: str) -> str | None:
        """The newest session that computed a past request of the model again and found the very same; None: there is none."""
        for session in self._sessions.sessions(call, _LOOKED_AT, kind=REPLAY):
            result = session.result or {}
            if session.state is not SessionState.PASSED or not result.get("identical"):
                continue
            if any(_is_of(variant.get("version", ""), model) for variant in result.get("variants", ())):
                return session.id
        return None

    def tried(self, call: Call, name: VersionName, measures: Iterable[Measured]) -> str | None:
        """The newest test on live traffic that a version passed, with its session; None: there is none."""
        taken = {
            one.session: one.measure.over
            for one in measures
            if one.version == name and one.measure.over.startswith(_ON_LIVE)
        }
        for session_id, over in taken.items():
            if self._sessions.session(call, session_id).state is SessionState.PASSED:
                return f"{over}, session {session_id}"
        return None

    def _evidence(self, digest: Digest) -> Evidence:
        return msgspec.json.decode(self._registry.document(digest), type=Evidence)


def _is_of(version: str, model: str) -> bool:
    return version.rpartition(":")[0] == model
