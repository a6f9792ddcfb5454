"""Serves the application with uvicorn, and stops without keeping anybody waiting."""

import socket

import uvicorn
from litestar import Litestar
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from muster.api.following import Following
from muster.api.metrics import Counted

#: What is under way when the end is ordered has this long to be answered.
_LAST_ANSWERS_S = 10
#: Most bytes of a request that are no body, as far as they came in one piece: its line and headers, and what frames the body.
HEAD_BYTES = 65_536
#: A body in pieces of one byte each is framed by seven; so much may come with each byte of a body.
_FRAMING = 8


class BoundedHeads(HttpToolsProtocol):
    """uvicorn's HTTP that takes no head without end: its parser alone would keep whatever comes before a token can be looked at."""

    def __init__(self, *given: object, **named: object) -> None:
        super().__init__(*given, **named)  # type: ignore[arg-type]
        self._room = HEAD_BYTES

    def data_received(self, data: bytes) -> None:
        """Parse what came, and end the connection when there is too much beside bodies."""
        self._room -= len(data)
        super().data_received(data)
        if self._room < 0 and not self.transport.is_closing():
            self.logger.warning("Invalid HTTP request received.")
            self.send_400_response(f"The head of a request may have {HEAD_BYTES} bytes.")

    def on_body(self, body: bytes) -> None:
        """A piece of a body."""
        self._room += (1 + _FRAMING) * len(body)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """The end of a request: the next one has room of its own."""
        self._room = HEAD_BYTES
        super().on_message_complete()


class ControlServer(uvicorn.Server):
    """uvicorn that answers the waiting fronts first when it is told to stop.

    Args:
        app: what `create_app` made.
    """

    def __init__(self, app: Litestar) -> None:
        config = uvicorn.Config(
            Counted(app, app.state.counts),
            http=BoundedHeads,
            ws="none",
            log_config=None,  # the process has set its logs up
            access_log=False,
            server_header=False,
            proxy_headers=False,  # whoever connects could say in them who it is; sign-in believes named proxies alone
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
