"""What a search asks, parsed: terms that must all hold.

    state:accepted tag:team=risk owner:ana metric:auc>0.8 registered>2026-01-01 "free text"

A term is a key with a value, a phrase in quotation marks, or a word; `word*` stands for every word that begins so.
Pure: the same text gives the same terms, and nothing of it ever reaches a database as anything but a value.
"""

import math
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Literal, cast

from muster.catalogue.errors import QueryMalformed
from muster.catalogue.records import EndpointState, Kind
from muster.catalogue.words import words_of
from muster.vocabulary.clock import rfc3339
from muster.vocabulary.states import VersionState

MOST_TERMS = 20
LONGEST = 1000
Comparison = Literal["<", "<=", "=", ">=", ">"]


@dataclass(frozen=True, slots=True)
class Fact:
    """An entry has a fact of this key; with this value, or with one that begins so, if one is given."""

    key: str
    value: str | None = None
    is_prefix: bool = False


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of this name compares so."""

    name: str
    comparison: Comparison
    value: float


@dataclass(frozen=True, slots=True)
class InState:
    """It is in a state."""

    state: str


@dataclass(frozen=True, slots=True)
class OfKind:
    """It is a model, a version or an endpoint."""

    kind: Kind


@dataclass(frozen=True, slots=True)
class Registered:
    """It was registered, or made, within this time; as RFC 3339 text, the end excluded."""

    since: str | None
    before: str | None


@dataclass(frozen=True, slots=True)
class Words:
    """These words stand in its text, one after another; the last one may only begin so."""

    words: tuple[str, ...]
    is_prefix: bool = False


PlainTerm = Fact | Figure | InState | OfKind | Registered
"""A term that an entry's row and what hangs on it decide."""
Term = PlainTerm | Words

#: Keys whose value is a fact as it is written, with what they say of an entry.
FACT_KEYS = ("name", "model", "owner", "deputy", "author", "by", "champion", "version", "digest")
_STATES = frozenset({*map(str, VersionState), *map(str, EndpointState)})
_TERM = re.compile(r'\s*(?:(?P<key>[a-z]+)(?P<sign>:|<=|>=|<|>|=))?(?:"(?P<quoted>[^"]*)"|(?P<plain>[^\s"]+))')
_KEY_ALONE = re.compile(r"[a-z]+(?::|<=|>=|<|>|=)")
_FIGURE = re.compile(r"(?P<name>[^<>=]+)(?P<comparison><=|>=|<|>|=)(?P<value>.+)")
_DAY = re.compile(r"\d{4}-\d\d-\d\d")


def terms_of(text: str) -> tuple[Term, ...]:
    """The terms of a query; none for an empty one, which everything fits.

    Raises:
        QueryMalformed: it cannot be understood.
    """
    if len(text) > LONGEST:
        raise QueryMalformed(f"a query has at most {LONGEST} characters, not {len(text)}", characters=len(text))
    if "\0" in text or any(0xD800 <= ord(one) < 0xE000 for one in text):
        raise QueryMalformed("the query holds characters that no text here can hold")
    terms: list[Term] = []
    at, rest = 0, text.rstrip()
    while at < len(rest):
        match = _TERM.match(rest, at)
        if match is None:
            raise QueryMalformed(f"the query cannot be read from {rest[at : at + 40]!r} on", position=at)
        terms += _terms(match["key"], match["sign"], match["plain"], match["quoted"])
        at = match.end()
    if len(terms) > MOST_TERMS:
        raise QueryMalformed(f"a query has at most {MOST_TERMS} terms, not {len(terms)}", terms=len(terms))
    return tuple(dict.fromkeys(terms))


def _terms(key: str | None, sign: str | None, plain: str | None, quoted: str | None) -> list[Term]:
    value = plain if quoted is None else quoted
    assert value is not None
    if key is None:
        if plain is not None and _KEY_ALONE.fullmatch(plain):
            raise QueryMalformed(f"{plain} says nothing to look for; no space stands behind the sign", key=plain)
        return _words(value, is_phrase=quoted is not None)
    if key == "registered":
        return [_registered("=" if sign == ":" else str(sign), value)]
    if sign != ":":
        raise QueryMalformed(
            f"{key}{sign}{value} compares {key}, and only registered and metric: are compared", key=key
        )
    return [_keyed(key, value, may_be_prefix=quoted is None)]


def _words(value: str, *, is_phrase: bool) -> list[Term]:
    is_prefix = not is_phrase and value.endswith("*")
    words = tuple(words_of(value))
    if not words:
        raise QueryMalformed(f"{value!r} holds no word to look for", value=value)
    return [Words(words, is_prefix)]


def _keyed(key: str, value: str, *, may_be_prefix: bool) -> Term:
    if not value:
        raise QueryMalformed(f"{key}: says nothing to look for", key=key)
    match key:
        case "kind":
            if value not in set(Kind):
                raise QueryMalformed(f"{value!r} is no kind: {', '.join(Kind)}", value=value)
            return OfKind(Kind(value))
        case "state":
            if value not in _STATES:
                raise QueryMalformed(f"{value!r} is no state: {', '.join(sorted(_STATES))}", value=value)
            return InState(value)
        case "tag":
            tag, sign, text = value.partition("=")
            is_prefix = may_be_prefix and text.endswith("*")
            return Fact(f"tag:{tag}", (text.removesuffix("*") if is_prefix else text) if sign else None, is_prefix)
        case "metric":
            return _figure(value)
        case "digest":
            return Fact("digest", value if value.startswith("sha256:") else f"sha256:{value}", is_prefix=True)
        case _ if key in FACT_KEYS:
            is_prefix = may_be_prefix and value.endswith("*")
            return Fact(key, value.removesuffix("*") if is_prefix else value, is_prefix)
    known = ", ".join(("kind", "state", "tag", "metric", "registered", *FACT_KEYS))
    raise QueryMalformed(f"there is no key {key!r}; there are {known}", key=key)


def _figure(value: str) -> Figure:
    match = _FIGURE.fullmatch(value)
    try:
        number = float(match["value"]) if match is not None else math.nan
    except ValueError:
        number = math.nan
    if match is None or not math.isfinite(number):
        raise QueryMalformed(
            f"metric:{value} does not compare a metric with a number, like metric:auc>0.8", value=value
        )
    return Figure(match["name"], cast("Comparison", match["comparison"]), number)  # the pattern knows no other


def _registered(sign: str, value: str) -> Registered:
    """A day stands for all of it: `registered>2026-01-01` begins with the second of January."""
    try:
        moment = datetime.fromisoformat(value)
        first = (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).astimezone(UTC)
        behind = first + (timedelta(days=1) if _DAY.fullmatch(value) else timedelta(microseconds=1))
    except (ValueError, OverflowError) as error:
        raise QueryMalformed(f"{value!r} is no day and no moment, like 2026-01-01", value=value) from error
    if first.year < 1970:
        raise QueryMalformed(f"nothing was registered as early as {value!r}", value=value)
    begin, end = rfc3339(first), rfc3339(behind)
    return {
        ">": Registered(end, None),
        ">=": Registered(begin, None),
        "<": Registered(None, begin),
        "<=": Registered(None, end),
        "=": Registered(begin, end),
    }[sign]
