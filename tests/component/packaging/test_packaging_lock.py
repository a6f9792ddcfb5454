"""Locks of what is really installed: this interpreter's packages, local wheels, and what cannot be locked."""

import importlib
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import cloudpickle
import pytest
from packaging.tags import sys_tags

import muster_host
from made_wheels import make_wheel
from muster.packaging.distributions import Installed
from muster.packaging.environments import Environments
from muster.packaging.errors import LockFailed
from muster.packaging.interpreters import running_version
from muster.packaging.lock import lock_of
from muster.packaging.lock_file import read_lock
from muster.packaging.uv import run_uv
from muster.vocabulary.digests import digest_of_file


@pytest.fixture(scope="module")
def installed() -> Installed:
    """What the lab of these tests has."""
    return Installed()


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with installed packages that only this test has."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


def install(site: Path, wheel: Path) -> None:
    """Install a local wheel the way anyone does."""
    answer = run_uv("pip", "install", "--no-deps", "--python", sys.executable, "--target", str(site), str(wheel))
    assert answer.returncode == 0, answer.stderr


def claim(site: Path, name: str, direct_url: dict[str, Any]) -> None:
    """Say that a package came from elsewhere, as installers write it down (PEP 610)."""
    info = next(site.glob(f"{name}-*.dist-info"))
    (info / "direct_url.json").write_text(json.dumps(direct_url))


class TestInstalled:
    """Which distribution a module belongs to."""

    def test_owners(self, installed: Installed) -> None:
        """Modules of packages have their distribution, also where the names differ; those of Python have none."""
        for module, name in (("sklearn.tree", "scikit-learn"), ("numpy", "numpy"), ("dateutil", "python-dateutil")):
            found = importlib.import_module(module)
            owner = installed.owner_of(module, found.__file__)
            assert owner is not None
            assert owner.name == name
        for module in ("json", "importlib.metadata", "__main__", "sys"):
            assert installed.owner_of(module, getattr(sys.modules.get(module), "__file__", None)) is None

    def test_editable_modules_have_an_owner(self, installed: Installed) -> None:
        """A module of an editable install belongs to it, not to the author's own files."""
        owner = installed.owner_of("muster_host", muster_host.__file__)
        assert owner is not None
        assert owner.name == "muster-ml"
        assert owner.origin in {"editable", "directory", "wheel", "index"}

    def test_closure(self, installed: Installed) -> None:
        """What a package needs is found, and not what only its extras need."""
        names = {distribution.name for distribution in installed.closure(["scikit_learn"])}
        assert {"scikit-learn", "numpy", "scipy", "joblib", "threadpoolctl"} <= names
        assert "pytest" not in names
        assert "pandas" not in names

    def test_own_modules(self, installed: Installed) -> None:
        """The author's own files are told from packages and from Python."""
        assert installed.is_own(sys.modules[__name__])
        for module in ("json", "numpy", "sklearn", "pandas"):
            assert not installed.is_own(importlib.import_module(module))


def test_packages_of_an_index(installed: Installed) -> None:
    """A package of an index is pinned in the version that is installed, with hashes and without any address."""
    lock = lock_of({"cloudpickle": cloudpickle.__file__, "json": json.__file__}, running_version(), installed)
    (package,) = read_lock(lock.content)
    assert (package.name, package.version) == ("cloudpickle", cloudpickle.__version__)
    assert lock.wheels == ()
    assert b"http" not in lock.content
    again = lock_of({"cloudpickle.cloudpickle": cloudpickle.__file__}, running_version(), installed)
    assert again.content == lock.content


def test_local_wheels_travel(tmp_path: Path, site: Path) -> None:
    """A package of a local wheel is locked by that wheel's hash alone, and can be installed from it elsewhere."""
    wheel = make_wheel(tmp_path / "wheels", "secretsauce", "1.2", {"secretsauce.py": "TASTE = 'salt'\n"})
    install(site, wheel)
    lock = lock_of({"secretsauce": str(site / "secretsauce.py")}, running_version(), Installed())
    (package,) = read_lock(lock.content)
    assert package.hashes == {digest_of_file(wheel)}
    assert lock.wheels == (wheel,)
    assert str(tmp_path).encode() not in lock.content
    environment = Environments(tmp_path / "environments", tmp_path / "cache").ensure(
        lock.content, running_version(), wheel.parent
    )
    assert next(environment.folder.glob("lib/python*/site-packages/secretsauce.py")).read_text() == "TASTE = 'salt'\n"


