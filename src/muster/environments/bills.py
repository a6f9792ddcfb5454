"""The bill of materials of a version: what it consists of, as CycloneDX 1.6.

It is made from the bundle, its lock and the seal alone, holds no time and no chance, and so is the same for everybody, today and in
ten years: same version, same bytes.

Source: ECMA-424, https://cyclonedx.org/docs/1.6/json/
"""

import uuid
from collections.abc import Iterable, Mapping
from itertools import groupby
from types import MappingProxyType
from typing import Any
from urllib.parse import unquote

from muster.environments.protocol import Package
from muster.environments.sealing import Seal, SealedPart
from muster.packaging.documents import Bundle
from muster.vocabulary.digests import Digest, hex_of
from muster.vocabulary.names import VersionName
from muster.wire.contracts import Field, as_document

#: Of the serial numbers of all bills: a UUIDv5 of the version's digest under this name.
_NAMESPACE = uuid.uuid5(uuid.NAMESPACE_DNS, "bills.muster")


def bill_of(
    name: VersionName,
    digest: Digest,
    bundle: Bundle,
    seal: Seal,
    packages: Iterable[Package] = (),
    licences: Mapping[str, str | None] = MappingProxyType({}),
) -> dict[str, Any]:
    """The bill of a version, a JSON document of CycloneDX 1.6.

    Args:
        name: what the version is called here.
        digest: its identity.
        bundle: what it says of itself.
        seal: what its environment is made of.
        packages: what its lock names. Those without an artefact of their own are the machine's, or came inside of another's: no seal
            has them.
        licences: expressions of SPDX by package URL, where more is known than the seal says.
    """
    libraries = [
        _library(purl, tuple(parts), licences.get(purl))
        for purl, parts in groupby(
            sorted(seal.packages, key=lambda part: (part.purl, part.file)), lambda part: part.purl
        )
    ]
    sealed = {part.purl for part in seal.packages}
    others = {package.purl: package for package in packages if not package.hashes and package.purl not in sealed}
    libraries += [_without_part(others[purl], licences.get(purl)) for purl in sorted(others)]
    platform = _platform(seal)
    components = [platform, *libraries]
    return {
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "serialNumber": f"urn:uuid:{uuid.uuid5(_NAMESPACE, digest)}",
        "version": 1,
        "metadata": {"component": _model(name, digest, bundle)},
        "components": components,
        "dependencies": [
            {"ref": digest, "dependsOn": sorted(component["bom-ref"] for component in components)},
            *({"ref": component["bom-ref"], "dependsOn": []} for component in components),
        ],
        "properties": _properties(
            {"environment": seal.environment, "builder": seal.builder, "platform": seal.platform, "lock": seal.lock}
        ),
    }


def _model(name: VersionName, digest: Digest, bundle: Bundle) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "machine-learning-model",
        "bom-ref": digest,
        "name": name.model,
        "version": str(name.number),
        "hashes": [_hash(digest)],
        "modelCard": {
            "modelParameters": {
                "inputs": [{"format": _format(field)} for field in bundle.contract.inputs],
                "outputs": [{"format": _format(field)} for field in bundle.contract.outputs],
            },
            "properties": _properties(
                {
                    "runtime": bundle.runtime.kind,
                    "golden:rows": str(bundle.golden.rows),
                    **{
                        f"golden:tolerance:{output}": f"{allowed.abs!r} + {allowed.rel!r} x |expected|"
                        for output, allowed in bundle.golden.tolerance.items()
                    },
                }
            ),
        },
    }
    if bundle.description:
        found["description"] = bundle.description
    if bundle.people:
        found["authors"] = [{"name": person} for person in sorted(bundle.people)]
    return found


def _format(field: Field) -> str:
    """A field in words: `tenure INT64 null [30]`."""
    document = as_document(field)
    shape = f" {list(field.shape)}" if field.shape else ""
    return f"{field.name} {document['datatype']}{' null' if field.nullable else ''}{shape}"


def _platform(seal: Seal) -> dict[str, Any]:
    """The interpreter or compiler, with what it was found with on the machine that sealed it."""
    name, _, version = seal.toolchain.partition("-")
    return {
        "type": "platform",
        "bom-ref": f"toolchain:{seal.toolchain}",
        "name": name,
        **({"version": version} if version else {}),
        "properties": _properties({f"system:{what}": value for what, value in seal.system.items()}),
    }


def _library(purl: str, parts: tuple[SealedPart, ...], expression: str | None) -> dict[str, Any]:
    """A package; where it has several artefacts they are told one by one."""
    path, _, version = purl.partition("?")[0].partition("/")[2].rpartition("@")
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": purl,
        "name": unquote(path),
        "version": unquote(version),
        "purl": purl,
    }
    licence = next((part.licence for part in parts if part.licence), None)
    found |= _licensed(expression, licence)
    if len(parts) == 1:
        found["hashes"] = [_hash(parts[0].digest)]
        found["properties"] = _properties({"file": parts[0].file, "bytes": str(parts[0].size)})
    else:
        found["components"] = [
            {
                "type": "file",
                "bom-ref": f"{purl}#{part.file}",
                "name": part.file,
                "hashes": [_hash(part.digest)],
                "properties": _properties({"bytes": str(part.size)}),
            }
            for part in parts
        ]
    return found


def _without_part(package: Package, expression: str | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "type": "library",
        "bom-ref": package.purl,
        "name": package.name,
        "version": package.version,
        "purl": package.purl,
        "properties": _properties({"sealed": "false"}),
    }
    return found | _licensed(expression, package.licence)


def _licensed(expression: str | None, told: str | None) -> dict[str, Any]:
    """A licence as SPDX writes it, else in the words of the package."""
    if expression:
        return {"licenses": [{"expression": expression}]}
    return {"licenses": [{"license": {"name": told}}]} if told else {}


def _hash(digest: str) -> dict[str, str]:
    return {"alg": "SHA-256", "content": hex_of(Digest(digest))}


def _properties(facts: Mapping[str, str] | Iterable[tuple[str, str]]) -> list[dict[str, str]]:
    return [{"name": f"muster:{name}", "value": value} for name, value in sorted(dict(facts).items())]
