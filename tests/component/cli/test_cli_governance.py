"""Standards and gates as people type them: in the lab, at certification, at the gates, in need."""

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from running_cli import Shell

from muster.packaging.save import save
from muster.vocabulary.states import VersionState
from running_control import Control, FollowingFront
from small_bundles import SAMPLE, Adds, SmallBundles

As = Callable[[str], Shell]
SOON = (datetime.now(UTC) + timedelta(days=7)).strftime("%Y-%m-%dT%H:%M:%SZ")
STANDARD = """
format = 1
name = "bank"
[bundle]
require = ["intended-use", "data-spans", "release-notes"]
[checks.one-row-latency]
limit = 0.000001
[gates.acceptance]
approvals = [{ role = "approver", count = 2 }]
"""
PLAIN = 'format = 1\nname = "plain"\n'


@pytest.fixture(scope="module", autouse=True)
def _second_approver(control: Control) -> None:
    """Who else may accept."""
    made = control.services.access.add_user(control.call(), "bob", "approver")
    assert made.token is not None
    control.tokens["bob"] = made.token


@pytest.fixture
def plain(as_: As, tmp_path: Path) -> Iterator[None]:
    """In the end the project asks for one person again."""
    yield
    (tmp_path / "plain.toml").write_text(PLAIN)
    number = as_("ana").json("standard", "propose", tmp_path / "plain.toml", "--reason", "as it was")["number"]
    as_("ben").json("standard", "approve", number, "--reason", "yes")


