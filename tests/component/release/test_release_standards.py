"""What a standard asks of bundles and certificates, waivers, freezes, moments, broken glass: on both databases."""

from contextlib import ExitStack
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from governed_factory import GovernedFactory, ObedientFront
from known_figures import add_certificate, latency
from muster.access.custom_roles import CustomRoles
from muster.access.errors import RightMissing
from muster.access.roles import AccessRole
from muster.bootstrap.standard_limits import StandardLimits
from muster.certification.checks import Bench, Finding
from muster.certification.demands import MeetsStandard
from muster.certification.records import LATENCY_CHECK, Check, Examined
from muster.certification.twinned import TwinOrder
from muster.gates.errors import PartInIt, WaiverMalformed, WaiverNotFound, WaiverOwn, WaiverStateUnfit
from muster.gates.records import WaiverState
from muster.packaging.documents import Card, DataSource
from muster.registry.records import Version
from muster.release.errors import (
    GlassClosed,
    GlassUnfit,
    NothingToRollBackTo,
    OwnWork,
    ReleaseStateUnfit,
    RollBackRefused,
    ScheduleMalformed,
    SwitchUnderWay,
)
from muster.release.records import GlassState, Release
from muster.standards.document import read_standard, ready_text
from muster.standards.errors import Frozen, StandardMalformed, StandardNotMet
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.digests import digest_of
from muster.vocabulary.states import ReleaseState, VersionState

STANDARD = """
format = 1
name = "bank"
"""
CARD = Card(
    intended_use="Whom to call.",
    limitations="Not for companies.",
    risk_tier="medium",
    business_metric="churn",
    licences=("CC-BY-4.0",),
    deputy="sam",
)
DATA = (DataSource(name="training", uri="s3://bucket/churn.parquet", from_="2025-01-01", to="2026-01-01"),)


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    """A factory with people in every role; on a Saturday, at half past nine."""
    return GovernedFactory(database, tmp_path, clock)


@pytest.fixture
def front(factory: GovernedFactory) -> ObedientFront:
    """A front that is connected, and does as it is told."""
    made = ObedientFront(factory)
    made.poll()
    return made


def followed(factory: GovernedFactory, front: ObedientFront, release: Release) -> Release:
    """The release after the front has had time to load and to switch."""
    for _ in range(3):
        front.follow()
        factory.releases.advance()
    return factory.releases.release(factory.call("vic"), release.endpoint, release.number)


# What a bundle must carry, and a certificate hold.


def test_the_regulated_standard_from_registering_to_live(factory: GovernedFactory, front: ObedientFront) -> None:
    """With the whole card two approvers accept it, a third one lets it go live, on a working day."""
    factory.clock.at = datetime(2026, 11, 18, 9, 30, tzinfo=UTC)
    factory.adopt(ready_text("regulated"))
    bare = factory.certified()
    with pytest.raises(StandardNotMet) as told:
        factory.approvals.accept(factory.call("paul"), bare.name, "good")
    lacking = {str(one).split(": ")[1] for one in told.value.facts["findings"]}
    assert lacking == {
        "notebook", "intended-use", "limitations", "risk-tier", "data-sources", "data-spans", "licences", "deputy",
        "business-metric",
    }  # fmt: skip
    version = factory.certified(card=CARD, data=DATA, notebook=True)
    factory.clock.at += timedelta(seconds=1)
    with factory.database.write() as tx:
        add_certificate(tx, version, factory.clock, checks=("golden-answers",))
    factory.approvals.accept(factory.call("paul"), version.name, "good")
    accepted = factory.approvals.accept(factory.call("petra"), version.name, "good")
    assert accepted.state is VersionState.ACCEPTED
    release = factory.propose(accepted)
    approved = factory.releases.approve(factory.call("piet"), release.endpoint, release.number, "good")
    assert followed(factory, front, approved).state is ReleaseState.LIVE


