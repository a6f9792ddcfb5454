"""What every store of blobs must do, asked of each: a folder, and an object store in a process of its own."""

import hashlib
import io
import os
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import fsspec
import pytest

from muster.blobs.errors import BlobDamaged, BlobNotFound, BlobUnexpected
from muster.blobs.local import LocalBlobs
from muster.blobs.protocol import PIECE, Blobs
from muster.blobs.s3 import S3Blobs
from muster.vocabulary.digests import Digest, DigestMalformed, digest_of, hex_of

ABSENT = digest_of(b"nobody ever stored this")


@dataclass(frozen=True, slots=True, kw_only=True)
class Store:
    """A store, and hands to reach behind it."""

    blobs: Blobs
    again: Callable[[], Blobs]
    """Opens the same store anew, as another process does."""
    overwrite: Callable[[Digest, bytes], None]
    names: Callable[[], set[str]]


@pytest.fixture(params=["local", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Store:
    return _local(tmp_path / "store") if request.param == "local" else _s3(request.getfixturevalue("s3_endpoint"))


def _local(root: Path) -> Store:
    def overwrite(digest: Digest, content: bytes) -> None:
        path = root / "sha256" / hex_of(digest)[:2] / hex_of(digest)
        path.chmod(0o644)
        path.write_bytes(content)

    return Store(
        blobs=LocalBlobs(root),
        again=lambda: LocalBlobs(root),
        overwrite=overwrite,
        names=lambda: {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()},
    )


def _s3(endpoint: str) -> Store:
    options = {
        "endpoint_url": endpoint,
        "key": "test",
        "secret": "test",
        "client_kwargs": {"region_name": "eu-central-1"},
    }
    files = fsspec.filesystem("s3", skip_instance_cache=True, use_listings_cache=False, **options)
    bucket = f"store-{uuid.uuid4().hex[:12]}"
    files.mkdir(bucket)
    prefix = f"{bucket}/some/where"

    def overwrite(digest: Digest, content: bytes) -> None:
        files.pipe_file(f"{prefix}/sha256/{hex_of(digest)[:2]}/{hex_of(digest)}", content)

    def again() -> Blobs:
        return S3Blobs(f"s3://{prefix}", **options)

    return Store(
        blobs=again(),
        again=again,
        overwrite=overwrite,
        names=lambda: {name.removeprefix(prefix + "/") for name in files.find(prefix)},
    )


@pytest.mark.parametrize("content", [b"", b"a model", os.urandom(3 * PIECE + 17)], ids=["empty", "small", "large"])
def test_what_was_put_is_read_alike(store: Store, content: bytes, tmp_path: Path) -> None:
    """Bytes come back as they were, in one piece, as a stream and as a file, from any process."""
    digest = store.blobs.put(io.BytesIO(content))
    assert digest == digest_of(content)
    for blobs in (store.blobs, store.again()):
        assert blobs.has(digest)
        assert blobs.size(digest) == len(content)
        assert blobs.read(digest) == content
        with blobs.open(digest) as stream:
            assert b"".join(iter(lambda: stream.read(100_003), b"")) == content
        blobs.get_to(digest, tmp_path / "copy")
        assert (tmp_path / "copy").read_bytes() == content


def test_a_file_is_put_by_its_path(store: Store, tmp_path: Path) -> None:
    """A path does as well as a stream."""
    (tmp_path / "model.bin").write_bytes(b"weights")
    assert store.blobs.put(tmp_path / "model.bin", digest_of(b"weights")) == digest_of(b"weights")
    assert store.blobs.read(digest_of(b"weights")) == b"weights"


def test_putting_again_changes_nothing(store: Store) -> None:
    """The same bytes are kept once, under a name made of their digest."""
    digest = store.blobs.put(io.BytesIO(b"once"))
    assert store.again().put(io.BytesIO(b"once")) == digest
    assert store.names() == {f"sha256/{hex_of(digest)[:2]}/{hex_of(digest)}"}


def test_bytes_of_another_digest_are_refused_and_not_kept(store: Store) -> None:
    """Whoever announces a digest is held to it."""
    with pytest.raises(BlobUnexpected) as refused:
        store.blobs.put(io.BytesIO(b"other"), ABSENT)
    assert refused.value.facts == {"expected": ABSENT, "found": digest_of(b"other")}
    assert not store.blobs.has(ABSENT)
    assert not store.blobs.has(digest_of(b"other"))
    assert store.names() == set()


def test_what_was_never_put_is_not_found(store: Store, tmp_path: Path) -> None:
    """Every way of asking says so."""
    assert not store.blobs.has(ABSENT)
    for ask in (store.blobs.size, store.blobs.open, store.blobs.read, lambda d: store.blobs.get_to(d, tmp_path / "x")):
        with pytest.raises(BlobNotFound, match=ABSENT):
            ask(ABSENT)
    assert list(tmp_path.glob("x*")) == []


@pytest.mark.parametrize("text", ["../../etc/passwd", "sha256:abc", "md5:" + "0" * 64, ABSENT.upper()])
def test_no_name_leads_out_of_the_store(store: Store, text: str) -> None:
    """Only digests name blobs."""
    for ask in (store.blobs.has, store.blobs.open, store.blobs.read):
        with pytest.raises(DigestMalformed):
            ask(Digest(text))


@pytest.mark.parametrize("at", [0, 5, -1])
def test_damage_is_found_before_anything_is_handed_on(store: Store, at: int, tmp_path: Path) -> None:
    """A flipped bit anywhere ends a read, a stream and a copy with an error that names both digests."""
    content = b"0123456789"
    digest = store.blobs.put(io.BytesIO(content))
    damaged = bytearray(content)
    damaged[at] ^= 1
    store.overwrite(digest, bytes(damaged))
    with pytest.raises(BlobDamaged) as found:
        store.blobs.read(digest)
    assert found.value.facts == {"digest": digest, "found": digest_of(bytes(damaged))}
    with store.blobs.open(digest) as stream, pytest.raises(BlobDamaged):
        stream.read()
    with pytest.raises(BlobDamaged):
        store.blobs.get_to(digest, tmp_path / "copy")
    assert list(tmp_path.glob("copy*")) == []


@pytest.mark.parametrize("left", [b"", b"012", b"0123456789 and more"])
def test_a_blob_cut_short_or_prolonged_is_mended_by_putting_it_again(store: Store, left: bytes) -> None:
    """Registering a bundle again puts right what is not even of the right size."""
    digest = store.blobs.put(io.BytesIO(b"0123456789"))
    store.overwrite(digest, left)
    with pytest.raises(BlobDamaged):
        store.blobs.read(digest)
    store.blobs.put(io.BytesIO(b"0123456789"))
    assert store.blobs.read(digest) == b"0123456789"


def test_many_may_put_the_same_bytes_at_once(store: Store) -> None:
    """Two clients that register the same bundle do not disturb each other."""
    contents = [os.urandom(50_000) for _ in range(3)]
    failures: list[BaseException] = []
    begin = threading.Barrier(6)

    def put() -> None:
        try:
            blobs = store.again()
            begin.wait(60)
            for content in contents:
                assert blobs.read(blobs.put(io.BytesIO(content))) == content
        except Exception as error:  # noqa: BLE001 - the main thread looks at it
            failures.append(error)

    threads = [threading.Thread(target=put) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert {name.rsplit("/", 1)[1] for name in store.names()} == {hashlib.sha256(c).hexdigest() for c in contents}
