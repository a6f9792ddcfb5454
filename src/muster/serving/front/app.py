"""The ASGI application of a front: addresses, statuses, headers.

Errors have one body, `{"error": "…"}`, as the Open Inference Protocol V2 asks; the family of an error gives its status.
"""

from collections.abc import Awaitable, Callable
from time import monotonic
from typing import Any
from urllib.parse import unquote

import msgspec
import structlog

import muster
from muster.serving.endpoint import Endpoints, Scored
from muster.serving.errors import (
    BodyTooLarge,
    EndpointNotReady,
    MethodUnknown,
    RequestMalformed,
    RouteUnknown,
    VersionUnreachable,
)
from muster.serving.front import records, v2
from muster.serving.front.tokens import Tokens
from muster.serving.plan import Plan
from muster.vocabulary import errors
from muster.vocabulary.request_ids import request_id_text
from muster.wire.inference import InferenceError
from muster.wire.plans import AccessEntry

Scope = dict[str, Any]
Receive = Callable[[], Awaitable[dict[str, Any]]]
Send = Callable[[dict[str, Any]], Awaitable[None]]

STATUS_OF_FAMILY: dict[type[errors.MusterError], int] = {
    errors.Invalid: 400,
    errors.NotIdentified: 401,
    errors.NotAllowed: 403,
    errors.NotFound: 404,
    errors.Conflict: 409,
    errors.Refused: 409,
    errors.Overloaded: 429,
    errors.TimedOut: 504,
    errors.Unavailable: 503,
    errors.Damaged: 500,
}
_STATUS_OF_LEAF: dict[type[errors.MusterError], int] = {BodyTooLarge: 413, MethodUnknown: 405}
_BINARY_HEADER = b"inference-header-content-length"
_DEADLINE_HEADER = b"muster-deadline-ms"
_JSON = (b"content-type", b"application/json")
_EXTENSIONS = ("muster_records", "schedule_policy")
log = structlog.get_logger()


class Reply(msgspec.Struct, frozen=True):
    """A whole HTTP answer."""

    status: int
    body: bytes
    headers: tuple[tuple[bytes, bytes], ...] = ()


