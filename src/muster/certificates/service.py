"""Signed certificates: shown, exported, signed by people, held against what they are about."""

import base64
import binascii
from collections.abc import Callable

from muster.access.actor import Call
from muster.access.roles import Right
from muster.attestation.envelopes import Envelope, Signature, pae, read_envelope
from muster.attestation.errors import AttestationMalformed
from muster.attestation.statements import Statement, read_statement
from muster.attestation.verification import Problem, judged
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.certificates import records, store
from muster.certificates.agreement import changed_in
from muster.certificates.errors import (
    CertificateAltered,
    CertificateChanged,
    CertificateMissing,
    CertificateUnsigned,
    KeyNotFound,
    KeyRevoked,
    NotYourKey,
    SignatureRefused,
)
from muster.certificates.keys import Keys
from muster.certificates.records import Key, Signed, Verification
from muster.certification.records import Certificate
from muster.certification.service import Certification
from muster.registry.reasons import checked_reason
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock, rfc3339
from muster.vocabulary.digests import Digest
from muster.vocabulary.errors import Damaged, MusterError, NotFound
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import VersionState

_PIECE_BYTES = 1 << 20

#: Tells the id of the environment that this machine would build of a version now; None: nobody can tell here.
EnvironmentNow = Callable[[Version], Digest | None]


