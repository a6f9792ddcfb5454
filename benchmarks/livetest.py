"""What a champion feels of a version on trial: its latencies with and without one, in turn, at the same arrivals.

    .venv/bin/python benchmarks/livetest.py [--rate 200] [--seconds 8] [--rounds 4] [--json FILE]

A real factory in a folder of its own, a scaled logistic regression as champion, Poisson arrivals from a generator of its own;
times count from the moment at which a request was due. Four versions are put on trial, one after the other: one like the
champion, one that computes half a millisecond a row, one that spins for 50 ms a batch, one that sleeps for 2 s in every tenth
batch. Each round is measured without and with it, next to each other, in the order without-with-with-without, so that what else
the machine does falls on both. Medians over the rounds.
"""

import argparse
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from harness import machine, models
from harness.contenders import Contender
from harness.factory import RunningFactory
from harness.open_loop import start_arrivals
from harness.processes import Crew

#: Version, and the trick that it plays.
TRIALS = {
    "well-behaved": ("linear-1", None),
    "slow": ("slow", None),
    "spinning": ("trickster-1", "spin"),
    "sleeping": ("trickster-1", "sleep"),
}
_SETTLE_S = 0.5
_PERCENTS = (50, 99, 99.9)


def main() -> None:
    """Start, measure, print, end."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200, help="requests a second")
    parser.add_argument("--seconds", type=float, default=8, help="of one round")
    parser.add_argument("--rounds", type=int, default=4, help="of each kind; the median counts")
    parser.add_argument("--json", type=Path, help="write the figures here, too")
    given = parser.parse_args()
    described = machine.described()
    print(" · ".join(f"{name} {value}" for name, value in described.items()), flush=True)
    with tempfile.TemporaryDirectory(prefix="muster-bench-trial-") as scratch:
        folder = Path(scratch)
        (folder / "logs").mkdir()
        with Crew(folder / "logs") as crew:
            factory = RunningFactory(crew, folder, models.train())
            contender = factory.serve("one")
            measured(crew, contender, given.rate, min(given.seconds, 3))  # whatever is slow the first time
            found = {}
            for name in TRIALS:
                found[name] = trial(crew, factory, contender, name, given)
                print(name, found[name], flush=True)
            factory.down()
    print(table(found), flush=True)
    if given.json is not None:
        given.json.write_text(json.dumps({"machine": described, "trials": found}, indent=2))


def trial(
    crew: Crew, factory: RunningFactory, contender: Contender, name: str, given: argparse.Namespace
) -> dict[str, Any]:
    """One version on trial, beside the same arrivals without it."""
    version, trick = TRIALS[name]
    factory.version(version)  # certified before anything is measured
    without: list[dict[str, float]] = []
    beside: list[dict[str, float]] = []
    taken = left_out = 0
    for number in range(given.rounds):
        order = (False, True) if number % 2 == 0 else (True, False)
        for is_on in order:
            if not is_on:
                without.append(measured(crew, contender, given.rate, given.seconds))
                continue
            with factory.on_trial("one", version) as started:
                if trick is not None:
                    factory.trigger(version).write_text(trick)
                beside.append(measured(crew, contender, given.rate, given.seconds))
                factory.trigger(version).unlink(missing_ok=True)
                time.sleep(_counted_after_s())
                figures = factory.tried("one", started).figures
                taken, left_out = taken + figures.requests, left_out + figures.left_out
    return {"without": medians(without), "beside": medians(beside), "asked": taken, "left_out": left_out}


def measured(crew: Crew, contender: Contender, rate: float, seconds: float) -> dict[str, float]:
    """Latencies of the champion, in milliseconds."""
    time.sleep(_SETTLE_S)
    arrivals = start_arrivals(crew, contender, rate=rate, seconds=seconds).finished()
    figures = {f"p{percent:g}": arrivals.percentile_ms(percent) for percent in _PERCENTS}
    return figures | {"not answered": 1.0 - float(arrivals.ok.mean())}


def medians(rounds: list[dict[str, float]]) -> dict[str, float]:
    """Of each percentile."""
    return {name: statistics.median(one[name] for one in rounds) for name in rounds[0]}


def table(found: dict[str, dict[str, Any]]) -> str:
    """Markdown."""
    lines = [
        "| on trial | p50 w/o | with | p99 without | with | ratio | p99.9 without | with | no answer, without | with | asked | left out |",
        "|---|---|---|---|---|---|---|---|---|---|---|---|",
    ]
    for name, one in found.items():
        cells = [f"{one[side][percent]:.2f}" for percent in ("p50", "p99", "p99.9") for side in ("without", "beside")]
        ratio = one["beside"]["p99"] / one["without"]["p99"]
        missing = [f"{one[side]['not answered']:.2%}" for side in ("without", "beside")]
        figures = [*cells[:4], f"{ratio:.2f}", *cells[4:], *missing, str(one["asked"]), str(one["left_out"])]
        lines.append(f"| {name} | {' | '.join(figures)} |")
    return "\n".join(lines)


def _counted_after_s() -> float:
    """So long the executor waits until everything is known of a request, and then looks."""
    return 6.0


if __name__ == "__main__":
    main()
