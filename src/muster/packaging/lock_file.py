"""requirements.lock as data: every package with its exact version and hashes, and nothing else.

Format: pip's requirements file in hash-checking mode, as `uv pip compile --universal --generate-hashes` writes it. No
address may stand in it: where packages come from is the factory's affair, which bytes they are is the lock's.
"""

import re
from dataclasses import dataclass

from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from muster.packaging.errors import BundleMalformed

_HASH = re.compile(r"--hash=(sha256:[0-9a-f]{64})(?=\s|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class LockedPackage:
    """One line of a lock."""

    name: str
    version: str
    marker: str | None
    """On which interpreters and platforms it is wanted; None: on all."""
    hashes: frozenset[str]


def read_lock(content: bytes) -> tuple[LockedPackage, ...]:
    """The packages of a lock.

    Raises:
        BundleMalformed: a line is no exact pin with hashes, or holds an address or an option.
    """
    try:
        text = content.decode("utf-8")
    except UnicodeDecodeError as error:
        raise BundleMalformed(f"the lock is not UTF-8: {error}") from error
    packages = []
    for line in re.sub(r"\\\r?\n", " ", text).splitlines():
        stripped = line.strip()
        if not stripped or stripped.startswith("#"):
            continue
        packages.append(_package(stripped))
    if not packages:
        raise BundleMalformed("the lock names no package")
    return tuple(packages)


def _package(line: str) -> LockedPackage:
    hashes = frozenset(_HASH.findall(line))
    pin = _HASH.sub("", line).strip()
    if pin.startswith("-"):
        raise BundleMalformed(f"the lock holds an option, only packages may stand in it: {pin}")
    try:
        requirement = Requirement(pin)
    except (InvalidRequirement, RecursionError) as error:
        raise BundleMalformed(f"the lock holds {pin!r}, which is no requirement: {error}") from error
    if requirement.url is not None:
        raise BundleMalformed(f"the lock names an address for {requirement.name}: {requirement.url}")
    pins = list(requirement.specifier)
    if len(pins) != 1 or pins[0].operator != "==" or pins[0].version.endswith(".*"):
        raise BundleMalformed(f"the lock does not pin {requirement.name} to one version: {pin!r}")
    if not hashes:
        raise BundleMalformed(f"the lock has no SHA-256 for {requirement.name} {pins[0].version}")
    return LockedPackage(
        name=canonicalize_name(requirement.name),
        version=pins[0].version,
        marker=None if requirement.marker is None else str(requirement.marker),
        hashes=hashes,
    )
