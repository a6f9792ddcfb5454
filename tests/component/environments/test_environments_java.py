"""Java: jars from Maven, builds without a network, and the helper over both wires."""

import struct
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest

from built_programs import Built, built, echo_bundle
from muster.blobs.local import LocalBlobs
from muster.environments.carried import copy_helper
from muster.environments.errors import BuildFailed, LockUnresolved, PartDiffers, PartMissing, ToolchainMissing
from muster.environments.languages.java import Java
from muster.environments.shelf import Shelf
from muster.packaging.columns import encode_text
from muster.packaging.documents import Bundle, bundle_of
from muster.packaging.errors import EnvironmentDamaged
from muster.packaging.manifest import declared_in
from muster.runtimes.conformance import echo
from muster_host.raised import ModelRaised
from program_driver import driven
from toolchains import needs

pytestmark = needs("java")

HOSTS = Path(__file__).resolve().parents[3] / "hosts" / "java"
JAVA = Java()
DESCRIPTION = """format = 1
name = "churn"

[runtime]
kind = "java"
entry = "churn.Model"
toolchain = "jdk-17.0.1"
sources = ["src", "muster_host"]

[[contract.inputs]]
name = "x"
datatype = "FP64"

[[contract.outputs]]
name = "y"
datatype = "FP64"

[golden]
rows = 1
"""
MODEL = """package churn;

import muster.host.Inputs;
import muster.host.Outputs;
import org.apache.commons.lang3.math.IEEE754rUtils;

public final class Model implements muster.host.Predictor {
  @Override
  public void predict(Inputs in, Outputs out) {
    double[] values = in.doubles("x");
    for (int row = 0; row < values.length; row++) {
      values[row] = IEEE754rUtils.max(values[row], 0.5);
    }
    out.set("y", values);
  }
}
"""
POM = """<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>churn</groupId><artifactId>churn</artifactId><version>1</version>
<dependencies><dependency><groupId>org.apache.commons</groupId><artifactId>commons-lang3</artifactId>
<version>{version}</version></dependency></dependencies></project>
"""


def bundle_in(folder: Path) -> Bundle:
    return bundle_of(declared_in(folder))


def lock_of(folder: Path) -> bytes:
    scratch = folder.parent / f"{folder.name}-scratch-{len(list(folder.parent.iterdir()))}"
    scratch.mkdir()
    return JAVA.lock(folder, bundle_in(folder), scratch, print)


def asked(argv: Iterable[str], folder: Path, *x: float) -> tuple[float, ...]:
    """What a program of `DESCRIPTION` answers."""
    with driven(list(argv), bundle_in(folder).contract, folder=folder) as ask:
        ((data, _),) = ask(len(x), [(struct.pack(f"<{len(x)}d", *x), None)])
        return struct.unpack(f"<{len(x)}d", data)


