"""All statements about the catalogue.

The words lie in a table that each database knows best how to search, `catalogue_words`: FTS5 on SQLite, a `tsvector` with a GIN index on
PostgreSQL. Both are given words that were cut here, and quote nothing of a caller's: words hold letters and digits only.
"""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.dialects import postgresql

from muster.catalogue.query import Fact, Figure, InState, OfKind, PlainTerm, Registered, Words
from muster.catalogue.records import SHOWN_CHARACTERS, Entry, Found, Kind
from muster.catalogue.tables import catalogue_entries, catalogue_facts, catalogue_figures
from muster.catalogue.words import words_of
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import from_rfc3339, rfc3339

_TAGS = msgspec.json.Decoder(dict[str, str])
#: What a fact's key or value is cut to: longer ones are found by their beginning.
_LONGEST_FACT = 250
_LONGEST_NAME = 200
#: Behind every text that begins so, in the order of code points.
_LAST = "\U0010ffff"
_FORGET_OF_SQLITE = sa.text("DELETE FROM catalogue_words WHERE rowid = :place")
_FORGET_OF_POSTGRESQL = sa.text("DELETE FROM catalogue_words WHERE place = :place")


def place_of(tx: Transaction, project: str, kind: Kind, name: str) -> int | None:
    """Where an entry stands; None: there is none."""
    asked = sa.select(catalogue_entries.c.place).where(
        catalogue_entries.c.project == project, catalogue_entries.c.kind == str(kind), catalogue_entries.c.name == name
    )
    found = tx.execute(asked).scalar()
    return None if found is None else int(found)


def put(tx: Transaction, entry: Entry) -> None:
    """Keep an entry, in place of what was said of it before."""
    values = {
        "state": entry.state,
        "owner": entry.owner,
        "at": rfc3339(entry.at),
        "description": entry.description[:SHOWN_CHARACTERS],
        "tags": json.dumps(dict(entry.tags)),
        "digest": entry.digest,
    }
    place = place_of(tx, entry.project, entry.kind, entry.name)
    if place is None:
        key = {"project": entry.project, "kind": str(entry.kind), "name": entry.name}
        made = tx.execute(sa.insert(catalogue_entries).values(**key, **values).returning(catalogue_entries.c.place))
        place = int(made.scalar_one())
    else:
        tx.execute(sa.update(catalogue_entries).where(catalogue_entries.c.place == place).values(**values))
        tx.execute(sa.delete(catalogue_facts).where(catalogue_facts.c.place == place))
        tx.execute(_FORGET_OF_POSTGRESQL if tx.is_postgresql else _FORGET_OF_SQLITE, {"place": place})
    facts = [{"project": entry.project, "key": key, "value": value, "place": place} for key, value in facts_of(entry)]
    tx.execute(sa.insert(catalogue_facts), facts)
    put_figures(tx, entry.project, place, entry.figures)
    _put_words(tx, entry.project, place, text_of(entry))


def put_figures(tx: Transaction, project: str, place: int, figures: Mapping[str, float]) -> None:
    """Keep figures of an entry, each in place of the one of its name before."""
    rows = [
        {"place": place, "name": name[:_LONGEST_NAME], "project": project, "value": float(value)}
        for name, value in figures.items()
    ]
    if not rows:
        return
    names = {row["name"] for row in rows}
    table = catalogue_figures
    tx.execute(sa.delete(table).where(table.c.place == place, table.c.name.in_(names)))
    tx.execute(sa.insert(table), rows)


def set_state(tx: Transaction, place: int, state: str) -> None:
    """Put an entry into a state."""
    tx.execute(sa.update(catalogue_entries).where(catalogue_entries.c.place == place).values(state=state))


def facts_of(entry: Entry) -> list[tuple[str, str]]:
    """Every fact of an entry, each once, cut to what is kept."""
    named = entry.name.partition(":")[0]
    tags = ((f"tag:{key}", value) for key, value in entry.tags.items())
    digest = () if entry.digest is None else (("digest", entry.digest),)
    every = (("name", named), ("owner", entry.owner), *digest, *tags, *entry.facts)
    return list(
        dict.fromkeys((key[:_LONGEST_FACT], value[:_LONGEST_FACT]) for key, value in every if value or ":" in key)
    )


def text_of(entry: Entry) -> str:
    """What is searched by words."""
    tags = " ".join(f"{key} {value}" for key, value in entry.tags.items())
    return f"{entry.name}\n{entry.description}\n{tags}\n{entry.text}"


