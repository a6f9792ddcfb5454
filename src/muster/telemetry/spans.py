"""Sends spans to an OpenTelemetry collector over OTLP/HTTP, from a thread of its own.

The libraries of the extra `otel` are loaded here and only when traces are on. What waits is bounded: while the collector is away,
spans are dropped, and nothing else happens.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import muster
from muster.telemetry.errors import TracesNotInstalled
from muster.telemetry.trace_context import TraceParent

_PATH = "/v1/traces"
_WITHIN_S = 5.0
_MOST_WAITING = 4096
_AT_ONCE = 512
_SEND_EVERY_MS = 1000
_LAST_S = 2.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SpanFacts:
    """One span; times are nanoseconds since 1970."""

    name: str
    span: int
    began_ns: int
    ended_ns: int
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict)
    problem: str | None = None
    """Why it failed; None: it did not."""


class SpanSender:
    """Takes finished spans and sends them in batches.

    Args:
        endpoint: of the collector, `http://HOST:4318`.
        process: which process the spans are of.

    Raises:
        TracesNotInstalled: the extra `otel` is missing.
    """

    def __init__(self, endpoint: str, process: str) -> None:
        try:
            from opentelemetry import trace  # noqa: PLC0415 - an extra, loaded only where traces are on
            from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter  # noqa: PLC0415
            from opentelemetry.sdk.resources import Resource  # noqa: PLC0415
            from opentelemetry.sdk.trace import ReadableSpan  # noqa: PLC0415
            from opentelemetry.sdk.trace.export import BatchSpanProcessor  # noqa: PLC0415
            from opentelemetry.sdk.util.instrumentation import InstrumentationScope  # noqa: PLC0415
        except ImportError as error:
            raise TracesNotInstalled(f"traces need a library that is not installed: {error.name}") from error
        self._api: Any = trace
        self._span: Any = ReadableSpan
        self._scope = InstrumentationScope("muster", muster.__version__)
        self._resource = Resource.create(
            {"service.name": "muster", "service.version": muster.__version__, "service.instance.id": process}
        )
        self._exporter: Any = OTLPSpanExporter(
            endpoint=endpoint.rstrip("/").removesuffix(_PATH) + _PATH, timeout=_WITHIN_S
        )
        self._batches = BatchSpanProcessor(
            self._exporter,
            max_queue_size=_MOST_WAITING,
            max_export_batch_size=_AT_ONCE,
            schedule_delay_millis=_SEND_EVERY_MS,
        )

    def send(self, trace: int, parent: TraceParent | None, root: SpanFacts, children: list[SpanFacts]) -> None:
        """Hand over the spans of one request; returns at once.

        Args:
            trace: id of the trace.
            parent: the caller's span, if it told one.
            root: the request.
            children: what happened within it.
        """
        api = self._api
        above = None
        if parent is not None:
            above = api.SpanContext(parent.trace, parent.span, is_remote=True, trace_flags=api.TraceFlags(1))
        state = api.TraceState.from_header([parent.state]) if parent is not None and parent.state else None
        own = api.SpanContext(trace, root.span, is_remote=False, trace_flags=api.TraceFlags(1), trace_state=state)
        self._end(root, own, above, api.SpanKind.SERVER)
        for child in children:
            context = api.SpanContext(
                trace, child.span, is_remote=False, trace_flags=api.TraceFlags(1), trace_state=state
            )
            self._end(child, context, own, api.SpanKind.INTERNAL)

    def flush(self) -> None:
        """Send what waits, and return when it was tried."""
        self._batches.force_flush()

    def close(self) -> None:
        """Send what waits, for two seconds at most, and end the thread, which takes two more at most."""
        # The library would wait for half a minute while the collector is away.
        ending = threading.Thread(target=self._batches.shutdown, name="traces.end", daemon=True)
        ending.start()
        ending.join(_LAST_S)
        if ending.is_alive():
            # Wakes the thread that waits to try again; without it the thread would go on beside whatever comes after.
            self._exporter.shutdown()
            ending.join(_LAST_S)

    def _end(self, facts: SpanFacts, context: Any, above: Any, kind: Any) -> None:
        api = self._api
        status = api.Status(api.StatusCode.ERROR, facts.problem) if facts.problem is not None else api.Status()
        self._batches.on_end(
            self._span(
                name=facts.name, context=context, parent=above, resource=self._resource, attributes=dict(facts.attributes),
                kind=kind, status=status, start_time=facts.began_ns, end_time=max(facts.began_ns, facts.ended_ns),
                instrumentation_scope=self._scope,
            )
        )  # fmt: skip
