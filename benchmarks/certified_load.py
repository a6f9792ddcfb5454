"""What certification says of a model under load, beside what a load tool that is not ours measures through the front.

    .venv/bin/python benchmarks/certified_load.py [--tool PATH] [--rate 50 …] [--seconds 10] [--rounds 3] [--json FILE]

Makes a factory for one person in a folder of its own, starts it with `muster up`, and for each model and rate: certifies a version that
declares the rate, releases it, and has a load tool ask the endpoint at that rate. Rounds take turns, certified and outside, and the median
of each is compared: the machine is a different one a minute later.

The tool is oha (`cargo install oha`, MIT), which corrects its latency for coordinated omission, or hey (`apt install hey`,
Apache-2.0), which does not. Nothing of the product or of its tests needs either.
"""

import argparse
import csv
import io
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

import muster
from muster.certification.percentiles import percentile
from muster.client.control import Factory, connect
from muster.wire import control

MUSTER = (sys.executable, "-m", "muster")
STANDARD = """format = 1
name = "benchmark"
[checks.load]
options = {{ requests_per_s = {rate}, seconds = {seconds}, arrivals = "uniform", p99_ms = 60000.0 }}
[checks.rebuilds-offline]
run = false
"""


class TenMilliseconds:
    """Computes for ten milliseconds, whatever it is asked: a model whose own time is most of the latency."""

    def predict(self, columns: dict[str, Any]) -> dict[str, list[float]]:
        """The mean radius, after a while."""
        until = time.perf_counter() + 0.01
        while time.perf_counter() < until:
            pass
        return {"score": [float(value) for value in columns["mean radius"]]}


def trained() -> tuple[pd.DataFrame, dict[str, Any]]:
    """Rows, and the models by name."""
    data = load_breast_cancer(as_frame=True)
    rows: pd.DataFrame = data.data
    linear = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000)).fit(rows, data.target)
    boosted = HistGradientBoostingClassifier(random_state=0).fit(rows, data.target)
    return rows, {"linear": linear, "boosted": boosted, "ten-ms": TenMilliseconds()}


@contextmanager
def running(folder: Path) -> Iterator[tuple[str, str, str]]:
    """A factory for one person: address of control, address of the front, token."""
    home = folder / "home"
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    environment["XDG_CONFIG_HOME"] = str(folder / "config")
    if not home.exists():
        init = [*MUSTER, "init", str(home), "--solo", "--json"]
        subprocess.run(init, check=True, stdout=subprocess.DEVNULL, env=environment)
    up = subprocess.Popen(
        [*MUSTER, "up", "--home", str(home), "--json", "--port", "0", "--scoring-port", "0", "--grpc-port", "0"],
        stdout=subprocess.PIPE,
        env=environment,
    )
    with up:
        try:
            assert up.stdout is not None
            said = b""
            while not said.endswith(b"}\n"):
                line = up.stdout.readline()
                if not line:
                    raise RuntimeError("muster up ended")
                said += line
            told = json.loads(said)
            yield told["control"], told["scoring"], (home / "admin.token").read_text().strip()
        finally:
            up.terminate()


def certified(factory: Factory, version: str, rate: float, seconds: float) -> dict[str, float]:
    """The figures of the check `load`."""
    standard = factory.propose_standard(STANDARD.format(rate=rate, seconds=seconds), "for the benchmark")
    factory.approve_standard(standard.number, "go")
    found: control.Certification = factory.certify(version)
    load = next(check for check in found.checks if check.name == "load")
    if not found.passed:
        raise RuntimeError(f"{version} was not certified: {[check for check in found.checks if not check.passed]}")
    return dict(load.figures)


def outside(tool: str, url: str, token: str, body: str, rate: float, seconds: float) -> dict[str, float]:
    """The same, as the load tool sees it through the front, after a second that does not count."""
    ask = _oha if Path(tool).name == "oha" else _hey
    common = ["-m", "POST", "-H", f"authorization: Bearer {token}", "-T", "application/json", "-d", body, url]
    ask(tool, rate, 1.0, common)
    return ask(tool, rate, seconds, common)


