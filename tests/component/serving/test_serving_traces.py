"""Traces of requests, received by a real OTLP collector."""

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any, cast

import pytest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from muster.serving.decisions import Decision, Outcome
from muster.serving.front.traces import TraceContext, Traced, Traces
from muster.telemetry.spans import SpanSender
from muster.vocabulary.clock import wall_ns
from muster.vocabulary.request_ids import RequestIds
from muster.vocabulary.states import Reason
from muster.wire.records import VariantAnswer
from otlp_collector import Collector, running_collector

MS = 1_000_000
CALLER = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.fixture
def collector() -> Iterator[Collector]:
    with running_collector() as collector:
        yield collector


@dataclass
class Mailbox:
    """A decided request, as the rendezvous leaves it."""

    outcomes: list[Outcome]
    answers: list[VariantAnswer]
    decision: Decision
    arrived_at: float
    received_ns: int
    request_id: bytes = b""
    rows: int = 2
    deadline_s: float = 0.1
    elapsed_ns: int = 20 * MS
    plan: Any = None


def decided(*statuses: str, chosen: int = 0, reason: Reason = Reason.CHAMPION) -> Mailbox:
    """A request whose variants did as told: `answered`, `failed`, `pending`."""
    outcome = {"answered": Outcome.ANSWERED, "failed": Outcome.FAILED, "unsent": Outcome.FAILED}
    answers = [
        VariantAnswer(
            f"churn:{place}", "challenger" if place else "champion", status,
            error="it broke" if status == "failed" else None,
            latency_ns=0 if status == "pending" else (10 + 30 * place) * MS,
            compute_ns=MS, environment="sha256:e", host=f"h{place}", batch=70 + place, position=4, batch_rows=16,
        )
        for place, status in enumerate(statuses)
    ]  # fmt: skip
    variants = tuple(SimpleNamespace(version=answer.version) for answer in answers)
    plan = SimpleNamespace(endpoint="churn", release=3, digest="sha256:p", variants=variants, default_json=None)
    return Mailbox(
        outcomes=[outcome.get(status, Outcome.PENDING) for status in statuses],
        answers=answers,
        decision=Decision(chosen, reason),
        arrived_at=asyncio.get_running_loop().time(),
        received_ns=wall_ns() - 30 * MS,
        request_id=RequestIds(0).next(1),
        plan=plan,
    )


@asynccontextmanager
async def traces_to(collector: Collector, *, sample: float = 1.0, per_s: int = 1000) -> AsyncIterator[Traces]:
    traces = Traces(SpanSender(collector.url, "front-0"), sample=sample, per_s=per_s)
    yield traces
    await traces.close()


def traced(
    traces: Traces, mailbox: Mailbox, traceparent: bytes | None = None, state: bytes | None = None
) -> TraceContext:
    context = traces.begin(traceparent, state)
    assert context is not None
    traces.finish(cast("Traced", mailbox), context)
    return context


def test_one_trace_shows_the_request_and_all_variants(collector: Collector) -> None:
    """The request is a child of the caller's span; each variant and the decision are children of the request."""

    async def serve() -> TraceContext:
        async with traces_to(collector) as traces:
            return traced(traces, decided("answered", "answered", "failed"), CALLER, b"vendor=1")

    context = asyncio.run(serve())
    request = collector.named("score churn")
    assert request.trace_id.hex() == "4bf92f3577b34da6a3ce929d0e0e4736"
    assert request.parent_span_id.hex() == "00f067aa0ba902b7"
    assert request.trace_state == "vendor=1"
    assert request.kind == Span.SPAN_KIND_SERVER
    assert context.traceparent == b"00-%s-%s-01" % (request.trace_id.hex().encode(), request.span_id.hex().encode())
    children = [span for span in collector.spans if span is not request]
    assert [span.name for span in children] == ["variant churn:0", "variant churn:1", "variant churn:2", "decide"]
    assert {span.parent_span_id for span in children} == {request.span_id}
    assert {span.trace_id for span in collector.spans} == {request.trace_id}
    assert len({span.span_id for span in collector.spans}) == 5
    assert (
        collector.resources[0] | {"service.name": "muster", "service.instance.id": "front-0"} == collector.resources[0]
    )


