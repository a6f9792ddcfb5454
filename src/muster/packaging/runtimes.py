"""`[runtime]` of muster.toml: one struct for each kind of model, told apart by the key `kind`.

A kind is a language's own program (`r`, `java`, `node`, `go`, `rust`, `cpp`, `command`, and `pmml`, which is a Java
program of ours), something that a Python host runs (`python`, `onnx`, `mlflow`), or somebody else's server (`remote`).
"""

import re
from collections.abc import Iterator
from typing import ClassVar, Literal

import msgspec

from muster.packaging.manifest import path_problem
from muster.vocabulary.errors import Invalid
from muster.vocabulary.names import checked_name
from muster.wire.contracts import Contract

Serializer = Literal["skops", "cloudpickle"]
Method = Literal["predict_proba", "predict", "call"]
InputKind = Literal["pandas", "polars", "arrow", "numpy", "columns", "lists"]
Wire = Literal["binary", "lines"]

LOCK_NAME = "requirements.lock"
#: Kinds whose programs are built with flags of the author's.
FLAGGED_KINDS = ("cpp", "go", "rust")
_TOOLCHAIN = re.compile(r"[a-z][a-z0-9+_.]*-[0-9][0-9A-Za-z.+~_-]*")
_JAVA_CLASS = re.compile(r"[A-Za-z_$][\w$]*(\.[A-Za-z_$][\w$]*)*")


