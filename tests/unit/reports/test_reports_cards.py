"""Model cards as a page and as Markdown."""

import re
from itertools import pairwise

from html_seen import FORBIDDEN, Seen
from made_cards import card
from made_reports import DIGEST
from muster.reports.card_markdown import card_markdown
from muster.reports.cards import card_page
from muster.wire.reports import CardData, CardField, CardGap, ReportedVote

HOSTILE = '"><script>alert(1)</script>|`[x](javascript:alert(1))\n# Certified\u202e'


def test_gaps_stand_in_both_with_how_they_are_closed() -> None:
    """Before the figures: whoever reads the card reads what is not known."""
    page, text = card_page(card()), card_markdown(card())
    for told in (page, text):
        assert told.index("who stands in for the owner") < told.index("roc")
    assert "<code>muster model set MODEL --deputy NAME</code>" in page
    assert "`muster model set MODEL --deputy NAME`" in text


def test_what_the_author_says_is_not_taken_for_what_was_measured() -> None:
    """Declared figures stand apart, with the words that nobody has checked them."""
    page, text = card_page(card()), card_markdown(card())
    assert page.index("nobody has checked it") < page.index("0.8536")
    assert text.index("checked by nobody") < text.index("0.8536")
    assert page.index("Measured by standard definitions") < page.index("What its author says")


def test_a_card_with_nothing_said_says_that() -> None:
    """No section is left out where nothing is known: its place says so."""
    bare = card(
        description="", intended_use="", limitations="", measures=(), data=(), votes=(), uses=(), latency={},
        declared_metrics={}, certified_at=None, valid_until=None, gaps=(CardGap(what="everything", remedy="say it"),),
    )  # fmt: skip
    page, text = card_page(bare), card_markdown(bare)
    for told in (page, text):
        assert "Nothing has been measured by the factory" in told
        assert "It has no certificate" in told
        assert "Nobody has voted on it" in told
        assert "No data is named" in told
    assert text.count("Not said.") == 3


def test_hostile_words_become_neither_elements_nor_markup() -> None:
    """In HTML no element, in Markdown no link, no heading, no further column."""
    bad = card(
        description=HOSTILE,
        intended_use=HOSTILE,
        limitations=HOSTILE,
        source=HOSTILE,
        tags={HOSTILE: HOSTILE},
        inputs=(
            CardField(
                name=HOSTILE,
                datatype="BYTES",
                unit=HOSTILE,
                nullable=False,
                personal=False,
                expected=HOSTILE,
                description=HOSTILE,
            ),
        ),
        data=(CardData(name=HOSTILE, uri=HOSTILE, from_="", to="", rows=None, digest=DIGEST),),
        votes=(ReportedVote(person="ben", verdict="approve", at="2026-11-20T10:00:00Z", text=HOSTILE, counts=True),),
        gaps=(CardGap(what=HOSTILE, remedy=HOSTILE),),
    )
    seen = Seen(card_page(bad))
    assert not FORBIDDEN & set(seen.tags)
    assert not [key for key, _ in seen.attributes if key.startswith("on") or key == "href"]
    text = card_markdown(bad)
    assert "<script" not in text
    assert "\u202e" not in text
    assert not re.search(r"(?<!\\)\]\(", text)
    assert not re.search(r"^# Certified", text, re.MULTILINE)
    rows = [line for line in text.splitlines() if line.startswith("|")]
    widths = {len(re.findall(r"(?<!\\)\|", line)) for line in rows if "approve" in line}
    assert widths == {6}


def test_headings_of_the_card_go_down_one_level_at_a_time() -> None:
    """One first heading, and none is skipped."""
    levels = [int(level) for level in re.findall(r"<h([1-6])", card_page(card()))]
    assert levels[0] == 1
    assert levels.count(1) == 1
    assert all(after <= before + 1 for before, after in pairwise(levels))
