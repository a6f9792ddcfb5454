"""Signs what certification has found, for whoever has only the file; and tells gates which certificates are not what was signed."""

from collections.abc import Sequence

from muster.attestation.envelopes import read_envelope, signed
from muster.attestation.errors import AttestationMalformed
from muster.attestation.verification import judged
from muster.certificates.agreement import changed_in, statement_of
from muster.certificates.keys import Keys
from muster.certificates.records import Key
from muster.certification.records import Certificate, Examined
from muster.sessions.records import Measure
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import rfc3339

#: That a certificate has ended is said by the standard, which lets it be waived.
_TOLD_ELSEWHERE = frozenset({"expired"})


class FactorySigner:
    """Signs certificates with the factory's key, and knows those that it has signed.

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
        envelope = statement_of(certificate, examined.measures, self._factory)
        return signed(envelope, self._keys.signing_in(tx)).encode()

    def doubt(self, tx: Transaction, certificate: Certificate, measures: Sequence[Measure]) -> str | None:
        """Why a certificate of the database is not one that the factory has given, as far as signatures tell; None: it may be.

        Args:
            tx: where.
            certificate: which.
            measures: what its session has measured, as the database keeps it.
        """
        known = self._keys.known_in(tx)
        if certificate.envelope is None:
            return _doubt_unsigned(certificate, known)
        try:
            envelope = read_envelope(certificate.envelope)
            found = judged(envelope, [key.known for key in known], certificate.at)
        except AttestationMalformed as error:
            return f"what was signed cannot be read: {error.message}"
        problems = [problem.told for problem in found.problems if problem.code not in _TOLD_ELSEWHERE]
        if changed := changed_in(found.statement, certificate, measures):
            problems.append(f"it is not what was signed: {', '.join(changed)}")
        return "; ".join(problems) or None


def _doubt_unsigned(certificate: Certificate, known: Sequence[Key]) -> str | None:
    """Earlier versions of Muster signed none: but since the factory has a key, every certificate has a signature."""
    own = [key.added_at for key in known if not key.owner]
    if not own or certificate.at < min(own):
        return None
    return f"it is not signed, and the factory has a key since {rfc3339(min(own))}"
