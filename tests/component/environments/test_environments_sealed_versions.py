"""Versions of a real home: sealed by certification, required by acceptance, rebuilt, exported, listed and swept by `muster env`."""

import json
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from made_bundles import LOCK, made_zip
from muster.access.actor import Actor, Call
from muster.access.roles import AccessRole
from muster.bootstrap.creation import create_home
from muster.bootstrap.factory import Factory, factory_of
from muster.bootstrap.home import open_home
from muster.certification.examination import Examination
from muster.certification.options import CertificationOptions
from muster.certification.records import Certificate
from muster.environments.errors import EnvironmentUnsealed
from muster.packaging.network import network_cut
from muster.packaging.trees import remove_tree
from muster.registry.records import Version
from muster.vocabulary.digests import hex_of
from muster.vocabulary.states import VersionState

CALL = Call(
    actor=Actor(name="admin", roles={"default": AccessRole.ADMIN}, token_id="t-admin", solo=True), project="default"
)


@dataclass
class Sealed:
    """A home with a version that was certified."""

    home: Path
    factory: Factory
    version: Version
    certificate: Certificate


def examined(factory: Factory, bundle: Path) -> tuple[Version, Mapping[str, Any]]:
    """Register a bundle and examine it as an executor does; what came of it."""
    home = factory.home
    version = factory.registry.register(CALL, bundle)
    factory.certification.certify(CALL, version.name)
    claimed = factory.sessions.claim("e1", ["certification"])
    assert claimed is not None
    lines: list[str] = []
    bench = Examination(
        blobs=factory.blobs,
        environments=factory.environments,
        bundles=home.bundles,
        logs=home.logs,
        options=CertificationOptions(latency_calls=20, latency_rounds=1),
    )
    done = factory.certification.run(claimed, lines.append, bench)
    assert done.result is not None
    return version, done.result


def certified(factory: Factory, bundle: Path) -> tuple[Version, Certificate]:
    """Register a bundle that passes."""
    version, result = examined(factory, bundle)
    assert result["passed"], result["checks"]
    certificate = factory.certification.certificate(CALL, version.name)
    assert certificate is not None
    return version, certificate


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Sealed]:
    """One home for the tests of this module."""
    root = tmp_path_factory.mktemp("factory")
    created = create_home(root / "home", solo=True)
    factory = factory_of(open_home(created.home))
    version, certificate = certified(factory, made_zip(root / "bundle"))
    yield Sealed(created.home, factory, version, certificate)
    factory.database.close()
    remove_tree(created.home / "environments")


def muster(*arguments: str | Path, cut: bool = False, **variables: str) -> subprocess.CompletedProcess[str]:
    """The command line in a process of its own; `cut`: without a network."""
    command = [sys.executable, "-m", "muster", *map(str, arguments)]
    if cut:
        command = [*network_cut(), *command]
    environment = {
        "PATH": "/usr/bin:/bin",
        "HTTPS_PROXY": "http://127.0.0.1:9",
        "https_proxy": "http://127.0.0.1:9",
        **variables,
    }
    return subprocess.run(command, capture_output=True, text=True, check=False, env=environment, timeout=240)


def test_certification_seals_and_proves_the_rebuild(sealed: Sealed) -> None:
    """The certificate names the seal, and a check says that the environment came back from the store alone."""
    checks = {check.name: check for check in sealed.certificate.checks}
    assert checks["environment-sealed"].passed
    assert checks["environment-sealed"].figures["bytes"] > 20_000
    assert checks["environments-alike"].passed
    assert checks["rebuilds-offline"].passed
    assert "network cut; golden answers identical" in checks["rebuilds-offline"].detail
    assert sealed.certificate.seal is not None
    seal = sealed.factory.environments.seal_of(sealed.certificate.seal)
    assert seal.environment == sealed.certificate.environment
    assert [part.purl for part in seal.packages] == ["pkg:pypi/cloudpickle@3.1.2"]
    assert seal.packages[0].licence
    assert any(name.startswith("libc") for name in seal.system)
    left = [path.name for path in (sealed.home / "environments").iterdir() if path.name.startswith(".")]
    assert left == []


