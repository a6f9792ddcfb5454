"""One front process: an HTTP server on a socket it was given, gRPC beside it, and everything they stand on."""

import asyncio
import gc
import signal
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import structlog

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
from muster.serving.front.tls import Certificates
from muster.serving.front.tokens import Tokens
from muster.serving.front.traces import Traces
from muster.serving.idempotency import Idempotency, Past
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
    certificates: Certificates | None = None
    """What callers are shown; None: both doors speak without TLS."""

    @property
    def name(self) -> str:
        """`front-0`."""
        return f"front-{self.number}"


async def run_front(
    options: FrontOptions,
    listener: socket.socket,
    writer: SegmentWriter,
    claims: Claims,
    past: Past,
    others: Sequence[socket.socket] = (),
) -> None:
    """Serve until SIGTERM, then answer what is under way, and end.

    Args:
        options: what the front is given.
        listener: the socket to serve, already listening.
        writer: the segment writer of this front.
        claims: the machine's idempotency keys.
        past: what was decided.
        others: the other fronts' listening sockets.
    """
    front = _Front(options, writer, claims, past)
    stopping = asyncio.Event()
    for ending in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(ending, stopping.set)
    try:
        await front.open(listener, others)
        log.info("front.started", front=options.name)
        await stopping.wait()
        await front.drain()
    finally:
        await front.close()
        log.info("front.stopped", front=options.name)
        await asyncio.sleep(0)


class _Front:
    """The parts of one front, joined; made on its event loop, where it begins to follow control.

    Args:
        options: what the front is given.
        writer: its segment writer.
        claims: the machine's idempotency keys.
        past: what was decided.
    """

    def __init__(
        self,
        options: FrontOptions,
        writer: SegmentWriter,
        claims: Claims,
        past: Past,
    ) -> None:
        self._options = options
        self._counts = FrontCounts()
        self._recorder = Recorder(writer, self._counts.synced)
        self._rendezvous = Rendezvous(self._recorder, options.name)
        self._link = KeeperLink(options.keeper, options.name)
        self._follower = Follower(url=options.control, token=options.token, front=options.name, cache=options.cache)
        self._endpoints = Endpoints(
            keeper=self._link,
            recorder=self._recorder,
            rendezvous=self._rendezvous,
            front=options.number,
            report=self._follower.report,
            offline_s=self._follower.offline_s,
            counts=self._counts,
            report_shadow=self._follower.report_shadow,
        )
        self._tokens = Tokens()
        self._about = About(
            self._endpoints, self._tokens, self._counts, options.name, metrics_token=options.metrics.token
        )
        self._idempotency = Idempotency(self._endpoints, claims, past)
        self._traces = _traces(options)
        self._http = HttpServer(
            FrontApp(self._endpoints, self._tokens, self._about, self._counts, self._idempotency, self._traces),
            None if options.certificates is None else options.certificates.context(),
        )
        self._grpc: GrpcServer | None = None
        self._helper: Helper | None = None
        self._metrics = MetricsDoor(options.metrics, partial(render, self._counts, options.name))
        self._let_look()
        self._follower.start(self._endpoints, self._tokens, self._informed)

    async def open(self, listener: socket.socket, others: Sequence[socket.socket]) -> None:
        """Begin to answer, at every door.

        Args:
            listener: the socket to serve.
            others: the other fronts' listening sockets.

        Raises:
            GrpcAddressUnusable: gRPC cannot listen at its address.
        """
        if self._options.grpc:
            self._grpc = await self._serve_grpc()
        _hold_what_stays()
        await self._metrics.open()
        await self._http.start(listener)
        self._helper = Helper(others, self._http.adopt)

    async def drain(self) -> None:
        """Take nothing more, and answer what is under way."""
        self._about.is_draining = True
        if self._helper is not None:
            await self._helper.close()
        doors = [self._http.stop(_DRAIN_S)]
        if self._grpc is not None:
            doors.append(self._grpc.stop(_DRAIN_S))
        await asyncio.gather(*doors)

    async def close(self) -> None:
        """Write what is open, and let go of everything; the recorder nearly last, for the others give it events."""
        await self._metrics.close()
        await self._follower.close()
        await self._idempotency.close()
        await self._endpoints.close()
        await self._link.close()
        await self._recorder.close()
        if self._traces is not None:
            await self._traces.close()

    async def _serve_grpc(self) -> GrpcServer:
        return await serve_grpc(
            self._endpoints,
            self._tokens,
            self._options.grpc,
            standing=self._about,
            idempotency=self._idempotency,
            statistics=partial(statistics, self._counts),
            refused=lambda error: self._counts.refused(status_of(error), error.code),
            traces=self._traces,
            message_bytes=self._options.grpc_message_bytes,
            certificates=self._options.certificates,
        )

    def _informed(self) -> None:
        self._about.is_informed = True

    def _let_look(self) -> None:
        """What the metrics ask when somebody looks."""
        counts, endpoints, rendezvous, recorder = self._counts, self._endpoints, self._rendezvous, self._recorder
        counts.connections = lambda: self._http.connections
        counts.connections_taken = lambda: self._http.taken
        counts.open_requests = lambda: rendezvous.open_mailboxes
        counts.lanes = endpoints.lanes_now
        counts.ready = lambda: [(plan.endpoint, endpoints.can_answer(plan)) for plan in endpoints.served()]
        counts.loop_lag_s = lambda: rendezvous.lag_s
        counts.offline_s = self._follower.offline_s
        counts.spool_bytes = lambda: recorder.spooled_bytes
        counts.records_waiting = lambda: recorder.unwritten


def _hold_what_stays() -> None:
    """Spare the collector what has been loaded until now, which stays for ever.

    What comes and goes with requests forms no cycles, so looking for them seldom is enough.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 50)


def _traces(options: FrontOptions) -> Traces | None:
    asked = options.traces
    if not asked.endpoint:
        return None
    return Traces(SpanSender(asked.endpoint, options.name), sample=asked.sample, per_s=asked.per_s)
