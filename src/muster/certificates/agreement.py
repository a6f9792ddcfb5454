"""What a certificate states, and whether the database still says the same beside it: one of the two may have been changed."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from muster.attestation import statements
from muster.attestation.envelopes import Envelope
from muster.attestation.statements import CheckStated, MeasureStated, Predicate, Statement, statement_about
from muster.certification.records import Certificate, Check
from muster.sessions.records import Measure
from muster.vocabulary.clock import rfc3339


def statement_of(certificate: Certificate, measures: Sequence[Measure], factory: str) -> Envelope:
    """The statement that a certificate is, signed by nobody yet.

    Args:
        certificate: as the database keeps it.
        measures: what its session has measured.
        factory: id of the factory.
    """
    predicate = Predicate(
        factory=factory,
        project=certificate.project,
        version=str(certificate.version),
        session=certificate.session,
        environment=certificate.environment,
        seal=certificate.seal,
        twin=certificate.twin,
        standard=None
        if (standard := certificate.standard) is None
        else statements.StandardNamed(name=standard.name, version=standard.number, digest=standard.digest),
        checks=tuple(_stated(check) for check in certificate.checks),
        measures=tuple(_measured(one) for one in sorted(measures, key=_order)),
        evidence=certificate.evidence,
        hardware=certificate.hardware,
        requested_by=certificate.requested_by,
        at=rfc3339(certificate.at),
        expires=None if certificate.expires is None else rfc3339(certificate.expires),
    )
    return statement_about(str(certificate.version), certificate.digest, predicate)


def changed_in(said: Statement, certificate: Certificate, measures: Sequence[Measure]) -> tuple[str, ...]:
    """In which of its members a signed statement is another than the one that the database would give now.

    The factory's id is in the statement alone: there is nothing that it could be held against.

    Args:
        said: what was signed.
        certificate: as the database keeps it.
        measures: what its session has measured, as the database keeps it.
    """
    now = statements.read_statement(statement_of(certificate, measures, said.predicate.factory))
    pairs = [
        (name, getattr(said.predicate, name), getattr(now.predicate, name)) for name in Predicate.__struct_fields__
    ]
    pairs.append(("subject", said.subject, now.subject))
    return tuple(name for name, signed, kept in pairs if _comparable(name, signed) != _comparable(name, kept))


def _comparable(name: str, value: Any) -> Any:
    """Measures were signed in the order in which they were made; the database keeps none."""
    return sorted(map(msgspec.json.encode, value)) if name == "measures" else value


def _order(measure: Measure) -> tuple[str, str, str]:
    return measure.over, measure.slice, measure.name


def _measured(one: Measure) -> MeasureStated:
    return MeasureStated(
        name=one.name,
        version=one.version,
        value=one.value,
        over=one.over,
        slice=one.slice,
        low=one.low,
        high=one.high,
    )


def _stated(check: Check) -> CheckStated:
    return CheckStated(
        name=check.name,
        passed=check.passed,
        figure=check.figure,
        limit=check.limit,
        detail=check.detail,
        figures=_floats(check.figures),
        waived=not check.passed,  # a certificate holds a failed check only if it did not have to pass
    )


def _floats(figures: Mapping[str, Any]) -> dict[str, float | str]:
    return {name: float(value) for name, value in figures.items()}
