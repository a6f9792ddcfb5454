"""The store, the environments and the bundles of a home: what control, executor and keeper share."""

from pathlib import Path

from muster.blobs.local import LocalBlobs
from muster.blobs.protocol import Blobs
from muster.bootstrap.home import Home
from muster.environments.shelf import Shelf

_S3 = "s3://"


def blobs_of(home: Home) -> Blobs:
    """The store that the home's settings name."""
    if home.store.startswith(_S3):
        # Here and not above: it brings fsspec, which costs every process on a folder 20 ms of its start, and memory.
        from muster.blobs.s3 import S3Blobs  # noqa: PLC0415

        return S3Blobs(home.store)
    return LocalBlobs(Path(home.store))


def environments_of(home: Home) -> Shelf:
    """The environments of this machine."""
    return Shelf(
        home.environments,
        home.uv_cache,
        blobs_of(home),
        home.remotes,
        confinement=home.settings.confinement,
    )