def test_wheel_that_an_index_has_too(tmp_path: Path, site: Path) -> None:
    """A local wheel with the name and version of a public package is not mistaken for that one."""
    version = cloudpickle.__version__
    wheel = make_wheel(tmp_path / "wheels", "cloudpickle", version, {"cloudpickle/__init__.py": "MINE = True\n"})
    install(site, wheel)
    lock = lock_of({"cloudpickle": None}, running_version(), Installed())
    (package,) = read_lock(lock.content)
    assert package.hashes == {digest_of_file(wheel)}


REPOSITORY = {"url": "https://bob:token@git.example.org/x.git", "vcs_info": {"vcs": "git", "commit_id": "0" * 40}}


@pytest.mark.parametrize(
    ("direct_url", "said"),
    [
        ({"url": "file:///home/ana/sauce", "dir_info": {"editable": True}}, "installed as editable"),
        ({"url": "file:///home/ana/sauce", "dir_info": {}}, "installed from a folder"),
        (REPOSITORY, "installed from a repository"),
        (
            {"url": "https://example.org/secretsauce-1.2-py3-none-any.whl", "archive_info": {}},
            "installed from an address",
        ),
    ],
)
def test_what_nobody_could_install_again(tmp_path: Path, site: Path, direct_url: dict[str, Any], said: str) -> None:
    """Editable installs, folders, repositories and addresses are refused with the reason and what to do instead."""
    wheel = make_wheel(tmp_path / "wheels", "secretsauce", "1.2", {"secretsauce.py": ""})
    install(site, wheel)
    claim(site, "secretsauce", direct_url)
    with pytest.raises(LockFailed, match=said) as caught:
        lock_of({"secretsauce": str(site / "secretsauce.py")}, running_version(), Installed())
    assert caught.value.facts["package"] == "secretsauce"
    assert "build a wheel" in caught.value.message or "download the wheel" in caught.value.message
    assert "token" not in caught.value.message


def test_wheel_that_is_gone(tmp_path: Path, site: Path) -> None:
    """A local wheel that was deleted since is refused."""
    wheel = make_wheel(tmp_path / "wheels", "secretsauce", "1.2", {"secretsauce.py": ""})
    install(site, wheel)
    shutil.rmtree(wheel.parent)
    with pytest.raises(LockFailed, match="not there any more"):
        lock_of({"secretsauce": str(site / "secretsauce.py")}, running_version(), Installed())


def test_package_that_no_index_has(site: Path, tmp_path: Path) -> None:
    """A package that claims to be from an index and is on none is named."""
    wheel = make_wheel(tmp_path / "wheels", "nobody_has_this_1f3a", "1.2", {"nobody_has_this_1f3a.py": ""})
    install(site, wheel)
    next(site.glob("*.dist-info/direct_url.json")).unlink()
    with pytest.raises(LockFailed, match="nobody-has-this-1f3a"):
        lock_of({"nobody_has_this_1f3a": None}, running_version(), Installed())


def test_nothing_imported(installed: Installed) -> None:
    """A lock of nothing is refused."""
    with pytest.raises(LockFailed, match="no installed package"):
        lock_of({"json": json.__file__}, running_version(), installed)


def test_namespace_packages(tmp_path: Path, site: Path) -> None:
    """Two distributions that share a top-level name are told apart by their files."""
    for name in ("alpha", "beta"):
        install(site, make_wheel(tmp_path / "wheels", f"ns_{name}", "1.0", {f"shared_ns/{name}.py": ""}))
    found = Installed()
    for name in ("alpha", "beta"):
        owner = found.owner_of(f"shared_ns.{name}", str(site / "shared_ns" / f"{name}.py"))
        assert owner is not None
        assert owner.name == f"ns-{name}"
    assert found.owner_of("shared_ns", None) is None
    assert next(iter(sys_tags())).interpreter.startswith("cp")
