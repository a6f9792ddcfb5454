"""Whether an environment is the lab's, for kinds whose packages no tree holds: what can be looked at is compared, and no more is said."""

from contextlib import ExitStack
from pathlib import Path
from types import SimpleNamespace

import pytest

from muster.certification.checks import Finding
from muster.certification.sealing import EnvironmentsAlike
from muster.environments.languages.known import LANGUAGES
from muster.packaging.documents import bundle_of
from muster.packaging.manifest import declared_in

MUSTER = """format = 1
name = "churn"
[runtime]
{runtime}
[contract]
inputs = [{{ name = "x", datatype = "FP64" }}]
outputs = [{{ name = "y", datatype = "FP64" }}]
[golden]
rows = 1
[made]
by = "muster 1"
python = "3.11.7"
platform = "linux"
[made.packages]
{packages}
"""


def asked(folder: Path, runtime: str, packages: str, interpreter: str) -> Finding:
    """What the check finds of a bundle in an environment with that toolchain."""
    (folder / "muster.toml").write_text(MUSTER.format(runtime=runtime, packages=packages))
    bench = SimpleNamespace(
        folder=folder,
        bundle=bundle_of(declared_in(folder)),
        environment=SimpleNamespace(interpreter=interpreter, folder=folder),
    )
    return EnvironmentsAlike().answer(bench, ExitStack())  # type: ignore[arg-type]


def test_a_program_of_the_machine_is_compared_and_not_only_its_lock(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Although lock and bundle still agree, another program of that name is a difference."""
    tools, folder = tmp_path / "tools", tmp_path / "bundle"
    tools.mkdir()
    folder.mkdir()
    program = tools / "octavo"
    program.write_text("#!/bin/sh\necho octavo 8.1\n")
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/usr/bin:/bin")
    runtime = 'kind = "command"\ncommand = ["octavo"]\ntoolchain = "octavo-8.1"\nlock = "command.lock"'
    (folder / "muster.toml").write_text(MUSTER.format(runtime=runtime, packages=""))
    bundle = bundle_of(declared_in(folder))
    (folder / "command.lock").write_bytes(LANGUAGES["command"].lock(folder, bundle, tmp_path, lambda _: None))
    packages = 'octavo = "octavo 8.1"'
    alike = asked(folder, runtime, packages, "octavo-8.1")
    assert (alike.passed, alike.figure) == (True, 0)
    assert "needs of this machine is what its lock names" in alike.detail
    program.write_text("#!/bin/sh\necho octavo 8.1 # patched\n")
    other = asked(folder, runtime, packages, "octavo-8.1")
    assert (other.passed, other.figure) == (False, 1)
    assert "other bytes" in other.detail


def test_of_packages_that_are_built_in_only_the_toolchain_is_claimed(tmp_path: Path) -> None:
    """And a lock that is no longer the one that the bundle was made with is told, as is another toolchain."""
    runtime = 'kind = "java"\nentry = "Churn"\ntoolchain = "jdk-17.0.15"\nlock = "maven.lock"'
    (tmp_path / "maven.lock").write_text("org.tribuo:tribuo-core:4.3.2 sha256:" + "0" * 64 + "\n")
    alike = asked(tmp_path, runtime, '"org.tribuo:tribuo-core" = "4.3.2"', "jdk-17.0.15")
    assert alike.passed
    assert "1 packages" not in alike.detail
    assert "not compared here" in alike.detail
    relocked = asked(tmp_path, runtime, '"org.tribuo:tribuo-core" = "4.3.1"\n"org.tribuo:gone" = "1"', "jdk-21.0.1")
    assert not relocked.passed
    assert relocked.detail == (
        "jdk-21.0.1 here, jdk-17.0.15 where it was made; org.tribuo:gone missing in maven.lock, 1 where it was made; "
        "org.tribuo:tribuo-core 4.3.2 in maven.lock, 4.3.1 where it was made"
    )