class FrontApp:
    """The application.

    Args:
        endpoints: what is served.
        tokens: who may call.
    """

    def __init__(self, endpoints: Endpoints, tokens: Tokens) -> None:
        self._endpoints = endpoints
        self._tokens = tokens
        self.is_draining = False
        self.is_informed = False
        """Plans and access list have been read, from control or from the cache."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI: one request."""
        if scope["type"] != "http":
            return
        arrived_at = monotonic()
        try:
            reply = await self._answer(scope, receive, arrived_at)
        except errors.MusterError as error:
            reply = _refusal(error)
        except Exception as error:
            log.exception("request.failed", path=scope.get("path"))
            reply = Reply(500, msgspec.json.encode(InferenceError(f"internal error: {type(error).__name__}")))
        await send(
            {
                "type": "http.response.start",
                "status": reply.status,
                "headers": [_JSON, (b"content-length", b"%d" % len(reply.body)), *reply.headers],
            }
        )
        await send({"type": "http.response.body", "body": b"" if scope["method"] == "HEAD" else reply.body})

    async def _answer(self, scope: Scope, receive: Receive, arrived_at: float) -> Reply:
        path: str = scope["path"]
        method = "GET" if scope["method"] == "HEAD" else scope["method"]
        match [unquote(part) for part in path.split("/")[1:]]:
            case ["score", endpoint]:
                _only(method, "POST", path)
                return await self._score(scope, receive, endpoint, arrived_at)
            case ["v2", "models", model, "infer"]:
                _only(method, "POST", path)
                return await self._infer(scope, receive, model, None, arrived_at)
            case ["v2", "models", model, "versions", number, "infer"]:
                _only(method, "POST", path)
                return await self._infer(scope, receive, model, number, arrived_at)
            case ["v2", "models", model, *rest] if rest in ([], ["ready"]) or _is_version(rest):
                _only(method, "GET", path)
                return self._about(scope, model, rest)
            case ["v2", "health", ("live" | "ready") as question]:
                _only(method, "GET", path)
                return self._health(question)
            case ["v2"] | ["v2", ""]:
                _only(method, "GET", path)
                return _json({"name": "muster", "version": muster.__version__, "extensions": _EXTENSIONS})
        raise RouteUnknown(f"there is no {path!r} here; see /v2 and POST /score/ENDPOINT", path=path)

    # Scoring.

    async def _score(self, scope: Scope, receive: Receive, endpoint: str, arrived_at: float) -> Reply:
        entry, plan = self._admitted(scope, endpoint)
        body = await _body(scope, receive, plan.document.limits.body_bytes)
        plan = self._endpoints.find(endpoint)  # a slow body may have outlived the plan
        request = records.read_request(body)
        table = records.rows_of(request, plan)
        asked_s = None if request.deadline_ms is None else request.deadline_ms / 1000
        scored = await self._endpoints.score(
            plan,
            table,
            consumer=entry.name,
            client_id=request.id,
            body=body,
            arrived_at=arrived_at,
            deadline_s=_earliest(asked_s, _header_deadline_s(scope)),
        )
        return self._scored(scored, records.response(scored))

    async def _infer(self, scope: Scope, receive: Receive, model: str, number: str | None, arrived_at: float) -> Reply:
        entry = self._tokens.identify(_header(scope, b"authorization"))
        plan, version = self._named(entry, model, number)
        self._tokens.admit(entry, plan.endpoint, plan.document.limits.requests_per_s)
        body = await _body(scope, receive, plan.document.limits.body_bytes)
        if _header(scope, _BINARY_HEADER) is not None:
            raise RequestMalformed(
                "tensors come as JSON here: this server does not announce the extension binary_tensor_data"
            )
        plan, version = self._named(entry, model, number)  # a slow body may have outlived the plan
        request = v2.read_request(body)
        v2.check_outputs(request, plan)
        table = v2.rows_of(request, plan)
        scored = await self._endpoints.score(
            plan,
            table,
            consumer=entry.name,
            client_id=request.id,
            body=body,
            arrived_at=arrived_at,
            deadline_s=_earliest(v2.timeout_s(request.parameters), _header_deadline_s(scope)),
            version=version,
        )
        return self._scored(scored, v2.response(scored, request))

    def _admitted(self, scope: Scope, endpoint: str) -> tuple[AccessEntry, Plan]:
        entry = self._tokens.identify(_header(scope, b"authorization"))
        plan = self._endpoints.find(endpoint)
        self._tokens.admit(entry, endpoint, plan.document.limits.requests_per_s)
        return entry, plan

    def _named(self, entry: AccessEntry, model: str, number: str | None) -> tuple[Plan, int | None]:
        """The plan, and the variant if one was named: `model` is an endpoint, or with a number also a model."""
        if number is None:
            return self._endpoints.find(model), None
        try:
            plan = self._endpoints.find(model)
            version = plan.variant_numbered(number)
        except errors.NotFound:
            found = self._endpoints.with_version(model, number)
            if found is None or not self._tokens.may_call(entry, found.endpoint):
                raise VersionUnreachable(
                    f"no current release holds {model}:{number}", version=f"{model}:{number}"
                ) from None
            plan, version = found, found.variant_of(f"{model}:{number}")
        if version is None:
            raise VersionUnreachable(
                f"release {plan.release} of endpoint {plan.endpoint!r} holds no version {number}",
                endpoint=plan.endpoint,
            )
        return plan, version

    def _scored(self, scored: Scored, body: bytes) -> Reply:
        headers = [(b"muster-request-id", request_id_text(scored.mailbox.request_id).encode())]
        if scored.mailbox.plan.document.solo:
            headers.append((b"muster-solo", b"true"))
        return Reply(200, body, tuple(headers))

    # Health and metadata.

    def _health(self, question: str) -> Reply:
        """Live: the process answers. Ready: every endpoint can be answered by its champion or a fallback, now."""
        if question == "live":
            return _json({"live": True, "ready": self._is_ready()})
        if self._is_ready():
            degraded = {
                plan.endpoint: missing
                for plan in self._endpoints.served()
                if (missing := self._endpoints.missing(plan))
            }
            return _json({"live": True, "ready": True, **({"degraded": degraded} if degraded else {})})
        waiting = [plan.endpoint for plan in self._endpoints.served() if not self._endpoints.can_answer(plan)]
        why = f"endpoints without a running variant: {', '.join(waiting)}" if waiting else "plans are not loaded yet"
        if self.is_draining:
            why = "this front is shutting down"
        return Reply(503, msgspec.json.encode(InferenceError(why)))

    def _is_ready(self) -> bool:
        return (
            self.is_informed
            and not self.is_draining
            and all(self._endpoints.can_answer(plan) for plan in self._endpoints.served())
        )

    def _about(self, scope: Scope, model: str, rest: list[str]) -> Reply:
        entry = self._tokens.identify(_header(scope, b"authorization"))
        number = rest[1] if rest[:1] == ["versions"] else None
        plan, version = self._named(entry, model, number)
        if not self._tokens.may_call(entry, plan.endpoint):
            self._tokens.admit(entry, plan.endpoint, 0)
        if rest[-1:] != ["ready"]:
            return Reply(200, msgspec.json.encode(v2.metadata(plan)))
        up = self._endpoints.can_answer(plan) if version is None else self._endpoints.is_up(plan, version)
        if not up or self.is_draining:
            raise EndpointNotReady(f"{model!r} cannot answer now", endpoint=plan.endpoint)
        return _json({"name": plan.endpoint, "ready": True})