def _oha(tool: str, rate: float, seconds: float, common: list[str]) -> dict[str, float]:
    """oha: requests come by the clock, and latency is corrected for those that had to wait."""
    options = [
        "-q",
        f"{rate:g}",
        "-c",
        "64",
        "-z",
        f"{seconds:g}s",
        "--latency-correction",
        "--no-tui",
        "--output-format",
        "json",
    ]
    document = json.loads(subprocess.run([tool, *options, *common], check=True, capture_output=True).stdout)
    if set(document["statusCodeDistribution"]) != {"200"}:
        raise RuntimeError(f"the front answered {document['statusCodeDistribution']}")
    return {f"{name}_ms": 1000 * document["latencyPercentiles"][name] for name in ("p50", "p95", "p99")}


def _hey(tool: str, rate: float, seconds: float, common: list[str]) -> dict[str, float]:
    """hey: one worker by the clock; what would have come while it waits is left out, which flatters the front."""
    options = ["-q", f"{rate:g}", "-c", "1", "-z", f"{seconds:g}s", "-o", "csv"]
    told = subprocess.run([tool, *options, *common], check=True, capture_output=True, text=True).stdout
    rows = list(csv.DictReader(io.StringIO(told)))
    statuses = {row["status-code"] for row in rows}
    if statuses != {"200"}:
        raise RuntimeError(f"the front answered {statuses}")
    took = [1000 * float(row["response-time"]) for row in rows]
    return {f"{name}_ms": percentile(took, share) for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))}


def rounds(given: argparse.Namespace) -> list[dict[str, Any]]:
    """A line per model and rate."""
    rows, models = trained()
    body = json.dumps({"rows": rows.head(1).to_dict("records")})
    lines = []
    with (
        nullcontext(given.folder)
        if given.folder
        else tempfile.TemporaryDirectory(prefix="muster-certified-load-") as name,
        running(Path(name)) as (url, scoring, token),
        connect(url, token=token) as factory,
    ):
        for model in given.model:
            bundle = muster.save(
                models[model], Path(name) / model, name=model, sample=rows, owner="admin", output="score",
                method="predict" if model == "ten-ms" else None, load={"requests_per_s": 1.0},
            )  # fmt: skip
            version = factory.register(bundle).version
            certified(factory, version, given.rate[0], 1.0)
            factory.accept(version, "for the benchmark")
            proposed = factory.propose(model, champion=version, deadline="5s", reason="for the benchmark")
            factory.approve(model, proposed.release, "go")
            for rate in given.rate:
                found: list[tuple[dict[str, float], dict[str, float]]] = []
                for _ in range(given.rounds):
                    inside = certified(factory, version, rate, given.seconds)
                    found.append(
                        (inside, outside(given.tool, f"{scoring}/score/{model}", token, body, rate, given.seconds))
                    )
                lines.append(line_of(model, rate, found))
                print(json.dumps(lines[-1]), file=sys.stderr, flush=True)
    return lines


def line_of(model: str, rate: float, found: list[tuple[dict[str, float], dict[str, float]]]) -> dict[str, Any]:
    """Medians of the rounds, and their ratio."""
    line: dict[str, Any] = {"model": model, "rate": rate, "rounds": len(found)}
    for name in ("p50_ms", "p95_ms", "p99_ms"):
        inside, out = (statistics.median(pair[at][name] for pair in found) for at in (0, 1))
        line |= {f"certified_{name}": inside, f"outside_{name}": out, f"ratio_{name}": inside / out}
    return line


def main() -> None:
    """Run, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", default=shutil.which("oha") or shutil.which("hey") or "oha", help="oha, or hey")
    parser.add_argument(
        "--folder", help="where the factory lies, kept between runs; without it a folder that is thrown away"
    )
    parser.add_argument("--model", nargs="+", default=["linear", "ten-ms"])
    parser.add_argument("--rate", nargs="+", type=float, default=[50.0])
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    lines = rounds(given)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, NumPy {np.__version__}"
    print(
        f"| model | requests/s | p50 certified | p50 outside | ratio | p99 certified | p99 outside | ratio |  {machine}"
    )
    print("|---|---|---|---|---|---|---|---|")
    for line in lines:
        told = (
            f"{line['certified_' + name]:.2f} ms | {line['outside_' + name]:.2f} ms | {line['ratio_' + name]:.2f}"
            for name in ("p50_ms", "p99_ms")
        )
        print(f"| {line['model']} | {line['rate']:g} | {' | '.join(told)} |")
    if given.json is not None:
        given.json.write_text(json.dumps(lines, indent=1))


if __name__ == "__main__":
    main()
