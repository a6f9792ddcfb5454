"""muster.toml as structs: format 1, described key by key in docs/reference/bundle.md.

Unknown keys are refused: a key that is misspelt must not be silently without effect.
"""

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

import msgspec
import tomli_w

from muster.packaging.claims import Claims, Load, OwnCheck, Prediction, Relation, claim_problems
from muster.packaging.contract import contract_problems
from muster.packaging.errors import BundleMalformed
from muster.packaging.manifest import DESCRIPTION_NAME, ExternalEntry, declared_in, path_problem
from muster.packaging.runtimes import KINDS, Runtime, runtime_problems
from muster.vocabulary.digests import checked_digest
from muster.vocabulary.errors import Invalid
from muster.vocabulary.names import checked_name
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract

BUNDLE_FORMAT: Literal[1] = 1
GOLDEN_NAME = "golden.parquet"
#: Before the name of an output: its column of expected answers in golden.parquet.
EXPECTED_PREFIX = "expected."
DATA_NAME = "data.toml"
PROFILE_NAME = "profile.json"
NOTES_NAME = "NOTES.md"
NOTEBOOK_NAME = "notebook.ipynb"
WHEELS_NAME = "wheels"
#: A card is read by people.
MOST_WORDS = 20_000
MOST_LICENCES = 50


class Tolerance(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How far an answer may lie from the expected one: `|answer - expected| <= abs + rel * |expected|`."""

    abs: float = 0.0
    rel: float = 0.0


class GoldenDescription(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What golden.parquet holds."""

    rows: int
    platform: str = ""
    tolerance: dict[str, Tolerance] = {}
    compare: dict[str, Literal["values", "ranking"]] = {}
    """How the answers of an output are held against the expected ones; `ranking`: only the order of the rows counts."""


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


class Card(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What people have to know who judge the model or are judged by it; a project's standard says what of it must be there."""

    intended_use: str = ""
    """What the model is for, and for whom."""
    limitations: str = ""
    """What it is not fit for, and what is known to go wrong."""
    risk_tier: str = ""
    """A name that the project's standard gives meaning to: `high`."""
    business_metric: str = ""
    """By what the business measures the model."""
    licences: tuple[str, ...] = ()
    """Of the model and its data, as SPDX writes them, or in words."""
    deputy: str = ""
    """Who answers for the model when the owner is away; a user's name."""


class DataSource(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True, rename={"from_": "from"}):
    """Data that the model was made of, or judged on."""

    name: str
    uri: str
    from_: str = ""
    """The data is of this time and later: `2025-01-01`, or a moment as RFC 3339 writes it."""
    to: str = ""
    """The data is of before this time."""
    rows: int | None = None
    digest: str = ""


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
    metrics: dict[str, float] = {}
    """Figures that the author measured, by name; the version is found by them."""
    source: Source | None = None
    made: Made | None = None
    external: tuple[ExternalEntry, ...] = ()
    notes: str = ""
    """File that tells what changed in this version; empty: NOTES.md, if it is there."""
    notebook: str = ""
    """File that tells how the author got there; empty: notebook.ipynb, if it is there."""
    card: Card = Card()
    data: tuple[DataSource, ...] = ()
    relations: tuple[Relation, ...] = ()
    load: Load | None = None
    prediction: Prediction | None = None
    checks: tuple[OwnCheck, ...] = ()

    @property
    def claims(self) -> Claims:
        """What the author claims, for certification to hold the model to."""
        return Claims(relations=self.relations, load=self.load, prediction=self.prediction, checks=self.checks)

    @property
    def people(self) -> frozenset[str]:
        """Its owners and authors."""
        return frozenset(self.owners) | frozenset(self.authors)


#: Keys in the order in which a person wants to read them; the rest follows.
_ORDER = (
    "format", "name", "description", "owners", "authors", "tags", "metrics", "notes", "notebook",
    "card", "prediction", "load", "runtime", "contract", "golden",
)  # fmt: skip


def toml_of(bundle: Bundle) -> bytes:
    """muster.toml of a bundle."""
    document = msgspec.to_builtins(bundle)
    document["format"] = bundle.format
    if not document.get("card"):  # a bundle without one has the bytes that it always had
        document.pop("card", None)
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
    for name, value in bundle.metrics.items():
        if not 0 < len(name) <= 200 or any(one.isspace() or one in "<>=" for one in name):
            problems.append(f"[metrics] {name!r}: a name has 1 to 200 characters, none of them a space or one of < = >")
        if not math.isfinite(value):
            problems.append(f"[metrics] {name!r} is {value}, and no finite number")
    problems.extend(_card_problems(bundle.card))
    problems.extend(_data_problems(bundle.data))
    problems.extend(claim_problems(bundle.claims, bundle.contract))
    problems.extend(_path_problems(bundle))
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
    for name, way in bundle.golden.compare.items():
        output = bundle.contract.output(name)
        if output is None:
            problems.append(f"[golden.compare] names {name!r}, which is no output")
        elif way == "ranking" and (output.shape or output.datatype in {Datatype.BYTES, Datatype.BOOL}):
            problems.append(f"[golden.compare] {name} = {way!r}: only single numbers put rows into an order")
    return problems


def _card_problems(card: Card) -> list[str]:
    problems = []
    for key, what in (("risk_tier", "risk tier"), ("deputy", "user")):
        if name := getattr(card, key):
            try:
                checked_name(name, of=what)
            except Invalid as error:
                problems.append(f"[card] {key}: {error.message}")
    problems.extend(
        f"[card] {key} has more than {MOST_WORDS} characters"
        for key in ("intended_use", "limitations", "business_metric")
        if len(getattr(card, key)) > MOST_WORDS
    )
    if len(card.licences) > MOST_LICENCES or any(not one.strip() or len(one) > 200 for one in card.licences):
        problems.append(f"[card] licences are up to {MOST_LICENCES} names of 1 to 200 characters")
    return problems


def _data_problems(sources: tuple[DataSource, ...]) -> list[str]:
    problems: list[str] = []
    names = [source.name for source in sources]
    problems.extend(f"[[data]] names {name!r} more than once" for name in dict.fromkeys(names) if names.count(name) > 1)
    for source in sources:
        where = f"[[data]] {source.name[:80]!r}"
        if not source.name.strip() or not source.uri.strip():
            problems.append(f"{where} needs a name and a uri")
        if source.rows is not None and source.rows < 0:
            problems.append(f"{where} has {source.rows} rows")
        if source.digest:
            try:
                checked_digest(source.digest)
            except Invalid as error:
                problems.append(f"{where}: {error.message}")
        edges = []
        for key, text in (("from", source.from_), ("to", source.to)):
            try:
                edges.append(_moment(text) if text else None)
            except ValueError:
                problems.append(
                    f"{where}: {key} = {text[:80]!r} is neither like 2025-01-01 nor like 2025-01-01T00:00:00Z"
                )
        if len(edges) == 2 and edges[0] is not None and edges[1] is not None and edges[0] >= edges[1]:
            problems.append(f"{where}: it ends before it begins")
    return problems


def _moment(text: str) -> datetime:
    found = datetime.fromisoformat(text)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _path_problems(bundle: Bundle) -> list[str]:
    named = (("notes", bundle.notes), ("notebook", bundle.notebook))
    told = ((key, path, path_problem(path)) for key, path in named if path)
    return [f"{key} = {path!r} {problem}" for key, path, problem in told if problem]


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
