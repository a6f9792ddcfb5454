"""Load, throughput, memory, cold start and data, on real hosts: for each a model that passes and one that fails for that reason alone."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from governed_factory import GovernedFactory
from made_bundles import made_bundle
from muster.certification.at_hand import SealedRows
from muster.certification.demands import Limits
from muster.certification.examination import Examination
from muster.certification.options import CertificationOptions
from muster.certification.records import Check, Examined
from muster.environments.shelf import Shelf
from muster.packaging.bundle import pack
from muster.packaging.claims import Claims, Load, Prediction
from muster.packaging.columns import Table
from muster.packaging.documents import DataSource
from muster.packaging.samples import read_sample
from muster.packaging.trees import remove_tree
from muster.profiles.whole import read_profile
from muster.registry.records import Version
from muster.storage.transaction import Database
from muster.training.service import Sources
from muster.training.version_profiles import VersionProfiles
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.digests import digest_of_file
from muster.wire.evidence import Curve, Grid
from muster.wire.profiles import Categories

#: Not what these tests are about, and dear.
WITHOUT = dict.fromkeys(
    ("host-conforms", "rebuilds-offline", "environments-alike", "contract-holds", "wrong-inputs"), False
)
ROWS = 400


class Bench:
    """An executor's bench for one version at a time."""

    def __init__(self, factory: GovernedFactory, environments: Path, folder: Path) -> None:
        self.factory = factory
        self.folder = folder
        self.made = 0
        self.sources = Sources(factory.database, factory.journal, factory.clock, private=[factory.folder])
        self.shelf = Shelf(environments / "environments", environments / "uv-cache", factory.blobs)
        self.sealed: SealedRows | None = None

    def register(self, *, files: Mapping[str, pa.Table] | None = None, **said: Any) -> Version:
        """A version whose bundle carries these tables as well."""
        self.made += 1
        folder = made_bundle(self.folder / f"b{self.made}", notes=f"take {self.made}", **said)
        for name, table in (files or {}).items():
            pq.write_table(table, folder / name)
        target = folder.with_suffix(".zip")
        pack(folder, target)
        return self.factory.registry.register(self.factory.call("ana"), target)

    def examination(self, **options: Any) -> Examination:
        return Examination(
            blobs=self.factory.blobs,
            environments=self.shelf,
            bundles=self.factory.folder / "bundles",
            logs=self.factory.folder / "logs",
            options=CertificationOptions(latency_calls=30, prove_rebuild=False, answer_limit_s=20.0, **options),
            sources=self.sources.of,
            sealed=lambda _: self.sealed,
        )

    def examine(self, version: Version, **options: Mapping[str, Any]) -> Examined:
        """What comes of it; options by the name of the check, `_` for `-`."""
        given = {name.replace("_", "-"): value for name, value in options.items()}
        return self.examination().examine(version, lambda _: None, limits=Limits(options=given, run=WITHOUT))


def check(found: Examined, name: str) -> Check:
    (one,) = [check for check in found.checks if check.name == name]
    return one


def figure(found: Examined, name: str) -> float:
    value = check(found, name).figure
    assert isinstance(value, int | float)
    return value


def names(found: Examined) -> set[str]:
    return {check.name for check in found.checks}


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the environments of all tests of this module lie."""
    root = tmp_path_factory.mktemp("environments")
    yield root
    remove_tree(root / "environments")


@pytest.fixture
def bench(sqlite_database: Database, environments: Path, tmp_path: Path, clock: FixedClock) -> Bench:
    return Bench(GovernedFactory(sqlite_database, tmp_path / "factory", clock), environments, tmp_path)


BEARS = {"requests_per_s": 100.0, "p99_ms": 250.0}
#: One row takes 8 ms, and so does each further one: 125 rows a second at most, whatever is asked.
SLOW = """
    import time
    class Model:
        def predict(self, columns):
            time.sleep(0.008 * len(columns["tenure"]))
            return {"score": [t / 100 + len(p) for t, p in zip(columns["tenure"], columns["plan"])]}
"""
#: Holds 300 MiB for as long as it computes many rows.
BOMB = """
    class Model:
        def predict(self, columns):
            held = bytearray(300 << 20) if len(columns["tenure"]) > 100 else b""
            for at in range(0, len(held), 4096):
                held[at] = 1
            return {"score": [t / 100 + len(p) for t, p in zip(columns["tenure"], columns["plan"])]}
