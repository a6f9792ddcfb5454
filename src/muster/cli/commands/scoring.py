"""Asking an endpoint: score."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from muster.cli.main import Meant
from muster.cli.options import duration
from muster.cli.output import Output, answering, show_table
from muster.cli.rows import kinds_of_metadata, read_rows
from muster.client.rows import Row
from muster.client.scoring import Scored, scorer

_SHOWN_ROWS = 50


@click.command()
@click.argument("endpoint")
@click.argument("file", metavar="ROWS", type=click.Path(path_type=Path))
@click.option("--deadline", type=duration, metavar="DURATION", help="Within which each answer is wanted, like 50ms.")
@click.option(
    "--rows-per-request",
    type=click.IntRange(1, 1_000_000),
    default=1000,
    show_default=True,
    help="A larger file goes in several requests; a release takes 1000 rows unless it says otherwise.",
)
@click.option("--scoring-url", metavar="URL", help="Address of the scoring side; else what the factory says.")
@answering
def score(
    out: Output, endpoint: str, file: Path, deadline: float | None, rows_per_request: int, scoring_url: str | None
) -> None:
    """Ask an endpoint about the rows of a file (.json, .jsonl, .csv, .parquet); every answer names its request."""
    meant = click.get_current_context().find_object(Meant)
    url = scoring_url
    with scorer(url, control_url=meant.url if meant else None) as asking:
        rows = read_rows(file, lambda: kinds_of_metadata(asking.metadata(endpoint)))
        with out.progress(f"Scoring {file}") as news:
            scored = []
            for part in _parts(rows, rows_per_request):
                scored.append(asking.score(endpoint, part, deadline=deadline))
                news(f"{sum(map(len, scored))} of {len(rows)} rows")
    document = _document(endpoint, scored)
    out.document(document, lambda console: _show(console, document))


def _parts(rows: list[Row], size: int) -> Iterator[list[Row]]:
    if not rows:
        yield rows  # for the client to refuse
    for start in range(0, len(rows), size):
        yield rows[start : start + size]


def _document(endpoint: str, scored: list[Scored]) -> dict[str, Any]:
    document: dict[str, Any] = {"endpoint": endpoint}
    if len(scored) == 1:  # then the document is that of POST /score/ENDPOINT, with more in it
        document |= {"request_id": scored[0].request_id, "release": scored[0].release}
    document["requests"] = [{"request_id": one.request_id, "release": one.release, "rows": len(one)} for one in scored]
    document["answers"] = [answer | {"request_id": one.request_id} for one in scored for answer in one.answers]
    if any(one.solo for one in scored):
        document["solo"] = True
    return document


def _show(console: Any, document: dict[str, Any]) -> None:
    answers = document["answers"]
    names = tuple(answers[0]) if answers else ()
    show_table(console, names, [tuple(answer.get(name) for name in names) for answer in answers[:_SHOWN_ROWS]])
    if len(answers) > _SHOWN_ROWS:
        console.print(f"… and {len(answers) - _SHOWN_ROWS} answers more; --json shows all")
