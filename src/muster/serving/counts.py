"""What a front counts: plain numbers that only grow, cheap enough to be kept for every request.

Nothing here locks, allocates or knows a metrics library; `muster.serving.front.metrics` turns the numbers into text when somebody
asks. All calls come from the event loop's thread.

Who calls what, and when:

- A front makes one `FrontCounts` and sets its callables (`open_requests`, `connections`, `lanes`, ...) once, at its start.
- When a plan is made ready: `endpoint = front.endpoint(plan.endpoint)`, then `variants = endpoint.serves(plan.release, [(version,
  role), ...])` in the plan's order, again at every switch. The tuple is kept beside the plan; each lane keeps its own element.
- When a reply is handed to the transport, or would be but for a caller who hung up: `endpoint.decided(variants, decision,
  elapsed_ns, deadline_ns, rows)`, once for each request that was decided, the 504 of `Reason.NONE` included.
- A request that was not decided (no token, malformed, too many, ...): `front.refused(status, code, endpoint)`; the endpoint may be
  None or a name that nobody serves. So every request is counted once: `requests + refusals`.
- When a host's answer to a batch was read: `variant.computed(rows, requests, compute_ns)` once for the batch, then for each of its
  requests `variant.answered(latency_ns, is_late)` or `variant.failed(latency_ns)`. Everything that ends as `failed` without a host's
  answer (no host, quarantined) is `variant.failed(latency_ns)`, too; what ends as `unsent` is `variant.unsent()`, what was not sent
  because of a probation `variant.passed_over()`.
- When a variant enters or leaves probation: `variant.probation(is_on=...)`.
- The recorder: `endpoint.recorded(n)` for records written, `endpoint.dropped(n)` for those that were not, `front.synced(seconds)` for
  each fsync.
"""

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple
from weakref import WeakValueDictionary

from muster.serving.decisions import Decision
from muster.vocabulary.clock import wall_ns
from muster.vocabulary.states import Reason

_MS = 1_000_000
#: Upper bounds of latencies, nanoseconds: 0.25 ms to 10 s.
LATENCY_BOUNDS_NS = tuple(
    int(ms * _MS)
    for ms in (
        0.25, 0.5, 0.75, 1, 1.5, 2, 3, 5, 7.5, 10, 15, 20, 30, 50, 75, 100, 150, 200, 300, 500, 750, 1000, 2500, 5000, 10000,
    )
)  # fmt: skip
#: Upper bounds of what was left of the deadline when the reply left, nanoseconds; negative: it left too late.
SLACK_BOUNDS_NS = tuple(
    int(ms * _MS)
    for ms in (-1000, -250, -100, -50, -25, -10, -5, -1, 0, 1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 10000)
)
_NO_SLACK = SLACK_BOUNDS_NS.index(0)
#: Upper bounds of the rows of a batch.
BATCH_BOUNDS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 1024)
#: Upper bounds of the time that an fsync took, nanoseconds: 0.1 ms to 5 s.
SYNC_BOUNDS_NS = tuple(int(ms * _MS) for ms in (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 5000))
#: Variants of past releases that an endpoint still counts; the one out of service for longest goes first.
KEPT_VARIANTS = 32


class VariantCounts:
    """What one version has done in one role at one endpoint of this front."""

    __slots__ = (
        "__weakref__", "batch_rows", "batches", "chosen", "compute_ns", "compute_request_ns", "failed_ns", "failures", "in_time",
        "is_on_probation", "last_computed_ns", "late", "latency", "latency_ns", "not_sent", "probations", "requests_computed",
        "role", "rows", "skipped", "version",
    )  # fmt: skip

    def __init__(self, version: str, role: str) -> None:
        self.version = version
        self.role = role
        self.chosen = 0
        """Requests that it answered: alone, for some rows, or as one of several whose answers were combined."""
        self.in_time = 0
        """Answers before the decision, chosen or not."""
        self.late = 0
        """Answers after the decision."""
        self.failures = 0
        self.failed_ns = 0
        self.not_sent = 0
        """Requests that were decided before they could be sent, or that found the queue full."""
        self.skipped = 0
        """Requests that were not sent to it because it was on probation."""
        self.latency = [0] * (len(LATENCY_BOUNDS_NS) + 1)
        """Answers by latency, arrival to answer, whether in time or late; the last place is beyond all bounds."""
        self.latency_ns = 0
        self.batches = 0
        self.batch_rows = [0] * (len(BATCH_BOUNDS) + 1)
        self.rows = 0
        """Rows of all its batches."""
        self.requests_computed = 0
        self.compute_ns = 0
        """What hosts spent on its batches."""
        self.compute_request_ns = 0
        """The same, each batch's time once for every request in it: what those requests spent in hosts."""
        self.last_computed_ns = 0
        """When the last batch came back, nanoseconds since 1970; 0: none has."""
        self.is_on_probation = False
        self.probations = 0
        """How often it was put on probation."""

    def answered(self, latency_ns: int, is_late: bool) -> None:  # noqa: FBT001 - by position: a keyword costs a fifth of the call
        """It answered a request.

        Args:
            latency_ns: from the request's arrival until the answer was there.
            is_late: the request was decided before.
        """
        if is_late:
            self.late += 1
        else:
            self.in_time += 1
        self.latency[bisect_left(LATENCY_BOUNDS_NS, latency_ns)] += 1
        self.latency_ns += latency_ns

    def failed(self, latency_ns: int = 0) -> None:
        """It failed on a request, or had no host for it."""
        self.failures += 1
        self.failed_ns += latency_ns

    def unsent(self) -> None:
        """A request was decided before it could be sent, or found the queue full."""
        self.not_sent += 1

    def passed_over(self) -> None:
        """A request was not sent, because of the probation."""
        self.skipped += 1

    def computed(self, rows: int, requests: int, compute_ns: int) -> None:
        """A host was through with a batch."""
        self.batches += 1
        self.rows += rows
        self.batch_rows[bisect_left(BATCH_BOUNDS, rows)] += 1
        self.requests_computed += requests
        self.compute_ns += compute_ns
        self.compute_request_ns += compute_ns * requests
        self.last_computed_ns = wall_ns()

    def probation(self, *, is_on: bool) -> None:
        """It was put on probation or taken back."""
        if is_on and not self.is_on_probation:
            self.probations += 1
        self.is_on_probation = is_on