@pytest.mark.parametrize(
    ("packages", "told"),
    [
        ({"cloudpickle": "3.1.2", "colorama": "0.4.6"}, "as where it was made"),
        ({"cloudpickle": "3.0.0"}, "cloudpickle 3.1.2 here, 3.0.0 where it was made"),
        ({"cloudpickle": "3.1.2", "numpy": "2.4.6"}, "numpy 2.4.6 is not in the environment"),
    ],
)
def test_the_lab_is_compared_package_by_package(
    sealed: Sealed, tmp_path: Path, packages: dict[str, str], told: str
) -> None:
    """Another version or a package that is missing fails the check; one that the lock wants on other systems alone does not."""
    lock = LOCK + b"colorama==0.4.6 ; sys_platform == 'win32' --hash=sha256:" + b"4f" * 32 + b"\n"
    bundle = made_zip(tmp_path / "lab", notes=told, lock=lock, packages=packages)
    _, result = examined(sealed.factory, bundle)
    (check,) = (check for check in result["checks"] if check["name"] == "environments-alike")
    assert told in check["detail"]
    assert check["passed"] == (told == "as where it was made")
    assert result["passed"] == check["passed"]


def test_a_version_that_is_not_sealed_is_not_accepted(sealed: Sealed, tmp_path: Path) -> None:
    """Acceptance asks whether the store still has every part, and names the one that it has not."""
    factory = sealed.factory
    version, certificate = certified(factory, made_zip(tmp_path / "second", notes="second"))
    assert certificate.seal is not None
    (part,) = factory.environments.seal_of(certificate.seal).packages
    place = sealed.home / "store" / "sha256" / part.digest[7:9] / part.digest[7:]
    place.rename(tmp_path / "kept")
    with pytest.raises(EnvironmentUnsealed, match=part.file):
        factory.approvals.accept(CALL, version.name, "good")
    assert factory.registry.version(CALL, version.name).state is VersionState.CERTIFIED
    (tmp_path / "kept").rename(place)
    assert factory.approvals.accept(CALL, version.name, "good").state is VersionState.ACCEPTED