def words_row(tx: Transaction, project: str, place: int, text: str) -> tuple[str, dict[str, Any]]:
    """The statement that keeps the words of an entry, and its values."""
    words = words_of(text)
    if tx.is_postgresql:
        positions: dict[str, list[str]] = {}
        for position, word in enumerate(words, 1):
            held = positions.setdefault(word, [])
            if len(held) < 200:  # PostgreSQL keeps at most 255
                held.append(str(position))
        vector = " ".join([_scope(project), *(f"{word}:{','.join(at)}" for word, at in positions.items())])
        return "INSERT INTO catalogue_words (place, words) VALUES (:place, CAST(:words AS tsvector))", {
            "place": place,
            "words": vector,
        }
    return "INSERT INTO catalogue_words (rowid, scope, words) VALUES (:place, :scope, :words)", {
        "place": place,
        "scope": _scope(project),
        "words": " ".join(words),
    }


def places(tx: Transaction, project: str, term: PlainTerm, before: int, most: int) -> list[int] | None:
    """Places below `before` that a term holds for; None: it holds for more than so many."""
    column, conditions = _source(project, term)
    asked = sa.select(column).where(*conditions, column < before)
    if isinstance(term, Fact) and (term.is_prefix or term.value is None):
        asked = asked.distinct()  # an entry may have the key with several values that begin so
    found = _read_places(tx, asked.limit(most + 1))
    return None if len(found) > most else found


def places_with(
    tx: Transaction,
    project: str,
    terms: Sequence[Words],
    before: int,
    *,
    most: int | None = None,
    among: Collection[int] | None = None,
) -> list[int]:
    """Places below `before` whose texts hold all these words, the highest first.

    To read the places of a word one after another costs little; to ask about one of them costs a hundred times as much. So words are
    never looked up entry by entry.

    Args:
        tx: transaction.
        project: whose.
        terms: the words.
        before: only lower places.
        most: at most so many; None: all.
        among: only these places; None: all.
    """
    sources = {True: ("place", "words @@ CAST(:asked AS tsquery)"), False: ("rowid", "catalogue_words MATCH :asked")}
    place, holds = sources[tx.is_postgresql]
    table = sa.table("catalogue_words", sa.column(place))
    column = table.c[place]
    asked = sa.select(column).select_from(table).where(sa.text(holds), column < before)
    values: dict[str, Any] = {"asked": _asked_words(tx, project, terms)}
    if among is not None:
        # SQLite would look each of them up by itself, were it not for the sign.
        is_one = _one_of(tx, column) if tx.is_postgresql else sa.text("+rowid IN (SELECT value FROM json_each(:among))")
        asked = asked.where(column >= min(among, default=0), is_one)
        values["among"] = _listed(tx, among)
    return sorted(_read_places(tx, asked.order_by(column.desc()).limit(most), values), reverse=True)


def _read_places(tx: Transaction, asked: sa.Select[Any], values: Mapping[str, Any] | None = None) -> list[int]:
    """The places that a query gives, handed over as one JSON text: row by row, some thousand cost more than it takes to find them."""
    inner = asked.subquery()
    (column,) = inner.c
    gathered = sa.func.json_agg(column) if tx.is_postgresql else sa.func.json_group_array(column)
    told = tx.execute(sa.select(sa.cast(gathered, sa.Text)).select_from(inner), values or {}).scalar_one()
    found: list[int] = json.loads(told or "[]")
    return found


def entries(
    tx: Transaction,
    project: str,
    *,
    before: int,
    limit: int,
    among: Collection[int] | None = None,
    terms: Iterable[PlainTerm] = (),
) -> list[Found]:
    """Entries below a place that all terms hold for, the highest first.

    Args:
        tx: transaction.
        project: whose.
        before: only lower places.
        limit: how many at most.
        among: only these places; None: all.
        terms: what has to hold as well; looked up entry by entry.
    """
    table = catalogue_entries
    asked = sa.select(table).where(table.c.project == project, table.c.place < before)
    values: dict[str, Any] = {}
    if among is not None:
        asked = asked.where(_one_of(tx, table.c.place))
        values["among"] = _listed(tx, among)
    asked = asked.where(*(_held(tx, term) for term in terms))
    rows = tx.execute(asked.order_by(table.c.place.desc()).limit(limit), values)
    return [_found(row) for row in rows]


