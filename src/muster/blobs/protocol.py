"""What a store of bytes by digest offers, and the reading and copying that every store shares."""

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, Protocol

from muster.blobs.errors import BlobDamaged, BlobUnexpected
from muster.vocabulary.digests import Digest

PIECE = 1 << 20


class Blobs(Protocol):
    """Bytes by their digest: put once, never changed, verified whenever they are read to their end."""

    def put(self, source: BinaryIO | Path, expected: Digest | None = None) -> Digest:
        """Store the bytes and give their digest; they are safe when this returns. The same bytes again change nothing.

        Raises:
            BlobUnexpected: they have another digest than `expected`.
            BlobsFull: there is no room.
            BlobsUnavailable: the store cannot be written.
        """
        ...

    def has(self, digest: Digest) -> bool:
        """Whether the store holds bytes under this digest; it does not look whether they are sound."""
        ...

    def size(self, digest: Digest) -> int:
        """How many bytes there are.

        Raises:
            BlobNotFound: the store does not hold them.
        """
        ...

    def open(self, digest: Digest) -> BinaryIO:
        """The bytes as a stream for reading from front to end; the end is given only when all of them were right.

        Raises:
            BlobNotFound: the store does not hold them.
            BlobDamaged: by the stream, in place of its end: they are not what was stored.
        """
        ...

    def read(self, digest: Digest) -> bytes:
        """All the bytes, verified.

        Raises:
            BlobNotFound: the store does not hold them.
            BlobDamaged: they are not what was stored.
        """
        ...

    def get_to(self, digest: Digest, path: Path) -> None:
        """Write the bytes to a file, verified before the file has its name.

        Raises:
            BlobNotFound: the store does not hold them.
            BlobDamaged: they are not what was stored.
            BlobsFull: there is no room for the file.
        """
        ...


class VerifiedStream(io.RawIOBase):
    """Reads another stream and refuses to come to its end unless its bytes had the digest promised.

    Whoever reads less than everything has not been promised anything.
    """

    def __init__(self, stream: BinaryIO, digest: Digest, damaged: Callable[[str], BlobDamaged]) -> None:
        self._stream = stream
        self._digest = digest
        self._damaged = damaged
        self._hash = hashlib.sha256()

    def readable(self) -> bool:
        """True."""
        return True

    def readinto(self, buffer: "memoryview | bytearray") -> int:  # type: ignore[override]
        """Fill the buffer with what comes next.

        Raises:
            BlobDamaged: all was read, and it was not what the digest says.
        """
        piece = self._stream.read(len(buffer))
        self._hash.update(piece)
        buffer[: len(piece)] = piece
        if not piece and len(buffer) and f"sha256:{self._hash.hexdigest()}" != self._digest:
            raise self._damaged(f"sha256:{self._hash.hexdigest()}")
        return len(piece)

    def close(self) -> None:
        """Close the stream below, too."""
        self._stream.close()
        super().close()


def verified(stream: BinaryIO, digest: Digest, where: str) -> BinaryIO:
    """A buffered stream that ends well only if the bytes are those of the digest."""

    def damaged(found: str) -> BlobDamaged:
        return BlobDamaged(f"the bytes of {digest} at {where} are those of {found}", digest=digest, found=found)

    return io.BufferedReader(VerifiedStream(stream, digest, damaged), PIECE)


def copy(source: BinaryIO, target: BinaryIO, expected: Digest | None) -> Digest:
    """Copy a stream to its end; gives the digest of what was copied.

    Raises:
        BlobUnexpected: it is another than expected.
    """
    digest = hashlib.sha256()
    while piece := source.read(PIECE):
        digest.update(piece)
        target.write(piece)
    found = Digest(f"sha256:{digest.hexdigest()}")
    if expected is not None and found != expected:
        raise BlobUnexpected(f"the bytes given are those of {found}, not of {expected}", expected=expected, found=found)
    return found