def test_a_certificate_lasts_as_long_as_the_standard_says(factory: GovernedFactory) -> None:
    """After its time neither gate lets the version through; another certificate does."""
    factory.adopt(STANDARD + '[certificate]\nvalid = "10d"\n')
    accepted = factory.accepted()
    release = factory.propose(accepted)
    factory.clock.at += timedelta(days=10)
    with pytest.raises(StandardNotMet) as told:
        factory.releases.approve(factory.call("paul"), release.endpoint, release.number, "good")
    assert "certificate" in told.value.facts["findings"][0]
    with factory.database.write() as tx:
        add_certificate(tx, accepted, factory.clock)
    assert factory.approve(release).state is ReleaseState.APPROVED


def test_limits_are_asked_for_at_their_gate(factory: GovernedFactory) -> None:
    """A latency limit at go-live does not hinder acceptance, and refuses there with figure and limit."""
    factory.adopt(STANDARD + '[checks.one-row-latency]\ngate = "go-live"\nlimit = 0.25\n')
    release = factory.propose(factory.accepted())
    with pytest.raises(StandardNotMet, match=r"0\.5 is more than 0\.25"):
        factory.approve(release)


def test_a_check_that_a_gate_looks_for_is_put(factory: GovernedFactory) -> None:
    """Naming it is enough, unless it is not needed; `run` has the last word."""
    factory.adopt(
        STANDARD
        + "[checks.against-champion]\noptions = { margin = 0.01 }\n"
        + "[checks.calibration]\nneeded = false\n"
        + "[checks.robustness]\nrun = false\n"
        + "[checks.load]\nneeded = false\nrun = true\n"
    )
    wanted = factory.governance.standards.wanted("default", factory.certified())
    assert wanted is not None
    assert wanted.run == {"against-champion": True, "robustness": False, "load": True}


def test_each_version_is_held_against_its_own_risk_tier(factory: GovernedFactory) -> None:
    """A champion of high risk takes two approvals for the release, whatever the challenger takes."""
    factory.adopt(STANDARD + "[tiers.high.gates.go-live]\napprovals = [{ count = 2 }]\n")
    release = factory.propose(factory.accepted(), factory.accepted(card=Card(risk_tier="high")))
    first = factory.approve(release)
    assert (first.state, first.missing) == (ReleaseState.PROPOSED, ("approval by 1 person with the right to it",))
    second = factory.releases.approve(factory.call("adele"), release.endpoint, release.number, "good")
    assert second.state is ReleaseState.APPROVED


def test_a_misspelt_risk_tier_passes_no_gate(factory: GovernedFactory) -> None:
    """It would get the rules that hold beside the tiers; two people may say that it shall."""
    factory.adopt(
        STANDARD + '[bundle]\nrequire = ["risk-tier"]\n[tiers.high.gates.acceptance]\napprovals = [{ count = 2 }]\n'
    )
    version = factory.certified(card=Card(risk_tier="hihg"))
    with pytest.raises(StandardNotMet, match="hihg"):
        factory.approvals.accept(factory.call("petra"), version.name, "good")
    reviews, ends = factory.governance.reviews, factory.clock.now() + timedelta(days=2)
    waiver = reviews.ask_waiver(factory.call("ana"), version.name, "risk-tier", ends, "it is medium in effect")
    reviews.decide_waiver(factory.call("adele"), waiver.id, WaiverState.GRANTED, "so it is")
    assert factory.approvals.accept(factory.call("petra"), version.name, "good").state is VersionState.ACCEPTED


def test_a_standard_that_names_an_unknown_check_is_refused(factory: GovernedFactory) -> None:
    """A limit that is misspelt must not be silently without effect."""
    with pytest.raises(StandardMalformed, match="there is no such check"):
        factory.standards.propose(factory.call("ana"), STANDARD + "[checks.one-row-latencies]\nlimit = 1\n", "so")


