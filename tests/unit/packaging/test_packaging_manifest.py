"""The manifest: one folder, one digest; any change to a file, another."""

import os
import shutil
import socket
import tempfile
import unicodedata
from pathlib import Path
from typing import Any

import msgspec
import pytest
import rfc8785
from hypothesis import assume, given
from hypothesis import strategies as st

from muster.packaging.errors import BundleDamaged, BundleMalformed, FileNotPackable, ManifestMalformed
from muster.packaging.manifest import Manifest, files_of, manifest_of, path_problem, read_manifest, verify_folder
from muster.vocabulary.digests import digest_of

NAMES = st.text(
    st.characters(exclude_categories=["Cs", "Cc"], exclude_characters="/\\\x7f"), min_size=1, max_size=8
).filter(lambda name: path_problem(unicodedata.normalize("NFC", name)) is None)
TREES = st.dictionaries(
    st.lists(NAMES, min_size=1, max_size=3).map("/".join),
    st.tuples(st.binary(max_size=64), st.booleans()),
    min_size=1,
    max_size=6,
)


KNOWN_MANIFEST = "sha256:de7e0a3e1f75f1c985ff7f118b0c4869c3c28bf58c68c471adf4b86bddaa1fa1"


def written(folder: Path, tree: dict[str, tuple[bytes, bool]]) -> Path:
    """The tree as files; trees that no file system or no bundle can hold are not of interest here."""
    folded = [unicodedata.normalize("NFC", path).casefold() for path in tree]
    assume(len(set(folded)) == len(folded))
    assume(not any(one != other and other.startswith(one + "/") for one in folded for other in folded))
    heads: dict[str, str] = {}
    for path in tree:
        parts = unicodedata.normalize("NFC", path).split("/")
        for end in range(1, len(parts)):
            head = "/".join(parts[:end])
            assume(heads.setdefault(head.casefold(), head) == head)
    for path, (content, executable) in tree.items():
        file = folder / path
        assume(len(os.fsencode(file.name)) < 200)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
        file.chmod(0o755 if executable else 0o644)
    return folder


@given(TREES, st.randoms())
def test_digest_depends_on_content_alone(tree: dict[str, tuple[bytes, bool]], random: object) -> None:
    """Two folders with the same files have the same manifest, whatever the order, times and places of their files."""
    with tempfile.TemporaryDirectory() as one, tempfile.TemporaryDirectory() as other:
        shuffled = list(tree.items())
        random.shuffle(shuffled)  # type: ignore[attr-defined]
        first = manifest_of(written(Path(one), tree))
        second = manifest_of(written(Path(other), dict(shuffled)))
        assert first.content == second.content
        assert read_manifest(first.content) == first
        verify_folder(Path(other), first)


@given(TREES, st.data())
def test_any_change_is_found(tree: dict[str, tuple[bytes, bool]], data: st.DataObject) -> None:
    """A changed byte, a file more, a file less or another mode changes the digest and does not pass verification."""
    with tempfile.TemporaryDirectory() as name:
        folder = written(Path(name), tree)
        before = manifest_of(folder)
        victim = folder / data.draw(st.sampled_from(sorted(tree)))
        deed = data.draw(st.sampled_from(["write", "remove", "add", "mode"]))
        if deed == "write":
            victim.write_bytes(victim.read_bytes() + b"!")
        elif deed == "remove":
            victim.unlink()
        elif deed == "add":
            (folder / "zz-added").write_bytes(b"")
            assume("zz-added" not in tree)
        else:
            victim.chmod(0o644 if victim.stat().st_mode & 0o100 else 0o755)
        assert manifest_of(folder).digest != before.digest
        with pytest.raises(BundleDamaged):
            verify_folder(folder, before)


def test_known_bytes(tmp_path: Path) -> None:
    """The format of manifests never changes: this folder has this digest for ever."""
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "ü.txt").write_bytes(b"two")
    (tmp_path / "a.sh").write_bytes(b"one")
    (tmp_path / "a.sh").chmod(0o755)
    (tmp_path / "muster.toml").write_text('format = 1\nname = "x"\ntolerance = 1e-12\n')
    manifest = manifest_of(tmp_path)
    digests = [digest_of(content) for content in (b"one", b"two", (tmp_path / "muster.toml").read_bytes())]
    assert manifest.content.decode() == (
        '{"declared":{"format":1,"name":"x","tolerance":1e-12},"files":['
        f'{{"digest":"{digests[0]}","executable":true,"path":"a.sh","size":3}},'
        f'{{"digest":"{digests[1]}","executable":false,"path":"b/ü.txt","size":3}},'
        f'{{"digest":"{digests[2]}","executable":false,"path":"muster.toml","size":40}}],"format":1}}'
    )
    assert manifest.digest == KNOWN_MANIFEST
    assert manifest.total_bytes == 46
    assert manifest.file("a.sh") == manifest.files[0]
    assert manifest.file("nothing") is None


def test_names_are_normalised(tmp_path: Path) -> None:
    """A decomposed name on disk is composed in the manifest, so that both give one digest."""
    (tmp_path / "composed").mkdir()
    (tmp_path / "decomposed").mkdir()
    (tmp_path / "composed" / "\u00e9").write_bytes(b"")
    (tmp_path / "decomposed" / "é").write_bytes(b"")
    assert manifest_of(tmp_path / "composed") == manifest_of(tmp_path / "decomposed")


