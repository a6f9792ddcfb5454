"""The last resort: what answers when nothing else can in time, and the evidence that it does so well before the deadline.

It is the default answer, where the release has one; else the last version of the order, which is the champion where it is alone.
The time of a version was measured at certification, on its real host; that of the default answer is measured here, in this
process: its column repeated for the largest number of rows that a request may have, and written as the reply of V2. A front has
put what it loaded at its start out of the collector's way, so the same is done here meanwhile: else one full collection of all that
control holds would stand for the 99.9th percentile.
"""

import gc
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import msgspec

from muster.certification.service import Certification
from muster.certification.timing import ROUNDS, Latency, measured
from muster.packaging.columns import Column, Table
from muster.release.errors import DefaultTooSlow, LastResortTooSlow, LastResortUnmeasured
from muster.serving.plan import Plan, plan_digest
from muster.storage.transaction import Transaction
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.wire.plans import ServingPlan

#: At the 99.9th percentile, the last resort takes less than this share of the deadline.
SHARE = 0.25
#: So long is a round of calls that are slow, seconds, and how long all rounds are.
_ROUND_S = 1.0
_WITHIN_S = ROUNDS * _ROUND_S + 2.0
_FEWEST_CALLS = 5  # a million rows take a second each
_MOST_REMEMBERED = 256
_DEFAULT = "the default answer"
#: The collector is one for the whole process, and two that measure at once would measure each other.
_MEASURING = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class LastResort:
    """What answers when nothing else can, and how fast it was found to be."""

    of: str
    """`churn:1`, or the default answer."""
    limit_ms: float
    latency: Latency | None
    """None: nobody measured it."""
    evidence: str
    """Where the figures come from, in words."""

    @property
    def problem(self) -> LastResortTooSlow | LastResortUnmeasured | None:
        """Why it will not do; None: it will."""
        rule = f"what answers last has to hold p99.9 < {self.limit_ms:g} ms, a quarter of the deadline"
        if self.latency is None:
            return LastResortUnmeasured(
                f"{self.of} is the last resort of the release, and {self.evidence}; {rule}",
                last_resort=self.of,
                limit_ms=self.limit_ms,
            )
        if self.latency.p999_ms < self.limit_ms:
            return None
        kind = DefaultTooSlow if self.of == _DEFAULT else LastResortTooSlow
        return kind(
            f"{self.of} is the last resort of the release and too slow: {self.latency} ({self.evidence}); {rule}",
            last_resort=self.of,
            limit_ms=self.limit_ms,
            **self.latency.figures(),
        )

    def details(self) -> dict[str, object]:
        """For the audit event of the gate."""
        figures = {} if self.latency is None else self.latency.figures()
        return {"of": self.of, "limit_ms": self.limit_ms, "evidence": self.evidence, **figures}


class LastResorts:
    """Finds the last resort of a release, and how fast it is.

    Args:
        certification: has the certificates of versions.
    """

    def __init__(self, certification: Certification) -> None:
        self._certification = certification
        self._defaults: dict[Digest, Latency] = {}
        """What default answers were found to take, by the digest of their plan."""

    def prepare(self, plan: ServingPlan, *, again: bool = False) -> None:
        """Measure the default answer of a plan, if it has one and was not measured already; not within a transaction.

        Args:
            plan: which.
            again: give one that was found too slow another chance.
        """
        if plan.default is None:
            return
        digest = plan_digest(plan)
        known = self._defaults.get(digest)
        if known is None or (again and known.p999_ms >= _limit_ms(plan)):
            if len(self._defaults) >= _MOST_REMEMBERED:
                self._defaults.clear()
            self._defaults[digest] = default_latency(plan)

    def of(self, tx: Transaction, plan: ServingPlan) -> LastResort:
        """The last resort of a plan, by what is known of it now; `prepare` was called before."""
        limit_ms = _limit_ms(plan)
        if plan.default is not None:
            latency = self._defaults.get(plan_digest(plan))
            evidence = f"measured by control for {plan.limits.rows} rows" if latency else "it was not measured"
            return LastResort(of=_DEFAULT, limit_ms=limit_ms, latency=latency, evidence=evidence)
        last = plan.policy.order[-1]
        certificate = self._certification.certificate_in(tx, plan.project, VersionName.parse(last))
        if certificate is None or certificate.latency is None:
            why = "it has no certificate" if certificate is None else "its certificate tells no p99.9"
            return LastResort(of=last, limit_ms=limit_ms, latency=None, evidence=why)
        evidence = f"one row, certificate of session {certificate.session} on {certificate.hardware}"
        return LastResort(of=last, limit_ms=limit_ms, latency=certificate.latency, evidence=evidence)


def default_latency(plan: ServingPlan) -> Latency:
    """How long it takes to write the default answer for the largest request that the plan allows, in this process."""
    ready = Plan(plan)
    columns = ready.default_columns
    assert columns is not None, "the plan has a default answer"

    def call() -> float:
        begun = time.perf_counter_ns()
        _reply(ready, columns)
        return (time.perf_counter_ns() - begun) / 1e6

    with _collector_as_in_a_front():
        call()
        return measured(call, within_s=_WITHIN_S, round_s=_ROUND_S, fewest=_FEWEST_CALLS)


@contextmanager
def _collector_as_in_a_front() -> Iterator[None]:
    """Keep what the process holds already out of collections; one at a time, and afterwards all is as before.

    The collector goes on with what comes and goes, as in a front, and for the other threads of this process.
    """
    with _MEASURING:
        gc.collect()
        is_ours = not gc.get_freeze_count()  # else the process spares what it holds anyway, and goes on so
        if is_ours:
            gc.freeze()
        try:
            yield
        finally:
            if is_ours:
                gc.unfreeze()


def _reply(ready: Plan, columns: dict[str, Column]) -> bytes:
    """The default answer as a front writes it."""
    rows = ready.document.limits.rows
    table = Table(
        rows,
        {
            name: Column(
                column.datatype,
                column.shape,
                bytes(column.data) * rows,
                None if column.nulls is None else bytes(column.nulls) * rows,
            )
            for name, column in columns.items()
        },
    )
    outputs: list[dict[str, Any]] = [
        {
            "name": name,
            "datatype": column.datatype,
            "shape": [rows, *column.shape],
            "data": ready.checker.values_of(column),
        }
        for name, column in table.columns.items()
    ]
    return msgspec.json.encode({"model_name": ready.endpoint, "model_version": "default", "outputs": outputs})


def _limit_ms(plan: ServingPlan) -> float:
    return plan.deadline_ms * SHARE
