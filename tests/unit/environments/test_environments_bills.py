"""Bills of materials: valid CycloneDX, complete, and the same for ever."""

import json
from importlib import import_module

from muster.environments.bills import bill_of
from muster.environments.protocol import Package
from muster.environments.sealing import Seal, SealedPart
from muster.packaging.documents import Bundle, GoldenDescription, Tolerance
from muster.packaging.runtimes import GoRuntime
from muster.vocabulary.digests import digest_of
from muster.vocabulary.names import VersionName
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field

DIGEST = digest_of(b"version")
BUNDLE = Bundle(
    format=1,
    name="churn",
    runtime=GoRuntime(toolchain="go-1.26.8"),
    contract=Contract((Field("x", Datatype.FP64, shape=(3,), nullable=True),), (Field("y", Datatype.FP64),)),
    golden=GoldenDescription(rows=2, tolerance={"y": Tolerance(abs=1e-9)}),
    description="Who leaves.",
    owners=("bo", "ana"),
)


def part(purl: str, file: str, licence: str | None = None) -> SealedPart:
    return SealedPart(purl=purl, file=file, digest=digest_of(file.encode()), size=len(file), licence=licence)


PARTS = (
    part("pkg:golang/gonum.org/v1/gonum@v0.17.0", "gonum.org/v1/gonum/@v/v0.17.0.zip", "BSD-3-Clause"),
    part("pkg:golang/gonum.org/v1/gonum@v0.17.0", "gonum.org/v1/gonum/@v/v0.17.0.mod"),
    part("pkg:npm/%40types/node@20.1.0", "types-node-20.1.0.tgz"),
)


def seal(*parts: SealedPart) -> Seal:
    return Seal(
        format=1,
        environment=digest_of(b"environment"),
        kind="go",
        builder="muster-go/1",
        toolchain="go-1.26.8",
        platform="manylinux_2_36_x86_64",
        lock=digest_of(b"lock"),
        sources=digest_of(b"sources"),
        system={"libc": "glibc-2.36"},
        packages=parts,
    )


def test_a_bill_is_valid_cyclonedx() -> None:
    """The schema of CycloneDX 1.6 accepts it, strictly: no key that it does not know."""
    validation = import_module("cyclonedx.validation.json")
    schema = import_module("cyclonedx.schema")
    own = Package(ecosystem="cran", name="rpart", version="4.1.19", hashes=frozenset(), licence="GPL-2")
    bill = bill_of(VersionName("churn", 3), DIGEST, BUNDLE, seal(*PARTS), [own])
    problem = validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(json.dumps(bill))
    assert problem is None, problem


def test_a_bill_names_every_part_with_its_hash() -> None:
    """A package of one artefact has its hash, one of several has each of them as a file, and the toolchain is a platform."""
    bill = bill_of(VersionName("churn", 3), DIGEST, BUNDLE, seal(*PARTS))
    platform, go, node = bill["components"]
    assert (platform["type"], platform["name"], platform["version"]) == ("platform", "go", "1.26.8")
    assert {"name": "muster:system:libc", "value": "glibc-2.36"} in platform["properties"]
    assert (go["name"], go["version"]) == ("gonum.org/v1/gonum", "v0.17.0")
    assert {file["name"]: file["hashes"][0]["content"] for file in go["components"]} == {
        one.file: one.digest.removeprefix("sha256:") for one in PARTS[:2]
    }
    assert go["licenses"] == [{"license": {"name": "BSD-3-Clause"}}]
    assert (node["name"], node["version"]) == ("@types/node", "20.1.0")
    assert node["hashes"] == [{"alg": "SHA-256", "content": PARTS[2].digest.removeprefix("sha256:")}]
    model = bill["metadata"]["component"]
    assert (model["type"], model["bom-ref"], model["version"]) == ("machine-learning-model", DIGEST, "3")
    assert [person["name"] for person in model["authors"]] == ["ana", "bo"]
    assert model["modelCard"]["modelParameters"]["inputs"] == [{"format": "x FP64 null [3]"}]
    assert bill["dependencies"][0]["ref"] == DIGEST
    assert len(bill["dependencies"][0]["dependsOn"]) == 3


def test_a_bill_tells_licences_as_spdx_writes_them_where_they_are_known() -> None:
    """Of sealed packages and of the machine's; what is not known stays in the package's own words, and the schema accepts both."""
    validation = import_module("cyclonedx.validation.json")
    schema = import_module("cyclonedx.schema")
    own = Package(ecosystem="cran", name="rpart", version="4.1.19", hashes=frozenset(), licence="GPL-2 | GPL-3")
    licences = {PARTS[2].purl: "MIT OR Apache-2.0", own.purl: "GPL-2.0-only OR GPL-3.0-only", PARTS[0].purl: None}
    bill = bill_of(VersionName("churn", 3), DIGEST, BUNDLE, seal(*PARTS), [own], licences)
    told = [component.get("licenses") for component in bill["components"][1:]]
    assert told == [
        [{"license": {"name": "BSD-3-Clause"}}],
        [{"expression": "MIT OR Apache-2.0"}],
        [{"expression": "GPL-2.0-only OR GPL-3.0-only"}],
    ]
    problem = validation.JsonStrictValidator(schema.SchemaVersion.V1_6).validate_str(json.dumps(bill))
    assert problem is None, problem


def test_a_bill_names_what_no_seal_holds() -> None:
    """Packages of the machine, and those inside of another's artefact, stand in the lock alone: they are named, once, and without a hash."""
    own = Package(ecosystem="cran", name="rpart", version="4.1.19", hashes=frozenset(), licence="GPL-2")
    fetched = Package(ecosystem="npm", name="@types/node", version="20.1.0", hashes=frozenset({"sha512:00"}))
    elsewhere = Package(ecosystem="npm", name="fsevents", version="2.0.0", hashes=frozenset({"sha512:00"}))
    bundled = Package(ecosystem="npm", name="@types/node", version="20.1.0", hashes=frozenset())
    packages = (own, fetched, elsewhere, bundled)
    bill = bill_of(VersionName("churn", 3), DIGEST, BUNDLE, seal(*PARTS), packages)
    assert [one["bom-ref"] for one in bill["components"][1:]] == [
        "pkg:golang/gonum.org/v1/gonum@v0.17.0",
        "pkg:npm/%40types/node@20.1.0",
        "pkg:cran/rpart@4.1.19",
    ]
    rpart = bill["components"][-1]
    assert (rpart["name"], rpart["version"], "hashes" in rpart) == ("rpart", "4.1.19", False)
    assert rpart["licenses"] == [{"license": {"name": "GPL-2"}}]
    assert {"name": "muster:sealed", "value": "false"} in rpart["properties"]


def test_the_same_version_has_the_same_bill() -> None:
    """Neither time nor the order of parts changes a byte; another version has another serial number."""
    bills = [bill_of(VersionName("churn", 3), DIGEST, BUNDLE, seal(*parts)) for parts in (PARTS, PARTS[::-1])]
    assert json.dumps(bills[0]) == json.dumps(bills[1])
    other = bill_of(VersionName("churn", 4), digest_of(b"other"), BUNDLE, seal(*PARTS))
    assert other["serialNumber"] != bills[0]["serialNumber"]
