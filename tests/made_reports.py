"""Reports of certifications with everything in them, for tests of the page."""

from typing import Any

import numpy as np

from muster.vocabulary.states import SessionState, VersionState
from muster.wire.evidence import Bars, Curve, Grid, Histogram, Rows, Series
from muster.wire.reports import CertificationReport, ReportedCheck, ReportedMeasure, ReportedSignature, ReportedStandard

DIGEST = "sha256:acfa969f8629e54d6b1b5fd54b1ce7cf0a5e3c76d37acf1a3b0c3f5e3a1b2c3d"


def check(name: str, *, passed: bool = True, **changed: Any) -> ReportedCheck:
    """A check with plain answers."""
    given = {
        "asks": f"does {name} hold?",
        "may_fail": False,
        "figure": 0,
        "limit": 0,
        "detail": "0 of 200 values outside the tolerance",
        "remedy": "" if passed else "Look at what it showed, and register again.",
        "figures": {},
        "exhibits": (),
    }
    return ReportedCheck(name=name, passed=passed, **{**given, **changed})


def curves(points: int = 200) -> tuple[Curve, ...]:
    """ROC, lift and calibration of a made-up classifier."""
    x = np.linspace(0, 1, points)
    roc = tuple(np.round(x**0.35, 5).tolist())
    worse = tuple(np.round(x**0.6, 5).tolist())
    across = tuple(np.round(x, 5).tolist())
    lift = tuple(np.round(1 + 2.4 * np.exp(-3 * x), 5).tolist())
    bins = (0.05, 0.15, 0.25, 0.35, 0.45, 0.55, 0.65, 0.75, 0.85, 0.95)
    seen = (0.04, 0.13, 0.27, 0.33, 0.49, 0.52, 0.7, 0.71, 0.88, 0.93)
    return (
        Curve(
            title="ROC",
            x="false positive rate",
            y="true positive rate",
            series=(Series("this version", across, roc), Series("champion churn:2", across, worse)),
            diagonal=True,
        ),
        Curve(title="Lift", x="share of rows, best first", y="lift", series=(Series("this version", across, lift),)),
        Curve(
            title="Calibration",
            x="predicted probability",
            y="observed share",
            series=(Series("this version", bins, seen),),
            diagonal=True,
        ),
    )


def scores() -> Histogram:
    """How scores of two classes are spread."""
    random = np.random.default_rng(3)
    edges = np.linspace(0, 1, 21)
    stayed = np.histogram(random.beta(2, 6, 5000), edges)[0]
    left = np.histogram(random.beta(5, 3, 1700), edges)[0]
    counts = {"stayed": tuple(map(int, stayed)), "left": tuple(map(int, left))}
    return Histogram(
        title="Scores by class", x="churn_probability", edges=tuple(np.round(edges, 4).tolist()), counts=counts
    )


def slices() -> Bars:
    """One metric by slice, with intervals."""
    return Bars(
        title="ROC AUC by slice",
        x="roc_auc",
        names=("all", "contract=Month-to-month", "contract=One year", "contract=Two year", "region=north"),
        values=(0.847, 0.802, 0.77, 0.71, 0.83),
        low=(0.83, 0.78, 0.73, 0.62, 0.79),
        high=(0.86, 0.82, 0.81, 0.8, 0.87),
    )


def failing_rows(count: int = 5) -> Rows:
    """Rows that a check shows, with why."""
    return Rows(
        title="Rows that failed, as small as they go",
        rows=tuple(
            {"customer": f"c-{number}", "tenure": number, "contract": None, "monthly": 79.85, "notes": "🙂" * 30}
            for number in range(count)
        ),
        why=tuple(f"the host ended: ValueError, could not convert row {number}" for number in range(count)),
    )


def confusion() -> Grid:
    """A small table."""
    return Grid(
        title="Confusion at cut-off 0.5",
        columns=("", "said: stays", "said: leaves"),
        rows=(("stayed", 4571, 429), ("left", 612, 1088)),
    )


def measures() -> tuple[ReportedMeasure, ...]:
    """Metrics of the whole and of two slices."""
    found = []
    for slice_, shift in (("", 0.0), ("contract=One year", -0.05), ("region=north", 0.01)):
        for name, value in (("roc_auc", 0.847), ("pr_auc", 0.655), ("brier", 0.136), ("log_loss", 0.418)):
            is_whole = not slice_
            found.append(
                ReportedMeasure(
                    name=name,
                    definition=1,
                    value=value + shift,
                    over="evaluation:2",
                    slice=slice_,
                    low=value - 0.01 if is_whole else None,
                    high=value + 0.01 if is_whole else None,
                )
            )
    return tuple(found)


