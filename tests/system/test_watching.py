"""A factory that is watched: metrics of every process, `muster top`, and traces at a collector."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import grpc
import httpx
import models
import pytest
from running_factory import RunningFactory, wait_for

import muster
from muster.serving.front.grpc import open_inference_pb2 as pb
from muster.telemetry.scrape import Scrape
from otlp_collector import Collector, running_collector

#: Where each process has its port, from `metrics.port` on.
PLACES = {"control": 0, "executor": 1, "keeper": 2, "supervisor": 3, "front-0": 10}
CALLER = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


def free_ports() -> int:
    """The first of eleven ports in a row that nobody has, below those that the system gives away."""
    for base in range(20_000 + os.getpid() % 5000, 32_000, 11):
        probes: list[socket.socket] = []
        try:
            probes.extend(socket.create_server(("127.0.0.1", port)) for port in range(base, base + 11))
        except OSError:
            continue
        else:
            return base
        finally:
            for probe in probes:
                probe.close()
    raise AssertionError("no ports are free")


@pytest.fixture(scope="module")
def collector() -> Iterator[Collector]:
    with running_collector() as collector:
        yield collector


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory, collector: Collector, bundles: Callable[..., Path]
) -> Iterator[RunningFactory]:
    """A factory with an endpoint `plus` of two variants, whose processes have ports for metrics, and traces."""
    folder = tmp_path_factory.mktemp("watched")
    base = free_ports()
    factory = RunningFactory(
        folder / "home",
        environment={
            "MUSTER_METRICS_PORT": str(base),
            "MUSTER_TRACES_ENDPOINT": collector.url,
            "MUSTER_TRACES_SAMPLE": "0",
        },
    )
    try:
        versions = [factory.accepted(bundles(f"adds-{step}", models.Adds(step))) for step in (1, 2)]
        factory.release("plus", versions[0], challengers=[versions[1]], deadline="2s", default={"score": -1.0})
        yield factory
    finally:
        factory.close()


def metrics_url(factory: RunningFactory, process: str) -> str:
    """Where a process shows its metrics, as `muster ps` tells."""
    entries = factory.muster("ps", "--home", str(factory.home))
    return str(next(entry["metrics"] for entry in entries if process in (entry["kind"], entry["of"])))


def look(factory: RunningFactory, process: str) -> Scrape:
    def asked() -> Scrape | None:
        try:
            return Scrape(httpx.get(metrics_url(factory, process)).raise_for_status().text)
        except httpx.HTTPError:  # it is being started
            return None

    found: Scrape = wait_for(asked, told=f"metrics of {process}")
    return found


def value(factory: RunningFactory, process: str, name: str, **labels: str) -> float:
    return sum(number for named, number in look(factory, process).of(name) if labels.items() <= named.items())


@pytest.mark.parametrize("process", PLACES)
def test_every_process_shows_its_metrics(watched: RunningFactory, process: str) -> None:
    """Each has a port of its own, where `muster ps` says, and says which process it is."""
    (facts,) = [labels for labels, _ in look(watched, process).of("muster_info")]
    assert facts == {"process": process, "version": muster.__version__}


def test_the_main_ports_show_them_to_this_machine(watched: RunningFactory) -> None:
    """Control's and a front's metrics are at /metrics of the ports that everybody knows, without a token."""
    for url, name in ((watched.control, "control"), (watched.scoring, "front-0")):
        answer = httpx.get(f"{url}/metrics")
        assert answer.headers["content-type"] == "text/plain; version=0.0.4; charset=utf-8"
        assert f'muster_info{{process="{name}"' in answer.text
        proxied = httpx.get(f"{url}/metrics", headers={"X-Forwarded-For": "10.0.0.7"})
        assert proxied.status_code == 401
        assert "metrics.token" in proxied.text


def test_requests_are_counted_once_and_variants_as_often_as_they_were_asked(watched: RunningFactory) -> None:
    """Twenty requests of three rows are twenty requests, sixty rows, and twenty answers of each variant."""
    names = ("muster_serving_requests_total", "muster_serving_rows_total", "muster_serving_answers_total")
    before = [value(watched, "front-0", name, endpoint="plus") for name in names]
    for _ in range(20):
        watched.score("plus", *({"x": 1.0} for _ in range(3)))

    def grown() -> list[float]:
        return [
            value(watched, "front-0", name, endpoint="plus") - past for name, past in zip(names, before, strict=True)
        ]

    wait_for(lambda: grown() == [20, 60, 40], told="every variant has answered every request")
    refused = httpx.post(f"{watched.scoring}/score/plus", json={"rows": [{"x": "text"}]}, headers=bearer(watched))
    assert refused.status_code == 400
    assert value(watched, "front-0", "muster_serving_refusals_total", endpoint="plus", status="400") == 1
    assert httpx.post(f"{watched.scoring}/score/nothing-{os.getpid()}", headers=bearer(watched)).status_code == 404
    assert value(watched, "front-0", "muster_serving_refusals_total", endpoint="", status="404") == 1


def bearer(factory: RunningFactory) -> dict[str, str]:
    return {"authorization": f"Bearer {factory.tokens['shop']}"}


def test_a_killed_host_is_counted_and_shown(watched: RunningFactory) -> None:
    """The keeper counts the end and the restart, and `muster top` says so beside the figures."""
    pid = watched.processes("host", "adds:2")[0]
    os.kill(pid, signal.SIGKILL)
    labels = {"endpoint": "plus", "version": "adds:2"}
    wait_for(lambda: value(watched, "keeper", "muster_serving_host_restarts_total", **labels) >= 1)
    assert value(watched, "keeper", "muster_serving_host_ends_total", why="ended", **labels) >= 1
    wait_for(lambda: value(watched, "front-0", "muster_serving_host_up", **labels) == 1, told="the host is back")
    watched.score("plus", {"x": 1.0})
    top = watched.muster("top", "--home", str(watched.home), "--interval", "0.2")
    (plus,) = top["endpoints"]
    assert (top["fronts"], plus["endpoint"], plus["release"], plus["is_ready"]) == (1, "plus", 1, True)
    assert [(variant["version"], variant["role"]) for variant in plus["variants"]] == [
        ("adds:1", "champion"), ("adds:2", "challenger"),
    ]  # fmt: skip
    assert [variant["restarts"] for variant in plus["variants"]][1] >= 1


def test_a_callers_trace_holds_the_request_and_all_variants(watched: RunningFactory, collector: Collector) -> None:
    """The request is a child of the caller's span, its context comes back, and the collector gets all of it."""
    answer = httpx.post(
        f"{watched.scoring}/score/plus", json={"rows": [{"x": 1.0}]}, headers=bearer(watched) | {"traceparent": CALLER}
    )
    assert answer.status_code == 200
    assert answer.headers["traceparent"][:36] == CALLER[:36]
    wait_for(lambda: len(collector.spans) >= 4, told="the spans have come")
    assert sorted(span.name for span in collector.spans) == ["decide", "score plus", "variant adds:1", "variant adds:2"]
    assert {span.trace_id.hex() for span in collector.spans} == {CALLER[3:35]}
    request = collector.named("score plus")
    assert request.parent_span_id.hex() == CALLER[36:52]
    assert request.span_id.hex() == answer.headers["traceparent"][36:52]


