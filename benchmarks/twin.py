"""What a compiled twin saves: a version and its twin, asked for 1 row and for 32 rows at a time over one connection each.

    .venv/bin/python benchmarks/twin.py [--folder DIR] [--seconds 3] [--model NAME …] [--json FILE]

Trains the churn model of examples/languages in several ways, has the certification's own code make the twin of each and hold it against
its original, and measures both hosts in turn. Times are those of a front's connection: from sending the frame to the whole answer.
DIR keeps environments between runs.
"""

import argparse
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd
from sklearn.compose import make_column_transformer
from sklearn.ensemble import HistGradientBoostingClassifier, RandomForestClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder, StandardScaler

import muster
from muster.blobs.local import LocalBlobs
from muster.certification.checks import Bench, put
from muster.certification.options import CertificationOptions
from muster.certification.twinned import TwinOrder
from muster.certification.twins import TwinAgrees
from muster.environments.shelf import Shelf
from muster.packaging.bundle import read_bundle
from muster.packaging.columns import Table, joined, rows_between
from muster.packaging.contract import contract_digest
from muster.packaging.documents import Tolerance
from muster.packaging.golden import read_golden
from muster.packaging.manifest import manifest_of
from muster.packaging.sealed import materialise
from muster.registry.records import Version
from muster.runtimes.channel import Channel
from muster.runtimes.host import running_host
from muster.vocabulary.digests import digest_of
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import VersionState

EXAMPLES = Path(__file__).resolve().parents[1] / "examples" / "languages"
BATCHES = (1, 32)
_TOLERANCE = Tolerance(abs=1e-6)
_WARM_UP_S = 0.5


def models(texts: list[str], numbers: list[str]) -> dict[str, Callable[[], Any]]:
    """What is trained."""

    def logistic() -> Any:
        columns = make_column_transformer(
            (make_pipeline(SimpleImputer(strategy="median"), StandardScaler()), numbers),
            (OneHotEncoder(handle_unknown="ignore"), texts),
        )
        return make_pipeline(columns, LogisticRegression(max_iter=1000))

    def forest() -> Any:
        columns = make_column_transformer(
            (SimpleImputer(strategy="median"), numbers),
            (OneHotEncoder(handle_unknown="ignore", sparse_output=False), texts),
        )
        return make_pipeline(columns, RandomForestClassifier(n_estimators=60, min_samples_leaf=8, random_state=1))

    def boosting() -> Any:
        columns = make_column_transformer(
            (OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1), texts), remainder="passthrough"
        )
        return make_pipeline(columns, HistGradientBoostingClassifier(max_iter=60, random_state=1))

    def matrix() -> Any:
        return make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(max_iter=1000))

    return {"logistic": logistic, "forest": forest, "boosting": boosting, "numbers-only": matrix}


