"""What only a folder of blobs promises: files, killed writers, full disks."""

import io
import os
import signal
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from muster.blobs.errors import BlobDamaged, BlobsUnavailable
from muster.blobs.local import LocalBlobs
from muster.vocabulary.digests import digest_of, hex_of


def _place(root: Path, content: bytes) -> Path:
    name = hex_of(digest_of(content))
    return root / "sha256" / name[:2] / name


def test_blobs_are_read_only_files_in_folders_of_two_digits(tmp_path: Path) -> None:
    """The layout of the store is the documented one, so that other tools can read it."""
    LocalBlobs(tmp_path).put(io.BytesIO(b"x"))
    place = _place(tmp_path, b"x")
    assert place.read_bytes() == b"x"
    assert stat.S_IMODE(place.stat().st_mode) == 0o444


def test_a_flipped_bit_is_mended_by_putting_the_bytes_again(tmp_path: Path) -> None:
    """Even damage that keeps the size goes when the same bytes are registered again."""
    blobs = LocalBlobs(tmp_path)
    digest = blobs.put(io.BytesIO(b"sound"))
    place = _place(tmp_path, b"sound")
    place.chmod(0o644)
    place.write_bytes(b"sOund")
    with pytest.raises(BlobDamaged):
        blobs.read(digest)
    blobs.put(io.BytesIO(b"sound"))
    assert blobs.read(digest) == b"sound"


_ENDLESS = """
import sys
from pathlib import Path
from muster.blobs.local import LocalBlobs
class Source:
    sent = 0
    def read(self, size):
        self.sent += 1
        if self.sent == 3:
            print("half-way", flush=True)
            sys.stdin.read()
        return b"x" * size
LocalBlobs(Path(sys.argv[1])).put(Source())
"""


def test_a_killed_writer_leaves_no_blob(tmp_path: Path) -> None:
    """What was half-way in when its writer was killed is no blob, and is cleared away a day later."""
    writer = subprocess.Popen([sys.executable, "-c", _ENDLESS, tmp_path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == b"half-way\n"
        writer.send_signal(signal.SIGKILL)
    left_over = list((tmp_path / "incoming").iterdir())
    assert len(left_over) == 1
    assert not (tmp_path / "sha256").exists()
    LocalBlobs(tmp_path)
    assert left_over[0].exists(), "it might be another writer's, at work"
    os.utime(left_over[0], (0, 0))
    LocalBlobs(tmp_path)
    assert not left_over[0].exists()


_LIMITED = """
import io, resource, signal, sys
from pathlib import Path
from muster.blobs.errors import BlobsFull
from muster.blobs.local import LocalBlobs
blobs = LocalBlobs(Path(sys.argv[1]))
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
blobs.put(io.BytesIO(b"small"))
try:
    blobs.put(io.BytesIO(bytes(200_000)))
except BlobsFull as error:
    print(error)
"""


def test_a_store_without_room_says_so_and_keeps_nothing(tmp_path: Path) -> None:
    """No room is an error of its own, with the place where it is lacking; what did fit is there."""
    said = subprocess.run([sys.executable, "-c", _LIMITED, tmp_path], capture_output=True, text=True, check=True).stdout
    assert said.startswith(f"there is no room left in {tmp_path}")
    assert list((tmp_path / "incoming").iterdir()) == []
    assert LocalBlobs(tmp_path).has(digest_of(b"small"))
    assert not LocalBlobs(tmp_path).has(digest_of(bytes(200_000)))


def test_a_store_that_cannot_be_made_says_where(tmp_path: Path) -> None:
    """A file in the place of the folder is reported with its path."""
    (tmp_path / "store").write_text("in the way")
    with pytest.raises(BlobsUnavailable, match=str(tmp_path / "store")):
        LocalBlobs(tmp_path / "store")
