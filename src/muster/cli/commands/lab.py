"""In the lab, without a factory: check, try, pack."""

from pathlib import Path

import click

from muster.cli import exits
from muster.cli.errors import FileMissing
from muster.cli.output import Output, answering, show_table
from muster.cli.rows import kinds_of_contract, read_rows
from muster.cli.trial import try_bundle
from muster.packaging.bundle import check_bundle, pack, read_bundle
from muster.packaging.manifest import IGNORED_NAMES, IGNORED_SUFFIXES

_FOLDER = click.Path(path_type=Path)


@click.command()
@click.argument("folder", metavar="DIR", type=_FOLDER)
@answering
def check(out: Output, folder: Path) -> int:
    """Say what is missing, superfluous or incomplete in a bundle, each with its remedy.

    Exit code 1 says that something keeps it from being registered; warnings do not.
    """
    _require_folder(folder)
    # Loaded now: the languages are many, and `pack` and the help do without them.
    from muster.environments.languages.known import language_problems  # noqa: PLC0415

    findings = check_bundle(folder, language_problems)
    sound = not any(finding.level == "error" for finding in findings)
    document = {
        "path": str(folder),
        "sound": sound,
        "findings": [
            {"level": one.level, "path": one.path, "problem": one.problem, "remedy": one.remedy} for one in findings
        ],
    }
    rows = [(one.level, one.path, one.problem, one.remedy) for one in findings]
    columns = ("", "file", "problem", "remedy")
    out.document(document, lambda console: show_table(console, columns, rows, none=f"{folder} is a sound bundle."))
    return exits.DONE if sound else exits.VERDICT_NO


@click.command("try")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.argument("file", metavar="ROWS", type=click.Path(path_type=Path))
@answering
def try_(out: Output, folder: Path, file: Path) -> None:
    """Run a bundle on the rows of a file (.json, .jsonl, .csv, .parquet), in its own environment, in a real host.

    The environment is built when it is needed for the first time, and kept under ~/.cache/muster.
    """
    _require_folder(folder)
    bundle = read_bundle(folder)
    rows = read_rows(file, lambda: kinds_of_contract(bundle.contract))
    with out.progress(f"Trying {folder}") as news:
        trial = try_bundle(folder, bundle, rows, news)
    document = {
        "model": bundle.name,
        "environment": trial.environment,
        "compute_ms": trial.compute_ms,
        "answers": list(trial.answers),
    }
    names = tuple(field.name for field in bundle.contract.outputs)
    answers = [tuple(answer[name] for name in names) for answer in trial.answers]
    out.document(document, lambda console: show_table(console, names, answers))
    out.note(f"{len(trial.answers)} rows in {trial.compute_ms:.1f} ms")


@click.command("pack")
@click.argument("folder", metavar="DIR", type=_FOLDER)
@click.option(
    "-o", "--output", "target", required=True, metavar="FILE.zip", type=click.Path(path_type=Path), help="Where to."
)
@answering
def pack_(out: Output, folder: Path, target: Path) -> None:
    """Make the one zip of a bundle: the same folder gives the same bytes on every machine.

    What editors, version control and Python leave behind is left out; the list is shown.
    """
    _require_folder(folder)
    digest = pack(folder, target)
    ignored = [*sorted(IGNORED_NAMES), *(f"*{suffix}" for suffix in IGNORED_SUFFIXES)]
    document = {"path": str(target), "digest": digest, "bytes": target.stat().st_size, "ignored": ignored}
    out.document(document, lambda console: console.print(f"{target}: {digest} ({target.stat().st_size} bytes)"))
    out.note(f"Left out wherever they lie: {', '.join(ignored)}")


def _require_folder(folder: Path) -> None:
    if not folder.is_dir():
        raise FileMissing(f"there is no folder {folder}", path=str(folder))
