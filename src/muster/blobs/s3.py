"""Blobs in an object store: `<prefix>/sha256/<two hexadecimal digits>/<all 64>`, put if absent, through fsspec."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any, BinaryIO, cast

import fsspec

from muster.blobs.errors import BlobNotFound, BlobsUnavailable
from muster.blobs.files import named_os_errors, settle, temporary_beside
from muster.blobs.protocol import PIECE, copy, verified
from muster.vocabulary.digests import Digest, checked_digest, hex_of

_READ_ONLY = 0o444


class S3Blobs:
    """A store in a bucket of S3 or of anything that speaks its protocol.

    Args:
        url: `s3://bucket` or `s3://bucket/prefix`; the bucket exists.
        options: how to reach it, as s3fs takes it (`endpoint_url`, `key`, `secret`, …); what is left out comes from the
            environment, as for every tool of AWS.

    Raises:
        BlobsUnavailable: the package s3fs is not installed, or the bucket cannot be reached.
    """

    def __init__(self, url: str, **options: Any) -> None:
        if find_spec("s3fs") is None:
            raise BlobsUnavailable(f"{url} needs the package s3fs: install muster-ml[s3]", where=url)
        self._url = url.rstrip("/")
        self._files = fsspec.filesystem("s3", use_listings_cache=False, skip_instance_cache=True, **options)
        with _named_errors(self._url):
            bucket = self._url.removeprefix("s3://").split("/", 1)[0]
            try:
                self._files.call_s3("head_bucket", Bucket=bucket)
            except FileNotFoundError as error:
                raise BlobsUnavailable(f"there is no bucket {bucket}", where=url) from error

    def put(self, source: BinaryIO | Path, expected: Digest | None = None) -> Digest:
        """Store the bytes and give their digest; an object of another size under that digest is replaced.

        They go through a temporary file, as their name is known only once all of them were read.
        """
        if isinstance(source, Path):
            with source.open("rb") as stream:
                return self.put(stream, expected)
        with tempfile.NamedTemporaryFile(prefix="muster-blob-") as spool:
            with named_os_errors(tempfile.gettempdir()):
                digest = copy(source, cast("BinaryIO", spool), expected)
                spool.flush()
            place, size = self._place(digest), Path(spool.name).stat().st_size
            with _named_errors(self._url):
                stored = self._stored_size(place)
                if stored is None:
                    self._put_if_absent(spool.name, place, size)
                elif stored != size:
                    self._files.put_file(spool.name, place)
        return digest

    def has(self, digest: Digest) -> bool:
        """Whether there is an object of that digest."""
        with _named_errors(self._url):
            return self._stored_size(self._place(digest)) is not None

    def size(self, digest: Digest) -> int:
        """How many bytes the object has."""
        with _named_errors(self._url):
            size = self._stored_size(self._place(digest))
        if size is None:
            raise self._not_found(digest)
        return size

    def open(self, digest: Digest) -> BinaryIO:
        """The bytes as a stream, verified at its end."""
        place = self._place(digest)
        with _named_errors(self._url):
            try:
                stream = self._files.open(place, "rb", block_size=8 * PIECE)
            except FileNotFoundError as error:
                raise self._not_found(digest) from error
        return verified(stream, digest, f"s3://{place}")

    def read(self, digest: Digest) -> bytes:
        """All the bytes, verified."""
        with _named_errors(self._url), self.open(digest) as stream:
            return stream.read()

    def get_to(self, digest: Digest, path: Path) -> None:
        """Write the bytes to a file, verified before the file has its name."""
        with self.open(digest) as source, named_os_errors(str(path)), temporary_beside(path.parent) as (target, beside):
            copy(source, target, digest)
            settle(target, beside, path, _READ_ONLY)

    def _place(self, digest: Digest) -> str:
        name = hex_of(checked_digest(digest))
        return f"{self._url.removeprefix('s3://')}/sha256/{name[:2]}/{name}"

    def _stored_size(self, place: str) -> int | None:
        try:
            return int(self._files.info(place)["size"])
        except FileNotFoundError:
            return None

    def _put_if_absent(self, file: str, place: str, size: int) -> None:
        try:
            self._files.put_file(file, place, mode="create")
        except OSError:
            # Stores say in different ways that somebody else put the same bytes in between.
            if self._stored_size(place) != size:
                raise

    def _not_found(self, digest: Digest) -> BlobNotFound:
        return BlobNotFound(f"the store at {self._url} holds no {digest}", digest=digest)


@contextmanager
def _named_errors(url: str) -> Iterator[None]:
    """Raises what s3fs, botocore and the network say in the words of this room."""
    # botocore comes with s3fs, which not everybody has; its errors are no OSErrors.
    botocore_error = cast("type[Exception]", import_module("botocore.exceptions").BotoCoreError)
    try:
        with named_os_errors(url):
            yield
    except botocore_error as error:
        raise BlobsUnavailable(f"{url} cannot be used: {error}", where=url) from error
