"""The archive as a whole: exports, how long records are kept, and whether they are all there."""

from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain
from typing import Annotated, Literal

import msgspec
from litestar import get, post
from litestar.datastructures import ResponseHeader
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody, QueryParameter
from litestar.response import Stream

from muster.access.actor import Call
from muster.api import convert
from muster.api.parameters import EndpointName
from muster.api.services import Caller, Given, Services, Threads
from muster.archive.export import Window
from muster.vocabulary.clock import rfc3339_of_ns
from muster.wire import control

TAG = "archive"
_MOMENT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_PIECE_BYTES = 1 << 16
#: Whichever form: an OpenAPI document here has one media type per status, and the file's name says which it is.
_MEDIA = "application/octet-stream"


@get(
    "/endpoints/{endpoint:str}/export",
    operation_id="exportRequests",
    tags=[TAG],
    response_headers=[
        ResponseHeader(
            name="Muster-Complete-To",
            documentation_only=True,
            description="Every request that arrived before is in it; later ones may still have been on their way.",
        )
    ],
    responses={200: ResponseSpec(data_container=bytes, media_type=_MEDIA, description="The file.")},
)
async def export(
    services: Given,
    call: Caller,
    threads: Threads,
    endpoint: EndpointName,
    form: Annotated[
        Literal["parquet", "ndjson"],
        QueryParameter(description="Parquet, or one request per line as `getRequest` has it."),
    ] = "parquet",
    from_: Annotated[
        str | None,
        QueryParameter(name="from", pattern=_MOMENT, max_length=40, description="Arrived then or later; RFC 3339."),
    ] = None,
    to: Annotated[
        str | None, QueryParameter(pattern=_MOMENT, max_length=40, description="Arrived before; without it, up to now.")
    ] = None,
) -> Stream:
    """The decision records of a window as one file, piece by piece, with late answers in their rows; on record in the audit journal.

    A scientist gets those that own models took part in. A file that breaks off is not whole: the connection says so.
    """
    window = await threads.run(services.exporting.window, call, endpoint, _ns(from_), _ns(to), form)
    # The first piece before the status is sent: what cannot be exported is refused, not broken off.
    pieces = _pieces(services, call, window, form)
    first = await threads.run(next, pieces, b"")
    headers = {
        "muster-complete-to": rfc3339_of_ns(window.complete_to_ns),
        "content-disposition": f'attachment; filename="{endpoint}.{form}"',
        "x-content-type-options": "nosniff",
    }
    return Stream(_closing(chain([first], pieces), pieces), media_type=_MEDIA, headers=headers)


@get("/endpoints/{endpoint:str}/retention", sync_to_thread=True, operation_id="getRetention", tags=[TAG])
def get_retention(services: Given, call: Caller, endpoint: EndpointName) -> control.Retention:
    """How long the records of an endpoint are kept."""
    return convert.retention(services.retention.rule(call, endpoint))


@post(
    "/endpoints/{endpoint:str}/retention",
    status_code=200,
    sync_to_thread=True,
    operation_id="setRetention",
    tags=[TAG],
)
def set_retention(
    services: Given, call: Caller, endpoint: EndpointName, data: JSONBody[control.RetentionOrder]
) -> control.Retention:
    """Say how long the records of an endpoint are kept; the executor removes what is older, file by file. Takes the right retain."""
    return convert.retention(services.retention.retain(call, endpoint, data.days, data.reason))


@get("/archive/retention", sync_to_thread=True, operation_id="listRetention", tags=[TAG])
def list_retention(services: Given, call: Caller) -> control.Retentions:
    """The endpoints whose records are kept for another time than the setting says."""
    rules = tuple(convert.retention(rule) for rule in services.retention.rules(call))
    return control.Retentions(default_days=services.retention.default_days or None, rules=rules)


@get("/archive/verify", operation_id="verifyArchive", tags=[TAG])
async def verify(
    services: Given,
    call: Caller,
    threads: Threads,
    endpoint: Annotated[
        str | None, QueryParameter(pattern=r"^[a-z][a-z0-9-]{0,62}$", description="Only the files of this one.")
    ] = None,
) -> control.ArchiveVerdict:
    """Whether the archive is whole and complete: every byte read, every segment in its chain, every request accounted for.

    Takes the right read-requests, and about a second per gigabyte.
    """
    return convert.archive_verdict(await threads.run(services.exporting.verify, call, endpoint))


def _ns(moment: str | None) -> int | None:
    if moment is None:
        return None
    found = convert.moment_of(moment)
    return None if found is None else (found - _EPOCH) // timedelta(microseconds=1) * 1000


def _pieces(services: Services, call: Call, window: Window, form: str) -> Iterator[bytes]:
    if form == "parquet":
        yield from services.exporting.parquet(call, window)
        return
    lines: list[bytes] = []
    size = 0
    for record in services.exporting.records(call, window):
        lines.append(msgspec.json.encode(convert.request(record)) + b"\n")
        size += len(lines[-1])
        if size >= _PIECE_BYTES:
            yield b"".join(lines)
            lines, size = [], 0
    yield b"".join(lines)


def _closing(pieces: Iterator[bytes], below: Iterator[bytes]) -> Iterator[bytes]:
    """The pieces; what makes them is given up when nobody wants them any more."""
    try:
        yield from pieces
    finally:
        with suppress(AttributeError):
            below.close()  # type: ignore[attr-defined]


HANDLERS = (export, get_retention, set_retention, list_retention, verify)
