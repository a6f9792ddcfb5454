"""The scoring door as an OpenAPI document: every address, what it takes, and every status that it can answer with.

It is the same for every front: which fields an endpoint takes, its metadata say. The structs of requests are those that the door
reads with, those of answers are in `documented`; a test holds the addresses against the routes.
"""

from functools import cache

import msgspec

import muster
from muster.serving.front.documented import ANSWERS
from muster.serving.front.operations import (
    ALWAYS,
    IN_PATH,
    JSON,
    JSON_BYTES,
    OPERATIONS,
    SOMETIMES,
    Json,
    content,
    headers_of,
    schema,
)  # fmt: skip
from muster.wire.inference import InferRequest, RepositoryIndexRequest, ScoreRequest

_ABOUT = """\
What a Muster front answers: scores in two forms, and what there is to know about endpoints. Described in words in
`docs/reference/scoring.md`; the same service over gRPC is in `open_inference.proto`.

- Every error has one body, `{"error": "…"}`, and most the header `Muster-Error-Code`.
- An address with another method answers 405 with the header `Allow`; any other address 404. `HEAD` is answered where `GET` is.
- A body of JSON may also be called `text/json` or `application/x-www-form-urlencoded`, which is what curl says by itself.
"""
_ERROR_HEADERS: dict[str, tuple[str, Json]] = {
    "Muster-Error-Code": ("Which error: see `docs/reference/errors.md`.", {"type": "string"}),
    "Retry-After": ("Of 429 and 503: seconds.", {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": ("Of 401.", {"const": "Bearer"}),
    "Muster-Request-Id": ("Names the decision record, if there is one.", {"type": "string"}),
}
#: Headers of a request, by the name of the component.
_HEADERS: dict[str, tuple[str, str, Json]] = {
    "deadline": (
        "Muster-Deadline-Ms",
        "Milliseconds within which the answer is wanted, if the release's deadline is later. The right `override` allows more.",
        {"type": "number", "exclusiveMinimum": 0},
    ),
    "variant": (
        "Muster-Variant",
        "The version that shall answer, as `churn:3`. Takes the right `override`.",
        {"type": "string"},
    ),
    "client-id": (
        "Muster-Client-Id",
        "Your own name for the request, printable UTF-8 of up to 256 bytes; an id in the body goes before it.",
        {"type": "string", "minLength": 1, "maxLength": 256},
    ),
    "idempotency-key": (
        "Idempotency-Key",
        "Repeated with the same key and rows within ten minutes, the request is answered as it was.",
        {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"},
    ),
    "content-encoding": (
        "Content-Encoding",
        "How the body is packed.",
        {"type": "string", "enum": ["gzip", "deflate", "identity"]},
    ),
    "accept-encoding": ("Accept-Encoding", "`gzip`: large answers of text come packed.", {"type": "string"}),
    "traceparent": ("traceparent", "W3C trace context; one that cannot be read is passed over.", {"type": "string"}),
    "tracestate": ("tracestate", "W3C trace context.", {"type": "string"}),
    "json-bytes": (
        JSON_BYTES,
        "How many bytes of the body are JSON; raw tensors follow.",
        {"type": "integer", "minimum": 1},
    ),
}


@cache
def document() -> bytes:
    """The document as JSON."""
    paths: dict[str, Json] = {}
    for operation in OPERATIONS:
        paths.setdefault(operation.path, {})[operation.method] = operation.described()
    _, schemas = msgspec.json.schema_components(
        [*ANSWERS, InferRequest, RepositoryIndexRequest, ScoreRequest], ref_template="#/components/schemas/{name}"
    )
    return msgspec.json.encode(
        {
            "openapi": "3.1.0",
            "info": {
                "title": "Muster scoring API",
                "version": muster.__version__,
                "description": _ABOUT,
                "license": {"name": "Apache License 2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": "/"}],
            "paths": paths,
            "components": {
                "schemas": schemas,
                "parameters": _parameters(),
                "responses": {
                    status: {
                        "description": told,
                        "headers": headers_of(_ERROR_HEADERS),
                        "content": content({JSON: schema("InferenceError")}),
                    }
                    for status, told in sorted((ALWAYS | SOMETIMES).items())
                },
                "securitySchemes": {
                    "token": {"type": "http", "scheme": "bearer"},
                    "metrics": {"type": "http", "scheme": "bearer", "description": "The setting `metrics.token`."},
                },
            },
        }
    )


def _parameters() -> dict[str, Json]:
    in_path = {
        name: {"name": name, "in": "path", "required": True, "description": told, "schema": {"type": "string"}}
        for name, told in IN_PATH.items()
    }
    in_head = {
        key: {"name": name, "in": "header", "required": False, "description": told, "schema": shape}
        for key, (name, told, shape) in _HEADERS.items()
    }
    return {**in_path, **in_head}
