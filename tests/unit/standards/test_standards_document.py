"""A standard as a document: what is read, what is refused, what a tier changes, when a freeze holds."""

import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import hypothesis.strategies as st
import pytest
from hypothesis import given, settings

from muster.gates.records import Gate, Need
from muster.standards.document import (
    LEAST_REQUESTS,
    READY,
    REQUIREMENTS,
    LiveTestRule,
    read_standard,
    ready,
    ready_text,
)
from muster.standards.durations import span_of, span_text
from muster.standards.errors import StandardMalformed, StandardNotFound
from muster.standards.evaluation import (
    BundleFacts,
    CheckFound,
    Evidence,
    LiveTestFound,
    broken_limits,
    lacks_of_bundle,
    lacks_of_evidence,
    lacks_of_live_test,
    unwaived,
)
from muster.standards.freezes import Freeze, freeze_of

HEAD = 'format = 1\nname = "bank"\n'
NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)


@pytest.mark.parametrize("name", READY)
def test_the_ready_ones_are_standards(name: str) -> None:
    """Each can be read, has its own name, and says what it is for."""
    read = ready(name)
    assert read.name == name
    assert read.description


def test_exploration_asks_for_what_was_always_asked() -> None:
    """One person at each gate, whoever has the right, and nothing else."""
    base = ready("exploration").base
    assert (base.require, base.checks, base.valid, base.freezes) == ((), {}, None, ())
    assert {rule.approvals for rule in base.gates.values()} == {(Need(count=1),)}
    assert not any(rule.disjoint or rule.expires for rule in base.gates.values())


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "Object missing required field `format`"),
        ("format = 2\nname = 'x'", "format 2"),
        ("format = [1", "no TOML"),
        (HEAD + "colour = 'red'", "unknown field `colour`"),
        (HEAD + "[gates.accepting]\napprovals = []", "unknown field `accepting`"),
        (HEAD + "[gates.acceptance]\napprovals = []", "1 to 20 approvals"),
        (HEAD + "[gates.acceptance]\napprovals = [{ count = 0 }]", "1 to 20 approvals"),
        (HEAD + "[gates.acceptance]\napprovals = [{ count = 12 }, { count = 9 }]", "1 to 20 approvals"),
        (HEAD + "[gates.acceptance]\napprovals = [{ role = 'A Person' }]", "role"),
        (HEAD + "[gates.go-live]\nexpires = '30'", "not like 180d"),
        (HEAD + "[certificate]\nvalid = '0d'", "not like 180d"),
        (HEAD + "[certificate]\nvalid = '999999d'", "ten years"),
        (HEAD + "[bundle]\nrequire = ['notes']", "Invalid enum value 'notes'"),
        (HEAD + "[checks.golden-answers]\nlimit = -1", "0 or more"),
        (HEAD + "[checks.golden-answers]\nlimit = nan", "0 or more"),
        (HEAD + "[checks.golden-answers]\nlimit = inf", "0 or more"),
        (HEAD + "[checks.golden-answers]\ngate = 'standard'", "Invalid enum value"),
        (HEAD + "[[freeze]]\nreason = 'x'", "either from and to, or weekly"),
        (HEAD + "[[freeze]]\nreason = ' '\nweekly = 'fri 16:00 - mon 06:00'", "says why"),
        (HEAD + "[[freeze]]\nreason = 'x'\nweekly = 'fri 24:00 - mon 06:00'", "not like"),
        (HEAD + "[[freeze]]\nreason = 'x'\nweekly = 'fri 16:00 - fri 16:00'", "same minute"),
        (HEAD + "[[freeze]]\nreason = 'x'\nweekly = 'fri 16:00 - mon 06:00'\ntimezone = '../etc/passwd'", "timezone"),
        (HEAD + "[[freeze]]\nreason = 'x'\nfrom = 2026-01-02\nto = 2026-01-01T00:00:00Z", "freeze"),
        (HEAD + "[[freeze]]\nreason = 'x'\nfrom = 2026-01-02T00:00:00Z\nto = 2026-01-01T00:00:00Z", "ends before"),
        (HEAD + "[tiers.high]\nname = 'other'", "the same for all tiers"),
        (HEAD + "[tiers.'Very High']\nbundle = {}", "risk tier"),
        (HEAD + "[tiers.high.gates.acceptance]\napprovals = []", "tiers.high.gates.acceptance"),
        (HEAD + "[tiers.high.gates.standard]\napprovals = [{ count = 9 }]", "gates.standard is the same for all tiers"),
        (HEAD + "[tiers.high]\ngates = 3", "tiers.high"),
        ("format = 1\nname = 'A Bank'", "standard"),
        (HEAD + "description = '" + "x" * 100_001 + "'", "more than 100000 bytes"),
    ],
)
def test_what_is_no_standard_is_refused_and_says_where(text: str, told: str) -> None:
    """A rule that is misspelt must not be silently without effect."""
    with pytest.raises(StandardMalformed, match=None) as refused:
        read_standard(text)
    assert told in refused.value.message


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=200) | st.builds(lambda t: HEAD + t, st.text(alphabet="[]{}='\"\n.abfgz0-: ", max_size=80)))
def test_any_text_is_a_standard_or_refused(text: str) -> None:
    """Nothing else than the one error comes out of reading."""
    with contextlib.suppress(StandardMalformed):
        read_standard(text)


