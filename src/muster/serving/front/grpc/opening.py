"""Begins to serve gRPC; the library behind it is loaded only then, as it costs memory and start-up time."""

import os
from collections.abc import Callable, Iterable
from importlib import import_module
from typing import Any, Protocol

from muster.serving.endpoint import Endpoints
from muster.serving.front.tls import Certificates
from muster.serving.front.tokens import Tokens
from muster.serving.front.traces import Traces
from muster.serving.idempotency import Idempotency
from muster.serving.plan import Plan
from muster.vocabulary.errors import MusterError

#: What a front has counted about some endpoints, in the form of the REST extension `statistics`.
Statistics = Callable[[Iterable[tuple[Plan, int | None]]], dict[str, Any]]

#: Counts a request that was refused before it was carried out.
Refused = Callable[[MusterError], None]


class Standing(Protocol):
    """How the front stands."""

    @property
    def is_draining(self) -> bool:
        """It is shutting down."""
        ...

    @property
    def is_informed(self) -> bool:
        """It knows plans and access list."""
        ...


class GrpcServer(Protocol):
    """A server that serves."""

    @property
    def port(self) -> int:
        """The port that it listens on."""
        ...

    async def stop(self, grace_s: float) -> None:
        """Take no more requests, give those under way that many seconds, and end."""
        ...


async def serve_grpc(
    endpoints: Endpoints,
    tokens: Tokens,
    address: str,
    *,
    standing: Standing,
    idempotency: Idempotency,
    statistics: Statistics,
    refused: Refused,
    traces: Traces | None,
    message_bytes: int,
    certificates: Certificates | None,
) -> GrpcServer:
    """Serve gRPC beside HTTP, on the running event loop.

    Args:
        endpoints: what is served.
        tokens: who may call.
        address: `HOST:PORT`; several processes may have the same, and connections are spread over them. Port 0 takes any free one.
        standing: how the front stands.
        idempotency: knows keys that were used before.
        statistics: what the front has counted.
        refused: counts what is refused.
        traces: takes spans; None: there are no traces.
        message_bytes: no larger message is read, whatever a plan allows.
        certificates: what callers are shown; None: the door speaks without TLS.

    Raises:
        GrpcAddressUnusable: it cannot be listened on.
    """
    os.environ.setdefault("GRPC_VERBOSITY", "NONE")  # its own log is no JSON, and says nothing that an error does not
    server: GrpcServer = await import_module("muster.serving.front.grpc.server").started(
        endpoints,
        tokens,
        address,
        standing=standing,
        idempotency=idempotency,
        statistics=statistics,
        refused=refused,
        traces=traces,
        message_bytes=message_bytes,
        certificates=certificates,
    )
    return server
