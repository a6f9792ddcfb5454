"""What the scoring door answers.

Everything here is synchronous: a request is answered at once, or by the callback of the batch that decided it.
"""

from functools import partial
from hashlib import sha256
from typing import Any

import structlog

from muster.serving.counts import FrontCounts
from muster.serving.endpoint import Endpoints, Scored
from muster.serving.errors import (
    FrontOverloaded,
    MethodUnknown,
    NoAnswerInTime,
    OverrideNotAllowed,
    RecordNotWritten,
    RequestMalformed,
)
from muster.serving.front import records, records_answers, v2, v2_answers
from muster.serving.front.about import About
from muster.serving.front.addressed import OVERRIDE, named
from muster.serving.front.encoding import packed, unpacked
from muster.serving.front.forms import JSON, Asked, client_id_of, json_length_of
from muster.serving.front.messages import Reply, Request
from muster.serving.front.replies import internal, refusal, scored_reply, status_of
from muster.serving.front.routes import Form, Route, route_of
from muster.serving.front.tokens import Tokens
from muster.serving.front.traces import TraceContext, Traces
from muster.serving.idempotency import Idempotency, checked_key
from muster.serving.plan import Plan
from muster.serving.rendezvous import Mailbox
from muster.vocabulary.errors import MusterError
from muster.wire.plans import AccessEntry

#: The body of a request that needs none is read over up to this.
_SMALL_BODY = 64 * 1024
#: Addresses and tokens come from outside: remembering them has an end.
_MOST_KNOWN = 4096
_LONGEST_KNOWN = 512
log = structlog.get_logger()


class _Known:
    """Who asks what, as the head of a scoring request has shown it."""

    __slots__ = ("entry", "limit", "overrides", "plan", "route", "turn", "version")

    def __init__(
        self, route: Route, entry: AccessEntry, plan: Plan, version: int | None, turn: tuple[int, int]
    ) -> None:
        self.route = route
        self.entry = entry
        self.plan = plan
        self.version = version
        self.overrides: tuple[str, ...] = () if version is None else ("variant",)
        self.limit = plan.document.limits.body_bytes
        self.turn = turn
        """Of plans and of the access list: what was found out holds until one of them changes."""