def test_there_is_no_other_ready_one() -> None:
    """Neither by another name nor by a path."""
    for name in ("bank", "../ready/internal", ""):
        with pytest.raises(StandardNotFound):
            ready_text(name)


def test_a_tier_is_laid_over_the_tables() -> None:
    """Key by key; lists are replaced; an unknown tier, or none, is the base."""
    read = read_standard(
        HEAD
        + """
[bundle]
require = ["owner", "notebook"]
[gates.acceptance]
approvals = [{ role = "approver", count = 2 }]
expires = "30d"
[tiers.low.bundle]
require = ["owner"]
[tiers.low.gates.acceptance]
approvals = [{ count = 1 }]
"""
    )
    low, base = read.of_tier("low"), read.of_tier("unheard-of")
    assert base == read.of_tier(None)
    assert (low.require, base.require) == (("owner",), ("owner", "notebook"))
    assert low.gates[Gate.ACCEPTANCE].approvals == (Need(count=1),)
    assert low.gates[Gate.ACCEPTANCE].expires == timedelta(days=30)


@pytest.mark.parametrize(
    ("tiers", "tier", "lacks"),
    [
        ("[tiers.high.certificate]\nvalid = '9d'\n[tiers.medium]\n", "hihg", ["risk-tier"]),
        ("[tiers.high.certificate]\nvalid = '9d'\n[tiers.medium]\n", "high", []),
        ("[tiers.high.certificate]\nvalid = '9d'\n[tiers.medium]\n", "medium", []),
        ("[tiers.high.certificate]\nvalid = '9d'\n[tiers.medium]\n", None, []),
        ("", "hihg", []),
    ],
)
def test_a_tier_that_the_standard_does_not_know_is_a_lack(tiers: str, tier: str | None, lacks: list[str]) -> None:
    """Whoever misspells it does not get the rules of another; where nothing is said of tiers each may be named, and one without a meaning has a remedy."""
    has = frozenset() if tier is None else frozenset({"risk-tier"})
    found = lacks_of_bundle(read_standard(HEAD + tiers).of_tier(tier), BundleFacts(tier=tier, has=has))
    assert [lack.name for lack in found] == lacks
    assert all("high, medium" in lack.problem and tier is not None and tier in lack.problem for lack in found)


def test_the_regulated_standard_knows_three_tiers() -> None:
    """Low, medium and high; it asks for one of them."""
    for tier in ("low", "medium", "high"):
        facts = BundleFacts(tier=tier, has=frozenset(REQUIREMENTS))
        assert lacks_of_bundle(ready("regulated").of_tier(tier), facts) == ()
    misspelt = BundleFacts(tier="hihg", has=frozenset(REQUIREMENTS))
    assert [lack.name for lack in lacks_of_bundle(ready("regulated").of_tier("hihg"), misspelt)] == ["risk-tier"]


def test_a_freeze_of_a_tier_takes_the_place_of_the_others() -> None:
    """As every list does."""
    freeze = "weekly = '{} 01:00 - {} 02:00'\nreason = 'x'\n"
    read = read_standard(
        HEAD + "[[freeze]]\n" + freeze.format("mon", "mon") + "[[tiers.high.freeze]]\n" + freeze.format("tue", "tue")
    )
    assert (len(read.base.freezes), len(read.of_tier("high").freezes)) == (1, 1)
    assert read.base.freezes != read.of_tier("high").freezes


def test_spans_are_written_as_they_are_read() -> None:
    """Whole minutes, hours, days."""
    for text in ("30m", "4h", "180d", "90m"):
        assert span_text(span_of(text, "here")) == text


def weekly(text: str, zone: str = "UTC") -> Freeze:
    """A freeze of every week."""
    return freeze_of(None, None, text, zone, "closed", where="freeze")


