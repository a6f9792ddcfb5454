"""The verbs of sessions, signed certificates, keys and notices."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import quote

import msgspec

from muster.client.orders import order_of
from muster.client.transport import Transport
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import OPEN_SESSIONS
from muster.wire import certificates as wire
from muster.wire import control

_LOOK_EVERY_S = 0.3


class Certificates:
    """What a factory's client can say about certificates and the work that gives them; part of `muster.client.control.Factory`."""

    _transport: Transport
    _project: str

    # Sessions.

    def session(self, session: str, *, after: int = 0) -> control.Session:
        """One execution of long work, with its lines of progress after so many."""
        path = f"{self._project}/sessions/{quote(session, safe='')}"
        return self._transport.get(path, control.Session, after=after or None)

    def sessions(self, *, open_only: bool = False, about: str | None = None, limit: int = 20) -> control.Sessions:
        """The last sessions of the project, the newest first.

        Args:
            open_only: only those that will go on.
            about: only those about it: `churn:3`.
            limit: how many at most.
        """
        shown = "true" if open_only else None
        return self._transport.get(f"{self._project}/sessions", control.Sessions, open=shown, about=about, limit=limit)

    def cancel_session(self, session: str, reason: str) -> control.Session:
        """End a session for good; what works on it is ended within a second."""
        path = f"{self._project}/sessions/{quote(session, safe='')}/cancel"
        return self._transport.post(path, control.Session, order_of(control.ReasonOrder, reason=reason))

    def follow_session(
        self, session: str, *, pause: Callable[[float], object] = time.sleep
    ) -> Iterator[control.Session]:
        """The session again and again until it is over, each time with the lines that are new; the last one is how it ended.

        Args:
            session: which.
            pause: waits so many seconds between two looks.
        """
        seen = 0
        while True:
            found = self.session(session, after=seen)
            seen = found.lines
            yield found
            if found.state not in OPEN_SESSIONS:
                return
            pause(_LOOK_EVERY_S)

    # Certificates.

    def certificates(self, version: str | VersionName) -> control.Certificates:
        """Every certificate of a version, the newest first."""
        return self._transport.get(f"{self._certified(version)}/certificates", control.Certificates)

    def signed_certificate(self, version: str | VersionName) -> wire.SignedCertificate:
        """The newest certificate of a version as a signed statement, with every signature."""
        return self._transport.get(f"{self._certified(version)}/certificate", wire.SignedCertificate)

    def verify_certificate(self, version: str | VersionName, *, strict: bool = False) -> wire.CertificateVerification:
        """Hold the newest certificate of a version against its signatures, the stored bytes, the time and the factory's machine.

        Args:
            version: whose.
            strict: a key that is revoked by now vouches for nothing, whatever moment the certificate names.
        """
        path = f"{self._certified(version)}/certificate/verification"
        asked = "true" if strict else None
        return self._transport.get(path, wire.CertificateVerification, wait_s=600.0, strict=asked)

    def sign_certificate(self, version: str | VersionName, key: str | Path, reason: str) -> wire.SignedCertificate:
        """Put one's own signature beside the factory's; the private key does not leave this machine.

        Args:
            version: whose newest certificate.
            key: the file with the private key, whose public part was made known before.
            reason: why.

        Raises:
            KeyMalformed: the file holds no Ed25519 key.
        """
        # Here and not above: it brings a library of cryptography, which most callers do without.
        from muster.attestation.envelopes import Envelope, signed  # noqa: PLC0415
        from muster.attestation.keys import read_signing_key  # noqa: PLC0415

        own = read_signing_key(Path(key).read_bytes(), of=str(key))
        found = self.signed_certificate(version)
        envelope = signed(msgspec.convert(found.envelope, Envelope), own)
        sig = next(one.sig for one in envelope.signatures if one.keyid == own.public.id)
        order = order_of(wire.SignatureOrder, session=found.session, key=own.public.id, sig=sig, reason=reason)
        path = f"{self._certified(version)}/certificate/signatures"
        return self._transport.post(path, wire.SignedCertificate, order)

    # Keys.

    def certificate_keys(self) -> wire.CertificateKeys:
        """The public keys that certificates are verified with, the factory's own first."""
        return self._transport.get("/api/v1/certificates/keys", wire.CertificateKeys)

    def rotate_certificate_key(self, reason: str) -> wire.CertificateKey:
        """Have a new key of the factory sign from now on; those before are revoked."""
        order = order_of(control.ReasonOrder, reason=reason)
        return self._transport.post("/api/v1/certificates/keys/rotate", wire.CertificateKey, order)

    def add_certificate_key(self, public_key: str, reason: str) -> wire.CertificateKey:
        """Make a public key of one's own known, in PEM."""
        order = order_of(wire.KeyOrder, public_key=public_key, reason=reason)
        return self._transport.post(f"{self._project}/certificates/keys", wire.CertificateKey, order)

    def revoke_certificate_key(self, key: str, reason: str) -> wire.CertificateKey:
        """Say that a person's key signs nothing any more."""
        path = f"{self._project}/certificates/keys/{quote(key, safe='')}/revoke"
        return self._transport.post(path, wire.CertificateKey, order_of(control.ReasonOrder, reason=reason))

    # Notices.

    def notices(self, *, urgent_only: bool = False) -> wire.Notices:
        """What is to be said of the certificates of the project now."""
        return self._transport.get(f"{self._project}/notices", wire.Notices, urgent="true" if urgent_only else None)

    def _certified(self, version: str | VersionName) -> str:
        name = version if isinstance(version, VersionName) else VersionName.parse(version)
        return f"{self._project}/models/{name.model}/versions/{name.number}"
