"""What the gRPC service answers: the methods, and what each does with a message.

Requests are read as streams of one message, which on the wire is the same as a single one: so a caller is identified before
anything of its message is taken in, and bytes that are no message are the caller's mistake and not this server's.
"""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from hashlib import sha256
from time import monotonic
from typing import Any, NoReturn, Protocol, TypeVar

import grpc
import msgspec
import structlog
from google.protobuf.json_format import ParseDict
from google.protobuf.message import Message

import muster
from muster.packaging.columns import Table
from muster.serving.endpoint import Endpoints, Scored
from muster.serving.errors import BodyTooLarge, NoAnswerInTime, OverrideNotAllowed, RecordNotWritten, RequestMalformed
from muster.serving.front import models
from muster.serving.front.addressed import OVERRIDE, named
from muster.serving.front.grpc import answers, reading
from muster.serving.front.grpc import open_inference_pb2 as pb
from muster.serving.front.grpc.codes import code_of, metadata_of
from muster.serving.front.grpc.opening import Refused, Standing, Statistics
from muster.serving.front.replies import told
from muster.serving.front.tokens import Tokens
from muster.serving.front.traces import TraceContext, Traces
from muster.serving.idempotency import Idempotency, checked_key
from muster.serving.plan import Plan
from muster.serving.recalled import Recalled
from muster.serving.rendezvous import Mailbox
from muster.vocabulary.errors import MusterError
from muster.vocabulary.request_ids import request_id_text
from muster.wire.plans import AccessEntry

SERVICE = "inference.GRPCInferenceService"
#: A message that is announced has to be there within this, seconds.
_MESSAGE_WITHIN_S = 20.0
_M = TypeVar("_M", bound=Message)
_Messages = AsyncIterator[bytes]


class _Context(Protocol):
    """What is used of grpc's `ServicerContext`."""

    def invocation_metadata(self) -> Iterable[tuple[str, str | bytes]] | None:
        """What the caller sent beside its message; names are lower-case, and those that end in `-bin` have bytes."""
        ...

    def set_trailing_metadata(self, metadata: tuple[tuple[str, str], ...]) -> None:
        """Send this behind the answer; a later call replaces an earlier one."""
        ...

    def trailing_metadata(self) -> Iterable[tuple[str, str]] | None:
        """What was set."""
        ...

    def time_remaining(self) -> float | None:
        """Seconds until the call's own deadline; None: it has none."""
        ...

    async def abort(self, code: grpc.StatusCode, details: str, metadata: tuple[tuple[str, str], ...] = ()) -> NoReturn:
        """End the call with an error, by raising; the metadata replace what was set before."""
        ...


_Answering = Callable[[bytes, _Context, AccessEntry | None], Awaitable[Message]]
log = structlog.get_logger()


