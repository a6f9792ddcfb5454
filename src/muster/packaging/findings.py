"""What is missing, superfluous or incomplete in a bundle whose muster.toml can be read, each with its remedy."""

import re
import tomllib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from muster.packaging.documents import DATA_NAME, GOLDEN_NAME, NOTES_NAME, PROFILE_NAME, WHEELS_NAME, Bundle
from muster.packaging.errors import BundleMalformed, GoldenUnusable
from muster.packaging.golden import read_golden
from muster.packaging.lock_file import LockedPackage, read_lock
from muster.packaging.runtimes import (
    CommandRuntime,
    Hosted,
    MlflowRuntime,
    OnnxRuntime,
    ProgramRuntime,
    PythonRuntime,
    RemoteRuntime,
    Runtime,
    carried_files,
)
from muster.packaging.trusted import unreviewed
from muster.profiles.errors import ProfileMalformed
from muster.profiles.whole import read_profile
from muster.vocabulary.digests import digest_of_file
from muster_host.executables import machine_of, own_machine

_SAVE_AGAIN = "Write the bundle again with muster.save, or put the file back."
_ASSEMBLE_AGAIN = "Write the bundle again with `muster assemble`, or put the file back."

#: Builds of onnxruntime, any of which computes a graph.
ONNX_RUNTIMES = frozenset({"onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino"})
#: Distribution that has to be in the lock for a serialiser.
_DISTRIBUTIONS = {"skops": "skops", "cloudpickle": "cloudpickle"}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing to mend."""

    level: Literal["error", "warning"]
    path: str
    """The file it is about, in the bundle."""
    problem: str
    remedy: str


#: Something that looks at a bundle and tells what is to be mended.
Look = Callable[[Path, Bundle], Iterable[Finding]]


def findings_of(folder: Path, bundle: Bundle, also: Look | None = None) -> list[Finding]:
    """Everything to mend in a bundle; errors first.

    Args:
        folder: the bundle.
        bundle: what its muster.toml says.
        also: what its language has to say beyond that.
    """
    checks: tuple[Look, ...] = (
        _files,
        _external,
        _trusted,
        _lock,
        _sources,
        _machine,
        _golden,
        _data,
        _profile,
        _words,
        *(() if also is None else (also,)),
    )
    found = [finding for check in checks for finding in check(folder, bundle)]
    return sorted(found, key=lambda finding: finding.level != "error")


def _files(folder: Path, bundle: Bundle) -> Iterator[Finding]:
    runtime = bundle.runtime
    remedy = _remedy(runtime)
    carried = {entry.path for entry in bundle.external}
    for path, what in (*carried_files(runtime), (GOLDEN_NAME, "the golden set")):
        file = folder / path
        if path in carried:
            continue
        if not file.is_file():
            yield Finding("error", path, f"{what} is missing", remedy)
        elif file.stat().st_size == 0:
            yield Finding("error", path, f"{what} is empty", remedy)
    for path in runtime.code if isinstance(runtime, PythonRuntime) else ():
        if not (folder / path).is_dir():
            yield Finding(
                "error", path, "[runtime] code names a folder that is missing", "Put it back, or take it out of code."
            )


def _remedy(runtime: Runtime) -> str:
    return _SAVE_AGAIN if isinstance(runtime, PythonRuntime) else _ASSEMBLE_AGAIN


def _sources(folder: Path, bundle: Bundle) -> Iterator[Finding]:
    runtime = bundle.runtime
    if not isinstance(runtime, ProgramRuntime):
        return
    for path in runtime.sources:
        if not (folder / path).exists():
            yield Finding(
                "error", path, "[runtime] sources names what is missing", "Put it back, or take it out of sources."
            )
    if isinstance(runtime, CommandRuntime) and runtime.entry and not (folder / runtime.entry).exists():
        yield Finding("error", runtime.entry, "[runtime] entry names what is missing", "Put it back, or mend entry.")


def _leads_out(word: str, *, is_program: bool) -> bool:
    """Whether a word of a command names a place outside the bundle: `../x`, `/srv/x`, `--weights=/srv/x`, `-I/srv`.

    The program itself may be named by its whole path: the lock holds its digest.
    """
    pieces = re.split(r"[=,:;]", word)
    is_elsewhere = any(piece.startswith(("/", "~")) or re.match(r"-{1,2}\w?[/~]", piece) for piece in pieces)
    return any(".." in piece.split("/") for piece in pieces) or (is_elsewhere and not is_program)


def _machine(folder: Path, bundle: Bundle) -> Iterator[Finding]:
    """Programs that travel as they are, and are not built where they run."""
    runtime = bundle.runtime
    if not isinstance(runtime, CommandRuntime):
        return
    ours = own_machine()
    for place, word in enumerate(runtime.command):
        if _leads_out(word, is_program=place == 0):
            remedy = "Put what it names into the bundle, and name it by its path there; programs of the machine by their name alone."
            yield Finding(
                "error", "muster.toml", f"[runtime] command names {word}, which leads out of the bundle", remedy
            )
            continue
        theirs = machine_of(str(folder / word)) if "\0" not in word else None
        if theirs is not None and theirs != ours:
            yield Finding(
                "error",
                word,
                f"the program is built for {theirs}, this machine is {ours}",
                "Build it for this machine, or let Muster build it from its sources: kind = go, rust or cpp.",
            )


def _external(folder: Path, bundle: Bundle) -> Iterator[Finding]:
    for entry in bundle.external:
        if (folder / entry.path).exists():
            yield Finding(
                "error",
                entry.path,
                "the file is named by reference and lies in the folder as well",
                "Take it out of the folder, or out of [[external]].",
            )


def _trusted(_: Path, bundle: Bundle) -> Iterator[Finding]:
    if not isinstance(bundle.runtime, PythonRuntime):
        return
    for name in unreviewed(bundle.runtime.trusted):
        yield Finding(
            "error",
            "muster.toml",
            f"[runtime] trusted names {name}, which is not on the reviewed list",
            "Write the bundle again with muster.save, which uses cloudpickle where the list does not reach.",
        )


def _lock(folder: Path, bundle: Bundle) -> Iterator[Finding]:
    """The lock of Python's packages; those of other languages are looked at by their own plug-ins."""
    if isinstance(bundle.runtime, (ProgramRuntime, RemoteRuntime)):
        return
    path, remedy = bundle.runtime.lock, _remedy(bundle.runtime)
    file = folder / path
    if not file.is_file():
        return
    try:
        packages = read_lock(file.read_bytes())
    except BundleMalformed as error:
        yield Finding("error", path, error.message, f"{remedy.partition(',')[0]}, which locks anew.")
        return
    needed = _readers(bundle.runtime)
    if not needed & {package.name for package in packages}:
        told = " or ".join(sorted(needed))
        yield Finding("error", path, f"{told}, which reads the model, is not in the lock", remedy)
    yield from _wheels(folder, packages)


