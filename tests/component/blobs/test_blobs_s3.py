"""What only an object store can do wrong: be away, or lack its bucket."""

import socket
from pathlib import Path

import fsspec
import pytest

from muster.blobs.errors import BlobsUnavailable
from muster.blobs.s3 import S3Blobs

KEYS = {"key": "test", "secret": "test", "client_kwargs": {"region_name": "eu-central-1"}}


def test_a_bucket_that_does_not_exist_is_named(s3_endpoint: str) -> None:
    """A mistyped bucket is found when the store is opened, not at the first registration."""
    with pytest.raises(BlobsUnavailable, match="there is no bucket nowhere"):
        S3Blobs("s3://nowhere/models", endpoint_url=s3_endpoint, **KEYS)


def test_a_store_that_is_away_is_unavailable() -> None:
    """No answer from the store is an error with its address, within seconds."""
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # bound, but not listening: connections are refused
        with pytest.raises(BlobsUnavailable, match="s3://models cannot be used"):
            S3Blobs(
                "s3://models",
                endpoint_url=f"http://127.0.0.1:{nobody.getsockname()[1]}",
                config_kwargs={"retries": {"max_attempts": 0}},
                **KEYS,
            )


def test_an_object_that_came_in_between_is_kept(s3_endpoint: str, tmp_path: Path) -> None:
    """Put-if-absent never replaces: the same bytes put by somebody else meanwhile will do, anything else is an error."""
    options = {"endpoint_url": s3_endpoint, **KEYS}
    files = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False, **options)
    files.mkdir("between")
    files.pipe_file("between/there", b"first")
    blobs = S3Blobs("s3://between", **options)
    (tmp_path / "file").write_bytes(b"other")
    blobs._put_if_absent(str(tmp_path / "file"), "between/there", size=5)
    assert files.cat_file("between/there") == b"first"
    with pytest.raises(OSError, match=r"pre-?conditions?"):
        blobs._put_if_absent(str(tmp_path / "file"), "between/there", size=6)
