"""Known vulnerabilities: take files of them in, list them, see which versions they hit."""

from pathlib import Path

import click

from muster.cli import exits
from muster.cli.errors import FileMissing
from muster.cli.options import factory, reason_option
from muster.cli.output import Output, answering, show_facts, show_table


@click.group()
def vulnerabilities() -> None:
    """Take files of known vulnerabilities in, list them, see which versions they hit."""


@vulnerabilities.command("import")
@click.argument("file", metavar="FILE", type=click.Path(dir_okay=False, path_type=Path))
@reason_option
@answering
def import_file(out: Output, file: Path, reason: str) -> None:
    """Take a file in the format of OSV in: JSON, or a zip as https://osv.dev exports it; the newest counts."""
    if not file.is_file():
        raise FileMissing(f"there is no file {file}", path=str(file))
    with factory() as muster:
        found = muster.import_vulnerabilities(file, reason)
    facts = [
        ("file", f"{found.number}, {found.name}"),
        (
            "records",
            f"{found.records} that locks can name, of {', '.join(found.ecosystems) or 'none'}; {found.skipped} others",
        ),
        ("as of", found.as_of or "not told"),
    ]
    out.document(found, lambda console: show_facts(console, facts))


@vulnerabilities.command("list")
@answering
def list_files(out: Output) -> None:
    """List the files, the newest first; certification goes by the newest."""
    with factory() as muster:
        found = muster.vulnerability_files()
    rows = [
        (
            one.number,
            one.name,
            one.records,
            ", ".join(one.ecosystems),
            one.as_of,
            f"{one.at} by {one.imported_by}",
            one.reason,
        )
        for one in found.files
    ]
    columns = ("file", "name", "records", "ecosystems", "as of", "taken in", "reason")
    none = "The project has taken none in: the check no-known-vulnerabilities is not put."
    out.document(found, lambda console: show_table(console, columns, rows, none=none))


@vulnerabilities.command("affected")
@answering
def list_affected(out: Output) -> int:
    """List the certified and accepted versions that the newest file hits; those that are served first.

    Exit code 1 says that a version which is served is among them.
    """
    with factory() as muster:
        found = muster.affected_versions()
    rows = [
        (one.version, one.state, ", ".join(one.served), hit.package, hit.id, hit.severity, hit.fixed)
        for one in found.versions
        for hit in one.vulnerabilities
    ]
    columns = ("version", "state", "served by", "package", "vulnerability", "severity", "mended in")
    none = (
        "The project has taken no file of vulnerabilities in."
        if found.file is None
        else f"None of {found.looked_at} versions is hit by file {found.file.number}."
    )
    out.document(found, lambda console: show_table(console, columns, rows, none=none))
    return exits.VERDICT_NO if any(one.served for one in found.versions) else exits.DONE
