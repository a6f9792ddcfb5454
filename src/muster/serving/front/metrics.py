"""What a front has counted, as metrics. Every name that a front exports is declared here."""

from collections.abc import Iterator

from muster.serving.counts import (
    BATCH_BOUNDS,
    LATENCY_BOUNDS_NS,
    SLACK_BOUNDS_NS,
    SYNC_BOUNDS_NS,
    EndpointCounts,
    FrontCounts,
    VariantCounts,
)
from muster.telemetry.exposition import Buckets, Exposition, Metric
from muster.telemetry.process_metrics import say_process

_ENDPOINT = ("endpoint",)
_VARIANT = ("endpoint", "version", "role")

REQUESTS = Metric(
    "muster_serving_requests_total",
    "counter",
    "Requests that were decided, by the reason of the answer.",
    ("endpoint", "reason"),
)
ROWS = Metric("muster_serving_rows_total", "counter", "Rows of the requests that were decided.", _ENDPOINT)
REFUSALS = Metric(
    "muster_serving_refusals_total",
    "counter",
    "Requests that were answered with an error before they could be decided; no endpoint where none is known.",
    ("endpoint", "status", "code"),
)
LATENCY = Metric(
    "muster_serving_latency_seconds",
    "histogram",
    "Decided requests by the time from arrival to the decision.",
    _ENDPOINT,
)
SLACK = Metric(
    "muster_serving_deadline_slack_seconds",
    "histogram",
    "Decided requests by what was left of their deadline; below zero: they were late. It has no sum.",
    _ENDPOINT,
)
LATE_REPLIES = Metric(
    "muster_serving_late_replies_total", "counter", "Requests decided at their deadline or after it.", _ENDPOINT
)
CHOSEN = Metric(
    "muster_serving_chosen_total",
    "counter",
    "Requests that the variant answered: alone, for some rows, or as one of several whose answers were combined.",
    _VARIANT,
)
ANSWERS = Metric(
    "muster_serving_answers_total",
    "counter",
    "What became of the requests that a variant was to answer: answered, late, failed, unsent or passed_over.",
    (*_VARIANT, "outcome"),
)
VARIANT_LATENCY = Metric(
    "muster_serving_variant_latency_seconds",
    "histogram",
    "Answers of a variant by the time from the request's arrival until the answer was there, late ones included.",
    _VARIANT,
)
BATCH_ROWS = Metric("muster_serving_batch_rows", "histogram", "Batches that a host computed, by their rows.", _VARIANT)
COMPUTE = Metric(
    "muster_serving_compute_seconds_total", "counter", "Time that hosts spent on the batches of a variant.", _VARIANT
)
ON_PROBATION = Metric(
    "muster_serving_on_probation",
    "gauge",
    "1 while nobody waits for the variant, because it kept being late.",
    _VARIANT,
)
PROBATIONS = Metric(
    "muster_serving_probations_total", "counter", "How often the variant was put on probation.", _VARIANT
)
QUEUE = Metric("muster_serving_queue", "gauge", "Requests that wait for the variant's host.", _VARIANT)
HOST_UP = Metric(
    "muster_serving_host_up", "gauge", "1 while the front is connected to a host of the variant.", _VARIANT
)
READY = Metric(
    "muster_serving_ready",
    "gauge",
    "1 while a request that came now would wait for the champion or a fallback; 0 while none is up, or all are on probation.",
    _ENDPOINT,
)
RELEASE = Metric("muster_serving_release", "gauge", "Number of the release that is served.", _ENDPOINT)
SWITCHES = Metric(
    "muster_serving_switches_total", "counter", "How often another release began to be served.", _ENDPOINT
)
RECORDS = Metric("muster_serving_records_total", "counter", "Decision records that were written.", _ENDPOINT)
DROPPED = Metric(
    "muster_serving_records_dropped_total",
    "counter",
    "Decision records that could not be written, at endpoints that answer all the same.",
    _ENDPOINT,
)
WAITING = Metric("muster_serving_records_waiting", "gauge", "Decision records that are not written yet.")
SPOOL = Metric(
    "muster_serving_spool_bytes", "gauge", "What the front's segments take on the disk until they are compacted."
)
SYNC = Metric("muster_serving_sync_seconds", "histogram", "Fsyncs of the front's segments, by the time they took.")
OPEN = Metric("muster_serving_open_requests", "gauge", "Requests that have arrived and are not decided yet.")
CONNECTIONS = Metric("muster_serving_connections", "gauge", "Connections of callers that are open.")
CONNECTIONS_TAKEN = Metric(
    "muster_serving_connections_taken_total", "counter", "Connections of callers since the start."
)
LAG = Metric("muster_serving_loop_lag_seconds", "gauge", "How late the front's event loop ran of late.")
OFFLINE = Metric("muster_serving_offline_seconds", "gauge", "How long the front has not reached control.")

METRICS = (
    REQUESTS, ROWS, REFUSALS, LATENCY, SLACK, LATE_REPLIES, CHOSEN, ANSWERS, VARIANT_LATENCY, BATCH_ROWS, COMPUTE, ON_PROBATION,
    PROBATIONS, QUEUE, HOST_UP, READY, RELEASE, SWITCHES, RECORDS, DROPPED, WAITING, SPOOL, SYNC, OPEN, CONNECTIONS,
    CONNECTIONS_TAKEN, LAG, OFFLINE,
)  # fmt: skip