def _readers(runtime: Hosted) -> frozenset[str]:
    """Distributions of which one has to be in the lock, to read the model."""
    match runtime:
        case PythonRuntime():
            return frozenset({_DISTRIBUTIONS[runtime.serializer]})
        case OnnxRuntime():
            return ONNX_RUNTIMES
        case MlflowRuntime():
            return frozenset({"mlflow", "mlflow-skinny"})


def _wheels(folder: Path, packages: tuple[LockedPackage, ...]) -> Iterator[Finding]:
    wheels = folder / WHEELS_NAME
    if not wheels.is_dir():
        return
    known = {digest for package in packages for digest in package.hashes}
    for file in sorted(wheels.iterdir()):
        if file.is_file() and digest_of_file(file) not in known:
            yield Finding(
                "error",
                f"{WHEELS_NAME}/{file.name}",
                "the lock does not name this wheel by its hash, so it would never be installed",
                "Take it out, or write the bundle again with muster.save.",
            )


def _golden(folder: Path, bundle: Bundle) -> Iterator[Finding]:
    if not (folder / GOLDEN_NAME).is_file():
        return
    try:
        read_golden(folder, bundle)
    except GoldenUnusable as error:
        yield Finding("error", GOLDEN_NAME, error.message, error.advice)


def _data(folder: Path, _: Bundle) -> Iterator[Finding]:
    file = folder / DATA_NAME
    if not file.is_file():
        remedy = 'Name it: muster.save(…, data={"training": "s3://bucket/churn.parquet"}).'
        yield Finding("warning", DATA_NAME, "the training data is not named", remedy)
        return
    try:
        tomllib.loads(file.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        yield Finding("error", DATA_NAME, f"it is no TOML: {error}", "Mend it, or write the bundle again.")


def _profile(folder: Path, bundle: Bundle) -> Iterator[Finding]:  # noqa: ARG001 - like the others
    file = folder / PROFILE_NAME
    if not file.is_file():
        return
    try:
        read_profile(file.read_bytes())
    except ProfileMalformed as error:
        yield Finding("error", PROFILE_NAME, error.message, "Save with `profile=` again, or take the file out.")


def _words(folder: Path, bundle: Bundle) -> Iterator[Finding]:
    if not bundle.owners:
        remedy = 'Name who answers for the model: owners = ["ana"] in muster.toml, or muster.save(…, owner="ana").'
        yield Finding("error", "muster.toml", "the bundle has no owner", remedy)
    if not bundle.description.strip():
        remedy = 'Say in a sentence what the model answers: muster.save(…, description="…").'
        yield Finding("warning", "muster.toml", "the description is empty", remedy)
    if bundle.notebook and not (folder / bundle.notebook).is_file():
        yield Finding(
            "error", bundle.notebook, "muster.toml names it as the notebook, and it is missing", "Put it back."
        )
    if bundle.notes and not (folder / bundle.notes).is_file():
        yield Finding(
            "error", bundle.notes, "muster.toml names it as the release notes, and it is missing", "Put it back."
        )
    for name, what in (
        ("README.md", "what the model is"),
        (bundle.notes or NOTES_NAME, "what changed in this version"),
    ):
        file = folder / name
        if not file.is_file() or not file.read_bytes().strip():
            yield Finding("warning", name, f"nothing says {what}", f"Write {name}.")
    if bundle.source is not None and bundle.source.dirty:
        remedy = "Commit, then save again, so that the code of this version can be found later."
        yield Finding("warning", "muster.toml", "it was saved with changes that no commit holds", remedy)
