"""`muster check`: everything that is wrong with a bundle is found, with the file and the remedy."""

import shutil
from collections.abc import Callable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import muster
from made_wheels import make_wheel
from muster.packaging.bundle import check_bundle


def twice(columns: dict[str, list[float]]) -> list[float]:
    """A model."""
    return [2 * value for value in columns["a"]]


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with nothing to mend."""
    folder = tmp_path_factory.mktemp("lab")
    (folder / "train.csv").write_text("a\n1\n")
    return muster.save(
        twice,
        folder / "bundle",
        name="doubles",
        owner="ana",
        sample={"a": [1.0, 2.0]},
        output="b",
        description="Twice as much.",
        notes="First.",
        data={"training": folder / "train.csv"},
    )


@pytest.fixture
def bundle(sound: Path, tmp_path: Path) -> Path:
    """A copy of it to spoil."""
    return Path(shutil.copytree(sound, tmp_path / "bundle"))


def test_nothing_to_mend(bundle: Path) -> None:
    """What save writes has nothing to mend, unless the code was not committed."""
    assert [finding for finding in check_bundle(bundle) if "no commit holds" not in finding.problem] == []


def edited(old: str, new: str) -> Callable[[Path], object]:
    """Replace a text in muster.toml."""

    def edit(folder: Path) -> None:
        text = (folder / "muster.toml").read_text()
        assert old in text
        (folder / "muster.toml").write_text(text.replace(old, new, 1))

    return edit


def removed(name: str) -> Callable[[Path], object]:
    """Remove a file."""
    return lambda folder: (folder / name).unlink()


def filled(name: str, content: bytes) -> Callable[[Path], object]:
    """Fill a file."""
    return lambda folder: (folder / name).write_bytes(content)


def external(path: str) -> str:
    """A file by reference."""
    return f'\n[[external]]\npath = "{path}"\nuri = "s3://b/x"\ndigest = "sha256:{"0" * 64}"\nsize = 1\n'


ERRORS = {
    "no description": (removed("muster.toml"), "muster.toml", "no bundle"),
    "no TOML": (filled("muster.toml", b"format ="), "muster.toml", "no TOML"),
    "misspelt key": (edited("description", "about"), "muster.toml", "unknown field"),
    "no model": (removed("model/model.cloudpickle"), "model/model.cloudpickle", "the model is missing"),
    "empty model": (filled("model/model.cloudpickle", b""), "model/model.cloudpickle", "the model is empty"),
    "no lock": (removed("requirements.lock"), "requirements.lock", "the lock is missing"),
    "lock with an address": (filled("requirements.lock", b"--index-url https://x\n"), "requirements.lock", "an option"),
    "lock without the serialiser": (
        filled("requirements.lock", b"numpy==1.0 --hash=sha256:" + b"0" * 64),
        "requirements.lock",
        "cloudpickle, which reads the model",
    ),
    "no golden set": (removed("golden.parquet"), "golden.parquet", "the golden set is missing"),
    "broken golden set": (filled("golden.parquet", b"PAR1"), "golden.parquet", "cannot be read"),
    "other golden set": (
        lambda folder: pq.write_table(pa.table({"a": ["x"]}), folder / "golden.parquet"),
        "golden.parquet",
        "lacks the column",
    ),
    "link": (lambda folder: (folder / "link").symlink_to("/etc/passwd"), "link", "symbolic link"),
    "no code": (edited('input = "lists"', 'input = "lists"\ncode = ["src"]'), "src", "names a folder that is missing"),
    "unreviewed type": (
        lambda folder: (
            edited('serializer = "cloudpickle"', 'serializer = "skops"\ntrusted = ["builtins.eval"]')(folder),
            edited("model.cloudpickle", "model.skops")(folder),
            (folder / "model" / "model.cloudpickle").rename(folder / "model" / "model.skops"),
        ),
        "muster.toml",
        "builtins.eval, which is not on the reviewed list",
    ),
    "carried and by reference": (
        lambda folder: (folder / "muster.toml").write_text(
            (folder / "muster.toml").read_text() + external("README.md")
        ),
        "README.md",
        "by reference and lies in the folder",
    ),
    "unlocked wheel": (
        lambda folder: make_wheel(folder / "wheels", "evil", "1.0", {"evil.py": ""}),
        "wheels/evil-1.0-py3-none-any.whl",
        "never be installed",
    ),
    "broken data.toml": (filled("data.toml", b"="), "data.toml", "no TOML"),
    "no owner": (edited('owners = [\n    "ana",\n]', "owners = []"), "muster.toml", "no owner"),
}
WARNINGS = {
    "no data": (removed("data.toml"), "data.toml", "not named"),
    "no description": (edited('"Twice as much."', '""'), "muster.toml", "description is empty"),
    "no readme": (removed("README.md"), "README.md", "nothing says what the model is"),
    "empty notes": (filled("NOTES.md", b"\n"), "NOTES.md", "nothing says what changed"),
}


@pytest.mark.parametrize("title", ERRORS)
def test_errors(bundle: Path, title: str) -> None:
    """Each thing that keeps a bundle from being registered is found, named, and has a remedy."""
    spoil, path, said = ERRORS[title]
    spoil(bundle)
    found = [finding for finding in check_bundle(bundle) if finding.level == "error"]
    assert any(finding.path == path and said in finding.problem for finding in found), found
    assert all(finding.remedy for finding in found)


@pytest.mark.parametrize("title", WARNINGS)
def test_warnings(bundle: Path, title: str) -> None:
    """What may be but should not is a warning, with a remedy, after all errors."""
    spoil, path, said = WARNINGS[title]
    spoil(bundle)
    found = check_bundle(bundle)
    assert any((finding.level, finding.path) == ("warning", path) and said in finding.problem for finding in found), (
        found
    )
    assert all(finding.level == "warning" and finding.remedy for finding in found)


def test_everything_at_once(bundle: Path) -> None:
    """Not only the first thing is told."""
    for name in ("model/model.cloudpickle", "golden.parquet", "requirements.lock", "README.md"):
        (bundle / name).unlink()
    found = check_bundle(bundle)
    assert len(found) >= 4
    assert [finding.level for finding in found] == sorted((finding.level for finding in found), key="error".__ne__)


def test_no_folder(tmp_path: Path) -> None:
    """A folder that does not exist is told as such."""
    (finding,) = check_bundle(tmp_path / "nowhere")
    assert finding.problem == "there is no such folder"
