"""What a front counts adds up, whatever it is told."""

from hypothesis import given
from hypothesis import strategies as st

from muster.serving.counts import (
    KEPT_VARIANTS,
    LATENCY_BOUNDS_NS,
    SLACK_BOUNDS_NS,
    EndpointCounts,
    FrontCounts,
    VariantCounts,
    quantile,
)
from muster.serving.decisions import COMBINED, DEFAULT, Decision
from muster.vocabulary.states import Reason

DURATIONS = st.integers(0, 60_000_000_000)


def counts_of(values: list[int]) -> list[int]:
    counts = [0] * (len(LATENCY_BOUNDS_NS) + 1)
    for value in values:
        counts[sum(value > bound for bound in LATENCY_BOUNDS_NS)] += 1
    return counts


@given(answers=st.lists(st.tuples(DURATIONS, st.booleans())))
def test_a_variants_histogram_holds_every_answer(answers: list[tuple[int, bool]]) -> None:
    """Each answer is in one bucket, the one whose bounds it lies between, and in time or late."""
    counts = VariantCounts("churn:3", "champion")
    for latency_ns, is_late in answers:
        counts.answered(latency_ns, is_late)
    assert counts.latency == counts_of([latency for latency, _ in answers])
    assert counts.latency_ns == sum(latency for latency, _ in answers)
    assert counts.late == sum(is_late for _, is_late in answers)
    assert counts.in_time + counts.late == len(answers)


@given(
    requests=st.lists(
        st.tuples(
            st.sampled_from(list(Reason)), st.integers(-1, 1), DURATIONS, st.integers(1, 10**9), st.integers(1, 1000)
        )
    )
)
def test_every_request_is_counted_once(requests: list[tuple[Reason, int, int, int, int]]) -> None:
    """Reasons, latencies and slacks all add up to the number of requests."""
    endpoint = EndpointCounts("churn")
    variants = endpoint.serves(1, [("churn:1", "champion"), ("churn:2", "challenger")])
    for reason, variant, elapsed_ns, deadline_ns, rows in requests:
        endpoint.decided(variants, Decision(variant, reason), elapsed_ns, deadline_ns, rows)
    assert endpoint.requests == len(requests) == sum(endpoint.latency) == sum(endpoint.slack)
    assert endpoint.rows == sum(rows for *_, rows in requests)
    assert endpoint.late == sum(elapsed >= deadline for _, _, elapsed, deadline, _ in requests)
    assert sum(variant.chosen for variant in variants) == sum(variant >= 0 for _, variant, *_ in requests)


def test_whoever_took_part_in_an_answer_was_chosen() -> None:
    """A combined answer counts for each variant with a weight, rows of several for each of them, a default for none."""
    endpoint = EndpointCounts("churn")
    variants = endpoint.serves(1, [("a:1", "champion"), ("b:1", "challenger"), ("c:1", "challenger")])
    endpoint.decided(variants, Decision(COMBINED, Reason.WEIGHTED, weights=(0.7, 0.3, 0.0)), 1, 2, 1)
    endpoint.decided(variants, Decision(1, Reason.SPLIT, chosen=(1, 2, 1, DEFAULT)), 1, 2, 4)
    endpoint.decided(variants, Decision(DEFAULT, Reason.DEFAULT), 1, 2, 1)
    assert [variant.chosen for variant in variants] == [1, 2, 1]


@given(values=st.lists(st.integers(0, 10_000_000_000), min_size=1), share=st.floats(0, 1, exclude_min=True))
def test_a_quantile_lies_in_the_bucket_of_the_value_it_stands_for(values: list[int], share: float) -> None:
    """The quantile told from buckets and the true one lie in the same bucket."""
    told = quantile(LATENCY_BOUNDS_NS, counts_of(values), share)
    assert told is not None
    rank = share * len(values)
    true = next(value for place, value in enumerate(sorted(values), 1) if place >= rank)
    upper = next(bound for bound in LATENCY_BOUNDS_NS if true <= bound)
    lower = max((bound for bound in LATENCY_BOUNDS_NS if bound < upper), default=0)
    assert lower <= told <= upper * (1 + 1e-12)


def test_nothing_counted_has_no_quantile() -> None:
    """Where there is nothing, nothing is made up; where slack is negative, so is its quantile."""
    assert quantile(LATENCY_BOUNDS_NS, counts_of([]), 0.5) is None
    slack = [1, *([0] * len(SLACK_BOUNDS_NS))]
    assert quantile(SLACK_BOUNDS_NS, slack, 0.5) == SLACK_BOUNDS_NS[0]


def test_counts_outlive_a_release() -> None:
    """A version that is served again goes on from where it was, and so does one that was not shown meanwhile."""
    endpoint = EndpointCounts("churn")
    (first,) = endpoint.serves(1, [("churn:1", "champion")])
    first.answered(5, is_late=False)
    for number in range(2, KEPT_VARIANTS + 10):
        endpoint.serves(number, [(f"churn:{number}", "champion")])
    assert ("churn:1", "champion") not in endpoint.variants
    assert len(endpoint.variants) == KEPT_VARIANTS + 1
    (again,) = endpoint.serves(1, [("churn:1", "champion")])
    assert again is first
    assert endpoint.is_in_service(again)
    assert endpoint.switches == KEPT_VARIANTS + 9


def test_an_endpoint_without_a_plan_is_forgotten() -> None:
    """Endpoints that no plan names take no room."""
    front = FrontCounts()
    churn = front.endpoint("churn")
    front.endpoint("fraud")
    front.keep_only(["churn"])
    assert list(front.endpoints) == ["churn"]
    assert front.endpoint("churn") is churn


def test_a_refusal_is_counted_where_it_belongs() -> None:
    """At the endpoint when it is served here; a name that a caller made up makes no entry of its own."""
    front = FrontCounts()
    churn = front.endpoint("churn")
    for endpoint in ("churn", "made-up", None):
        front.refused(429, "serving.rate-exceeded", endpoint)
    assert churn.refusals == {(429, "serving.rate-exceeded"): 1}
    assert front.refusals == {(429, "serving.rate-exceeded"): 2}
    assert list(front.endpoints) == ["churn"]


def test_a_probation_is_counted_when_it_begins() -> None:
    """Being told twice that a variant is on probation is one probation."""
    counts = VariantCounts("churn:3", "champion")
    for is_on in (True, True, False, True):
        counts.probation(is_on=is_on)
    assert (counts.probations, counts.is_on_probation) == (2, True)