"""
LAZY = """
    import time
    time.sleep(0.6)
    class Model:
        def predict(self, columns):
            return {"score": [t / 100 + len(p) for t, p in zip(columns["tenure"], columns["plan"])]}
"""
QUICK = {"load": {"seconds": 0.6}}


def test_a_model_that_bears_what_it_declares_passes(bench: Bench) -> None:
    """Percentiles at the declared rate and beyond, rows per second, memory and cold start, each with its limit and what it shows."""
    load = Load(requests_per_s=BEARS["requests_per_s"], p99_ms=BEARS["p99_ms"], memory_mib=2000.0, cold_start_s=30.0)
    found = bench.examine(bench.register(claims=Claims(load=load)), **QUICK)
    assert found.failed == ()
    under = check(found, "load")
    assert under.limit == BEARS["p99_ms"]
    assert (
        0
        < under.figures["p50_ms"]
        <= under.figures["p95_ms"]
        <= under.figures["p99_ms"]
        == pytest.approx(under.figure, abs=0.01)
    )
    assert under.figures["beyond.offered_per_s"] > 1.3 * under.figures["offered_per_s"] > 100
    rates = check(found, "throughput").figures
    assert rates["rows_per_s.1000"] > rates["rows_per_s.1"] > 0
    memory = check(found, "memory")
    assert 1 < memory.figures["resident_mib"] <= memory.figures["peak_mib"] < 2000.0 == memory.limit
    cold = check(found, "cold-start")
    assert 0 < cold.figures["host_s"] < cold.figures["first_answer_s"] < 30
    shown = {one.name: one.exhibits for one in found.evidence.checks}
    assert {"load", "throughput", "memory"} <= shown.keys()
    (course, distribution) = [one for one in shown["load"] if isinstance(one, Curve)]
    assert all(len(series.x) == len(series.y) <= 200 for series in (*course.series, *distribution.series))
    assert "Memory under load" in {one.title for one in shown["memory"]}
    measured = {one.name: one.value for one in found.measures}
    assert measured["load_p99_ms"] == pytest.approx(under.figure, abs=0.01)
    assert {"rows_per_s_1000", "peak_mib", "cold_start_s"} <= measured.keys()


def test_what_is_not_declared_is_not_put_on_a_host(bench: Bench) -> None:
    """Without [load] no load is made and no second host is started; rows per second and memory are always told."""
    found = bench.examine(bench.register())
    assert found.failed == ()
    assert not {"load", "cold-start", "data-referenced", "no-leakage"} & names(found)
    assert {"throughput", "memory"} <= names(found)


def test_a_slow_model_collapses_under_load_and_under_nothing_else(bench: Bench) -> None:
    """A row in 8 ms is fast enough alone; at 100 requests a second it nearly fills the time, at 150 it cannot."""
    load = Load(requests_per_s=100.0, p99_ms=5000.0)
    found = bench.examine(
        bench.register(source=SLOW, claims=Claims(load=load)), load={"seconds": 0.8, "arrivals": "uniform", "rounds": 1}
    )
    assert found.failed == ("load",)
    under = check(found, "load")
    assert "collapses at 1.5 times the rate" in under.detail
    assert under.figures["beyond.achieved_per_s"] < 0.95 * under.figures["beyond.offered_per_s"]
    assert under.remedy


def test_a_model_that_is_too_slow_for_its_own_word_fails(bench: Bench) -> None:
    """The 99th percentile is above what the bundle declares; the standard's option goes before the bundle."""
    version = bench.register(source=SLOW, claims=Claims(load=Load(requests_per_s=40.0, p99_ms=4.0)))
    found = bench.examine(version, load={"seconds": 0.5, "through": "host"})
    assert found.failed == ("load",)
    assert "is above 4 ms" in check(found, "load").detail
    assert figure(found, "load") > 7
    eased = bench.examine(version, load={"seconds": 0.5, "requests_per_s": 10.0, "p99_ms": 500.0, "through": "host"})
    assert eased.failed == ()