class FrontApp:
    """The application.

    Args:
        endpoints: what is served.
        tokens: who may call.
        about: answers all that is not scoring.
        counts: what this front has done.
        idempotency: knows keys that were used before.
        traces: takes spans; None: there are no traces.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        tokens: Tokens,
        about: About,
        counts: FrontCounts,
        idempotency: Idempotency,
        traces: Traces | None = None,
    ) -> None:
        self._endpoints = endpoints
        self._tokens = tokens
        self._about = about
        self._counts = counts
        self._idempotency = idempotency
        self._traces = traces
        self._routes: dict[bytes, Route] = {}
        self._known: dict[tuple[bytes, bytes | None], _Known] = {}

    # What the HTTP server asks.

    @property
    def is_overloaded(self) -> bool:
        """As much is under way as can be answered in time."""
        return self._endpoints.is_overloaded

    def turned_away(self) -> None:
        """A request was refused unread."""
        self._counts.refused(429, FrontOverloaded.code)

    def expect(self, request: Request) -> int | Reply:
        """Who asks for what, as soon as the head is there: the limit of the body, or the refusal."""
        headers = request.headers
        known = self._known.get((request.target, headers.get(b"authorization")))
        if (
            known is not None
            and known.turn == self._turn
            and request.method == b"POST"
            and b"muster-variant" not in headers
        ):
            request.facts = known
            return known.limit
        try:
            return self._found_out(request)
        except MusterError as error:
            return self._refused(error)
        except Exception as error:
            log.exception("request.failed")
            return internal(error)

    def answer(self, request: Request) -> None:
        """Answer a whole request, now or when its batch is back."""
        facts: Any = request.facts
        plan: Plan | None = None
        try:
            if type(facts) is _Known:
                plan = facts.plan
                self._score(request, facts)
            else:
                request.reply(facts.answering(self._about, request, facts.model, facts.number))
        except MusterError as error:
            request.reply(self._refused(error, plan))
        except Exception as error:
            log.exception("request.failed", target=request.target[:200])
            request.reply(internal(error))

    @property
    def _turn(self) -> tuple[int, int]:
        return self._endpoints.turn, self._tokens.turn

    def _found_out(self, request: Request) -> int:
        """Look at a head for the first time."""
        route = self._routes.get(request.target)
        if route is None:
            route = route_of(request.target)
            if len(request.target) <= _LONGEST_KNOWN:
                if len(self._routes) >= _MOST_KNOWN:
                    self._routes.clear()
                self._routes[request.target] = route
        if request.method != route.method:
            allowed = route.method.decode()
            raise MethodUnknown(
                f"{route.path!r} takes {allowed}, not {request.method.decode('latin-1')}", allow=allowed
            )
        if route.form is None:
            request.facts = route
            return _SMALL_BODY
        known = request.facts = self._admitted(request, route)
        is_the_same_again = (
            len(request.target) + len(request.headers[b"authorization"]) <= _LONGEST_KNOWN
            and known.version is None
            and not known.plan.document.limits.requests_per_s
            and not known.entry.requests_per_s.get(known.plan.project)
            and not known.entry.expires_ns
        )
        if is_the_same_again:
            if len(self._known) >= _MOST_KNOWN:
                self._known.clear()
            self._known[request.target, request.headers.get(b"authorization")] = known
        return known.limit

    def _admitted(self, request: Request, route: Route) -> _Known:
        """The caller, the plan and the variant that is asked for.

        Raises:
            TokenUnknown, EndpointNotAllowed, RateExceeded: the caller may not ask this, or not so often.
            EndpointUnknown, VersionUnreachable: there is no such endpoint or version.
            OverrideNotAllowed: a variant is named without the right to.
        """
        turn = self._turn
        headers = request.headers
        entry = self._tokens.identify(headers.get(b"authorization"))
        variant = headers.get(b"muster-variant")
        plan, version = named(
            self._endpoints,
            self._tokens,
            entry,
            route.model,
            route.number,
            None if variant is None else variant.decode("latin-1"),
        )
        self._tokens.admit(entry, plan.project, plan.endpoint, plan.document.limits.requests_per_s)
        if version is not None and not self._tokens.has_right(entry, OVERRIDE, plan.project):
            raise OverrideNotAllowed(
                f"the token of {entry.name!r} may not choose the variant of endpoint {plan.endpoint!r}",
                endpoint=plan.endpoint,
            )
        return _Known(route, entry, plan, version, turn)

    # Scoring.

    def _score(self, request: Request, known: _Known) -> None:
        if self._endpoints.find(known.plan.endpoint) is not known.plan:  # a slow body has outlived the plan
            known = self._admitted(request, known.route)
        plan, headers = known.plan, request.headers
        asked, form = self._read(request, known, plan)
        client_id = asked.id
        if client_id is None and b"muster-client-id" in headers:
            client_id = client_id_of(headers[b"muster-client-id"])
        deadline_s = asked.deadline_s
        if b"muster-deadline-ms" in headers:
            deadline_s = _earliest(deadline_s, _deadline_of(headers[b"muster-deadline-ms"]))
        overrides = known.overrides
        if (
            deadline_s is not None
            and deadline_s > plan.deadline_s
            and self._tokens.has_right(known.entry, OVERRIDE, plan.project)
        ):
            overrides = (*overrides, "deadline")
        if b"idempotency-key" in headers:
            self._idempotency.submit(
                checked_key(headers[b"idempotency-key"]),
                plan,
                asked.table,
                partial(self._answered_once, request, asked, form),
                consumer=known.entry.name,
                client_id=client_id,
                body_sha256=sha256(request.body).digest(),
                arrived_at=request.arrived_at,
                deadline_s=deadline_s,
                version=known.version,
                overrides=overrides,
            )
            return
        trace = None
        if self._traces is not None:
            trace = self._traces.begin(headers.get(b"traceparent"), headers.get(b"tracestate"))
        self._endpoints.submit(
            plan,
            asked.table,
            consumer=known.entry.name,
            client_id=client_id,
            body_sha256=sha256(request.body).digest(),
            arrived_at=request.arrived_at,
            done=partial(self._decided, request, asked, form, trace),
            deadline_s=deadline_s,
            version=known.version,
            overrides=overrides,
        )

    @staticmethod
    def _read(request: Request, known: _Known, plan: Plan) -> tuple[Asked, bytes]:
        """The checked request, and in which form its answer goes out."""
        headers, body = request.headers, request.body
        if b"content-encoding" in headers:
            body = unpacked(body, headers[b"content-encoding"], known.limit)
        content_type = headers.get(b"content-type")
        if known.route.form is Form.V2:
            if content_type != JSON:
                v2.check_content_type(content_type)
            return v2.read(plan, body, json_length_of(headers.get(b"inference-header-content-length"))), JSON
        form = records.answer_form(headers[b"accept"]) if b"accept" in headers else JSON
        return records.read(plan, body, content_type), form

    def _decided(
        self,
        request: Request,
        asked: Asked,
        form: bytes,
        trace: TraceContext | None,
        mailbox: Mailbox,
        problem: RecordNotWritten | None,
    ) -> None:
        """The batch's callback: whatever is wrong with one request, the others of the batch have nothing to do with it."""
        try:
            reply = self._reply(request, self._endpoints.scored(mailbox, problem), asked, form)
        except MusterError as error:
            reply = refusal(error)
        except Exception as error:
            log.exception("reply.not_made")
            reply = internal(error)
        if trace is not None and self._traces is not None:
            reply.headers = (*reply.headers, (b"traceparent", trace.traceparent))
            self._traces.finish(mailbox, trace)
        request.reply(reply)

    def _answered_once(
        self, request: Request, asked: Asked, form: bytes, scored: Scored | None, problem: Exception | None
    ) -> None:
        """A request with an idempotency key was carried out, or had been before."""
        if scored is not None:
            try:
                reply = self._reply(request, scored, asked, form)
            except Exception as error:
                log.exception("reply.not_made")
                reply = internal(error)
        elif isinstance(problem, NoAnswerInTime | RecordNotWritten):  # decided, and counted as such
            reply = refusal(problem)
        elif isinstance(problem, MusterError):
            reply = self._refused(problem)
        else:
            log.error("request.failed", error=repr(problem))
            reply = internal(problem or AssertionError())
        request.reply(reply)

    def _reply(self, request: Request, scored: Scored, asked: Asked, form: bytes) -> Reply:
        facts: Any = request.facts
        is_v2 = facts.route.form is Form.V2
        answer = v2_answers.answer(scored, asked) if is_v2 else records_answers.answer(scored, form)
        return scored_reply(scored, packed(answer, request.headers.get(b"accept-encoding")))

    def _refused(self, error: MusterError, plan: Plan | None = None) -> Reply:
        """The reply to a request that was not decided, counted."""
        endpoint = error.facts.get("endpoint") if plan is None else plan.endpoint
        self._counts.refused(status_of(error), error.code, endpoint)
        return refusal(error)


def _deadline_of(header: bytes) -> float:
    """The deadline in the header `Muster-Deadline-Ms`, in seconds from arrival."""
    try:
        deadline_ms = float(header) if b"_" not in header else 0.0  # Python's own way of writing numbers
    except ValueError:
        deadline_ms = 0.0
    if not 0 < deadline_ms < float("inf"):
        raise RequestMalformed(
            f"the header Muster-Deadline-Ms is {header.decode('latin-1')!r}; it is a number of milliseconds above 0"
        )
    return deadline_ms / 1000


def _earliest(one_s: float | None, other_s: float) -> float:
    return other_s if one_s is None else min(one_s, other_s)
