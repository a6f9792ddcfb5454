"""Node: packages from npm's registry, builds without a network, TypeScript, and the helper over both wires."""

import json
import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from built_programs import Built, built, echo_bundle
from muster.blobs.local import LocalBlobs
from muster.environments.carried import copy_helper
from muster.environments.errors import BuildFailed, LockUnresolved, PartDiffers, PartMissing, ToolchainMissing
from muster.environments.languages.node import Node
from muster.environments.shelf import Shelf
from muster.packaging.columns import Table
from muster.packaging.documents import Bundle, bundle_of
from muster.packaging.errors import EnvironmentDamaged
from muster.packaging.manifest import declared_in
from muster.runtimes.conformance import echo, echo_rows
from muster_host.programs import ProgramGone
from muster_host.raised import ModelRaised
from program_driver import driven
from toolchains import needs

pytestmark = needs("node")

HOSTS = Path(__file__).resolve().parents[3] / "hosts" / "node"
NODE = Node()
DESCRIPTION = """format = 1
name = "churn"

[runtime]
kind = "node"
entry = "{entry}"
toolchain = "{toolchain}"
sources = ["package.json", "tsconfig.json", "{entry}", "muster_host"]

[[contract.inputs]]
name = "x"
datatype = "FP64"

[[contract.outputs]]
name = "y"
datatype = "FP64"

[golden]
rows = 1
"""
MEAN = """import { Matrix } from "ml-matrix";
export const predict = ({ x }, rows) => new Array(rows).fill(Matrix.columnVector(x).mean());
"""
TYPED = """import type { Predict } from "./muster_host/host.mjs";
export const predict: Predict<{ x: Float64Array }> = ({ x }) => ({ y: x.map((value: number) => 2 * value) });
"""
STRICT = '{"compilerOptions": {"target": "es2022", "module": "nodenext", "strict": true, "skipLibCheck": true}}'


def bundle_in(folder: Path) -> Bundle:
    return bundle_of(declared_in(folder))


def written(folder: Path, entry: str, text: str, dependencies: dict[str, str]) -> Path:
    """A bundle of one module, locked by npm."""
    folder.mkdir()
    copy_helper(NODE, folder)
    version = subprocess.run(["node", "--version"], capture_output=True, text=True, check=True).stdout.strip()
    (folder / "muster.toml").write_text(DESCRIPTION.format(entry=entry, toolchain=f"node-{version[1:]}"))
    (folder / entry).write_text(text)
    (folder / "package.json").write_text(json.dumps({"name": "churn", "type": "module", "dependencies": dependencies}))
    (folder / "package-lock.json").write_bytes(lock_of(folder))
    return folder


def lock_of(folder: Path) -> bytes:
    scratch = folder.parent / f"{folder.name}-scratch"
    scratch.mkdir(exist_ok=True)
    return NODE.lock(folder, bundle_in(folder), scratch, print)


def asked(argv: Iterable[str], folder: Path, *x: float) -> tuple[float, ...]:
    """What a program of `DESCRIPTION` answers."""
    with driven(list(argv), bundle_in(folder).contract, folder=folder) as ask:
        ((data, _),) = ask(len(x), [(struct.pack(f"<{len(x)}d", *x), None)])
        return struct.unpack(f"<{len(x)}d", data)


def question(table: Table) -> tuple[int, list[tuple[bytes, bytes | None]]]:
    """A table as a program is asked."""
    columns = table.columns.values()
    return table.rows, [(bytes(one.data), None if one.nulls is None else bytes(one.nulls)) for one in columns]


