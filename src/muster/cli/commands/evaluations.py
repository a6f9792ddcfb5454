"""How well versions predict: evaluation, metrics."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

import click

from muster.cli.errors import FileMissing
from muster.cli.files import writing
from muster.cli.options import factory, reason_option
from muster.cli.output import Output, answering, show_facts, show_table
from muster.client.evaluations import CurveKind
from muster.wire import evaluations

if TYPE_CHECKING:
    from rich.console import Console

_NUMBER = click.IntRange(min=1)
_COLUMNS = ("metric", "value", "low", "high", "over", "slice", "version", "measured", "session")


# Evaluation sets.


@click.group()
def evaluation() -> None:
    """Seal rows with what really happened, on which the versions of a model are judged."""


@evaluation.command("add")
@click.argument("model")
@click.argument("file", metavar="FILE.parquet|FILE.csv", type=click.Path(path_type=Path))
@click.option(
    "--label", metavar="COLUMN", help="The column of what really happened; else the one that the newest version names."
)
@reason_option
@answering
def add(out: Output, model: str, file: Path, label: str | None, reason: str) -> None:
    """Seal an evaluation set for a model that you have no part in.

    The rows have the inputs of the newest version, the label, and columns to slice by. They are never changed; the newest set counts.
    """
    if not file.is_file():
        raise FileMissing(f"there is no file at {file}", path=str(file))
    with out.progress(f"Sealing {file}"), factory() as muster:
        sealed = muster.seal_evaluation(model, file, reason, label=label)
    out.document(sealed, lambda console: _show(console, sealed))


@evaluation.command("list")
@click.argument("model")
@answering
def list_sets(out: Output, model: str) -> None:
    """List the evaluation sets of a model, the newest first."""
    with factory() as muster:
        found = muster.evaluation_sets(model)
    rows = [(one.number, one.rows, one.label, one.sealed_by, one.sealed_at, one.reason) for one in found.sets]
    columns = ("set", "rows", "label", "sealed by", "sealed", "reason")
    out.document(found, lambda console: show_table(console, columns, rows, none="The model has no evaluation set."))


@evaluation.command("show")
@click.argument("model")
@click.argument("number", type=_NUMBER)
@answering
def show(out: Output, model: str, number: int) -> None:
    """Show who sealed which rows, when and why; not the rows."""
    with factory() as muster:
        found = muster.evaluation_set(model, number)
    out.document(found, lambda console: _show(console, found))


@evaluation.command("export")
@click.argument("model")
@click.argument("number", type=_NUMBER)
@click.option(
    "-o", "--output", "target", required=True, metavar="FILE", type=click.Path(path_type=Path), help="Where to."
)
@answering
def export(out: Output, model: str, number: int, target: Path) -> None:
    """Write the rows of a set into a Parquet file; not for who has part in the model."""
    with out.progress(f"Fetching {model} {number}"), factory() as muster:
        found = muster.evaluation_set(model, number)
        with writing(target):
            muster.evaluation_rows(model, number, target)
    out.document(found, lambda console: console.print(f"{found.rows} rows are in {target}"))


def _show(console: "Console", found: evaluations.EvaluationSet) -> None:
    show_facts(
        console,
        (
            ("set", f"{found.model} {found.number}"),
            ("rows", found.rows),
            ("label", found.label),
            ("columns", ", ".join(found.columns)),
            ("sealed", f"{found.sealed_at} by {found.sealed_by}"),
            ("reason", found.reason),
            ("digest", found.digest),
            ("file", found.source),
            ("compared with", f"{found.model}:{found.against}"),
        ),
    )


# Metrics.


class _Default(click.Group):
    """`muster metrics churn` is `muster metrics list churn`."""

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """What is no command of the group is the first argument of `list`."""
        if args and args[0] not in self.commands:
            args = ["list", *args]
        return super().resolve_command(ctx, args)


@click.group(cls=_Default)
def metrics() -> None:
    """Show what was measured of a model, and curves: `muster metrics MODEL`, `muster metrics curve SESSION roc`."""


@metrics.command("list")
@click.argument("model")
@click.option("--metric", metavar="NAME", help="Only this one: roc_auc.")
@click.option("--version", "number", type=_NUMBER, help="Of this version.")
@click.option("--over", metavar="WHAT", help="Computed on this: evaluation:2.")
@click.option("--slice", "of_slice", metavar="FIELD=VALUE", help="Of this slice.")
@click.option("--slices", is_flag=True, help="Slices as well as the whole.")
@click.option("--session", metavar="ID", help="Of this session.")
@click.option("--from", "since", metavar="MOMENT", help="Measured then or later: 2027-01-31T18:00:00Z.")
@click.option("--to", "until", metavar="MOMENT", help="Measured before.")
@answering
def list_measures(out: Output, model: str, number: int | None, **said: Any) -> None:
    """Show what was measured of a model, the newest first."""
    with factory() as muster:
        found = muster.measures(model, version=number, **said)
    rows = [
        (
            one.metric,
            _short(one.value),
            _short(one.low),
            _short(one.high),
            one.over,
            one.slice,
            one.version,
            one.at,
            one.session,
        )
        for one in found.measures
    ]
    out.document(found, lambda console: show_table(console, _COLUMNS, rows, none="Nothing was measured."))


@metrics.command("tables")
@click.argument("session")
@answering
def tables(out: Output, session: str) -> None:
    """Show from which tables a session's curves can be derived: which slices, which classes."""
    with factory() as muster:
        found = muster.kept_tables(session)
    rows = [(one.over, one.slice or "(all rows)", one.part, one.kind) for one in found.tables]
    columns = ("over", "slice", "class", "kind")
    out.document(found, lambda console: show_table(console, columns, rows, none="The session has kept no table."))


@metrics.command("curve")
@click.argument("session")
@click.argument("kind", type=click.Choice(get_args(CurveKind)))
@click.option("--slice", "of_slice", metavar="FIELD=VALUE", help="Of this slice; else of all rows.")
@click.option("--class", "part", metavar="NAME", help="Of several classes, this one against the rest.")
@click.option("--cutoff", type=float, help="Of a confusion matrix; else the standard's.")
@answering
def curve(out: Output, session: str, kind: CurveKind, **said: Any) -> None:
    """Show a curve of a session, derived from the one table that it has kept."""
    with factory() as muster:
        found = muster.curve(session, kind, **said)
    rows = [tuple(_short(cell) if isinstance(cell, float) else cell for cell in row) for row in found.rows]
    note = (
        "In steps of many rows, as whoever may not read the rows of the evaluation set sees it." if found.coarse else ""
    )

    def show(console: "Console") -> None:
        show_table(console, found.columns, rows)
        if note:
            console.print(note, style="dim")

    out.document(found, show)


def _short(value: float | None) -> str | None:
    return None if value is None else f"{value:.6g}"