@pytest.mark.parametrize("where", ["gates.go-live", "tiers.high.gates.acceptance"])
def test_a_standard_that_asks_for_a_role_that_nobody_can_have_is_refused(factory: GovernedFactory, where: str) -> None:
    """Its gate could never be passed, and nobody would see why; a role of the project's own is one."""
    text = STANDARD + f"[{where}]\napprovals = [{{ role = 'pope' }}]\n"
    with pytest.raises(StandardMalformed, match=f"{where} asks for the role 'pope'"):
        factory.standards.propose(factory.call("ana"), text, "so")
    CustomRoles(factory.database, factory.journal, factory.board, factory.clock).put(
        factory.call("adele"), "pope", ["read", "accept", "approve"]
    )
    assert factory.standards.propose(factory.call("ana"), text, "so").number == 1


@pytest.mark.parametrize("name", ["nonsense", "standard", "No Check!"])
def test_only_what_there_is_can_be_waived(factory: GovernedFactory, name: str) -> None:
    """And what the check `standard` finds one by one: a waiver of it would hold at one gate and not at the other."""
    version = _bare(factory)
    with pytest.raises(WaiverMalformed, match="nothing called") as refused:
        factory.governance.reviews.ask_waiver(
            factory.call("ana"), version.name, name, factory.clock.now() + timedelta(days=1), "so"
        )
    known = refused.value.facts["known"]
    assert isinstance(known, list)
    assert {"notebook", "golden-answers", "certificate"} <= set(known)


def test_what_is_waived_is_told_to_whoever_certifies(factory: GovernedFactory) -> None:
    """The check `standard` counts only what nobody waived, and names the rest with the waiver."""
    version = _bare(factory)
    limits = StandardLimits(factory.standards)

    def found() -> Finding:
        asked = limits.limits("default", version)
        with ExitStack() as stack:
            return MeetsStandard().answer(
                cast("Bench", SimpleNamespace(lacks=asked.lacks, forgiven=asked.forgiven)), stack
            )

    lacking = "notebook: no notebook tells how the author got there"
    assert found() == Finding(passed=False, figure=1, limit=0, detail=lacking)
    waived(factory, version, "notebook", factory.clock.now() + timedelta(days=1))
    asked = found()
    assert (asked.passed, asked.figure) == (True, 0)
    assert asked.detail.startswith(f"{lacking} (waived until ")
    assert asked.detail.endswith(" by adele)")


@dataclass
class Found:
    """A bench on which every version is fast, and the other checks come out as told."""

    checks: dict[str, bool]

    def examine(self, *_told: object, **_asked: object) -> Examined:
        fast = Check(name=LATENCY_CHECK, passed=True, figure=0.5, limit=1000.0, figures=latency(1.0).figures())
        others = (Check(name=name, passed=passed, figure=1, limit=1) for name, passed in self.checks.items())
        return Examined(
            checks=(fast, *others),
            environment=digest_of(b"environment"),
            hardware="a machine",
        )


def examined(factory: GovernedFactory, version: Version, twin: TwinOrder | None = None, **checks: bool) -> None:
    """Have a version examined again, some time later."""
    factory.clock.at += timedelta(seconds=1)
    factory.certification.certify(factory.call("ana"), version.name, twin)
    claimed = factory.sessions.claim("e1", ["certification"])
    assert claimed is not None
    found = {name.replace("_", "-"): passed for name, passed in checks.items()}
    factory.certification.run(claimed, lambda _: None, Found(found))  # type: ignore[arg-type]


def waived(factory: GovernedFactory, version: Version, check: str, until: datetime) -> None:
    reviews = factory.governance.reviews
    waiver = reviews.ask_waiver(factory.call("ana"), version.name, check, until, "known")
    reviews.decide_waiver(factory.call("adele"), waiver.id, WaiverState.GRANTED, "for now")


