"""What goes on at each endpoint, from two looks at the metrics of all fronts: the figures of `muster top`."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from muster.serving.counts import quantile
from muster.serving.front import metrics as of_front
from muster.serving.workers import host_counts as of_keeper
from muster.telemetry.exposition import Metric
from muster.telemetry.process_metrics import STARTED
from muster.telemetry.scrape import Scrape
from muster.vocabulary.states import Reason

_FALLBACK = (Reason.FALLBACK_LATE, Reason.FALLBACK_ERROR)
_OTHER = (*_FALLBACK, Reason.DEFAULT, Reason.NONE)
_KEEPER = "keeper"
_ROLES = ("champion", "canary", "challenger")

#: One process's metrics, by its name.
Looks = Mapping[str, Scrape]
#: Samples of one metric: its label values, in the metric's order, and the number.
_Samples = dict[tuple[str, ...], float]


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantFigures:
    """A variant of the release that is served. Rates are a second, shares 0 to 1, times milliseconds; None: nothing to tell from."""

    version: str
    role: str
    answers_per_s: float
    p50_ms: float | None
    p99_ms: float | None
    chosen_share: float | None
    late_per_s: float
    failed_per_s: float
    unsent_per_s: float
    queue: int
    on_probation: bool
    hosts_up: int
    """Fronts that are connected to its host."""
    restarts: int
    """Of its host, since the keeper began."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EndpointFigures:
    """An endpoint, over all fronts."""

    endpoint: str
    release: int
    is_ready: bool
    requests_per_s: float
    p50_ms: float | None
    p99_ms: float | None
    first_share: float | None
    """Answered as the release wants it: by the champion, a vote, a split, a mean, or the version that was asked for."""
    fallback_share: float | None
    default_share: float | None
    none_share: float | None
    late_share: float | None
    refused_per_s: float
    dropped_records: int
    """Since the fronts began."""
    variants: tuple[VariantFigures, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FactoryFigures:
    """All endpoints, and the fronts as a whole."""

    fronts: int
    open_requests: int
    connections: int
    loop_lag_ms: float
    """Of the front that lags most."""
    spool_bytes: int
    offline_s: float
    """Of the front that has missed control for longest."""
    endpoints: tuple[EndpointFigures, ...] = ()


@dataclass(frozen=True, slots=True)
class _Between:
    """What was counted between two looks."""

    before: Looks
    after: Looks
    seconds: float
    _fronts: tuple[str, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_fronts", tuple(name for name in self.after if name.startswith("front-")))

    def now(self, metric: Metric, names: Iterable[str] | None = None) -> _Samples:
        """The sum over processes, as it is."""
        return self._sum(self.after, metric, self._fronts if names is None else names)

    def grown(self, metric: Metric) -> _Samples:
        """What was added, over all fronts. A front that has begun anew in between counts from nought."""
        total: _Samples = defaultdict(float)
        for name in self._fronts:
            before = self._sum(self.before, metric, (name,)) if self._is_the_same(name) else {}
            for labels, value in self._sum(self.after, metric, (name,)).items():
                total[labels] += value - before.get(labels, 0.0)
        return total

    def _is_the_same(self, name: str) -> bool:
        """Whether the process has not been started anew in between."""
        return name in self.before and self.before[name].one(STARTED.name) == self.after[name].one(STARTED.name)

    def histogram(self, metric: Metric) -> dict[tuple[str, ...], tuple[list[float], list[float]]]:
        """Bounds and counts of what was added to a histogram, for each set of labels."""
        buckets: dict[tuple[str, ...], list[tuple[float, float]]] = defaultdict(list)
        bucket = Metric(f"{metric.name}_bucket", "counter", "", (*metric.labels, "le"))
        for labels, value in self.grown(bucket).items():
            buckets[labels[:-1]].append((float(labels[-1]), value))
        found = {}
        for labels, cumulative in buckets.items():
            cumulative.sort()
            below = [0.0, *(value for _, value in cumulative)]
            found[labels] = [bound for bound, _ in cumulative[:-1]], [up - low for low, up in pairwise(below)]
        return found

    @staticmethod
    def _sum(looks: Looks, metric: Metric, names: Iterable[str]) -> _Samples:
        total: _Samples = defaultdict(float)
        for name in names:
            if name in looks:
                for labels, value in looks[name].of(metric.name):
                    total[tuple(labels.get(label, "") for label in metric.labels)] += value
        return total


def figures(before: Looks, after: Looks, seconds: float) -> FactoryFigures:
    """What went on between two looks.

    Args:
        before: the metrics of the processes that answered; empty: all that was counted since they began.
        after: the same, later.
        seconds: the time between.
    """
    between = _Between(before, after, max(seconds, 1e-9))
    fronts = [look for name, look in after.items() if name.startswith("front-")]
    return FactoryFigures(
        fronts=len(fronts),
        open_requests=int(sum(front.one(of_front.OPEN.name) for front in fronts)),
        connections=int(sum(front.one(of_front.CONNECTIONS.name) for front in fronts)),
        loop_lag_ms=max((front.one(of_front.LAG.name) for front in fronts), default=0.0) * 1000,
        spool_bytes=int(sum(front.one(of_front.SPOOL.name) for front in fronts)),
        offline_s=max((front.one(of_front.OFFLINE.name) for front in fronts), default=0.0),
        endpoints=_endpoints(between),
    )


def _endpoints(between: _Between) -> tuple[EndpointFigures, ...]:
    reasons = between.grown(of_front.REQUESTS)
    refusals = between.grown(of_front.REFUSALS)
    late = between.grown(of_front.LATE_REPLIES)
    latency = between.histogram(of_front.LATENCY)
    releases = {
        labels: value for name in between.after for labels, value in between.now(of_front.RELEASE, [name]).items()
    }
    ready = _all_fronts(between, of_front.READY)
    dropped = between.now(of_front.DROPPED)
    variants = _variants(between, reasons)
    found = []
    for (endpoint,), release in sorted(releases.items()):
        of = {reason: reasons.get((endpoint, str(reason)), 0.0) for reason in Reason}
        requests = sum(of.values())
        key = (endpoint,)
        found.append(
            EndpointFigures(
                endpoint=endpoint,
                release=int(release),
                is_ready=ready.get(key, True),
                requests_per_s=requests / between.seconds,
                p50_ms=_quantile_ms(latency.get(key), 0.5),
                p99_ms=_quantile_ms(latency.get(key), 0.99),
                first_share=_share(sum(of[reason] for reason in Reason if reason not in _OTHER), requests),
                fallback_share=_share(sum(of[reason] for reason in _FALLBACK), requests),
                default_share=_share(of[Reason.DEFAULT], requests),
                none_share=_share(of[Reason.NONE], requests),
                late_share=_share(late.get(key, 0.0), requests),
                refused_per_s=sum(value for labels, value in refusals.items() if labels[0] == endpoint)
                / between.seconds,
                dropped_records=int(dropped.get(key, 0.0)),
                variants=tuple(variants.get(endpoint, ())),
            )
        )
    return tuple(found)


def _variants(between: _Between, reasons: _Samples) -> dict[str, list[VariantFigures]]:
    """The variants in service by endpoint, the champion first."""
    answers = between.grown(of_front.ANSWERS)
    chosen = between.grown(of_front.CHOSEN)
    latency = between.histogram(of_front.VARIANT_LATENCY)
    queue, up = between.now(of_front.QUEUE), between.now(of_front.HOST_UP)
    restarts = between.now(of_keeper.RESTARTS, [_KEEPER])
    requests: dict[str, float] = defaultdict(float)
    for labels, value in reasons.items():
        requests[labels[0]] += value
    found: dict[str, list[VariantFigures]] = defaultdict(list)
    for key, on_probation in between.now(of_front.ON_PROBATION).items():
        endpoint, version, role = key
        in_time, late = answers.get((*key, "answered"), 0.0), answers.get((*key, "late"), 0.0)
        found[endpoint].append(
            VariantFigures(
                version=version,
                role=role,
                answers_per_s=(in_time + late) / between.seconds,
                p50_ms=_quantile_ms(latency.get(key), 0.5),
                p99_ms=_quantile_ms(latency.get(key), 0.99),
                chosen_share=_share(chosen.get(key, 0.0), requests[endpoint]),
                late_per_s=late / between.seconds,
                failed_per_s=answers.get((*key, "failed"), 0.0) / between.seconds,
                unsent_per_s=sum(answers.get((*key, outcome), 0.0) for outcome in ("unsent", "passed_over"))
                / between.seconds,
                queue=int(queue.get(key, 0.0)),
                on_probation=on_probation > 0,
                hosts_up=int(up.get(key, 0.0)),
                restarts=int(restarts.get((endpoint, version), 0.0)),
            )
        )
    for variants in found.values():
        variants.sort(
            key=lambda variant: (_ROLES.index(variant.role) if variant.role in _ROLES else 9, variant.version)
        )
    return found


def _all_fronts(between: _Between, metric: Metric) -> dict[tuple[str, ...], bool]:
    """Whether a gauge is 1 on every front that has it."""
    said: dict[tuple[str, ...], bool] = {}
    for name in between.after:
        for labels, value in between.now(metric, [name]).items():
            said[labels] = said.get(labels, True) and value > 0
    return said


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole > 0 else None


def _quantile_ms(histogram: tuple[Sequence[float], Sequence[float]] | None, share: float) -> float | None:
    found = None if histogram is None else quantile(*histogram, share)
    return None if found is None else found * 1000


def as_document(of: FactoryFigures) -> dict[str, Any]:
    """JSON-able."""
    return {
        **{name: getattr(of, name) for name in FactoryFigures.__slots__ if name != "endpoints"},
        "endpoints": [
            {
                **{name: getattr(endpoint, name) for name in EndpointFigures.__slots__ if name != "variants"},
                "variants": [
                    {name: getattr(variant, name) for name in VariantFigures.__slots__} for variant in endpoint.variants
                ],
            }
            for endpoint in of.endpoints
        ],
    }