def test_a_memory_bomb_fails_by_what_it_held(bench: Bench) -> None:
    """It holds 300 MiB for large batches and gives them back at once: the peak since its start tells."""
    version = bench.register(source=BOMB, claims=Claims(load=Load(memory_mib=250.0)))
    found = bench.examine(version)
    assert found.failed == ("memory",)
    held = check(found, "memory")
    assert held.figures["resident_mib"] < 250 < 300 < figure(found, "memory")
    assert "250 MiB are allowed" in held.detail


def test_a_memory_bomb_is_kept_to_what_a_host_may_have_and_fails_for_that(bench: Bench) -> None:
    """The kernel refuses it the memory, so nothing is broken off; the checks in which it asked for it say so, and by which setting."""
    version = bench.register(source=BOMB)
    found = bench.examination(host_memory_mib=200).examine(version, lambda _: None, limits=Limits(run=WITHOUT))
    assert set(found.failed) == {"throughput", "memory"}
    assert found.is_complete
    for name in found.failed:
        assert "MemoryError" in check(found, name).detail
        assert "a host may hold 200 MiB here (`serving.host_memory_mib`)" in check(found, name).detail
    held = check(found, "memory")
    assert held.limit == 200
    assert figure(found, "memory") < 1.25 * 200


def test_what_is_declared_allows_no_more_than_a_host_may_have(bench: Bench) -> None:
    """Between what serving allows and what the kernel refuses, a host would be ended by its keeper: the check fails for it."""
    version = bench.register(source=BOMB, claims=Claims(load=Load(memory_mib=5000.0)))
    found = bench.examination(host_memory_mib=310).examine(version, lambda _: None, limits=Limits(run=WITHOUT))
    assert found.failed == ("memory",)
    assert check(found, "memory").limit == 310
    assert 310 < figure(found, "memory") < 1.25 * 310


def test_a_model_that_takes_its_time_to_start_fails_cold_start(bench: Bench) -> None:
    """Its import sleeps for longer than it declares; the host that is there already is not looked at."""
    found = bench.examine(bench.register(source=LAZY, claims=Claims(load=Load(cold_start_s=0.5))))
    assert found.failed == ("cold-start",)
    assert figure(found, "cold-start") > 0.6


def test_where_no_rows_per_second_are_asked_for_no_limit_is_told(bench: Bench) -> None:
    """A figure without a limit shows none: the time after which a host counts as hung is nobody's wish."""
    told = check(bench.examine(bench.register()), "throughput")
    assert (told.passed, told.limit) == (True, None)
    assert "asked for" not in told.detail


def test_rows_per_second_can_be_asked_for(bench: Bench) -> None:
    """The standard's option is a limit of its own, and 1,000 rows of a slow model are not waited for."""
    found = bench.examine(bench.register(source=SLOW), throughput={"rows_per_s": 1000.0})
    assert found.failed == ("throughput",)
    assert check(found, "throughput").limit == 1000.0
    assert "at least 1,000.00 rows/s are asked for" in check(found, "throughput").detail
    rates = check(found, "throughput").figures
    assert 20 < rates["rows_per_s.1"] < 130
    assert "rows_per_s.1000" not in rates


# Data.


def table(seed: int, *, rows: int = ROWS, leaks: bool = False, shares: pa.Table | None = None) -> pa.Table:
    """Training rows of the contract's inputs, and whether the customer left."""
    random = np.random.default_rng(seed)
    tenure = random.normal(40, 12, rows)
    left = (tenure + random.normal(0, 15, rows)) < 35
    plans = np.array(["monthly", "yearly"], dtype=object)[random.integers(0, 2, rows)]
    if leaks:
        plans = np.where(left, "ended", "running")
    found = pa.table({"tenure": tenure, "plan": pa.array(plans.tolist()), "left": left})
    return found if shares is None else pa.concat_tables([found, shares])


JUDGED = Claims(prediction=Prediction(task="binary", label="left"))


def source(bench: Bench, **tables: pa.Table) -> dict[str, DataSource]:
    """Tables in a registered folder, and how a bundle names them."""
    folder = bench.folder / "lake" / "churn"
    folder.mkdir(parents=True, exist_ok=True)
    if not bench.sources.of("default"):
        bench.sources.add(bench.factory.call("adele"), "lake", str(folder.parent), "the lake")
    named = {}
    for name, content in tables.items():
        path = folder / f"{name}.parquet"
        pq.write_table(content, path)
        named[name] = DataSource(
            name=name, uri=f"source:lake/churn/{name}.parquet", rows=content.num_rows, digest=digest_of_file(path)
        )
    return named


