"""`muster top`: what it makes of the metrics of a factory's processes."""

import json
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from rich.console import Console

from muster.bootstrap.creation import create_home
from muster.bootstrap.home import Home, make_socket_folder, open_home
from muster.bootstrap.metrics import metrics_address, metrics_sockets
from muster.cli.commands.top import OFFLINE_S, table_of
from muster.cli.endpoint_figures import FactoryFigures, figures
from muster.cli.main import run
from muster.serving.counts import FrontCounts
from muster.serving.decisions import Decision
from muster.serving.front.follow import _WAIT_S
from muster.serving.front.metrics import render
from muster.serving.workers.host_counts import HostCounts
from muster.serving.workers.roster import HostStanding
from muster.supervision import state
from muster.telemetry.metrics_door import shown_in_thread
from muster.telemetry.scrape import Scrape, scrape
from muster.vocabulary.states import Reason
from served_counts import MS, busy_counts

KEY = "churn/churn:3@abc"


def keeper_counts() -> HostCounts:
    counts = HostCounts()
    counts.began(KEY, again=False)
    counts.began(KEY, again=True)
    return counts


def looked(*fronts: FrontCounts, keeper: HostCounts | None = None) -> dict[str, Scrape]:
    """One look at these fronts."""
    looks = {f"front-{place}": render(front, f"front-{place}") for place, front in enumerate(fronts)}
    if keeper is not None:
        looks["keeper"] = keeper.render([HostStanding(KEY, "up", pid=1)], 1)
    return {name: Scrape(text.decode()) for name, text in looks.items()}


def test_what_was_there_before_does_not_count() -> None:
    """Rates, shares and times are those of the requests between two looks, over all fronts."""
    one, other = busy_counts(), busy_counts(50)
    before = looked(one, other)
    for front in (one, other):
        endpoint = front.endpoint("churn")
        variants = tuple(endpoint.variants.values())
        for reason in (Reason.CHAMPION, Reason.CHAMPION, Reason.DEFAULT, Reason.NONE):
            chosen = 0 if reason is Reason.CHAMPION else -1
            endpoint.decided(variants, Decision(chosen, reason), 9 * MS, 50 * MS, 1)
            variants[0].answered(8 * MS, is_late=reason is Reason.NONE)
    found = figures(before, looked(one, other, keeper=keeper_counts()), 2.0)
    (churn,) = found.endpoints
    assert (churn.requests_per_s, churn.first_share, churn.fallback_share) == (4.0, 0.5, 0.0)
    assert (churn.default_share, churn.none_share, churn.late_share) == (0.25, 0.25, 0.0)
    assert churn.p50_ms == pytest.approx(8.75)
    assert (churn.release, churn.is_ready, churn.refused_per_s) == (3, True, 0.0)
    champion, challenger = churn.variants
    assert (champion.version, champion.role, champion.restarts) == ("churn:3", "champion", 1)
    assert (champion.answers_per_s, champion.late_per_s, champion.chosen_share) == (4.0, 1.0, 0.5)
    assert (champion.queue, champion.hosts_up, champion.on_probation) == (14, 2, False)
    assert (challenger.answers_per_s, challenger.p50_ms, challenger.on_probation) == (0.0, None, True)


def test_a_front_that_began_anew_counts_from_nought() -> None:
    """A restart makes no rate negative."""
    before, after = looked(busy_counts(5)), looked(busy_counts(10))
    later = (
        render(busy_counts(10), "front-0")
        .decode()
        .replace("process_start_time_seconds 1", "process_start_time_seconds 2")
    )
    assert figures(before, after, 1.0).endpoints[0].requests_per_s == 5.0
    found = figures(before, {"front-0": Scrape(later)}, 1.0)
    assert found.endpoints[0].requests_per_s == 10.0
    assert found.endpoints[0].variants[0].answers_per_s == 10.0


def table(found: FactoryFigures, width: int = 80) -> str:
    console = Console(width=width, highlight=False, color_system=None)
    with console.capture() as capture:
        console.print(table_of(found))
    return capture.get()


