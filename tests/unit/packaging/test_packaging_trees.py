"""Trees: listed by hash, made read-only, taken away."""

import os
from pathlib import Path

import pytest

from muster.packaging.trees import (
    differences,
    listing_of,
    make_read_only,
    read_listing,
    remove_tree,
    stat_signature,
    write_listing,
)


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    """A tree with a link, an odd name and a folder in a folder."""
    root = tmp_path / "tree"
    (root / "a" / "b").mkdir(parents=True)
    (root / "a" / "b" / "file with spaces").write_bytes(b"content")
    (root / "run").write_bytes(b"#!")
    (root / "run").chmod(0o755)
    (root / "link").symlink_to("a/b/file with spaces")
    return root


def test_listing_round_trip(tree: Path, tmp_path: Path) -> None:
    """A listing that is written is the listing that is read."""
    listing = listing_of(tree)
    write_listing(tmp_path / "files", listing)
    assert read_listing(tmp_path / "files") == listing
    assert [entry.path for entry in listing] == ["a/b/file with spaces", "link", "run"]
    assert differences(listing, listing_of(tree)) == []


def test_differences(tree: Path) -> None:
    """What is missing, new or changed is named."""
    before = listing_of(tree)
    (tree / "run").write_bytes(b"!#")
    (tree / "link").unlink()
    (tree / "new").write_bytes(b"")
    assert differences(before, listing_of(tree)) == ["link", "new", "run"]


def test_signature(tree: Path) -> None:
    """The signature is another one as soon as a file was written to, and the same until then."""
    before = stat_signature(tree)
    assert stat_signature(tree) == before
    os.utime(tree / "run", ns=(1, 1))
    assert stat_signature(tree) != before


def test_read_only_and_removed(tree: Path) -> None:
    """A read-only tree keeps its execute permissions, and can still be taken away."""
    make_read_only(tree)
    assert (tree / "run").stat().st_mode & 0o777 == 0o555
    assert (tree / "a" / "b").stat().st_mode & 0o777 == 0o555
    remove_tree(tree)
    assert not tree.exists()
    remove_tree(tree)


def test_damaged_listing(tmp_path: Path) -> None:
    """A line that is no entry is an error."""
    (tmp_path / "files").write_text("nonsense\n")
    with pytest.raises(ValueError, match="unpack"):
        read_listing(tmp_path / "files")