def test_a_variants_span_tells_its_times_its_outcome_and_its_batch(collector: Collector) -> None:
    """From arrival to answer; late when the decision was before; failed with what went wrong."""

    async def serve() -> None:
        async with traces_to(collector) as traces:
            traced(traces, decided("answered", "answered", "failed"))

    asyncio.run(serve())
    first, late, failed = (collector.named(f"variant churn:{place}") for place in range(3))
    facts = [
        {pair.key: getattr(pair.value, str(pair.value.WhichOneof("value"))) for pair in span.attributes}
        for span in (first, late, failed)
    ]
    assert first.end_time_unix_nano - first.start_time_unix_nano == 10 * MS
    assert [(fact["muster.outcome"], fact["muster.late"]) for fact in facts] == [
        ("answered", False), ("answered", True), ("failed", False),
    ]  # fmt: skip
    assert (
        facts[0] | {"muster.batch": 70, "muster.batch_rows": 16, "muster.position": 4, "muster.compute_ms": 1.0}
        == facts[0]
    )
    assert (failed.status.code, failed.status.message) == (Status.STATUS_CODE_ERROR, "it broke")
    assert first.status.code == Status.STATUS_CODE_UNSET


def test_a_trace_waits_for_its_last_variant(collector: Collector) -> None:
    """A variant that answers after the reply is in the trace with its answer."""

    async def serve() -> None:
        async with traces_to(collector) as traces:
            mailbox = decided("answered", "pending")
            traced(traces, mailbox)
            await asyncio.sleep(0.2)
            assert traces._open
            mailbox.outcomes[1] = Outcome.ANSWERED
            mailbox.answers[1] = VariantAnswer("churn:1", "challenger", "answered", latency_ns=200 * MS, batch=5)
            async with asyncio.timeout(10):
                while traces._open:
                    await asyncio.sleep(0.01)

    asyncio.run(serve())
    late = collector.named("variant churn:1")
    assert late.end_time_unix_nano - late.start_time_unix_nano == 200 * MS


def test_a_variant_that_never_answers_is_given_up(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some seconds after the deadline the trace goes without it."""
    monkeypatch.setattr("muster.serving.front.traces._WAIT_BEYOND_DEADLINE_S", 0.05)

    async def serve() -> None:
        async with traces_to(collector) as traces:
            traced(traces, decided("answered", "pending"))
            async with asyncio.timeout(10):
                while traces._open:
                    await asyncio.sleep(0.01)

    asyncio.run(serve())
    (outcome,) = [
        pair.value.string_value
        for pair in collector.named("variant churn:1").attributes
        if pair.key == "muster.outcome"
    ]
    assert outcome == "pending"


def test_the_callers_word_counts_and_so_does_the_limit(collector: Collector) -> None:
    """Not sampled by the caller: passed through and not sent. Not asked: as the sample says. Never more than the limit."""

    async def serve() -> None:
        async with traces_to(collector, sample=0.0, per_s=2) as traces:
            assert traces.begin(None) is None
            quiet = traced(traces, decided("answered"), CALLER[:-2] + b"00")
            assert quiet.traceparent.endswith(b"-00")
            assert quiet.traceparent[:35] == CALLER[:35]
            kept = [traced(traces, decided("answered"), CALLER).is_sampled for _ in range(4)]
            assert kept == [True, True, False, False]

    asyncio.run(serve())
    assert sum(span.name == "score churn" for span in collector.spans) == 2


def test_a_collector_that_is_away_hurts_nobody(caplog: pytest.LogCaptureFixture) -> None:
    """Requests go on, what is held stays bounded, the end does not wait for long, and no thread goes on trying."""
    before = set(threading.enumerate())

    async def serve() -> int:
        loop = asyncio.get_running_loop()
        traces = Traces(SpanSender("http://127.0.0.1:9", "front-0"), sample=1.0, per_s=100_000)
        for _ in range(1500):
            traced(traces, decided("answered", "pending"))
        assert traces.dropped == 500
        began = loop.time()
        await traces.close()
        return int(loop.time() - began)

    assert asyncio.run(serve()) < 10
    assert set(threading.enumerate()) <= before
