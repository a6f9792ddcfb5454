"""R: locks of what is installed, source packages of the bundle, and the helper over the wire."""

import io
import struct
import subprocess
import tarfile
from collections.abc import Iterable
from contextlib import AbstractContextManager
from pathlib import Path

import msgspec
import numpy as np
import pytest

from built_programs import Built, built, echo_bundle
from muster.environments.carried import copy_helper
from muster.environments.errors import BuildFailed, LockUnresolved, MachineDiffers, ToolchainMissing
from muster.environments.languages.r import R, read_lock
from muster.environments.shelf import Shelf
from muster.packaging.columns import Table, column_of, encode_text
from muster.packaging.documents import Bundle, bundle_of
from muster.packaging.golden import Golden, tolerance_of
from muster.packaging.manifest import declared_in
from muster.runtimes.channel import Channel
from muster.runtimes.conformance import echo
from muster.runtimes.conformance.batch_cases import Neighbours
from muster.runtimes.conformance.kit import Subject, conform
from muster.runtimes.conformance.value_cases import GoldenRows, Integers64
from muster.runtimes.host import running_host
from muster.runtimes.parent import Limits
from muster.vocabulary.tensors import Datatype
from muster_host.raised import ModelRaised
from program_driver import driven
from toolchains import needs

pytestmark = needs("r")

HOSTS = Path(__file__).resolve().parents[3] / "hosts" / "r"
LANGUAGE = R()
DESCRIPTION = """format = 1
name = "churn"

[runtime]
kind = "r"
toolchain = "{toolchain}"

[[contract.inputs]]
name = "x"
datatype = "FP64"

[[contract.outputs]]
name = "y"
datatype = "FP64"

[golden]
rows = 1
"""


def bundle_in(folder: Path) -> Bundle:
    return bundle_of(declared_in(folder))


def locked(folder: Path) -> Path:
    """Make the lock of a bundle."""
    (folder / "r.lock").write_bytes(LANGUAGE.lock(folder, bundle_in(folder), folder.parent, print))
    return folder


def written(folder: Path, script: str) -> Path:
    """A bundle of one script, not locked yet."""
    folder.mkdir()
    copy_helper(LANGUAGE, folder)
    (folder / "muster.toml").write_text(DESCRIPTION.format(toolchain="r-0.0"))
    anything = bundle_in(folder)
    anything = msgspec.structs.replace(anything, runtime=msgspec.structs.replace(anything.runtime, toolchain=""))
    toolchain = LANGUAGE.toolchain(anything).name
    (folder / "muster.toml").write_text(DESCRIPTION.format(toolchain=toolchain))
    (folder / "model.R").write_text(script)
    return folder


def tarball(folder: Path, name: str, code: str, imports: str = "") -> None:
    """A source package of R among a bundle's tarballs."""
    (folder / "tarballs").mkdir(exist_ok=True)
    description = f"Package: {name}\nVersion: 1.0\nTitle: T\nDescription: D.\nAuthor: A\nMaintainer: A <a@example.com>\nLicense: MIT\n"
    files = {
        "DESCRIPTION": description + (f"Imports: {imports}\n" if imports else ""),
        "NAMESPACE": 'exportPattern(".")\n' + "".join(f"import({word})\n" for word in imports.split()),
        "R/code.R": code,
    }
    with tarfile.open(folder / "tarballs" / f"{name}_1.0.tar.gz", "w:gz") as archive:
        for path, text in files.items():
            member = tarfile.TarInfo(f"{name}/{path}")
            member.size = len(text)
            archive.addfile(member, io.BytesIO(text.encode()))


def asked(argv: Iterable[str], variables: dict[str, str], folder: Path, *x: float) -> tuple[float, ...]:
    """What a program of `DESCRIPTION` answers."""
    with driven(list(argv), bundle_in(folder).contract, variables, folder=folder) as ask:
        ((data, _),) = ask(len(x), [(struct.pack(f"<{len(x)}d", *x), None)])
        return struct.unpack(f"<{len(x)}d", data)