def test_a_trace_goes_through_grpc_as_through_http(watched: RunningFactory, collector: Collector) -> None:
    """The context comes in the call's metadata, returns behind the answer, and the collector gets all of it."""
    mine = f"00-{'b' * 32}-00f067aa0ba902b7-01"
    channel = grpc.insecure_channel(watched.grpc)
    with channel:
        infer = channel.stream_unary(
            "/inference.GRPCInferenceService/ModelInfer",
            request_serializer=pb.ModelInferRequest.SerializeToString,
            response_deserializer=pb.ModelInferResponse.FromString,
        )
        tensor = pb.ModelInferRequest.InferInputTensor(name="x", datatype="FP64", shape=[1])
        tensor.contents.fp64_contents.append(41.0)
        asked = pb.ModelInferRequest(model_name="plus", inputs=[tensor])
        metadata = (("authorization", bearer(watched)["authorization"]), ("traceparent", mine))
        answer, call = infer.with_call(iter([asked]), metadata=metadata, timeout=20)
        assert list(answer.outputs[0].contents.fp64_contents) == [42.0]
        behind = dict(call.trailing_metadata())
        assert behind["traceparent"][:36] == mine[:36]
        assert "muster-request-id" in behind
        _, untraced = infer.with_call(iter([asked]), metadata=metadata[:1], timeout=20)
        assert "traceparent" not in dict(untraced.trailing_metadata())

    def spans() -> list[str]:
        return sorted(span.name for span in collector.spans if span.trace_id.hex() == mine[3:35])

    wait_for(lambda: len(spans()) >= 4, told="the spans have come")
    assert spans() == ["decide", "score plus", "variant adds:1", "variant adds:2"]
    (request,) = [span for span in collector.spans if span.trace_id.hex() == mine[3:35] and span.name == "score plus"]
    assert request.parent_span_id.hex() == mine[36:52]
    assert request.span_id.hex() == behind["traceparent"][36:52]


def test_a_request_without_a_trace_gets_none(watched: RunningFactory, collector: Collector) -> None:
    """With a sample of 0, only callers who ask for it are traced."""
    answer = httpx.post(f"{watched.scoring}/score/plus", json={"rows": [{"x": 1.0}]}, headers=bearer(watched))
    assert "traceparent" not in answer.headers


def test_metrics_survive_a_front_that_is_killed(watched: RunningFactory, tmp_path: Path) -> None:
    """The front that follows has the same addresses, and the supervisor counts its start."""
    before = value(watched, "supervisor", "muster_supervision_part_starts_total", part="front-0")
    watched.restarted("front")
    wait_for(lambda: value(watched, "front-0", "muster_serving_ready", endpoint="plus") == 1, told="it serves again")
    assert value(watched, "supervisor", "muster_supervision_part_starts_total", part="front-0") == before + 1
    assert watched.muster("top", "--home", str(watched.home), "--interval", "0.2")["fronts"] == 1