@pytest.fixture(scope="module")
def echoing(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The echo model, built without a network."""
    bundle = echo_bundle(NODE, HOSTS / "echo", tmp_path_factory.mktemp("echo"))
    return built(NODE, bundle, tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def mean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose module asks a package, which has packages of its own."""
    return written(tmp_path_factory.mktemp("mean") / "bundle", "model.mjs", MEAN, {"ml-matrix": "6.15.1"})


def test_the_helper_keeps_its_own_tests() -> None:
    """`node --test` has nothing to say about the helper that travels in bundles."""
    answer = subprocess.run(["node", "--test", "test/"], cwd=HOSTS, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout


@pytest.mark.parametrize("wire", ["binary", "lines"])
@pytest.mark.parametrize(
    "rows",
    [echo_rows.with_nulls(), echo_rows.texts(), echo_rows.large_integers(), echo_rows.float_bits(2000)],
    ids=["nulls", "texts", "integers", "floats"],
)
def test_the_echo_model_gives_back_every_bit(echoing: Built, rows: Table, wire: str) -> None:
    """All datatypes come back as they went in, over both wires: nulls, text of many scripts, the largest integers; no rows, too."""
    count, given = question(rows)
    with driven(echoing.argv, echo.contract(), wire=wire, folder=echoing.folder, environment=echoing.tree) as ask:
        answers = ask(count, given)
        assert [(bytes(data), None if nulls is None else bytes(nulls)) for data, nulls in answers] == given
        assert ask(0, [(b"", None)] * len(given)) == [(b"", None)] * len(given)


@pytest.mark.parametrize("wire", ["binary", "lines"])
def test_an_error_costs_one_batch(echoing: Built, wire: str) -> None:
    """What the model throws is told, what it prints disturbs nobody, and the program answers on until it ends itself."""
    with driven(echoing.argv, echo.contract(), wire=wire, folder=echoing.folder, environment=echoing.tree) as ask:
        with pytest.raises(ModelRaised, match=echo.ASKED_TO):
            ask(*question(echo_rows.acting(echo.RAISE)))
        assert ask(*question(echo_rows.acting(echo.PRINT)))
        with pytest.raises(ProgramGone):
            ask(*question(echo_rows.acting(echo.EXIT)))


def test_packages_are_fetched_sealed_and_built_again_without_a_network(mean: Path, tmp_path: Path) -> None:
    """From the store alone the same `node_modules` come, file for file, and the model answers the same."""
    bundle = bundle_in(mean)
    shelf = Shelf(tmp_path / "one", tmp_path / "uv", LocalBlobs(tmp_path / "store"))
    first = shelf.ensure(mean, bundle)
    sealed = shelf.seal(first, mean, bundle)
    assert {part.purl for part in sealed.seal.packages} >= {"pkg:npm/ml-matrix@6.15.1", "pkg:npm/is-any-array@3.0.0"}
    elsewhere = Shelf(tmp_path / "two", tmp_path / "uv", LocalBlobs(tmp_path / "store"), parts=tmp_path / "no-parts")
    second = elsewhere.rebuild(sealed.seal, mean, bundle, tmp_path / "three", print)
    trees = [
        {file.relative_to(tree).as_posix(): file.read_bytes() for file in tree.rglob("*") if file.is_file()}
        for tree in (first.folder, second.folder)
    ]
    assert trees[0] == trees[1]
    assert "app/node_modules/ml-matrix/package.json" in trees[0]
    argv = first.order(mean, bundle)["program"]["argv"], second.order(mean, bundle)["program"]["argv"]
    assert asked(argv[0], mean, 1.0, 2.0, 6.0) == asked(argv[1], mean, 1.0, 2.0, 6.0) == (3.0, 3.0, 3.0)


def test_a_changed_file_of_a_package_is_found(mean: Path, tmp_path: Path) -> None:
    """A file that is not as installed is named, and the environment is built again."""
    shelf = Shelf(tmp_path / "root", tmp_path / "uv")
    environment = shelf.ensure(mean, bundle_in(mean))
    file = environment.folder / "app" / "node_modules" / "ml-matrix" / "package.json"
    file.chmod(0o644)
    file.write_text("{}")
    with pytest.raises(EnvironmentDamaged, match=r"ml-matrix/package\.json"):
        shelf.verify(environment.id)
    assert shelf.ensure(mean, bundle_in(mean)).id == environment.id
    assert file.read_text() != "{}"


def test_what_cannot_be_had_is_told(mean: Path, tmp_path: Path) -> None:
    """A version that does not exist, another hash than the registry's, and no network at all are three errors."""
    folder = written(tmp_path / "bundle", "model.mjs", MEAN, {})
    (folder / "package.json").write_text('{"dependencies": {"ml-matrix": "999.0.0"}}')
    with pytest.raises(LockUnresolved, match=r"999\.0\.0"):
        lock_of(folder)
    lock = json.loads((mean / "package-lock.json").read_bytes())
    entry = lock["packages"]["node_modules/ml-matrix"]
    entry["integrity"] = "sha512-" + "A" * 86 + "=="
    (folder / "package-lock.json").write_text(json.dumps(lock))
    shelf = Shelf(tmp_path / "root", tmp_path / "uv", parts=tmp_path / "parts")
    with pytest.raises(PartDiffers, match=r"ml-matrix 6\.15\.1"):
        shelf.ensure(folder, bundle_in(folder))
    entry["version"] = "999.0.0"
    (folder / "package-lock.json").write_text(json.dumps(lock))
    with pytest.raises(LockUnresolved, match=r"999\.0\.0"):
        shelf.ensure(folder, bundle_in(folder))
    with pytest.raises(PartMissing, match=r"ml-matrix 999\.0\.0"):
        shelf.ensure(folder, bundle_in(folder), offline=True)


def test_an_own_lock_keeps_its_versions(tmp_path: Path) -> None:
    """Where the author brought a lock, npm takes its versions, although newer ones would do."""
    folder = written(tmp_path / "bundle", "model.mjs", MEAN, {"is-any-array": "2.0.0"})
    (folder / "package.json").write_text('{"name": "churn", "dependencies": {"is-any-array": "^2.0.0"}}')
    (package,) = NODE.packages(lock_of(folder))
    assert package.version == "2.0.0"
    (folder / "package-lock.json").unlink()
    (package,) = NODE.packages(lock_of(folder))
    assert package.version == "2.0.1"


def test_typescript_is_compiled_by_the_compiler_of_the_lock(tmp_path: Path) -> None:
    """A `.ts` entry is served; a type error is a failed build that shows the line."""
    folder = written(tmp_path / "bundle", "model.ts", TYPED, {"typescript": "5.9.3"})
    (folder / "tsconfig.json").write_text(STRICT)
    assert list(NODE.problems(folder, bundle_in(folder))) == []
    shelf = Shelf(tmp_path / "root", tmp_path / "uv")
    environment = shelf.ensure(folder, bundle_in(folder))
    argv = environment.order(folder, bundle_in(folder))["program"]["argv"]
    assert argv[-1].endswith("/app/model.js")
    assert asked(argv, folder, 1.5, -2.0) == (3.0, -4.0)
    (folder / "model.ts").write_text(TYPED.replace("2 * value", "value.length"))
    with pytest.raises(BuildFailed, match=r"model\.ts\(2,.*'length' does not exist"):
        shelf.ensure(folder, bundle_in(folder))


def test_another_major_version_is_told(mean: Path) -> None:
    """A machine whose Node is of another major version than the bundle's says so, with both."""
    text = (mean / "muster.toml").read_text().replace('toolchain = "node-', 'toolchain = "node-9')
    other = mean.parent / "other"
    other.mkdir()
    (other / "muster.toml").write_text(text)
    with pytest.raises(ToolchainMissing, match=r"made with node-9\d+.*this machine has node"):
        NODE.toolchain(bundle_in(other))
