"""What versions were made of: source add, source list, source remove, profile show."""

from typing import TYPE_CHECKING

import click

from muster.cli.options import factory
from muster.cli.output import Output, answering, show_table
from muster.wire import training

if TYPE_CHECKING:
    from rich.console import Console

    from muster.wire.profiles import FieldProfile

_SHOWN_CATEGORIES = 3


@click.group()
def source() -> None:
    """Say from where the factory may read data that bundles name."""


@source.command()
@click.argument("name")
@click.argument("uri")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the audit journal.")
@answering
def add(out: Output, name: str, uri: str, reason: str) -> None:
    """Register a place, as URI a folder, s3://BUCKET/PREFIX/ or https://HOST/PREFIX/; bundles name it source:NAME/path.parquet."""
    with factory() as muster:
        found = muster.add_source(name, uri, reason)
    out.document(found, lambda console: console.print(f"{found.name}: {found.uri}"))


@source.command(name="list")
@answering
def list_(out: Output) -> None:
    """List the places from which the factory may read data."""
    with factory() as muster:
        found = muster.sources()
    rows = [(one.name, one.uri, one.added_by, one.added_at, one.reason) for one in found]
    columns = ("source", "address", "added by", "at", "reason")
    out.document(
        training.DataSources(sources=found),
        lambda console: show_table(console, columns, rows, none="No data source is registered."),
    )


@source.command()
@click.argument("name")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the audit journal.")
@answering
def remove(out: Output, name: str, reason: str) -> None:
    """Have nothing read from a place any more."""
    with factory() as muster:
        found = muster.remove_source(name, reason)
    out.document(found, lambda console: console.print(f"{found.name} is no data source any more"))


@click.group()
def profile() -> None:
    """Look at the data that versions were trained on, in numbers."""


@profile.command()
@click.argument("version", metavar="MODEL:NUMBER")
@answering
def show(out: Output, version: str) -> None:
    """Show what the fields of a version's training data held: the reference for watching it."""
    with factory() as muster:
        found = muster.profile(version)
    out.document(found, lambda console: _show(console, found))


def _show(console: "Console", found: training.VersionProfile) -> None:
    if found.origin == "factory":
        told = f"{found.version}: {found.profile.rows} rows of {found.data!r}, computed by the factory at {found.at}"
    else:
        told = f"{found.version}: {found.profile.rows} rows, as its author declared"
    console.print(told)
    columns = ("field", "type", "null", "minimum", "5 %", "median", "95 %", "maximum", "most frequent")
    rows = [_row(field, found.profile.rows) for field in found.profile.fields]
    show_table(console, columns, rows, none="It has no fields.")


def _row(field: "FieldProfile", rows: int) -> tuple[str, ...]:
    shape = str(list(field.shape)) if field.shape else ""
    nulls = f"{field.nulls / rows:.1%}" if rows else ""
    if field.personal:
        return (field.name, f"{field.datatype}{shape}", nulls, "", "", "", "", "", "personal: not shown")
    middle = (field.minimum, *(field.quantiles.get(share) for share in ("0.05", "0.5", "0.95")), field.maximum)
    told = tuple("" if value is None else f"{value:g}" for value in middle)
    return (field.name, f"{field.datatype}{shape}", nulls, *told, _frequent(field, rows))


def _frequent(field: "FieldProfile", rows: int) -> str:
    if field.categories is None or not rows:
        return ""
    named = [f"{value} {count / rows:.0%}" for value, count in field.categories.counts[:_SHOWN_CATEGORIES]]
    more = field.categories.distinct - len(named)
    return ", ".join([*named, *([f"{more} more"] if more > 0 else [])])