class InferenceService:
    """The service of one front.

    Args:
        endpoints: what is served.
        tokens: who may call.
        standing: how the front stands.
        idempotency: knows keys that were used before.
        statistics: what the front has counted.
        refused: counts what is refused.
        traces: takes spans; None: there are no traces.
    """

    def __init__(
        self,
        endpoints: Endpoints,
        tokens: Tokens,
        *,
        standing: Standing,
        idempotency: Idempotency,
        statistics: Statistics,
        refused: Refused,
        traces: Traces | None,
    ) -> None:
        self._endpoints = endpoints
        self._tokens = tokens
        self._standing = standing
        self._idempotency = idempotency
        self._statistics = statistics
        self._refused = refused
        self._traces = traces

    def handler(self) -> grpc.GenericRpcHandler:
        """All methods, for a server of grpc."""
        open_methods: dict[str, _Answering] = {
            "ServerLive": self._server_live,
            "ServerReady": self._server_ready,
            "ServerMetadata": self._server_metadata,
        }
        methods: dict[str, _Answering] = {
            "ModelReady": self._model_ready,
            "ModelMetadata": self._model_metadata,
            "ModelInfer": self._infer,
            "ModelConfig": self._model_config,
            "ModelStatistics": self._model_statistics,
            "RepositoryIndex": self._index,
            "RepositoryModelLoad": self._load,
            "RepositoryModelUnload": self._unload,
        }
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                **{name: self._method(answering, is_open=True) for name, answering in open_methods.items()},
                **{name: self._method(answering, is_open=False) for name, answering in methods.items()},
            },
        )

    def _method(self, answering: _Answering, *, is_open: bool) -> grpc.RpcMethodHandler:
        async def answer(messages: _Messages, context: _Context) -> bytes:
            try:
                entry = None if is_open else self._tokens.identify(_authorization(context))
                message = await _only_message(messages)
                reply: bytes = (await answering(message, context, entry)).SerializeToString()
            except MusterError as error:
                return await self._refuse(context, error)
            except Exception as error:
                log.exception("request.failed", method=answering.__name__)
                return await context.abort(grpc.StatusCode.INTERNAL, f"internal error: {type(error).__name__}")
            return reply

        return grpc.stream_unary_rpc_method_handler(answer)

    async def _refuse(self, context: _Context, error: MusterError) -> NoReturn:
        if not isinstance(error, NoAnswerInTime | RecordNotWritten):  # those were decided, and are counted there
            self._refused(error)
        await context.abort(code_of(error), told(error), (*(context.trailing_metadata() or ()), *metadata_of(error)))

    # Scoring.

    async def _infer(self, message: bytes, context: _Context, entry: AccessEntry | None) -> Message:
        arrived_at = monotonic()
        assert entry is not None
        request = reading.parsed(pb.ModelInferRequest, message)
        metadata = dict(context.invocation_metadata() or ())
        variant = _text(metadata.get("muster-variant"))
        plan, version = named(
            self._endpoints, self._tokens, entry, request.model_name, request.model_version or None, variant
        )
        self._tokens.admit(entry, plan.project, plan.endpoint, plan.document.limits.requests_per_s)
        overrides: tuple[str, ...] = ()
        if version is not None:
            if not self._tokens.has_right(entry, OVERRIDE, plan.project):
                raise OverrideNotAllowed(
                    f"the token of {entry.name!r} may not choose the variant of endpoint {plan.endpoint!r}",
                    endpoint=plan.endpoint,
                )
            overrides = ("variant",)
        limit = plan.document.limits.body_bytes
        if len(message) > limit:
            raise BodyTooLarge(f"the message has {len(message)} bytes; the limit is {limit}", limit=limit)
        asked = reading.asked_of(plan, request)
        if (
            asked.deadline_s is not None
            and asked.deadline_s > plan.deadline_s
            and self._tokens.has_right(entry, OVERRIDE, plan.project)
        ):
            overrides = (*overrides, "deadline")
        facts: dict[str, Any] = {
            "consumer": entry.name,
            "client_id": asked.id,
            "body_sha256": sha256(message).digest(),
            "arrived_at": arrived_at,
            "deadline_s": _granted_s(asked.deadline_s, context, plan, arrived_at),
            "version": version,
            "overrides": overrides,
        }
        told: list[tuple[str, str]] = []
        key, trace = metadata.get("idempotency-key"), None
        if key is None and self._traces is not None:
            trace = self._traces.begin(_bytes(metadata.get("traceparent")), _bytes(metadata.get("tracestate")))
        if trace is not None:
            told.append(("traceparent", trace.traceparent.decode()))
            scored = await self._traced(trace, context, plan, asked.table, facts)
        else:
            checked = None if key is None else checked_key(_text(key) or "")
            scored = await self._idempotency.score(checked, plan, asked.table, **facts)
        told.append(("muster-request-id", request_id_text(scored.mailbox.request_id)))
        if plan.document.solo:
            told.append(("muster-solo", "true"))
        if isinstance(scored, Recalled):
            told.append(("muster-replayed", "true"))
        context.set_trailing_metadata(tuple(told))
        return answers.answer(scored, asked, raw=bool(request.raw_input_contents))

    async def _traced(
        self, trace: TraceContext, context: _Context, plan: Plan, table: Table, facts: dict[str, Any]
    ) -> Scored:
        """`Endpoints.score` that ends the trace when the decision is recorded, whether or not somebody still waits for it."""
        answered: asyncio.Future[RecordNotWritten | None] = asyncio.get_running_loop().create_future()

        def done(mailbox: Mailbox, problem: RecordNotWritten | None) -> None:
            assert self._traces is not None
            self._traces.finish(mailbox, trace)
            if not answered.done():
                answered.set_result(problem)

        mailbox = self._endpoints.submit(plan, table, done=done, **facts)
        # Already now, so that an error shows it, too: from here on there is a trace to look at.
        context.set_trailing_metadata((("traceparent", trace.traceparent.decode()),))
        return self._endpoints.scored(mailbox, await answered)

    # Health.

    async def _server_live(self, message: bytes, _: _Context, _entry: AccessEntry | None) -> Message:
        reading.parsed(pb.ServerLiveRequest, message)
        return pb.ServerLiveResponse(live=True)

    async def _server_ready(self, message: bytes, _: _Context, _entry: AccessEntry | None) -> Message:
        """Every endpoint has a host of its champion or of a fallback."""
        reading.parsed(pb.ServerReadyRequest, message)
        ready = (
            self._standing.is_informed
            and not self._standing.is_draining
            and all(self._endpoints.is_staffed(plan) for plan in self._endpoints.served())
        )
        return pb.ServerReadyResponse(ready=ready)

    async def _model_ready(self, message: bytes, _: _Context, entry: AccessEntry | None) -> Message:
        plan, version = self._asked_about(reading.parsed(pb.ModelReadyRequest, message), entry)
        up = self._endpoints.can_answer(plan) if version is None else self._endpoints.is_up(plan, version)
        return pb.ModelReadyResponse(ready=up and not self._standing.is_draining)

    # Metadata, configuration, statistics.

    async def _server_metadata(self, message: bytes, _: _Context, _entry: AccessEntry | None) -> Message:
        reading.parsed(pb.ServerMetadataRequest, message)
        return pb.ServerMetadataResponse(name="muster", version=muster.__version__, extensions=models.EXTENSIONS)

    async def _model_metadata(self, message: bytes, _: _Context, entry: AccessEntry | None) -> Message:
        plan, _version = self._asked_about(reading.parsed(pb.ModelMetadataRequest, message), entry)
        return _from_document(models.metadata(plan), pb.ModelMetadataResponse())

    async def _model_config(self, message: bytes, _: _Context, entry: AccessEntry | None) -> Message:
        plan, _version = self._asked_about(reading.parsed(pb.ModelConfigRequest, message), entry)
        return pb.ModelConfigResponse(config=_from_document(models.configuration(plan), pb.ModelConfig()))

    async def _model_statistics(self, message: bytes, _: _Context, entry: AccessEntry | None) -> Message:
        request = reading.parsed(pb.ModelStatisticsRequest, message)
        everything: list[tuple[Plan, int | None]] = [(plan, None) for plan in self._allowed(entry)]
        about = [self._asked_about(request, entry)] if request.name else everything
        return _from_document(self._statistics(about), pb.ModelStatisticsResponse())

    # Repository.

    async def _index(self, message: bytes, _: _Context, entry: AccessEntry | None) -> Message:
        request = reading.parsed(pb.RepositoryIndexRequest, message)
        plans = [
            (plan, None if self._endpoints.can_answer(plan) else "none of its variants can answer now")
            for plan in self._allowed(entry)
        ]
        found = models.index(b'{"ready": true}' if request.ready else b"", plans)
        return _from_document({"models": found}, pb.RepositoryIndexResponse())

    async def _load(self, message: bytes, _: _Context, entry: AccessEntry | None) -> Message:
        request = reading.parsed(pb.RepositoryModelLoadRequest, message)
        plan = self._named_in_order(request.model_name, entry)
        models.load(plan, msgspec.json.encode({"parameters": dict.fromkeys(request.parameters, "")}))
        return pb.RepositoryModelLoadResponse()

    async def _unload(self, message: bytes, _: _Context, entry: AccessEntry | None) -> Message:
        request = reading.parsed(pb.RepositoryModelUnloadRequest, message)
        raise models.unload(self._named_in_order(request.model_name, entry))

    def _asked_about(self, request: Any, entry: AccessEntry | None) -> tuple[Plan, int | None]:
        assert entry is not None
        plan, version = named(self._endpoints, self._tokens, entry, request.name, request.version or None, None)
        self._tokens.require(entry, plan.project, plan.endpoint)
        return plan, version

    def _named_in_order(self, model: str, entry: AccessEntry | None) -> Plan:
        assert entry is not None
        plan = self._endpoints.find(model)
        self._tokens.require(entry, plan.project, plan.endpoint)
        return plan

    def _allowed(self, entry: AccessEntry | None) -> list[Plan]:
        assert entry is not None
        return [plan for plan in self._endpoints.served() if self._tokens.may_call(entry, plan.project, plan.endpoint)]