class EndpointCounts:
    """What one endpoint has done on this front, over all its releases."""

    __slots__ = (
        "_in_service", "_known", "by_reason", "dropped_records", "endpoint", "latency", "latency_ns", "recorded_records", "refusals",
        "release", "rows", "slack", "switches", "variants",
    )  # fmt: skip

    def __init__(self, endpoint: str) -> None:
        self.endpoint = endpoint
        self.release = 0
        """The one that is served; 0: none yet."""
        self.switches = 0
        """How often another release began to be served."""
        self.by_reason: dict[str, int] = dict.fromkeys(Reason, 0)
        self.rows = 0
        self.latency = [0] * (len(LATENCY_BOUNDS_NS) + 1)
        """Decided requests by latency, arrival to reply; the last place is beyond all bounds."""
        self.latency_ns = 0
        self.slack = [0] * (len(SLACK_BOUNDS_NS) + 1)
        """Decided requests by what was left of the deadline."""
        self.refusals: dict[tuple[int, str], int] = {}
        """Requests that were not decided, by HTTP status and error code."""
        self.recorded_records = 0
        self.dropped_records = 0
        self.variants: dict[tuple[str, str], VariantCounts] = {}
        """By version and role; those of past releases as well, up to `KEPT_VARIANTS`."""
        self._in_service: frozenset[tuple[str, str]] = frozenset()
        # Whoever still holds the counts of a variant that is shown no longer goes on with the same ones.
        self._known: WeakValueDictionary[tuple[str, str], VariantCounts] = WeakValueDictionary()

    @property
    def requests(self) -> int:
        """Requests that were decided."""
        return sum(self.by_reason.values())

    @property
    def late(self) -> int:
        """Replies that left at the deadline or after it."""
        return sum(self.slack[: _NO_SLACK + 1])

    def variant(self, version: str, role: str) -> VariantCounts:
        """The counts of a version in a role, from the endpoint's first request on."""
        key = (version, str(role))
        counts = self.variants.get(key)
        if counts is None:
            counts = self._known.get(key)
            if counts is None:
                counts = self._known[key] = VariantCounts(*key)
            self.variants[key] = counts
        return counts

    def serves(self, release: int, variants: Iterable[tuple[str, str]]) -> tuple[VariantCounts, ...]:
        """A release is served from now on.

        Args:
            release: its number.
            variants: version and role of each variant, in the plan's order.

        Returns:
            The counts of each variant, in the same order.
        """
        named = [(version, str(role)) for version, role in variants]
        if release != self.release:
            self.switches += self.release != 0
            self.release = release
        for key in named:  # the latest in service at the end, so that those who are longest out are first to go
            counts = self.variant(*key)
            del self.variants[key]
            self.variants[key] = counts
        self._in_service = frozenset(named)
        past = [key for key in self.variants if key not in self._in_service]
        for key in past[: max(0, len(past) - KEPT_VARIANTS)]:
            del self.variants[key]
        return tuple(self.variants[key] for key in named)

    def is_in_service(self, variant: VariantCounts) -> bool:
        """Whether the release that is served has this variant."""
        return (variant.version, variant.role) in self._in_service

    def decided(
        self, variants: Sequence[VariantCounts], decision: Decision, elapsed_ns: int, deadline_ns: int, rows: int
    ) -> None:
        """A request was decided and its reply leaves.

        Args:
            variants: what `serves` gave for the plan that the request met.
            decision: of the policy; its reason as recorded.
            elapsed_ns: from the request's arrival until now.
            deadline_ns: what the request was granted, from its arrival.
            rows: how many were asked.
        """
        self.by_reason[decision.reason] += 1
        self.rows += rows
        self.latency[bisect_left(LATENCY_BOUNDS_NS, elapsed_ns)] += 1
        self.latency_ns += elapsed_ns
        self.slack[bisect_left(SLACK_BOUNDS_NS, deadline_ns - elapsed_ns)] += 1
        if decision.chosen is not None:
            for index in set(decision.chosen):
                if index >= 0:
                    variants[index].chosen += 1
        elif decision.variant >= 0:
            variants[decision.variant].chosen += 1
        elif decision.weights is not None:
            for counts, weight in zip(variants, decision.weights, strict=False):
                if weight > 0:
                    counts.chosen += 1

    def refused(self, status: int, code: str) -> None:
        """A request was answered with an error before it could be decided."""
        self.refusals[status, code] = self.refusals.get((status, code), 0) + 1

    def recorded(self, records: int = 1) -> None:
        """Decision records were written."""
        self.recorded_records += records

    def dropped(self, records: int = 1) -> None:
        """Decision records could not be written, and the endpoint answers all the same."""
        self.dropped_records += records


