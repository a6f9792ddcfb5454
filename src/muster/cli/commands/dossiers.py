"""What is on record of a version: `card`, `test-score`, and the report that `certificate report` gives."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from muster.cli import harmless
from muster.cli.files import writing
from muster.cli.options import factory, reason_option
from muster.cli.output import Output, answering, show_facts, show_table
from muster.wire import reports

if TYPE_CHECKING:
    from rich.console import Console

_VERDICTS = {"certified": ("green", "certified"), "not-certified": ("red", "not certified")}
_HOW = {"automatic": "met", "declared": "by hand", "missing": "missing"}


@click.command("report")
@click.argument("about", metavar="VERSION|SESSION")
@click.option(
    "-o", "--output", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False), help="Write the page into it."
)
@answering
def report(out: Output, about: str, output: Path | None) -> None:
    """Show what a certification found, passed or not; of a version the newest that came to a verdict.

    With -o it becomes one HTML page for those who decide: it needs nothing beside it, and can be sent and kept.
    """
    with factory() as muster:
        found = muster.certification_report(about)
        if output is not None:  # the session: what the page shows is what was just answered
            with writing(output):
                output.write_text(muster.certification_page(found.session), encoding="utf-8")
    out.document(found, lambda console: _show_report(console, found))
    if output is not None:
        out.note(f"The page is in {output}.")


@click.command()
@click.argument("version", metavar="VERSION")
@click.option(
    "-o",
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path, dir_okay=False),
    help="Write it there: as Markdown, if the name ends with .md, else as one HTML page.",
)
@answering
def card(out: Output, version: str, output: Path | None) -> None:
    """Show the model card of a version: made of what is on record, with what nobody said or measured named as gaps."""
    with factory() as muster:
        found = muster.card(version)
        text = muster.card_markdown(version) if output is None or output.suffix == ".md" else muster.card_page(version)
    if output is not None:
        with writing(output):
            output.write_text(text, encoding="utf-8")
        out.document(found, lambda console: console.print(f"The model card of {found.version} is in {output}."))
        return
    out.document(found, lambda _console: click.echo(harmless.lines(text)))


@click.group("test-score")
def test_score() -> None:
    """The ML Test Score of a model: 28 tests of readiness, each met by a fact, declared by people, or missing."""


@test_score.command("show")
@click.argument("model", metavar="MODEL")
@answering
def show_score(out: Output, model: str) -> None:
    """Show the score, test by test, with the fact that meets each or with what is missing.

    A test that the factory runs by itself counts 1, one that people declared to have done by hand 0.5. The score is the least of the
    sums of the four sections.
    """
    with factory() as muster:
        found = muster.test_score(model)
    out.document(found, lambda console: _show_score(console, found))


@test_score.command("declare")
@click.argument("model", metavar="MODEL")
@click.argument("test", metavar="TEST")
@click.option("--where", required=True, metavar="TEXT", help="Where its results can be read: an address, a document.")
@reason_option
@answering
def declare(out: Output, model: str, test: str, where: str, reason: str) -> None:
    """Say that people did by hand what a test asks, like data-3; counts half, for a year. Takes its owner, or manage-models."""
    with factory() as muster:
        found = muster.declare_test(model, test, where, reason)
    out.document(found, lambda console: _show_score(console, found))


@test_score.command("withdraw")
@click.argument("model", metavar="MODEL")
@click.argument("test", metavar="TEST")
@reason_option
@answering
def withdraw(out: Output, model: str, test: str, reason: str) -> None:
    """Take back what was declared. Takes the model's owner, or the right manage-models."""
    with factory() as muster:
        found = muster.withdraw_test(model, test, reason)
    out.document(found, lambda console: _show_score(console, found))


def _show_report(console: "Console", found: reports.CertificationReport) -> None:
    style, verdict = _VERDICTS.get(found.verdict, ("yellow", "no verdict yet"))
    console.print(f"{found.version}: {verdict}", style=f"bold {style}")
    console.print(found.why)
    standard = found.standard
    show_facts(
        console,
        (
            ("standard", f"{standard.name} ({standard.number})" if standard.number else standard.name),
            ("valid until", found.valid_until),
            ("session", found.session),
            ("asked for by", found.requested_by),
            ("on", found.hardware),
        ),
    )
    rows = [(_word(one), one.name, one.figure, one.limit, one.detail) for one in found.checks]
    show_table(console, ("", "check", "figure", "limit", "detail"), rows, none="No check has been made.")
    for one in found.checks:
        if one.remedy and not one.passed:
            console.print(f"{one.name}: {one.remedy}")


def _word(check: reports.ReportedCheck) -> str:
    if check.passed:
        return "ok"
    return "may fail" if check.may_fail else "FAILED"


def _show_score(console: "Console", found: reports.TestScore) -> None:
    console.print(f"{found.model}: {found.score:g} of 7, by {found.version}", style="bold")
    console.print(found.meaning)
    for section in found.sections:
        console.print(f"\n{section.name}: {section.points:g} of 7", style="bold")
        rows = [(one.test, _HOW[one.how], one.title, _told(one)) for one in section.tests]
        show_table(console, ("test", "", "what it asks", "by which fact, or what is missing"), rows)


def _told(test: reports.ScoredTest) -> str:
    if test.declared_by is None:
        return test.told
    return f"{test.declared_by}, {test.declared_at}: {test.told} ({test.where})"
