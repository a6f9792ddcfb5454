"""muster.toml as structs: format 1, described key by key in docs/reference/bundle.md.

Unknown keys are refused: a key that is misspelt must not be silently without effect.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import tomli_w

from muster.packaging.contract import contract_problems
from muster.packaging.errors import BundleMalformed
from muster.packaging.manifest import DESCRIPTION_NAME, ExternalEntry, declared_in
from muster.packaging.runtimes import KINDS, Runtime, runtime_problems
from muster.vocabulary.digests import checked_digest
from muster.vocabulary.errors import Invalid
from muster.vocabulary.names import checked_name
from muster.wire.contracts import Contract

BUNDLE_FORMAT: Literal[1] = 1
GOLDEN_NAME = "golden.parquet"
#: Before the name of an output: its column of expected answers in golden.parquet.
EXPECTED_PREFIX = "expected."
DATA_NAME = "data.toml"
WHEELS_NAME = "wheels"


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


class Made(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What wrote the bundle, and where."""

    by: str
    python: str
    """Version of what ran there: `3.11.7`, or the toolchain of another language."""
    platform: str
    packages: dict[str, str] = {}
    """Version of every locked package as it was installed there; empty in bundles that do not tell."""


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
    _refuse_unknown_kind(declared, where)
    try:
        bundle = msgspec.convert(declared, Bundle)
    except msgspec.ValidationError as error:
        raise BundleMalformed(f"{where}: {error}") from error
    problems = description_problems(bundle)
    if problems:
        raise BundleMalformed(f"{where}: {problems[0]}", problems=problems)
    return bundle


def _refuse_unknown_kind(declared: dict[str, Any], where: str) -> None:
    runtime = declared.get("runtime")
    kind = runtime.get("kind") if isinstance(runtime, dict) else None
    if kind is not None and kind not in KINDS:
        raise BundleMalformed(
            f"{where}: [runtime] kind = {kind!r} is none that this Muster knows: {', '.join(KINDS)}", kind=str(kind)
        )


def description_problems(bundle: Bundle) -> list[str]:
    """What is wrong with a description in itself; empty when nothing is."""
    problems = []
    for what, name in (("model", bundle.name), *(("user", person) for person in (*bundle.owners, *bundle.authors))):
        try:
            checked_name(name, of=what)
        except Invalid as error:
            problems.append(error.message)
    problems.extend(f"[contract] {problem}" for problem in contract_problems(bundle.contract))
    problems.extend(runtime_problems(bundle.runtime, bundle.contract))
    problems.extend(_golden_problems(bundle))
    for entry in bundle.external:
        try:
            checked_digest(entry.digest)
        except Invalid as error:
            problems.append(f"[[external]] {entry.path}: {error.message}")
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


def load_order(
    folder: Path,
    bundle: Bundle,
    threads: int = 1,
    program: Mapping[str, Any] | None = None,
    remote: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """What a host is given to load the model: the document described in docs/reference/bundle.md, "Load order".

    Args:
        folder: the bundle's folder.
        bundle: what its muster.toml says.
        threads: threads of linear algebra in the host.
        program: of a kind that is a program of its own, how it is started: `argv`, `variables`, `environment` (folder)
            and `wire`.
        remote: of a remote model, the operator's entry: `url`, `token`, `ca`, `timeout_ms`.
    """
    given = bundle.runtime
    runtime: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(given))
    for name in given.__struct_fields__:  # keys that are not written have their defaults
        runtime.setdefault(name, msgspec.json.decode(msgspec.json.encode(getattr(given, name))))
    order = {
        "bundle": str(folder),
        "runtime": runtime,
        "contract": msgspec.json.decode(msgspec.json.encode(bundle.contract)),
        "threads": threads,
    }
    if program is not None:
        order["program"] = dict(program)
    if remote is not None:
        order["remote"] = dict(remote)
    return order
