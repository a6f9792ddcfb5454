"""`muster assemble`: sources and rows become a bundle, whatever language the model is written in."""

from pathlib import Path

import click

from muster.cli.errors import FileMissing
from muster.cli.output import Output, answering

_PATH = click.Path(path_type=Path)


@click.command()
@click.argument("source", metavar="DIR", type=_PATH)
@click.option(
    "--rows", metavar="FILE", type=_PATH, help="Rows as the model is given them: .csv, .json, .jsonl, .parquet."
)
@click.option("--expected", metavar="FILE", type=_PATH, help="The training program's own answers to those rows.")
@click.option("-o", "--output", "target", metavar="BUNDLE", type=_PATH, help="The folder to write.")
@click.option("--notes", default="", metavar="TEXT", help="What changed in this version.")
@click.option("--notes-file", metavar="FILE", type=_PATH, help="The same from a file, which becomes NOTES.md.")
@click.option("--card", metavar="FILE", type=_PATH, help="TOML with [card] and [[data]]: what a standard asks for.")
@click.option("--notebook", metavar="FILE", type=_PATH, help="How you got there, as .ipynb.")
@click.option("--data", multiple=True, metavar="NAME=PATH", help="A data set: training=churn.csv, or an address.")
@click.option("--helper", is_flag=True, help="Only put the language's helper into DIR, for compiler and editor.")
@answering
def assemble(
    out: Output,
    source: Path,
    *,
    rows: Path | None,
    expected: Path | None,
    target: Path | None,
    notes: str,
    notes_file: Path | None,
    card: Path | None,
    notebook: Path | None,
    data: tuple[str, ...],
    helper: bool,
) -> None:
    """Make a bundle of a model in any language.

    DIR holds a muster.toml of a few lines (name, owners, [runtime] kind and entry, [[contract.outputs]]), the model and its code. The
    contract of the inputs is inferred from the rows; helper and lock are added; the environment is built, and the golden answers are
    computed by the real host, twice. What people are told about the model (card, data, notes, notebook) stands in muster.toml as well,
    or comes with the options. Environments are kept under ~/.cache/muster.
    """
    # Loaded now, for the help needs none of it.
    from muster.assembling import assemble as assembling  # noqa: PLC0415
    from muster.assembling.told import Told, read_notes  # noqa: PLC0415
    from muster.environments.languages.known import LANGUAGES  # noqa: PLC0415

    if not source.is_dir():
        raise FileMissing(f"there is no folder {source}", path=str(source))
    if helper:
        put = assembling.put_helper(LANGUAGES[assembling.read_draft(source).kind], source)
        out.document(
            {"path": str(source), "files": put}, lambda console: console.print("\n".join(put), highlight=False)
        )
        return
    if rows is None or target is None:
        raise click.UsageError("--rows and --output are needed, unless --helper is given")
    if notes and notes_file is not None:
        raise click.UsageError("--notes and --notes-file exclude each other")
    told = Told(
        notes=notes if notes_file is None else read_notes(notes_file),
        card=card,
        notebook=notebook,
        data=dict(_named(text) for text in data),
    )
    with out.progress(f"Assembling {source}") as news:
        made = assembling.assemble(source, target, rows=rows, expected=expected, told=told, say=news)
    document = {
        "path": str(target),
        "model": made.bundle.name,
        "kind": made.bundle.runtime.kind,
        "toolchain": made.toolchain,
        "environment": made.environment,
        "packages": made.packages,
        "golden_rows": made.golden_rows,
        "compute_ms": made.compute_ms,
        "largest_deviation": made.largest_deviation,
    }
    held = "" if made.largest_deviation is None else f", {made.largest_deviation:.1e} at most from the expected answers"
    out.document(
        document,
        lambda console: console.print(
            f"{target}: {made.bundle.name}, {made.bundle.runtime.kind} ({made.toolchain}), {made.packages} packages, "
            f"{made.golden_rows} golden rows{held}",
            highlight=False,
        ),
    )


def _named(text: str) -> tuple[str, str]:
    name, equals, place = text.partition("=")
    if not (name and equals and place):
        raise click.UsageError(f"--data {text!r} is not NAME=PATH")
    return name, place
