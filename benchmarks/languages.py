"""What a host costs in each language: the churn model, asked for 1 row and for 32 rows at a time over one connection.

    .venv/bin/python benchmarks/languages.py [--folder DIR] [--seconds 3] [--json FILE] [NAME …]

DIR is where `examples/languages/make.py` has put its bundles; what is missing there is trained and assembled first. Times are those of a
front's connection: from sending the frame to the whole answer, through the bridge and the program where there is one. All hosts stand
by from the beginning and are asked in turn, round by round, so that whatever else the machine does falls upon all. R's model is a
regression and a tree, all others are regressions, each fed and computed in its own way: this compares what a user gets, not compilers.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muster.environments.shelf import lab_shelf
from muster.packaging.columns import Table, joined, rows_between
from muster.packaging.documents import Bundle, read_description
from muster.packaging.golden import read_golden
from muster.runtimes.channel import Channel
from muster.runtimes.host import running_host

MAKE = Path(__file__).resolve().parents[1] / "examples" / "languages" / "make.py"
BATCHES = (1, 32)
_ROUNDS = 3
_WARM_UP_S = 0.5


def main() -> None:
    """Train what is missing, measure, print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("names", nargs="*", metavar="NAME")
    arguments.add_argument("--folder", type=Path, help="where the bundles are kept; a temporary folder otherwise")
    arguments.add_argument("--seconds", type=float, default=3.0, help="how long each figure is measured")
    arguments.add_argument("--json", type=Path, help="write the figures here, too")
    given = arguments.parse_args()
    folder = given.folder or Path(tempfile.mkdtemp(prefix="muster-languages-"))
    made = subprocess.run(
        [sys.executable, str(MAKE), str(folder), *given.names, "--json"], stdout=subprocess.PIPE, check=False
    )
    ready = []
    for one in json.loads(made.stdout or b"[]"):
        if one["bundle"] is None:
            print(f"{one['name']:16}  not here: {one['reason'].splitlines()[0]}", flush=True)
        else:
            ready.append((one["name"], Path(one["bundle"])))
    figures = measured(ready, given.seconds)
    print(f"{'':16}{'runs on':>18}{'p50 µs, 1':>12}{'rows/s, 1':>12}{'p50 µs, 32':>12}{'rows/s, 32':>12}")
    for figure in figures:
        show(figure)
    print(f"load average at the end {os.getloadavg()[0]:.1f}, processors {os.cpu_count()}")
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


def measured(bundles: list[tuple[str, Path]], seconds: float) -> list[dict[str, Any]]:
    """Figures of each bundle, its host asked for so many seconds per size of a batch, in turns with the others."""
    with ExitStack() as stack:
        asked = [stack.enter_context(started(name, folder)) for name, folder in bundles]
        for _ in range(_ROUNDS):
            for one in asked:
                for rows in BATCHES:
                    one.took[rows].extend(times(one.channel, one.batches[rows], seconds / _ROUNDS))
        return [one.figures() for one in asked]


@dataclass(frozen=True)
class Asked:
    """A host, what it is asked, and how long each answer took."""

    name: str
    runs_on: str
    start_s: float
    channel: Channel
    batches: dict[int, Table]
    took: dict[int, list[int]]
    """Nanoseconds of each call, by rows of a batch."""

    def figures(self) -> dict[str, Any]:
        """What was measured."""
        found: dict[str, Any] = {"name": self.name, "runs_on": self.runs_on, "start_s": round(self.start_s, 3)}
        for rows, took in self.took.items():
            ordered = sorted(took)
            found[f"rows_{rows}"] = {
                "p50_us": round(statistics.median(ordered) / 1000, 1),
                "p99_us": round(ordered[int(0.99 * len(ordered))] / 1000, 1),
                "rows_per_s": round(rows * len(took) / (sum(took) / 1e9)),
            }
        return found


@contextmanager
def started(name: str, folder: Path) -> Iterator[Asked]:
    """The host of one bundle, in the environment that `muster try` would use."""
    bundle = read_description(folder)
    built = lab_shelf(os.environ).ensure(folder, bundle)
    inputs = read_golden(folder, bundle).inputs
    with tempfile.TemporaryDirectory(prefix="muster-bench-") as scratch:
        began = time.monotonic()
        order = built.order(folder.resolve(), bundle)
        with running_host(built, folder, order, Path(scratch) / "host.log") as channel:
            yield Asked(
                name=name,
                runs_on=_runs_on(bundle),
                start_s=time.monotonic() - began,
                channel=channel,
                batches={rows: batch_of(inputs, rows) for rows in BATCHES},
                took={rows: [] for rows in BATCHES},
            )


def batch_of(inputs: Table, rows: int) -> Table:
    """The first rows of the golden set, from its beginning again where it is too short."""
    return joined([rows_between(inputs, row % inputs.rows, row % inputs.rows + 1) for row in range(rows)])


def times(channel: Channel, batch: Table, seconds: float) -> list[int]:
    """Nanoseconds of each call, after a warm-up."""
    columns = [(column.data, column.nulls) for column in batch.columns.values()]
    took: list[int] = []
    for lasts, kept in ((_WARM_UP_S, False), (seconds, True)):
        until = time.monotonic() + lasts
        while time.monotonic() < until:
            answer = channel.predict([batch.rows], columns)
            if answer.errors:
                raise SystemExit(f"the model raised: {next(iter(answer.errors.values())).message}")
            if kept:
                took.append(answer.latency_ns)
    return took


def show(figures: dict[str, Any]) -> None:
    """One line of the table."""
    cells = "".join(
        f"{figures[f'rows_{rows}']['p50_us']:12.0f}{figures[f'rows_{rows}']['rows_per_s']:12,.0f}" for rows in BATCHES
    )
    print(f"{figures['name']:16}{figures['runs_on']:>18}{cells}", flush=True)


def _runs_on(bundle: Bundle) -> str:
    interpreter = bundle.runtime.interpreter
    return interpreter if "-" in interpreter else f"python-{interpreter}"


if __name__ == "__main__":
    main()
