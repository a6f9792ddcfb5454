"""A folder, read through: by what bytes say they are, and by what names promise."""

import gzip
import io
import lzma
import os
import pickle
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from malicious_files import MALICIOUS, array_of, array_of_objects, pickle_that_calls, tar_of, zip_of
from muster.scanning import archives, folder
from muster.scanning.archives import Budget, kinds_of, members
from muster.scanning.code import reaches_beyond
from muster.scanning.folder import scan_folder
from muster.scanning.machine import Unreadable


def scanned(place: Path, name: str, content: bytes) -> list[str]:
    """What refuses a folder with one file; the kinds."""
    path = place / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return [one.what for one in scan_folder(place).refused]


def _twice() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("a", b"1")
        with pytest.warns(UserWarning, match="Duplicate"):
            archive.writestr("a", b"2")
    return stream.getvalue()


def _link_in_zip() -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        entry = zipfile.ZipInfo("link")
        entry.external_attr = 0o120777 << 16
        archive.writestr(entry, "/etc/passwd")
    return stream.getvalue()


def _encrypted() -> bytes:
    content = bytearray(zip_of({"a": b"secret"}, zipfile.ZIP_STORED))
    content[6] |= 1
    content[content.index(b"PK\x01\x02") + 8] |= 1
    return bytes(content)


def _many_deep() -> bytes:
    content = zip_of({"a": b"1"})
    for _ in range(8):
        content = zip_of({"inner.zip": content})
    return content


def _old_tar(files: dict[str, bytes]) -> bytes:
    ((name, inner),) = files.items()
    content = bytearray(tar_of(name, inner))
    content[257:265] = b"\0" * 8
    content[148:156] = b" " * 8
    content[148:156] = b"%06o\0 " % sum(content[:512])
    return bytes(content)


REFUSED: dict[str, tuple[str, Callable[[], bytes], str]] = {
    "a tar with a link": ("a.tar", lambda: tar_of("link", kind=tarfile.SYMTYPE, link="/etc/passwd"), "archive-escapes"),
    "a tar with a device": ("a.tar", lambda: tar_of("null", kind=tarfile.CHRTYPE), "archive-escapes"),
    "a tar from the root": ("a.tar", lambda: tar_of("/tmp/x"), "archive-escapes"),
    "a zip that leads out": ("a.zip", lambda: zip_of({"../x": b"1"}), "archive-escapes"),
    "a zip that leads out, as Windows writes it": ("a.zip", lambda: zip_of({"..\\x": b"1"}), "archive-escapes"),
    "a zip with a link": ("a.zip", _link_in_zip, "archive-escapes"),
    "a zip with two of one name": ("a.zip", _twice, "unreadable"),
    "an encrypted zip": ("a.zip", _encrypted, "unreadable"),
    "archives too deep": ("a.zip", _many_deep, "unreadable"),
    "a zip that breaks off": ("a.zip", lambda: zip_of({"a": b"1" * 100})[:-30], "unreadable"),
    "7z": ("a.bin", lambda: b"7z\xbc\xaf\x27\x1c" + b"\0" * 50, "unreadable"),
    "zstd": ("a.zst", lambda: b"\x28\xb5\x2f\xfd" + b"\0" * 50, "unreadable"),
    "what says that it is a pickle": ("a.pkl", lambda: b"nothing of the kind", "unreadable"),
    "what says that it is an archive": ("a.npz", lambda: b"nothing of the kind", "unreadable"),
    "what says that it is of torch": ("a.pt", lambda: b"\xff\xfe\x00nothing", "unreadable"),
    "a path file that runs code": ("a.pth", lambda: b"import os; os.getpid()\n", "pickle-call"),
    "an array with a broken header": ("a.npy", lambda: b"\x93NUMPY\x01\x00\x10\x00{'descr': import}", "unreadable"),
    "an array of an unknown format": ("a.npy", lambda: b"\x93NUMPY\x09\x00\x10\x00", "unreadable"),
    "an array of objects in npz": ("a.npz", lambda: zip_of({"x.npy": array_of_objects()}), "pickle-call"),
    "an array of objects by the long word": ("a.npy", lambda: array_of("object", pickle_that_calls()), "pickle-call"),
    "an array of an unknown type": ("a.npy", lambda: array_of("nothing", b""), "unreadable"),
    "an array of objects behind one of numbers": (
        "a.npy",
        lambda: array_of("<f8", b"\0" * 8 + array_of("|O", pickle_that_calls())),
        "pickle-call",
    ),
    "a pickle behind an array": ("a.npy", lambda: array_of("<f8", b"\0" * 8 + pickle_that_calls()), "pickle-call"),
    "a tar with a name over two lines": ("a.tar", lambda: tar_of("one\ntwo"), "unreadable"),
    "a zip with a name over two lines": ("a.zip", lambda: zip_of({"one\rtwo": b"1"}), "unreadable"),
    "a tar that goes on behind its end": ("a.tar", lambda: tar_of("one") + b"more", "unreadable"),
    "a tar from before its magic": ("a.bin", lambda: _old_tar({"x": pickle_that_calls()}), "pickle-call"),
    "a zip behind a picture": ("a.png", lambda: b"\x89PNG\r\n" + zip_of({"x": pickle_that_calls()}), "pickle-call"),
    "what begins as a table and says that it is a zip": ("a.zip", lambda: b"PAR1 and no more", "unreadable"),
    "a folder of a zip that holds bytes": ("a.zip", lambda: zip_of({"one/": b"1"}), "unreadable"),
    "zlib, broken off": ("a.bin", lambda: zlib.compress(pickle_that_calls() + os.urandom(99))[:-50], "pickle-call"),
    "zlib in two pieces": ("a.bin", lambda: zlib.compress(b"\x88") + zlib.compress(b"cos\ngetpid\n)R."), "pickle-call"),
    "lzma from before xz": ("a.bin", lambda: lzma.compress(pickle_that_calls(), lzma.FORMAT_ALONE), "pickle-call"),
    "gzip around a pickle that says nothing": (
        "a.bin.gz",
        lambda: gzip.compress(b"\x89cos\ngetpid\n)R."),
        "pickle-call",
    ),
    "gzip around zlib": ("a.gz", lambda: gzip.compress(zlib.compress(pickle_that_calls())), "pickle-call"),
    "what joblib packed before 0.10": ("a.bin", lambda: b"ZF0x10               " + zlib.compress(b"N."), "unreadable"),
    "a pickle in an archive of torch": ("a.pt", lambda: zip_of({"a/data.pkl": pickle_that_calls()}), "pickle-call"),
}


