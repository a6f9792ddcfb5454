"""A folder, read through: by what bytes say they are, and by what names promise."""

import io
import os
import pickle
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from malicious_files import MALICIOUS, array_of_objects, pickle_that_calls, tar_of, zip_of
from muster.scanning import archives
from muster.scanning.archives import Budget, kind_of, members
from muster.scanning.code import reaches_beyond
from muster.scanning.folder import scan_folder
from muster.scanning.machine import Unreadable


def scanned(folder: Path, name: str, content: bytes) -> list[str]:
    """What refuses a folder with one file; the kinds."""
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return [one.what for one in scan_folder(folder).refused]


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
    assert scanned(tmp_path, name, make()) == [kind]


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
    assert kind_of(zip_of({"a": b"1"})) == "zip"
    assert kind_of(tar_of("a")) == "tar"
    assert kind_of(pickle.dumps({})) is None