def test_data_below_a_source_is_read_held_against_its_digest_and_profiled(bench: Bench) -> None:
    """What lies elsewhere is recorded as declared; the profile is kept with the version, for whoever watches it."""
    data = (
        *source(bench, training=table(1), test=table(2, rows=60)).values(),
        DataSource(name="raw", uri="https://example.com/x"),
    )
    version = bench.register(data=data, claims=JUDGED)
    asked = bench.factory.certification.certify(bench.factory.call("ana"), version.name)
    claimed = bench.factory.sessions.claim("e1", ["certification"])
    assert claimed is not None
    assert claimed.id == asked.id
    done = bench.factory.certification.run(claimed, lambda _: None, bench.examination())
    assert done.result is not None
    assert done.result["passed"], [one for one in done.result["checks"] if not one["passed"]]
    told = {one["name"]: one["detail"] for one in done.result["checks"]}
    assert "2 of 3 read, 2 of them as its digest says; 1 below no registered source" in told["data-referenced"]
    figures = {one["name"]: one["figures"] for one in done.result["checks"]}
    assert figures["data-referenced"] == {"references": 3.0, "held_to_digest": 2.0}
    assert "2 fields of training against left" in told["no-leakage"]
    assert "the rows of test against those of training" in told["no-leakage"]
    profiles = VersionProfiles(bench.factory.database, bench.factory.registry)
    kept = profiles.of(bench.factory.call("vic"), version.name)
    assert (kept.origin, kept.data, kept.data_digest) == ("factory", "training", data[0].digest)
    tenure, plan = kept.profile.field("tenure"), kept.profile.field("plan")
    assert tenure is not None
    assert plan is not None
    assert kept.profile.rows == ROWS
    assert tenure.bins is not None
    assert sum(tenure.bins.counts) == ROWS
    assert plan.categories is not None
    assert sum(count for _, count in plan.categories.counts) == ROWS


def test_columns_that_the_model_is_not_given_are_profiled_without_their_values(bench: Bench) -> None:
    """An address and a key in the training data: how many differ, and nothing of them in the profile or the exhibit; the label is told."""
    rows = table(1)
    texts, numbers = [f"ana-{at}@x.nl" for at in range(ROWS)], [9_000_000 + at for at in range(ROWS)]
    whole = rows.append_column("email", pa.array(texts)).append_column("number", pa.array(numbers))
    found = bench.examine(bench.register(data=(source(bench, training=whole)["training"],), claims=JUDGED))
    assert found.profiled is not None
    profile = read_profile(found.profiled.document)
    for name in ("email", "number"):
        field = profile.field(name)
        assert field is not None
        assert field.categories == Categories(counts=(), others=ROWS, distinct=ROWS)
        assert (field.minimum, field.maximum, field.mean, field.quantiles, field.bins) == (None, None, None, {}, None)
    label = profile.field("left")
    assert label is not None
    assert label.categories is None or label.categories.counts
    assert b"@x.nl" not in found.profiled.document + msgspec.json.encode(found.evidence)


class Remembered:
    """Keeps checks as a session does, and has them for the next attempt."""

    def __init__(self) -> None:
        self.held: dict[str, tuple[str, Mapping[str, Any]]] = {}
        self.taken: list[str] = []

    def found(self, name: str, key: str) -> Mapping[str, Any] | None:
        known = self.held.get(name)
        if known is None or known[0] != key:
            return None
        self.taken.append(name)
        return known[1]

    def keep(self, name: str, key: str, content: Mapping[str, Any]) -> None:
        self.held[name] = (key, content)


def test_memory_shows_what_the_host_held_under_load_after_an_interruption_too(bench: Bench) -> None:
    """The load is made again, as memory goes by what the host held under it; checks that leave nothing behind are taken over."""
    version = bench.register(claims=Claims(load=Load(requests_per_s=20.0, cold_start_s=30.0)))
    kept, titles = Remembered(), []
    for _ in range(2):
        kept.taken.clear()
        found = bench.examination().examine(
            version, lambda _: None, limits=Limits(options=QUICK, run=WITHOUT), keeping=kept
        )
        (shown,) = [one.exhibits for one in found.evidence.checks if one.name == "memory"]
        titles.append([one.title for one in shown])
    assert "cold-start" in kept.taken
    assert titles[0] == titles[1] == ["Memory from batch to batch", "Memory under load"]


