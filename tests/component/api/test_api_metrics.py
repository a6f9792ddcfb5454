"""Control's own metrics at its main port."""

from dataclasses import replace

import httpx
from litestar.testing import TestClient

from muster.api.app import create_app
from muster.telemetry.scrape import Scrape
from running_control import Control


def test_calls_are_counted_by_method_and_status(control: Control) -> None:
    """Each call once, with what came of it, whoever called."""
    before = Scrape(httpx.get(f"{control.url}/metrics").text)
    with control.http("ana") as ana, control.http() as nobody:
        assert ana.get("/api/v1/whoami").status_code == 200
        assert nobody.get("/api/v1/whoami").status_code == 401
        assert ana.request("PROPFIND", "/api/v1/whoami").status_code == 405
    answer = httpx.get(f"{control.url}/metrics")
    after = Scrape(answer.text)

    def grown(**labels: str) -> float:
        both = (
            sum(n for named, n in look.of("muster_control_requests_total") if labels == named)
            for look in (after, before)
        )
        return next(both) - next(both)

    assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
    assert [grown(method="GET", status=status) for status in ("200", "401")] == [2, 1]  # the look before is one, too
    assert grown(method="other", status="405") == 1
    assert after.one("muster_control_requests_running") == 1


def test_a_token_of_the_settings_is_asked_for(control: Control) -> None:
    """With a token, whoever has it may read; without one, callers of other machines may not."""
    with TestClient(create_app(replace(control.services, metrics_token="s3cret"))) as client:
        assert client.get("/metrics").status_code == 401
        assert client.get("/metrics", headers={"Authorization": "Bearer s3cret"}).status_code == 200
    for headers in ({"X-Forwarded-For": "10.0.0.7"}, {"Via": "1.1 proxy"}, {"Host": "factory.example"}):
        assert httpx.get(f"{control.url}/metrics", headers=headers).status_code == 401
    with TestClient(create_app(control.services)) as stranger:  # its address is no loopback one
        assert stranger.get("/metrics").status_code == 401
