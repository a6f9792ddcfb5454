"""The archive of decision records: archive export, archive verify, archive retain, archive retention."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import click

from muster.cli import exits
from muster.cli.errors import FileMissing, UsageWrong
from muster.cli.options import factory
from muster.cli.output import Output, answering, show_table
from muster.wire import control

if TYPE_CHECKING:
    from rich.console import Console

_FORMS: dict[str, Literal["parquet", "ndjson"]] = {".parquet": "parquet", ".ndjson": "ndjson", ".jsonl": "ndjson"}
_SHOWN_PROBLEMS = 50


@click.group()
def archive() -> None:
    """Export decision records, say how long they are kept, verify that they are all there."""


@archive.command()
@click.argument("endpoint")
@click.option("--from", "from_", metavar="TIME", help="Only requests that arrived then or later (RFC 3339).")
@click.option("--to", metavar="TIME", help="Only requests that arrived before; else up to now.")
@click.option(
    "-o", "--output", required=True, metavar="FILE", type=click.Path(dir_okay=False, path_type=Path),
    help="Where to: FILE.parquet, FILE.ndjson or FILE.jsonl.",
)  # fmt: skip
@click.option("--force", is_flag=True, help="Replace the file if it is there.")
@answering
def export(out: Output, endpoint: str, from_: str | None, to: str | None, output: Path, force: bool) -> None:  # noqa: FBT001 - click's own
    """Write an endpoint's decision records into one file: one row per request, late answers in their rows."""
    form = _FORMS.get(output.suffix)
    if form is None:
        raise UsageWrong(f"{output.name} ends neither in .parquet nor in .ndjson or .jsonl")
    with out.progress(f"Exporting {endpoint}"), factory() as muster:
        complete_to = muster.export(endpoint, output, from_=from_, to=to, form=form, force=force)
    document = {
        "endpoint": endpoint, "file": str(output), "bytes": output.stat().st_size, "complete_to": complete_to,
    }  # fmt: skip
    out.document(document, lambda console: console.print(f"{output}: {document['bytes']} bytes"))
    out.note(f"Complete up to {complete_to}; what arrived later may still have been on its way.")


@archive.command()
@click.option("--endpoint", metavar="NAME", help="Only the files of this endpoint.")
@click.option(
    "--archive", "folder", metavar="PATH", type=click.Path(path_type=Path),
    help="Verify this copy of HOME/archive instead of the factory's.",
)  # fmt: skip
@answering
def verify(out: Output, endpoint: str | None, folder: Path | None) -> int:
    """Say whether the archive is whole: no byte changed, nothing missing, every request accounted for.

    Exit code 1 says that it is not; the problems are listed.
    """
    with out.progress("Verifying") as news:
        if folder is None:
            with factory() as muster:
                found = muster.verify_archive(endpoint)
        else:
            found = _of_copy(folder, endpoint, news, out)
    out.document(found, lambda console: _show_verdict(console, found))
    return exits.DONE if found.valid else exits.VERDICT_NO


@archive.command()
@click.argument("endpoint")
@click.option("--days", type=click.IntRange(1, 36_500), metavar="N", help="Keep records for so many days.")
@click.option("--forever", is_flag=True, help="Keep records for ever.")
@click.option("--reason", required=True, metavar="TEXT", help="Why; kept in the audit journal.")
@answering
def retain(out: Output, endpoint: str, days: int | None, forever: bool, reason: str) -> None:  # noqa: FBT001 - click's own
    """Say how long an endpoint's decision records are kept; what is older is removed for good."""
    if (days is None) == (not forever):
        raise UsageWrong("say either --days N or --forever")
    with factory() as muster:
        found = muster.retain(endpoint, days, reason)
    out.document(found, lambda console: console.print(f"{endpoint}: {_kept(found.days)}"))


@archive.command()
@answering
def retention(out: Output) -> None:
    """List how long decision records are kept."""
    with factory() as muster:
        found = muster.retentions()
    rows = [(one.endpoint, _kept(one.days), one.set_by, one.set_at, one.reason) for one in found.rules]
    rows.append(("all others", _kept(found.default_days), "the setting archive.retention_days", "", ""))
    columns = ("endpoint", "records are kept", "set by", "at", "reason")
    out.document(found, lambda console: show_table(console, columns, rows))


def _kept(days: int | None) -> str:
    return "for ever" if days is None else f"for {days} days"


def _of_copy(folder: Path, endpoint: str | None, news: Callable[[str], None], out: Output) -> control.ArchiveVerdict:
    # Together they bring Arrow and the API, half a second to load; the other commands here, and this one of a factory, do without.
    from muster.api.convert import archive_verdict  # noqa: PLC0415
    from muster.archive.verify import Verifier  # noqa: PLC0415

    out.put_logs_aside()
    if not folder.is_dir():
        raise FileMissing(f"there is no folder {folder}", path=str(folder))
    return archive_verdict(Verifier(folder, endpoint=endpoint, say=news).verify())


def _show_verdict(console: "Console", found: control.ArchiveVerdict) -> None:
    columns = ("endpoint", "received", "recorded", "dropped", "refused", "unanswered", "on the way", "late", "removed")
    rows = [
        (
            one.endpoint, one.received, one.recorded, one.dropped, one.refused, one.unanswered, one.on_the_way,
            one.late, one.removed,
        )
        for one in found.endpoints
    ]  # fmt: skip
    show_table(console, columns, rows, none="The archive holds no records.")
    for chain in found.fronts:
        console.print(
            f"front {chain.front}: segments {chain.first} to {chain.last}, last {chain.digest[:16] or 'open'}"
        )
    if found.unproven_files:
        console.print(f"{found.unproven_files} files of Muster 0.1 are whole, and not in the index")
    for problem in found.problems[:_SHOWN_PROBLEMS]:
        console.print(f"{problem.kind}: {problem.where}: {problem.message}", style="red")
    if len(found.problems) > _SHOWN_PROBLEMS:
        console.print(f"… and {len(found.problems) - _SHOWN_PROBLEMS} problems more; --json shows all", style="red")
    if found.valid:
        console.print(f"valid: {found.files} files, {len(found.fronts)} fronts", style="green")
    else:
        console.print(f"not valid: {len(found.problems)} problems", style="red")