@pytest.mark.parametrize("what", MALICIOUS)
def test_each_malicious_file_is_refused(tmp_path: Path, what: str) -> None:
    """By what it is, whatever it is called and however deep it lies."""
    name, make = MALICIOUS[what]
    assert scanned(tmp_path, name, make())


@pytest.mark.parametrize("what", REFUSED)
def test_what_hides_or_leads_out_is_refused(tmp_path: Path, what: str) -> None:
    """And what cannot be looked into counts as the worst that could be in it."""
    name, make, kind = REFUSED[what]
    assert kind in scanned(tmp_path, name, make())
    if kind != "pickle-call":  # what calls something may break off behind that
        assert set(scanned(tmp_path, name, make())) == {kind}


def test_what_models_are_made_of_passes(tmp_path: Path) -> None:
    """Arrays, archives of them, sources, tables, images and texts."""
    np.savez(tmp_path / "weights.npz", a=np.arange(9.0), b=np.zeros(2, dtype=[("x", "f8")]))
    np.save(tmp_path / "weights.npy", np.arange(9.0))
    (tmp_path / "README.md").write_text("(c) by us: import antigravity, os.system\n")
    (tmp_path / "model.py").write_text("import numpy as np\n")
    (tmp_path / "a.tar.gz").write_bytes(__import__("gzip").compress(tar_of("inner/x.txt")))
    (tmp_path / "paths.pth").write_text("../lib\n")
    scan = scan_folder(tmp_path)
    assert (scan.refused, scan.told, scan.files) == ((), (), 6)
    assert scan.inside == 3


@pytest.mark.parametrize("name", ["weights.bin", "weights.bin.gz", "model.pt.zip"])
def test_weights_as_they_are_pass(tmp_path: Path, name: str) -> None:
    """Numbers in a file of their own, packed or not: whatever byte they begin with, nothing is imported by it."""
    random = np.random.default_rng(7)
    for first in range(256):
        content = bytes([first]) + random.standard_normal(64).astype("f4").tobytes()
        packed = {"weights.bin.gz": gzip.compress, "model.pt.zip": lambda one: zip_of({"a/data/0": one})}
        assert scanned(tmp_path, name, packed.get(name, bytes)(content)) == [], first


