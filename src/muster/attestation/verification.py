"""What can be said of a signed certificate with nothing but keys and the time: for the factory, and for whoever has only the file."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from muster.attestation.envelopes import Envelope, signers
from muster.attestation.errors import AttestationMalformed
from muster.attestation.keys import PublicKey
from muster.attestation.statements import Statement, read_statement


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownKey:
    """A key that somebody trusts."""

    public: PublicKey
    owner: str = ""
    """The user whose it is; empty: a factory's own."""
    revoked_at: datetime | None = None
    """From when on nothing that it signs counts; None: it is good."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Problem:
    """Why a certificate should not be relied upon."""

    code: str
    """`signature`, `revoked`, `expired`; the factory itself finds further ones."""
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """What was found."""

    statement: Statement
    signed_by: tuple[KnownKey, ...]
    """The known keys that have signed it, whether they still count or not."""
    problems: tuple[Problem, ...]

    @property
    def is_good(self) -> bool:
        """Whether it may be relied upon."""
        return not self.problems


def judged(envelope: Envelope, keys: Iterable[KnownKey], now: datetime, *, strict: bool = False) -> Judged:
    """Hold a certificate against known keys and the time.

    A signature of a person says who stands for the certificate; the certificate itself is the factory's, whose signature it needs.

    Revocation is held against the moment that the statement itself names. Whoever has stolen the private key can write an earlier one,
    so where a key was revoked because it was stolen only a strict look tells anything.

    Args:
        envelope: with the certificate.
        keys: those that are trusted.
        now: the moment for which it is asked.
        strict: a key that is revoked by now vouches for nothing, whatever moment the statement names.

    Raises:
        AttestationMalformed: it carries no certificate.
    """
    statement = read_statement(envelope)
    known = tuple(keys)
    own = {key.id for key in signers(envelope, [one.public for one in known])}
    signed_by = tuple(one for one in known if one.public.id in own)
    at = _moment(statement.predicate.at)
    problems = []
    factory = [one for one in signed_by if not one.owner]
    if not factory:
        problems.append(
            Problem(code="signature", told=f"none of the {len(known)} known keys of a factory has signed it")
        )
    elif all(one.revoked_at is not None and one.revoked_at <= at for one in factory):
        problems.append(Problem(code="revoked", told="the key that has signed it was revoked before"))
    elif strict and all(one.revoked_at is not None for one in factory):
        told = "the key that has signed it is revoked by now: whoever has it could have written any moment into it"
        problems.append(Problem(code="revoked", told=told))
    if (ends := statement.predicate.expires) is not None and _moment(ends) <= now:
        problems.append(Problem(code="expired", told=f"it was good until {ends}"))
    return Judged(statement=statement, signed_by=signed_by, problems=tuple(problems))


def _moment(text: str) -> datetime:
    try:
        found = datetime.fromisoformat(text)
    except ValueError as error:
        raise AttestationMalformed(f"{text[:40]!r} is no moment") from error
    if found.tzinfo is None:
        raise AttestationMalformed(f"{text[:40]!r} names no offset from UTC")
    return found