_LATENCY = Buckets(LATENCY_BOUNDS_NS, 1e9)
_SLACK = Buckets(SLACK_BOUNDS_NS, 1e9)
_BATCH = Buckets(BATCH_BOUNDS)
_SYNC = Buckets(SYNC_BOUNDS_NS, 1e9)


def render(counts: FrontCounts, name: str) -> bytes:
    """The text of all metrics of a front.

    Args:
        counts: what it has counted; called on its event loop.
        name: the front's name: `front-0`.
    """
    out = Exposition()
    endpoints = list(counts.endpoints.values())
    _say_endpoints(out, endpoints, counts)
    _say_variants(out, list(_variants(endpoints)))
    _say_lanes(out, counts)
    _say_front(out, counts)
    say_process(out, name)
    return out.encode()


def _say_endpoints(out: Exposition, endpoints: list[EndpointCounts], front: FrontCounts) -> None:
    out.begin(REQUESTS)
    for of in endpoints:
        for reason, count in of.by_reason.items():
            out.sample(count, of.endpoint, reason)
    out.begin(REFUSALS)
    for name, refusals in (("", front.refusals), *((of.endpoint, of.refusals) for of in endpoints)):
        for (status, code), count in list(refusals.items()):
            out.sample(count, name, str(status), code)
    out.begin(LATENCY)
    for of in endpoints:
        out.histogram(_LATENCY, of.latency, of.latency_ns, of.endpoint)
    out.begin(SLACK)
    for of in endpoints:
        out.histogram(_SLACK, of.slack, 0, of.endpoint)
    for metric, values in (
        (ROWS, [of.rows for of in endpoints]),
        (LATE_REPLIES, [of.late for of in endpoints]),
        (RELEASE, [of.release for of in endpoints]),
        (SWITCHES, [of.switches for of in endpoints]),
        (RECORDS, [of.recorded_records for of in endpoints]),
        (DROPPED, [of.dropped_records for of in endpoints]),
    ):
        out.begin(metric)
        for of, value in zip(endpoints, values, strict=True):
            out.sample(value, of.endpoint)
    out.begin(READY)
    for name, is_ready in front.ready():
        out.sample(is_ready, name)


def _variants(endpoints: list[EndpointCounts]) -> Iterator[tuple[tuple[str, str, str], VariantCounts, bool]]:
    """Labels and counts of every variant, and whether it is in the release that is served."""
    for of in endpoints:
        for variant in list(of.variants.values()):
            yield (of.endpoint, variant.version, variant.role), variant, of.is_in_service(variant)


def _say_variants(out: Exposition, variants: list[tuple[tuple[str, str, str], VariantCounts, bool]]) -> None:
    out.begin(CHOSEN)
    for labels, variant, _ in variants:
        out.sample(variant.chosen, *labels)
    out.begin(ANSWERS)
    for labels, variant, _ in variants:
        out.sample(variant.in_time, *labels, "answered")
        out.sample(variant.late, *labels, "late")
        out.sample(variant.failures, *labels, "failed")
        out.sample(variant.not_sent, *labels, "unsent")
        out.sample(variant.skipped, *labels, "passed_over")
    out.begin(VARIANT_LATENCY)
    for labels, variant, _ in variants:
        out.histogram(_LATENCY, variant.latency, variant.latency_ns, *labels)
    out.begin(BATCH_ROWS)
    for labels, variant, _ in variants:
        out.histogram(_BATCH, variant.batch_rows, variant.rows, *labels)
    out.begin(COMPUTE)
    for labels, variant, _ in variants:
        out.sample(variant.compute_ns / 1e9, *labels)
    out.begin(PROBATIONS)
    for labels, variant, _ in variants:
        out.sample(variant.probations, *labels)
    out.begin(ON_PROBATION)
    for labels, variant, is_in_service in variants:
        if is_in_service:
            out.sample(variant.is_on_probation, *labels)


def _say_lanes(out: Exposition, counts: FrontCounts) -> None:
    lanes = list(dict.fromkeys(counts.lanes()))
    out.begin(QUEUE)
    for lane in lanes:
        out.sample(lane.queued, lane.endpoint, lane.version, lane.role)
    out.begin(HOST_UP)
    for lane in lanes:
        out.sample(lane.is_up, lane.endpoint, lane.version, lane.role)


def _say_front(out: Exposition, counts: FrontCounts) -> None:
    out.one(WAITING, counts.records_waiting())
    out.one(SPOOL, counts.spool_bytes())
    out.begin(SYNC)
    out.histogram(_SYNC, counts.syncs, counts.syncs_ns)
    out.one(OPEN, counts.open_requests())
    out.one(CONNECTIONS, counts.connections())
    out.one(CONNECTIONS_TAKEN, counts.connections_taken())
    out.one(LAG, counts.loop_lag_s())
    out.one(OFFLINE, counts.offline_s())
