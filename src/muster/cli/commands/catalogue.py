"""What there is: model list, show and set; search; resolve."""

from typing import TYPE_CHECKING

import click

from muster.cli import exits
from muster.cli.options import factory, reason_option
from muster.cli.output import Output, answering, show_facts, show_table
from muster.vocabulary.pages import MOST, USUAL
from muster.wire import catalogue, control

if TYPE_CHECKING:
    from rich.console import Console


@click.group()
def model() -> None:
    """List and show models, and say what they carry: owner, deputy, description, business metric, tags."""


@model.command("list")
@click.option("--limit", type=click.IntRange(1, MOST), metavar="N", help="How many at most; else all.")
@click.option("--after", metavar="NAME", help="Begin behind this model.")
@answering
def list_models(out: Output, limit: int | None, after: str | None) -> None:
    """List models by name, with who answers for them."""
    with factory() as muster:
        found = muster.models(limit=limit, after=after)
    rows = [
        (one.name, one.owner, one.deputy, one.versions, one.latest and one.latest.version, _pairs(one.tags))
        for one in found.models
    ]
    columns = ("model", "owner", "deputy", "versions", "latest", "tags")
    out.document(found, lambda console: show_table(console, columns, rows, none="There is no model yet."))
    if found.next is not None:
        out.note(f"There are more: --after {found.next}")


@model.command("show")
@click.argument("name", metavar="MODEL")
@answering
def show_model(out: Output, name: str) -> None:
    """Show what a model carries, and its newest versions."""
    with factory() as muster:
        found = muster.model(name, limit=USUAL)
    out.document(found, lambda console: show_carried(console, found))
    if found.next is not None:
        out.note(f"There are earlier versions: `muster show {name}` lists all.")


@model.command("set")
@click.argument("name", metavar="MODEL")
@click.option("--owner", metavar="NAME", help="Who answers for it from now on.")
@click.option("--deputy", metavar="NAME", help="Who stands in for the owner; '' for nobody.")
@click.option("--description", metavar="TEXT", help="What it is.")
@click.option("--business-metric", metavar="TEXT", help="What it is for, in figures that the business knows.")
@click.option("--tag", "tags", multiple=True, metavar="KEY=VALUE", help="A tag; may be repeated.")
@click.option("--untag", multiple=True, metavar="KEY", help="A tag that goes; may be repeated.")
@reason_option
@answering
def set_model(
    out: Output,
    name: str,
    *,
    owner: str | None,
    deputy: str | None,
    description: str | None,
    business_metric: str | None,
    tags: tuple[str, ...],
    untag: tuple[str, ...],
    reason: str,
) -> None:
    """Change what a model carries; what is not named stays. Takes its owner, or the right manage-models."""
    changed: dict[str, str | None] = dict.fromkeys(untag)
    for tag in tags:
        key, sign, value = tag.partition("=")
        if not sign or key in untag:
            raise click.BadParameter(f"{tag!r} is not like team=risk, or is to go as well", param_hint="--tag")
        changed[key] = value
    with factory() as muster:
        found = muster.set_model(
            name,
            reason,
            owner=owner,
            deputy=deputy,
            description=description,
            business_metric=business_metric,
            tags=changed,
        )
    out.document(found, lambda console: show_carried(console, found))


@click.command()
@click.argument("query", metavar="QUERY", nargs=-1)
@click.option("--limit", type=click.IntRange(1, MOST), default=USUAL, show_default=True, help="How many at most.")
@click.option("--after", type=click.IntRange(min=1), metavar="N", help="The `next` of the page before.")
@answering
def search(out: Output, query: tuple[str, ...], limit: int, after: int | None) -> None:
    """Find models, versions and endpoints, what came last first.

    All terms have to hold: 'state:accepted tag:team=risk owner:ana metric:auc>0.8 digest:sha256:ab registered>2026-01-01
    "free text" begin*'. Quote the whole query for your shell.
    """
    with factory() as muster:
        found = muster.search(" ".join(query), limit=limit, after=after)
    rows = [
        (one.kind, one.name, one.state, one.owner, one.at, _pairs(one.tags), one.description.partition("\n")[0][:60])
        for one in found.found
    ]
    columns = ("kind", "name", "state", "owner", "at", "tags", "description")
    out.document(found, lambda console: show_table(console, columns, rows, none="Nothing fits."))
    if found.next is not None:
        out.note(f"There is more: --after {found.next}")


@click.command()
@click.argument("references", metavar="REFERENCE", nargs=-1, required=True)
@answering
def resolve(out: Output, references: tuple[str, ...]) -> int:
    """Say which versions up to a hundred references stand for: churn:3, churn:latest, churn@champion, sha256:….

    Exit code 1 says that one of them stands for nothing.
    """
    with factory() as muster:
        found = muster.resolve(references)
    out.document(found, lambda console: _show_resolution(console, found))
    return exits.DONE if all(one.problem is None for one in found.resolved) else exits.VERDICT_NO


def show_carried(console: "Console", found: control.Model) -> None:
    """What a model carries, and its versions."""
    console.print(f"model {found.name}", style="bold")
    show_facts(
        console,
        (
            ("owner", found.owner),
            ("deputy", found.deputy),
            ("description", found.description),
            ("business metric", found.business_metric),
            ("tags", _pairs(found.tags)),
            ("made", f"{found.created_at} by {found.created_by}"),
        ),
    )
    rows = [(one.version, one.state, one.registered_by, one.registered_at, one.digest) for one in found.versions]
    show_table(console, ("version", "state", "registered by", "at", "digest"), rows, none="no version")


def _show_resolution(console: "Console", found: catalogue.Resolution) -> None:
    rows = [
        (one.reference, one.version and one.version.version, one.version and one.version.state, one.problem or "")
        for one in found.resolved
    ]
    show_table(console, ("reference", "version", "state", ""), rows)


def _pairs(tags: dict[str, str]) -> str:
    return ", ".join(f"{key}={value}" for key, value in sorted(tags.items()))