class CategoryValues(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The values of a categorical column, in their order."""

    values: tuple[str | int | float | bool, ...]
    ordered: bool = False
    dtype: str = "str"


class PythonRuntime(
    msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="kind", tag="python"
):
    """A Python object, loaded by a host in its own environment."""

    kind: ClassVar[str] = "python"

    python: str
    serializer: Serializer
    model: str
    method: Method
    input: InputKind
    lock: str = LOCK_NAME
    serializer_reason: str | None = None
    trusted: tuple[str, ...] = ()
    class_index: int | None = None
    code: tuple[str, ...] = ()
    dtypes: dict[str, str] = {}
    categories: dict[str, CategoryValues] = {}
    missing: dict[str, Literal["nan"]] = {}

    @property
    def interpreter(self) -> str:
        """Exact version of what runs it: `3.11.7`."""
        return self.python


class TensorPlace(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where a field of the contract stands among the tensors of an ONNX graph."""

    tensor: str
    """The tensor's name in the graph."""
    column: int | None = None
    """Its column, of a tensor `(rows, columns)` that several fields share; None: the field is the tensor."""


class OnnxRuntime(
    msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="kind", tag="onnx"
):
    """An ONNX graph, run by onnxruntime in a Python host of its own environment."""

    kind: ClassVar[str] = "onnx"

    python: str
    model: str = "model/model.onnx"
    lock: str = LOCK_NAME
    inputs: dict[str, TensorPlace] = {}
    outputs: dict[str, TensorPlace] = {}

    @property
    def interpreter(self) -> str:
        """Exact version of what runs it: `3.11.7`."""
        return self.python


class MlflowRuntime(
    msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="kind", tag="mlflow"
):
    """A folder with an `MLmodel`, run by MLflow in a Python host of its own environment."""

    kind: ClassVar[str] = "mlflow"

    python: str
    folder: str = "mlflow"
    lock: str = LOCK_NAME
    dtypes: dict[str, str] = {}
    """pandas' types of the columns that it is handed."""
    columns: bool = True
    """It takes named columns; False: one tensor."""

    @property
    def interpreter(self) -> str:
        """Exact version of what runs it: `3.11.7`."""
        return self.python


class RemoteRuntime(
    msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="kind", tag="remote"
):
    """A model of another server that speaks Open Inference Protocol V2; its address is the operator's, not the bundle's."""

    kind: ClassVar[str] = "remote"

    remote: str
    """The entry of HOME/remotes.toml that says where it is."""
    model: str
    """What it is called there."""
    version: str = ""
    """Its version there; empty: whichever that server answers with."""

    @property
    def lock(self) -> str:
        """It has none."""
        return ""

    @property
    def interpreter(self) -> str:
        """What runs it is not ours to know."""
        return "remote"


class ProgramRuntime(
    msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True, forbid_unknown_fields=True, tag_field="kind"
):
    """A program of its own that reads and writes tables: what all such kinds have in common."""

    kind: ClassVar[str]

    lock: str
    toolchain: str = ""
    """What builds and runs it, as `muster assemble` writes it: `go-1.26.8`."""
    sources: tuple[str, ...] = ()
    """Files and folders that are built; empty: everything that is no document of Muster's."""
    wire: Wire = "binary"
    flags: tuple[str, ...] = ()
    """Compiler flags (cpp), build tags (go), features (rust)."""
    memory_mib: int | None = None
    """Heap that a virtual machine may fill; None: 60 % of the host's limit, at most 1024."""

    @property
    def interpreter(self) -> str:
        """Exact version of what runs it: `go-1.26.8`."""
        return self.toolchain


class RRuntime(ProgramRuntime, frozen=True, kw_only=True, tag="r"):
    """An R script that defines `predict(data)`."""

    kind: ClassVar[str] = "r"
    entry: str = "model.R"
    lock: str = "r.lock"


class JavaRuntime(ProgramRuntime, frozen=True, kw_only=True, tag="java"):
    """A Java class."""

    kind: ClassVar[str] = "java"
    entry: str
    lock: str = "maven.lock"


class NodeRuntime(ProgramRuntime, frozen=True, kw_only=True, tag="node"):
    """A JavaScript or TypeScript module that exports `predict`."""

    kind: ClassVar[str] = "node"
    entry: str = "model.mjs"
    lock: str = "package-lock.json"


class GoRuntime(ProgramRuntime, frozen=True, kw_only=True, tag="go"):
    """A Go program."""

    kind: ClassVar[str] = "go"
    entry: str = "."
    lock: str = "go.sum"


class RustRuntime(ProgramRuntime, frozen=True, kw_only=True, tag="rust"):
    """A Rust program."""

    kind: ClassVar[str] = "rust"
    entry: str = "."
    lock: str = "Cargo.lock"


class CppRuntime(ProgramRuntime, frozen=True, kw_only=True, tag="cpp"):
    """A C++ program: one source file, or a `CMakeLists.txt`."""

    kind: ClassVar[str] = "cpp"
    entry: str = "model.cpp"
    lock: str = "cpp.lock"


class CommandRuntime(ProgramRuntime, frozen=True, kw_only=True, tag="command"):
    """Any program that is there and speaks one of the wires."""

    kind: ClassVar[str] = "command"
    command: tuple[str, ...]
    """Program and arguments, run in the bundle's folder."""
    entry: str = ""
    lock: str = "command.lock"


class PmmlRuntime(ProgramRuntime, frozen=True, kw_only=True, tag="pmml"):
    """A PMML document, run by a Java program of ours."""

    kind: ClassVar[str] = "pmml"
    model: str = "model/model.pmml"
    lock: str = "maven.lock"

    @property
    def entry(self) -> str:
        """What the program is told to load: the document."""
        return self.model


Program = RRuntime | JavaRuntime | NodeRuntime | GoRuntime | RustRuntime | CppRuntime | CommandRuntime | PmmlRuntime
"""Kinds that are programs of their own; every one is a `ProgramRuntime` and has an `entry`."""
Hosted = PythonRuntime | OnnxRuntime | MlflowRuntime
"""Kinds that a Python host runs in an environment of its own; each has `python` and `lock`."""
Runtime = Hosted | Program | RemoteRuntime

#: Every kind, in the order in which they are told.
KINDS = (
    "python", "r", "java", "node", "go", "rust", "cpp", "onnx", "pmml", "mlflow", "remote", "command",
)  # fmt: skip


def carried_files(runtime: Runtime) -> tuple[tuple[str, str], ...]:
    """Files that a bundle of this runtime carries, each with what it is: `("model.R", "the entry")`."""
    main: tuple[tuple[str, str], ...] = ()
    match runtime:
        case RemoteRuntime():
            return ()
        case PythonRuntime() | OnnxRuntime() | PmmlRuntime():
            main = ((runtime.model, "the model"),)
        case MlflowRuntime():
            main = ((f"{runtime.folder}/MLmodel", "the model"),)
        case RRuntime() | NodeRuntime() | CppRuntime():
            main = ((runtime.entry, "the entry"),)
        case GoRuntime() if runtime.entry == ".":
            main = (("go.mod", "the module file"),)
        case RustRuntime() if runtime.entry == ".":
            main = (("Cargo.toml", "the package file"),)
    return (*main, (runtime.lock, "the lock"))


def runtime_problems(runtime: Runtime, contract: Contract) -> Iterator[str]:
    """What is wrong with `[runtime]` in itself and beside its contract."""
    for path in _paths(runtime):
        problem = path_problem(path)
        if problem:
            yield f"[runtime] {path!r} {problem}"
    match runtime:
        case RemoteRuntime():
            yield from _remote_problems(runtime)
        case ProgramRuntime():
            yield from _program_problems(runtime)
        case PythonRuntime() | OnnxRuntime() | MlflowRuntime():
            parts = runtime.python.split(".")
            if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
                yield f"[runtime] python = {runtime.python!r} is no exact version like 3.11.7"
    if isinstance(runtime, OnnxRuntime):
        yield from _tensor_problems(runtime, contract)
    if isinstance(runtime, MlflowRuntime):
        yield from _mlflow_problems(runtime, contract)
    if isinstance(runtime, PythonRuntime):
        yield from _python_problems(runtime, contract)
        yield from _dtype_problems(runtime, contract)


def _paths(runtime: Runtime) -> Iterator[str]:
    """Whatever leads to a file or folder of the bundle."""
    match runtime:
        case RemoteRuntime():
            return
        case PythonRuntime():
            yield from (runtime.model, *runtime.code)
        case OnnxRuntime():
            yield runtime.model
        case MlflowRuntime():
            yield runtime.folder
        case RRuntime() | NodeRuntime() | CppRuntime() | PmmlRuntime():
            yield runtime.entry
        case GoRuntime() | RustRuntime() | CommandRuntime():
            if runtime.entry not in {"", "."}:
                yield runtime.entry
    yield runtime.lock
    if isinstance(runtime, ProgramRuntime):
        yield from runtime.sources


def _remote_problems(runtime: RemoteRuntime) -> Iterator[str]:
    try:
        checked_name(runtime.remote, of="remote")
    except Invalid as error:
        yield f"[runtime] remote: {error.message}; it names an entry of remotes.toml, never an address"
    if not runtime.model:
        yield "[runtime] model is empty; it says what the model is called on that server"


def _program_problems(runtime: ProgramRuntime) -> Iterator[str]:
    if not runtime.toolchain:
        yield "[runtime] toolchain is missing; `muster assemble` writes it"
    elif _TOOLCHAIN.fullmatch(runtime.toolchain) is None:
        yield f"[runtime] toolchain = {runtime.toolchain!r} is no exact version like go-1.26.8"
    if runtime.flags and runtime.kind not in FLAGGED_KINDS:
        yield f"[runtime] flags are for {', '.join(FLAGGED_KINDS)} only, not for {runtime.kind}"
    if runtime.memory_mib is not None and runtime.memory_mib < 1:
        yield f"[runtime] memory_mib = {runtime.memory_mib} is below 1"
    if isinstance(runtime, JavaRuntime) and _JAVA_CLASS.fullmatch(runtime.entry) is None:
        yield f"[runtime] entry = {runtime.entry!r} is no Java class like churn.Model"
    if isinstance(runtime, CommandRuntime) and not (runtime.command and all(runtime.command)):
        yield '[runtime] command is empty; it is written like ["julia", "host.jl"]'


def _mlflow_problems(runtime: MlflowRuntime, contract: Contract) -> Iterator[str]:
    known = {field.name for field in contract.inputs}
    yield from (f"[runtime.dtypes] names {name!r}, which is no input" for name in runtime.dtypes if name not in known)


def _tensor_problems(runtime: OnnxRuntime, contract: Contract) -> Iterator[str]:
    for key, named, fields in (
        ("inputs", runtime.inputs, contract.inputs),
        ("outputs", runtime.outputs, contract.outputs),
    ):
        known = {field.name for field in fields}
        for name, place in named.items():
            if name not in known:
                yield f"[runtime.{key}] names {name!r}, which is no {key[:-1]}"
            if place.column is not None and place.column < 0:
                yield f"[runtime.{key}.{name}] column = {place.column} is below 0"


def _python_problems(runtime: PythonRuntime, contract: Contract) -> Iterator[str]:
    if runtime.trusted and runtime.serializer != "skops":
        yield "[runtime] trusted is for the serializer skops only"
    if runtime.class_index is not None:
        output = contract.outputs[0] if contract.outputs else None
        if runtime.method != "predict_proba" or len(contract.outputs) != 1 or (output and output.shape):
            yield "[runtime] class_index is for predict_proba with one scalar output only"
        if runtime.class_index < 0:
            yield f"[runtime] class_index = {runtime.class_index} is below 0"
    if runtime.input == "numpy" and len(contract.inputs) != 1:
        yield f"[runtime] input = numpy needs a contract of one input, this has {len(contract.inputs)}"


def _dtype_problems(runtime: PythonRuntime, contract: Contract) -> Iterator[str]:
    names = {field.name for field in contract.inputs}
    for key, named in (("dtypes", runtime.dtypes), ("categories", runtime.categories), ("missing", runtime.missing)):
        yield from (f"[runtime.{key}] names {name!r}, which is no input" for name in named if name not in names)
    yield from (f"[runtime.dtypes] does not name the input {name!r}" for name in names if name not in runtime.dtypes)
    yield from (
        f"[runtime.categories] does not name {name!r}, whose dtype is category"
        for name, dtype in runtime.dtypes.items()
        if dtype == "category" and name not in runtime.categories
    )
