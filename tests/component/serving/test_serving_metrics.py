"""What fronts and keepers show, read by Prometheus' own parser and held against its rules."""

import pytest
from prometheus_client.parser import text_string_to_metric_families

from metric_names import DECLARED
from muster.serving.counts import FrontCounts
from muster.serving.front.metrics import METRICS, render
from muster.serving.workers.host_counts import METRICS as HOST_METRICS
from muster.serving.workers.host_counts import HostCounts
from muster.serving.workers.roster import HostStanding
from muster.telemetry.scrape import Scrape
from promtool_program import promtool
from served_counts import busy_counts

FRONT = Scrape(render(busy_counts(), "front-0").decode())


def one(scrape: Scrape, name: str, **labels: str) -> float:
    """The one sample with these labels."""
    (found,) = [value for named, value in scrape.of(name) if labels.items() <= named.items()]
    return found


def test_a_front_shows_what_it_has_counted() -> None:
    """Requests by reason, answers by outcome, refusals with and without an endpoint, queue and probation."""
    assert one(FRONT, "muster_serving_requests_total", reason="champion") == 90
    assert one(FRONT, "muster_serving_requests_total", reason="fallback_late") == 10
    assert one(FRONT, "muster_serving_requests_total", reason="default") == 0
    assert one(FRONT, "muster_serving_chosen_total", version="churn:3", role="champion") == 90
    answers = {
        labels["outcome"]: n for labels, n in FRONT.of("muster_serving_answers_total") if labels["version"] == "churn:4"
    }
    assert answers == {"answered": 90, "late": 10, "failed": 1, "unsent": 0, "passed_over": 0}
    assert one(FRONT, "muster_serving_refusals_total", endpoint="churn", status="400") == 1
    assert one(FRONT, "muster_serving_refusals_total", endpoint="", code="serving.token-unknown") == 1
    assert one(FRONT, "muster_serving_queue", version="churn:3") == 7
    assert one(FRONT, "muster_serving_on_probation", version="churn:4") == 1
    assert one(FRONT, "muster_serving_host_up", version="churn:4") == 0
    assert FRONT.one("muster_serving_open_requests") == 5


def test_histograms_are_in_seconds() -> None:
    """3 ms lie at or below 0.003 and above 0.002; 47 ms of slack below 0.05."""
    assert one(FRONT, "muster_serving_latency_seconds_bucket", le="0.002") == 0
    assert one(FRONT, "muster_serving_latency_seconds_bucket", le="0.003") == 100
    assert one(FRONT, "muster_serving_latency_seconds_sum") == pytest.approx(0.3)
    assert one(FRONT, "muster_serving_deadline_slack_seconds_bucket", le="0.025") == 0
    assert one(FRONT, "muster_serving_deadline_slack_seconds_bucket", le="0.05") == 100
    assert one(FRONT, "muster_serving_batch_rows_sum", version="churn:3") == 16
    assert one(FRONT, "muster_serving_compute_seconds_total", version="churn:3") == pytest.approx(0.001)


def keeper_text() -> bytes:
    counts = HostCounts()
    key = "churn/churn:3@abc"
    for again in (False, True, True):
        counts.began(key, again=again)
        counts.up(key)
    counts.ends_for("h1", "memory")
    counts.ended(key, "h1")
    counts.ended(key, "h2")
    return counts.render([HostStanding(key, "up", host="h3", pid=1), HostStanding("churn/churn:4@x", "load_failed")], 2)


def test_a_keeper_shows_how_its_hosts_fare() -> None:
    """Starts, restarts, ends by why, and the state of each."""
    keeper = Scrape(keeper_text().decode())
    assert one(keeper, "muster_serving_host_starts_total", version="churn:3") == 3
    assert one(keeper, "muster_serving_host_restarts_total", endpoint="churn", version="churn:3") == 2
    assert one(keeper, "muster_serving_host_ends_total", why="memory") == 1
    assert one(keeper, "muster_serving_host_ends_total", why="ended") == 1
    assert one(keeper, "muster_serving_host_state", version="churn:4", state="load_failed") == 1
    assert one(keeper, "muster_serving_host_memory_bytes", version="churn:3") > 0
    assert keeper.one("muster_serving_keeper_fronts") == 2


@pytest.mark.parametrize("text", [render(busy_counts(), "front-0"), render(FrontCounts(), "front-1"), keeper_text()])
def test_what_is_shown_is_declared(text: bytes) -> None:
    """Each metric is announced once, of the declared kind with the declared labels, and no sample comes twice."""
    declared = {metric.name: metric for metric in DECLARED}
    seen: set[str] = set()
    for family in text_string_to_metric_families(text.decode()):
        name = family.name if family.name in declared else f"{family.name}_total"  # the parser cuts it off
        metric = declared[name]
        assert (family.type, family.documentation) == (metric.kind, metric.told)
        assert name not in seen
        seen.add(name)
        keys = [(sample.name, tuple(sample.labels.items())) for sample in family.samples]
        assert len(keys) == len(set(keys))
        assert {tuple(name for name in sample.labels if name != "le") for sample in family.samples} <= {metric.labels}


def test_every_metric_of_a_front_and_a_keeper_is_shown() -> None:
    """Nothing is declared and then forgotten."""
    text = (render(busy_counts(), "front-0") + keeper_text()).decode()
    assert [metric.name for metric in (*METRICS, *HOST_METRICS) if f"# TYPE {metric.name} " not in text] == []


@pytest.mark.parametrize("text", [render(busy_counts(), "front-0"), keeper_text()], ids=["front", "keeper"])
def test_promtool_finds_no_fault(text: bytes) -> None:
    """Prometheus' own linter accepts names, kinds and help."""
    done = promtool("check", "metrics", given=text)
    assert (done.returncode, done.stdout + done.stderr) == (0, b"")