def test_data_that_changed_fails_the_reference_and_makes_no_profile(bench: Bench) -> None:
    """Another digest, another number of rows, a file that is gone: each is a finding, with what was found."""
    named = source(bench, training=table(1), test=table(2), gone=table(3))
    pq.write_table(table(4, rows=ROWS - 1), bench.folder / "lake/churn/training.parquet")
    (bench.folder / "lake/churn/gone.parquet").unlink()
    found = bench.examine(bench.register(data=tuple(named.values())))
    one = check(found, "data-referenced")
    assert (one.passed, one.figure) == (False, 2)
    assert named["training"].digest in one.detail
    assert "no plain file" in one.detail
    assert found.profiled is None
    assert not check(found, "no-leakage").passed
    (grid,) = [shown for of in found.evidence.checks if of.name == "data-referenced" for shown in of.exhibits]
    assert isinstance(grid, Grid)
    assert [row[0] for row in grid.rows] == ["training", "test", "gone"]


@pytest.mark.parametrize(
    "uri",
    [
        "source:lake/../../../etc/passwd",
        "source:lake//etc/passwd",
        "source:lake/churn/link.parquet",
        "source:lake/outside/secret.parquet",
        "source:unknown/x.parquet",
        "source:lake/churn",
        "bundle:../x",
    ],
)
def test_no_reference_leads_out_of_its_source(bench: Bench, uri: str) -> None:
    """Neither by dots nor by links: it is told, and nothing of the file is."""
    source(bench, training=table(1))
    secret = bench.folder / "elsewhere"
    secret.mkdir()
    pq.write_table(table(9), secret / "secret.parquet")
    (bench.folder / "lake/churn/link.parquet").symlink_to(secret / "secret.parquet")
    (bench.folder / "lake/outside").symlink_to(secret)
    found = bench.examine(bench.register(data=(DataSource(name="training", uri=uri),)))
    one = check(found, "data-referenced")
    assert (one.passed, one.figure) == (False, 1)
    assert digest_of_file(secret / "secret.parquet") not in str(found.evidence)


def test_a_leaky_field_is_found_and_nothing_else(bench: Bench) -> None:
    """One input tells the label by itself; the bundle is sound but for that. The standard may say that it is innocent."""
    version = bench.register(data=tuple(source(bench, training=table(1, leaks=True)).values()), claims=JUDGED)
    found = bench.examine(version)
    assert found.failed == ("no-leakage",)
    leak = check(found, "no-leakage")
    assert leak.figure == 1
    assert "plan: each of its values has its label" in leak.detail
    assert bench.examine(version, no_leakage={"ignore": ["plan"]}).failed == ()


def test_training_data_in_the_bundle_is_looked_at_too(bench: Bench) -> None:
    """`bundle:` names a file that travels with the model."""
    data = (DataSource(name="training", uri="bundle:train.parquet"),)
    version = bench.register(files={"train.parquet": table(1, leaks=True)}, data=data, claims=JUDGED)
    assert bench.examine(version).failed == ("no-leakage",)


def test_rows_of_the_evaluation_that_were_trained_on_are_found(bench: Bench) -> None:
    """A sealed set whose rows are in the training data is a hint; none of its rows is shown."""
    sealed, training = table(5, rows=80), table(1)
    named = source(bench, training=pa.concat_tables([training, sealed.slice(0, 20)]))
    version = bench.register(data=tuple(named.values()), claims=JUDGED)
    bench.sealed = SealedRows(name="evaluation:1", table=rows_of(sealed))
    found = bench.examine(version)
    assert found.failed == ("no-leakage",)
    assert "20 of 80 rows of evaluation:1 are in the training data" in check(found, "no-leakage").detail
    assert str(sealed.column("tenure")[0].as_py()) not in str(
        [one for one in found.evidence.checks if one.name == "no-leakage"]
    )
    bench.sealed = SealedRows(name="evaluation:2", table=rows_of(table(6, rows=80)))
    assert bench.examine(version).failed == ()


def rows_of(content: pa.Table) -> Table:
    return read_sample(content).table
