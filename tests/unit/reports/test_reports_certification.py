"""The page of a certification: the verdict first, all of it text, small enough, and nothing beside it."""

import re
from itertools import pairwise

import msgspec
import pytest

from html_seen import FORBIDDEN, Seen
from made_reports import certified, check, curves, failing_rows, largest, refused, report
from muster.reports.certification import certification_report
from muster.vocabulary.states import SessionState, VersionState
from muster.wire.evidence import Bars, Curve, Grid, Histogram, Rows, Series
from muster.wire.reports import CertificationReport

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>\u202e{{7*7}}</style>'

PAGES = {"certified": certified(), "refused": refused(), "largest": largest(), "empty": report()}


@pytest.mark.parametrize("found", PAGES.values(), ids=PAGES)
def test_the_page_needs_nothing_beside_it(found: CertificationReport) -> None:
    """No element that fetches or runs, no address but places on the page, no style that fetches, and a policy that forbids it."""
    page = certification_report(found)
    seen = Seen(page)
    assert not FORBIDDEN & set(seen.tags)
    assert not [
        key for key, _ in seen.attributes if key.startswith("on") or key in {"src", "srcset", "action", "style"}
    ]
    links = [value for key, value in seen.attributes if key == "href"]
    assert all(link.startswith("#") for link in links)
    assert {link[1:] for link in links} <= {value for key, value in seen.attributes if key == "id"}
    assert "url(" not in page
    assert "@import" not in page
    assert "default-src 'none'" in page
    assert len(page.encode()) < 1_000_000


def hostile() -> CertificationReport:
    """One in which whoever could write something wrote a trick."""
    exhibits = (
        Curve(
            title=HOSTILE,
            x=HOSTILE,
            y=HOSTILE,
            series=(Series(HOSTILE, (0.0, 1.0), (0.0, 1.0)), Series(HOSTILE, (0.5,), (0.5,))),
        ),
        Histogram(title=HOSTILE, x=HOSTILE, edges=(0.0, 1.0), counts={HOSTILE: (1,), f"{HOSTILE}2": (2,)}),
        Bars(title=HOSTILE, x=HOSTILE, names=(HOSTILE,), values=(0.5,)),
        Grid(title=HOSTILE, columns=(HOSTILE,), rows=((HOSTILE,),)),
        Rows(title=HOSTILE, rows=({HOSTILE: HOSTILE},), why=(HOSTILE,)),
    )
    bad = check(
        HOSTILE,
        passed=False,
        asks=HOSTILE,
        figure=HOSTILE,
        limit=HOSTILE,
        detail=HOSTILE,
        remedy=HOSTILE,
        figures={HOSTILE: 1.0},
        exhibits=exhibits,
    )
    text = dict.fromkeys(
        ("why", "description", "hardware", "requested_by", "registered_by", "session", "version"), HOSTILE
    )
    return report(bad, owners=(HOSTILE,), authors=(HOSTILE,), verdict="not-certified", **text)


def test_hostile_words_are_words() -> None:
    """Names, details and rows of whoever wrote the model become no element and no attribute; what turns text round is written out."""
    page = certification_report(hostile())
    seen = Seen(page)
    assert not FORBIDDEN & set(seen.tags)
    assert not [key for key, _ in seen.attributes if key.startswith("on")]
    assert seen.tags.count("style") == 1
    assert "\u202e" not in page
    assert "<script>alert(1)</script>" in seen.text
    assert "\\u202e" in seen.text


def test_the_verdict_and_its_reason_come_first() -> None:
    """Then what failed with figure, limit and what to do, and only then the rest."""
    page = certification_report(refused())
    places = [
        page.index(text)
        for text in (
            "✗ Not certified",
            "2 of 4 checks failed: golden-answers, robustness.",
            "What failed, and what to do",
            "<strong>50</strong>, limit <strong>0</strong>",
            "<code>muster try</code> shows them",
            "<h2>Checks</h2>",
            "Measured by standard definitions",
            "What the checks showed",
            "What was examined, by whom, on what",
        )
    ]
    assert places == sorted(places)


def test_what_may_fail_is_marked_and_does_not_look_like_what_may_not() -> None:
    """A waived check stands under a heading of its own, in the table it is no failure, and the verdict is still yes."""
    page = certification_report(certified())
    assert "✓ Certified" in page
    assert "What failed, and may" in page
    assert "! may fail" in page
    assert "✗ failed" not in page
    assert "waived until 2026-12-31 by ben" in page


def test_a_failure_that_counts_stands_before_one_that_may() -> None:
    """Whoever reads only the first lines reads what matters."""
    both = report(
        check("allowed", passed=False, may_fail=True),
        check("fatal", passed=False),
        verdict="not-certified",
        why="fatal",
    )
    page = certification_report(both)
    assert page.index("<h3>fatal") < page.index("<h3>allowed")
    assert "What failed, and what to do" in page


def test_headings_go_down_one_level_at_a_time() -> None:
    """One first heading, and none is skipped: a page that is heard can be followed."""
    for found in PAGES.values():
        levels = [int(level) for level in re.findall(r"<h([1-6])", certification_report(found))]
        assert levels[0] == 1
        assert levels.count(1) == 1
        assert all(after <= before + 1 for before, after in pairwise(levels))


def test_what_a_failed_check_showed_is_kept_when_there_is_no_room_for_all() -> None:
    """The page says that something is missing, and where all of it is."""
    full = largest()
    crowd = tuple(msgspec.structs.replace(one, name=f"more-{one.name}") for one in full.checks)
    last = check("the-one", passed=False, exhibits=(failing_rows(), *curves()))
    page = certification_report(report(*full.checks, *crowd, last, verdict="not-certified", why="the-one failed"))
    assert len(page.encode()) < 1_000_000
    assert "Rows that failed, as small as they go" in page
    assert "the JSON holds all of it" in page
    assert "The JSON holds all of it".lower() not in certification_report(certified()).lower()


def test_a_session_that_is_not_done_has_no_verdict() -> None:
    """It says so, and shows what there is."""
    page = certification_report(
        report(
            check("bundle-complete"),
            verdict="unfinished",
            why="The certification is running; there is no verdict yet.",
            session_state=SessionState.RUNNING,
            finished_at=None,
            valid_until=None,
            measures=(),
        )
    )
    assert "No verdict" in page
    assert "✓ Certified" not in page
    assert "since 2026-11-20 09:13 UTC" in page
    assert "certificate verify" not in page


def test_an_examination_that_had_to_end_says_so() -> None:
    """Checks that are not in the table were not passed: they could not be made."""
    ended = report(check("bundle-complete", passed=False), is_complete=False, verdict="not-certified", why="it failed")
    assert "the others could not be made" in certification_report(ended)
    assert "the others could not be made" not in certification_report(refused())


def test_what_became_of_the_version_since_is_told() -> None:
    """A page about a version that is banned by now says it beside the verdict."""
    assert "churn:3 is banned now." in certification_report(report(check("a"), state=VersionState.BANNED))


def test_a_factory_for_one_person_says_so() -> None:
    """Nobody takes its pages for somebody else's word."""
    assert "This factory is for one person" in certification_report(report(check("a"), solo=True))
    assert "This factory is for one person" not in certification_report(report(check("a")))


def test_percentiles_of_a_latency_are_drawn() -> None:
    """Where a check measured several times in milliseconds and shows nothing else."""
    page = certification_report(certified())
    assert page.count('aria-label="Latency"') == 1
    assert 'aria-label="Latency"' not in certification_report(report(check("a", figures={"p50_ms": 1.0, "calls": 3.0})))
