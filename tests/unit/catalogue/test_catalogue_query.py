"""Searches as people type them become terms, or say what cannot be understood."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.catalogue.errors import QueryMalformed
from muster.catalogue.query import Fact, Figure, InState, OfKind, Registered, Term, Words, terms_of
from muster.catalogue.records import Kind
from muster.catalogue.words import LONGEST_WORD, MOST_WORDS, words_of


@pytest.mark.parametrize(
    ("query", "terms"),
    [
        ("", ()),
        ("   ", ()),
        ("state:accepted", (InState("accepted"),)),
        ("state:served", (InState("served"),)),
        ("kind:model", (OfKind(Kind.MODEL),)),
        ("tag:team=risk", (Fact("tag:team", "risk"),)),
        ("tag:team", (Fact("tag:team"),)),
        ("tag:team=r*", (Fact("tag:team", "r", is_prefix=True),)),
        ('tag:"team=credit risk"', (Fact("tag:team", "credit risk"),)),
        ('tag:"team=r*"', (Fact("tag:team", "r*"),)),
        ("owner:ana deputy:ben", (Fact("owner", "ana"), Fact("deputy", "ben"))),
        ("name:ch*", (Fact("name", "ch", is_prefix=True),)),
        ("champion:churn:3", (Fact("champion", "churn:3"),)),
        ("metric:auc>0.8", (Figure("auc", ">", 0.8),)),
        ("metric:auc<=1e-3", (Figure("auc", "<=", 1e-3),)),
        ("metric:latency.p99_ms=5", (Figure("latency.p99_ms", "=", 5.0),)),
        ("digest:sha256:ab", (Fact("digest", "sha256:ab", is_prefix=True),)),
        ("digest:ab", (Fact("digest", "sha256:ab", is_prefix=True),)),
        ("registered>2026-01-01", (Registered("2026-01-02T00:00:00.000000Z", None),)),
        ("registered>=2026-01-01", (Registered("2026-01-01T00:00:00.000000Z", None),)),
        ("registered<=2026-01-01", (Registered(None, "2026-01-02T00:00:00.000000Z"),)),
        ("registered:2026-01-01", (Registered("2026-01-01T00:00:00.000000Z", "2026-01-02T00:00:00.000000Z"),)),
        ("registered<2026-01-01T12:00:00+02:00", (Registered(None, "2026-01-01T10:00:00.000000Z"),)),
        ('Größe "Zwei Wörter" beg*', (Words(("grosse",)), Words(("zwei", "worter")), Words(("beg",), is_prefix=True))),
        ("well-known", (Words(("well", "known")),)),
        ("churn churn", (Words(("churn",)),)),
    ],
)
def test_a_query_is_its_terms(query: str, terms: tuple[Term, ...]) -> None:
    """Keys, comparisons, phrases and words."""
    assert terms_of(query) == terms


@pytest.mark.parametrize(
    ("query", "told"),
    [
        ("colour:red", "there is no key 'colour'; there are kind, state"),
        ("state:asleep", "'asleep' is no state: accepted"),
        ("kind:wine", "'wine' is no kind"),
        ("metric:auc", "does not compare a metric with a number"),
        ("metric:auc>high", "does not compare a metric with a number"),
        ("metric:auc>nan", "does not compare a metric with a number"),
        ("metric:auc>inf", "does not compare a metric with a number"),
        ("registered>yesterday", "is no day and no moment"),
        ("registered>0001-01-01", "nothing was registered as early"),
        ("registered<=9999-12-31", "is no day and no moment"),
        ("owner>ana", "only registered and metric: are compared"),
        ("---", "holds no word"),
        ('""', "holds no word"),
        ('owner:""', "says nothing to look for"),
        ('"open', "cannot be read from"),
        ("owner:", "owner: says nothing to look for"),
        ("a\0b", "characters that no text here can hold"),
        ("x" * 1001, "at most 1000 characters"),
        (" ".join(f"w{number}" for number in range(21)), "at most 20 terms"),
    ],
)
def test_what_cannot_be_understood_says_why(query: str, told: str) -> None:
    """A mistake is no search for something else."""
    with pytest.raises(QueryMalformed, match=told):
        terms_of(query)


@given(st.text(max_size=200) | st.text(alphabet='abc:<>="* -_2026', max_size=60))
def test_any_text_is_terms_or_malformed(query: str) -> None:
    """Nothing that is typed breaks the parser, and words hold letters and digits alone."""
    try:
        terms = terms_of(query)
    except QueryMalformed:
        return
    for term in terms:
        if isinstance(term, Words):
            assert term.words
            assert all(word.isalnum() for word in term.words)


@given(st.text(max_size=100))
def test_words_of_words_are_themselves(text: str) -> None:
    """What is written and what is asked are cut alike, so cutting twice changes nothing."""
    words = words_of(text)
    assert words_of(" ".join(words)) == words


def test_what_is_too_long_is_cut() -> None:
    """No text is more than a database can keep."""
    assert words_of("x" * 500) == ["x" * LONGEST_WORD]
    assert len(words_of("a " * (MOST_WORDS + 5))) == MOST_WORDS
