"""The report of a certification, as a document: the verdict and why, every check with what it showed."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from muster.certificates.records import Signature
from muster.certification.questions import QUESTIONS
from muster.certification.records import Certificate
from muster.dossiers.records import Examination
from muster.registry.records import Version
from muster.sessions.records import Measured, Session
from muster.vocabulary.clock import rfc3339
from muster.vocabulary.states import SessionState
from muster.wire.evidence import Exhibit
from muster.wire.reports import (
    REPORT_FORMAT,
    CertificationReport,
    ReportedCheck,
    ReportedMeasure,
    ReportedSignature,
    ReportedStandard,
)

_ASKS = {question.name: question.asks for question in QUESTIONS}
_NEEDED = frozenset(question.name for question in QUESTIONS if question.is_needed)
_MOST_NAMED = 4


def report_of(
    examination: Examination,
    version: Version,
    certificate: Certificate | None,
    standard: ReportedStandard,
    *,
    signatures: Iterable[Signature],
    valid_until: datetime | None,
    solo: bool,
) -> CertificationReport:
    """The document.

    Args:
        examination: the session, and of what it showed what the reader may see.
        version: that was examined, as it is now.
        certificate: that came of the session; None: none.
        standard: that held when it ran.
        signatures: under the certificate.
        valid_until: when the certificate lapses.
        solo: whether the factory is for one person.
    """
    session = examination.session
    result: Mapping[str, Any] = session.result or {}
    exhibits = {one.name: one.exhibits for one in examination.evidence.checks}
    may_fail = frozenset(result.get("may_fail", ()))
    checks = tuple(
        _check(told, exhibits, may_fail=_may_fail(told, may_fail, session)) for told in result.get("checks", ())
    )
    is_complete = session.state is SessionState.PASSED or not (
        checks and not checks[-1].passed and checks[-1].name in _NEEDED
    )
    verdict, why = _verdict(session, checks, is_complete=is_complete)
    return CertificationReport(
        format=REPORT_FORMAT,
        session=session.id,
        session_state=session.state,
        verdict=verdict,
        why=why,
        version=str(version.name),
        project=version.project,
        digest=version.digest,
        state=version.state,
        description=version.description,
        owners=version.owners,
        authors=version.authors,
        registered_by=version.registered_by,
        registered_at=rfc3339(version.registered_at),
        standard=standard,
        requested_by=session.requested_by,
        created_at=rfc3339(session.created_at),
        started_at=_at(session.started_at),
        finished_at=_at(session.finished_at),
        valid_until=None if certificate is None else _at(valid_until),
        environment=result.get("environment"),
        hardware=result.get("hardware", ""),
        seal=result.get("seal"),
        twin=result.get("twin"),
        evidence=result.get("evidence"),
        signatures=tuple(
            ReportedSignature(key=one.key, by=one.by or "the factory", at=rfc3339(one.at)) for one in signatures
        ),
        is_complete=is_complete,
        checks=checks,
        measures=measures_told(examination.measures),
        solo=solo,
    )


def measures_told(measures: Iterable[Measured]) -> tuple[ReportedMeasure, ...]:
    """Measures as documents tell them: what they were computed on, then the whole before its slices."""
    ordered = sorted(measures, key=lambda one: (one.measure.over, one.measure.slice, one.measure.name))
    return tuple(
        ReportedMeasure(
            name=one.measure.name,
            definition=one.measure.version,
            value=one.measure.value,
            over=one.measure.over,
            slice=one.measure.slice,
            low=one.measure.low,
            high=one.measure.high,
        )
        for one in ordered
    )


def _check(told: Mapping[str, Any], exhibits: Mapping[str, tuple[Exhibit, ...]], *, may_fail: bool) -> ReportedCheck:
    name = told["name"]
    return ReportedCheck(
        name=name,
        asks=_ASKS.get(name, ""),
        passed=told["passed"],
        may_fail=may_fail,
        figure=told["figure"],
        limit=told["limit"],
        detail=told.get("detail", ""),
        remedy=told.get("remedy", ""),
        figures=dict(told.get("figures", {})),
        exhibits=exhibits.get(name, ()),
    )


def _may_fail(told: Mapping[str, Any], may_fail: frozenset[str], session: Session) -> bool:
    """Whether a check did not have to pass; sessions of earlier versions of Muster tell it by having passed all the same."""
    return told["name"] in may_fail or (session.state is SessionState.PASSED and not told["passed"])


def _verdict(session: Session, checks: tuple[ReportedCheck, ...], *, is_complete: bool) -> tuple[Any, str]:
    total = f"{len(checks)} {'check' if len(checks) == 1 else 'checks'}"
    broken_off = (session.result or {}).get("error")
    if broken_off:  # over a limit, given up, an error of Muster's own: that says nothing of the version
        return (
            "unfinished",
            f"The examination was broken off, so there is no verdict: {_sentence(broken_off['message'])}",
        )
    if session.state not in {SessionState.PASSED, SessionState.FAILED}:
        yet = "" if session.state is SessionState.CANCELLED else " yet"
        return "unfinished", f"The certification is {session.state}; there is no verdict{yet}."
    failed = [check for check in checks if not check.passed]
    allowed = [check for check in failed if check.may_fail]
    if session.state is SessionState.PASSED:
        if not allowed:
            return "certified", f"All {total} passed."
        return "certified", f"{len(checks) - len(allowed)} of {total} passed; what failed may: {_named(allowed)}."
    against = [check for check in failed if not check.may_fail]
    if not against:
        return (
            "not-certified",
            "No check stands against it, but the version could not be certified any more when they were done.",
        )
    rest = "" if is_complete else " After that the remaining checks could not be made."
    return "not-certified", f"{len(against)} of {total} failed: {_named(against)}.{rest}"


def _sentence(text: str) -> str:
    return text if text.endswith((".", "!", "?")) else f"{text}."


def _named(checks: list[ReportedCheck]) -> str:
    named = ", ".join(check.name for check in checks[:_MOST_NAMED])
    return named if len(checks) <= _MOST_NAMED else f"{named} and {len(checks) - _MOST_NAMED} more"


def _at(moment: datetime | None) -> str | None:
    return None if moment is None else rfc3339(moment)
