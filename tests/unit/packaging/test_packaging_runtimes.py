"""`[runtime]` of every kind: read, written, refused where it contradicts itself, and what a host is told of it."""

import struct
from pathlib import Path
from typing import Any

import msgspec
import pytest

from muster.environments.languages.known import language_problems
from muster.packaging.documents import Bundle, bundle_of, load_order, read_description, toml_of
from muster.packaging.errors import BundleMalformed
from muster.packaging.findings import Finding, findings_of
from muster.packaging.readme import readme
from muster.packaging.runtimes import KINDS, ProgramRuntime, PythonRuntime, carried_files

DOCUMENT: dict[str, Any] = {
    "format": 1,
    "name": "churn",
    "description": "Will she leave?",
    "owners": ["ana"],
    "contract": {
        "inputs": [{"name": "tenure", "datatype": "INT64"}],
        "outputs": [{"name": "p", "datatype": "FP64"}],
    },
    "golden": {"rows": 2},
}
RUNTIMES: dict[str, dict[str, Any]] = {
    "python": {
        "kind": "python", "python": "3.11.7", "serializer": "skops", "model": "model/model.skops", "method": "predict",
        "input": "columns", "dtypes": {"tenure": "int64"},
    },
    "r": {"kind": "r", "toolchain": "r-4.2.2"},
    "java": {"kind": "java", "entry": "churn.Model", "toolchain": "jdk-17.0.15", "memory_mib": 256},
    "node": {"kind": "node", "entry": "model.ts", "toolchain": "node-20.20.2"},
    "go": {"kind": "go", "toolchain": "go-1.26.8", "sources": ["go.mod", "main.go"], "flags": ["purego"]},
    "rust": {"kind": "rust", "toolchain": "rust-1.95.0"},
    "cpp": {"kind": "cpp", "toolchain": "g++-12.2.0", "flags": ["-O2"]},
    "command": {"kind": "command", "toolchain": "julia-1.10.4", "command": ["julia", "host.jl"], "wire": "lines"},
    "onnx": {"kind": "onnx", "python": "3.11.7", "inputs": {"tenure": {"tensor": "X", "column": 0}}},
    "pmml": {"kind": "pmml", "toolchain": "jdk-17.0.15"},
    "mlflow": {"kind": "mlflow", "python": "3.11.7", "dtypes": {"tenure": "int64"}},
    "remote": {"kind": "remote", "remote": "partner", "model": "churn", "version": "2"},
}  # fmt: skip


def bundle(runtime: dict[str, Any]) -> Bundle:
    """A bundle of that runtime."""
    return bundle_of({**DOCUMENT, "runtime": runtime})


def test_every_kind_is_tried_here() -> None:
    """The list of kinds and these tests belong together."""
    assert set(RUNTIMES) == set(KINDS)


@pytest.mark.parametrize("kind", KINDS)
def test_round_trip(kind: str, tmp_path: Path) -> None:
    """Every kind is the same when it is read again, and writes no key that was not said."""
    made = bundle(RUNTIMES[kind])
    (tmp_path / "muster.toml").write_bytes(toml_of(made))
    assert read_description(tmp_path) == made
    assert msgspec.to_builtins(made)["runtime"] == {
        key: value if not isinstance(value, list) else tuple(value) for key, value in RUNTIMES[kind].items()
    }
    assert made.runtime.kind == kind


@pytest.mark.parametrize("kind", KINDS)
def test_a_misspelt_key_is_refused(kind: str) -> None:
    """In every kind."""
    with pytest.raises(BundleMalformed, match="unknown field `treads`"):
        bundle({**RUNTIMES[kind], "treads": 1})