def test_what_is_left_out(tmp_path: Path) -> None:
    """Leavings of tools are no part of a bundle, nor is an old manifest."""
    for name in (".git/HEAD", "src/__pycache__/a.pyc", ".DS_Store", "a.pyc", "x~", "manifest.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(b"x")
    (tmp_path / "src" / "manifest.json").write_bytes(b"x")
    assert [path for path, _ in files_of(tmp_path)] == ["src/manifest.json"]


@pytest.mark.parametrize("kind", ["link", "folder link", "dangling link", "pipe", "socket"])
def test_special_files_are_refused(tmp_path: Path, kind: str) -> None:
    """Links, pipes and sockets cannot be in a bundle, and the message names them."""
    target = tmp_path / "bundle" / "odd"
    target.parent.mkdir()
    (tmp_path / "outside").mkdir()
    if kind == "pipe":
        os.mkfifo(target)
    elif kind == "socket":
        with socket.socket(socket.AF_UNIX) as listener:
            listener.bind(str(target))
    else:
        places = {"link": "/etc/hostname", "folder link": str(tmp_path / "outside"), "dangling link": "/nowhere"}
        target.symlink_to(places[kind])
    with pytest.raises(FileNotPackable, match="odd"):
        manifest_of(tmp_path / "bundle")


@pytest.mark.parametrize("name", [b"\xff", b"a\\b", b"a\nb"])
def test_names_that_are_refused(tmp_path: Path, name: bytes) -> None:
    """Names that are no UTF-8, or hold a backslash or a control character, cannot be in a bundle."""
    (tmp_path / os.fsdecode(name)).write_bytes(b"")
    with pytest.raises(FileNotPackable):
        manifest_of(tmp_path)


def test_names_alike(tmp_path: Path) -> None:
    """Two names that differ in case alone would be one file elsewhere."""
    (tmp_path / "Readme").write_bytes(b"")
    (tmp_path / "README").write_bytes(b"")
    with pytest.raises(FileNotPackable, match="one file where case does not count"):
        manifest_of(tmp_path)


@pytest.mark.parametrize("text", ["format = ", "a = 2026-11-21", "a = nan", "a = 9007199254740993", 'a = "\\ud800"'])
def test_description_that_canonical_json_cannot_hold(tmp_path: Path, text: str) -> None:
    """What muster.toml says is part of the manifest, so it has to be JSON-able."""
    (tmp_path / "muster.toml").write_text(text)
    with pytest.raises(BundleMalformed):
        manifest_of(tmp_path)


def entry(path: str, **changes: Any) -> dict[str, Any]:
    """A file of a manifest."""
    return {"path": path, "digest": digest_of(b""), "size": 0, "executable": False, **changes}


def manifest_bytes(*entries: dict[str, Any], **changes: Any) -> bytes:
    """Canonical bytes of any manifest, sound or not."""
    return rfc8785.dumps({"format": 1, "files": list(entries), "declared": {}, **changes})


def test_a_sound_manifest_is_read() -> None:
    """The bytes of the tests below are refused for what is wrong with them and nothing else."""
    assert isinstance(read_manifest(manifest_bytes(entry("a"), entry("b/c"))), Manifest)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{}",
        b"[]",
        b"\xff",
        manifest_bytes(format=2),
        manifest_bytes(other=1),
        manifest_bytes(entry("b"), entry("a")),
        manifest_bytes(entry("a"), entry("a")),
        manifest_bytes(entry("a"), entry("a/b")),
        manifest_bytes(entry("A"), entry("a")),
        manifest_bytes(entry("../a")),
        manifest_bytes(entry("/a")),
        manifest_bytes(entry("a//b")),
        manifest_bytes(entry("a/./b")),
        manifest_bytes(entry("e\u0301")),
        manifest_bytes(entry("manifest.json")),
        manifest_bytes(entry(".git/config")),
        manifest_bytes(entry("x" * 1025)),
        manifest_bytes(entry("a", size=-1)),
        manifest_bytes(declared={"external": [{"path": "a"}]}),
        manifest_bytes(entry("a"), declared={"external": [{**entry("a"), "uri": "s3://x"}]}),
        b" " + manifest_bytes(entry("a")),
        manifest_bytes(entry("a")).replace(b'"format":1', b'"format":1.0'),
        msgspec.json.encode({"format": 1, "files": [], "declared": {}}),
    ],
)
def test_manifests_that_are_refused(content: bytes) -> None:
    """Only canonical bytes of a sound manifest are one."""
    with pytest.raises(ManifestMalformed):
        read_manifest(content)


def test_malformed_digest() -> None:
    """A digest is sixty-four hexadecimal digits."""
    with pytest.raises(Exception, match="is not a digest"):
        read_manifest(manifest_bytes(entry("a", digest="sha256:00")))


def test_description_and_manifest_must_agree(tmp_path: Path) -> None:
    """A manifest that declares something else than muster.toml says is damage."""
    (tmp_path / "muster.toml").write_text('name = "x"')
    manifest = manifest_of(tmp_path)
    verify_folder(tmp_path, manifest)
    other = msgspec.structs.replace(manifest, declared={"name": "y"})
    with pytest.raises(BundleDamaged, match=r"muster\.toml"):
        verify_folder(tmp_path, other)


def test_damage_names_the_files(tmp_path: Path) -> None:
    """Every file that is not right is named in the facts, the first three in the message."""
    for name in "abcd":
        (tmp_path / name).write_text(name)
    manifest = manifest_of(tmp_path)
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").unlink()
    (tmp_path / "c").write_text("longer")
    (tmp_path / "e").write_text("e")
    with pytest.raises(BundleDamaged) as caught:
        verify_folder(tmp_path, manifest)
    assert [problem.split()[0] for problem in caught.value.facts["problems"]] == ["a", "b", "c", "e"]
    shutil.rmtree(tmp_path)
