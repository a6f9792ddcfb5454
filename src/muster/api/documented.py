"""The OpenAPI document: what the framework derives from the handlers, and what only we know about every answer."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from litestar import Litestar, Router
from litestar.di import Provide
from litestar.openapi.config import OpenAPIConfig
from litestar.openapi.plugins import JsonRenderPlugin
from litestar.openapi.spec import Components, License, SecurityScheme

import muster
from muster.wire.problems import MEDIA_TYPE, Problem

_PROBLEM = "Problem"
_METHODS = ("get", "post", "put", "patch", "delete")
_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "Chosen by the caller, the same in every repeat: the order is carried out once.",
    "schema": {"type": "string", "minLength": 1, "maxLength": 200, "pattern": r"^[\x21-\x7e]+$"},
}
#: Operations that take a file, with its media type.
_FILE_BODIES = {"register": "application/zip", "sealEvaluation": "application/octet-stream"}
_DONE = {"200": "Done.", "201": "Done; there is something new.", "202": "Under way; the session tells.", "204": "Done."}
#: Statuses that any address may answer with, and what they mean there.
_EVERYWHERE = {
    "400": "What was given is malformed.",
    "401": "There is no token, or one that is unknown, expired or revoked.",
    "403": "The caller lacks the right, or it is the caller's own work.",
    "404": "There is no such thing, or not for this caller.",
    "409": "The present state does not permit it, or the idempotency key was used for something else.",
    "422": "It was judged and turned down.",
    "503": "A part that is needed does not run; Retry-After says when to ask again.",
}
#: Statuses of what takes a body, and so of every order: its idempotency key covers the body even where none is asked for.
_OF_ORDERS = {
    "413": "The body is larger than this address takes.",
    "429": "Too much at once; Retry-After says when to ask again.",
}


def openapi_document(routers: Sequence[Router], dependencies: Mapping[str, Provide]) -> dict[str, Any]:
    """The OpenAPI document of some routers; every operation tells of the problems it may answer with.

    An application of its own derives it: in the real one the framework would add pages of its own beside ours.
    """
    app = Litestar(list(routers), dependencies=dict(dependencies), openapi_config=_config(), logging_config=None)
    document = app.openapi_schema.to_schema()
    (_,), schemas = msgspec.json.schema_components([Problem], ref_template="#/components/schemas/{name}")
    document["components"].setdefault("schemas", {})[_PROBLEM] = schemas[_PROBLEM]
    for item in document["paths"].values():
        for method in _METHODS:
            if method in item:
                _complete(method, item[method])
    return msgspec.json.decode(msgspec.json.encode(document), type=dict[str, Any])  # plain JSON: lists, no tuples


def _complete(method: str, operation: dict[str, Any]) -> None:
    """Add to an operation what the framework cannot know."""
    for status, response in operation["responses"].items():
        response["description"] = _DONE.get(status, response.get("description") or "Done.")
    for status, meaning in (_EVERYWHERE if method == "get" else _EVERYWHERE | _OF_ORDERS).items():
        operation["responses"][status] = {
            "description": meaning,
            "content": {MEDIA_TYPE: {"schema": {"$ref": f"#/components/schemas/{_PROBLEM}"}}},
        }
    if method != "get":
        operation.setdefault("parameters", []).append(_IDEMPOTENCY_KEY)
    if (media_type := _FILE_BODIES.get(operation["operationId"])) is not None:
        binary = {"schema": {"type": "string", "format": "binary"}}
        operation["requestBody"] = {"required": True, "content": {media_type: binary}}


def _config() -> OpenAPIConfig:
    return OpenAPIConfig(
        title="Muster control API",
        version=muster.__version__,
        description=(
            "Registers, certifies, releases, rolls back and audits models. Every call but `GET /api/v1/health` and "
            "those of signing in takes the header `Authorization: Bearer TOKEN`. Errors are problem details (RFC 9457). Orders take an "
            "`Idempotency-Key`: repeated with the same key, they are carried out once."
        ),
        license=License(name="Apache License 2.0", identifier="Apache-2.0"),
        render_plugins=[JsonRenderPlugin()],
        components=Components(security_schemes={"token": SecurityScheme(type="http", scheme="bearer")}),
        security=[{"token": []}],
        use_handler_docstrings=True,
    )
