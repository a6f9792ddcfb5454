"""What is missing, superfluous or incomplete in a bundle whose muster.toml can be read, each with its remedy."""

import tomllib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from muster.packaging.documents import DATA_NAME, GOLDEN_NAME, WHEELS_NAME, Bundle
from muster.packaging.errors import BundleMalformed, GoldenUnusable
from muster.packaging.golden import read_golden
from muster.packaging.lock_file import LockedPackage, read_lock
from muster.packaging.trusted import unreviewed
from muster.vocabulary.digests import digest_of_file

_SAVE_AGAIN = "Write the bundle again with muster.save, or put the file back."

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


def findings_of(folder: Path, bundle: Bundle) -> list[Finding]:
    """Everything to mend in a bundle; errors first."""
    checks: tuple[Callable[[Path, Bundle], Iterator[Finding]], ...] = (
        _files,
        _external,
        _trusted,
        _lock,
        _golden,
        _data,
        _words,
    )
    found = [finding for check in checks for finding in check(folder, bundle)]
    return sorted(found, key=lambda finding: finding.level != "error")


def _files(folder: Path, bundle: Bundle) -> Iterator[Finding]:
    runtime = bundle.runtime
    carried = {entry.path for entry in bundle.external}
    for path, what in ((runtime.model, "the model"), (runtime.lock, "the lock"), (GOLDEN_NAME, "the golden set")):
        file = folder / path
        if path in carried:
            continue
        if not file.is_file():
            yield Finding("error", path, f"{what} is missing", _SAVE_AGAIN)
        elif file.stat().st_size == 0:
            yield Finding("error", path, f"{what} is empty", _SAVE_AGAIN)
    for path in runtime.code:
        if not (folder / path).is_dir():
            yield Finding(
                "error", path, "[runtime] code names a folder that is missing", "Put it back, or take it out of code."
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
    for name in unreviewed(bundle.runtime.trusted):
        yield Finding(
            "error",
            "muster.toml",
            f"[runtime] trusted names {name}, which is not on the reviewed list",
            "Write the bundle again with muster.save, which uses cloudpickle where the list does not reach.",
        )


def _lock(folder: Path, bundle: Bundle) -> Iterator[Finding]:
    path = bundle.runtime.lock
    file = folder / path
    if not file.is_file():
        return
    try:
        packages = read_lock(file.read_bytes())
    except BundleMalformed as error:
        yield Finding("error", path, error.message, "Write the bundle again with muster.save, which locks anew.")
        return
    needed = _DISTRIBUTIONS[bundle.runtime.serializer]
    if needed not in {package.name for package in packages}:
        yield Finding("error", path, f"{needed}, which reads the model, is not in the lock", _SAVE_AGAIN)
    yield from _wheels(folder, packages)


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


def _words(folder: Path, bundle: Bundle) -> Iterator[Finding]:
    if not bundle.owners:
        remedy = 'Name who answers for the model: owners = ["ana"] in muster.toml, or muster.save(…, owner="ana").'
        yield Finding("error", "muster.toml", "the bundle has no owner", remedy)
    if not bundle.description.strip():
        remedy = 'Say in a sentence what the model answers: muster.save(…, description="…").'
        yield Finding("warning", "muster.toml", "the description is empty", remedy)
    for name, what in (("README.md", "what the model is"), ("NOTES.md", "what changed in this version")):
        file = folder / name
        if not file.is_file() or not file.read_bytes().strip():
            yield Finding("warning", name, f"nothing says {what}", f"Write {name}.")
    if bundle.source is not None and bundle.source.dirty:
        remedy = "Commit, then save again, so that the code of this version can be found later."
        yield Finding("warning", "muster.toml", "it was saved with changes that no commit holds", remedy)