class Certificates:
    """The signed certificates of one factory.

    Args:
        database: where people's signatures are kept.
        journal: where each deed is put on record.
        certification: gives certificates.
        registry: what they are about.
        keys: who signs.
        environment_now: what this machine would build.
        clock: tells when.
    """

    def __init__(
        self,
        *,
        database: Database,
        journal: Journal,
        certification: Certification,
        registry: Registry,
        keys: Keys,
        environment_now: EnvironmentNow,
        clock: Clock,
    ) -> None:
        self._database = database
        self._journal = journal
        self._certification = certification
        self._registry = registry
        self._keys = keys
        self._environment_now = environment_now
        self._clock = clock

    def signed(self, call: Call, name: VersionName) -> Signed:
        """The newest certificate of a version with every signature, as it is exported.

        Raises:
            VersionNotFound: there is no such version.
            CertificateMissing: it has none.
            CertificateUnsigned: an earlier version of Muster gave it.
            CertificateAltered: what is signed is not what the database holds beside it.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            self._registry.version_in(tx, call.project, name)
            return self._signed(tx, self._certificate(tx, call.project, name))

    def sign(self, call: Call, name: VersionName, *, session: str, key_id: str, sig: str, reason: str) -> Signed:
        """Put a person's signature beside the factory's; it was made where the private key is.

        Args:
            call: who.
            name: of the version.
            session: of the certificate that was signed.
            key_id: which of the caller's keys has signed it.
            sig: base64 of the signature over the envelope's payload and type, as DSSE has it.
            reason: why.

        Raises:
            CertificateChanged: there is a newer certificate.
            KeyNotFound, KeyRevoked, NotYourKey: the key is not one of the caller's that counts.
            SignatureRefused: it is no signature of that key over this certificate.
        """
        call.require(Right.CERTIFY)
        told = checked_reason(reason)
        with self._database.write() as tx:
            entry = self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest)
            self._registry.version_in(tx, call.project, name)
            certificate = self._certificate(tx, call.project, name)
            before = self._signed(tx, certificate)
            if entry is not None:
                return before
            if certificate.session != session:
                raise CertificateChanged(
                    f"the newest certificate of {name} is {certificate.session}", version=str(name)
                )
            key = self._own_key(tx, call, key_id)
            _check_signature(before.envelope, key, sig)
            if any(one.key == key_id for one in store.signatures_of(tx, session)):
                return before  # a key signs once; the same signature again changes nothing
            now = self._clock.now()
            store.add_signature(tx, records.Signature(session=session, key=key_id, by=call.actor.name, sig=sig, at=now))
            self._journal.append(
                tx,
                Deed(
                    actor=call.actor.name,
                    action="certificate.signed",
                    subject=str(name),
                    project=call.project,
                    details={"session": session, "key": key_id},
                    reason=told,
                    idempotency_key=call.idempotency_key,
                    request_digest=call.request_digest,
                ),
            )
            return self._signed(tx, certificate)

    def signatures(self, call: Call, certificate: Certificate) -> tuple[records.Signature, ...]:
        """Who has signed a certificate that the caller was just given, the factory (without a name) first; none: nobody.

        They are told as they are kept: whether they are good, `verify` finds.
        """
        call.require(Right.READ)
        if certificate.envelope is None:
            return ()
        try:
            own = read_envelope(certificate.envelope).signatures
        except AttestationMalformed:  # it was changed where it lies; `verify` says so
            return ()
        with self._database.read() as tx:
            people = store.signatures_of(tx, certificate.session)
        factory = (
            records.Signature(session=certificate.session, key=one.keyid, by="", sig=one.sig, at=certificate.at)
            for one in own
        )
        return (*factory, *people)

    def require_as_signed(self, call: Call, certificate: Certificate) -> None:
        """Refuse a certificate that the caller was just given and that is not what was signed; one without a signature passes.

        Raises:
            CertificateAltered: what is signed is not what the database holds beside it.
        """
        call.require(Right.READ)
        if certificate.envelope is not None:
            with self._database.read() as tx:
                self._signed(tx, certificate)

    def verify(self, call: Call, name: VersionName, *, strict: bool = False) -> Verification:
        """Hold the newest certificate of a version against its signatures, the stored bytes, the time and this machine.

        Every byte of the version is read for it.

        Args:
            call: who.
            name: of the version.
            strict: a key that is revoked by now vouches for nothing, whatever moment the certificate names.

        Raises:
            VersionNotFound: there is no such version.
            CertificateMissing, CertificateUnsigned, CertificateAltered: there is nothing to verify, or it is not what was signed.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            version = self._registry.version_in(tx, call.project, name)
            signed = self._signed(tx, self._certificate(tx, call.project, name))
            keys = self._keys.known_in(tx)
        found = judged(signed.envelope, [key.known for key in keys], self._clock.now(), strict=strict)
        ids = {known.public.id for known in found.signed_by}
        return Verification(
            version=name,
            session=signed.session,
            statement=signed.statement,
            signed_by=tuple(key for key in keys if key.public.id in ids),
            problems=(*found.problems, *self._problems_here(call, version, signed.statement)),
        )

    def _problems_here(self, call: Call, version: Version, statement: Statement) -> list[Problem]:
        """What only the factory can find."""
        problems = []
        if statement.digest != version.digest:
            problems.append(
                Problem(code="subject", told=f"it is about {statement.digest}, the version is {version.digest}")
            )
        elif (damage := self._damage(call, version)) is not None:
            problems.append(Problem(code="bytes", told=damage))
        if version.state in {VersionState.BANNED, VersionState.RETIRED}:
            problems.append(Problem(code="state", told=f"the version is {version.state}"))
        now = self._environment_now(version)
        if now is not None and now != statement.predicate.environment:
            problems.append(
                Problem(
                    code="environment",
                    told=f"this machine would build {now}, it names {statement.predicate.environment}",
                )
            )
        return problems

    def _damage(self, call: Call, version: Version) -> str | None:
        """Which of the stored bytes are not those that were certified; None: all are."""
        try:
            for entry in self._registry.manifest(call, version.name).files:
                with self._registry.file(call, version.name, entry.path) as stream:
                    while stream.read(_PIECE_BYTES):
                        pass
        except (Damaged, NotFound) as error:
            return error.message
        return None

    def _certificate(self, tx: Transaction, project: str, name: VersionName) -> Certificate:
        found = self._certification.certificate_in(tx, project, name)
        if found is None:
            raise CertificateMissing(f"{name} has no certificate", version=str(name))
        return found

    def _signed(self, tx: Transaction, certificate: Certificate) -> Signed:
        name = certificate.version
        if certificate.envelope is None:
            raise CertificateUnsigned(
                f"the newest certificate of {name}, of {rfc3339(certificate.at)}, is not signed", version=str(name)
            )
        try:
            envelope = read_envelope(certificate.envelope)
            statement = read_statement(envelope)
        except AttestationMalformed as error:
            raise CertificateAltered(f"the certificate of {name} cannot be read: {error.message}") from error
        if changed := changed_in(statement, certificate, self._certification.measures_in(tx, certificate)):
            raise CertificateAltered(
                f"the certificate of {name} is not the one that was signed: {', '.join(changed)}",
                version=str(name),
                changed=list(changed),
            )
        people = tuple(Signature(sig=one.sig, keyid=one.key) for one in store.signatures_of(tx, certificate.session))
        whole = Envelope(
            payload=envelope.payload,
            payload_type=envelope.payload_type,
            signatures=(*envelope.signatures, *people),
        )
        return Signed(version=name, session=certificate.session, envelope=whole, statement=statement)

    def _own_key(self, tx: Transaction, call: Call, key_id: str) -> Key:
        key = next((one for one in self._keys.known_in(tx) if one.public.id == key_id), None)
        if key is None:
            raise KeyNotFound(f"there is no key {key_id[:80]}", key=key_id[:80])
        if key.owner != call.actor.name:
            owner = key.owner or "the factory"
            raise NotYourKey(f"the key {key_id} belongs to {owner}", key=key_id, owner=key.owner)
        if key.revoked_at is not None:
            raise KeyRevoked(f"the key {key_id} was revoked at {rfc3339(key.revoked_at)}", key=key_id)
        return key


def _check_signature(envelope: Envelope, key: Key, sig: str) -> None:
    try:
        made = base64.b64decode(sig.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeEncodeError, ValueError) as error:
        raise SignatureRefused("the signature is not base64") from error
    if not key.public.has_signed(pae(envelope.payload_type, envelope.content), made):
        raise SignatureRefused(f"the key {key.public.id} did not make this signature over the certificate")


def environment_unknown(_: Version) -> None:
    """For factories without a machine that builds."""


def tolerant(now: EnvironmentNow) -> EnvironmentNow:
    """The same, but where tools are missing nobody can tell: that is no change of the environment."""

    def told(version: Version) -> Digest | None:
        try:
            return now(version)
        except MusterError:
            return None

    return told
