"""`muster import`: a model that another tool saved becomes a bundle."""

from pathlib import Path

import click

from muster.cli.errors import FileMissing
from muster.cli.output import Output, answering

_PATH = click.Path(path_type=Path)


@click.group("import")
def import_() -> None:
    """Make a bundle of a model that another tool saved."""


@import_.command("mlflow")
@click.argument("source", metavar="DIR", type=_PATH)
@click.option("--rows", metavar="FILE", type=_PATH, help="Golden rows; else the input example that MLflow saved.")
@click.option("--name", metavar="NAME", help="The model's name; else that of the folder.")
@click.option(
    "--owner", "owners", metavar="NAME", multiple=True, required=True, help="Who answers for it; may be repeated."
)
@click.option("-o", "--output", "target", metavar="BUNDLE", type=_PATH, required=True, help="The folder to write.")
@answering
def mlflow(
    out: Output, source: Path, *, rows: Path | None, name: str | None, owners: tuple[str, ...], target: Path
) -> None:
    """Make a bundle of a folder with an MLmodel: signature, requirements and example are taken over.

    It runs in an environment of its own, locked from its requirements; MLflow is installed there, never beside Muster.
    """
    # Loaded now, for the help needs none of it.
    from muster.assembling.mlflow_import import import_mlflow  # noqa: PLC0415
    from muster.packaging.documents import read_description  # noqa: PLC0415

    if not source.is_dir():
        raise FileMissing(f"there is no folder {source}", path=str(source))
    with out.progress(f"Importing {source}") as news:
        import_mlflow(source, target, name=name, owners=owners, rows=rows, say=news)
    bundle = read_description(target)
    document = {
        "path": str(target),
        "model": bundle.name,
        "kind": bundle.runtime.kind,
        "inputs": [field.name for field in bundle.contract.inputs],
        "outputs": [field.name for field in bundle.contract.outputs],
        "golden_rows": bundle.golden.rows,
    }
    out.document(
        document,
        lambda console: console.print(
            f"{target}: {bundle.name}, {len(bundle.contract.inputs)} inputs, {bundle.golden.rows} golden rows",
            highlight=False,
        ),
    )