def test_an_examination_that_fails_counts_for_more_than_an_older_certificate(
    factory: GovernedFactory, front: ObedientFront
) -> None:
    """At both gates, in the dry run, and at the moment of a release that was approved before; until another passes, or a waiver says so."""
    factory.clock.at = MONDAY - timedelta(days=1)
    live = factory.live(factory.accepted(), fronts=(front,))
    version, served = factory.certified(), factory.registry.version(factory.call("vic"), live.versions[0])
    for one in (version, served):
        examined(factory, one, golden_answers=False, contract_holds=True)
    with pytest.raises(StandardNotMet, match="golden-answers: the check failed"):
        factory.approvals.accept(factory.call("petra"), version.name, "good")
    (found,) = factory.governance.dry_runs.run(factory.call("vic"), read_standard(STANDARD))
    assert [lack.name for lack in found.lacks] == ["golden-answers"]
    optional = STANDARD + "[checks.golden-answers]\nneeded = false\n"
    (found,) = factory.governance.dry_runs.run(factory.call("vic"), read_standard(optional))
    assert found.lacks == ()
    examined(factory, version, golden_answers=True, contract_holds=True)
    accepted = factory.approvals.accept(factory.call("petra"), version.name, "good")
    release = factory.propose(accepted)
    factory.releases.approve(factory.call("paul"), "churn", release.number, "on Monday", at=MONDAY)
    examined(factory, version, golden_answers=False)
    with pytest.raises(StandardNotMet, match="golden-answers"):
        factory.approve(factory.propose(accepted, endpoint="other"))
    waived(factory, accepted, "golden-answers", MONDAY)
    assert factory.approve(factory.propose(accepted, endpoint="other")).state is ReleaseState.APPROVED
    factory.clock.at = MONDAY
    ended = followed(factory, front, release)
    assert (ended.state, "golden-answers" in (ended.failure or "")) == (ReleaseState.FAILED, True)


def test_what_fails_of_a_twin_says_nothing_of_the_version(factory: GovernedFactory) -> None:
    """Nor does a bundle's lack at that time: it is looked at anew at each gate. An examination that was broken off says nothing, either."""
    version = factory.certified()
    examined(factory, version, TwinOrder(), golden_answers=True, twin_agrees=False)
    assert factory.approvals.accept(factory.call("petra"), version.name, "good").state is VersionState.ACCEPTED
    examined(factory, version, golden_answers=True, standard=False)
    factory.certification.certify(factory.call("ana"), version.name)
    claimed = factory.sessions.claim("e1", ["certification"])
    assert claimed is not None
    factory.sessions.interrupt(claimed, "stopped")
    assert factory.approve(factory.propose(version)).state is ReleaseState.APPROVED


def test_a_dry_run_names_what_is_served_and_would_fail(factory: GovernedFactory, front: ObedientFront) -> None:
    """Every version of a current release, with what it would lack; nothing changes."""
    live = factory.live(factory.accepted(), fronts=(front,))
    factory.propose(factory.accepted(), endpoint="other")
    found = factory.governance.dry_runs.run(factory.call("vic"), read_standard(ready_text("internal")))
    (one,) = found
    assert (one.version, one.endpoints) == (live.versions[0], ("churn",))
    assert {lack.name for lack in one.lacks} == {"intended-use", "data-sources"}
    assert factory.governance.dry_runs.run(factory.call("vic", "other"), read_standard(STANDARD)) == ()


# Waivers.


def _bare(factory: GovernedFactory) -> Version:
    """A version that lacks its notebook."""
    factory.adopt(STANDARD + '[bundle]\nrequire = ["notebook"]\n')
    return factory.certified()


def test_a_waiver_takes_two_people_and_ends(factory: GovernedFactory) -> None:
    """Ana asks, paul grants; until its end the version passes, after it the release does not."""
    version = _bare(factory)
    reviews = factory.governance.reviews
    ends = factory.clock.now() + timedelta(days=3)
    asked = reviews.ask_waiver(factory.call("ana"), version.name, "notebook", ends, "lost")
    with pytest.raises(StandardNotMet):
        factory.approvals.accept(factory.call("petra"), version.name, "good")
    with pytest.raises(WaiverNotFound):
        reviews.decide_waiver(factory.call("paul", "other"), asked.id, WaiverState.GRANTED, "elsewhere")
    granted = reviews.decide_waiver(factory.call("paul"), asked.id, WaiverState.GRANTED, "once")
    assert (granted.state, granted.decided_by) == (WaiverState.GRANTED, "paul")
    accepted = factory.approvals.accept(factory.call("petra"), version.name, "good")
    release = factory.propose(accepted)
    factory.clock.at += timedelta(days=3)
    with pytest.raises(StandardNotMet):
        factory.approve(release)
    with pytest.raises(WaiverStateUnfit):
        reviews.decide_waiver(factory.call("petra"), asked.id, WaiverState.REFUSED, "too late")


