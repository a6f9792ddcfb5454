"""muster.toml as structs: format 1, described key by key in docs/reference/bundle.md.

Unknown keys are refused: a key that is misspelt must not be silently without effect.
"""

from pathlib import Path
from typing import Any, Literal

import msgspec
import tomli_w

from muster.packaging.contract import contract_problems
from muster.packaging.errors import BundleMalformed
from muster.packaging.manifest import DESCRIPTION_NAME, ExternalEntry, declared_in, path_problem
from muster.vocabulary.digests import checked_digest
from muster.vocabulary.errors import Invalid
from muster.vocabulary.names import checked_name
from muster.wire.contracts import Contract

BUNDLE_FORMAT: Literal[1] = 1
GOLDEN_NAME = "golden.parquet"
#: Before the name of an output: its column of expected answers in golden.parquet.
EXPECTED_PREFIX = "expected."
LOCK_NAME = "requirements.lock"
DATA_NAME = "data.toml"
WHEELS_NAME = "wheels"

Serializer = Literal["skops", "cloudpickle"]
Method = Literal["predict_proba", "predict", "call"]
InputKind = Literal["pandas", "polars", "arrow", "numpy", "columns", "lists"]


class CategoryValues(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The values of a categorical column, in their order."""

    values: tuple[str | int | float | bool, ...]
    ordered: bool = False
    dtype: str = "str"


class Runtime(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """How a bundle is run."""

    kind: Literal["python"]
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


class Tolerance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far an answer may lie from the expected one: `|answer - expected| <= abs + rel * |expected|`."""

    abs: float = 0.0
    rel: float = 0.0


class GoldenDescription(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What golden.parquet holds."""

    rows: int
    platform: str = ""
    tolerance: dict[str, Tolerance] = {}


class Source(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Where the author's code was."""

    commit: str
    dirty: bool
    remote: str | None = None


class Made(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What wrote the bundle."""

    by: str
    python: str
    platform: str


class Bundle(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What a bundle says of itself."""

    format: int
    name: str
    runtime: Runtime
    contract: Contract
    golden: GoldenDescription
    description: str = ""
    owners: tuple[str, ...] = ()
    authors: tuple[str, ...] = ()
    tags: dict[str, str] = {}
    source: Source | None = None
    made: Made | None = None
    external: tuple[ExternalEntry, ...] = ()

    @property
    def people(self) -> frozenset[str]:
        """Who may not pass it at a gate: its owners and authors."""
        return frozenset(self.owners) | frozenset(self.authors)


#: Keys in the order in which a person wants to read them; the rest follows.
_ORDER = ("format", "name", "description", "owners", "authors", "tags", "runtime", "contract", "golden")


def toml_of(bundle: Bundle) -> bytes:
    """muster.toml of a bundle."""
    document = msgspec.to_builtins(bundle)
    document["format"] = bundle.format
    ordered = {key: document.pop(key) for key in _ORDER if key in document}
    return tomli_w.dumps({**ordered, **document}, multiline_strings=False).encode("utf-8")


def read_description(folder: Path) -> Bundle:
    """muster.toml of a folder.

    Raises:
        BundleMalformed: it is missing, unreadable, of another format, or contradicts itself.
    """
    if not (folder / DESCRIPTION_NAME).is_file():
        raise BundleMalformed(f"{folder} has no {DESCRIPTION_NAME}, so it is no bundle")
    return bundle_of(declared_in(folder), where=str(folder / DESCRIPTION_NAME))


def bundle_of(declared: dict[str, Any], where: str = DESCRIPTION_NAME) -> Bundle:
    """The bundle that parsed muster.toml, or `declared` of a manifest, describes.

    Raises:
        BundleMalformed: it is of another format or contradicts itself.
    """
    if declared.get("format", BUNDLE_FORMAT) != BUNDLE_FORMAT:
        raise BundleMalformed(f"{where} has the format {declared['format']!r}, this Muster knows {BUNDLE_FORMAT}")
    try:
        bundle = msgspec.convert(declared, Bundle)
    except msgspec.ValidationError as error:
        raise BundleMalformed(f"{where}: {error}") from error
    problems = description_problems(bundle)
    if problems:
        raise BundleMalformed(f"{where}: {problems[0]}", problems=problems)
    return bundle


def description_problems(bundle: Bundle) -> list[str]:
    """What is wrong with a description in itself; empty when nothing is."""
    problems = []
    for what, name in (("model", bundle.name), *(("user", person) for person in (*bundle.owners, *bundle.authors))):
        try:
            checked_name(name, of=what)
        except Invalid as error:
            problems.append(error.message)
    problems.extend(f"[contract] {problem}" for problem in contract_problems(bundle.contract))
    problems.extend(_runtime_problems(bundle))
    problems.extend(_dtype_problems(bundle))
    problems.extend(_golden_problems(bundle))
    for entry in bundle.external:
        try:
            checked_digest(entry.digest)
        except Invalid as error:
            problems.append(f"[[external]] {entry.path}: {error.message}")
    return problems


def _runtime_problems(bundle: Bundle) -> list[str]:
    runtime, contract = bundle.runtime, bundle.contract
    problems = []
    for path in (runtime.model, runtime.lock, *runtime.code):
        problem = path_problem(path)
        if problem:
            problems.append(f"[runtime] {path!r} {problem}")
    parts = runtime.python.split(".")
    if len(parts) != 3 or not all(part.isascii() and part.isdigit() for part in parts):
        problems.append(f"[runtime] python = {runtime.python!r} is no exact version like 3.11.7")
    if runtime.trusted and runtime.serializer != "skops":
        problems.append("[runtime] trusted is for the serializer skops only")
    if runtime.class_index is not None:
        output = contract.outputs[0] if contract.outputs else None
        if runtime.method != "predict_proba" or len(contract.outputs) != 1 or (output and output.shape):
            problems.append("[runtime] class_index is for predict_proba with one scalar output only")
        if runtime.class_index < 0:
            problems.append(f"[runtime] class_index = {runtime.class_index} is below 0")
    if runtime.input == "numpy" and len(contract.inputs) != 1:
        problems.append(f"[runtime] input = numpy needs a contract of one input, this has {len(contract.inputs)}")
    return problems


def _dtype_problems(bundle: Bundle) -> list[str]:
    runtime = bundle.runtime
    problems: list[str] = []
    names = {field.name for field in bundle.contract.inputs}
    for key, named in (("dtypes", runtime.dtypes), ("categories", runtime.categories), ("missing", runtime.missing)):
        problems.extend(f"[runtime.{key}] names {name!r}, which is no input" for name in named if name not in names)
    problems.extend(
        f"[runtime.dtypes] does not name the input {name!r}" for name in names if name not in runtime.dtypes
    )
    problems.extend(
        f"[runtime.categories] does not name {name!r}, whose dtype is category"
        for name, dtype in runtime.dtypes.items()
        if dtype == "category" and name not in runtime.categories
    )
    return problems


def _golden_problems(bundle: Bundle) -> list[str]:
    problems = [
        f"[contract] the input {field.name!r} is named like an expected answer of the golden set"
        for field in bundle.contract.inputs
        if field.name.startswith(EXPECTED_PREFIX)
    ]
    if bundle.golden.rows < 1:
        problems.append("[golden] rows: a golden set has at least one row")
    for name, tolerance in bundle.golden.tolerance.items():
        if bundle.contract.output(name) is None:
            problems.append(f"[golden.tolerance] names {name!r}, which is no output")
        if not (tolerance.abs >= 0 and tolerance.rel >= 0):
            problems.append(f"[golden.tolerance.{name}] is below 0")
    return problems


def load_order(folder: Path, bundle: Bundle, threads: int = 1) -> dict[str, Any]:
    """What a host is given to load the model: the document described in docs/reference/bundle.md, "Load order"."""
    runtime: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(bundle.runtime))
    runtime["class_index"] = bundle.runtime.class_index
    for key, value in (("trusted", []), ("code", []), ("dtypes", {}), ("categories", {}), ("missing", {})):
        runtime.setdefault(key, value)
    return {
        "bundle": str(folder),
        "runtime": runtime,
        "contract": msgspec.json.decode(msgspec.json.encode(bundle.contract)),
        "threads": threads,
    }
