"""What watches a factory stands on metrics that there are: the page, the dashboard, the alerts."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from metric_names import DECLARED
from promtool_program import promtool

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "reference" / "metrics.md").read_text()
GUIDE = (ROOT / "docs" / "how-to" / "watch-a-factory.md").read_text()
DASHBOARD: dict[str, Any] = json.loads((ROOT / "deploy" / "grafana" / "muster-serving.json").read_text())
PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTS = (PROMETHEUS / "alerts.yml").read_text()
ALERT_NAMES = re.findall(r"^ +- alert: (\w+)$", ALERTS, re.MULTILINE)
NAMES = {metric.name for metric in DECLARED}
SAMPLES = NAMES | {
    metric.name + suffix
    for metric in DECLARED
    if metric.kind == "histogram"
    for suffix in ("_bucket", "_sum", "_count")
}
NAMED = re.compile(r"\b(?:muster_(?:serving|control|archive|sessions|supervision|info)\w*|process_\w+)")


def queries() -> list[str]:
    """Every expression of the dashboard."""
    return [target["expr"] for panel in DASHBOARD["panels"] for target in panel.get("targets", ())]


def metrics_in(query: str) -> set[str]:
    """The metrics that an expression asks for."""
    bare = re.sub(r'"[^"]*"|\b(?:by|on|group_left|without) \([^)]*\)', "", query)
    return set(NAMED.findall(bare))


@pytest.mark.parametrize("metric", DECLARED, ids=lambda metric: metric.name)
def test_every_metric_has_its_row(metric: Any) -> None:
    """The page says of each metric its kind, its labels and what it counts."""
    labels = ", ".join(f"`{label}`" for label in metric.labels) or "-"
    assert f"| `{metric.name}` | {metric.kind} | {labels} | {metric.told} |" in PAGE


def test_the_page_names_no_other_metric() -> None:
    """What stands on the pages is exported."""
    assert {name for name in NAMED.findall(PAGE) if name not in SAMPLES and not name.endswith("_")} == set()
    assert {name for name in NAMED.findall(GUIDE) if name not in SAMPLES and not name.endswith("_")} == set()


def test_the_dashboard_asks_for_what_there_is() -> None:
    """Each panel has a query, and each query names metrics that a process exports."""
    asked = [metrics_in(query) for query in queries()]
    assert all(asked)
    assert set().union(*asked) - SAMPLES == set()


def test_the_dashboard_shows_every_metric_of_fronts_and_keepers() -> None:
    """What serving counts can be seen without a query of one's own."""
    shown = {name for query in queries() for name in metrics_in(query)}
    serving = [metric.name for metric in DECLARED if metric.name.startswith("muster_serving_")]
    left = {"muster_serving_connections_taken_total", "muster_serving_records_waiting", "muster_serving_keeper_fronts"}
    left |= {"muster_serving_spool_bytes"}  # the executor's figure is of all fronts
    assert {name for name in serving if not any(sample.startswith(name) for sample in shown)} == left


def test_the_dashboard_is_laid_out_whole() -> None:
    """Ids are unique, panels lie in the 24 columns and none over another."""
    ids = [panel["id"] for panel in DASHBOARD["panels"]]
    assert len(ids) == len(set(ids))
    taken: set[tuple[int, int]] = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert max(x for x, _ in cells) < 24
        assert not cells & taken, panel["title"]
        taken |= cells


def test_promtool_parses_every_query(tmp_path: Path) -> None:
    """Each expression of the dashboard, its variables filled in, is a rule that Prometheus takes."""
    filled = [query.replace("$__rate_interval", "1m").replace("$endpoint", "churn") for query in queries()]
    rules = [{"record": f"q:{place}", "expr": query} for place, query in enumerate(filled)]
    file = tmp_path / "queries.yml"
    file.write_text(json.dumps({"groups": [{"name": "dashboard", "rules": rules}]}))
    done = promtool("check", "rules", str(file))
    assert done.returncode == 0, done.stderr.decode()


def test_alerts_ask_for_what_there_is() -> None:
    """Each expression of an alert names metrics that a process exports."""
    asked = {name for line in ALERTS.splitlines() if "description:" not in line for name in metrics_in(line)}
    assert asked - SAMPLES == set()
    assert len(asked) > 10


def test_promtool_takes_the_alerts() -> None:
    """Rules, their tests and the scrape configuration pass Prometheus' own checks; each alert is tested to fire and to be quiet."""
    tests = PROMETHEUS / "alerts_test.yml"
    for arguments in (
        ("check", "rules", str(PROMETHEUS / "alerts.yml")),
        ("test", "rules", str(tests)),
        ("check", "config", str(PROMETHEUS / "prometheus.yml")),
    ):
        done = promtool(*arguments)
        assert done.returncode == 0, done.stdout.decode() + done.stderr.decode()
    text = tests.read_text()
    assert [name for name in ALERT_NAMES if text.count(f"alertname: {name}") < 2] == []


@pytest.mark.parametrize("name", ALERT_NAMES)
def test_the_guide_says_what_to_do_about_each_alert(name: str) -> None:
    """Whoever is called by an alert finds its entry."""
    assert f"`{name}`" in GUIDE