def test_nobody_grants_a_waiver_to_themselves_nor_to_their_own_work(factory: GovernedFactory) -> None:
    """Not who asked, not an owner, not a role without the right."""
    version = _bare(factory)
    owned = factory.certified(owners=("petra",))
    reviews = factory.governance.reviews
    ends = factory.clock.now() + timedelta(days=3)
    asked = reviews.ask_waiver(factory.call("paul"), version.name, "notebook", ends, "lost")
    hers = reviews.ask_waiver(factory.call("ana"), owned.name, "notebook", ends, "lost")
    for name, waiver, error in (("paul", asked, WaiverOwn), ("petra", hers, WaiverOwn), ("olga", asked, RightMissing)):
        with pytest.raises(error):
            reviews.decide_waiver(factory.call(name), waiver.id, WaiverState.GRANTED, "fine")
    with pytest.raises(WaiverMalformed):
        reviews.ask_waiver(factory.call("ana"), version.name, "notebook", factory.clock.now(), "past")
    with pytest.raises(WaiverMalformed):
        reviews.ask_waiver(factory.call("ana"), version.name, "No Check!", ends, "none")
    with pytest.raises(RightMissing):
        reviews.ask_waiver(factory.call("vic"), version.name, "notebook", ends, "none")


def test_a_waiver_is_for_one_version(factory: GovernedFactory) -> None:
    """Pinned to the digest: the next version lacks it again."""
    version = _bare(factory)
    reviews = factory.governance.reviews
    asked = reviews.ask_waiver(
        factory.call("ana"), version.name, "notebook", factory.clock.now() + timedelta(days=3), "lost"
    )
    reviews.decide_waiver(factory.call("paul"), asked.id, WaiverState.GRANTED, "once")
    with pytest.raises(StandardNotMet):
        factory.approvals.accept(factory.call("petra"), factory.certified().name, "good")


# Freezes and moments.

FREEZE = STANDARD + '[[freeze]]\nweekly = "fri 16:00 - mon 06:00"\nreason = "nobody is here"\n'
MONDAY = datetime(2026, 11, 23, 6, 0, tzinfo=UTC)


def test_nothing_goes_live_in_a_freeze(factory: GovernedFactory, front: ObedientFront) -> None:
    """On Saturday it is refused, and says until when; for Monday it can be approved on Saturday."""
    factory.live(factory.accepted(), fronts=(front,))
    factory.live(factory.accepted(), fronts=(front,))
    factory.adopt(FREEZE)
    release = factory.propose(factory.accepted())
    with pytest.raises(Frozen) as told:
        factory.approve(release)
    assert told.value.facts["over"] == "2026-11-23T06:00:00.000000Z"
    approved = factory.releases.approve(factory.call("paul"), "churn", release.number, "on Monday", at=MONDAY)
    assert (approved.state, approved.live_from) == (ReleaseState.APPROVED, MONDAY)


def test_a_release_goes_live_at_the_moment_it_was_approved_for(factory: GovernedFactory, front: ObedientFront) -> None:
    """Loaded shortly before, switched to at the moment and no sooner, by whatever process runs then."""
    first = factory.live(factory.accepted(), fronts=(front,))
    release = factory.propose(factory.accepted())
    factory.releases.approve(factory.call("paul"), "churn", release.number, "on Monday", at=MONDAY)
    assert followed(factory, front, release).state is ReleaseState.APPROVED
    assert factory.told() == (first.number, None, None)
    factory.start()  # control was killed, and another one goes on
    front.poll()
    factory.clock.at = MONDAY - timedelta(minutes=1)
    followed(factory, front, release)
    assert factory.told()[:2] == (first.number, release.number)
    factory.clock.at = MONDAY - timedelta(microseconds=1)
    assert followed(factory, front, release).state is ReleaseState.APPROVED
    factory.clock.at = MONDAY
    assert followed(factory, front, release).state is ReleaseState.LIVE


