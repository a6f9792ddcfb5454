"""Where a home's compacted decision records lie: apart from the other stores, for fronts need it, too, and nothing else of them."""

from pathlib import Path

from muster.archive.depot import ArchiveStore, FolderStore
from muster.bootstrap.home import Home

_S3 = "s3://"


def archive_store_of(home: Home) -> ArchiveStore:
    """The store that the home's settings name."""
    named = home.settings.archive.store
    if named.startswith(_S3):
        # Here and not above: it brings fsspec, which costs every front on a folder 20 ms of its start, and memory.
        from muster.archive.depot_s3 import S3Store  # noqa: PLC0415

        return S3Store(named)
    return FolderStore(Path(named) if named else home.archive / "parquet")
