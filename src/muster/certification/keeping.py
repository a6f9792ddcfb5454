"""What is kept of an examination while it goes on, so that one that is interrupted goes on where it was.

A check may be taken over from an earlier attempt only if it leaves nothing that later ones need (`is_kept`), and was made from the
same: the same version, environment, machine, limits and software. All others are made again; that costs their time and nothing else.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any, Protocol

import msgspec

import muster
from muster.certification.checks import Bench, Question
from muster.certification.records import Check
from muster.sessions.records import Measure, Session
from muster.sessions.service import Sessions
from muster.vocabulary.digests import digest_of
from muster.wire.evidence import CheckEvidence, Exhibit


class Keeping(Protocol):
    """Where finished checks are kept."""

    def found(self, name: str, key: str) -> Mapping[str, Any] | None:
        """What an earlier attempt kept of a check that was made from the same; None: nothing."""
        ...

    def keep(self, name: str, key: str, content: Mapping[str, Any]) -> None:
        """Keep a check."""
        ...


class NothingKept:
    """Keeps nothing, for examinations that nobody begins again."""

    def found(self, name: str, key: str) -> None:
        """Nothing."""

    def keep(self, name: str, key: str, content: Mapping[str, Any]) -> None:
        """Nothing."""


class KeptInSession:
    """Keeps checks with the session of an examination.

    Args:
        sessions: where.
        session: claimed.
    """

    def __init__(self, sessions: Sessions, session: Session) -> None:
        self._sessions = sessions
        self._session = session
        self._before = {done.name: done for done in session.kept if done.attempt < session.attempt}

    def found(self, name: str, key: str) -> Mapping[str, Any] | None:
        """What an earlier attempt kept of a check that was made from the same; None: nothing."""
        done = self._before.get(name)
        return None if done is None or done.key != key else done.content

    def keep(self, name: str, key: str, content: Mapping[str, Any]) -> None:
        """Keep a check.

        Raises:
            SessionInterrupted: the session was ended meanwhile: stop the work.
        """
        self._sessions.keep(self._session, name, key, content)


class _Shown(msgspec.Struct, frozen=True):
    """What a check left beside its figure."""

    exhibits: tuple[Exhibit, ...] = ()
    measures: tuple[Measure, ...] = ()


def is_kept(question: Question) -> bool:
    """Whether a check may be taken over from an earlier attempt: it says so itself."""
    return bool(getattr(question, "is_kept", False))


def key_of(question: Question, bench: Bench, hardware: str, limit: float | None) -> str:
    """The digest of all that a check is made from.

    Args:
        question: the check.
        bench: what it works with.
        hardware: the machine.
        limit: what the standard allows, where it says so.
    """
    made_from = {
        "check": question.name,
        "version": bench.version.digest,
        "environment": None if bench.environment is None else bench.environment.id,
        "seal": None if bench.seal is None else bench.seal.digest,
        "hardware": hardware,
        "muster": muster.__version__,
        "options": asdict(bench.options),
        "given": msgspec.to_builtins(bench.given_options.get(question.name, {})),
        "limit": limit,
    }
    return digest_of(json.dumps(made_from, sort_keys=True, default=str).encode())


def content_of(check: Check, bench: Bench, shown_before: int, measured_before: int) -> dict[str, Any]:
    """A check as it is kept, with what it showed and measured."""
    shown = tuple(one for evidence in bench.shown[shown_before:] for one in evidence.exhibits)
    left = _Shown(exhibits=shown, measures=tuple(bench.measures[measured_before:]))
    return {"check": asdict(check), "left": msgspec.to_builtins(left)}


def taken_over(content: Mapping[str, Any], bench: Bench) -> Check:
    """A check as it was kept; what it showed and measured is on the bench again."""
    check = Check(**content["check"])
    left = msgspec.convert(content["left"], _Shown)
    if left.exhibits:
        bench.shown.append(CheckEvidence(name=check.name, exhibits=left.exhibits))
    bench.measures.extend(left.measures)
    return check
