"""The control API as an ASGI application."""

from functools import cache
from typing import Any

import msgspec
from litestar import Litestar, Request, Response, Router, get
from litestar.di import Provide
from litestar.types import ExceptionHandlersMap

from muster.access.errors import TokenMissing
from muster.api.answers import response_class, say_solo
from muster.api.documented import openapi_document
from muster.api.following import Following
from muster.api.identity import OPEN, Identification, OrderRequest, call_of
from muster.api.origins import Origins
from muster.api.problems import ProblemAnswers
from muster.api.routes import (
    advisories,
    archive,
    audit,
    catalogue,
    certificates,
    dossiers,
    endpoints,
    evaluations,
    evolution,
    factory,
    fronts,
    governance,
    livetests,
    models,
    own_checks,
    people,
    requests,
    sessions,
    sign_in,
    training,
)
from muster.api.services import Given, Services
from muster.api.threads import WaitingThreads
from muster.telemetry.exposition import CONTENT_TYPE
from muster.telemetry.metrics_door import FOR_WHOM, may_read
from muster.telemetry.metrics_door import PATH as METRICS_PATH
from muster.vocabulary.errors import MusterError

PREFIX = "/api/v1"
#: Orders are small; bundles have a limit of their own.
ORDER_BYTES = 1024 * 1024

_OF_FACTORY = (
    *factory.HANDLERS, *people.OF_FACTORY, *sign_in.OF_FACTORY, *fronts.HANDLERS, *certificates.OF_FACTORY, *audit.HANDLERS,
)  # fmt: skip
_OF_PROJECT = (
    *people.HANDLERS, *sign_in.OF_PROJECT, *models.HANDLERS, *catalogue.HANDLERS, *sessions.HANDLERS, *dossiers.HANDLERS,
    *endpoints.HANDLERS, *evolution.HANDLERS, *livetests.HANDLERS, *certificates.HANDLERS, *requests.HANDLERS, *archive.HANDLERS,
    *governance.HANDLERS, *training.HANDLERS, *advisories.HANDLERS, *own_checks.HANDLERS, *evaluations.HANDLERS,
)  # fmt: skip


def create_app(services: Services) -> Litestar:
    """The application that serves one factory's control API.

    Args:
        services: what it calls.
    """
    following, threads = Following(services.board), WaitingThreads()
    dependencies: dict[str, Provide] = {
        "services": Provide(lambda: services, sync_to_thread=False),
        "following": Provide(lambda: following, sync_to_thread=False),
        "threads": Provide(lambda: threads, sync_to_thread=False),
        "call": Provide(call_of),
    }
    app = Litestar(
        [*routers(), sign_in.come_back, _served_openapi, _metrics],
        dependencies=dependencies,
        middleware=[Origins(), Identification(services.access)],
        exception_handlers=_exception_handlers(solo=services.solo),
        request_class=OrderRequest,
        response_class=response_class(solo=services.solo),
        before_send=[say_solo] if services.solo else [],
        request_max_body_size=ORDER_BYTES,
        lifespan=[lambda _app: following.open()],
        openapi_config=None,
        logging_config=None,  # the process has set its logs up
    )
    app.state.following = following
    app.state.counts = services.counts
    return app


def routers() -> list[Router]:
    """Every address of the API."""
    return [
        Router(PREFIX, route_handlers=_OF_FACTORY),
        Router(PREFIX + "/projects/{project:str}", route_handlers=_OF_PROJECT),
    ]


@cache
def openapi() -> dict[str, Any]:
    """The OpenAPI document of the API; it is the same for every factory."""
    names = ("services", "following", "threads", "call")  # only that they are no parameters of a request counts here
    return openapi_document(routers(), {name: Provide(lambda: None, sync_to_thread=False) for name in names})


@get(f"{PREFIX}/openapi.json", sync_to_thread=True, opt={OPEN: True})
def _served_openapi() -> Response[bytes]:
    return Response(msgspec.json.encode(openapi()), media_type="application/json")


@get(METRICS_PATH, sync_to_thread=False, opt={OPEN: True}, include_in_schema=False)
def _metrics(services: Given, request: Request[Any, Any, Any]) -> Response[bytes]:
    """The process's metrics, for whoever may see them."""
    peer = request.client.host if request.client is not None else None
    if not may_read(services.metrics_token, peer, dict(request.scope["headers"])):
        raise TokenMissing(FOR_WHOM)
    return Response(services.counts.render(), headers={"content-type": CONTENT_TYPE})


def _exception_handlers(*, solo: bool) -> ExceptionHandlersMap:
    problems = ProblemAnswers(solo=solo)
    return {MusterError: problems.answer, Exception: problems.answer}
