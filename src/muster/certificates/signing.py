"""Signs what certification has found: the statement that a certificate is, to whoever has only the file."""

from collections.abc import Mapping
from typing import Any

from muster.attestation import statements
from muster.attestation.envelopes import signed
from muster.attestation.statements import CheckStated, MeasureStated, Predicate, statement_about
from muster.certificates.keys import Keys
from muster.certification.records import Certificate, Check, Examined
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import rfc3339


class FactorySigner:
    """Signs certificates with the factory's key.

    Args:
        keys: the keys.
        factory: the factory's id.
    """

    def __init__(self, keys: Keys, factory: str) -> None:
        self._keys = keys
        self._factory = factory

    def signed(self, tx: Transaction, certificate: Certificate, examined: Examined) -> bytes:
        """The certificate as a DSSE envelope in JSON.

        Raises:
            KeyUnavailable, KeyRevoked: the factory has no key to sign with.
        """
        standard = certificate.standard
        predicate = Predicate(
            factory=self._factory,
            project=certificate.project,
            version=str(certificate.version),
            session=certificate.session,
            environment=certificate.environment,
            seal=certificate.seal,
            twin=certificate.twin,
            standard=None
            if standard is None
            else statements.StandardNamed(name=standard.name, version=standard.number, digest=standard.digest),
            checks=tuple(_stated(check) for check in certificate.checks),
            measures=tuple(
                MeasureStated(
                    name=one.name,
                    version=one.version,
                    value=one.value,
                    over=one.over,
                    slice=one.slice,
                    low=one.low,
                    high=one.high,
                )
                for one in examined.measures
            ),
            evidence=certificate.evidence,
            hardware=certificate.hardware,
            requested_by=certificate.requested_by,
            at=rfc3339(certificate.at),
            expires=None if certificate.expires is None else rfc3339(certificate.expires),
        )
        envelope = statement_about(str(certificate.version), certificate.digest, predicate)
        return signed(envelope, self._keys.signing_in(tx)).encode()


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


def _floats(figures: Mapping[str, Any]) -> dict[str, float]:
    return {name: float(value) for name, value in figures.items()}