async def _only_message(messages: _Messages) -> bytes:
    """The one message of a call.

    Raises:
        RequestMalformed: there is none, or it did not come in time.
    """
    try:
        async with asyncio.timeout(_MESSAGE_WITHIN_S):
            async for message in messages:
                return message
    except TimeoutError:
        raise RequestMalformed(f"the message did not come within {_MESSAGE_WITHIN_S:g} s") from None
    raise RequestMalformed("the call has no message")


def _authorization(context: _Context) -> bytes | None:
    for key, value in context.invocation_metadata() or ():
        if key == "authorization":
            return _bytes(value)
    return None


def _text(value: str | bytes | None) -> str | None:
    return value.decode("latin-1") if isinstance(value, bytes) else value


def _bytes(value: str | bytes | None) -> bytes | None:
    return value.encode("latin-1", "replace") if isinstance(value, str) else value


def _granted_s(asked_s: float | None, context: _Context, plan: Plan, arrived_at: float) -> float | None:
    """The earliest of what the request asks for and what is left of the call's own deadline, seconds from arrival."""
    left_s = context.time_remaining()
    if left_s is None:
        return asked_s
    if left_s <= 0:
        raise NoAnswerInTime(f"the call to endpoint {plan.endpoint!r} came after its deadline", endpoint=plan.endpoint)
    call_s = left_s + monotonic() - arrived_at
    return call_s if asked_s is None else min(call_s, asked_s)


def _from_document(document: Any, message: _M) -> _M:
    """A message filled from the document that the REST form gives; what the message has no field for is left out."""
    plain = msgspec.json.decode(msgspec.json.encode(document))
    ParseDict(plain, message, ignore_unknown_fields=True)
    return message
