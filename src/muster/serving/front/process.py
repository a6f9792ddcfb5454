"""One front process: an HTTP server on a socket it was given, gRPC beside it, and everything they stand on."""

import asyncio
import gc
import signal
import socket
import ssl
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

from muster.archive.records import Record
from muster.archive.segments import SegmentWriter
from muster.serving.claims import Claims
from muster.serving.counts import FrontCounts
from muster.serving.endpoint import Endpoints
from muster.serving.front.about import About
from muster.serving.front.app import FrontApp
from muster.serving.front.follow import Follower
from muster.serving.front.grpc.opening import GrpcServer, serve_grpc
from muster.serving.front.http import HttpServer
from muster.serving.front.metrics import render
from muster.serving.front.replies import status_of
from muster.serving.front.sharing import Helper
from muster.serving.front.statistics import statistics
from muster.serving.front.tokens import Tokens
from muster.serving.front.traces import Traces
from muster.serving.idempotency import Idempotency
from muster.serving.recorder import Recorder
from muster.serving.rendezvous import Rendezvous
from muster.serving.workers.keeper_link import KeeperLink
from muster.telemetry.metrics_door import MetricsAddress, MetricsDoor
from muster.telemetry.spans import SpanSender

_DRAIN_S = 10
log = structlog.get_logger()


@dataclass(frozen=True, slots=True, kw_only=True)
class TraceOptions:
    """Where traces go."""

    endpoint: str
    """Of the collector; empty: there are no traces."""
    sample: float
    per_s: int


@dataclass(frozen=True, slots=True, kw_only=True)
class FrontOptions:
    """What one front is given."""

    number: int
    """Which front of this machine; part of every request id."""
    keeper: Path
    """Where the keeper listens."""
    control: str
    """Address of the control API."""
    token: str
    """The fronts' service token."""
    cache: Path
    """Where plans and access list are kept for a start without control."""
    grpc: str
    """`HOST:PORT` for gRPC; empty: none."""
    grpc_message_bytes: int
    """No larger gRPC message is read, whatever a plan allows."""
    metrics: MetricsAddress
    traces: TraceOptions
    tls: ssl.SSLContext | None = None
    """Certificate and key, where this door speaks TLS itself."""

    @property
    def name(self) -> str:
        """`front-0`."""
        return f"front-{self.number}"


async def run_front(
    options: FrontOptions,
    listener: socket.socket,
    writer: SegmentWriter,
    claims: Claims,
    find: Callable[[str], Record | None],
    others: Sequence[socket.socket] = (),
) -> None:
    """Serve until SIGTERM, then answer what is under way, and end.

    Args:
        options: what the front is given.
        listener: the socket to serve, already listening.
        writer: the segment writer of this front.
        claims: the machine's idempotency keys.
        find: the record of a request by its written id.
        others: the other fronts' listening sockets.
    """
    loop = asyncio.get_running_loop()
    counts = FrontCounts()
    recorder = Recorder(writer, counts.synced)
    rendezvous = Rendezvous(recorder, options.name)
    link = KeeperLink(options.keeper, options.name)
    follower = Follower(url=options.control, token=options.token, front=options.name, cache=options.cache)
    endpoints = Endpoints(
        keeper=link,
        recorder=recorder,
        rendezvous=rendezvous,
        front=options.number,
        report=follower.report,
        offline_s=follower.offline_s,
        counts=counts,
    )
    tokens = Tokens()
    about = About(endpoints, tokens, counts, options.name, metrics_token=options.metrics.token)
    idempotency = Idempotency(endpoints, claims, find)
    traces = _traces(options)
    server = HttpServer(FrontApp(endpoints, tokens, about, counts, idempotency, traces), options.tls)
    _let_look(counts, endpoints, recorder, rendezvous, follower, server)
    door = MetricsDoor(options.metrics, partial(render, counts, options.name))

    def informed() -> None:
        about.is_informed = True

    follower.start(endpoints, tokens, informed)
    stopping = asyncio.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(ending, stopping.set)
    grpc: GrpcServer | None = None
    try:
        if options.grpc:
            grpc = await serve_grpc(
                endpoints,
                tokens,
                options.grpc,
                standing=about,
                idempotency=idempotency,
                statistics=partial(statistics, counts),
                refused=lambda error: counts.refused(status_of(error), error.code),
                message_bytes=options.grpc_message_bytes,
            )
        # What has been loaded until now stays for ever; the collector need not walk through it. What comes and goes with
        # requests forms no cycles, so looking for them seldom is enough.
        gc.collect()
        gc.freeze()
        gc.set_threshold(50_000, 20, 50)
        await door.open()
        await server.start(listener)
        helper = Helper(others, server.adopt)
        log.info("front.started", front=options.name)
        await stopping.wait()
        about.is_draining = True
        await helper.close()
        await asyncio.gather(server.stop(_DRAIN_S), *([] if grpc is None else [grpc.stop(_DRAIN_S)]))
    finally:
        await door.close()
        await follower.close()
        await idempotency.close()
        await endpoints.close()
        await link.close()
        await recorder.close()
        if traces is not None:
            await traces.close()
        log.info("front.stopped", front=options.name)
        await asyncio.sleep(0)


def _traces(options: FrontOptions) -> Traces | None:
    asked = options.traces
    if not asked.endpoint:
        return None
    return Traces(SpanSender(asked.endpoint, options.name), sample=asked.sample, per_s=asked.per_s)


def _let_look(
    counts: FrontCounts,
    endpoints: Endpoints,
    recorder: Recorder,
    rendezvous: Rendezvous,
    follower: Follower,
    server: HttpServer,
) -> None:
    """What the metrics ask when somebody looks."""
    counts.connections = lambda: server.connections
    counts.connections_taken = lambda: server.taken
    counts.open_requests = lambda: rendezvous.open_mailboxes
    counts.lanes = endpoints.lanes_now
    counts.ready = lambda: [(plan.endpoint, endpoints.can_answer(plan)) for plan in endpoints.served()]
    counts.loop_lag_s = lambda: rendezvous.lag_s
    counts.offline_s = follower.offline_s
    counts.spool_bytes = lambda: recorder.spooled_bytes
    counts.records_waiting = lambda: recorder.unwritten
