"""The model card as one page: what it is for, how well it does, on what, who answers for it, and what is not known."""

from collections.abc import Iterable, Sequence

from muster.reports.grids import cell, table
from muster.reports.markup import Child, Html, prose, tag
from muster.reports.measures import measures_told
from muster.reports.page import facts, page, section
from muster.reports.wording import counted, digest, moment, number
from muster.wire.reports import CardField, ModelCard

_NOT_SAID = "Not said."


def card_page(card: ModelCard) -> str:
    """The page.

    Args:
        card: what is on record.
    """
    return page(
        f"Model card of {card.version}",
        tag("h1", f"Model card of {card.version}"),
        tag("p", card.description or _NOT_SAID),
        _standing(card),
        section("What it is for", _paragraphs(card.intended_use)),
        section("What it is not fit for", _paragraphs(card.limitations)),
        _gaps(card),
        _performance(card),
        section("What it takes and gives", *_fields(card)),
        _data(card),
        _people(card),
        _origin(card),
        tag("footer", tag("p", _footer(card), class_="small")),
    )


def _standing(card: ModelCard) -> Html:
    kind = {"accepted": "good", "certified": "good", "banned": "bad"}.get(str(card.state), "")
    lines = [tag("p", f"{card.version} is {card.state}", class_="mark")]
    if card.uses:
        uses = ", ".join(
            f"{one.endpoint} as {one.role} (release {one.release}, since {moment(one.live_at)})" for one in card.uses
        )
        lines.append(tag("p", f"It answers at {uses}."))
    else:
        lines.append(tag("p", "It answers nowhere now."))
    if card.certified_at:
        lasts = f", valid until {moment(card.valid_until)}" if card.valid_until else ""
        lines.append(tag("p", f"Certified on {moment(card.certified_at)}{lasts}."))
    else:
        lines.append(tag("p", "It has no certificate."))
    if card.failed:
        lines.append(tag("p", f"In its newest examination failed: {', '.join(card.failed)}."))
    lines.append(tag("p", f"ML Test Score of its model: {number(card.score)} of 7. ", _gap_count(card)))
    if card.solo:
        lines.append(tag("p", tag("strong", "This factory is for one person: nobody else had to agree.")))
    return tag("div", lines, class_=f"verdict {kind}".strip())


def _gap_count(card: ModelCard) -> str:
    return f"{counted(len(card.gaps), 'gap')} named below." if card.gaps else "This card has no gaps."


def _paragraphs(text: str) -> list[Html]:
    parts = [part.strip() for part in text.split("\n\n") if part.strip()]
    return [tag("p", part) for part in parts] or [tag("p", _NOT_SAID, class_="note")]


def _gaps(card: ModelCard) -> Html:
    if not card.gaps:
        return section("What is not known", tag("p", "Nothing that a card asks for is missing."))
    rows = [[one.what, tag("td", prose(one.remedy))] for one in card.gaps]
    return section("What is not known", table(["nobody has said or measured", "how it gets in"], rows, caption="gaps"))


def _performance(card: ModelCard) -> Html:
    told: list[Child] = []
    if card.measures:
        told.append(measures_told(card.measures))
    else:
        told.append(section("Measured by standard definitions", tag("p", "Nothing has been measured by the factory.")))
    if card.latency:
        rows = [[name, cell(value)] for name, value in card.latency.items()]
        told.append(tag("h3", "Latency of one row"))
        told.append(tag("p", f"On {card.hardware}.", class_="note"))
        told.append(table(["figure", "milliseconds"], rows, caption="latency"))
    if card.declared_metrics:
        rows = [[name, cell(value)] for name, value in card.declared_metrics.items()]
        told.append(tag("h3", "What its author says"))
        told.append(tag("p", "Declared in the bundle; nobody has checked it.", class_="note"))
        told.append(table(["metric", "value"], rows, caption="declared metrics"))
    return tag("div", told)


def _fields(card: ModelCard) -> Iterable[Html]:
    if card.task:
        yield tag("p", f"It predicts: {card.task}.")
    if card.protected:
        yield tag("p", f"Protected: {', '.join(card.protected)}.")
    for title, fields in (("Inputs", card.inputs), ("Outputs", card.outputs)):
        yield tag("h3", title)
        columns = ["field", "type", "unit", "null", "expected", "personal", "meaning"]
        yield table(columns, [_field(one) for one in fields], caption=title)


def _field(field: CardField) -> Sequence[Child]:
    null, personal = "may be null" if field.nullable else "", "personal" if field.personal else ""
    return [field.name, field.datatype, field.unit or "", null, field.expected, personal, field.description]


def _data(card: ModelCard) -> Html:
    if not card.data:
        return section("What it was made of", tag("p", "No data is named.", class_="note"))
    rows = [
        [one.name, one.uri, one.from_, one.to, cell(one.rows), tag("td", tag("code", digest(one.digest)))]
        for one in card.data
    ]
    return section(
        "What it was made of", table(["data", "where", "from", "to", "rows", "digest"], rows, caption="data")
    )


def _people(card: ModelCard) -> Html:
    pairs: list[tuple[str, Child]] = [
        ("owner of the model", card.owner),
        ("stands in", card.deputy),
        ("authors", ", ".join(card.authors)),
        ("owners named in the bundle", ", ".join(card.owners)),
        ("registered", f"{moment(card.registered_at)} by {card.registered_by}"),
        ("business metric", card.business_metric),
        ("risk tier", card.risk_tier),
    ]
    votes: Child = tag("p", "Nobody has voted on it.", class_="note")
    if card.votes:
        rows = [
            [one.person, one.verdict, moment(one.at), "yes" if one.counts else "no", one.text] for one in card.votes
        ]
        votes = table(
            ["person", "verdict", "when", "counts", "reason"], rows, caption="votes at the gate of acceptance"
        )
    return section("Who answers for it", facts(pairs), tag("h3", "What people said at the gate"), votes)


def _origin(card: ModelCard) -> Html:
    tags = ", ".join(f"{key}={value}" for key, value in card.tags.items())
    pairs: list[tuple[str, Child]] = [
        ("bundle", tag("code", card.digest)),
        ("project", card.project),
        ("runtime", card.runtime),
        ("made by", card.made_by),
        ("code", card.source),
        ("licences", ", ".join(card.licences)),
        ("tags", tags),
        ("measured in session", tag("code", card.measured_in) if card.measured_in else None),
        ("certified in session", tag("code", card.certified_in) if card.certified_in else None),
    ]
    return section("Where it comes from", facts(pairs))


def _footer(card: ModelCard) -> str:
    return (
        f"Made by Muster from what is on record of {card.version}. The same as JSON: muster card {card.version} --json."
    )
