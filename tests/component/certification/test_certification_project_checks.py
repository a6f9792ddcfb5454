"""Checks of a project's own: added by one person, in force when others adopt the standard that names their program, put to every version."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from governed_factory import GovernedFactory
from made_bundles import SCORES
from muster.access.errors import RightMissing
from muster.audit.errors import IdempotencyKeyReused
from muster.bootstrap.standard_limits import StandardLimits
from muster.certification.demands import Limits
from muster.certification.examination import Examination
from muster.certification.options import CertificationOptions
from muster.certification.records import Examined
from muster.environments.shelf import Shelf
from muster.gates.errors import WaiverMalformed
from muster.packaging.trees import remove_tree
from muster.registry.records import Version
from muster.standards.errors import CheckMalformed, CheckNotFound, StandardMalformed
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.digests import Digest, digest_of
from muster.vocabulary.names import NameMalformed

CAUTIOUS = """
import json, sys
first = json.loads(sys.stdin.readline())
print(json.dumps({"predict": first["golden"]["inputs"]}), flush=True)
scores = [answer["score"] for answer in json.loads(sys.stdin.readline())["answers"]]
most = first["options"]["most"]
print(json.dumps({"passed": max(scores) <= most, "figure": max(scores), "limit": most, "detail": f"scores up to {max(scores):g}"}))
"""


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(database, tmp_path, clock)


@pytest.fixture
def quick_factory(sqlite_database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(sqlite_database, tmp_path, clock)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    made = tmp_path_factory.mktemp("environments")
    yield made
    remove_tree(made / "environments")


def standard(name: str, digest: Digest, most: float, **also: object) -> str:
    """A standard that holds every version to the check."""
    more = "".join(f"{key} = {json.dumps(value)}\n" for key, value in also.items())
    return (
        f'format = 1\nname = "careful"\n[checks."own:{name}"]\nprogram = "{digest}"\n'
        f"options = {{ given = {{ most = {most} }} }}\n{more}"
    )


def limits_of(factory: GovernedFactory, version: Version) -> Limits:
    return StandardLimits(factory.standards).limits("default", version)


def examined(factory: GovernedFactory, root: Path, version: Version) -> Examined:
    """What an executor finds."""
    bench = Examination(
        blobs=factory.blobs,
        environments=Shelf(root / "environments", root / "uv-cache", factory.blobs),
        bundles=factory.folder / "bundles",
        logs=factory.folder / "logs",
        options=CertificationOptions(latency_calls=20, latency_budget_s=0.1, prove_rebuild=False),
    )
    return bench.examine(version, lambda _: None, limits=limits_of(factory, version))


def test_a_check_of_the_project_decides_once_the_standard_names_it(factory: GovernedFactory, root: Path) -> None:
    """One adds it and proposes, another adopts; a version passes or fails by it alone, with the limit that the standard hands on."""
    checks, call = factory.governance.project_checks, factory.call("ana")
    version = factory.register()
    with pytest.raises(StandardMalformed, match="has no such program of this check"):
        factory.standards.propose(call, standard("cautious", digest_of(CAUTIOUS.encode()), 1.0), "careful")
    added = checks.add(call, "cautious", CAUTIOUS, "scores must stay low")
    assert added.digest == digest_of(CAUTIOUS.encode())
    assert checks.checks(call) == (added,)
    assert checks.read(call, added.digest).text == CAUTIOUS
    assert factory.events("check cautious") == [("ana", "check.added")]
    for most, passes in ((100.0, True), (1.0, False)):
        proposed = factory.standards.propose(call, standard(added.name, added.digest, most), "careful")
        assert limits_of(factory, version).programs.get("own:cautious") == (None if passes else added.digest)
        factory.standards.approve(factory.call("paul"), proposed.number, "seen")
        found = examined(factory, root, version)
        check = next(check for check in found.checks if check.name == "own:cautious")
        assert (check.passed, check.limit, found.failed) == (passes, most, () if passes else ("own:cautious",))
        assert check.detail == f"scores up to {max(SCORES):g}"


def test_a_check_that_is_not_run_is_not_put(quick_factory: GovernedFactory) -> None:
    """`run = false` takes it out, and no gate asks for it."""
    factory = quick_factory
    added = factory.governance.project_checks.add(factory.call("ana"), "cautious", CAUTIOUS, "so")
    version = factory.register()
    number = factory.standards.propose(
        factory.call("ana"), standard(added.name, added.digest, 1.0, run=False), "not now"
    ).number
    factory.standards.approve(factory.call("paul"), number, "yes")
    assert limits_of(factory, version).programs == {}


def test_what_is_no_check_is_refused(quick_factory: GovernedFactory) -> None:
    """Nothing, too much, no Python, a name that is none; whoever may not propose standards adds none; nothing stays on record."""
    factory = quick_factory
    checks, call = factory.governance.project_checks, factory.call("ana")
    for program in ("", "  \n", "x" * 100_001, "def f(:", "print('\0')", "'\ud800'"):
        with pytest.raises(CheckMalformed):
            checks.add(call, "cautious", program, "so")
    with pytest.raises(NameMalformed):
        checks.add(call, "Cautious!", CAUTIOUS, "so")
    with pytest.raises(RightMissing):
        checks.add(factory.call("vic"), "cautious", CAUTIOUS, "so")
    with pytest.raises(CheckNotFound):
        checks.read(call, digest_of(b"nothing"))
    assert checks.checks(call) == ()
    assert factory.events("check cautious") == []


def test_adding_again_changes_nothing(quick_factory: GovernedFactory) -> None:
    """The same program is there once, in each project by itself; a repeated request is told what the first did, another with its key is refused."""
    factory = quick_factory
    checks, keyed = factory.governance.project_checks, {"idempotency_key": "k1", "request_digest": "sha256:1"}
    first = checks.add(factory.call("ana", **keyed), "cautious", CAUTIOUS, "so")
    assert checks.add(factory.call("ana", **keyed), "cautious", CAUTIOUS, "so") == first
    assert checks.add(factory.call("ana"), "cautious", CAUTIOUS, "again") == first
    with pytest.raises(IdempotencyKeyReused):
        checks.add(factory.call("ana", idempotency_key="k1", request_digest="sha256:2"), "cautious", "1", "so")
    assert factory.events("check cautious") == [("ana", "check.added")]
    assert checks.checks(factory.call("ana", "other")) == ()
    with pytest.raises(CheckNotFound):
        checks.read(factory.call("ana", "other"), first.digest)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ('[checks.robustness]\nprogram = "sha256:1"', "only checks called own:"),
        ('[checks."own:x"]\nprogram = "md5:1"', "program"),
        ('[checks."own:X!"]\nprogram = "sha256:' + "0" * 64 + '"', "is not a name for a check"),
        ('[checks."own:x"]\noptions = { depth = 3 }', "unknown field `depth`"),
        ('[checks."own:x"]\noptions = { seconds = 0.0 }', "seconds is above 0"),
        ("[checks.robustness]\noptions = { max_examples = 0 }", "max_examples is 1 to"),
        ('[checks."mine:x"]\nneeded = false', "there is no such check"),
    ],
)
def test_a_standard_that_names_what_is_none_is_refused(quick_factory: GovernedFactory, text: str, told: str) -> None:
    """When it is proposed, with what is wrong."""
    with pytest.raises(StandardMalformed, match=told):
        quick_factory.standards.propose(quick_factory.call("ana"), f'format = 1\nname = "x"\n{text}\n', "so")


def test_a_check_of_ones_own_can_be_waived_by_its_name(quick_factory: GovernedFactory) -> None:
    """`own:parity` can be; what only looks so cannot."""
    factory = quick_factory
    version = factory.register()
    until = factory.clock.now().replace(year=factory.clock.now().year + 1, month=1)
    reviews = factory.governance.reviews
    asked = reviews.ask_waiver(factory.call("ana"), version.name, "own:parity", until, "known")
    assert asked.check == "own:parity"
    for name in ("own:*", "own:", "own:A", "mine:parity"):
        with pytest.raises(WaiverMalformed):
            reviews.ask_waiver(factory.call("ana"), version.name, name, until, "known")
