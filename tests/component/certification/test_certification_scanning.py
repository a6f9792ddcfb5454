"""Bundles that hide something, under certification: each fails for that reason alone, and nothing of it is run."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from governed_factory import GovernedFactory
from made_bundles import made_bundle
from malicious_files import MALICIOUS, pickle_that_calls
from muster.certification.examination import Examination
from muster.certification.options import CertificationOptions
from muster.environments.shelf import Shelf
from muster.packaging.bundle import pack
from muster.packaging.trees import remove_tree
from muster.registry.records import Version
from muster.sessions.records import Session
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.digests import Digest
from muster.vocabulary.states import SessionState, VersionState

_PLAIN = 'format = 1\nname = "plain"\n'


@pytest.fixture
def factory(sqlite_database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(sqlite_database, tmp_path, clock)


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the one environment of this module lies."""
    root = tmp_path_factory.mktemp("environments")
    yield root
    remove_tree(root / "environments")


def registered(factory: GovernedFactory, folder: Path, files: dict[str, bytes]) -> Version:
    """A version of a sound bundle with more files in it."""
    bundle = made_bundle(folder)
    for name, content in files.items():
        path = bundle / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    pack(bundle, folder.with_suffix(".zip"))
    return factory.registry.register(factory.call("ana"), folder.with_suffix(".zip"))


def examined(factory: GovernedFactory, environments: Path, version: Version) -> Session:
    """What came of certifying it."""
    factory.certification.certify(factory.call("ana"), version.name)
    claimed = factory.sessions.claim("e1", ["certification"])
    assert claimed is not None
    bench = Examination(
        blobs=factory.blobs,
        environments=Shelf(environments / "environments", environments / "uv-cache", factory.blobs),
        bundles=factory.folder / "bundles",
        logs=factory.folder / "logs",
        options=CertificationOptions(latency_calls=30, prove_rebuild=False),
    )
    return factory.certification.run(claimed, lambda _line: None, bench)


def checks(session: Session) -> dict[str, dict[str, Any]]:
    assert session.result is not None
    return {check["name"]: check for check in session.result["checks"]}


def failed(session: Session) -> list[str]:
    return [name for name, check in checks(session).items() if not check["passed"]]


def shown(factory: GovernedFactory, session: Session, name: str) -> list[list[Any]]:
    """The rows that a check shows."""
    assert session.result is not None
    evidence = json.loads(factory.registry.document(Digest(session.result["evidence"])))
    return [row for check in evidence["checks"] if check["name"] == name for row in check["exhibits"][0]["rows"]]


@pytest.mark.parametrize("what", MALICIOUS)
def test_a_malicious_bundle_fails_before_anything_of_it_is_run(
    factory: GovernedFactory, environments: Path, tmp_path: Path, what: str
) -> None:
    """It is the last check that is made: no environment is built, no host started; the finding is shown with a remedy."""
    name, make = MALICIOUS[what]
    version = registered(factory, tmp_path / "bundle", {name: make()})
    done = examined(factory, environments, version)
    assert failed(done) == ["no-malicious-code"]
    assert list(checks(done))[-1] == "no-malicious-code"
    assert "environment-builds" not in checks(done)
    check = checks(done)["no-malicious-code"]
    assert check["figure"] >= 1
    assert name in check["detail"]
    assert check["remedy"]
    assert all(row[3] == "refused" and row[0].startswith(name) for row in shown(factory, done, "no-malicious-code"))
    assert factory.certification.certificate(factory.call("vic"), version.name) is None


def test_a_sound_bundle_passes_every_scan_and_shows_its_licences(
    factory: GovernedFactory, environments: Path, tmp_path: Path
) -> None:
    """With a pickle that calls nothing, and code that people should read."""
    files = {"model/more.pkl": b"\x80\x04K\x01.", "src/reads.py": b"import socket\n"}
    done = examined(factory, environments, registered(factory, tmp_path / "bundle", files))
    assert failed(done) == []
    assert done.state is SessionState.PASSED
    assert "1 places for people to read" in checks(done)["no-malicious-code"]["detail"]
    assert shown(factory, done, "no-malicious-code") == [
        ["src/reads.py", "code", "src/reads.py, line 1: imports socket", "told"]
    ]
    assert "no-known-vulnerabilities" not in checks(done)
    assert [row[1:] for row in shown(factory, done, "licences-allowed")] == [["BSD-3-Clause", "allowed"]]


def test_a_secret_in_a_file_fails_for_that_alone(factory: GovernedFactory, environments: Path, tmp_path: Path) -> None:
    """It is shown masked; its fingerprint lets it pass where the standard names it."""
    token = "glp" + "at-" + "aB3dE5gH7jK9mN1pQ3sT"
    version = registered(factory, tmp_path / "bundle", {"src/settings.yaml": f"token: {token}\n".encode()})
    done = examined(factory, environments, version)
    assert failed(done) == ["no-secrets"]
    ((place, line, kind, masked, fingerprint),) = shown(factory, done, "no-secrets")
    assert (place, line, kind) == ("src/settings.yaml", 1, "gitlab-token")
    assert token not in json.dumps(done.result)
    assert token[:12] not in masked
    factory.adopt(f'{_PLAIN}[checks.no-secrets]\noptions = {{allow = ["{fingerprint}"]}}\n')
    assert failed(examined(factory, environments, version)) == []