def test_zlib_that_holds_numbers_passes(tmp_path: Path) -> None:
    """And so does what only begins like it."""
    numbers = np.linspace(0.0, 1.0, 500).tobytes()
    assert scanned(tmp_path, "a.bin", zlib.compress(numbers)) == []
    assert scanned(tmp_path, "b.bin", b"\x78\x9c" + numbers) == []
    assert scanned(tmp_path, "c.txt", b"x y\n1 2\n") == []


@pytest.mark.parametrize(
    ("head", "tail", "runs"),
    [
        (b"PAR1" + b"\0" * 100, b"PAR1", False),
        (b"\0" * 100, b"\0" * 100, False),
        (array_of("<f8", b"\0" * 100), b"", False),
        (array_of("i4,O", b"\0" * 100), b"", True),
        (b"PAR1" + b"\0" * 100, zip_of({"a": b"1"}), True),
        (b"\x88cos\ngetpid\n)R.", b"", True),
        (b"(" * 100, b"", True),
        (zlib.compress(pickle_that_calls()), b"", True),
    ],
    ids=["a table", "numbers", "an array", "objects", "a zip at the end", "a pickle", "opcodes to the end", "zlib"],
)
def test_what_is_too_large_is_judged_by_its_ends(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, head: bytes, tail: bytes, runs: bool
) -> None:
    """It passes where neither its beginning nor its end can be what runs."""
    monkeypatch.setattr(folder, "MOST_BYTES", 10)
    (tmp_path / "large.dat").write_bytes(head + b"\0" * 200 + tail)
    monkeypatch.setattr(folder, "_HEAD", max(len(head), len(tail)))
    assert [one.what for one in scan_folder(tmp_path).refused] == (["unreadable"] if runs else [])


def test_storages_of_torch_are_no_foreign_objects(tmp_path: Path) -> None:
    """The persistent ids that torch writes for its storages pass; any other is refused."""
    storage = b"(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nI4\ntQ."
    (tmp_path / "a.pt").write_bytes(zip_of({"a/data.pkl": storage, "a/data/0": b"\0" * 16}))
    assert scan_folder(tmp_path).refused == ()
    other = storage.replace(b"FloatStorage", b"load")
    assert scanned(tmp_path, "b.pt", zip_of({"a/data.pkl": other})) == ["pickle-call"]


def test_a_link_in_the_folder_is_refused(tmp_path: Path) -> None:
    """It may lead anywhere."""
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert [one.what for one in scan_folder(tmp_path).refused] == ["archive-escapes"]


def test_code_that_reaches_out_is_told_and_refuses_nothing(tmp_path: Path) -> None:
    """It runs confined; people are shown the lines."""
    (tmp_path / "model.py").write_text("import os\nimport socket\n\ndef f():\n    os.system('true')\n    eval('1')\n")
    scan = scan_folder(tmp_path)
    assert scan.refused == ()
    assert [one.told for one in scan.told] == [
        "model.py, line 2: imports socket", "model.py, line 5: calls os.system", "model.py, line 6: calls eval",
    ]  # fmt: skip
    assert reaches_beyond("this is no Python", "x.py") == ()


def test_a_budget_holds_for_all_archives_together(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A thousand small archives are a bomb as one large one is."""
    packed = zip_of({"a": b"\0" * 1000})
    budget = Budget(2_500)
    for _ in range(2):
        assert [name for name, _ in members(packed, "zip", budget)] == ["a"]
    with pytest.raises(Unreadable, match="bomb"):
        list(members(packed, "zip", budget))
    monkeypatch.setattr(archives, "MOST_MEMBERS", 3)
    assert scanned(tmp_path, "a.zip", zip_of({str(number): b"" for number in range(4)})) == ["unreadable"]


def test_a_name_that_a_standard_allows_passes_everywhere(tmp_path: Path) -> None:
    """In a file as in an archive."""
    content = pickle_that_calls(os.path.join, "a", "b")
    (tmp_path / "a.zip").write_bytes(zip_of({"x.pkl": content}))
    assert [one.what for one in scan_folder(tmp_path).refused] == ["pickle-call"]
    assert scan_folder(tmp_path, allowed=("posixpath.join",)).refused == ()


def test_kinds_are_told_by_their_first_bytes() -> None:
    """Not by names."""
    assert kinds_of(zip_of({"a": b"1"})) == ("zip",)
    assert kinds_of(tar_of("a")) == ("tar",)
    assert kinds_of(pickle.dumps({})) == ()