@pytest.fixture(scope="module")
def carded(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A bundle with a card, saved as an author saves it."""
    return save(
        Adds(1.0), tmp_path_factory.mktemp("carded") / "b", name="carded", sample=SAMPLE, method="predict", output="score",
        owner="ana", description="adds one", notes="first", card={"intended_use": "To add.", "risk_tier": "low"},
        data={"training": {"uri": "s3://bucket/x.parquet", "from": "2025-01-01", "to": "2026-01-01"}},
    )  # fmt: skip


def test_a_bundle_is_checked_in_the_lab_without_a_factory(shell: Shell, carded: Path, bundles: SmallBundles) -> None:
    """Against a ready standard and against a file; exit code 1 and the remedy where something is missing."""
    lonely = shell.where(MUSTER_URL="http://127.0.0.1:1")
    found = lonely.json("standard", "check", bundles.new(), "--standard", "internal", code=1)
    assert [one["name"] for one in found["lacks"]] == ["intended-use", "data-sources"]
    assert all(one["remedy"] for one in found["lacks"])
    good = lonely.json("standard", "check", carded, "--standard", "internal")
    assert (good["meets"], good["tier"], good["lacks"]) == (True, "low", [])
    (shell.folder / "own.toml").write_text(STANDARD)
    assert lonely.json("standard", "check", carded, "--standard", "own.toml")["standard"] == "bank"
    assert lonely.problem("standard", "check", carded, "--standard", "nothing", code=3)["code"] == "cli.file-missing"
    (shell.folder / "bad.toml").write_text("format = 1\nname = 'x'\ncolour = 1")
    assert (
        lonely.problem("standard", "check", carded, "--standard", "bad.toml", code=2)["code"] == "standards.malformed"
    )
    (shell.folder / "strange.toml").write_text(STANDARD + "[checks.nosuch]\nlimit = 1\n")
    strange = lonely.problem("standard", "check", carded, "--standard", "strange.toml", code=2)
    assert strange["detail"] == "checks.nosuch: there is no such check"
    assert lonely.json("standard", "show", "regulated")["text"].startswith("# For decisions")
    assert "+name = " in lonely.type("standard", "diff", "exploration", "internal").stdout


@pytest.mark.timeout(280)
def test_a_standard_from_proposal_to_an_accepted_version(
    control: Control, as_: As, carded: Path, bundles: SmallBundles, tmp_path: Path, plain: None
) -> None:
    """A limit that the model cannot hold fails certification; waived by two people it is certified, and two accept it."""
    ana, ben, bob = as_("ana"), as_("ben"), as_("bob")
    (tmp_path / "bank.toml").write_text(STANDARD)
    proposed = ana.json("standard", "propose", tmp_path / "bank.toml", "--reason", "the bank")
    assert (proposed["state"], proposed["missing"]) == ("proposed", ["approval by 1 person with the right to it"])
    assert ana.problem("standard", "approve", proposed["number"], "--reason", "mine", code=5)
    assert ben.json("standard", "approve", proposed["number"], "--reason", "yes")["in_force"]
    assert "bank" in ana.type("standard", "show").stdout

    told = ana.type("register", bundles.new(name="bare"))
    assert "asks for more: intended-use" in told.stderr
    ana.json("register", carded)
    with control.working():
        bare = ana.json("certify", "bare:1", code=1)
        first = ana.json("certify", "carded:1", code=1)
    checks = {check["name"]: check for check in bare["checks"]}
    assert (checks["standard"]["passed"], checks["standard"]["figure"]) == (False, 2)
    checks = {check["name"]: check for check in first["checks"]}
    assert (checks["standard"]["passed"], checks["one-row-latency"]["passed"]) == (True, False)
    assert checks["one-row-latency"]["limit"] == 0.000001

    waiver = ana.json("waive", "ask", "carded:1", "one-row-latency", "--until", SOON, "--reason", "nobody holds that")
    assert ana.problem("waive", "grant", waiver["id"], "--reason", "mine", code=5)
    assert bob.json("waive", "grant", waiver["id"], "--reason", "right")["holds"]
    assert "granted" in ana.type("waive", "list").stdout
    with control.working():
        again = ana.json("certify", "carded:1")
    (latency,) = [check for check in again["checks"] if check["name"] == "one-row-latency"]
    assert (again["passed"], latency["passed"]) == (True, False)
    assert "waived until" in latency["detail"]

    ben.json("review", "request-changes", "carded:1", "--reason", "say more")
    assert "ben asks for changes" in bob.type("accept", "carded:1", "--reason", "good").stdout
    ana.json("review", "comment", "carded:1", "--text", "said it")
    assert ben.json("accept", "carded:1", "--reason", "good now")["state"] == "accepted"
    seen = ana.type("review", "show", "carded:1").stdout
    assert "said something else since" in seen
    assert "said it" in seen
    assert ben.json("standard", "dry-run", "internal")["versions"] == []


@pytest.mark.timeout(200)
def test_several_at_once_moments_and_broken_glass(control: Control, as_: As, bundles: SmallBundles) -> None:
    """One by one on record; for a moment; in need, and confirmed by others."""
    ana, ben, bob, olga = as_("ana"), as_("ben"), as_("bob"), as_("olga")
    versions = [control.as_("ana").register(bundles.new(name="many")).version for _ in range(2)]
    for version in versions:
        control.put_into(version, VersionState.CERTIFIED)
    found = ben.json("accept", *versions, "many:9", "--reason", "all good", code=1)
    assert [(one["version"], one["state"]) for one in found["versions"]] == [(one, "accepted") for one in versions]
    assert [(one["version"], one["code"]) for one in found["refused"]] == [("many:9", "registry.version-not-found")]
    with FollowingFront(control):
        ana.json("release", "propose", "need", "--champion", versions[0], "--reason", "first")
        ben.json("release", "approve", "need", 1, "--reason", "yes")
        ana.json("release", "propose", "need", "--champion", versions[1], "--reason", "second")
        broken = olga.json("release", "approve", "need", 2, "--break-glass", "--reason", "now")
        assert (broken["state"], broken["glass"]["state"]) == ("live", "open")
        assert olga.problem("release", "confirm", "need", 2, "--reason", "mine", code=5)
        assert "confirmed" in bob.type("release", "confirm", "need", 2, "--reason", "right").stdout
        ana.json("release", "propose", "need", "--champion", versions[0], "--reason", "back")
        waiting = ben.json("release", "approve", "need", 3, "--at", SOON, "--reason", "next week")
        assert waiting["state"] == "approved"
    assert ben.problem("release", "approve", "need", 3, "--break-glass", "--at", SOON, "--reason", "x", code=2)
    delegated = ben.json("delegate", "add", "bob", "--until", SOON, "--reason", "leave")
    assert "now" in ana.type("delegate", "list").stdout
    assert bob.json("delegate", "end", delegated["id"], "--reason", "back")["holds"] is False
    assert ana.problem("review", "show", "many", code=2)["code"] == "cli.usage"


MAY: dict[str, set[str]] = {
    "ana": set(),
    "olga": {"break"},
    "bob": {"accept", "approve", "changes", "adopt", "waive"},
    "admin": {"accept", "approve", "changes", "adopt", "waive", "break"},
}


@pytest.mark.timeout(200)
@pytest.mark.parametrize("own", [False, True], ids=["other", "own"])
@pytest.mark.parametrize("name", MAY)
def test_the_matrix_on_the_command_line(
    control: Control, as_: As, bundles: SmallBundles, name: str, own: bool, tmp_path: Path
) -> None:
    """Role by deed by whose work it is: what is not allowed ends with exit code 5, and changes nothing."""
    ana, me = control.as_("ana"), as_(name)
    bundle = bundles.new(name="matrix")
    if own and name != "ana":
        toml = bundle / "muster.toml"
        toml.write_text(toml.read_text().replace('owners = [\n    "ana",\n]', f'owners = [\n    "{name}",\n]'))
        assert f'"{name}"' in toml.read_text()
    version = ana.register(bundle).version
    control.put_into(version, VersionState.CERTIFIED)
    waiver = ana.ask_waiver(version, "notebook", SOON, "later").id
    standard = ana.propose_standard(PLAIN, "again").number
    allowed = MAY[name] - ({"accept", "approve", "changes", "break", "waive"} if own else set())

    def held(deed: str, *words: object) -> None:
        done = me.type(*words, "--reason", "so", code=0 if deed in allowed else 5)
        assert done.stdout or deed not in allowed

    held("changes", "review", "request-changes", version)
    held("waive", "waive", "grant", waiver)
    held("accept", "accept", version)
    held("adopt", "standard", "approve", standard)
    if ana.version(version).state is not VersionState.ACCEPTED:
        control.put_into(version, VersionState.ACCEPTED)
    endpoint = f"cli-{name}-{'own' if own else 'other'}"
    with FollowingFront(control):
        ana.propose(endpoint, champion=control.accepted(bundles.new()), reason="first")
        control.as_("ben").approve(endpoint, 1, "yes")
        release = ana.propose(endpoint, champion=version, reason="second").release
        held("break", "release", "approve", endpoint, release, "--break-glass")
        if "break" in allowed:
            release = ana.propose(endpoint, champion=version, reason="third").release
        held("approve", "release", "approve", endpoint, release, "--no-wait")
