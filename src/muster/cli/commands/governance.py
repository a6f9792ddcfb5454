"""What holds in a project, and what people say at its gates: standard, review, delegate, waive."""

import difflib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from muster.cli import exits
from muster.cli.errors import FileMissing
from muster.cli.options import factory, reason_option
from muster.cli.output import Output, answering, show_facts, show_table
from muster.wire import governance

if TYPE_CHECKING:
    from rich.console import Console

    from muster.client.governance import About

_NUMBER = click.IntRange(min=1)
_FOR = click.option(
    "--for", "for_person", metavar="NAME", help="Vote in the place of somebody who is absent and has named you."
)


@click.group()
def standard() -> None:
    """Show, propose, adopt and try the standard of a project; check a bundle against one."""


@standard.command("show")
@click.argument("which", metavar="[NUMBER|NAME]", required=False)
@answering
def show_standard(out: Output, which: str | None) -> None:
    """Show a standard: by its number, a ready one by its name, or what holds in the project now."""
    if which is not None and not which.isdecimal():
        from muster.standards.document import ready_text  # noqa: PLC0415 - most commands do without

        text = ready_text(which)
        out.document({"name": which, "text": text}, lambda console: console.print(text, markup=False, end=""))
        return
    with factory() as muster:
        found = muster.standard(None if which is None else int(which))
    out.document(found, lambda console: _show_standard(console, found, with_text=True))


@standard.command("list")
@answering
def list_standards(out: Output) -> None:
    """List the standards of the project, the newest first."""
    with factory() as muster:
        found = muster.standards()
    rows = [
        (one.number, one.state, one.name, f"{one.proposed_at} by {one.proposed_by}", one.decided_by, one.reason)
        for one in found.standards
    ]
    columns = ("standard", "state", "name", "proposed", "decided by", "reason")
    none = "The project has none of its own: exploration holds."
    out.document(found, lambda console: show_table(console, columns, rows, none=none))


@standard.command("propose")
@click.argument("source", metavar="FILE|NAME")
@reason_option
@answering
def propose_standard(out: Output, source: str, reason: str) -> None:
    """Propose what shall hold in the project: the TOML of a file, or a ready standard by its name; others adopt it."""
    with factory() as muster:
        found = muster.propose_standard(_text_of(source), reason)
    out.document(found, lambda console: _show_standard(console, found))


@standard.command("approve")
@click.argument("number", type=_NUMBER)
@_FOR
@reason_option
@answering
def approve_standard(out: Output, number: int, for_person: str | None, reason: str) -> None:
    """Say yes to a proposed standard; with the last approval that is needed it is in force."""
    with factory() as muster:
        found = muster.approve_standard(number, reason, for_person=for_person)
    out.document(found, lambda console: _show_standard(console, found))


@standard.command("reject")
@click.argument("number", type=_NUMBER)
@reason_option
@answering
def reject_standard(out: Output, number: int, reason: str) -> None:
    """Turn a proposed standard down."""
    with factory() as muster:
        found = muster.reject_standard(number, reason)
    out.document(found, lambda console: _show_standard(console, found))


@standard.command("diff")
@click.argument("before", metavar="BEFORE")
@click.argument("after", metavar="[AFTER]", required=False)
@answering
def diff_standards(out: Output, before: str, after: str | None) -> None:
    """Show line by line how one standard differs from another, each a number or the name of a ready one.

    Without AFTER: how BEFORE differs from what holds now.
    """
    if after is None:
        old, new = ("in force", _named(None)), (before, _named(before))
    else:
        old, new = (before, _named(before)), (after, _named(after))
    lines = list(difflib.unified_diff(old[1].splitlines(), new[1].splitlines(), old[0], new[0], lineterm=""))
    document = {"before": old[0], "after": new[0], "same": not lines, "lines": lines}
    told = "\n".join(lines) if lines else "They are the same."
    out.document(document, lambda console: console.print(told, markup=False))


@standard.command("check")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--standard",
    "source",
    metavar="FILE|NAME",
    help="A file, or a ready standard by its name; else what holds in the project, asked of the factory.",
)
@answering
def check_folder(out: Output, folder: Path, source: str | None) -> int:
    """Say what a bundle in the lab lacks by a standard; with --standard no factory is needed.

    Exit code 1 says that something is missing.
    """
    if not folder.is_dir():
        raise FileMissing(f"there is no folder {folder}", path=str(folder))
    from muster.certification.questions import KNOWN  # noqa: PLC0415 - most commands do without
    from muster.packaging.bundle import read_bundle  # noqa: PLC0415
    from muster.standards.document import check_names, read_standard  # noqa: PLC0415
    from muster.standards.evaluation import lacks_of_bundle  # noqa: PLC0415
    from muster.standards.facts import facts_of_folder  # noqa: PLC0415

    asked = read_standard(_named(None) if source is None else _text_of(source))
    check_names(asked, KNOWN)
    facts = facts_of_folder(folder, read_bundle(folder))
    lacks = lacks_of_bundle(asked.of_tier(facts.tier), facts)
    document = {
        "path": str(folder),
        "standard": asked.name,
        "tier": facts.tier,
        "meets": not lacks,
        "lacks": [{"name": one.name, "problem": one.problem, "remedy": one.remedy} for one in lacks],
    }
    rows = [(one.name, one.problem, one.remedy) for one in lacks]
    none = f"{folder} carries everything that {asked.name} asks of a bundle."
    out.document(document, lambda console: show_table(console, ("missing", "problem", "remedy"), rows, none=none))
    return exits.VERDICT_NO if lacks else exits.DONE