def test_a_weekly_freeze_by_the_wall_clock() -> None:
    """Over the end of the week, its first minute in, its last not; in summer and in winter at the same hour."""
    freeze = weekly("Fri 16:00 \u2013 mon 06:00", "Europe/Zurich")
    zone = ZoneInfo("Europe/Zurich")
    for month, friday in ((1, 9), (7, 10)):
        begins = datetime(2026, month, friday, 16, tzinfo=zone)
        ends = datetime(2026, month, friday + 3, 6, tzinfo=zone)
        assert not freeze.holds(begins - timedelta(microseconds=1))
        assert freeze.holds(begins)
        assert freeze.holds(ends - timedelta(microseconds=1))
        assert not freeze.holds(ends)
        assert freeze.over(begins) == ends


def test_a_freeze_over_a_night_on_which_clocks_are_set() -> None:
    """Its end is six o'clock on the wall, an hour earlier or later on the line of time."""
    freeze = weekly("sat 16:00 - sun 06:00", "Europe/Zurich")
    over = freeze.over(datetime(2026, 3, 28, 20, tzinfo=UTC))
    assert over == datetime(2026, 3, 29, 4, tzinfo=UTC)


@settings(max_examples=300, deadline=None)
@given(
    begins=st.integers(0, 7 * 1440 - 1),
    length=st.integers(1, 7 * 1440 - 1),
    zone=st.sampled_from(["UTC", "Europe/Zurich", "America/St_Johns", "Asia/Kathmandu"]),
    minutes=st.integers(0, 366 * 1440),
)
def test_a_freeze_that_holds_ends_when_it_says(begins: int, length: int, zone: str, minutes: int) -> None:
    """At `over` it holds no longer, and that lies ahead within a week (and the hour by which clocks are set)."""
    moment = datetime(2026, 1, 1, tzinfo=UTC) + timedelta(minutes=minutes)
    days = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
    ends = (begins + length) % (7 * 1440)
    text = " - ".join(f"{days[at // 1440]} {at % 1440 // 60:02}:{at % 60:02}" for at in (begins, ends))
    freeze = weekly(text, zone)
    if freeze.holds(moment):
        over = freeze.over(moment)
        assert moment - timedelta(hours=1) < over <= moment + timedelta(days=7, hours=1)
        # On a wall clock that is set back an hour comes twice, and the first of the two is meant.
        assert not freeze.holds(over) or freeze.holds(over - timedelta(hours=1))


def test_once_frozen() -> None:
    """From a moment to a moment; without an offset in the zone that is named."""
    text = (
        HEAD
        + '[[freeze]]\nfrom = 2026-12-24T00:00:00\nto = 2026-12-27T00:00:00\ntimezone = "Europe/Zurich"\nreason = "feast"\n'
    )
    (freeze,) = read_standard(text).base.freezes
    assert freeze.holds(datetime(2026, 12, 23, 23, tzinfo=UTC))
    assert not freeze.holds(datetime(2026, 12, 26, 23, tzinfo=UTC))


# What is missing.


def test_every_requirement_is_told_with_its_remedy() -> None:
    """A bundle that says nothing lacks everything that can be asked, each with what to do."""
    text = HEAD + f"[bundle]\nrequire = {list(REQUIREMENTS)}"
    lacks = lacks_of_bundle(read_standard(text).base, BundleFacts(tier=None, has=frozenset()))
    assert [lack.name for lack in lacks] == list(REQUIREMENTS)
    assert all(lack.problem and lack.remedy for lack in lacks)
    assert lacks_of_bundle(read_standard(text).base, BundleFacts(tier=None, has=frozenset(REQUIREMENTS))) == ()


def evidence(**checks: tuple[bool, float | None]) -> Evidence:
    """A certificate of now."""
    return Evidence(
        at=NOW,
        checks={
            name.replace("_", "-"): CheckFound(passed=passed, figure=figure)
            for name, (passed, figure) in checks.items()
        },
    )


def names(text: str, gate: Gate, found: Evidence | None, now: datetime = NOW) -> list[str]:
    """What is missing of the evidence."""
    return [lack.name for lack in lacks_of_evidence(read_standard(HEAD + text).base, gate, found, now)]


def test_a_limit_is_asked_for_at_its_gate_and_failing_at_every_gate() -> None:
    """A figure above the limit, a check that is not there, and one that failed."""
    text = '[checks.golden-answers]\ngate = "go-live"\nlimit = 2\n'
    above, good = evidence(golden_answers=(True, 3)), evidence(golden_answers=(True, 2))
    assert names(text, Gate.ACCEPTANCE, above) == []
    assert names(text, Gate.GO_LIVE, above) == ["golden-answers"]
    assert names(text, Gate.GO_LIVE, good) == []
    assert names(text, Gate.GO_LIVE, evidence()) == ["golden-answers"]
    failed = evidence(golden_answers=(False, 9), contract_holds=(False, 1))
    assert names(text, Gate.ACCEPTANCE, failed) == ["contract-holds", "golden-answers"]
    assert names(text + "needed = false\n", Gate.GO_LIVE, failed) == ["contract-holds"]


