"""The gRPC server of one front process."""

import grpc
import structlog

from muster.serving.endpoint import Endpoints
from muster.serving.errors import GrpcAddressUnusable
from muster.serving.front.grpc.opening import Refused, Standing, Statistics
from muster.serving.front.grpc.service import InferenceService
from muster.serving.front.tls import Certificates, Shown
from muster.serving.front.tokens import Tokens
from muster.serving.front.traces import Traces
from muster.serving.idempotency import Idempotency

#: A connection without a call is closed after this; clients open another when they need one.
_IDLE_MS = 10 * 60 * 1000
#: Requests under way, beyond which a caller is told to come back; the endpoints have limits of their own below it.
_MOST_CALLS = 4096
_MOST_STREAMS = 1024
_METADATA_BYTES = 16 * 1024
log = structlog.get_logger()


class Server:
    """A started server; see `opening.GrpcServer`.

    Args:
        server: grpc's own.
        port: where it listens.
    """

    def __init__(self, server: grpc.aio.Server, port: int) -> None:
        self._server = server
        self.port = port

    async def stop(self, grace_s: float) -> None:
        """Take no more requests, give those under way that many seconds, and end."""
        await self._server.stop(grace_s)


async def started(
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
) -> Server:
    """A server that serves; see `opening.serve_grpc`."""
    server = grpc.aio.server(
        options=(
            ("grpc.so_reuseport", 1),
            ("grpc.max_receive_message_length", message_bytes),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_concurrent_streams", _MOST_STREAMS),
            ("grpc.max_metadata_size", _METADATA_BYTES),
            ("grpc.max_connection_idle_ms", _IDLE_MS),
        ),
        maximum_concurrent_rpcs=_MOST_CALLS,
    )
    service = InferenceService(
        endpoints,
        tokens,
        standing=standing,
        idempotency=idempotency,
        statistics=statistics,
        refused=refused,
        traces=traces,
    )
    server.add_generic_rpc_handlers((service.handler(),))
    try:
        port = _bound(server, address, certificates)
    except RuntimeError as error:
        raise GrpcAddressUnusable(f"gRPC cannot listen on {address}: {error}", address=address) from error
    await server.start()
    log.info("grpc.started", port=port)
    return Server(server, port)


def _bound(server: grpc.aio.Server, address: str, certificates: Certificates | None) -> int:
    if certificates is None:
        return int(server.add_insecure_port(address))
    return int(server.add_secure_port(address, _credentials(certificates)))


def _credentials(certificates: Certificates) -> grpc.ServerCredentials:
    """What callers are shown, looked up anew at each handshake; TLS below 1.2 grpc does not speak."""
    shown = certificates.current()

    def renewed() -> grpc.ServerCertificateConfiguration | None:
        nonlocal shown
        before, shown = shown, certificates.current()
        return None if shown is before else _configuration(shown)

    return grpc.dynamic_ssl_server_credentials(
        _configuration(shown), renewed, require_client_authentication=certificates.wants_clients_certificates
    )


def _configuration(shown: Shown) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration(
        [(shown.key, shown.certificate)], root_certificates=shown.client_ca
    )