@standard.command("dry-run")
@click.argument("source", metavar="NUMBER|FILE|NAME")
@answering
def dry_run(out: Output, source: str) -> int:
    """Say which of the versions that are served now would fail a standard, and why; changes nothing.

    Exit code 1 says that some would.
    """
    with factory() as muster:
        found = muster.dry_run(int(source) if source.isdecimal() else _text_of(source))
    rows = [
        (one.version, ", ".join(one.endpoints), lack.name if lack else "-", lack.problem if lack else "nothing missing")
        for one in found.versions
        for lack in (one.lacks or (None,))
    ]
    columns = ("version", "served at", "missing", "problem")
    out.document(found, lambda console: show_table(console, columns, rows, none="Nothing is served yet."))
    return exits.VERDICT_NO if found.fails else exits.DONE


@click.group()
def review() -> None:
    """See and say what people think of a version (churn:3), a release (churn 2) or a standard (--standard 4)."""


def _about_arguments(command: Any) -> Any:
    command = click.option("--standard", "number", type=_NUMBER, help="Of the project, by its number.")(command)
    command = click.argument("release", metavar="[RELEASE]", required=False, type=_NUMBER)(command)
    return click.argument("subject", metavar="[VERSION|ENDPOINT]", required=False)(command)


@review.command("show")
@_about_arguments
@answering
def show_review(out: Output, subject: str | None, release: int | None, number: int | None) -> None:
    """Show every vote and comment, which of them count, and what is missing."""
    with factory() as muster:
        found = muster.review(_about(subject, release, number))
    out.document(found, lambda console: _show_review(console, found))


@review.command("request-changes")
@_about_arguments
@_FOR
@reason_option
@answering
def request_changes(
    out: Output, subject: str | None, release: int | None, number: int | None, for_person: str | None, reason: str
) -> None:
    """Keep the gate shut until you say otherwise, or what is judged has become something else."""
    with factory() as muster:
        found = muster.request_changes(_about(subject, release, number), reason, for_person=for_person)
    out.document(found, lambda console: _show_review(console, found))


@review.command("comment")
@_about_arguments
@click.option("--text", required=True, metavar="TEXT", help="What you want to say.")
@answering
def comment(out: Output, subject: str | None, release: int | None, number: int | None, text: str) -> None:
    """Remark something, without a vote; authors may, too."""
    with factory() as muster:
        found = muster.comment(_about(subject, release, number), text)
    out.document(found, lambda console: _show_review(console, found))


@review.command("withdraw")
@_about_arguments
@reason_option
@answering
def withdraw_vote(out: Output, subject: str | None, release: int | None, number: int | None, reason: str) -> None:
    """Take back what you have said, an approval as well as a request for changes."""
    with factory() as muster:
        found = muster.withdraw_vote(_about(subject, release, number), reason)
    out.document(found, lambda console: _show_review(console, found))


@click.group()
def delegate() -> None:
    """Let somebody vote in your place while you are absent."""


@delegate.command("add")
@click.argument("to", metavar="NAME")
@click.option("--until", "ends", required=True, metavar="MOMENT", help="When it ends, like 2026-12-01T00:00:00Z.")
@click.option("--from", "starts", metavar="MOMENT", help="When it begins; else now.")
@reason_option
@answering
def add_delegation(out: Output, to: str, ends: str, starts: str | None, reason: str) -> None:
    """Name who votes in your place; it gives that person no right that they do not have."""
    with factory() as muster:
        found = muster.delegate(to, ends, reason, starts=starts)
    out.document(found, lambda console: _show_delegations(console, (found,)))


@delegate.command("list")
@answering
def list_delegations(out: Output) -> None:
    """List who stands in for whom, past delegations too."""
    with factory() as muster:
        found = muster.delegations()
    out.document(found, lambda console: _show_delegations(console, found.delegations))


@delegate.command("end")
@click.argument("delegation", metavar="ID")
@reason_option
@answering
def end_delegation(out: Output, delegation: str, reason: str) -> None:
    """End a delegation before its time; votes that were given by it count no longer."""
    with factory() as muster:
        found = muster.end_delegation(delegation, reason)
    out.document(found, lambda console: _show_delegations(console, (found,)))


@click.group()
def waive() -> None:
    """Let a version fail a check, or lack something, for a while: one person asks, another grants."""


