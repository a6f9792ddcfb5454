"""The operations of the scoring door as OpenAPI describes them: addresses, what they take, what they answer."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from muster.telemetry.exposition import CONTENT_TYPE

Json = dict[str, Any]
#: What HTTP itself can answer to any request, and where that is described further.
ALWAYS = {
    "400": "What was given is malformed, or breaks the contract.",
    "408": "The request came too slowly.",
    "413": "The body is larger than the release allows, packed or unpacked.",
    "417": "There is an expectation other than `100-continue`.",
    "431": "The request line and headers are too large.",
    "501": "The method is unknown to HTTP, or a transfer coding is not `chunked`.",
    "503": "Not now: no variant that may answer runs, the record could not be written, or there are too many connections.",
    "505": "This is not HTTP/1.0 or 1.1.",
}
#: What some operations answer besides.
SOMETIMES = {
    "401": "There is no token, or one that is unknown, expired or revoked.",
    "403": "The token is not good for the endpoint, or names a variant without the right to.",
    "404": "There is no such endpoint or version.",
    "406": "There is no answer in any form that `Accept` names.",
    "409": "The idempotency key was used for another request within the last ten minutes.",
    "415": "The body is in a form or encoding that is not read here.",
    "429": "Too many requests.",
    "504": "Nothing answered by the deadline, and the release has no default answer.",
}
_OF_ENDPOINT = ("401", "403", "404")
_OF_SCORES = (*_OF_ENDPOINT, "409", "415", "429", "504")

JSON, _OCTETS, _NDJSON = "application/json", "application/octet-stream", "application/x-ndjson"
_CSV, _ARROW = "text/csv", "application/vnd.apache.arrow.stream"

#: What stands between braces in an address.
IN_PATH = {
    "endpoint": "An endpoint; with a version number, also a model that a current release holds.",
    "number": "The number of a version of the current release.",
}
_SCORE_HEADERS: dict[str, tuple[str, Json]] = {
    "Muster-Request-Id": ("Names the decision record.", {"type": "string"}),
    "Muster-Solo": ("The factory is for one person.", {"const": "true"}),
    "Muster-Replayed": ("The request was carried out before, with the same idempotency key.", {"const": "true"}),
    "Content-Encoding": ("`gzip`, where `Accept-Encoding` has it and it pays.", {"type": "string"}),
    "traceparent": ("W3C trace context, where traces are on.", {"type": "string"}),
}
_RECORDS_HEADERS: dict[str, tuple[str, Json]] = {
    "Muster-Release": ("Of NDJSON and Arrow: the release that answered.", {"type": "integer"}),
    "Muster-Weights": ("Of NDJSON and Arrow: the weights of a combined answer.", {"type": "string"}),
}
JSON_BYTES = "Inference-Header-Content-Length"
_V2_HEADERS: dict[str, tuple[str, Json]] = {
    JSON_BYTES: ("Bytes of JSON before the raw tensors.", {"type": "integer", "minimum": 1})
}

_FOR_SCORES = (
    "deadline", "variant", "client-id", "idempotency-key", "content-encoding", "accept-encoding", "traceparent", "tracestate",
)  # fmt: skip
_BYTES: Json = {}
_TEXT: Json = {"type": "string"}


def reference(kind: str, name: str) -> Json:
    """What points to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


def schema(name: str) -> Json:
    """What points to the schema of a struct."""
    return reference("schemas", name)


def content(by_type: dict[str, Json]) -> Json:
    """The forms that a body has, by media type."""
    return {media_type: {"schema": shape} for media_type, shape in by_type.items()}


