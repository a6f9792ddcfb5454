"""The scoring door as an OpenAPI document: every address, what it takes, and every status that it can answer with.

It is the same for every front: which fields an endpoint takes, its metadata say. The structs of requests are those that the door
reads with, those of answers are in `documented`; a test holds the addresses against the routes.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec

import muster
from muster.serving.front.documented import ANSWERS
from muster.telemetry.exposition import CONTENT_TYPE
from muster.wire.inference import InferRequest, RepositoryIndexRequest, ScoreRequest

_ABOUT = """\
What a Muster front answers: scores in two forms, and what there is to know about endpoints. Described in words in
`docs/reference/scoring.md`; the same service over gRPC is in `open_inference.proto`.

- Every error has one body, `{"error": "…"}`, and most the header `Muster-Error-Code`.
- An address with another method answers 405 with the header `Allow`; any other address 404. `HEAD` is answered where `GET` is.
- A body of JSON may also be called `text/json` or `application/x-www-form-urlencoded`, which is what curl says by itself.
"""
_SOMETIMES = {
    "401": "There is no token, or one that is unknown, expired or revoked.",
    "403": "The token is not good for the endpoint, or names a variant without the right to.",
    "404": "There is no such endpoint or version.",
    "406": "There is no answer in any form that `Accept` names.",
    "409": "The idempotency key was used for another request within the last ten minutes.",
    "415": "The body is in a form or encoding that is not read here.",
    "429": "Too many requests.",
    "504": "Nothing answered by the deadline, and the release has no default answer.",
}

_ERROR_HEADERS = {
    "Muster-Error-Code": ("Which error: see `docs/reference/errors.md`.", {"type": "string"}),
    "Retry-After": ("Of 429 and 503: seconds.", {"type": "integer", "minimum": 1}),
    "WWW-Authenticate": ("Of 401.", {"const": "Bearer"}),
    "Muster-Request-Id": ("Names the decision record, if there is one.", {"type": "string"}),
}
IN_PATH = {
    "endpoint": "An endpoint; with a version number, also a model that a current release holds.",
    "number": "The number of a version of the current release.",
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
    operations = (*_OF_FRONT, *_of_endpoint("", ""), *_of_endpoint("/versions/{number}", "OfVersion"))
    paths: dict[str, Json] = {}
    for operation in operations:
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
                    for status, told in sorted((ALWAYS | _SOMETIMES).items())
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
        key: {"name": name, "in": "header", "required": False, "description": told, "schema": schema}
        for key, (name, told, schema) in _HEADERS.items()
    }
    return {**in_path, **in_head}