def _one_of(tx: Transaction, column: Any) -> Any:
    """That a column is one of the places listed as `among`: one value, however many there are."""
    if tx.is_postgresql:
        among = sa.cast(sa.bindparam("among", type_=sa.Text), postgresql.ARRAY(sa.BigInteger))
        return column == sa.func.any(among)
    return column.in_(sa.text("SELECT value FROM json_each(:among)"))


def _listed(tx: Transaction, places: Collection[int]) -> Any:
    """Places as one text, which the driver hands over as it is: number by number it takes longer than the search."""
    told = ",".join(map(str, places))
    return f"{{{told}}}" if tx.is_postgresql else f"[{told}]"


def _source(project: str, term: PlainTerm) -> tuple[sa.Column[Any], list[Any]]:
    """Which column holds the places that a term holds for, under which conditions."""
    entry, fact, figure = catalogue_entries.c, catalogue_facts.c, catalogue_figures.c
    match term:
        case InState(state=state):
            return entry.place, [entry.project == project, entry.state == state]
        case OfKind(kind=kind):
            return entry.place, [entry.project == project, entry.kind == str(kind)]
        case Registered():
            return entry.place, [entry.project == project, *_within(term)]
        case Fact():
            return fact.place, [fact.project == project, *_said(term)]
        case Figure():
            return figure.place, [figure.project == project, figure.name == term.name[:_LONGEST_NAME], _compared(term)]


def _held(tx: Transaction, term: PlainTerm) -> Any:
    """The condition that a term holds for one entry, to be asked entry by entry."""
    entry, fact, figure = catalogue_entries.c, catalogue_facts.c, catalogue_figures.c
    match term:
        case InState(state=state):
            return entry.state == state
        case OfKind(kind=kind):
            return entry.kind == str(kind)
        case Registered():
            return sa.and_(*_within(term))
        case Fact():
            return _exists(tx, sa.select(sa.literal(1)).where(fact.place == entry.place, *_said(term)))
        case Figure():
            named = figure.name == term.name[:_LONGEST_NAME]
            return _exists(tx, sa.select(sa.literal(1)).where(figure.place == entry.place, named, _compared(term)))


def _exists(tx: Transaction, held: sa.Select[Any]) -> Any:
    # PostgreSQL would make a join of it, and read all that holds anywhere; with an offset it asks entry by entry.
    return sa.exists(held.offset(0) if tx.is_postgresql else held)


def _within(term: Registered) -> list[Any]:
    at = catalogue_entries.c.at
    return [*([] if term.since is None else [at >= term.since]), *([] if term.before is None else [at < term.before])]


def _said(term: Fact) -> list[Any]:
    key, value = catalogue_facts.c.key, catalogue_facts.c.value
    conditions = [key == term.key[:_LONGEST_FACT]]
    if term.value is None:
        return conditions
    wanted = term.value[:_LONGEST_FACT]
    if not term.is_prefix:
        return [*conditions, value == wanted]
    return [*conditions, value >= wanted, value < wanted + _LAST]


def _compared(term: Figure) -> Any:
    value = catalogue_figures.c.value
    match term.comparison:
        case "<":
            return value < term.value
        case "<=":
            return value <= term.value
        case "=":
            return value == term.value
        case ">=":
            return value >= term.value
        case ">":
            return value > term.value


def _asked_words(tx: Transaction, project: str, terms: Sequence[Words]) -> str:
    """The words in the database's own language, within one project."""
    if tx.is_postgresql:
        return " & ".join([_scope(project), *(f"({_followed(term)})" for term in terms)])
    asked = (f'words : "{" ".join(term.words)}"{"*" if term.is_prefix else ""}' for term in terms)
    return " AND ".join([f'scope : "{_scope(project)}"', *asked])


def _followed(term: Words) -> str:
    last = len(term.words) - 1
    words = (f"{word}:*" if term.is_prefix and at == last else word for at, word in enumerate(term.words))
    return " <-> ".join(words)


def _put_words(tx: Transaction, project: str, place: int, text: str) -> None:
    statement, values = words_row(tx, project, place, text)
    tx.execute(sa.text(statement), values)


def _scope(project: str) -> str:
    """A word that stands for the project, and is no word of any text by chance of a hyphen."""
    return f"p{project.encode().hex()}"


def _found(row: sa.Row[Any]) -> Found:
    return Found(
        place=row.place,
        kind=Kind(row.kind),
        name=row.name,
        state=row.state,
        owner=row.owner,
        at=from_rfc3339(row.at),
        description=row.description,
        tags=_TAGS.decode(row.tags),
        digest=row.digest,
    )
