"""Ed25519 keys: private ones sign, public ones have an id by which signatures name them.

Source: RFC 8032 (Ed25519), RFC 8410 (its keys in PKCS #8 and SubjectPublicKeyInfo).
"""

from dataclasses import dataclass
from hashlib import sha256

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from muster.attestation.errors import KeyMalformed

#: A key in PEM takes 120 bytes; more than this is another file.
_MOST_BYTES = 10_000


@dataclass(frozen=True, slots=True)
class PublicKey:
    """What verifies the signatures of one private key."""

    key: Ed25519PublicKey

    @property
    def id(self) -> str:
        """SHA-256 of the key's SubjectPublicKeyInfo in DER, 64 hexadecimal digits; `openssl pkey -pubin -outform DER | sha256sum`."""
        return sha256(self._as(serialization.Encoding.DER)).hexdigest()

    @property
    def pem(self) -> str:
        """The key as `openssl` and others read it."""
        return self._as(serialization.Encoding.PEM).decode("ascii")

    def has_signed(self, message: bytes, signature: bytes) -> bool:
        """Whether a signature over a message is of this key."""
        try:
            self.key.verify(signature, message)
        except InvalidSignature:
            return False
        return True

    def _as(self, encoding: serialization.Encoding) -> bytes:
        return self.key.public_bytes(encoding, serialization.PublicFormat.SubjectPublicKeyInfo)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A private key; its text is shown nowhere."""

    key: Ed25519PrivateKey

    @property
    def public(self) -> PublicKey:
        """What may be given to everybody."""
        return PublicKey(self.key.public_key())

    def sign(self, message: bytes) -> bytes:
        """The 64 bytes of a signature; the same for the same message."""
        return self.key.sign(message)

    def pem(self) -> str:
        """The secret itself, for a file that only its owner reads."""
        return self.key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode("ascii")

    def __repr__(self) -> str:
        """Its public id, never the secret."""
        return f"SigningKey({self.public.id})"


def new_key() -> SigningKey:
    """A new key from the system's randomness."""
    return SigningKey(Ed25519PrivateKey.generate())


def read_signing_key(pem: bytes, *, of: str) -> SigningKey:
    """The private key in a PEM text.

    Args:
        pem: unencrypted PKCS #8, as `openssl genpkey -algorithm ed25519` writes it.
        of: whose, for the message.

    Raises:
        KeyMalformed: it holds none.
    """
    try:
        key = serialization.load_pem_private_key(pem[:_MOST_BYTES], password=None)
    except TypeError as error:
        raise KeyMalformed(f"{of} has a passphrase: Muster reads keys without one", of=of) from error
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyMalformed(f"{of} holds no private key in PEM", of=of) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise KeyMalformed(f"{of} holds a key of another kind than Ed25519", of=of)
    return SigningKey(key)


def read_public_key(pem: bytes, *, of: str) -> PublicKey:
    """The public key in a PEM text.

    Raises:
        KeyMalformed: it holds none.
    """
    try:
        key = serialization.load_pem_public_key(pem[:_MOST_BYTES])
    except (ValueError, UnsupportedAlgorithm) as error:
        raise KeyMalformed(f"{of} holds no public key in PEM", of=of) from error
    if not isinstance(key, Ed25519PublicKey):
        raise KeyMalformed(f"{of} holds a key of another kind than Ed25519", of=of)
    return PublicKey(key)
