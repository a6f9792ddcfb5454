"""Known vulnerabilities: read in the format of OSV, matched as its specification evaluates ranges."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from packaging.version import Version

from malicious_files import zip_of
from muster.environments.protocol import Package
from muster.scanning.machine import Unreadable
from muster.scanning.severities import base_score, severity_of_vector, severity_of_word
from muster.scanning.vulnerabilities import hits, is_affected, read_vulnerabilities


def record(**said: Any) -> dict[str, Any]:
    """A record of OSV about numpy, mended in 1.22.0."""
    ranges = said.pop("ranges", [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "1.22.0"}]}])
    package = said.pop("package", {"ecosystem": "PyPI", "name": "NumPy"})
    versions = said.pop("versions", [])
    return {
        "id": "GHSA-1",
        "modified": "2026-10-01T00:00:00Z",
        "aliases": ["CVE-2026-1"],
        "summary": "reads too far",
        "severity": [{"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:H"}],
        "affected": [{"package": package, "ranges": ranges, "versions": versions}],
        **said,
    }


def package(ecosystem: str = "pypi", name: str = "numpy", version: str = "1.21.0") -> Package:
    return Package(ecosystem=ecosystem, name=name, version=version, hashes=frozenset())


def found(records: list[dict[str, Any]], *packages: Package) -> list[tuple[str, str, str, str | None]]:
    """What a file of records says about packages."""
    reading = read_vulnerabilities(json.dumps(records).encode())
    return [(hit.package, hit.advisory.id, hit.advisory.severity, hit.fixed) for hit in hits(packages, reading.sheets)]


def test_a_version_before_the_mended_one_is_hit_and_told_where_it_is_mended() -> None:
    """By the name as the ecosystem compares it; the mended version and later ones are not."""
    assert found([record()], package()) == [("pypi:numpy 1.21.0", "GHSA-1", "high", "1.22.0")]
    assert found([record()], package(version="1.22.0"), package(version="2.0"), package(name="numpyro")) == []
    assert found([record()], package(version="1.22.0rc1")) != []


@pytest.mark.parametrize(
    ("ecosystem", "named", "ours", "inside", "outside"),
    [
        ("PyPI", "a.b_c", ("pypi", "a-b-c"), "1.9", "1.10"),
        ("npm", "@types/node", ("npm", "@types/node"), "1.9.0", "1.10.0"),
        ("Maven", "org.x:y", ("maven", "org.x:y:linux"), "1.9", "1.10"),
        ("Go", "gonum.org/v1/gonum", ("golang", "gonum.org/v1/gonum"), "v1.9.0", "v1.10.0"),
        ("crates" + ".io", "serde", ("cargo", "serde"), "1.10.0-rc.1", "1.10.0"),
        ("CRAN", "rpart", ("cran", "rpart"), "1.9-2", "1.10-1"),
    ],
)
def test_each_ecosystem_has_its_own_names_and_order(
    ecosystem: str, named: str, ours: tuple[str, str], inside: str, outside: str
) -> None:
    """1.9 comes before 1.10 everywhere, a pre-release before its release, and `v` says nothing."""
    ranges = [{"type": "SEMVER", "events": [{"introduced": "0"}, {"fixed": "1.10.0"}]}]
    records = [record(package={"ecosystem": ecosystem, "name": named}, ranges=ranges)]
    kind, name = ours
    assert len(found(records, package(kind, name, inside))) == 1
    assert found(records, package(kind, name, outside)) == []


def test_ranges_are_evaluated_as_the_specification_says() -> None:
    """Several introductions, the last affected version, limits, and versions that are only listed."""
    twice = [
        {
            "type": "ECOSYSTEM",
            "events": [{"introduced": "2.0"}, {"fixed": "2.3"}, {"introduced": "0"}, {"fixed": "1.5"}],
        }
    ]
    last = [{"type": "ECOSYSTEM", "events": [{"introduced": "1.0"}, {"last_affected": "1.4"}]}]
    limited = [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"limit": "1.2"}]}]
    git = [{"type": "GIT", "repo": "x", "events": [{"introduced": "0"}]}]
    for ranges, versions, inside, outside in (
        (twice, [], ("1.4", "2.0", "2.2.9"), ("1.5", "1.9", "2.3")),
        (last, [], ("1.0", "1.4"), ("0.9", "1.4.1")),
        (limited, [], ("1.1",), ("1.2", "3")),
        (git, ["1.7"], ("1.7",), ("1.8",)),
    ):
        records = [record(ranges=ranges, versions=versions)]
        for version in inside:
            assert len(found(records, package(version=version))) == 1, version
        for version in outside:
            assert found(records, package(version=version)) == [], version


_NUMBERS = st.tuples(st.integers(0, 4), st.integers(0, 4)).map(lambda pair: f"{pair[0]}.{pair[1]}")


@settings(deadline=None)
@given(st.lists(st.tuples(_NUMBERS, _NUMBERS), min_size=1, max_size=3), _NUMBERS)
def test_a_range_is_every_stretch_from_introduced_to_fixed(pairs: list[tuple[str, str]], version: str) -> None:
    """Held against stretches that are counted one by one, where they do not overlap."""
    pairs = [pair for pair in pairs if Version(pair[0]) < Version(pair[1])]
    edges = sorted(Version(edge) for pair in pairs for edge in pair)
    if len(set(edges)) != len(edges) or any(
        Version(one[0]) < Version(other[0]) < Version(one[1]) for one in pairs for other in pairs
    ):
        return
    events = [event for begin, end in pairs for event in ({"fixed": end}, {"introduced": begin})]
    reading = read_vulnerabilities(json.dumps([record(ranges=[{"type": "ECOSYSTEM", "events": events}])]).encode())
    expected = any(Version(begin) <= Version(version) < Version(end) for begin, end in pairs)
    (advisory,) = reading.sheets[0].packages["numpy"]
    assert is_affected("pypi", version, advisory) is expected


@pytest.mark.parametrize(
    ("named", "ours", "version"),
    [
        ("PyPI", "pypi", "garbage"),
        ("npm", "npm", "git+ssh://example.org/x"),
        ("CRAN", "cran", "unknown"),
        ("Go", "golang", "(devel)"),
    ],
)
def test_a_version_that_cannot_be_compared_is_told_as_not_known(named: str, ours: str, version: str) -> None:
    """It may be hit: it counts, without a version to upgrade to, and says why."""
    reading = read_vulnerabilities(json.dumps([record(package={"ecosystem": named, "name": "x"})]).encode())
    (hit,) = hits([package(ours, "x", version)], reading.sheets)
    assert (hit.is_unknown, hit.fixed) == (True, None)
    assert hit.told == f"{ours}:x {version} (not known: its version cannot be compared)"
    (known,) = hits([package(ours, "x", "1.2.0")], reading.sheets)
    assert (known.is_unknown, known.told) == (False, f"{ours}:x 1.2.0")
    assert hits([package(ours, "x", "2.0.0")], reading.sheets) == ()


def test_a_range_whose_ends_cannot_be_compared_says_nothing_for_sure() -> None:
    """Where another range hits, that is known all the same."""
    odd = {"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "not a version"}]}
    sure = {"type": "ECOSYSTEM", "events": [{"introduced": "1.0"}, {"fixed": "1.5"}]}
    reading = read_vulnerabilities(json.dumps([record(ranges=[odd, sure])]).encode())
    (advisory,) = reading.sheets[0].packages["numpy"]
    assert is_affected("pypi", "1.2", advisory) is True
    assert is_affected("pypi", "3.0", advisory) is None


def test_a_file_comes_in_several_forms() -> None:
    """A list, one record, one per line, a zip; withdrawn records and foreign ecosystems are counted and left aside."""
    records = [
        record(),
        record(id="GHSA-2", withdrawn="2026-01-01T00:00:00Z"),
        record(id="GHSA-3", package={"ecosystem": "Hex", "name": "x"}),
    ]
    whole = json.dumps(records).encode()
    lines = b"\n".join(json.dumps(one).encode() for one in records)
    zipped = zip_of({f"{one['id']}.json": json.dumps(one).encode() for one in records})
    for content in (whole, lines, zipped):
        reading = read_vulnerabilities(content)
        assert (reading.records, reading.skipped, reading.as_of) == (1, 2, "2026-10-01T00:00:00Z")
        assert [sheet.ecosystem for sheet in reading.sheets] == ["pypi"]
    assert read_vulnerabilities(json.dumps(record()).encode()).records == 1


@pytest.mark.parametrize("content", [b"", b"[]", b"{}", b"[1]", b"PK\x03\x04broken", b"\xff\xfe", b'{"id": 3}'])
def test_what_is_no_file_of_osv_is_refused(content: bytes) -> None:
    """Nothing is taken in of it."""
    with pytest.raises(Unreadable):
        read_vulnerabilities(content)


@pytest.mark.parametrize(
    ("vector", "score", "word"),
    [
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H", 9.8, "critical"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:C/C:H/I:H/A:H", 10.0, "critical"),
        ("CVSS:3.0/AV:N/AC:L/PR:L/UI:N/S:C/C:L/I:L/A:N", 6.4, "medium"),
        ("CVSS:3.1/AV:N/AC:H/PR:N/UI:N/S:U/C:H/I:N/A:N", 5.9, "medium"),
        ("CVSS:3.1/AV:L/AC:L/PR:L/UI:N/S:U/C:H/I:H/A:H", 7.8, "high"),
        ("CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N", 1.6, "low"),
        ("CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:N/I:N/A:N", 0.0, "none"),
        ("AV:N/AC:L/Au:N/C:P/I:P/A:P", 7.5, "high"),
        ("AV:L/AC:H/Au:N/C:N/I:N/A:P", 1.2, "low"),
        ("CVSS:4.0/AV:N/AC:L/AT:N/PR:N/UI:N/VC:H/VI:H/VA:H/SC:N/SI:N/SA:N", None, "unknown"),
        ("nonsense", None, "unknown"),
    ],
)
def test_scores_are_those_of_the_public_calculators(vector: str, score: float | None, word: str) -> None:
    """Of https://www.first.org/cvss/calculator/3.1 and https://nvd.nist.gov/vuln-metrics/cvss/v2-calculator."""
    assert base_score(vector) == score
    assert severity_of_vector(vector) == word


def test_severity_comes_from_the_vector_then_from_the_databases_word_and_the_unknown_is_the_worst() -> None:
    """The worst of several vectors; MODERATE is medium; what nobody says sorts before everything."""
    mild = {"type": "CVSS_V3", "score": "CVSS:3.1/AV:P/AC:H/PR:H/UI:R/S:U/C:L/I:N/A:N"}
    bad = {"type": "CVSS_V3", "score": "CVSS:3.1/AV:N/AC:L/PR:N/UI:N/S:U/C:H/I:H/A:H"}
    four = {"type": "CVSS_V4", "score": "CVSS:4.0/AV:N"}
    assert [one[2] for one in found([record(severity=[mild, bad])], package())] == ["critical"]
    assert [
        one[2] for one in found([record(severity=[four], database_specific={"severity": "MODERATE"})], package())
    ] == ["medium"]
    both = [record(id="A", severity=[bad]), record(id="B", severity=None, summary=None)]
    assert [one[1:3] for one in found(both, package())] == [("B", "unknown"), ("A", "critical")]
    assert severity_of_word("nothing known") == "unknown"
