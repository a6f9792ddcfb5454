"""The model card as Markdown, for a repository or a wiki."""

import html
import re
from collections.abc import Iterable, Iterator, Sequence

from muster.reports.markup import visible
from muster.reports.wording import counted, moment, number, told
from muster.wire.reports import CardField, ModelCard

#: What Markdown would take for markup, wherever it stands.
_SPECIAL = re.compile(r"([\\`*_\[\]#|~>])")
#: What it would take for a list or a rule at the beginning of a line.
_LIST = re.compile(r"^(\d{1,9}(?=[.)](?:\s|$))|(?=[-+=](?:[-=\s]|$)))")


def card_markdown(card: ModelCard) -> str:
    """The card as text.

    Args:
        card: what is on record.
    """
    parts = [f"# Model card of {_safe(card.version)}", _safe(card.description) or "Not said.", *_standing(card)]
    parts += ["## What it is for", _prose(card.intended_use), "## What it is not fit for", _prose(card.limitations)]
    parts.append("## What is not known")
    parts.append(
        _list(f"{_safe(gap.what)}: {_coded(gap.remedy)}" for gap in card.gaps)
        or "Nothing that a card asks for is missing."
    )
    parts += _performance(card)
    parts.append("## What it takes and gives")
    for title, fields in (("Inputs", card.inputs), ("Outputs", card.outputs)):
        columns = ("field", "type", "unit", "null", "expected", "personal", "meaning")
        parts += [f"### {title}", _table(columns, map(_field, fields))]
    parts += [
        "## What it was made of",
        _data(card),
        "## Who answers for it",
        *_people(card),
        "## Where it comes from",
        _origin(card),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _standing(card: ModelCard) -> Iterator[str]:
    yield f"**{_safe(card.version)} is {card.state}.** ML Test Score of its model: {number(card.score)} of 7. " + (
        f"{counted(len(card.gaps), 'gap')} named below." if card.gaps else ""
    )
    if card.certified_at:
        lasts = f", valid until {moment(card.valid_until)}" if card.valid_until else ""
        yield f"Certified on {moment(card.certified_at)}{lasts}."
    else:
        yield "It has no certificate."
    if card.failed:
        yield f"In its newest examination failed: {_safe(', '.join(card.failed))}."
    yield _list(f"answers at {_safe(one.endpoint)} as {one.role}, release {one.release}" for one in card.uses)


def _performance(card: ModelCard) -> Iterator[str]:
    yield "## How well it does"
    if not card.measures:
        yield "Nothing has been measured by the factory."
    columns = ("metric", "on", "slice", "value", "from", "to")
    rows = ((one.name, one.over, one.slice or "all", one.value, one.low, one.high) for one in card.measures)
    yield _table(columns, rows) if card.measures else ""
    if card.latency:
        yield f"Latency of one row on {_safe(card.hardware)}, milliseconds:"
        yield _table(("figure", "ms"), card.latency.items())
    if card.declared_metrics:
        yield "Declared by its author, and checked by nobody:"
        yield _table(("metric", "value"), card.declared_metrics.items())


def _data(card: ModelCard) -> str:
    rows = ((one.name, one.uri, one.from_, one.to, one.rows, one.digest) for one in card.data)
    return _table(("data", "where", "from", "to", "rows", "digest"), rows) if card.data else "No data is named."


def _people(card: ModelCard) -> Iterator[str]:
    pairs = (
        ("owner of the model", card.owner),
        ("stands in", card.deputy),
        ("authors", ", ".join(card.authors)),
        ("registered", f"{moment(card.registered_at)} by {card.registered_by}"),
        ("business metric", card.business_metric),
        ("risk tier", card.risk_tier),
    )
    yield _list(f"{name}: {_safe(value)}" for name, value in pairs if value)
    rows = ((one.person, one.verdict, moment(one.at), one.counts, one.text) for one in card.votes)
    yield _table(("person", "verdict", "when", "counts", "reason"), rows) if card.votes else "Nobody has voted on it."


def _origin(card: ModelCard) -> str:
    pairs = (
        ("bundle", card.digest),
        ("project", card.project),
        ("runtime", card.runtime),
        ("made by", card.made_by),
        ("code", card.source),
        ("licences", ", ".join(card.licences)),
    )
    return _list(f"{name}: {_safe(value)}" for name, value in pairs if value)


def _field(field: CardField) -> Sequence[object]:
    null, personal = "may be null" if field.nullable else "", "personal" if field.personal else ""
    return (field.name, field.datatype, field.unit or "", null, field.expected, personal, field.description)


def _safe(text: str) -> str:
    """Text on one line that Markdown, and the HTML that it lets through, show as it is."""
    flat = html.escape(visible(" ".join(text.split())), quote=False)
    return _LIST.sub(r"\1\\", _SPECIAL.sub(r"\\\1", flat))


def _coded(text: str) -> str:
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return _safe(text)
    return "".join(f"`{visible(part)}`" if at % 2 else _safe(part) for at, part in enumerate(parts))


def _prose(text: str) -> str:
    parts = [_safe(part) for part in text.split("\n\n") if part.strip()]
    return "\n\n".join(parts) or "Not said."


def _list(lines: Iterable[str]) -> str:
    return "\n".join(f"- {line}" for line in lines)


def _table(columns: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    lines = [_row(columns), _row(["---"] * len(columns), is_rule=True)]
    lines.extend(_row([told(value) for value in row]) for row in rows)
    return "\n".join(lines)


def _row(cells: Sequence[str], *, is_rule: bool = False) -> str:
    return f"| {' | '.join(cells if is_rule else map(_safe, cells))} |"
