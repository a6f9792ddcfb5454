"""`muster assemble`: a folder of sources and a file of rows become a bundle, whatever language the model is written in.

    SOURCE/muster.toml      name, owners, [runtime] kind and entry, [[contract.outputs]]; inputs where rows do not show them
    SOURCE/…                the model and its code; a lock, unless one is to be made
    ROWS                    rows as the model is given them: the contract is inferred from all, the golden set is up to 50 of them

The bundle is made in a folder beside its place and put there at the end (`places`): whatever fails leaves nothing behind.
"""

import os
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import distributions, version
from pathlib import Path
from typing import Any, Literal

import msgspec
import numpy as np
from packaging.utils import canonicalize_name

from muster.assembling.answers import Tried, answers_of
from muster.assembling.errors import AnswersUnexpected, AnswersVary, SourceUnusable, TargetTaken
from muster.assembling.given import contract_and_rows, expected_answers, read_given
from muster.assembling.places import clear_leavings, folder_beside, put_in_place
from muster.assembling.told import Read, Told, read_told
from muster.environments.carried import copy_helper
from muster.environments.languages.known import LANGUAGES, VENVS, language_problems
from muster.environments.protocol import Language, Package
from muster.environments.shelf import Built, Shelf, lab_shelf
from muster.packaging.bundle import check_bundle
from muster.packaging.columns import Table, joined, rows_between
from muster.packaging.data_sets import data_sources, data_toml_of
from muster.packaging.documents import (
    BUNDLE_FORMAT,
    DATA_NAME,
    GOLDEN_NAME,
    NOTEBOOK_NAME,
    NOTES_NAME,
    Bundle,
    GoldenDescription,
    Made,
    Tolerance,
    bundle_of,
    read_description,
    toml_of,
)
from muster.packaging.errors import BundleMalformed
from muster.packaging.golden import Comparison, compare, ranked_of, tolerance_of, write_golden
from muster.packaging.interpreters import platform_tag, running_version
from muster.packaging.manifest import DESCRIPTION_NAME, declared_in, files_of, ignored
from muster.packaging.readme import notes as notes_text
from muster.packaging.readme import readme
from muster.packaging.runtimes import ProgramRuntime
from muster.packaging.source import source_of
from muster.packaging.trees import remove_tree
from muster.wire.contracts import Contract, Field

Say = Callable[[str], None]

