"""Compacted records in a bucket of S3, or of anything that speaks its protocol, through fsspec."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, cast

import fsspec

from muster.archive.errors import ArchiveStoreUnavailable

_PIECE = 4 << 20
_BLOCK = 1 << 20


class S3Store:
    """Files below `s3://bucket/prefix`.

    Nothing is asked of the bucket when the store is made, so that a front, control or the executor starts without it.

    Args:
        url: `s3://bucket` or `s3://bucket/prefix`; the bucket exists.
        options: how to reach it, as s3fs takes it; what is left out comes from the environment, as for every tool of AWS.

    Raises:
        ArchiveStoreUnavailable: the package s3fs is not installed.
    """

    def __init__(self, url: str, **options: Any) -> None:
        if find_spec("s3fs") is None:
            raise ArchiveStoreUnavailable(f"{url} needs the package s3fs: install muster-ml[s3]", where=url)
        self.where = url.rstrip("/")
        self._root = self.where.removeprefix("s3://")
        given = {"connect_timeout": 5, "read_timeout": 60, "retries": {"max_attempts": 2}}
        options["config_kwargs"] = {**given, **options.get("config_kwargs", {})}
        self._files = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True, **options)

    def source(self, place: str) -> Any:
        """A file that reads ranges."""
        with _named_errors(self.where):
            return self._files.open(self._at(place), "rb", block_size=_BLOCK, cache_type="readahead")

    def read(self, place: str) -> bytes:
        """All bytes of a small file."""
        with _named_errors(self.where):
            return bytes(self._files.cat_file(self._at(place)))

    def size(self, place: str) -> int | None:
        """Bytes of a file; None: there is none."""
        with _named_errors(self.where):
            try:
                return int(self._files.info(self._at(place))["size"])
            except FileNotFoundError:
                return None

    def digest(self, place: str) -> bytes:
        """SHA-256 of a file, read piece by piece."""
        content = hashlib.sha256()
        with _named_errors(self.where), self._files.open(self._at(place), "rb", block_size=_PIECE) as stream:
            while piece := stream.read(_PIECE):
                content.update(piece)
        return content.digest()

    def put(self, file: Path, place: str) -> None:
        """Send the file, then remove it here."""
        with _named_errors(self.where):
            self._files.put_file(str(file), self._at(place))
        file.unlink()

    def write(self, place: str, data: bytes) -> None:
        """Make a small object."""
        with _named_errors(self.where):
            self._files.pipe_file(self._at(place), data)

    def remove(self, place: str) -> None:
        """Take an object away; nothing if there is none."""
        with _named_errors(self.where):
            try:
                self._files.rm_file(self._at(place))
            except FileNotFoundError:
                return

    def names(self, folder: str) -> list[str]:
        """Names in one folder, sorted; those of folders end in a slash."""
        at = self._at(folder) if folder else self._root
        with _named_errors(self.where):
            try:
                found = self._files.ls(at, detail=True, refresh=True)
            except FileNotFoundError:
                return []
        names = []
        for one in found:
            name = str(one["name"]).rstrip("/").rsplit("/", 1)[-1]
            if str(one["name"]).rstrip("/") != at:
                names.append(f"{name}/" if one["type"] == "directory" else name)
        return sorted(names)

    def _at(self, place: str) -> str:
        return f"{self._root}/{place}"


@contextmanager
def _named_errors(where: str) -> Iterator[None]:
    """Raises what s3fs, botocore and the network say in the words of this room; FileNotFoundError stays."""
    # botocore comes with s3fs, which not everybody has; its errors are no OSErrors.
    botocore_error = cast("type[Exception]", import_module("botocore.exceptions").BotoCoreError)
    try:
        yield
    except FileNotFoundError:
        raise
    except (OSError, botocore_error) as error:
        raise ArchiveStoreUnavailable(f"{where} cannot be used: {error}", where=where) from error