def headers_of(told: dict[str, tuple[str, Json]]) -> Json:
    """Headers of an answer: what each says, and of what form."""
    return {name: {"description": text, "schema": shape} for name, (text, shape) in told.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One address and method."""

    id: str
    path: str
    told: str
    tag: str
    gives: dict[str, Json] = field(default_factory=dict)
    """Content of the answer 200, by media type; none: there is no such answer."""
    given: str = "Done."
    method: str = "get"
    statuses: tuple[str, ...] = ()
    """Of errors, apart from those that any request can get."""
    takes: dict[str, Json] | None = None
    needs_body: bool = True
    request_headers: tuple[str, ...] = ()
    answer_headers: dict[str, tuple[str, Json]] | None = None
    security: tuple[dict[str, list[str]], ...] = ({"token": []},)

    def described(self) -> Json:
        """The operation as OpenAPI has it."""
        path = [reference("parameters", name) for name in IN_PATH if f"{{{name}}}" in self.path]
        responses = {status: reference("responses", status) for status in sorted((*ALWAYS, *self.statuses))}
        if self.gives:
            headers = {"headers": headers_of(self.answer_headers)} if self.answer_headers else {}
            responses["200"] = {"description": self.given, **headers, "content": content(self.gives)}
        operation: Json = {
            "operationId": self.id,
            "tags": [self.tag],
            "description": self.told,
            "security": list(self.security),
            "parameters": [*path, *(reference("parameters", name) for name in self.request_headers)],
            "responses": dict(sorted(responses.items())),
        }
        if self.takes is not None:
            operation["requestBody"] = {"required": self.needs_body, "content": content(self.takes)}
        return operation


_OPEN: tuple[dict[str, list[str]], ...] = ({},)
_OF_FRONT: tuple[Operation, ...] = (
    Operation(
        id="live", path="/v2/health/live", told="Whether the process answers.", tag="health",
        gives={JSON: schema("Health")}, security=_OPEN,
    ),
    Operation(
        id="ready", path="/v2/health/ready", tag="health", gives={JSON: schema("Readiness")}, security=_OPEN,
        told="Whether every endpoint can be answered now by its champion or a fallback; 503 where not.",
    ),
    Operation(
        id="server", path="/v2", told="What serves, and its extensions of the protocol.", tag="metadata",
        gives={JSON: schema("ServerMetadata")}, security=_OPEN,
    ),
    Operation(
        id="openapi", path="/openapi.json", told="This document.", tag="metadata",
        gives={JSON: {"type": "object"}}, security=_OPEN,
    ),
    Operation(
        id="metrics", path="/metrics", tag="metrics", gives={CONTENT_TYPE: _TEXT}, statuses=("401",),
        told="Everything this front has counted, for Prometheus: for this machine, or with the setting `metrics.token`.",
        security=({}, {"metrics": []}),
    ),
    Operation(
        id="allStatistics", path="/v2/models/stats", tag="statistics", gives={JSON: schema("Statistics")}, statuses=("401",),
        told="What this front counted of every endpoint that the token is good for.",
    ),
    Operation(
        id="index", path="/v2/repository/index", method="post", tag="repository", statuses=("401",),
        told="The endpoints that the token is good for, one line per version, with state and reason.",
        takes={JSON: schema("RepositoryIndexRequest")}, needs_body=False,
        gives={JSON: {"type": "array", "items": schema("RepositoryModel")}},
    ),
    Operation(
        id="load", path="/v2/repository/models/{endpoint}/load", method="post", tag="repository", statuses=_OF_ENDPOINT,
        told="Nothing to do for an endpoint that is served. Parameters are refused: a release says what an endpoint runs.",
        takes={JSON: {"type": "object"}}, needs_body=False, gives={JSON: schema("Nothing")},
    ),
    Operation(
        id="unload", path="/v2/repository/models/{endpoint}/unload", method="post", tag="repository", statuses=_OF_ENDPOINT,
        told="Refused with 400: a release says what an endpoint runs.",
        takes={JSON: {"type": "object"}}, needs_body=False,
    ),
    Operation(
        id="score", path="/score/{endpoint}", method="post", tag="scoring", statuses=(*_OF_SCORES, "406"),
        told="Scores rows in the records form; `Accept` chooses the form of the answer.",
        takes={JSON: schema("ScoreRequest"), _NDJSON: _TEXT, _CSV: _TEXT, _ARROW: _BYTES},
        gives={JSON: schema("ScoreAnswer"), _NDJSON: _TEXT, _ARROW: _BYTES}, given="Answered.",
        request_headers=_FOR_SCORES, answer_headers=_SCORE_HEADERS | _RECORDS_HEADERS,
    ),
)  # fmt: skip


def _of_endpoint(suffix: str, version: str) -> Iterator[Operation]:
    """What can be asked of an endpoint, or of one of its versions."""
    base, of = f"/v2/models/{{endpoint}}{suffix}", "an endpoint" if not version else "one version of an endpoint"
    yield Operation(
        id=f"metadata{version}", path=base, told=f"Inputs, outputs and versions of {of}.", tag="metadata",
        gives={JSON: schema("ModelMetadata")}, statuses=_OF_ENDPOINT,
    )  # fmt: skip
    yield Operation(
        id=f"ready{version or 'Endpoint'}", path=f"{base}/ready", told=f"Whether {of} can answer now; 503 where not.",
        tag="health", gives={JSON: schema("EndpointReadiness")}, statuses=_OF_ENDPOINT,
    )  # fmt: skip
    yield Operation(
        id=f"configuration{version}", path=f"{base}/config", told=f"The configuration of {of} in Triton's form.",
        tag="metadata", gives={JSON: schema("EndpointConfiguration")}, statuses=_OF_ENDPOINT,
    )  # fmt: skip
    yield Operation(
        id=f"statistics{version}", path=f"{base}/stats", told=f"What this front counted of {of}.",
        tag="statistics", gives={JSON: schema("Statistics")}, statuses=_OF_ENDPOINT,
    )  # fmt: skip
    yield Operation(
        id=f"infer{version}", path=f"{base}/infer", method="post", tag="scoring", statuses=_OF_SCORES,
        told="Scores tensors by the Open Inference Protocol V2."
        + (" The version alone answers; to name one takes the right `override`." if version else ""),
        takes={JSON: schema("InferRequest"), _OCTETS: _BYTES},
        gives={JSON: schema("InferAnswer"), _OCTETS: _BYTES}, given="Answered.",
        request_headers=(*_FOR_SCORES, "json-bytes"), answer_headers=_SCORE_HEADERS | _V2_HEADERS,
    )  # fmt: skip


OPERATIONS = (*_OF_FRONT, *_of_endpoint("", ""), *_of_endpoint("/versions/{number}", "OfVersion"))
