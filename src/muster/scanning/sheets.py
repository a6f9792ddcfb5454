"""Sheets of advisories, read from the store."""

import msgspec

from muster.blobs.protocol import Blobs
from muster.scanning.vulnerabilities import Sheet, Source
from muster.vocabulary.digests import Digest

_DECODER = msgspec.json.Decoder(Sheet)


def sheets_of(source: Source, blobs: Blobs, ecosystems: frozenset[str] | None = None) -> tuple[Sheet, ...]:
    """What a file of vulnerabilities says about ecosystems.

    Args:
        source: the file.
        blobs: where its sheets lie.
        ecosystems: which are wanted; None: all.

    Raises:
        BlobNotFound, BlobDamaged: the store does not have one.
    """
    wanted = sorted(name for name in source.sheets if ecosystems is None or name in ecosystems)
    return tuple(_DECODER.decode(blobs.read(Digest(source.sheets[name]))) for name in wanted)