@pytest.mark.parametrize("kind", KINDS)
def test_what_runs_it(kind: str) -> None:
    """Every kind says what it needs exactly: an interpreter, a toolchain, or that nobody here knows."""
    runtime = bundle(RUNTIMES[kind]).runtime
    expected = RUNTIMES[kind].get("python") or RUNTIMES[kind].get("toolchain") or "remote"
    assert runtime.interpreter == expected
    assert bool(runtime.lock) == (kind != "remote")
    assert isinstance(runtime, ProgramRuntime) == ("toolchain" in RUNTIMES[kind])


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        ("go", {"kind": "julia"}, "kind = 'julia' is none that this Muster knows: python, r, java"),
        ("go", {"toolchain": ""}, "toolchain is missing; `muster assemble` writes it"),
        ("go", {"toolchain": "go"}, "no exact version like go-1.26.8"),
        ("go", {"toolchain": "/usr/local/go-1"}, "no exact version like go-1.26.8"),
        ("go", {"entry": "../elsewhere"}, "not a plain relative path"),
        ("go", {"sources": ["/etc"]}, "not a plain relative path"),
        ("go", {"lock": "a/../b"}, "not a plain relative path"),
        ("go", {"wire": "pigeon"}, "Invalid enum value 'pigeon'"),
        ("go", {"memory_mib": 0}, "memory_mib = 0 is below 1"),
        ("r", {"flags": ["-O2"]}, "flags are for cpp, go, rust only, not for r"),
        ("r", {"entry": "../model.R"}, "not a plain relative path"),
        ("java", {"entry": "churn/Model.java"}, "no Java class like churn.Model"),
        ("java", {"entry": None}, "missing required field `entry`"),
        ("command", {"command": []}, "command is empty"),
        ("command", {"entry": "/bin/sh"}, "not a plain relative path"),
        ("pmml", {"model": "../m.pmml"}, "not a plain relative path"),
        ("onnx", {"model": "/m.onnx"}, "not a plain relative path"),
        ("onnx", {"python": "3.11"}, "no exact version like 3.11.7"),
        ("onnx", {"inputs": {"age": {"tensor": "X"}}}, "[runtime.inputs] names 'age', which is no input"),
        ("onnx", {"outputs": {"q": {"tensor": "X"}}}, "[runtime.outputs] names 'q', which is no output"),
        ("onnx", {"inputs": {"tenure": {"tensor": "X", "column": -1}}}, "column = -1 is below 0"),
        ("mlflow", {"folder": "../m"}, "not a plain relative path"),
        ("mlflow", {"dtypes": {"age": "int64"}}, "[runtime.dtypes] names 'age', which is no input"),
        ("remote", {"remote": "https://partner.example"}, "never an address"),
        ("remote", {"model": ""}, "what the model is called on that server"),
    ],
)
def test_contradictions(kind: str, changes: dict[str, Any], said: str) -> None:
    """Each thing that cannot be is refused, and the message names it."""
    changed = {key: value for key, value in {**RUNTIMES[kind], **changes}.items() if value is not None}
    with pytest.raises(BundleMalformed) as caught:
        bundle(changed)
    assert said in " ".join([caught.value.message, *caught.value.facts.get("problems", [])])


def test_a_folder_or_class_as_entry() -> None:
    """Go and Rust are built in the bundle's own folder, Java names a class: neither is held to be a file."""
    assert bundle({**RUNTIMES["go"], "entry": "."}).runtime == bundle(RUNTIMES["go"]).runtime
    bundle({**RUNTIMES["java"], "entry": "Model"})


def test_the_order_of_a_program() -> None:
    """A host is told every key of the runtime, defaults too, and how the program is started."""
    program = {"argv": ["/env/bin/model"], "variables": {}, "environment": "/env", "wire": "binary"}
    order = load_order(Path("/bundles/x"), bundle(RUNTIMES["go"]), program=program)
    assert order["program"] == program
    assert order["runtime"] == {
        "kind": "go", "toolchain": "go-1.26.8", "entry": ".", "lock": "go.sum", "sources": ["go.mod", "main.go"], "wire": "binary",
        "flags": ["purego"], "memory_mib": None,
    }  # fmt: skip
    assert "remote" not in order


def test_the_order_of_a_remote_model() -> None:
    """Where it is comes from the operator and stands beside what the bundle says."""
    order = load_order(Path("/x"), bundle(RUNTIMES["remote"]), remote={"url": "https://partner.example"})
    assert order["remote"] == {"url": "https://partner.example"}
    assert order["runtime"]["remote"] == "partner"
    assert "program" not in order


def test_the_order_of_python_is_what_it_was() -> None:
    """A Python bundle says nothing of programs."""
    order = load_order(Path("/x"), bundle(RUNTIMES["python"]))
    assert set(order) == {"bundle", "runtime", "contract", "threads"}


def told(folder: Path, runtime: dict[str, Any]) -> list[Finding]:
    """The errors about a bundle's own files, those of its golden set and words left out."""
    found = findings_of(folder, bundle(runtime))
    return [finding for finding in found if finding.level == "error" and finding.path != "golden.parquet"]


@pytest.mark.parametrize("kind", KINDS)
def test_files_that_are_missing_or_empty(kind: str, tmp_path: Path) -> None:
    """Each file that the kind cannot do without is named, with the command that writes it again."""
    wanted = [path for path, _ in carried_files(bundle(RUNTIMES[kind]).runtime)]
    assert {finding.path for finding in told(tmp_path, RUNTIMES[kind])} >= set(wanted)
    for path in wanted:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    found = {
        finding.path: finding.remedy
        for finding in told(tmp_path, RUNTIMES[kind])
        if finding.problem.endswith("is empty")
    }
    assert set(found) == set(wanted)
    assert all(("muster.save" if kind == "python" else "muster assemble") in remedy for remedy in found.values())