@pytest.fixture(scope="module")
def echoing(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The echo model."""
    bundle = echo_bundle(LANGUAGE, HOSTS / "echo", tmp_path_factory.mktemp("echo"))
    return built(LANGUAGE, bundle, tmp_path_factory.mktemp("one"))


def test_the_helper_keeps_its_own_tests() -> None:
    """Its plain script has nothing to say about what travels in bundles."""
    command = ["Rscript", "--vanilla", "tests/test.R"]
    answer = subprocess.run(command, cwd=HOSTS, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_the_echo_model_answers(echoing: Built) -> None:
    """Rows of all datatypes come back, an error costs one batch, and what is printed disturbs nobody."""
    inputs = echo.plain(3)
    given = [(bytes(column.data), column.nulls) for column in inputs.columns.values()]
    with driven(echoing.argv, echo.contract(), folder=echoing.folder, environment=echoing.tree) as ask:
        answers = ask(inputs.rows, given)
        assert [(bytes(data), nulls) for data, nulls in answers] == given
        assert ask(0, [(b"", None)] * len(given)) == [(b"", None)] * len(given)
        with pytest.raises(ModelRaised, match="asked to"):
            ask(inputs.rows, [(encode_text([b"raise", b"", b""]), None), *given[1:]])
        printing = encode_text([b"print", b"", b""])
        assert bytes(ask(inputs.rows, [(printing, None), *given[1:]])[0][0]) == printing


def test_a_large_number_of_another_request_changes_no_answer(tmp_path: Path) -> None:
    """A column computes alike whatever is beside it, and a model that asks for all digits has them."""
    script = "predict <- function(data, exact) list(y = drop(cbind(1, data$x) %*% c(.5, 2)), same = exact$x)\n"
    folder = written(tmp_path / "bundle", script)
    description = (
        (folder / "muster.toml").read_text().replace('name = "x"\ndatatype = "FP64"', 'name = "x"\ndatatype = "INT64"')
    )
    output = '[[contract.outputs]]\nname = "same"\ndatatype = "INT64"\n\n[golden]'
    (folder / "muster.toml").write_text(description.replace("[golden]", output))
    locked(folder)
    bundle = bundle_in(folder)
    x = [1, 5, 1000]
    inputs = Table(3, {"x": column_of(Datatype.INT64, np.array(x))})
    y = column_of(Datatype.FP64, np.array([0.5 + 2 * value for value in x]))
    expected = Table(3, {"y": y, "same": inputs.columns["x"]})
    golden = Golden(inputs=inputs, expected=expected, tolerance=tolerance_of(bundle))
    environment = Shelf(tmp_path / "root", tmp_path / "uv").ensure(folder, bundle)

    def start(limits: Limits) -> AbstractContextManager[Channel]:
        order = environment.order(folder, bundle)
        return running_host(environment, folder, order, tmp_path / "host.log", limits=limits)

    report = conform(Subject(bundle=bundle, golden=golden, start=start), [GoldenRows(), Integers64(), Neighbours()])
    assert [(result.case, result.detail) for result in report.failed] == []
    assert [result.figure for result in report.results] == [0, 16, 3]


def test_packages_of_the_machine_have_to_be_those_of_the_lock(tmp_path: Path) -> None:
    """Another version or other files of one are told by its name, and no environment is made."""
    folder = locked(written(tmp_path / "bundle", "library(rpart)\npredict <- function(data) data$x\n"))
    shelf = Shelf(tmp_path / "root", tmp_path / "uv")
    environment = shelf.ensure(folder, bundle_in(folder))
    program = environment.order(folder, bundle_in(folder))["program"]
    assert asked(program["argv"], program["variables"], folder, 1.5, -0.0) == (1.5, -0.0)
    lock = read_lock((folder / "r.lock").read_bytes())
    assert {name: one.source for name, one in lock.packages.items()}["rpart"] == "Debian"
    text = (folder / "r.lock").read_text()
    (folder / "r.lock").write_text(text.replace(lock.packages["rpart"].hash, f"sha256:{'0' * 64}"))
    with pytest.raises(MachineDiffers, match=r"rpart .*: other files than the lock names"):
        shelf.ensure(folder, bundle_in(folder))
    (folder / "r.lock").write_text(text.replace(lock.packages["rpart"].version, "0.1"))
    with pytest.raises(MachineDiffers, match=r"rpart 0\.1: this machine has"):
        shelf.ensure(folder, bundle_in(folder))


def test_source_packages_of_the_bundle_are_installed_in_their_order(tmp_path: Path) -> None:
    """Without a network, into the environment alone, each after those that it needs."""
    folder = written(tmp_path / "bundle", "library(aaa)\npredict <- function(data) fourfold(data$x)\n")
    tarball(folder, "aaa", "fourfold <- function(x) twofold(twofold(x))\n", imports="zzz")
    tarball(folder, "zzz", "twofold <- function(x) 2 * x\n")
    locked(folder)
    assert list(LANGUAGE.problems(folder, bundle_in(folder))) == []
    said: list[str] = []
    environment = Shelf(tmp_path / "root", tmp_path / "uv").ensure(folder, bundle_in(folder), said.append)
    assert [line for line in said if line.startswith("installing")] == ["installing zzz", "installing aaa"]
    program = environment.order(folder, bundle_in(folder))["program"]
    assert asked(program["argv"], program["variables"], folder, 1.5) == (6.0,)


def test_what_cannot_be_had_is_told(tmp_path: Path) -> None:
    """A package that is nowhere, one that does not install, and another R."""
    folder = written(tmp_path / "bundle", "library(nowhere)\npredict <- function(data) data$x\n")
    with pytest.raises(LockUnresolved, match=r"nowhere is neither installed .* tarballs/nowhere_VERSION\.tar\.gz"):
        locked(folder)
    tarball(folder, "nowhere", "this is no R\n")
    locked(folder)
    with pytest.raises(BuildFailed, match=r"nowhere_1\.0\.tar\.gz"):
        Shelf(tmp_path / "root", tmp_path / "uv").ensure(folder, bundle_in(folder))
    (folder / "muster.toml").write_text(DESCRIPTION.format(toolchain="r-3.6.3"))
    with pytest.raises(ToolchainMissing, match=r"made with r-3\.6\.3, and this machine has R"):
        LANGUAGE.toolchain(bundle_in(folder))