def _is_version(rest: list[str]) -> bool:
    return rest[:1] == ["versions"] and (len(rest) == 2 or rest[2:] == ["ready"])


def _only(method: str, allowed: str, path: str) -> None:
    if method != allowed:
        raise MethodUnknown(f"{path!r} takes {allowed}, not {method}", allow=allowed)


def _json(document: Any) -> Reply:
    return Reply(200, msgspec.json.encode(document))


def _header(scope: Scope, name: bytes) -> bytes | None:
    return next((value for key, value in scope["headers"] if key == name), None)


def _header_deadline_s(scope: Scope) -> float | None:
    value = _header(scope, _DEADLINE_HEADER)
    if value is None:
        return None
    try:
        deadline_ms = float(value)
    except ValueError:
        deadline_ms = 0.0
    if not 0 < deadline_ms < float("inf"):
        raise RequestMalformed(
            f"the header Muster-Deadline-Ms is {value.decode('latin-1')!r}; it is a number of milliseconds above 0"
        )
    return deadline_ms / 1000


def _earliest(*deadlines_s: float | None) -> float | None:
    return min((deadline for deadline in deadlines_s if deadline is not None), default=None)


async def _body(scope: Scope, receive: Receive, limit: int) -> bytes:
    """The body, read to its end; a body above the limit is refused as soon as that is known."""
    announced = _header(scope, b"content-length")
    if announced is not None and announced.isdigit() and int(announced) > limit:
        raise BodyTooLarge(f"the body has {int(announced)} bytes; the limit is {limit}", limit=limit)
    parts: list[bytes] = []
    taken = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise RequestMalformed("the caller hung up before the body was complete")
        part = message.get("body", b"")
        taken += len(part)
        if taken > limit:
            raise BodyTooLarge(f"the body has more than {limit} bytes", limit=limit)
        parts.append(part)
        if not message.get("more_body", False):
            return parts[0] if len(parts) == 1 else b"".join(parts)


def _refusal(error: errors.MusterError) -> Reply:
    status = _STATUS_OF_LEAF.get(type(error)) or STATUS_OF_FAMILY.get(errors.family_of(error), 500)
    headers: list[tuple[bytes, bytes]] = [(b"muster-error-code", error.code.encode())]
    if status in {429, 503}:
        headers.append((b"retry-after", str(error.facts.get("retry_after_s", 1)).encode()))
    if status == 401:
        headers.append((b"www-authenticate", b"Bearer"))
    if "allow" in error.facts:
        headers.append((b"allow", str(error.facts["allow"]).encode()))
    if "request_id" in error.facts:
        headers.append((b"muster-request-id", str(error.facts["request_id"]).encode()))
    return Reply(status, msgspec.json.encode(InferenceError(error.message)), tuple(headers))
