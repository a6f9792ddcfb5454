"""How two versions differ, worked out from their manifests and locks; the same for everybody who asks."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from muster.environments.languages.known import LANGUAGES
from muster.packaging.documents import Bundle, bundle_of
from muster.packaging.manifest import ExternalEntry, FileEntry, Manifest
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.wire.contracts import Field, as_document


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Something that is not alike in two versions; None: not there at all."""

    what: str
    before: Any
    after: Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Diff:
    """How a version differs from an earlier one."""

    before: VersionName
    after: VersionName
    files: tuple[Difference, ...]
    """By path; values are `{"digest", "size"}`."""
    contract: tuple[Difference, ...]
    """By field: `input tenure`, `output churn_probability`."""
    packages: tuple[Difference, ...]
    """By name, those of other ecosystems than Python's as `npm:left-pad`; values are versions, several where platforms differ."""
    declared: tuple[Difference, ...]
    """By key of `muster.toml`, the contract aside: `runtime.python`."""

    @property
    def same(self) -> bool:
        """Whether the versions do not differ at all."""
        return not (self.files or self.contract or self.packages or self.declared)


def diff_of(
    before: VersionName, after: VersionName, old: Manifest, new: Manifest, *, read: Callable[[Digest], bytes]
) -> Diff:
    """How two versions differ.

    Args:
        before: name of the earlier one.
        after: name of the later one.
        old: manifest of the earlier one.
        new: manifest of the later one.
        read: gives the bytes of a file by its digest.
    """
    described = bundle_of(old.declared), bundle_of(new.declared)
    locks = (_packages(old, described[0], read), _packages(new, described[1], read))
    return Diff(
        before=before,
        after=after,
        files=differences(_files(old), _files(new)),
        contract=differences(_fields(described[0]), _fields(described[1])),
        packages=differences(*locks),
        declared=differences(_declared(old), _declared(new)),
    )


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> tuple[Difference, ...]:
    """What is not alike in two mappings, by key."""
    names = sorted(old.keys() | new.keys())
    return tuple(
        Difference(what=name, before=old.get(name), after=new.get(name))
        for name in names
        if (name in old, old.get(name)) != (name in new, new.get(name))
    )


def _files(manifest: Manifest) -> dict[str, Any]:
    entries: tuple[FileEntry | ExternalEntry, ...] = (*manifest.files, *manifest.external)
    return {entry.path: {"digest": entry.digest, "size": entry.size} for entry in entries}


def _fields(bundle: Bundle) -> dict[str, Any]:
    """Every field with its place: another order is another contract."""

    def documents(kind: str, fields: tuple[Field, ...]) -> dict[str, Any]:
        return {
            f"{kind} {field.name}": {"position": position, **as_document(field)}
            for position, field in enumerate(fields, 1)
        }

    return documents("input", bundle.contract.inputs) | documents("output", bundle.contract.outputs)


def _packages(manifest: Manifest, bundle: Bundle, read: Callable[[Digest], bytes]) -> dict[str, Any]:
    entry = manifest.file(bundle.runtime.lock)
    if entry is None:
        return {}
    found: dict[str, set[str]] = {}
    for package in LANGUAGES[bundle.runtime.kind].packages(read(Digest(entry.digest))):
        name = package.name if package.ecosystem == "pypi" else f"{package.ecosystem}:{package.name}"
        found.setdefault(name, set()).add(package.version)
    return {name: ", ".join(sorted(versions)) for name, versions in found.items()}


def _declared(manifest: Manifest) -> dict[str, Any]:
    told = {key: value for key, value in manifest.declared.items() if key not in {"contract", "external"}}
    return dict(_flat("", told))


def _flat(prefix: str, value: Any) -> list[tuple[str, Any]]:
    if not isinstance(value, dict) or not value:
        return [(prefix, value)]
    return [pair for key, inner in value.items() for pair in _flat(f"{prefix}.{key}" if prefix else key, inner)]
