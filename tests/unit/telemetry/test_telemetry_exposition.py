"""The text of metrics, read by Prometheus' own parser."""

import math

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client.parser import text_string_to_metric_families

from muster.telemetry.exposition import Buckets, Exposition, Metric

COUNTED = Metric("muster_x_total", "counter", "Told in two\nlines with a \\.", ("endpoint", "code"))
TIMED = Metric("muster_x_seconds", "histogram", "Time.", ("endpoint",))


@given(
    labels=st.tuples(st.text(st.characters(exclude_categories=["Cs", "Cc"])), st.text(alphabet='a\\"\n{},= ')),
    value=st.one_of(st.integers(0, 2**60), st.floats(allow_nan=False)),
)
def test_what_is_written_is_read(labels: tuple[str, str], value: float) -> None:
    """Any label and any number come back as they were."""
    out = Exposition()
    out.begin(COUNTED)
    out.sample(value, *labels)
    (family,) = text_string_to_metric_families(out.encode().decode())
    (sample,) = family.samples
    assert (family.type, sample.name) == ("counter", COUNTED.name)
    assert tuple(sample.labels.values()) == labels
    assert math.isclose(sample.value, value, rel_tol=1e-12)


@given(counts=st.lists(st.integers(0, 1000), min_size=4, max_size=4))
def test_a_histogram_is_cumulative_and_ends_with_all(counts: list[int]) -> None:
    """Buckets grow to the count, bounds are in the exported unit, and the sum is there."""
    out = Exposition()
    out.begin(TIMED)
    out.histogram(Buckets((1_000_000, 5_000_000, 1_000_000_000), 1e9), counts, 2_500_000_000, "churn")
    (family,) = text_string_to_metric_families(out.encode().decode())
    buckets = {sample.labels["le"]: sample.value for sample in family.samples if sample.name.endswith("_bucket")}
    assert list(buckets) == ["0.001", "0.005", "1", "+Inf"]
    assert list(buckets.values()) == [sum(counts[: place + 1]) for place in range(4)]
    rest = {sample.name: sample.value for sample in family.samples if "le" not in sample.labels}
    assert rest == {"muster_x_seconds_sum": 2.5, "muster_x_seconds_count": sum(counts)}


def test_a_histogram_below_zero_has_no_sum() -> None:
    """A sum that may fall would be taken for a restart."""
    out = Exposition()
    out.begin(TIMED)
    out.histogram(Buckets((-5_000_000, 0, 5_000_000), 1e9), [1, 2, 3, 4], 0, "churn")
    (family,) = text_string_to_metric_families(out.encode().decode())
    assert {sample.name for sample in family.samples} == {"muster_x_seconds_bucket"}
    assert family.samples[0].labels["le"] == "-0.005"