def test_the_first_release_of_an_endpoint_may_have_a_moment(factory: GovernedFactory, front: ObedientFront) -> None:
    """Nothing was ever published for it; control was away at the moment itself, and catches up."""
    release = factory.propose(factory.accepted())
    factory.releases.approve(factory.call("paul"), "churn", release.number, "on Monday", at=MONDAY)
    factory.clock.at = MONDAY + timedelta(hours=1)
    assert followed(factory, front, release).state is ReleaseState.LIVE


def test_a_release_waits_for_another_that_is_being_loaded_at_its_moment(
    factory: GovernedFactory, front: ObedientFront
) -> None:
    """One after the other; in the end the one with the moment is live."""
    release, other = factory.propose(factory.accepted()), factory.propose(factory.accepted())
    factory.releases.approve(factory.call("paul"), "churn", release.number, "on Monday", at=MONDAY)
    factory.clock.at = MONDAY - timedelta(minutes=3)
    factory.approve(other)
    factory.clock.at = MONDAY
    factory.releases.advance()
    assert factory.told()[:2] == (None, other.number)
    assert followed(factory, front, other).state in {ReleaseState.LIVE, ReleaseState.SUPERSEDED}
    assert followed(factory, front, release).state is ReleaseState.LIVE


def test_the_latest_moment_that_an_approver_named_counts(factory: GovernedFactory) -> None:
    """Paul agrees for Monday, adele at once: it is Monday."""
    factory.adopt(STANDARD + "[gates.go-live]\napprovals = [{ count = 2 }]\n")
    release = factory.propose(factory.accepted())
    factory.releases.approve(factory.call("paul"), "churn", release.number, "on Monday", at=MONDAY)
    found = factory.releases.approve(factory.call("adele"), "churn", release.number, "good")
    assert found.live_from == MONDAY


@pytest.mark.parametrize("what", ["standard", "freeze", "ban", "removed", "adopted while it is loaded"])
def test_a_moment_is_cancelled_by_what_holds_then(factory: GovernedFactory, front: ObedientFront, what: str) -> None:
    """The gate is decided again at the moment: another standard, a freeze, a ban, a voter who is gone."""
    first = factory.live(factory.accepted(), fronts=(front,))
    release = factory.propose(factory.accepted())
    factory.releases.approve(factory.call("paul"), "churn", release.number, "on Monday", at=MONDAY)
    more = {
        "standard": STANDARD + '[bundle]\nrequire = ["notebook"]\n',
        "adopted while it is loaded": STANDARD + '[bundle]\nrequire = ["notebook"]\n',
        "freeze": STANDARD + '[[freeze]]\nfrom = 2026-11-23T00:00:00Z\nto = 2026-11-24T00:00:00Z\nreason = "audit"\n',
    }
    if what in {"standard", "freeze"}:
        factory.adopt(more[what])
    elif what == "ban":
        factory.registry.ban(factory.call("paul"), release.versions[0], "leaks")
    elif what == "removed":
        with factory.database.write() as tx:
            factory.give_role(tx, "paul", AccessRole.VIEWER)
    factory.clock.at = MONDAY - timedelta(minutes=1)
    followed(factory, front, release)
    if what in more and what not in {"standard", "freeze"}:
        factory.adopt(more[what])
    factory.clock.at = MONDAY
    found = followed(factory, front, release)
    assert found.state is ReleaseState.FAILED
    assert found.failure is not None
    assert factory.told()[:2] == (first.number, None)
    assert [action for _, action in factory.events(release.subject)][-1] == "release.failed"


