"""Every error as a problem document (RFC 9457): those of the services, those of the framework, and faults.

A mistake of the caller never gives a status of 500 or above.
"""

import contextlib
import secrets
from typing import Any

import msgspec
import structlog
from litestar import Request, Response
from litestar.exceptions import (
    HTTPException,
    InternalServerException,
    MethodNotAllowedException,
    NotFoundException,
)
from litestar.exceptions.http_exceptions import RequestEntityTooLarge
from litestar.types import Method

from muster.api.errors import BodyTooLarge, InternalFault, MethodUnknown, RequestMalformed, RouteUnknown
from muster.api.statuses import described
from muster.vocabulary.errors import MusterError
from muster.wire.problems import MEDIA_TYPE, Problem

log = structlog.get_logger()
_RETRY_AFTER_S = 1
_METHODS: tuple[Method, ...] = ("GET", "POST", "PUT", "PATCH", "DELETE")
#: How the framework calls a connection that ended within a body.
_GONE = "client disconnected prematurely"
_NO_BODY = {"message": "a body in JSON is missing", "source": "body"}


class ProblemAnswers:
    """Turns exceptions into answers.

    Args:
        solo: whether the factory is for one person, which every answer says.
    """

    def __init__(self, *, solo: bool) -> None:
        self._solo = solo

    def answer(self, request: Request[Any, Any, Any], error: Exception) -> Response[bytes]:
        """The answer that tells of an error."""
        named = error if isinstance(error, MusterError) else _named(request, error)
        problem = msgspec.structs.replace(described(named, instance=request.url.path), solo=self._solo)
        return Response(
            msgspec.json.encode(problem),
            status_code=problem.status,
            media_type=MEDIA_TYPE,
            headers=_headers(problem),
        )


def _named(request: Request[Any, Any, Any], error: Exception) -> MusterError:
    """The error of Muster that an exception of the framework, or a fault, stands for."""
    match error:
        case MethodNotAllowedException():
            allowed = _allowed(request)
            told = f"{request.url.path} takes {' and '.join(allowed)}, not {request.method}"
            return MethodUnknown(told, method=request.method, allow=allowed)
        case NotFoundException():
            return RouteUnknown(f"there is no {request.url.path} here", path=request.url.path)
        case RequestEntityTooLarge():
            return BodyTooLarge("the body is larger than this address takes")
        case InternalServerException() if error.detail == _GONE:
            return RequestMalformed(
                "the caller went away before the body was whole"
            )  # nobody reads this, and no fault is logged
        case HTTPException() if error.status_code < 500:
            problems = _problems(error)
            return RequestMalformed(_sentence(error, problems), **({"problems": problems} if problems else {}))
    fault = secrets.token_hex(6)
    log.error("request.failed", fault=fault, method=request.method, path=request.url.path, exc_info=error)
    return InternalFault(f"{type(error).__name__} while carrying out {request.method} {request.url.path}", fault=fault)


def _allowed(request: Request[Any, Any, Any]) -> list[str]:
    """The methods that an address takes."""
    allowed = []
    for method in _METHODS:
        with contextlib.suppress(HTTPException):
            request.app.asgi_router.handle_routing(path=request.url.path, method=method)
            allowed.append(str(method))
    return allowed


def _problems(error: HTTPException) -> list[dict[str, Any]]:
    """What is wrong where, as the framework found it."""
    found = error.extra if isinstance(error.extra, list) else [error.extra]
    return [_about_body(problem) for problem in found if isinstance(problem, dict)]


def _about_body(problem: dict[str, Any]) -> dict[str, Any]:
    """The problem without the name that the framework has for a body."""
    if problem.get("key") != "data":
        return problem
    if problem.get("message") == "'data'":
        return _NO_BODY
    return {name: value for name, value in problem.items() if name != "key"}


def _sentence(error: HTTPException, problems: list[dict[str, Any]]) -> str:
    said = [
        f"{problem['key']}: {problem['message']}" if "key" in problem else str(problem["message"])
        for problem in problems
        if "message" in problem
    ]
    return "; ".join(said) or error.detail


def _headers(problem: Problem) -> dict[str, str]:
    headers: dict[str, str] = {}
    if problem.status == 401:
        headers["www-authenticate"] = 'Bearer realm="muster"'
    if problem.status in {429, 503}:
        headers["retry-after"] = str(problem.facts.get("retry_after_s", _RETRY_AFTER_S))
    if problem.status == 413:
        headers["connection"] = "close"  # otherwise the rest of the body would still be taken in, for nothing
    if "allow" in problem.facts:
        headers["allow"] = ", ".join(problem.facts["allow"])
    return headers
