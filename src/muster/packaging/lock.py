"""The lock of a bundle: what the saved model really imported, and what that needs, pinned with hashes.

No address gets into it. Packages of an index are locked by name, version and hash; a local wheel travels in the bundle and is
locked by its own hash alone. What cannot be had again by anyone (an editable install, a repository, a folder) is refused.
"""

import re
import shutil
import tempfile
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from packaging.utils import canonicalize_name

from muster.packaging.distributions import Distribution, Installed
from muster.packaging.documents import WHEELS_NAME
from muster.packaging.errors import LockFailed
from muster.packaging.lock_file import read_lock
from muster.packaging.uv import last_lines, run_uv
from muster.vocabulary.digests import digest_of_file

_REMEDIES = {
    "editable": (
        "it is installed as editable, so its code can change under the model; build a wheel and install that "
        "(`uv build --wheel`, `uv pip install dist/….whl`), or give its folder to muster.save(…, code=[…])"
    ),
    "directory": (
        "it was installed from a folder; build a wheel there and install that, so that the same bytes can be installed again"
    ),
    "repository": (
        "it was installed from a repository; build a wheel of that commit and install that, so that the same bytes can be "
        "installed again"
    ),
    "address": "it was installed from an address; download the wheel and install it from the file",
    "wheel": "it was installed from a local wheel that is not there any more; put the wheel back or install it again",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Lock:
    """A lock and the local wheels it names."""

    content: bytes
    wheels: tuple[Path, ...]
    packages: int


def lock_of(modules: Mapping[str, str | None], python: str, installed: Installed, always: Iterable[str] = ()) -> Lock:
    """The lock of whatever was imported.

    Args:
        modules: name → file of every module that the saved model imported.
        python: exact version of the interpreter.
        installed: what the lab has.
        always: distributions that belong to it although no module showed them.

    Raises:
        LockFailed: a package cannot be installed again by anyone, or no index has it.
    """
    roots = {owner.name for name, file in modules.items() if (owner := installed.owner_of(name, file)) is not None}
    roots |= {canonicalize_name(name) for name in always}
    wanted = installed.closure(roots)
    if not wanted:
        raise LockFailed("the saved model imported no installed package, not even the one that reads it")
    for distribution in wanted:
        _refuse_unrepeatable(distribution)
    wheels = {found.name: found.wheel for found in wanted if found.wheel is not None}
    content = _compiled(wanted, wheels, python)
    return Lock(content=content, wheels=tuple(wheels.values()), packages=len(read_lock(content)))


def _refuse_unrepeatable(distribution: Distribution) -> None:
    if distribution.origin == "index" or distribution.wheel is not None:
        return
    where = f" ({_clean(distribution.url)})" if distribution.url else ""
    raise LockFailed(
        f"the model needs {distribution.name} {distribution.version}{where}, which cannot be locked: "
        f"{_REMEDIES[distribution.origin]}",
        package=distribution.name,
        origin=distribution.origin,
    )


def _clean(url: str) -> str:
    """An address without user name and password."""
    parts = urlsplit(url)
    return parts._replace(netloc=parts.netloc.rpartition("@")[2]).geturl()


def _compiled(wanted: list[Distribution], wheels: Mapping[str, Path], python: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="muster-lock-") as scratch:
        folder = Path(scratch)
        pins = "".join(f"{found.name}=={found.version}\n" for found in wanted)
        (folder / "wanted.in").write_text(pins, encoding="utf-8")
        links = folder / WHEELS_NAME
        links.mkdir()
        for wheel in wheels.values():
            shutil.copyfile(wheel, links / wheel.name)
        minor = ".".join(python.split(".")[:2])
        arguments = [
            *("pip", "compile", "--universal", "--generate-hashes", "--no-emit-index-url", "--no-header"),
            *("--no-annotate", "--no-build", "--no-sources", "--python-version", minor, "--find-links", str(links)),
            *("--output-file", str(folder / "requirements.lock"), "--quiet", str(folder / "wanted.in")),
        ]
        answer = run_uv(*arguments, folder=folder)
        if answer.returncode != 0:
            # An environment whose packages contradict each other on paper may well work: then what is there is what counts.
            again = run_uv(*arguments, "--no-deps", folder=folder)
            if again.returncode != 0:
                raise LockFailed(
                    "uv cannot lock the packages of this environment; every one must be on the index in the version that "
                    f"is installed, as a wheel:\n{last_lines(again.stderr)}\n{last_lines(answer.stderr)}"
                )
        text = (folder / "requirements.lock").read_text(encoding="utf-8")
        for name in wheels:
            text = _with_only_hash(text, name, digest_of_file(links / wheels[name].name))
    return text.encode("utf-8")


def _with_only_hash(text: str, name: str, digest: str) -> str:
    """The lock with one hash for a package that comes as a local wheel: what an index has by that name is another thing."""
    pattern = re.compile(rf"^({re.escape(name)}==[^\n\\]*?)((?: *\\\n +--hash=\S+)+)$", re.MULTILINE | re.IGNORECASE)
    replaced, count = pattern.subn(lambda match: f"{match.group(1).rstrip()} \\\n    --hash={digest}", text)
    if count != 1:
        raise LockFailed(f"the lock does not name the local wheel of {name}", package=name)
    return replaced