@waive.command("ask")
@click.argument("version", metavar="VERSION")
@click.argument("check", metavar="NAME")
@click.option("--until", "ends", required=True, metavar="MOMENT", help="When it ends, like 2026-12-01T00:00:00Z.")
@reason_option
@answering
def ask_waiver(out: Output, version: str, check: str, ends: str, reason: str) -> None:
    """Ask that a version may fail a check, or lack what the standard asks of a bundle, until a moment."""
    with factory() as muster:
        found = muster.ask_waiver(version, check, ends, reason)
    out.document(found, lambda console: _show_waivers(console, (found,)))


@waive.command("grant")
@click.argument("waiver", metavar="ID")
@reason_option
@answering
def grant_waiver(out: Output, waiver: str, reason: str) -> None:
    """Grant a waiver that somebody else asked for; never for your own work."""
    with factory() as muster:
        found = muster.grant_waiver(waiver, reason)
    out.document(found, lambda console: _show_waivers(console, (found,)))


@waive.command("refuse")
@click.argument("waiver", metavar="ID")
@reason_option
@answering
def refuse_waiver(out: Output, waiver: str, reason: str) -> None:
    """Refuse a waiver that somebody else asked for."""
    with factory() as muster:
        found = muster.refuse_waiver(waiver, reason)
    out.document(found, lambda console: _show_waivers(console, (found,)))


@waive.command("list")
@answering
def list_waivers(out: Output) -> None:
    """List the waivers of the project, the newest first."""
    with factory() as muster:
        found = muster.waivers()
    out.document(found, lambda console: _show_waivers(console, found.waivers))


def _about(subject: str | None, release: int | None, number: int | None) -> "About":
    """What is meant by the words on the command line."""
    if number is not None and subject is None:
        return number
    if subject is not None and number is None:
        if ":" in subject and release is None:
            return subject
        if ":" not in subject and release is not None:
            return (subject, release)
    raise click.UsageError("name a version (churn:3), a release (churn 2), or --standard NUMBER")


def _text_of(source: str) -> str:
    """The TOML of a file, or of a ready standard."""
    path = Path(source)
    if path.is_file():
        try:
            return path.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise FileMissing(f"{source} cannot be read: {error}", path=source) from error
    from muster.standards.document import READY, ready_text  # noqa: PLC0415 - most commands do without

    if source in READY:
        return ready_text(source)
    raise FileMissing(f"there is no file {source}, and no ready standard: {', '.join(READY)}", path=source)


def _named(which: str | None) -> str:
    """The TOML of a standard by its number, of a ready one or a file by its name; None: of what holds now."""
    if which is not None and not which.isdecimal():
        return _text_of(which)
    with factory() as muster:
        return muster.standard(None if which is None else int(which)).text


def _show_standard(console: "Console", found: governance.Standard, *, with_text: bool = False) -> None:
    title = f"standard {found.number} ({found.name}): {found.state}"
    console.print(title if found.number else f"{found.name}, a ready standard", style="bold")
    show_facts(
        console,
        (
            ("description", found.description),
            ("proposed", found.proposed_by and f"{found.proposed_at} by {found.proposed_by}: {found.reason}"),
            ("decided", found.decided_by and f"{found.decided_at} by {found.decided_by}: {found.decision_reason}"),
            *(("missing", one) for one in found.missing),
        ),
    )
    if with_text:
        console.print(f"\n{found.text.rstrip()}", markup=False)


def _show_review(console: "Console", found: governance.Review) -> None:
    console.print(f"{found.subject} at the gate {found.gate}", style="bold")
    rows = [
        (
            one.voter if one.for_person is None else f"{one.voter} for {one.for_person}",
            one.verdict,
            "counts" if one.counts else one.why_not,
            one.at,
            one.text,
        )
        for one in found.opinions
    ]
    show_table(console, ("who", "says", "", "at", "why"), rows, none="Nobody has voted.")
    if found.comments:
        console.print("\ncomments", style="bold")
        show_table(console, ("who", "at", "says"), [(one.author, one.at, one.text) for one in found.comments])
    show_facts(console, [("missing", one) for one in found.missing])


def _show_delegations(console: "Console", found: tuple[governance.Delegation, ...]) -> None:
    rows = [
        (one.id, one.from_person, one.to, "now" if one.holds else "", one.starts, one.ends, one.reason) for one in found
    ]
    columns = ("delegation", "of", "to", "", "from", "until", "reason")
    show_table(console, columns, rows, none="Nobody stands in for anybody.")


def _show_waivers(console: "Console", found: tuple[governance.Waiver, ...]) -> None:
    rows = [
        (one.id, one.version, one.check, one.state, one.ends, one.asked_by, one.decided_by, one.reason) for one in found
    ]
    columns = ("waiver", "version", "what", "state", "until", "asked by", "decided by", "reason")
    show_table(console, columns, rows, none="There is no waiver.")
