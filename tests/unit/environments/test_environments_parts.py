"""Parts: what is here is held against the lock each time, whatever the index says, and goes as one."""

import os
import time
from pathlib import Path

import msgspec
import pytest

from muster.environments.parts import Parts
from muster.environments.protocol import Package
from muster.vocabulary.digests import digest_of, hex_of

MACHINE = "go-1.26.8 manylinux"
WEEK_S = 7 * 86_400.0


def package(content: bytes) -> Package:
    return Package(ecosystem="maven", name="a:b", version="1.0", hashes=frozenset({digest_of(content)}))


def kept(parts: Parts, tmp_path: Path, content: bytes, file: str = "b-1.0.jar") -> Package:
    """Take an artefact in, as fetched."""
    (tmp_path / "fetched").write_bytes(content)
    one = package(content)
    parts.keep(one, MACHINE, [(one, file, tmp_path / "fetched")])
    return one


@pytest.mark.parametrize(
    "named", [{"digest": digest_of(b"evil")}, {"digest": "sha256:../../x"}, {"file": ".."}, {"file": ""}]
)
def test_an_index_that_names_other_bytes_than_the_lock_counts_for_nothing(
    tmp_path: Path, named: dict[str, str]
) -> None:
    """Whoever writes into the index gets nothing else installed, and nothing is taken away: the artefact is fetched anew."""
    parts = Parts(tmp_path / "parts")
    kept(parts, tmp_path, b"evil")
    good = kept(parts, tmp_path, b"good")
    assert parts.known(good, MACHINE) is not None
    for index in (tmp_path / "parts" / "index").iterdir():
        (entry,) = msgspec.json.decode(index.read_bytes())
        if entry["digest"] == digest_of(b"good"):
            index.write_bytes(msgspec.json.encode([entry | named]))
    assert Parts(tmp_path / "parts").known(good, MACHINE) is None
    for content in (b"evil", b"good"):
        assert (tmp_path / "parts" / hex_of(digest_of(content)) / "b-1.0.jar").read_bytes() == content


@pytest.mark.parametrize("names", [1, 2])
def test_an_artefact_goes_with_all_its_names(tmp_path: Path, names: int) -> None:
    """One that is known by two names is decided about once, by the one used last, and frees what both weigh."""
    parts = Parts(tmp_path / "parts")
    for number in range(names):
        kept(parts, tmp_path, b"1234", f"b-{number}.jar")
    folder = tmp_path / "parts" / hex_of(digest_of(b"1234"))
    assert parts.sweep(WEEK_S, dry_run=False) == 0
    assert len(list(folder.iterdir())) == names
    long_ago = time.time() - 2 * WEEK_S
    for path in (*folder.iterdir(), folder):
        os.utime(path, (long_ago, long_ago))
    assert parts.sweep(-1.0, dry_run=True) == 4 * names
    assert parts.sweep(-1.0, dry_run=False) == 4 * names
    assert not folder.exists()
