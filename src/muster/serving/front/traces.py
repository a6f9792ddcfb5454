"""Traces of requests: a span for the request, one for each variant, one for the decision. Off unless a collector is named.

A request on which nobody spends a span costs one look at a header. For the others the spans are made from the mailbox after the
reply has left, when all variants are through or have been given up, so that one trace shows what each of them did.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from random import random
from time import monotonic, time_ns
from typing import Protocol

from muster.serving.decisions import COMBINED, Decision, Outcome
from muster.serving.plan import Plan
from muster.telemetry.spans import SpanFacts, SpanSender
from muster.telemetry.trace_context import TraceParent, new_span, new_trace, read_traceparent, write_traceparent
from muster.vocabulary.request_ids import request_id_text
from muster.wire.records import VariantAnswer

_LOOK_EVERY_S = 0.05
#: Variants that have not answered so long after the request's deadline are shown as pending.
_WAIT_BEYOND_DEADLINE_S = 2.0
#: Requests whose spans wait for their last variants; beyond them traces are dropped.
_MOST_OPEN = 1000


class Traced(Protocol):
    """A decided mailbox, as far as a trace shows it."""

    plan: Plan
    request_id: bytes
    rows: int
    arrived_at: float
    received_ns: int
    deadline_s: float
    elapsed_ns: int
    outcomes: list[Outcome]
    answers: list[VariantAnswer]
    decision: Decision | None


@dataclass(frozen=True, slots=True)
class TraceContext:
    """The trace of one request."""

    trace: int
    span: int
    parent: TraceParent | None
    is_sampled: bool

    @property
    def traceparent(self) -> bytes:
        """Value of the header `traceparent` of the reply."""
        return write_traceparent(self.trace, self.span, is_sampled=self.is_sampled)


class Traces:
    """Makes the traces of one front; used on its event loop.

    Args:
        sender: takes the spans.
        sample: share of the requests without a context of their own that are traced, 0 to 1. A caller's context decides by itself.
        per_s: most requests traced a second, whoever asked for it.
    """

    def __init__(self, sender: SpanSender, *, sample: float, per_s: int) -> None:
        self._sender = sender
        self._sample = sample
        self._per_s = per_s
        self._left = 0
        self._left_until = 0.0
        self._open: deque[tuple[Traced, TraceContext, int]] = deque()
        self._looking: asyncio.TimerHandle | None = None
        self.dropped = 0
        """Traces that were begun and not kept, because too many were open."""

    def begin(self, traceparent: bytes | None, tracestate: bytes | None = None) -> TraceContext | None:
        """The context of a request, before it is decided; None: it has none and is not traced.

        Args:
            traceparent: the header of that name.
            tracestate: the header of that name.
        """
        parent = read_traceparent(traceparent, tracestate)
        if parent is None:
            if random() >= self._sample or not self._may_trace():  # noqa: S311 - which requests are traced is no secret
                return None
            return TraceContext(new_trace(), new_span(), None, is_sampled=True)
        return TraceContext(parent.trace, new_span(), parent, parent.is_sampled and self._may_trace())

    def finish(self, mailbox: Traced, context: TraceContext) -> None:
        """The reply to a traced request has left."""
        if not context.is_sampled:
            return
        if len(self._open) >= _MOST_OPEN:
            self.dropped += 1
            return
        self._open.append((mailbox, context, time_ns()))
        if self._looking is None:
            self._looking = asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look)

    async def close(self) -> None:
        """Send what there is; takes two seconds at most while the collector is away."""
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None
        while self._open:
            self._send(*self._open.popleft())
        await asyncio.to_thread(self._sender.close)

    def _may_trace(self) -> bool:
        now = monotonic()
        if now >= self._left_until:
            self._left, self._left_until = self._per_s, now + 1.0
        self._left -= 1
        return self._left >= 0

    def _look(self) -> None:
        """Send the traces whose variants are all through."""
        self._looking = None
        now = monotonic()
        for _ in range(len(self._open)):
            mailbox, context, replied_ns = self._open.popleft()
            given_up = now > mailbox.arrived_at + mailbox.deadline_s + _WAIT_BEYOND_DEADLINE_S
            if given_up or Outcome.PENDING not in mailbox.outcomes:
                self._send(mailbox, context, replied_ns)
            else:
                self._open.append((mailbox, context, replied_ns))
        if self._open:
            self._looking = asyncio.get_running_loop().call_later(_LOOK_EVERY_S, self._look)

    def _send(self, mailbox: Traced, context: TraceContext, replied_ns: int) -> None:
        root, children = spans_of(mailbox, context, replied_ns)
        self._sender.send(context.trace, context.parent, root, children)


def spans_of(mailbox: Traced, context: TraceContext, replied_ns: int) -> tuple[SpanFacts, list[SpanFacts]]:
    """The span of a request, and its children.

    Args:
        mailbox: the request, decided.
        context: its trace.
        replied_ns: when the reply left, nanoseconds since 1970.
    """
    plan, decision = mailbox.plan, mailbox.decision
    received_ns, decided_ns = mailbox.received_ns, mailbox.received_ns + mailbox.elapsed_ns
    reason = str(decision.reason) if decision is not None else "none"
    shared: dict[str, str | int | float | bool] = {"muster.endpoint": plan.endpoint, "muster.release": plan.release}
    root = SpanFacts(
        name=f"score {plan.endpoint}",
        span=context.span,
        began_ns=received_ns,
        ended_ns=max(replied_ns, decided_ns),
        attributes=shared
        | {
            "muster.plan": str(plan.digest),
            "muster.request_id": request_id_text(mailbox.request_id),
            "muster.rows": mailbox.rows,
            "muster.reason": reason,
            "muster.chosen": _chosen(plan, decision),
            "muster.deadline_ms": mailbox.deadline_s * 1000,
            "muster.slack_ms": mailbox.deadline_s * 1000 - mailbox.elapsed_ns / 1e6,
        },
        problem="nothing answered in time" if reason == "none" else None,
    )
    children = [
        _span_of_variant(answer, outcome, received_ns, decided_ns, max(replied_ns, decided_ns), shared)
        for answer, outcome in zip(mailbox.answers, mailbox.outcomes, strict=True)
    ]
    children.append(
        SpanFacts(
            name="decide",
            span=new_span(),
            began_ns=decided_ns,
            ended_ns=replied_ns,
            attributes=shared
            | {"muster.reason": reason, "muster.probability": 1.0 if decision is None else decision.probability},
        )
    )
    return root, children


def _span_of_variant(
    answer: VariantAnswer,
    outcome: Outcome,
    received_ns: int,
    decided_ns: int,
    seen_ns: int,
    shared: dict[str, str | int | float | bool],
) -> SpanFacts:
    """From the request's arrival until the answer was there, or was given up."""
    ended_ns = received_ns + answer.latency_ns if answer.latency_ns else seen_ns
    status = "passed_over" if outcome is Outcome.PASSED_OVER and answer.status == "pending" else answer.status
    attributes = shared | {
        "muster.version": answer.version,
        "muster.role": str(answer.role),
        "muster.outcome": status,
        "muster.late": status == "answered" and ended_ns > decided_ns,
    }
    if answer.batch >= 0:
        attributes |= {
            "muster.batch": answer.batch,
            "muster.batch_rows": answer.batch_rows,
            "muster.position": answer.position,
            "muster.alone": answer.alone,
            "muster.host": answer.host,
            "muster.environment": answer.environment,
            "muster.compute_ms": answer.compute_ns / 1e6,
        }
    return SpanFacts(
        name=f"variant {answer.version}",
        span=new_span(),
        began_ns=received_ns,
        ended_ns=ended_ns,
        attributes=attributes,
        problem=(answer.error or "failed") if status == "failed" else None,
    )


def _chosen(plan: Plan, decision: Decision | None) -> str:
    if decision is None or (decision.variant < 0 and decision.variant != COMBINED):
        return "default" if plan.default_json is not None else "none"
    return "combined" if decision.variant == COMBINED else plan.variants[decision.variant].version