def test_moments_that_are_none_and_two_at_once(factory: GovernedFactory) -> None:
    """A moment is to come, within a year; only one release of an endpoint waits for one; another may go live meanwhile."""
    release, second = factory.propose(factory.accepted()), factory.propose(factory.accepted())
    for at in (factory.clock.now(), factory.clock.now() + timedelta(days=400)):
        with pytest.raises(ScheduleMalformed):
            factory.releases.approve(factory.call("paul"), "churn", release.number, "when?", at=at)
    factory.releases.approve(factory.call("paul"), "churn", release.number, "on Monday", at=MONDAY)
    with pytest.raises(SwitchUnderWay, match="waits for its moment"):
        factory.releases.approve(factory.call("paul"), "churn", second.number, "then, too", at=MONDAY)
    assert factory.approve(second).state is ReleaseState.APPROVED


def test_a_release_that_waits_for_its_moment_is_withdrawn(factory: GovernedFactory) -> None:
    """And is not loaded when the moment comes."""
    release = factory.propose(factory.accepted())
    factory.releases.approve(factory.call("paul"), "churn", release.number, "on Monday", at=MONDAY)
    factory.releases.withdraw(factory.call("ana"), "churn", release.number, "no longer")
    factory.clock.at = MONDAY
    factory.releases.advance()
    assert factory.told() == (None, None, None)


# Broken glass.


def _broken(factory: GovernedFactory, front: ObedientFront) -> tuple[Release, Release]:
    """A release that was live, and one for which olga broke the glass, in a freeze."""
    first = factory.live(factory.accepted(), fronts=(front,))
    factory.adopt(FREEZE + '[break_glass]\nconfirm_within = "2h"\n[gates.go-live]\napprovals = [{ count = 2 }]\n')
    release = factory.propose(factory.accepted())
    return first, factory.releases.break_glass(factory.call("olga"), "churn", release.number, "it must be now")


def test_broken_glass_is_live_at_once_and_confirmed_by_others(factory: GovernedFactory, front: ObedientFront) -> None:
    """Two people who did not break it confirm it, and then it stays."""
    _, broken = _broken(factory, front)
    assert broken.glass is not None
    assert broken.glass.confirm_by == factory.clock.now() + timedelta(hours=2)
    assert followed(factory, front, broken).state is ReleaseState.LIVE
    with factory.database.read() as tx:
        entry = next(
            e for e in factory.journal.entries(tx, 0, 1000, broken.subject) if e.action == "release.glass-broken"
        )
    assert entry.actor == "olga"
    assert '"freeze":"every week' in entry.details
    first = factory.releases.confirm(factory.call("paul"), "churn", broken.number, "right")
    assert first.missing == ("approval by 1 person with the right to it",)
    factory.releases.confirm(factory.call("paul"), "churn", broken.number, "right, I say")
    confirmed = factory.releases.confirm(factory.call("adele"), "churn", broken.number, "right")
    assert confirmed.glass is not None
    assert confirmed.glass.state is GlassState.CONFIRMED
    factory.clock.at += timedelta(hours=3)
    assert followed(factory, front, broken).state is ReleaseState.LIVE
    with pytest.raises(GlassClosed):
        factory.releases.confirm(factory.call("petra"), "churn", broken.number, "again")


def test_broken_glass_that_nobody_confirms_is_rolled_back(factory: GovernedFactory, front: ObedientFront) -> None:
    """To the moment, by whatever process runs then, once; and the release never becomes current again."""
    first, broken = _broken(factory, front)
    followed(factory, front, broken)
    factory.releases.confirm(factory.call("paul"), "churn", broken.number, "one of two")
    factory.clock.at += timedelta(hours=2) - timedelta(microseconds=1)
    assert followed(factory, front, broken).current
    factory.start()  # control was killed, and another one goes on
    front.poll()
    factory.clock.at += timedelta(microseconds=1)
    factory.releases.advance()
    factory.releases.advance()
    assert factory.told()[0] == first.number
    found = followed(factory, front, broken)
    assert (found.state, found.current) == (ReleaseState.SUPERSEDED, False)
    assert found.glass is not None
    assert found.glass.state is GlassState.ROLLED_BACK
    events = factory.events()
    assert events.count(("muster", "release.rolled-back")) == 1
    assert events.count(("muster", "release.glass-expired")) == 1
    with pytest.raises(RollBackRefused, match="without its approvals"):
        factory.releases.rollback(factory.call("olga"), "churn", "once more", to=broken.number)
    with pytest.raises(GlassClosed):
        factory.releases.confirm(factory.call("adele"), "churn", broken.number, "too late")
    with pytest.raises(NothingToRollBackTo):
        factory.releases.rollback(factory.call("olga"), "churn", "once more")


