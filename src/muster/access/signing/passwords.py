"""Passwords: which are taken, and how they are kept so that trying them out is costly.

They are hashed by argon2id with 64 MiB of memory (RFC 9106, the second recommended choice, on one lane). A name without a
password is tried against a hash that nothing fits, so that it takes the same time as one with a wrong password.
"""

import base64
import secrets
import threading
import unicodedata
from collections.abc import Iterator
from contextlib import contextmanager

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from muster.access.signing.errors import PasswordUnfit, SignInBusy

FEWEST_CHARACTERS = 12
MOST_BYTES = 1024
_HASH_BYTES = 32
_SALT_BYTES = 16


class Passwords:
    """Hashes passwords and tries them.

    Args:
        memory_kib: what one hash takes, KiB.
        passes: how often it goes over that memory.
        at_once: how many hashes this process computes at the same time; their memory is what a flood of sign-ins can take.
        patience_s: how long one waits for its turn, seconds.
    """

    def __init__(self, *, memory_kib: int = 65_536, passes: int = 3, at_once: int = 4, patience_s: float = 5.0) -> None:
        self._hasher = PasswordHasher(passes, memory_kib, 1, _HASH_BYTES, _SALT_BYTES)
        self._turns = threading.BoundedSemaphore(at_once)
        self._patience_s = patience_s
        salt, nothing = (_encoded(secrets.token_bytes(length)) for length in (_SALT_BYTES, _HASH_BYTES))
        self._fits_nothing = f"$argon2id$v=19$m={memory_kib},t={passes},p=1${salt}${nothing}"

    def hashed(self, password: str) -> str:
        """The hash of a password, with its salt and parameters.

        Raises:
            SignInBusy: too many are computed at this moment.
        """
        with self._turn():
            return self._hasher.hash(_bytes(password))

    def fits(self, kept: str | None, password: str) -> bool:
        """Whether a password is the one of a hash; None, for whoever has none, takes as long and is never it.

        Raises:
            SignInBusy: too many are computed at this moment.
        """
        with self._turn():
            try:
                self._hasher.verify(kept or self._fits_nothing, _bytes(password))
            except (VerificationError, InvalidHashError):
                return False
            return kept is not None

    def is_outdated(self, kept: str) -> bool:
        """Whether a hash was made with other parameters than new ones are."""
        return self._hasher.check_needs_rehash(kept)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if not self._turns.acquire(timeout=self._patience_s):
            raise SignInBusy("more people sign in at this moment than can be served", retry_after_s=1)
        try:
            yield
        finally:
            self._turns.release()


def checked_password(password: str, *, user: str, old: str | None = None) -> str:
    """A password that may be set.

    Args:
        password: what was given.
        user: whose it is to be.
        old: what it replaces, where that is known.

    Raises:
        PasswordUnfit: it may not; the message never repeats it.
    """
    plain = unicodedata.normalize("NFC", password)
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in plain):
        raise PasswordUnfit("the password holds control characters, or half of a character")
    if len(plain) < FEWEST_CHARACTERS:
        raise PasswordUnfit(f"a password has {FEWEST_CHARACTERS} characters or more", fewest=FEWEST_CHARACTERS)
    if len(plain.encode()) > MOST_BYTES:
        raise PasswordUnfit(f"a password has {MOST_BYTES} bytes at most", most_bytes=MOST_BYTES)
    if plain.casefold() == user.casefold():
        raise PasswordUnfit("the password is the user's name")
    if len(set(plain)) == 1:
        raise PasswordUnfit("the password is one character over and over")
    if old is not None and plain == unicodedata.normalize("NFC", old):
        raise PasswordUnfit("the new password is the old one")
    return plain


def _bytes(password: str) -> bytes:
    """What is hashed: the same for however a keyboard composes accents; what no UTF-8 can hold fits nothing."""
    return unicodedata.normalize("NFC", password).encode("utf-8", errors="surrogatepass")


def _encoded(raw: bytes) -> str:
    return base64.b64encode(raw).decode().rstrip("=")