def report(*checks: ReportedCheck, **changed: Any) -> CertificationReport:
    """A report about the checks; certified unless something else is said."""
    given = {
        "format": 1,
        "session": "s-0123456789abcdef0123456789abcdef",
        "session_state": SessionState.PASSED,
        "verdict": "certified",
        "why": "All checks passed.",
        "version": "churn:3",
        "project": "default",
        "digest": DIGEST,
        "state": VersionState.CERTIFIED,
        "description": "Will this customer leave within a quarter?",
        "owners": ("ana",),
        "authors": ("ana", "li"),
        "registered_by": "ana",
        "registered_at": "2026-11-20T09:12:44.000000Z",
        "standard": ReportedStandard(name="internal", number=2, digest=DIGEST),
        "requested_by": "ana",
        "created_at": "2026-11-20T09:13:00.000000Z",
        "started_at": "2026-11-20T09:13:01.000000Z",
        "finished_at": "2026-11-20T09:14:31.000000Z",
        "valid_until": "2027-05-20T09:14:31.000000Z",
        "environment": DIGEST,
        "hardware": "Intel(R) Xeon(R) CPU @ 2.60GHz, 2 cores, Linux x86_64",
        "seal": DIGEST,
        "twin": None,
        "evidence": DIGEST,
        "signatures": (ReportedSignature(key=DIGEST, by="factory", at="2026-11-20T09:14:31.000000Z"),),
        "is_complete": True,
        "checks": checks,
        "measures": measures(),
    }
    return CertificationReport(**{**given, **changed})


def certified() -> CertificationReport:
    """One that passed, with one check that may fail."""
    return report(
        check("bundle-complete", detail="14 files, 183,120 bytes, all as registered"),
        check("environment-builds", figure=4.18, limit=900.0, detail="4.18 s, 3.11.7 on linux-x86_64"),
        check("golden-answers"),
        check("robustness", figure=0, exhibits=(failing_rows(0),)),
        check("prediction-performance", exhibits=(*curves(), scores(), slices(), confusion())),
        check(
            "fairness",
            passed=False,
            may_fail=True,
            figure=0.08,
            limit=0.05,
            detail="equalised odds differ by 0.08 over gender (waived until 2026-12-31 by ben, agreed with the board)",
            exhibits=(slices(),),
        ),
        check(
            "one-row-latency",
            figure=3.412,
            limit=100.0,
            detail="p50 2.1 ms, p95 2.9 ms, p99 3.4 ms of 500 calls",
            figures={"p50_ms": 2.1, "p95_ms": 2.9, "p99_ms": 3.412},
        ),
        why="6 of 7 checks passed; fairness failed and may.",
    )


def refused() -> CertificationReport:
    """One that failed for two reasons."""
    return report(
        check("bundle-complete"),
        check(
            "golden-answers",
            passed=False,
            figure=50,
            detail="50 of 200 values outside the tolerance (churn_probability: 1e-06 + 1e-06 x |expected|), largest deviation 0.31",
            remedy="Save the model again with the answers it gives in its own environment; `muster try` shows them.",
        ),
        check(
            "robustness",
            passed=False,
            figure=2,
            detail="2 kinds of failure in 100 generated tables",
            remedy="Handle nulls and unseen categories in the pipeline.",
            exhibits=(failing_rows(),),
        ),
        check("prediction-performance", exhibits=(*curves(), scores(), slices(), confusion())),
        verdict="not-certified",
        why="2 of 4 checks failed: golden-answers, robustness.",
        session_state=SessionState.FAILED,
        state=VersionState.REGISTERED,
        valid_until=None,
        signatures=(),
    )


def wordy() -> CertificationReport:
    """With details as real checks write them: digests, ids of environments, paths and lists without a space to break at."""
    sealed = f"14 packages, 212 MiB, sealed as {DIGEST}; toolchain cpython-3.12.7-linux-x86_64-gnu, 31 files of the system named"
    rebuilt = f"it came out as {'e' * 64}, not as {'f' * 64}"
    failed = (
        "the model of /srv/muster/home/bundles/"
        + "a1" * 32
        + "/code/churn/features_of_the_last_month.py cannot be loaded"
    )
    return report(
        check("bundle-complete"),
        check("environment-sealed", figure=14, limit=None, detail=sealed),
        check("environment-rebuilds", passed=False, figure="e" * 64, limit=0, detail=rebuilt),
        check("model-loads", passed=False, figure="runtimes.load-failed", limit=None, detail=failed),
        check("own:" + "every_customer_of_the_north_is_scored_alike_" * 2, detail="x" * 239),
        check(
            "one-row-latency",
            figure=1234567.891,
            limit=60_000_000.0,
            detail="p50 0.18 ms, p95 0.2 ms; limit of p99 1000 ms",
        ),
    )


def largest() -> CertificationReport:
    """Thirty checks that all show as much as a check may."""
    crowded = tuple(
        Rows(title=f"rows {part}", rows=tuple({f"field-{at}": "x" * 20 for at in range(20)} for _ in range(20)))
        for part in range(4)
    )
    return report(*(check(f"check-{number}", exhibits=(*curves(), scores(), *crowded)) for number in range(30)))
