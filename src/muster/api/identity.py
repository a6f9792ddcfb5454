"""Who calls: the bearer token of every request becomes an actor before anything else is looked at."""

import hashlib
import re
from typing import Any

from anyio import to_thread
from litestar import Request
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from muster.access.actor import Actor, Call
from muster.access.errors import TokenMissing
from muster.access.service import Access
from muster.api.errors import RequestMalformed
from muster.vocabulary.names import DEFAULT_PROJECT, checked_name

#: Set in `opt` of a route that takes no token.
OPEN = "open"
IDEMPOTENCY_HEADER = "idempotency-key"
ZIP = "application/zip"
_SCHEME = "bearer"

_KEY = re.compile(r"[\x21-\x7e]{1,200}")


class Identification(ASGIMiddleware):
    """Lets a request pass with its actor as `scope["user"]`, or answers 401."""

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = OPEN

    def __init__(self, access: Access) -> None:
        self._access = access

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Identify the caller of one request."""
        scope["user"] = await to_thread.run_sync(self._access.identify, bearer_token(scope["headers"]))
        await next_app(scope, receive, send)


class OrderRequest(Request[Actor, Any, Any]):
    """A request whose body is JSON, or a mistake of the caller."""

    async def json(self) -> Any:
        """The body, decoded.

        Raises:
            RequestMalformed: it is not UTF-8, or nested too deeply. The framework tells of other mistakes itself.
        """
        try:
            return await super().json()
        except UnicodeDecodeError as error:
            raise RequestMalformed(f"the body is not UTF-8: {error.reason} at byte {error.start}") from error
        except RecursionError as error:
            raise RequestMalformed("the body is nested too deeply") from error


def bearer_token(headers: Any) -> str:
    """The token in the header `Authorization`.

    Raises:
        TokenMissing: there is none, or it is of another scheme.
    """
    value = next((value for name, value in headers if name == b"authorization"), b"").decode("latin-1")
    scheme, _, token = value.partition(" ")
    if scheme.lower() != _SCHEME or not token.strip():
        raise TokenMissing("the header `Authorization: Bearer TOKEN` is missing")
    return token.strip()


def actor_of(request: Request[Actor, Any, Any]) -> Actor:
    """Who was identified."""
    return request.user


async def call_of(request: Request[Actor, Any, Any]) -> Call:
    """The call as services are handed it.

    The digest of what was asked (method, path, query, body) goes with the idempotency key, so that a key that is used
    again for something else is noticed. A bundle is digested where it is received.

    Raises:
        RequestMalformed: the key is none.
    """
    project = str(request.path_params.get("project", DEFAULT_PROJECT))
    key = request.headers.get(IDEMPOTENCY_HEADER)
    digest = None
    if key is not None:
        if _KEY.fullmatch(key) is None:
            raise RequestMalformed("the header Idempotency-Key is 1 to 200 printable ASCII characters without spaces")
        body = b"" if request.headers.get("content-type") == ZIP else await request.body()
        digest = request_digest(request, hashlib.sha256(body).hexdigest())
    return Call(
        actor=request.user,
        project=checked_name(project, of="project"),
        idempotency_key=key,
        request_digest=digest,
    )


def request_digest(request: Request[Actor, Any, Any], body_sha256: str) -> str:
    """The digest of all that makes a request what it is."""
    asked = f"{request.method} {request.url.path}?{request.url.query}\n{body_sha256}"
    return "sha256:" + hashlib.sha256(asked.encode()).hexdigest()
