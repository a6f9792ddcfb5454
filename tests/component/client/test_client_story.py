"""The whole story through the Python client, on both databases: from a folder to live, rolled back and audited."""

from pathlib import Path

import pytest

import muster
from muster.client.errors import AnswerLate
from muster.storage.transaction import Database
from muster.vocabulary.errors import Conflict, NotAllowed, NotFound, NotIdentified, Refused
from muster.vocabulary.states import ReleaseState, Role, VersionState
from muster.wire import control as documents
from running_control import Control, FollowingFront, running_control
from small_bundles import SmallBundles


@pytest.mark.timeout(180)
def test_a_model_goes_from_a_folder_to_live_and_back(database: Database, tmp_path: Path, bundles: SmallBundles) -> None:
    """Register, certify, accept, propose, approve, replace, roll back, look at it all: every verb of the client."""
    with running_control(database, tmp_path) as control, control.working(), FollowingFront(control):
        ana, ben, olga = control.as_("ana"), control.as_("ben"), control.as_("olga")

        first = ana.register(bundles.new())
        assert ana.register(str(bundles.new())).version == "adds:2"
        said: list[str] = []
        certified = ana.certify(first, progress=lambda session: said.append(str(session.state)))
        assert certified.passed, certified
        assert said[-1] == "passed"
        assert {check.name for check in certified.checks} >= {"golden-answers"}
        assert ana.certify("adds:2").passed
        with pytest.raises(NotAllowed) as own:
            ana.accept(first, "mine")
        assert own.value.code == "access.right-missing"
        for version in ("adds:1", "adds:2"):
            assert ben.accept(version, "looks right").state is VersionState.ACCEPTED

        proposed = ana.propose(
            "sum", champion="adds:1", challengers=["adds:2"], deadline="80ms", default={"score": 0.0}, reason="first",
        )  # fmt: skip
        assert (proposed.release, proposed.state, proposed.deadline_ms) == (1, ReleaseState.PROPOSED, 80.0)
        assert [(one.version, one.role) for one in proposed.variants] == [
            ("adds:1", Role.CHAMPION), ("adds:2", Role.CHALLENGER),
        ]  # fmt: skip
        assert ben.approve("sum", 1, "go").state is ReleaseState.LIVE
        ana.propose("sum", champion="adds:2", reason="better")
        states: list[ReleaseState] = []
        assert ben.approve("sum", 2, "go", progress=lambda found: states.append(found.state)).current
        assert states[-1] is ReleaseState.LIVE

        back = olga.rollback("sum", "slow")
        assert (back.from_release, back.to) == (2, 1)
        assert [(one.release, one.current) for one in olga.releases("sum").releases] == [(2, False), (1, True)]
        assert olga.endpoints().endpoints[0].champion == "adds:1"

        assert [version.version for version in ana.model("adds").versions] == ["adds:2", "adds:1"]
        assert ana.models().models[0].versions == 2
        assert ana.diff("adds:1", "adds:2").declared[0].what == "description"
        assert ana.version("adds:1").releases == ("sum release 1",)
        assert (ana.download("adds:1", "NOTES.md", tmp_path / "NOTES.md")).read_text().endswith("first\n")
        assert ana.manifest("adds:1").digest == first.digest
        assert olga.audit_verify().valid
        assert olga.audit_events(subject="adds:1").events[0].action == "version.registered"
        with pytest.raises(Conflict):
            ben.retire("adds:1", "it is served")


def test_errors_are_those_of_the_factory(control: Control, bundles: SmallBundles) -> None:
    """The client raises the family that the problem names, with its code, advice and facts."""
    with control.as_("ana") as ana:
        with pytest.raises(NotFound) as missing:
            ana.version("adds:99999")
        assert missing.value.code == "registry.version-not-found"
        assert missing.value.facts == {"version": "adds:99999"}
        assert "muster show" in missing.value.advice
        version = ana.register(bundles.new()).version
        with pytest.raises(Refused, match="only accepted versions"):
            ana.propose("early", champion=version, reason="too early")
        session = ana.certify(version, wait=False)
        assert (session.passed, session.state) == (False, "queued")
        with pytest.raises(AnswerLate, match="is queued after"):
            ana.certify(version, patience_s=0.2)
    with muster.connect(control.url, "mst_" + "x" * 43) as nobody, pytest.raises(NotIdentified):
        nobody.models()


def test_a_version_with_untrue_golden_answers_is_not_certified(control: Control, bundles: SmallBundles) -> None:
    """The verdict is no, names the check, and the version stays registered."""
    with control.working(), control.as_("ana") as ana:
        version = ana.register(bundles.new(spoilt=True))
        verdict = ana.certify(version)
        assert isinstance(verdict, documents.Certification)
        assert not verdict.passed
        assert [check.name for check in verdict.checks if not check.passed] == ["golden-answers"]
        assert ana.version(version).state is VersionState.REGISTERED