def test_a_certificate_grows_old_and_may_not_be_missing() -> None:
    """At its age to the moment; and where nothing is asked of it, none is asked for."""
    text = '[certificate]\nvalid = "10d"\n'
    assert names(text, Gate.ACCEPTANCE, evidence(), NOW + timedelta(days=10, microseconds=-1)) == []
    assert names(text, Gate.ACCEPTANCE, evidence(), NOW + timedelta(days=10)) == ["certificate"]
    assert names(text, Gate.ACCEPTANCE, None) == ["certificate"]
    assert names("", Gate.ACCEPTANCE, None) == []


def test_what_is_waived_is_not_missing() -> None:
    """By its name, and nothing beside it."""
    lacks = lacks_of_bundle(ready("internal").base, BundleFacts(tier=None, has=frozenset()))
    assert {lack.name for lack in unwaived(lacks, {"owner", "notebook"})} == {
        "release-notes",
        "intended-use",
        "data-sources",
    }


GOOD = LiveTestFound(
    subject="churn live-test 1", requests=5000, hours=24.0, errors=0.0, late=0.0, left_out=0.0, down=0.0,
    disagreement=0.1, unlike=0.0, shift=0.1, passed=True, outcome="", ended_at=NOW,
)  # fmt: skip


def livetest(*lines: str) -> LiveTestRule:
    """What a standard with these lines asks of live-tests."""
    rule = read_standard(HEAD + "\n".join(("[livetest]", *lines))).base.livetest
    assert rule is not None
    return rule


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({}, ()),
        ({"requests": 0}, ("it saw 0 requests, fewer than 100",)),
        ({"requests": LEAST_REQUESTS - 1}, ("it saw 99 requests, fewer than 100",)),
        ({"left_out": 0.51}, ("left out: 0.51 is more than 0.5",)),
        ({"down": 0.02}, ("down: 0.02 is more than 0.01",)),
        ({"unlike": 0.02}, ("unlike: 0.02 is more than 0.01",)),
        ({"unlike": None, "disagreement": None, "shift": None}, ()),
    ],
    ids=["good", "none", "few", "left-out", "down", "unlike", "nothing-compared"],
)
def test_a_live_test_of_nothing_keeps_to_no_rule(found: dict[str, object], told: tuple[str, ...]) -> None:
    """Shares of nothing are below any limit; what a standard does not say has a default that a trial of nothing breaks."""
    assert broken_limits(livetest("hours = 1"), replace(GOOD, **found)) == told  # type: ignore[arg-type]


def test_a_standard_can_ask_for_less_or_more_of_a_live_test() -> None:
    """Each default can be set, within its range; the span is one as everywhere."""
    rule = livetest("requests = 5", "max_left_out = 0.9", "max_down = 0.2", "max_unlike = 0.3", 'valid = "60d"')
    assert (rule.least_requests, rule.max_left_out, rule.max_down, rule.max_unlike) == (5, 0.9, 0.2, 0.3)
    assert rule.valid == timedelta(days=60)
    found = replace(GOOD, requests=5, left_out=0.9, down=0.2, unlike=0.3)
    assert broken_limits(rule, found) == ()
    assert len(broken_limits(livetest("requests = 6"), found)) == 4
    for wrong in ("max_left_out = 1.1", "max_down = -0.1", "max_unlike = nan", 'valid = "soon"'):
        with pytest.raises(StandardMalformed):
            livetest("requests = 5", wrong)


def test_a_shift_that_is_asked_for_needs_values_enough() -> None:
    """Where no index counts, the limit is not kept to."""
    found = replace(GOOD, shift=None)
    assert broken_limits(livetest("requests = 5", "max_shift = 9.0"), found) == (
        "shift: there was too little to compare with",
    )


def test_the_newest_live_test_counts_and_not_for_ever() -> None:
    """One that failed is a lack whatever passed before it; one that passed is, once it is too old, unless it is served since."""
    rule = livetest("requests = 5")
    assert lacks_of_live_test(rule, "churn", GOOD, NOW) == ()
    (failed,) = lacks_of_live_test(rule, "churn", replace(GOOD, passed=False, outcome="errors: 0.2"), NOW)
    assert str(failed) == "live-test: churn live-test 1 failed: errors: 0.2"
    later = NOW + timedelta(days=30)
    assert lacks_of_live_test(rule, "churn", GOOD, later - timedelta(seconds=1)) == ()
    (old,) = lacks_of_live_test(rule, "churn", GOOD, later)
    assert old.problem.endswith("and counts for 30 days")
    assert lacks_of_live_test(rule, "churn", GOOD, later, is_served=True) == ()