def test_a_licence_that_the_standard_denies_fails_for_that_alone(
    factory: GovernedFactory, environments: Path, tmp_path: Path
) -> None:
    """The package and its licence are named; without the rule it passes."""
    factory.adopt(f'{_PLAIN}[checks.licences-allowed]\noptions = {{deny = ["BSD-*"]}}\n')
    version = registered(factory, tmp_path / "bundle", {})
    done = examined(factory, environments, version)
    assert failed(done) == ["licences-allowed"]
    assert checks(done)["licences-allowed"]["detail"] == "pkg:pypi/cloudpickle@3.1.2: BSD-3-Clause"
    factory.adopt(f'{_PLAIN}[checks.licences-allowed]\noptions = {{allow = ["BSD-3-Clause", "MIT"]}}\n')
    assert failed(examined(factory, environments, version)) == []


def test_a_known_vulnerability_fails_for_that_alone(
    factory: GovernedFactory, environments: Path, tmp_path: Path
) -> None:
    """By the file of the project, which is told; one that the standard ignores, or a milder one than its limit, passes."""
    version = registered(factory, tmp_path / "bundle", {})
    events = [{"introduced": "3.0"}, {"fixed": "3.1.9"}]
    affected = {
        "package": {"ecosystem": "PyPI", "name": "cloudpickle"},
        "ranges": [{"type": "ECOSYSTEM", "events": events}],
    }
    record = {
        "id": "PYSEC-1", "aliases": ["CVE-2026-7"], "modified": "2026-11-20T00:00:00Z", "summary": "runs what it reads",
        "affected": [affected], "database_specific": {"severity": "HIGH"},
    }  # fmt: skip
    file = tmp_path / "known.json"
    file.write_text(json.dumps([record]))
    advisories = factory.governance.advisories
    taken = advisories.take_in(factory.call("adele"), file, "known.json", "of this week")
    assert (taken.source.number, taken.records) == (1, 1)

    done = examined(factory, environments, version)
    assert failed(done) == ["no-known-vulnerabilities"]
    check = checks(done)["no-known-vulnerabilities"]
    assert "pypi:cloudpickle 3.1.2: PYSEC-1 (high), mended in 3.1.9" in check["detail"]
    assert "file 1 (known.json, as of 2026-11-20" in check["detail"]
    assert check["remedy"] == "Upgrade pypi:cloudpickle 3.1.2 to 3.1.9 or later, and register anew."
    assert shown(factory, done, "no-known-vulnerabilities") == [
        ["pypi:cloudpickle 3.1.2", "PYSEC-1", "high", "3.1.9", "runs what it reads", "refused"]
    ]
    for options in ('ignore = ["CVE-2026-7"]', 'max_severity = "high"'):
        factory.adopt(f"{_PLAIN}[checks.no-known-vulnerabilities]\noptions = {{{options}}}\n")
        assert failed(examined(factory, environments, version)) == []
    assert factory.state(version) is VersionState.CERTIFIED
    (hit,) = advisories.affected(factory.call("vic")).affected
    assert (str(hit.version), hit.served, [one.advisory.id for one in hit.hits]) == ("churn:1", (), ["PYSEC-1"])


def test_a_standard_that_runs_the_check_asks_for_a_file_that_is_young_enough(
    factory: GovernedFactory, environments: Path, tmp_path: Path
) -> None:
    """Without a file it fails and says what to do; with one from years ago, too."""
    factory.adopt(f"{_PLAIN}[checks.no-known-vulnerabilities]\nrun = true\noptions = {{max_age_days = 30}}\n")
    version = registered(factory, tmp_path / "bundle", {})
    done = examined(factory, environments, version)
    assert failed(done) == ["no-known-vulnerabilities"]
    assert "muster vulnerabilities import" in checks(done)["no-known-vulnerabilities"]["remedy"]
    file = tmp_path / "old.json"
    file.write_text(json.dumps({"id": "X", "modified": "2020-01-01T00:00:00Z", "affected": []}))
    factory.governance.advisories.take_in(factory.call("adele"), file, "old.json", "the only one")
    done = examined(factory, environments, version)
    assert failed(done) == ["no-known-vulnerabilities"]
    assert "the standard allows 30" in checks(done)["no-known-vulnerabilities"]["detail"]


def test_a_function_that_the_standard_allows_may_be_called(
    factory: GovernedFactory, environments: Path, tmp_path: Path
) -> None:
    """Only with the standard's word; a name without a module is refused when the standard is proposed."""
    factory.adopt(f'{_PLAIN}[checks.no-malicious-code]\noptions = {{allow = ["builtins.print"]}}\n')
    version = registered(factory, tmp_path / "bundle", {"model/more.pkl": pickle_that_calls(print, "x")})
    assert failed(examined(factory, environments, version)) == []
