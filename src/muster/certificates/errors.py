"""What can go wrong with keys and signed certificates."""

from muster.vocabulary.errors import Conflict, Damaged, Invalid, NotAllowed, NotFound, Refused, Unavailable


class KeyUnavailable(Unavailable):
    """The factory's private key cannot be read, or its file holds no key; nothing is certified without it."""

    code = "certificates.key-unavailable"
    advice = (
        "Restore the file from a copy of the home, or have a new key made: `muster certificate rotate-key --reason …`."
    )


class KeyRevoked(Refused):
    """The key was revoked: it signs nothing any more."""

    code = "certificates.key-revoked"
    advice = "Use another key; a factory gets one with `muster certificate rotate-key --reason …`."


class KeyNotFound(NotFound):
    """The factory knows no key of this id."""

    code = "certificates.key-not-found"
    advice = "`muster certificate keys` lists those that it knows; `muster certificate add-key FILE` makes one of yours known."


class KeyKnown(Conflict):
    """The factory knows the key already, as somebody's or as its own."""

    code = "certificates.key-known"
    advice = "Make a key of your own: `openssl genpkey -algorithm ed25519 -out me.pem`."


class KeyUnchanged(Conflict):
    """The settings name the file of the factory's key, and it still holds the key that shall be replaced."""

    code = "certificates.key-unchanged"
    advice = "Put the new key into the file that certification.signing_key names, on every machine; then ask again."


class NotYourKey(NotAllowed):
    """The key is somebody else's."""

    code = "certificates.not-your-key"
    advice = "Sign with a key of your own; only its owner, or who may manage keys, revokes a key."


class CertificateMissing(NotFound):
    """The version has no certificate."""

    code = "certificates.missing"
    advice = "Have it examined: `muster certify VERSION`."


class CertificateUnsigned(Conflict):
    """The certificate is of an earlier version of Muster, which signed none."""

    code = "certificates.unsigned"
    advice = "Certify the version again: `muster certify VERSION`; the new certificate is signed."


class CertificateChanged(Conflict):
    """There is a newer certificate than the one that was signed."""

    code = "certificates.changed"
    advice = "Look at the new certificate, then sign that one."


class SignatureRefused(Invalid):
    """What was sent is no signature of that key over this certificate."""

    code = "certificates.signature-refused"
    advice = "`muster certificate sign VERSION --key FILE` makes one and sends it."


class CertificateAltered(Damaged):
    """The certificate in the database is not the one that was signed."""

    code = "certificates.altered"
    advice = "Somebody changed the database by other means than Muster: restore it from a copy, or certify the version again."