class LaneNow(NamedTuple):
    """How the way to one host stands at this moment."""

    endpoint: str
    version: str
    role: str
    queued: int
    """Requests that wait for the host."""
    is_up: bool
    """A host is connected that has passed its golden answers."""


def _none() -> int:
    return 0


def _no_lanes() -> Iterable[LaneNow]:
    return ()


def _no_endpoints() -> Iterable[tuple[str, bool]]:
    return ()


@dataclass(slots=True, kw_only=True)
class FrontCounts:
    """All that one front counts. The callables are asked when somebody looks, never on a request's way."""

    endpoints: dict[str, EndpointCounts] = field(default_factory=dict)
    """By name; only endpoints that a plan names, never what a caller wrote into an address."""
    refusals: dict[tuple[int, str], int] = field(default_factory=dict)
    """Requests that never got to an endpoint, by HTTP status and error code."""
    syncs: list[int] = field(default_factory=lambda: [0] * (len(SYNC_BOUNDS_NS) + 1))
    syncs_ns: int = 0
    connections_taken: Callable[[], int] = _none
    """Connections since the start."""
    connections: Callable[[], int] = _none
    """Connections that are open now."""
    open_requests: Callable[[], int] = _none
    """Requests that have arrived and are not decided yet."""
    lanes: Callable[[], Iterable[LaneNow]] = _no_lanes
    ready: Callable[[], Iterable[tuple[str, bool]]] = _no_endpoints
    """Every endpoint that is served, and whether its champion or a fallback can answer in time now."""
    loop_lag_s: Callable[[], float] = _none
    """How late the event loop's timers ran last."""
    offline_s: Callable[[], float] = _none
    """How long control has not been reached."""
    spool_bytes: Callable[[], int] = _none
    """What this front's segments take on the disk until they are compacted."""
    records_waiting: Callable[[], int] = _none
    """Records that are not written yet."""

    def endpoint(self, name: str) -> EndpointCounts:
        """The counts of an endpoint, made when it is first named by a plan."""
        counts = self.endpoints.get(name)
        if counts is None:
            counts = self.endpoints[name] = EndpointCounts(name)
        return counts

    def keep_only(self, names: Iterable[str]) -> None:
        """Forget the endpoints that no plan names any more."""
        kept = set(names)
        for name in [name for name in self.endpoints if name not in kept]:
            del self.endpoints[name]

    def refused(self, status: int, code: str, endpoint: str | None = None) -> None:
        """A request was answered with an error before it could be decided.

        Args:
            status: of the reply.
            code: the error's.
            endpoint: whose; where none of that name is served, which may be anything, it is counted without.
        """
        counts = None if endpoint is None else self.endpoints.get(endpoint)
        refusals = self.refusals if counts is None else counts.refusals
        refusals[status, code] = refusals.get((status, code), 0) + 1

    def synced(self, seconds: float) -> None:
        """An fsync of the archive's segment took so long."""
        took_ns = int(seconds * 1e9)
        self.syncs[bisect_left(SYNC_BOUNDS_NS, took_ns)] += 1
        self.syncs_ns += took_ns


def quantile(bounds: Sequence[float], counts: Sequence[float], share: float) -> float | None:
    """The value below which a share of what was counted lies, as near as the bounds tell; None where nothing was counted.

    Within a bucket it is taken in proportion, as Prometheus does. What lies beyond the last bound counts as the last bound.

    Args:
        bounds: upper bounds, ascending.
        counts: how many lie in each bucket; one more than there are bounds.
        share: 0 to 1.
    """
    total = sum(counts)
    if total <= 0:
        return None
    rank = share * total
    below = 0.0
    lower = min(0.0, bounds[0])
    for bound, within in zip(bounds, counts, strict=False):
        if within > 0 and below + within >= rank:
            return lower + (bound - lower) * max(0.0, (rank - below) / within)
        below += within
        lower = bound
    return bounds[-1]
