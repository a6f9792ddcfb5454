"""Licences of what an environment is made of: as the seal says them, and read from the artefacts where it does not."""

from collections.abc import Callable

from muster.blobs.errors import BlobNotFound
from muster.environments.sealing import Seal
from muster.scanning.licences import artefact_licence, expression_of
from muster.vocabulary.digests import Digest

#: A larger artefact is not read for its licence.
_MOST_BYTES = 64 * 2**20


def licences_of(seal: Seal, read: Callable[[Digest], bytes]) -> dict[str, str | None]:
    """The licence of each package of a seal, as SPDX writes it, by package URL; None: it is not known.

    Args:
        seal: what the environment is made of.
        read: gives the bytes of its parts; one that is not there says nothing.
    """
    found: dict[str, str | None] = {}
    for part in seal.packages:
        if found.get(part.purl) is None:
            told = expression_of(part.licence)
            if told is None and part.size <= _MOST_BYTES:
                told = _read(Digest(part.digest), part.file, read)
            found[part.purl] = told
    return found


def _read(digest: Digest, file: str, read: Callable[[Digest], bytes]) -> str | None:
    try:
        return artefact_licence(read(digest), file)
    except BlobNotFound:
        return None