def test_broken_glass_that_no_front_could_load_fails_in_time(factory: GovernedFactory, front: ObedientFront) -> None:
    """It is approved and not served yet when its time is over: then it fails."""
    first, broken = _broken(factory, front)
    factory.clock.at += timedelta(hours=2)
    factory.releases.advance()
    found = factory.releases.release(factory.call("vic"), "churn", broken.number)
    assert (found.state, factory.told()[:2]) == (ReleaseState.FAILED, (first.number, None))


def test_broken_glass_is_overtaken_by_a_release_that_passed_its_gate(
    factory: GovernedFactory, front: ObedientFront
) -> None:
    """Then nothing is rolled back: what is served has its approvals."""
    _, broken = _broken(factory, front)
    followed(factory, front, broken)
    factory.adopt(STANDARD)
    following = factory.approve(factory.propose(factory.accepted()))
    assert followed(factory, front, following).state is ReleaseState.LIVE
    factory.clock.at += timedelta(hours=2)
    factory.releases.advance()
    found = factory.releases.release(factory.call("vic"), "churn", broken.number)
    assert found.glass is not None
    assert found.glass.state is GlassState.OVERTAKEN
    assert factory.told()[0] == following.number


def test_who_breaks_the_glass_has_no_part_in_it_and_does_not_confirm(
    factory: GovernedFactory, front: ObedientFront
) -> None:
    """Not for one's own work, not without the right, not where nothing was served; and nobody confirms what they broke."""
    with pytest.raises(GlassUnfit):
        factory.releases.break_glass(factory.call("olga"), "churn", factory.propose(factory.accepted()).number, "now")
    factory.live(factory.accepted(), fronts=(front,))
    hers = factory.propose(factory.accepted(owners=("olga",)))
    with pytest.raises(OwnWork):
        factory.releases.break_glass(factory.call("olga"), "churn", hers.number, "now")
    other = factory.propose(factory.accepted())
    with pytest.raises(RightMissing):
        factory.releases.break_glass(factory.call("paul"), "churn", other.number, "now")
    factory.releases.break_glass(factory.call("adele"), "churn", other.number, "now")
    with pytest.raises(OwnWork):
        factory.releases.confirm(factory.call("adele"), "churn", other.number, "right")
    with pytest.raises(RightMissing):
        factory.releases.confirm(factory.call("olga"), "churn", other.number, "right")
    with factory.database.write() as tx:
        factory.give_role(tx, "adele", AccessRole.ADMIN)
    factory.governance.delegations.delegate(
        factory.call("paul"), "adele", factory.clock.now() + timedelta(days=1), "on leave"
    )
    with pytest.raises(OwnWork):
        factory.releases.confirm(factory.call("adele"), "churn", other.number, "for paul", for_person="paul")
    with pytest.raises(ReleaseStateUnfit):
        factory.releases.break_glass(factory.call("adele"), "churn", other.number, "twice")


def test_nobody_delegates_their_confirmation_of_what_they_broke(factory: GovernedFactory, front: ObedientFront) -> None:
    """Adele broke it, and names paul, whose word for her counts no more than hers."""
    factory.live(factory.accepted(), fronts=(front,))
    release = factory.propose(factory.accepted())
    factory.releases.break_glass(factory.call("adele"), "churn", release.number, "now")
    factory.governance.delegations.delegate(
        factory.call("adele"), "paul", factory.clock.now() + timedelta(days=1), "on leave"
    )
    with pytest.raises(PartInIt):
        factory.releases.confirm(factory.call("paul"), "churn", release.number, "for her", for_person="adele")