def test_sources_that_are_missing(tmp_path: Path) -> None:
    """What is to be built has to be there."""
    for name in ("go.mod", "go.sum"):
        (tmp_path / name).write_text("module churn\n")
    (finding,) = told(tmp_path, RUNTIMES["go"])
    assert (finding.path, finding.problem) == ("main.go", "[runtime] sources names what is missing")


@pytest.mark.parametrize(("kind", "needs"), [("onnx", "onnxruntime"), ("mlflow", "mlflow")])
def test_what_reads_the_model_has_to_be_in_the_lock(kind: str, needs: str, tmp_path: Path) -> None:
    """An environment that could not read the model is told before it is built."""
    runtime = RUNTIMES[kind]
    for path, _ in carried_files(bundle(runtime).runtime):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text("numpy==2.0.0 \\\n    --hash=sha256:" + "0" * 64 + "\n")
    (finding,) = told(tmp_path, runtime)
    assert needs in finding.problem
    assert finding.path == "requirements.lock"


def test_a_program_of_another_machine(tmp_path: Path) -> None:
    """A program that travels as it is has to fit this machine; both are named."""
    (tmp_path / "host").write_bytes(b"\x7fELF\2\1\1" + bytes(9) + struct.pack("<HH", 2, 183) + bytes(40))
    (tmp_path / "command.lock").write_text("program = 'host'\n")
    (finding,) = told(tmp_path, {"kind": "command", "toolchain": "host-1", "command": ["host"]})
    assert finding.path == "host"
    assert "built for aarch64, this machine is" in finding.problem


def test_a_language_adds_its_own_look(tmp_path: Path) -> None:
    """What the plug-in of a language finds stands among the rest."""
    own = Finding("error", "pom.xml", "names a version range", "Name one version.")
    assert own in findings_of(tmp_path, bundle(RUNTIMES["java"]), lambda _, __: [own])


@pytest.mark.parametrize("kind", KINDS)
def test_the_readme_says_how_it_runs(kind: str) -> None:
    """In a sentence that names what runs it."""
    made = bundle(RUNTIMES[kind])
    text = readme(made).partition("## How it runs")[2]
    assert any(word in text for word in (made.runtime.interpreter, "onnxruntime", "MLflow", "`partner`"))
    if isinstance(made.runtime, PythonRuntime):
        assert "written with skops" in text


@pytest.mark.parametrize(
    ("command", "named"),
    [
        (["../../x"], ["../../x"]),
        (["bin/../../../x", "a.jl"], ["bin/../../../x"]),
        (["julia", "../host.jl", "--project=./a"], ["../host.jl"]),
        (["./host", "a..b"], []),
        (["perl", "/srv/host.pl"], ["/srv/host.pl"]),
        (["perl", "-I/srv/lib", "host.pl"], ["-I/srv/lib"]),
        (["julia", "--project=~/own", "host.jl"], ["--project=~/own"]),
        (["julia", "--load=a,../b"], ["--load=a"]),
        (["/usr/bin/perl", "-w", "host.pl", "--model=weights/a.bin"], []),
    ],
)
def test_a_command_stays_in_the_bundle(tmp_path: Path, command: list[str], named: list[str]) -> None:
    """A word that names a place elsewhere is an error, whatever lies there; the program itself and dots in a name are none."""
    runtime = {"kind": "command", "toolchain": "host-1", "command": command}
    found = [finding for finding in findings_of(tmp_path, bundle(runtime)) if "leads out" in finding.problem]
    assert [finding.problem.split("names ")[1].split(",")[0] for finding in found] == named
    assert all((finding.level, finding.path) == ("error", "muster.toml") and finding.remedy for finding in found)


@pytest.mark.parametrize(
    ("kind", "name", "is_enough"),
    [
        ("onnx", "onnxruntime", True),
        ("onnx", "onnxruntime-gpu", True),
        ("onnx", "onnxruntime-openvino", True),
        ("onnx", "numpy", False),
        ("mlflow", "mlflow-skinny", True),
        ("mlflow", "numpy", False),
    ],
)
def test_what_reads_a_model_is_looked_for_once(tmp_path: Path, kind: str, name: str, *, is_enough: bool) -> None:
    """Any build of it will do, and a lock without one is told once, with whatever its language has to say."""
    described = bundle(RUNTIMES[kind])
    (tmp_path / described.runtime.lock).write_text(f"{name}==2.0.0 --hash=sha256:{'0' * 64}\n")
    found = [one for one in findings_of(tmp_path, described, language_problems) if one.path == described.runtime.lock]
    assert len(found) == (0 if is_enough else 1)
