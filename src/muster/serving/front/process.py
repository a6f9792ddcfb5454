"""One front process: an ASGI server on a socket it was given, and everything it stands on."""

import asyncio
import signal
import socket
from pathlib import Path
from types import FrameType

import structlog
import uvicorn

from muster.archive.segments import SegmentWriter
from muster.serving.endpoint import Endpoints
from muster.serving.front.app import FrontApp
from muster.serving.front.follow import Follower
from muster.serving.front.guard import GuardedProtocol
from muster.serving.front.tokens import Tokens
from muster.serving.recorder import Recorder
from muster.serving.rendezvous import Rendezvous
from muster.serving.workers.keeper_link import KeeperLink

_KEEP_ALIVE_S = 75
_DRAIN_S = 10
log = structlog.get_logger()


class _DrainingServer(uvicorn.Server):
    """uvicorn that lets readiness say no from the moment it is told to stop."""

    def __init__(self, app: FrontApp, config: uvicorn.Config) -> None:
        super().__init__(config)
        self._app = app

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        self._app.is_draining = True
        super().handle_exit(sig, frame)


async def run_front(
    *,
    number: int,
    listener: socket.socket,
    keeper: Path,
    control: str,
    token: str,
    cache: Path,
    writer: SegmentWriter,
) -> None:
    """Serve until SIGTERM, then answer what is under way, and end.

    Args:
        number: which front of this machine; part of every request id.
        listener: the socket to serve, already listening.
        keeper: where the keeper listens.
        control: address of the control API.
        token: the fronts' service token.
        cache: where plans and access list are kept for a start without control.
        writer: the segment writer of this front.
    """
    name = f"front-{number}"
    recorder = Recorder(writer)
    rendezvous = Rendezvous(recorder, name)
    link = KeeperLink(keeper, name)
    follower = Follower(url=control, token=token, front=name, cache=cache)
    endpoints = Endpoints(
        keeper=link,
        recorder=recorder,
        rendezvous=rendezvous,
        front=number,
        report=follower.report,
        offline_s=follower.offline_s,
    )
    tokens = Tokens()
    app = FrontApp(endpoints, tokens)

    def informed() -> None:
        app.is_informed = True

    follower.start(endpoints, tokens, informed)
    server = _DrainingServer(
        app,
        uvicorn.Config(
            app,
            lifespan="off",
            http=GuardedProtocol,
            ws="none",
            loop="none",
            access_log=False,
            log_config=None,
            server_header=False,
            date_header=False,
            timeout_keep_alive=_KEEP_ALIVE_S,
            timeout_graceful_shutdown=_DRAIN_S,
        ),
    )
    # uvicorn raises the signal that ended it once more when it is done; without a handler of ours that would end the
    # process before the last records are safe.
    for ending in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(ending, lambda: None)
    log.info("front.started", front=name)
    try:
        await server.serve(sockets=[listener])
    finally:
        await follower.close()
        await endpoints.close()
        await link.close()
        await recorder.close()
        log.info("front.stopped", front=name)
        await asyncio.sleep(0)