@pytest.fixture(scope="module")
def echoing(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The echo model, built without a network."""
    bundle = echo_bundle(JAVA, HOSTS / "echo", tmp_path_factory.mktemp("echo"))
    return built(JAVA, bundle, tmp_path_factory.mktemp("one"))


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle whose class asks a jar, locked by Maven."""
    folder = tmp_path_factory.mktemp("model") / "bundle"
    (folder / "src" / "churn").mkdir(parents=True)
    copy_helper(JAVA, folder)
    (folder / "muster.toml").write_text(DESCRIPTION)
    (folder / "pom.xml").write_text(POM.format(version="3.12.0"))
    (folder / "src" / "churn" / "Model.java").write_text(MODEL)
    (folder / "maven.lock").write_bytes(lock_of(folder))
    return folder


def test_the_helper_keeps_its_own_tests(tmp_path: Path) -> None:
    """It compiles without a warning, and its tests pass."""
    answer = subprocess.run([HOSTS / "test.sh", tmp_path], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@pytest.mark.parametrize("wire", ["binary", "lines"])
def test_the_echo_model_answers_over_both_wires(echoing: Built, wire: str) -> None:
    """Rows of all datatypes come back, an error costs one batch, and what is printed disturbs nobody."""
    inputs = echo.plain(3)
    given = [(bytes(column.data), column.nulls) for column in inputs.columns.values()]
    with driven(echoing.argv, echo.contract(), wire=wire, folder=echoing.folder, environment=echoing.tree) as ask:
        answers = ask(inputs.rows, given)
        assert [(bytes(data), nulls) for data, nulls in answers] == given
        assert ask(0, [(b"", None)] * len(given)) == [(b"", None)] * len(given)
        with pytest.raises(ModelRaised, match="asked to"):
            ask(inputs.rows, [(encode_text([b"raise", b"", b""]), None), *given[1:]])
        printing = encode_text([b"print", b"", b""])
        assert bytes(ask(inputs.rows, [(printing, None), *given[1:]])[0][0]) == printing


def test_jars_are_fetched_sealed_and_built_again_without_a_network(model: Path, tmp_path: Path) -> None:
    """From the store alone the same tree comes, byte for byte, and the model answers the same."""
    bundle = bundle_in(model)
    assert list(JAVA.problems(model, bundle)) == []
    shelf = Shelf(tmp_path / "one", tmp_path / "uv", LocalBlobs(tmp_path / "store"))
    first = shelf.ensure(model, bundle)
    sealed = shelf.seal(first, model, bundle)
    assert {part.purl for part in sealed.seal.packages} == {"pkg:maven/org.apache.commons/commons-lang3@3.12.0"}
    elsewhere = Shelf(tmp_path / "two", tmp_path / "uv", LocalBlobs(tmp_path / "store"), parts=tmp_path / "no-parts")
    second = elsewhere.rebuild(sealed.seal, model, bundle, tmp_path / "three", print)
    trees = [
        {file.relative_to(tree).as_posix(): file.read_bytes() for file in tree.rglob("*") if file.is_file()}
        for tree in (first.folder, second.folder)
    ]
    assert trees[0] == trees[1]
    assert "jars/org.apache.commons.commons-lang3-3.12.0.jar" in trees[0]
    argv = [environment.order(model, bundle)["program"]["argv"] for environment in (first, second)]
    assert asked(argv[0], model, 2.0, -1.0) == asked(argv[1], model, 2.0, -1.0) == (2.0, 0.5)

    jar = first.folder / "jars" / "org.apache.commons.commons-lang3-3.12.0.jar"
    content = jar.read_bytes()
    jar.chmod(0o644)
    jar.unlink()
    jar.write_bytes(content[:-1] + b"?")
    with pytest.raises(EnvironmentDamaged, match="commons-lang3"):
        shelf.verify(first.id)
    assert shelf.ensure(model, bundle).id == first.id
    assert jar.read_bytes() == content


def test_what_cannot_be_had_is_told(model: Path, tmp_path: Path) -> None:
    """A version that does not exist, another hash than the repository's, and no network at all are three errors."""
    folder = tmp_path / "bundle"
    folder.mkdir()
    (folder / "muster.toml").write_text(DESCRIPTION)
    (folder / "pom.xml").write_text(POM.format(version="999.0"))
    with pytest.raises(LockUnresolved, match=r"commons-lang3:jar:999\.0"):
        lock_of(folder)
    name, _, _ = (model / "maven.lock").read_text().partition(" ")
    (folder / "maven.lock").write_text(f"{name} sha256:{'0' * 64}\n")
    shelf = Shelf(tmp_path / "root", tmp_path / "uv", parts=tmp_path / "parts")
    with pytest.raises(PartDiffers, match=r"commons-lang3 3\.12\.0"):
        shelf.ensure(folder, bundle_in(folder))
    with pytest.raises(PartMissing, match=r"commons-lang3 3\.12\.0"):
        shelf.ensure(folder, bundle_in(folder), offline=True)


def test_what_does_not_compile_is_shown(tmp_path: Path) -> None:
    """With file and line, without the folder that it was compiled in."""
    folder = tmp_path / "bundle"
    (folder / "src" / "churn").mkdir(parents=True)
    copy_helper(JAVA, folder)
    (folder / "muster.toml").write_text(DESCRIPTION)
    (folder / "maven.lock").write_text("# no jars\n")
    (folder / "src" / "churn" / "Model.java").write_text("package churn;\nclass Model extends Nothing {}\n")
    with pytest.raises(BuildFailed, match=r"src/churn/Model\.java:2: error: cannot find symbol") as caught:
        Shelf(tmp_path / "root", tmp_path / "uv").ensure(folder, bundle_in(folder))
    assert str(folder) not in caught.value.message


def test_another_major_version_is_told(tmp_path: Path) -> None:
    """A machine without the bundle's JDK says so, with those that it has."""
    (tmp_path / "muster.toml").write_text(DESCRIPTION.replace("jdk-17.0.1", "jdk-99.0.1"))
    with pytest.raises(ToolchainMissing, match=r"a JDK 99 is needed, on this machine is jdk-"):
        JAVA.toolchain(bundle_in(tmp_path))
