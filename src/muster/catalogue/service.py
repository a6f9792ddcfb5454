"""The catalogue: enter what there is, and find it again."""

import math
from collections.abc import Mapping
from dataclasses import dataclass

from muster.access.actor import Call
from muster.access.roles import Right
from muster.catalogue import store
from muster.catalogue.query import PlainTerm, Term, Words, terms_of
from muster.catalogue.records import Entry, Found, Kind
from muster.storage.transaction import Database, Transaction

#: A term that holds for fewer entries than this is looked up first, and the others only for these entries.
FEW = 2500
#: Places of words that are looked at in one go at first, and at most.
_FIRST_STEP = 500
_LARGEST_STEP = 16_000
_BEHIND_ALL = 2**62


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Some of what a search found, the newest first."""

    found: tuple[Found, ...]
    next: int | None
    """What to name as `after` for more; None: there are no more."""


class Catalogue:
    """What there is in the factory, ready to be searched.

    Args:
        database: where it is kept.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    # For the rooms above, within their transactions.

    def enter(self, tx: Transaction, entry: Entry) -> None:
        """Keep an entry, in place of what was said of it before; figures that it does not name stay."""
        store.put(tx, entry)

    def move(self, tx: Transaction, project: str, kind: Kind, name: str, state: str) -> None:
        """Put an entry into another state."""
        place = store.place_of(tx, project, kind, name)
        if place is not None:
            store.set_state(tx, place, state)

    def measured(self, tx: Transaction, project: str, kind: Kind, name: str, figures: Mapping[str, float]) -> None:
        """Keep figures of an entry, each in place of the one of its name before; those that are not finite compare with nothing."""
        place = store.place_of(tx, project, kind, name)
        if place is not None:
            finite = {name: value for name, value in figures.items() if math.isfinite(value)}
            store.put_figures(tx, project, place, finite)

    # For everybody.

    def search(self, call: Call, query: str, *, limit: int, after: int | None = None) -> Page:
        """What a query finds in the project, what was entered last first.

        Args:
            call: who, and in which project.
            query: terms that must all hold, as `catalogue.query` describes them; empty: everything.
            limit: how many at most.
            after: the `next` of the page before; None: from the newest.

        Raises:
            QueryMalformed: it cannot be understood.
        """
        call.require(Right.READ)
        terms = terms_of(query)
        before = _BEHIND_ALL if after is None else after
        with self._database.read() as tx:
            found = self._found(tx, call.project, terms, before, limit + 1)
        more = len(found) > limit
        return Page(found=tuple(found[:limit]), next=found[limit - 1].place if more else None)

    def _found(self, tx: Transaction, project: str, terms: tuple[Term, ...], before: int, limit: int) -> list[Found]:
        """Look up first what few entries have; where every term holds for many, the newest entries are likely to have them all.

        So neither a rare term beside frequent ones nor frequent ones alone read the whole catalogue.
        """
        words = [term for term in terms if isinstance(term, Words)]
        candidates, frequent = self._few(tx, project, [term for term in terms if not isinstance(term, Words)], before)
        if candidates == set():
            return []
        if words and candidates is not None:
            candidates = set(store.places_with(tx, project, words, before, among=candidates))
        elif words:
            return self._by_words(tx, project, words, frequent, before, limit)
        return store.entries(tx, project, before=before, limit=limit, among=candidates, terms=frequent)

    def _few(
        self, tx: Transaction, project: str, terms: list[PlainTerm], before: int
    ) -> tuple[set[int] | None, list[PlainTerm]]:
        """The places that all terms hold for which hold for few (None: there is no such term), and the other terms."""
        candidates: set[int] | None = None
        frequent = []
        for term in terms:
            places = store.places(tx, project, term, before, FEW)
            if places is None:
                frequent.append(term)
            else:
                candidates = set(places) if candidates is None else candidates & set(places)
                if not candidates:
                    break
        return candidates, frequent

    def _by_words(
        self, tx: Transaction, project: str, words: list[Words], terms: list[PlainTerm], before: int, limit: int
    ) -> list[Found]:
        """Go through what the words stand in, from the newest on, in ever larger steps, until enough of it has the rest."""
        found: list[Found] = []
        step = _FIRST_STEP if not terms else 4 * _FIRST_STEP  # other terms leave little of it
        while True:
            places = store.places_with(tx, project, words, before, most=step)
            if places:
                left = limit - len(found)
                found += store.entries(tx, project, before=before, limit=left, among=places, terms=terms)
            if len(found) >= limit or len(places) < step:
                return found
            before, step = places[-1], min(2 * step, _LARGEST_STEP)
