"""What the scoring door tells apart from scores: health, metadata, configuration, the repository, statistics, metrics."""

import muster
from muster.serving.counts import FrontCounts
from muster.serving.endpoint import Endpoints
from muster.serving.errors import EndpointNotReady, TokenUnknown
from muster.serving.front import models, openapi
from muster.serving.front.addressed import named
from muster.serving.front.messages import Reply, Request
from muster.serving.front.metrics import render
from muster.serving.front.replies import document
from muster.serving.front.statistics import statistics
from muster.serving.front.tokens import Tokens
from muster.serving.plan import Plan
from muster.telemetry.exposition import CONTENT_TYPE
from muster.telemetry.metrics_door import FOR_WHOM, may_read
from muster.wire.inference import InferenceError, error_body
from muster.wire.plans import AccessEntry


class About:
    """Answers about one front.

    Args:
        endpoints: what is served.
        tokens: who may ask.
        counts: what the front has done.
        name: of the front.
        metrics_token: what whoever reads the metrics from another machine has to send; empty: they are for this machine alone.
    """

    def __init__(
        self, endpoints: Endpoints, tokens: Tokens, counts: FrontCounts, name: str, *, metrics_token: str = ""
    ) -> None:
        self._endpoints = endpoints
        self._tokens = tokens
        self._counts = counts
        self._name = name
        self._metrics_token = metrics_token
        self.is_draining = False
        """The front is shutting down."""
        self.is_informed = False
        """Plans and access list have been read, from control or from the cache."""

    # The front.

    def live(self, _: Request, _model: str, _number: str | None) -> Reply:
        """The process answers."""
        return document({"live": True, "ready": self.is_ready()})

    def ready(self, _: Request, _model: str, _number: str | None) -> Reply:
        """Every endpoint has a host of its champion or of a fallback; how many are degraded is told, not which."""
        if self.is_ready():
            degraded = sum(bool(self._degraded(plan)) for plan in self._endpoints.served())
            return document({"live": True, "ready": True, **({"degraded": degraded} if degraded else {})})
        silent = sum(not self._endpoints.is_staffed(plan) for plan in self._endpoints.served())
        why = f"endpoints without a running variant: {silent}" if silent else "plans are not loaded yet"
        if self.is_draining:
            why = "this front is shutting down"
        return Reply(503, error_body(InferenceError(why)), ((b"retry-after", b"1"),))

    def is_ready(self) -> bool:
        """Whether every endpoint has a host that may answer; one that is only slow must not take all others out of rotation."""
        return (
            self.is_informed
            and not self.is_draining
            and all(self._endpoints.is_staffed(plan) for plan in self._endpoints.served())
        )

    def server(self, _: Request, _model: str, _number: str | None) -> Reply:
        """Server metadata."""
        return document({"name": "muster", "version": muster.__version__, "extensions": models.EXTENSIONS})

    def openapi(self, _: Request, _model: str, _number: str | None) -> Reply:
        """The OpenAPI document of the door."""
        return Reply(200, openapi.document())

    def metrics(self, request: Request, _model: str, _number: str | None) -> Reply:
        """Everything this front has counted, for Prometheus."""
        if not may_read(self._metrics_token, request.peer, request.headers):
            raise TokenUnknown(FOR_WHOM)
        return Reply(200, render(self._counts, self._name), content_type=CONTENT_TYPE.encode())

    # One endpoint, or all.

    def metadata(self, request: Request, model: str, number: str | None) -> Reply:
        """Model metadata."""
        return document(models.metadata(self._asked_about(request, model, number)[0]))

    def configuration(self, request: Request, model: str, number: str | None) -> Reply:
        """Model configuration, an extension."""
        return document(models.configuration(self._asked_about(request, model, number)[0]))

    def model_ready(self, request: Request, model: str, number: str | None) -> Reply:
        """Whether the endpoint, or one version of it, can answer now, and what it lacks."""
        plan, version = self._asked_about(request, model, number)
        up = self._endpoints.can_answer(plan) if version is None else self._endpoints.is_up(plan, version)
        if not up or self.is_draining:
            raise EndpointNotReady(f"{model!r} cannot answer now", endpoint=plan.endpoint)
        degraded = self._degraded(plan)
        return document({"name": plan.endpoint, "ready": True, **({"degraded": degraded} if degraded else {})})

    def statistics(self, request: Request, model: str, number: str | None) -> Reply:
        """What was counted, an extension; all endpoints that the caller may use, where none is named."""
        if model:
            return document(statistics(self._counts, [self._asked_about(request, model, number)]))
        return document(statistics(self._counts, [(plan, None) for plan in self._allowed(request)]))

    def index(self, request: Request, _model: str, _number: str | None) -> Reply:
        """The repository index, an extension."""
        plans = [
            (plan, None if self._endpoints.can_answer(plan) else "none of its variants can answer now")
            for plan in self._allowed(request)
        ]
        return document(models.index(request.body, plans))

    def load(self, request: Request, model: str, _number: str | None) -> Reply:
        """An order to load an endpoint that is served: done already."""
        models.load(self._asked_about(request, model, None)[0], request.body)
        return document({})

    def unload(self, request: Request, model: str, _number: str | None) -> Reply:
        """An order to unload, which a release alone can give."""
        raise models.unload(self._asked_about(request, model, None)[0])

    def _degraded(self, plan: Plan) -> dict[str, str]:
        """What the endpoint lacks, by version."""
        return {
            **dict.fromkeys(self._endpoints.on_probation(plan), "on probation"),
            **dict.fromkeys(self._endpoints.missing(plan), "down"),
        }

    def _allowed(self, request: Request) -> list[Plan]:
        entry = self._identified(request)
        return [plan for plan in self._endpoints.served() if self._tokens.may_call(entry, plan.project, plan.endpoint)]

    def _asked_about(self, request: Request, model: str, number: str | None) -> tuple[Plan, int | None]:
        entry = self._identified(request)
        plan, version = named(self._endpoints, self._tokens, entry, model, number, None)
        self._tokens.require(entry, plan.project, plan.endpoint)
        return plan, version

    def _identified(self, request: Request) -> AccessEntry:
        return self._tokens.identify(request.headers.get(b"authorization"))