GOLDEN_ROWS = 50
NOTHING_TOLD = Told()
#: What the tools of a language leave in a source folder, and build again from the lock.
_LEAVINGS = {"node": {"node_modules"}, "rust": {"target"}, "java": {"target"}, "pmml": {"target"}}
#: Kinds whose own client keeps the versions of a lock that the author brought, and writes it without addresses.
_KEEP_LOCKS = {"node", "go", "rust", "cpp"}
_KEYS = {
    "format",
    "name",
    "description",
    "owners",
    "authors",
    "tags",
    "metrics",
    "runtime",
    "contract",
    "golden",
    "external",
    "card",
    "data",
    "relations",
    "load",
    "prediction",
    "checks",
    "notes",
    "notebook",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Assembled:
    """A bundle that was made, and what was seen on the way."""

    folder: Path
    bundle: Bundle
    environment: str
    """Id of the environment that it was built in."""
    toolchain: str
    packages: int
    """Packages that its lock names."""
    golden_rows: int
    compute_ms: float
    """What the host spent on the golden rows."""
    largest_deviation: float | None
    """From the expected answers; None where there were none."""


def assemble(
    source: Path,
    target: Path,
    *,
    rows: Path,
    expected: Path | None = None,
    told: Told = NOTHING_TOLD,
    say: Say = lambda _: None,
    shelf: Shelf | None = None,
) -> Assembled:
    """Make a bundle of a model in any language.

    Args:
        source: the folder with the author's muster.toml, model and code; it is not written to.
        target: the bundle's folder; an earlier bundle there is replaced, anything else is left alone.
        rows: a file of rows as the model is given them.
        expected: the answers to `rows` that the training program wrote, a column per output; the model in its host has to give the
            same, within the tolerance.
        told: what people are told about the model beside what muster.toml says.
        say: told what is being done, a line at a time.
        shelf: where environments are built; default: the lab's, which `muster try` uses as well.

    Raises:
        SourceUnusable, RowsUnreadable, SampleUnusable, CardUnusable, BundleMalformed: what was given cannot become a bundle.
        ToolchainMissing, LockUnresolved, BuildFailed: the environment cannot be made here; the message says why.
        HostLoadFailed, ModelErred: the model does not load or does not answer.
        AnswersVary, AnswersUnexpected: it does not answer the same twice, or not as its training program did.
        TargetTaken: `target` exists and is no bundle.
    """
    target = target.absolute()
    clear_leavings(target)
    _refuse_foreign(target)
    draft = read_draft(source)
    words = read_told(told, draft.declared, draft.path)
    given = read_given(rows)
    contract, table = contract_and_rows(given, draft.inputs, draft.outputs)
    golden = [int(row) for row in np.unique(np.linspace(0, table.rows - 1, min(table.rows, GOLDEN_ROWS)).astype(int))]
    target.parent.mkdir(parents=True, exist_ok=True)
    with folder_beside(target) as scratch:
        folder, tools = scratch / "bundle", scratch / "tools"
        tools.mkdir()
        _copy(source, folder, draft.kind)
        language = LANGUAGES[draft.kind]
        put_helper(language, folder)
        drafted = _with_words(draft.bundle(contract, len(golden)), words)
        bundle, lock = _locked(language, folder, drafted, tools, say)
        say("building its environment")
        built = (shelf or lab_shelf(os.environ)).ensure(folder, bundle, say)
        packages = language.packages(lock) if lock is not None else ()
        bundle = _with_packages(bundle, built, packages)
        (folder / DESCRIPTION_NAME).write_bytes(toml_of(bundle))
        say(f"asking the model for {len(golden)} golden rows, twice")
        inputs = _rows_at(table, golden)
        tried = _asked_twice(folder, bundle, built, inputs)
        deviation = None
        if expected is not None:
            wanted = _rows_at(expected_answers(read_given(expected), bundle.contract.outputs, table.rows), golden)
            deviation = _held_against(tried.answers, wanted, bundle)
        for leavings in [path for path in folder.rglob("*") if path.is_dir() and ignored(path.name)]:
            remove_tree(leavings)  # what the program wrote beside itself
        write_golden(folder / GOLDEN_NAME, inputs, tried.answers)
        _write_words(folder, bundle, words)
        _refuse_unsound(folder)
        _refuse_foreign(target)
        folder.chmod(0o755)
        put_in_place(folder, target)
    return Assembled(
        folder=target,
        bundle=bundle,
        environment=built.id,
        toolchain=built.toolchain,
        packages=len(packages),
        golden_rows=len(golden),
        compute_ms=tried.compute_ms,
        largest_deviation=deviation,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What the author's muster.toml says."""

    path: Path
    kind: str
    declared: Mapping[str, Any]
    inputs: tuple[Mapping[str, Any], ...]
    outputs: tuple[Field, ...]

    def bundle(self, contract: Contract, golden_rows: int) -> Bundle:
        """The bundle without toolchain, which is found next.

        Raises:
            SourceUnusable: a key is unknown or of the wrong type.
        """
        runtime = dict(self.declared["runtime"])
        if self.kind in {"onnx", "mlflow"}:
            runtime.setdefault("python", running_version())
        said = self.declared.get("golden", {})
        try:
            tolerance = msgspec.convert(said.get("tolerance", {}), dict[str, Tolerance])
            golden = GoldenDescription(
                rows=golden_rows,
                platform=platform_tag(),
                tolerance=tolerance,
                compare=msgspec.convert(said.get("compare", {}), dict[str, Literal["values", "ranking"]]),
            )
            made = Made(by=f"muster {version('muster-ml')}", python=running_version(), platform=platform_tag())
            owners = tuple(self.declared.get("owners", ()))
            document = {
                **{
                    key: value
                    for key, value in self.declared.items()
                    if key not in {"contract", "golden", "card", "data"}
                },
                "format": BUNDLE_FORMAT,
                "runtime": runtime,
                "contract": msgspec.to_builtins(contract),
                "golden": msgspec.to_builtins(golden),
                "authors": tuple(self.declared.get("authors", owners)),
                "made": msgspec.to_builtins(made),
            }
            bundle = msgspec.convert(document, Bundle)
        except (msgspec.ValidationError, AttributeError, TypeError) as error:
            raise SourceUnusable(f"{self.path}: {error}", path=str(self.path)) from error
        bundle = msgspec.structs.replace(bundle, source=source_of(self.path.parent))
        return msgspec.structs.replace(
            bundle, golden=msgspec.structs.replace(bundle.golden, tolerance=tolerance_of(bundle))
        )


def read_draft(source: Path) -> Draft:
    """What the muster.toml of a source folder says.

    Raises:
        SourceUnusable: it is missing, or lacks what cannot be inferred.
        BundleMalformed: it is no TOML.
    """
    path = source / DESCRIPTION_NAME
    if not path.is_file():
        raise SourceUnusable(f"{source} has no {DESCRIPTION_NAME}, which says what the model is", path=str(path))
    declared = declared_in(source)
    unknown = sorted(declared.keys() - _KEYS - {"source", "made"})
    if unknown:
        raise SourceUnusable(f"{path} has the key {unknown[0]!r}; known are {', '.join(sorted(_KEYS))}", path=str(path))
    runtime, contract = declared.get("runtime"), declared.get("contract")
    kind = runtime.get("kind") if isinstance(runtime, dict) else None
    if kind not in LANGUAGES:
        raise SourceUnusable(f"{path}: [runtime] kind = {kind!r} is none of {', '.join(LANGUAGES)}", path=str(path))
    if kind == "python":
        raise SourceUnusable(f"{path}: a Python object becomes a bundle with muster.save, not here", path=str(path))
    for key in ("name", "owners"):
        if key not in declared:
            raise SourceUnusable(f"{path} lacks {key!r}", path=str(path))
    if not isinstance(contract, dict) or not contract.get("outputs"):
        raise SourceUnusable(
            f"{path} lacks [[contract.outputs]]: name and datatype of what the model answers", path=str(path)
        )
    try:
        outputs = msgspec.convert(contract["outputs"], tuple[Field, ...])
        inputs = msgspec.convert(contract.get("inputs", []), tuple[dict[str, Any], ...])
    except msgspec.ValidationError as error:
        raise SourceUnusable(f"{path}: [contract] {error}", path=str(path)) from error
    return Draft(path=path, kind=kind, declared=declared, inputs=inputs, outputs=outputs)


def put_helper(language: Language, folder: Path) -> list[str]:
    """Put the helper of a language into a folder, where compilers and editors find it; gives the paths of its files."""
    return copy_helper(language, folder)


def _locked(language: Language, folder: Path, bundle: Bundle, tools: Path, say: Say) -> tuple[Bundle, bytes | None]:
    """The bundle with its toolchain, and its lock, which is made where there is none."""
    if isinstance(bundle.runtime, ProgramRuntime):
        named = msgspec.structs.replace(bundle.runtime, toolchain="")
        found = language.toolchain(msgspec.structs.replace(bundle, runtime=named))
        bundle = msgspec.structs.replace(bundle, runtime=msgspec.structs.replace(named, toolchain=found.name))
    # From here on the folder is one that a language can read.
    (folder / DESCRIPTION_NAME).write_bytes(toml_of(bundle))
    bundle = bundle_of(declared_in(folder), where=DESCRIPTION_NAME)
    if not bundle.runtime.lock:
        return bundle, None
    file = folder / bundle.runtime.lock
    if not file.is_file() or bundle.runtime.kind in _KEEP_LOCKS:
        say(f"locking its packages into {bundle.runtime.lock}")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(language.lock(folder, bundle, tools, say))
    language.packages(file.read_bytes())
    return bundle, file.read_bytes()


def _with_packages(bundle: Bundle, built: Built, locked: Sequence[Package]) -> Bundle:
    """The bundle that says which packages it was made with: those that are installed, or those that the program was built from."""
    packages: dict[str, str]
    if bundle.runtime.kind in VENVS:
        sites = [str(path) for path in built.folder.glob("lib/python*/site-packages")]
        packages = {canonicalize_name(found.metadata["Name"]): found.version for found in distributions(path=sites)}
    else:
        packages = {package.name: package.version for package in locked}
    if bundle.made is None:
        return bundle
    made = msgspec.structs.replace(bundle.made, packages=dict(sorted(packages.items())))
    return msgspec.structs.replace(bundle, made=made)


def _copy(source: Path, folder: Path, kind: str) -> None:
    leavings = _LEAVINGS.get(kind, set())
    shutil.copytree(
        source,
        folder,
        symlinks=True,
        ignore=lambda _, names: [name for name in names if ignored(name) or name in leavings],
    )
    for name in (DESCRIPTION_NAME, GOLDEN_NAME):
        (folder / name).unlink(missing_ok=True)
    list(files_of(folder))  # refuses links and whatever else no bundle can hold


def _rows_at(table: Table, rows: list[int]) -> Table:
    return joined([rows_between(table, row, row + 1) for row in rows])


def _asked_twice(folder: Path, bundle: Bundle, built: Any, inputs: Table) -> Tried:
    first, second = (answers_of(folder, bundle, built, inputs) for _ in range(2))
    comparison = compare(second.answers, first.answers, tolerance_of(bundle))
    if not comparison.passed:
        raise AnswersVary(
            f"the same rows got other answers in a second run: {comparison.where}", where=comparison.where
        )
    return first


def _held_against(answers: Table, wanted: Table, bundle: Bundle) -> float:
    comparison: Comparison = compare(answers, wanted, tolerance_of(bundle), ranked_of(bundle))
    if not comparison.passed:
        raise AnswersUnexpected(
            f"{comparison.wrong} of {comparison.compared} answers are not those of the training program; the worst: {comparison.where}",
            where=comparison.where,
            wrong=comparison.wrong,
        )
    return comparison.largest_deviation


def _with_words(bundle: Bundle, words: Read) -> Bundle:
    """The bundle that says what people are told; what is given beside the source takes the place of the files it names."""
    return msgspec.structs.replace(
        bundle,
        card=words.card,
        data=data_sources(words.data),
        notes=NOTES_NAME if words.notes.strip() else bundle.notes,
        notebook=bundle.notebook if words.notebook is None else NOTEBOOK_NAME,
    )


def _write_words(folder: Path, bundle: Bundle, words: Read) -> None:
    if words.data:
        (folder / DATA_NAME).write_bytes(data_toml_of(words.data))
    if words.notebook is not None:
        (folder / NOTEBOOK_NAME).write_bytes(words.notebook)
    if not (folder / "README.md").exists():
        (folder / "README.md").write_text(readme(bundle), encoding="utf-8")
    if words.notes.strip() or not (bundle.notes or (folder / NOTES_NAME).exists()):
        has_heading = words.notes.lstrip().startswith("# ")
        text = words.notes if has_heading else notes_text(bundle, words.notes)
        (folder / NOTES_NAME).write_text(text, encoding="utf-8")


def _refuse_unsound(folder: Path) -> None:
    errors = [one for one in check_bundle(folder, language_problems) if one.level == "error"]
    if errors:
        first = errors[0]
        raise SourceUnusable(
            f"the bundle would not be sound: {first.path}: {first.problem}. {first.remedy}",
            problems=[f"{one.path}: {one.problem}" for one in errors],
        )


def _refuse_foreign(target: Path) -> None:
    """Only nothing, an empty folder or an earlier bundle may be replaced."""
    if not target.exists() and not target.is_symlink():
        return
    if target.is_dir() and not target.is_symlink():
        if not any(target.iterdir()):
            return
        try:
            read_description(target)
        except BundleMalformed:
            pass
        else:
            return
    raise TargetTaken(f"{target} exists and is no bundle; it is left as it is", path=str(target))