def test_rebuilt_from_the_store_alone_with_the_network_cut(sealed: Sealed, tmp_path: Path) -> None:
    """`muster env rebuild --offline` gives the same environment, without cache and network, and the golden answers are identical."""
    said = muster(
        "env", "rebuild", "churn:1", "--offline", "-o", tmp_path / "rebuilt", "--home", sealed.home, "--json",
        cut=True, HOME=str(tmp_path),
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    assert told["id"] == sealed.certificate.environment
    assert told["identical"] is True
    assert told["golden"] == {"passed": True, "values": 4, "wrong": 0, "largest_deviation": 0.0, "problem": ""}
    assert Path(told["folder"]).is_relative_to(tmp_path / "rebuilt")
    remove_tree(tmp_path / "rebuilt")


def test_an_environment_that_was_lost_comes_back_into_the_home(sealed: Sealed, tmp_path: Path) -> None:
    """Without -o the home's own environment is restored, from the store, with the network cut."""
    shelf = sealed.home / "environments"
    name = hex_of(sealed.certificate.environment)
    remove_tree(shelf / name)
    remove_tree(sealed.home / "uv-cache")
    said = muster(
        "env", "rebuild", "churn:1", "--offline", "--home", sealed.home, "--json",
        cut=True, HOME=str(tmp_path),
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["folder"] == str(shelf / name)


def test_an_export_is_rebuilt_where_there_is_no_home(sealed: Sealed, tmp_path: Path) -> None:
    """One tar holds seal, parts and bundle; another machine makes the same environment from it without store and network."""
    file = tmp_path / "churn.tar"
    said = muster("env", "export", "churn:1", "-o", file, "--home", sealed.home, "--json", HOME=str(tmp_path))
    assert said.returncode == 0, said.stderr
    assert json.loads(said.stdout)["parts"] == 1
    said = muster(
        "env", "rebuild", file, "-o", tmp_path / "elsewhere", "--json",
        cut=True, HOME=str(tmp_path),
    )  # fmt: skip
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    assert told["id"] == sealed.certificate.environment
    assert told["digest"] == sealed.version.digest
    assert told["golden"]["passed"] is True
    assert muster("env", "export", "churn:1", "-o", file, "--home", sealed.home, HOME=str(tmp_path)).returncode == 2
    again = tmp_path / "again.tar"
    muster("env", "export", "churn:1", "-o", again, "--home", sealed.home, HOME=str(tmp_path))
    assert again.read_bytes() == file.read_bytes()
    remove_tree(tmp_path / "elsewhere")
    said = muster(
        "env", "rebuild", file, "-o", tmp_path / "third", "--digest", f"sha256:{'0' * 64}", "--json",
        HOME=str(tmp_path),
    )  # fmt: skip
    assert json.loads(said.stderr)["code"] == "bundle.damaged"
    assert not (tmp_path / "third" / "environment").exists()


def test_an_export_that_was_tampered_with_is_refused(sealed: Sealed, tmp_path: Path) -> None:
    """A part whose bytes are not the seal's is told, and nothing is built."""
    file = tmp_path / "churn.tar"
    muster("env", "export", "churn:1", "-o", file, "--home", sealed.home, HOME=str(tmp_path))
    content = bytearray(file.read_bytes())
    at = content.find(b"PK\x03\x04")
    content[at + 100] ^= 1
    file.write_bytes(content)
    said = muster("env", "rebuild", file, "-o", tmp_path / "x", "--json", HOME=str(tmp_path))
    assert said.returncode == 2
    assert json.loads(said.stderr)["code"] == "environments.seal-malformed"


def test_environments_are_listed_shown_verified_and_kept(sealed: Sealed, tmp_path: Path) -> None:
    """`list`, `show`, `verify` and `gc` of a home: what a version needs is kept, a changed byte is found and its package named."""
    at = ("--home", sealed.home, "--json")
    listed = next(
        one
        for one in json.loads(muster("env", "list", *at, HOME=str(tmp_path)).stdout)
        if one["id"] == sealed.certificate.environment
    )
    assert listed["sealed"] is True
    shown = json.loads(
        muster("env", "show", hex_of(sealed.certificate.environment)[:8], *at, HOME=str(tmp_path)).stdout
    )
    assert [part["purl"] for part in shown["parts"]] == ["pkg:pypi/cloudpickle@3.1.2"]
    swept = json.loads(muster("env", "gc", "--older-than", "0s", *at, HOME=str(tmp_path)).stdout)
    assert swept["removed"] == []
    assert muster("env", "verify", *at, HOME=str(tmp_path)).returncode == 0
    file = next(Path(shown["folder"]).glob("lib/python*/site-packages/cloudpickle/cloudpickle.py"))
    content = file.read_bytes()
    file.chmod(0o644)
    file.write_bytes(content + b"# changed\n")
    said = muster("env", "verify", *at, HOME=str(tmp_path))
    assert said.returncode == 1
    damaged = [one["packages"] for one in json.loads(said.stdout) if one["packages"]]
    assert damaged == [["cloudpickle 3.1.2: 1 file"]]
    shutil.rmtree(sealed.home / "uv-cache", ignore_errors=True)
    mended = muster("env", "rebuild", "churn:1", "--offline", *at, cut=True, HOME=str(tmp_path))
    assert mended.returncode == 0, mended.stderr
    assert muster("env", "verify", *at, HOME=str(tmp_path)).returncode == 0


def test_a_version_that_was_never_certified_has_no_seal(sealed: Sealed, tmp_path: Path) -> None:
    """The error says what to do."""
    sealed.factory.registry.register(CALL, made_zip(tmp_path / "third", notes="third"))
    said = muster("env", "rebuild", "churn:3", "--home", sealed.home, "--json", HOME=str(tmp_path))
    assert said.returncode == 7
    told = json.loads(said.stderr)
    assert told["code"] == "environments.not-sealed"
    assert "never certified" in told["detail"]
