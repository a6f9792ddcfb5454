"""What this front has counted, in the form of Triton's extension `statistics`, with what a rendezvous adds under `muster`.

Source: Triton's extension of the Open Inference Protocol V2, "Statistics Extension". Counts are of one front since it started;
a factory's are at `/metrics`, where Prometheus adds them up.
"""

from collections.abc import Iterable
from typing import Any

from muster.serving.counts import EndpointCounts, FrontCounts, VariantCounts
from muster.serving.plan import Plan, Variant
from muster.vocabulary.states import Reason

_FALLBACKS = (Reason.FALLBACK_LATE, Reason.FALLBACK_ERROR)
_WITHOUT_VARIANT = (Reason.DEFAULT, Reason.NONE)
_NS_PER_MS = 1_000_000


def statistics(counts: FrontCounts, plans: Iterable[tuple[Plan, int | None]]) -> dict[str, Any]:
    """The statistics of some endpoints.

    Args:
        counts: of the front.
        plans: the endpoints that the caller may use; with each the index of the only variant asked about, or None for all.
    """
    models: list[dict[str, Any]] = []
    endpoints: list[dict[str, Any]] = []
    for plan, only in plans:
        counted = counts.endpoints.get(plan.endpoint) or EndpointCounts(plan.endpoint)
        variants = plan.variants if only is None else (plan.variants[only],)
        models.extend(_of_variant(plan, variant, counted) for variant in variants)
        endpoints.append(_of_endpoint(plan, counted))
    return {"model_stats": models, "muster": {"endpoints": endpoints}}


def _of_variant(plan: Plan, variant: Variant, endpoint: EndpointCounts) -> dict[str, Any]:
    key = variant.version, variant.planned.role.value
    counts = endpoint.variants.get(key) or VariantCounts(*key)
    waited_ns = max(0, counts.latency_ns - counts.compute_request_ns)
    return {
        "name": plan.endpoint,
        "version": variant.number,
        "last_inference": counts.last_computed_ns // _NS_PER_MS,
        "inference_count": counts.rows,
        "execution_count": counts.batches,
        "inference_stats": {
            "success": _duration(counts.in_time + counts.late, counts.latency_ns),
            "fail": _duration(counts.failures, counts.failed_ns),
            "queue": _duration(counts.requests_computed, waited_ns),
            "compute_input": _duration(0, 0),
            "compute_infer": _duration(counts.requests_computed, counts.compute_request_ns),
            "compute_output": _duration(0, 0),
            "cache_hit": _duration(0, 0),
            "cache_miss": _duration(0, 0),
        },
        "batch_stats": [],
        "muster": {
            "version": variant.version,
            "role": variant.planned.role.value,
            "chosen": counts.chosen,
            "in_time": counts.in_time,
            "late": counts.late,
            "failed": counts.failures,
            "unsent": counts.not_sent,
            "passed_over": counts.skipped,
            "on_probation": counts.is_on_probation,
        },
    }


def _of_endpoint(plan: Plan, counts: EndpointCounts) -> dict[str, Any]:
    by_reason = counts.by_reason
    fallback = sum(by_reason[reason] for reason in _FALLBACKS)
    without = sum(by_reason[reason] for reason in _WITHOUT_VARIANT)
    return {
        "name": plan.endpoint,
        "release": plan.release,
        "requests": counts.requests,
        "rows": counts.rows,
        "chosen": counts.requests - fallback - without,
        "fallback": fallback,
        "default": by_reason[Reason.DEFAULT],
        "failed": by_reason[Reason.NONE],
        "late": counts.late,
        "refused": sum(counts.refusals.values()),
        "by_reason": {str(reason): count for reason, count in by_reason.items() if count},
    }


def _duration(count: int, ns: int) -> dict[str, int]:
    return {"count": count, "ns": ns}
