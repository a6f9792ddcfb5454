"""Go: modules from a proxy, builds without a network that give the same bytes, and the helper over both wires."""

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from built_programs import Built, built, echo_bundle
from muster.blobs.local import LocalBlobs
from muster.environments.carried import copy_helper
from muster.environments.errors import BuildFailed, LockUnresolved, PartDiffers, ToolchainMissing
from muster.environments.languages.go import Go
from muster.environments.shelf import Shelf
from muster.packaging.columns import Table
from muster.packaging.documents import Bundle, bundle_of
from muster.packaging.manifest import declared_in
from muster.runtimes.conformance import echo, echo_rows
from muster_host.programs import ProgramGone
from muster_host.raised import ModelRaised
from program_driver import driven
from toolchains import needs

pytestmark = needs("go")

HOSTS = Path(__file__).resolve().parents[3] / "hosts" / "go"
GO = Go()
#: Small, old, and with one module below it.
MODULE = "github.com/pkg/errors"
DESCRIPTION = """format = 1
name = "churn"

[runtime]
kind = "go"
toolchain = "{toolchain}"
sources = ["go.mod", "main.go", "musterhost"]

[[contract.inputs]]
name = "x"
datatype = "FP64"

[[contract.outputs]]
name = "y"
datatype = "FP64"

[golden]
rows = 1
"""
MAIN = """package main

import (
	"github.com/pkg/errors"

	"churn/musterhost"
)

func main() { musterhost.Serve(load) }

func load(musterhost.Load) (musterhost.Model, error) { return musterhost.ModelFunc(predict), nil }

func predict(in *musterhost.Inputs, out *musterhost.Outputs) error {
	x := in.Floats("x")
	for row := range x {
		if x[row] < 0 {
			return errors.Errorf("row %d is below 0", row)
		}
		x[row] *= 2
	}
	musterhost.Set(out, "y", x)
	return nil
}
"""


def bundle_in(folder: Path) -> Bundle:
    return bundle_of(declared_in(folder))