def test_the_table_fits_in_80_columns() -> None:
    """No figure is cut off or folded, and what is wrong is said."""
    front = busy_counts(123_456)
    front.spool_bytes = lambda: 12 * 2**20
    front.loop_lag_s = lambda: 0.0004
    text = table(figures({}, looked(front, keeper=keeper_counts()), 2.0))
    lines = text.splitlines()
    assert max(map(len, lines)) <= 80
    assert lines[0].startswith("1 front · 61728 requests/s · 5 open · lag 0.4 ms · spool 12 MiB")
    assert "…" not in text
    assert lines[3].split() == ["churn", "r3", "61728", "2.50", "2.99", "90.0", "10.0", "0%", "0%", "0%", "0.5"]
    assert lines[6].split()[:5] == ["churn", "churn:3", "champ", "61728", "1.75"]
    assert lines[9:] == ["churn churn:3 was restarted 1 time", "churn churn:4 has no host, is on probation"]


def test_it_says_so_when_there_is_nothing_to_show() -> None:
    """No front, or fronts without endpoints, are no empty table."""
    assert "no front answers" in table(figures({}, {}, 1.0))
    assert "no endpoint is served" in table(figures({}, looked(FrontCounts()), 1.0))
    away = FrontCounts()
    away.offline_s = lambda: 90
    assert "control has not been reached for 90 s" in table(figures({}, looked(away), 1.0))


def test_a_front_that_waits_for_news_is_not_called_offline() -> None:
    """The time since it heard last goes up and down by itself; several polls have to be missed, as for the alert."""
    front = FrontCounts()
    for waited_s in (0.0, 1.1, _WAIT_S, 3 * _WAIT_S, OFFLINE_S):
        front.offline_s = lambda waited_s=waited_s: waited_s  # type: ignore[misc]
        assert "has not been reached" not in table(figures({}, looked(front), 1.0)), waited_s
    front.offline_s = lambda: OFFLINE_S + 1
    assert "has not been reached" in table(figures({}, looked(front), 1.0))
    assert 5 * _WAIT_S < OFFLINE_S
    alerts = (Path(__file__).parents[3] / "deploy" / "prometheus" / "alerts.yml").read_text()
    assert f"(muster_serving_offline_seconds) > {OFFLINE_S:g}\n" in alerts


@contextmanager
def running_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Home]:
    """A home whose fronts and keeper show their metrics; nothing else of it runs."""
    with ExitStack() as shown:
        # The paths of sockets have to be short.
        monkeypatch.setenv("XDG_RUNTIME_DIR", shown.enter_context(TemporaryDirectory()))
        home = open_home(create_home(tmp_path / "home", solo=False).home)
        make_socket_folder(home)
        assert state.lock(home.state) is not None
        front, keeper = busy_counts(), keeper_counts()
        shown.enter_context(shown_in_thread(metrics_address(home, "front-0"), lambda: render(front, "front-0")))
        shown.enter_context(shown_in_thread(metrics_address(home, "keeper"), lambda: keeper.render([], 1)))
        yield home


def test_the_command_reads_the_processes_of_a_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """With --json one document, in a pipe one table; a socket that a dead process left behind is passed by."""
    with running_home(tmp_path, monkeypatch) as home:
        (home.sockets / "metrics-front-7.sock").touch()
        capsys.readouterr()
        assert run(["top", "--home", str(home.path), "--interval", "0.2", "--json"]) == 0
        document = json.loads(capsys.readouterr().out)
        assert run(["top", "--home", str(home.path), "--interval", "0.2"]) == 0
        text = capsys.readouterr().out
        assert set(metrics_sockets(home)) == {"front-0", "front-7", "keeper"}
        assert scrape(home.sockets / "metrics-front-7.sock") is None
    assert (document["fronts"], document["open_requests"]) == (1, 5)
    (churn,) = document["endpoints"]
    assert (churn["endpoint"], churn["requests_per_s"], churn["p50_ms"]) == ("churn", 0.0, None)
    assert [variant["version"] for variant in churn["variants"]] == ["churn:3", "churn:4"]
    assert "churn r3" in text


def test_a_factory_that_does_not_run_is_an_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """As with `muster down`: not found, and how to start it."""
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    create_home(tmp_path / "home", solo=False)
    assert run(["top", "--home", str(tmp_path / "home"), "--json"]) == 3
    assert json.loads(capsys.readouterr().err)["code"] == "supervision.not-up"
