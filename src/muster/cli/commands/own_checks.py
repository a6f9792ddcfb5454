"""`muster own-check`: checks of one's own, added to a project, or tried in the lab."""

import os
import tempfile
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import TYPE_CHECKING

import click

from muster.cli import exits
from muster.cli.errors import FileMissing, UsageWrong
from muster.cli.options import factory, reason_option
from muster.cli.output import Output, answering, show_facts, show_table

if TYPE_CHECKING:
    from rich.console import Console

    from muster.certification.records import Check
    from muster.wire import governance

_PATH = click.Path(path_type=Path)


@click.group("own-check")
def own_check() -> None:
    """Add, show and try checks of your own: programs that ask a model and give a verdict."""


@own_check.command("add")
@click.argument("name", metavar="NAME")
@click.argument("program", metavar="FILE", type=_PATH)
@reason_option
@answering
def add(out: Output, name: str, program: Path, reason: str) -> None:
    """Add a check to the project; versions are held to it once the standard names its digest.

    The standard calls it own:NAME and names the digest that is printed: [checks."own:NAME"] program = "sha256:…".
    """
    if not program.is_file():
        raise FileMissing(f"there is no file {program}", path=str(program))
    with factory() as muster:
        found = muster.add_check(name, program, reason)
    out.document(found, lambda console: _show(console, found))


@own_check.command("list")
@answering
def list_checks(out: Output) -> None:
    """List the checks that were added to the project, the newest first."""
    with factory() as muster:
        found = muster.checks()
    rows = [(one.name, one.digest, f"{one.added_at} by {one.added_by}", one.reason) for one in found.checks]
    columns = ("check", "program", "added", "reason")
    out.document(found, lambda console: show_table(console, columns, rows, none="The project has none of its own."))


@own_check.command("show")
@click.argument("digest", metavar="DIGEST")
@answering
def show(out: Output, digest: str) -> None:
    """Show the program of a check, by its digest."""
    with factory() as muster:
        found = muster.check(digest)
    out.document(found, lambda console: _show(console, found))


@own_check.command("try")
@click.argument("folder", metavar="DIR", type=_PATH)
@click.option("--program", metavar="FILE", type=_PATH, help="This program, instead of the checks of the bundle.")
@answering
def try_checks(out: Output, folder: Path, program: Path | None) -> int:
    """Run the own checks of a bundle in the lab, as certification would, or a program that is not in it yet.

    Exit code 1 says that one did not pass.
    """
    for path in (folder, *([program] if program is not None else [])):
        if not path.exists():
            raise FileMissing(f"there is no {path}", path=str(path))
    with out.progress(f"Trying the checks of {folder}") as news:
        found = _tried(folder.resolve(), program, news)
    document = {
        "path": str(folder),
        "passed": all(one.passed for one in found),
        "checks": [
            {"name": one.name, "passed": one.passed, "figure": one.figure, "limit": one.limit, "detail": one.detail}
            for one in found
        ],
    }
    rows = [(one.name, "passed" if one.passed else "FAILED", one.figure, one.limit, one.detail) for one in found]
    columns = ("check", "outcome", "figure", "limit", "detail")
    out.document(document, lambda console: show_table(console, columns, rows))
    return exits.DONE if document["passed"] else exits.VERDICT_NO


def _tried(folder: Path, program: Path | None, news: Callable[[str], None]) -> "list[Check]":
    from muster.blobs.local import LocalBlobs  # noqa: PLC0415 - most commands do without
    from muster.certification.checks import put  # noqa: PLC0415
    from muster.certification.lab import lab_bench  # noqa: PLC0415
    from muster.certification.own_checks import OwnCheck, own_checks  # noqa: PLC0415
    from muster.environments.shelf import lab_shelf  # noqa: PLC0415
    from muster.packaging.bundle import read_bundle  # noqa: PLC0415

    bundle = read_bundle(folder)
    if program is None and not bundle.checks:
        raise UsageWrong(f"{folder} declares no [[checks]]; name a program with --program FILE")
    with tempfile.TemporaryDirectory(prefix="muster-check-") as scratch, ExitStack() as stack:
        blobs = LocalBlobs(Path(scratch) / "blobs")
        bench = lab_bench(folder, bundle, lab_shelf(os.environ), blobs, Path(scratch), news, stack)
        given = [] if program is None else [OwnCheck(program.stem, program=blobs.put(program))]
        return [put(question, bench, stack) for question in given or own_checks(bench)]


def _show(console: "Console", found: "governance.ProjectCheck") -> None:
    facts = [
        ("check", f"own:{found.name}"),
        ("program", found.digest),
        ("bytes", found.size),
        ("added", f"{found.added_at} by {found.added_by}"),
        ("reason", found.reason),
    ]
    show_facts(console, facts)
    if found.text is not None:
        console.print(found.text, markup=False, end="")
