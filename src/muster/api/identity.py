"""Who calls: the bearer token of every request becomes an actor before anything else is looked at."""

import hashlib
import json
import re
from typing import Any

from anyio import to_thread
from litestar import Request
from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from muster.access.actor import Actor, Call
from muster.access.errors import EndpointOutOfScope, TokenMissing
from muster.access.service import Access
from muster.api.errors import RequestMalformed
from muster.api.origins import takes_file
from muster.vocabulary.names import DEFAULT_PROJECT, checked_name

#: Set in `opt` of a route that takes no token.
OPEN = "open"
IDEMPOTENCY_HEADER = "idempotency-key"
_SCHEME = "bearer"

_KEY = re.compile(r"[\x21-\x7e]{1,200}")


class Identification(ASGIMiddleware):
    """Lets a request pass with its actor as `scope["user"]`, or answers 401."""

    scopes = (ScopeType.HTTP,)
    exclude_opt_key = OPEN

    def __init__(self, access: Access) -> None:
        self._access = access

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Identify the caller of one request, and seal off what is not the caller's.

        Raises:
            ProjectNotFound: the address is of a project that the caller has no part in; every address below it is, so that
                nothing tells whether there is such a project.
            EndpointOutOfScope: the address is of an endpoint for which the token is not good.
        """
        actor = await to_thread.run_sync(self._access.identify, bearer_token(scope["headers"]))
        scope["user"] = actor
        named = scope.get("path_params", {})
        if (project := named.get("project")) is not None:
            checked_name(project, of="project")
            if not actor.belongs_to(project):
                await to_thread.run_sync(self._access.enter, actor, project)
        endpoint = named.get("endpoint")
        if endpoint is not None and not actor.scope.holds_endpoint(endpoint):
            raise EndpointOutOfScope(f"the token is not good for endpoint {endpoint[:63]!r}", endpoint=endpoint[:63])
        await next_app(scope, receive, send)


class OrderRequest(Request[Actor, Any, Any]):
    """A request whose body is JSON, or a mistake of the caller."""

    async def json(self) -> Any:
        """The body, decoded.

        Raises:
            RequestMalformed: it is not UTF-8, nested too deeply, or names a field twice. The framework tells of other
                mistakes itself.
        """
        try:
            found = await super().json()
            # The decoder would take the last of two; whoever looked at the order on its way may have taken the first.
            json.loads((await self.body() or b"null").decode(), object_pairs_hook=_each_once)
        except UnicodeDecodeError as error:
            raise RequestMalformed(f"the body is not UTF-8: {error.reason} at byte {error.start}") from error
        except RecursionError as error:
            raise RequestMalformed("the body is nested too deeply") from error
        return found


def _each_once(pairs: list[tuple[str, Any]]) -> None:
    names = [name for name, _ in pairs]
    if len(set(names)) < len(names):
        twice = next(name for place, name in enumerate(names) if name in names[:place])
        raise RequestMalformed(f"the field {twice[:100]!r} is there twice", field=twice[:100])


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
        body = b"" if takes_file(request.scope) else await request.body()
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
