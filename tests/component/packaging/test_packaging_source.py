"""Where the code was: a real git repository, clean and dirty; and data sets by digest."""

import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from muster.packaging.data_sets import data_toml
from muster.packaging.errors import SampleUnusable
from muster.packaging.source import source_of, without_secrets
from muster.vocabulary.digests import digest_of_file


def git(folder: Path, *arguments: str) -> str:
    """What git says."""
    names = ("-c", "user.name=ana", "-c", "user.email=ana@example.org")
    return subprocess.run(["git", *names, *arguments], cwd=folder, capture_output=True, text=True, check=True).stdout


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository with one commit."""
    folder = tmp_path / "lab"
    folder.mkdir()
    git(folder, "init", "--quiet")
    (folder / "train.py").write_text("fit()\n")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


def test_clean_commit(repository: Path) -> None:
    """In a clean repository the source is the commit."""
    source = source_of(repository)
    assert source is not None
    assert (source.commit, source.dirty, source.remote) == (git(repository, "rev-parse", "HEAD").strip(), False, None)


@pytest.mark.parametrize("change", ["edit", "new file", "staged"])
def test_dirty(repository: Path, change: str) -> None:
    """Changes that no commit holds make it dirty."""
    (repository / ("other.py" if change == "new file" else "train.py")).write_text("refit()\n")
    if change == "staged":
        git(repository, "add", ".")
    source = source_of(repository)
    assert source is not None
    assert source.dirty


def test_bundles_do_not_make_it_dirty(repository: Path) -> None:
    """An untracked bundle in the repository is a product, not a change."""
    bundle = repository / "bundles" / "churn"
    (bundle / "model").mkdir(parents=True)
    (bundle / "muster.toml").write_text("format = 1\n")
    (bundle / "model" / "weights").write_text("x")
    source = source_of(repository)
    assert source is not None
    assert not source.dirty


def test_remote_without_secrets(repository: Path) -> None:
    """User name and password of the remote are not written down."""
    git(repository, "remote", "add", "origin", "https://ana:s3cret@git.example.org:8443/churn.git")
    source = source_of(repository)
    assert source is not None
    assert source.remote == "https://git.example.org:8443/churn.git"


def test_no_repository(tmp_path: Path) -> None:
    """Outside a repository, or before the first commit, there is no source."""
    assert source_of(tmp_path) is None
    git(tmp_path, "init", "--quiet")
    assert source_of(tmp_path) is None


@pytest.mark.parametrize(
    ("address", "clean"),
    [
        ("https://ana:pw@host/x?sig=abc#y", "https://host/x"),
        ("s3://key:secret@bucket/x.parquet", "s3://bucket/x.parquet"),
        ("git@github.com:ana/churn.git", "git@github.com:ana/churn.git"),
        ("/srv/git/churn.git", "/srv/git/churn.git"),
        ("ssh://git@host:22/x.git", "ssh://host:22/x.git"),
    ],
)
def test_addresses_without_secrets(address: str, clean: str) -> None:
    """Whatever may hold a secret is cut from an address."""
    assert without_secrets(address) == clean


class TestData:
    """data.toml."""

    FRAME = pd.DataFrame({"tenure": [1, 2, 3], "plan": ["a", "b", "c"]})

    def described(self, **data: Any) -> dict[str, Any]:
        """data.toml as a document."""
        return tomllib.loads(data_toml(data).decode())

    def test_files(self, tmp_path: Path) -> None:
        """A Parquet or CSV file has digest, size, rows and schema."""
        self.FRAME.to_parquet(tmp_path / "train.parquet")
        self.FRAME.to_csv(tmp_path / "test set.csv", index=False)
        document = self.described(training=tmp_path / "train.parquet", test=str(tmp_path / "test set.csv"))
        assert document["format"] == 1
        for name, file in (("training", "train.parquet"), ("test", "test set.csv")):
            described = document[name]
            assert described["uri"] == (tmp_path / file).as_uri()
            assert described["digest"] == digest_of_file(tmp_path / file)
            assert (described["rows"], described["schema"]["tenure"]) == (3, "int64")
        assert self.described(again=document["test"]["uri"])["again"] == document["test"]

    def test_other_files_and_folders(self, tmp_path: Path) -> None:
        """What cannot be read as a table is named by digest alone, a folder by its address."""
        (tmp_path / "broken.parquet").write_text("no parquet")
        (tmp_path / "notes.txt").write_text("notes")
        document = self.described(a=tmp_path / "broken.parquet", b=tmp_path / "notes.txt", c=tmp_path)
        assert set(document["a"]) == set(document["b"]) == {"uri", "digest", "size"}
        assert set(document["c"]) == {"uri"}

    def test_addresses(self) -> None:
        """An address is kept without its secrets, and nothing is fetched from it."""
        assert self.described(a="s3://key:secret@bucket/x")["a"] == {"uri": "s3://bucket/x"}
        assert self.described(a={"uri": "s3://k:s@bucket/x", "rows": 5})["a"] == {"uri": "s3://bucket/x", "rows": 5}

    @pytest.mark.parametrize("data", [{"training": "nowhere.csv"}, {"training": 5}, {"training": FRAME}])
    def test_nonsense(self, data: dict[str, Any]) -> None:
        """A file that is not there, or what is neither path nor address, is refused."""
        with pytest.raises(SampleUnusable, match="training"):
            data_toml(data)
