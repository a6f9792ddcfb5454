"""Serves the application with uvicorn, and stops without keeping anybody waiting."""

import socket

import uvicorn
from litestar import Litestar

from muster.api.following import Following
from muster.api.metrics import Counted

#: What is under way when the end is ordered has this long to be answered.
_LAST_ANSWERS_S = 10


class ControlServer(uvicorn.Server):
    """uvicorn that answers the waiting fronts first when it is told to stop.

    Args:
        app: what `create_app` made.
    """

    def __init__(self, app: Litestar) -> None:
        config = uvicorn.Config(
            Counted(app, app.state.counts),
            http="httptools",
            log_config=None,  # the process has set its logs up
            access_log=False,
            server_header=False,
            lifespan="on",
            timeout_graceful_shutdown=_LAST_ANSWERS_S,
        )
        super().__init__(config)
        self._following: Following = app.state.following

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Let everybody go, then end."""
        self._following.close()
        await super().shutdown(sockets)


def serve(app: Litestar, listener: socket.socket) -> None:
    """Answer on a listening socket until SIGTERM or SIGINT; returns once what was under way is answered."""
    ControlServer(app).run(sockets=[listener])