@pytest.fixture(scope="module")
def doubling(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose program imports a module, locked by go."""
    folder = tmp_path_factory.mktemp("doubling") / "bundle"
    folder.mkdir()
    copy_helper(GO, folder)
    version = subprocess.run(["go", "env", "GOVERSION"], capture_output=True, text=True, check=True).stdout.strip()
    (folder / "muster.toml").write_text(DESCRIPTION.format(toolchain=f"go-{version.removeprefix('go')}"))
    (folder / "main.go").write_text(MAIN)
    (folder / "go.mod").write_text(f"module churn\n\ngo 1.22\n\nrequire {MODULE} v0.9.1\n")
    (folder / "go.sum").write_bytes(lock_of(folder))
    return folder


def lock_of(folder: Path) -> bytes:
    scratch = folder.parent / f"{folder.name}-scratch"
    scratch.mkdir(exist_ok=True)
    return GO.lock(folder, bundle_in(folder), scratch, print)


def changed(bundle: Path, folder: Path, name: str, old: str, new: str) -> Path:
    """A copy of a bundle in which one file says something else."""
    shutil.copytree(bundle, folder)
    text = (folder / name).read_text()
    assert old in text
    (folder / name).write_text(text.replace(old, new))
    return folder


def question(table: Table) -> tuple[int, list[tuple[bytes, bytes | None]]]:
    """A table as a program is asked."""
    columns = table.columns.values()
    return table.rows, [(bytes(one.data), None if one.nulls is None else bytes(one.nulls)) for one in columns]


@pytest.fixture(scope="module")
def echoing(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The echo model, built without a network."""
    return built(GO, echo_bundle(GO, HOSTS / "echo", tmp_path_factory.mktemp("echo")), tmp_path_factory.mktemp("one"))


def test_the_helper_keeps_its_own_tests_and_format(echoing: Built) -> None:
    """`go test`, `go vet` and `gofmt` have nothing to say about the package that travels in bundles, or about the echo model."""
    for folder, command in (
        (HOSTS, ["go", "test", "./..."]),
        (HOSTS, ["go", "vet", "./..."]),
        (echoing.folder, ["go", "vet", "./..."]),
        (HOSTS, ["gofmt", "-l", "."]),
    ):
        answer = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert answer.returncode == 0, answer.stdout + answer.stderr
        assert command[0] != "gofmt" or answer.stdout == ""


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
    """What the model gives as an error is told, what it prints disturbs nobody, and the program answers on until it ends itself."""
    with driven(echoing.argv, echo.contract(), wire=wire, folder=echoing.folder, environment=echoing.tree) as ask:
        with pytest.raises(ModelRaised, match=echo.ASKED_TO):
            ask(*question(echo_rows.acting(echo.RAISE)))
        assert ask(*question(echo_rows.acting(echo.PRINT)))
        with pytest.raises(ProgramGone):
            ask(*question(echo_rows.acting(echo.EXIT)))


def test_modules_are_fetched_sealed_and_compiled_again_to_the_same_bytes(doubling: Path, tmp_path: Path) -> None:
    """From the store alone, without a network and in another place, the same program comes, bit for bit; and it answers."""
    bundle = bundle_in(doubling)
    shelf = Shelf(tmp_path / "one", tmp_path / "uv", LocalBlobs(tmp_path / "store"))
    first = shelf.ensure(doubling, bundle)
    sealed = shelf.seal(first, doubling, bundle)
    files = {(part.purl, part.file) for part in sealed.seal.packages}
    assert files == {
        (f"pkg:golang/{MODULE}@v0.9.1", f"{MODULE}/@v/v0.9.1.{suffix}") for suffix in ("mod", "zip")
    }  # fmt: skip
    elsewhere = Shelf(tmp_path / "two", tmp_path / "uv", LocalBlobs(tmp_path / "store"), parts=tmp_path / "no-parts")
    second = elsewhere.rebuild(sealed.seal, doubling, bundle, tmp_path / "three", print)
    programs = [built.folder / "bin" / "model" for built in (first, second)]
    assert programs[0].read_bytes() == programs[1].read_bytes()
    (argument,) = second.order(doubling, bundle)["program"]["argv"]
    with driven([argument], bundle.contract, folder=doubling) as ask:
        ((data, _),) = ask(2, [(struct.pack("<2d", 1.5, 4.0), None)])
        assert struct.unpack("<2d", data) == (3.0, 8.0)
        with pytest.raises(ModelRaised, match="row 1 is below 0"):
            ask(2, [(struct.pack("<2d", 1.0, -1.0), None)])


def test_a_build_that_fails_shows_the_line(doubling: Path, tmp_path: Path) -> None:
    """The compiler's own words are in the error."""
    folder = changed(doubling, tmp_path / "bundle", "main.go", "x[row] *= 2", "x[row] *=")
    with pytest.raises(BuildFailed, match=r"main\.go:20"):
        Shelf(tmp_path / "root", tmp_path / "uv").ensure(folder, bundle_in(folder))


def test_a_module_that_is_not_the_locked_one_is_refused(doubling: Path, tmp_path: Path) -> None:
    """Another hash than the proxy's is told with the module, and nothing is built."""
    line = next(line for line in (doubling / "go.sum").read_text().splitlines() if "/go.mod" not in line)
    other = f"{line.partition('h1:')[0]}h1:{'A' * 43}="
    folder = changed(doubling, tmp_path / "bundle", "go.sum", line, other)
    shelf = Shelf(tmp_path / "root", tmp_path / "uv", parts=tmp_path / "parts")
    with pytest.raises(PartDiffers, match=r"github.com/pkg/errors v0\.9\.1"):
        shelf.ensure(folder, bundle_in(folder))


def test_a_module_that_does_not_exist_is_told(doubling: Path, tmp_path: Path) -> None:
    """A version that nobody published is told when it is locked and when it is fetched."""
    folder = changed(doubling, tmp_path / "bundle", "go.mod", "v0.9.1", "v9.9.9")
    with pytest.raises(LockUnresolved, match=r"v9\.9\.9"):
        lock_of(folder)
    (folder / "go.sum").write_text((folder / "go.sum").read_text().replace("v0.9.1", "v9.9.9"))
    with pytest.raises(LockUnresolved, match=r"v9\.9\.9"):
        Shelf(tmp_path / "root", tmp_path / "uv", parts=tmp_path / "parts").ensure(folder, bundle_in(folder))


def test_an_import_that_go_mod_does_not_name_is_told_with_its_remedy(doubling: Path, tmp_path: Path) -> None:
    """A module file that lacks a requirement is not completed behind the author's back."""
    folder = changed(doubling, tmp_path / "bundle", "go.mod", f"require {MODULE} v0.9.1\n", "")
    with pytest.raises(LockUnresolved, match=rf"go get {MODULE}@v0\.9\.1"):
        lock_of(folder)


def test_another_minor_version_is_told(doubling: Path, tmp_path: Path) -> None:
    """A machine whose Go is of another minor version than the bundle's says so, with both."""
    folder = changed(doubling, tmp_path / "bundle", "muster.toml", 'toolchain = "go-1.', 'toolchain = "go-1.9')
    with pytest.raises(ToolchainMissing, match=r"made with go-1\.9\d.*this machine has go"):
        GO.toolchain(bundle_in(folder))