def main() -> None:
    """Train, twin, measure, print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--folder", type=Path, help="where environments are kept; a temporary folder otherwise")
    arguments.add_argument("--seconds", type=float, default=3.0, help="how long each figure is measured")
    arguments.add_argument("--model", action="append", default=[], help="only these")
    arguments.add_argument("--json", type=Path, help="write the figures here, too")
    given = arguments.parse_args()
    folder = (given.folder or Path(tempfile.mkdtemp(prefix="muster-twin-"))).resolve()
    sys.path.insert(0, str(EXAMPLES))
    import data  # noqa: PLC0415 - lies beside the examples

    if not (folder / "data" / "train.csv").is_file():
        data.write(folder / "data")
    training, rows = pd.read_csv(folder / "data" / "train.csv"), pd.read_csv(folder / "data" / "rows.csv")
    left = training.pop("left")
    texts = list(training.select_dtypes(exclude="number"))
    numbers = [name for name in training if name not in texts]
    print(f"{'':14}{'p50 µs, 1':>22}{'p50 µs, 32':>22}{'deviation':>12}{'flips':>7}", flush=True)
    figures = []
    for name, make in models(texts, numbers).items():
        if given.model and name not in given.model:
            continue
        columns = numbers if name == "numbers-only" else list(training)
        with tempfile.TemporaryDirectory(dir=folder, prefix=f"{name}-") as scratch:
            bundle = muster.save(
                make().fit(training[columns], left),
                Path(scratch) / "bundle",
                name="churn",
                owner="ana",
                sample=training[columns],
                golden=rows[columns],
                output="churn_probability",
            )
            figures.append({"model": name, **measure(bundle, folder, Path(scratch), given.seconds)})
        show(figures[-1])
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure(folder: Path, root: Path, scratch: Path, seconds: float) -> dict[str, Any]:
    """Figures of one bundle and its twin."""
    bench = bench_of(folder, root, scratch)
    with ExitStack() as stack:
        check = put(TwinAgrees(), bench, stack)
    if bench.twinned is None:
        return {"refused": check.detail}
    assert bench.bundle is not None
    assert bench.environment is not None
    assert bench.golden is not None
    there = materialise(bench.twinned.manifest, bench.blobs, bench.bundles)
    twin = read_bundle(there)
    built = bench.environments.ensure(there, twin)
    found: dict[str, Any] = {
        "deviation": bench.twinned.largest,
        "flips": bench.twinned.flips,
        "rows": bench.twinned.rows,
    }
    with (
        running_host(bench.environment, folder, bench.environment.order(folder, bench.bundle), scratch / "log") as one,
        running_host(built, there, built.order(there, twin), scratch / "log") as other,
    ):
        for batch in BATCHES:
            table = batch_of(bench.golden.inputs, batch)
            # In turns, so that whatever else the machine does falls upon both.
            times: tuple[list[float], list[float]] = ([], [])
            for _ in range(3):
                for channel, into in zip((one, other), times, strict=True):
                    into.extend(timed(channel, table, seconds / 3))
            found[f"p50_us_{batch}"] = [round(statistics.median(each), 1) for each in times]
    return found


def bench_of(folder: Path, root: Path, scratch: Path) -> Bench:
    """What certification's questions work with."""
    blobs = LocalBlobs(root / "blobs")
    shelf = Shelf(root / "environments", root / "uv-cache", blobs)
    bundle = read_bundle(folder)
    version = Version(
        name=VersionName("churn", 1),
        project="default",
        digest=manifest_of(folder).digest,
        state=VersionState.REGISTERED,
        registered_by="ana",
        registered_at=datetime.now(UTC),
        description="",
        owners=(),
        authors=(),
        tags={},
        contract=bundle.contract,
        contract_digest=contract_digest(bundle.contract),
        lock_digest=digest_of(b""),
        python=bundle.runtime.interpreter,
        files=1,
        size=1,
    )
    (scratch / "making").mkdir()
    return Bench(
        version=version,
        blobs=blobs,
        environments=shelf,
        bundles=root / "bundles",
        log=scratch / "log",
        scratch=scratch / "making",
        options=CertificationOptions(),
        say=lambda _: None,
        twin=TwinOrder(tolerance=_TOLERANCE),
        folder=folder,
        bundle=bundle,
        environment=shelf.ensure(folder, bundle),
        golden=read_golden(folder, bundle),
    )


def batch_of(inputs: Table, rows: int) -> Table:
    """So many rows of the golden set."""
    table = inputs
    while table.rows < rows:
        table = joined([table, inputs])
    return rows_between(table, 0, rows)


def timed(channel: Channel, table: Table, seconds: float) -> list[float]:
    """Microseconds of each call, after a warm-up."""
    columns = [(column.data, column.nulls) for column in table.columns.values()]
    until = time.perf_counter() + _WARM_UP_S
    while time.perf_counter() < until:
        channel.predict([table.rows], columns)
    times = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        times.append(channel.predict([table.rows], columns).latency_ns / 1000)
    return times


def show(figure: dict[str, Any]) -> None:
    """One line of the table."""
    if "refused" in figure:
        print(f"{figure['model']:14}  {figure['refused'].splitlines()[0]}", flush=True)
        return
    pairs = ["{:.0f} → {:.0f}".format(*figure[f"p50_us_{batch}"]) for batch in BATCHES]
    print(
        f"{figure['model']:14}{pairs[0]:>22}{pairs[1]:>22}{figure['deviation']:>12.1e}{figure['flips']:>7}", flush=True
    )


if __name__ == "__main__":
    main()
