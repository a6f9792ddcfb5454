"""SHA-256 digests, written `sha256:<64 hex digits>`: the identity of bytes everywhere in Muster."""

import hashlib
import re
from pathlib import Path
from typing import NewType

from muster.vocabulary.errors import Invalid

Digest = NewType("Digest", str)
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


class DigestMalformed(Invalid):
    """A digest is not written `sha256:` and 64 lower-case hexadecimal digits."""

    code = "digests.malformed"


def digest_of(content: bytes | memoryview) -> Digest:
    """The digest of bytes in memory."""
    return Digest("sha256:" + hashlib.sha256(content).hexdigest())


def digest_of_file(path: Path) -> Digest:
    """The digest of a file's bytes, read in pieces."""
    with path.open("rb") as stream:
        return Digest("sha256:" + hashlib.file_digest(stream, "sha256").hexdigest())


def checked_digest(text: str) -> Digest:
    """The digest, if it is one.

    Raises:
        DigestMalformed: it is not.
    """
    if _DIGEST.fullmatch(text) is None:
        raise DigestMalformed(f"{text!r} is not a digest like sha256:9f86d0…", digest=text)
    return Digest(text)


def hex_of(digest: Digest) -> str:
    """The hexadecimal part alone, for file names."""
    return digest.removeprefix("sha256:")
