"""A front's connection to one host: frames out, answers back, nothing else.

The protocol object never raises into the event loop: a broken frame, like a closed socket, ends the link, and the lane that
owns it is told once.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol, cast

from muster.packaging.columns import Buffer
from muster.serving.workers.roster import HostStanding
from muster_host import frames

#: Small pieces are put together: one copy costs less than many buffers handed to the kernel.
_JOIN_BELOW = 256 * 1024
#: A host that announces a larger answer is not believed, and nothing is kept for it.
_MOST_BYTES = 1 << 28


class LinkOwner(Protocol):
    """Whoever sends batches over a link."""

    def answered(self, link: "HostLink", sequence: int, payload: memoryview) -> None:
        """The host answered a batch."""

    def erred(self, link: "HostLink", sequence: int, payload: memoryview) -> None:
        """The host could not take the batch at all."""

    def lost(self, link: "HostLink") -> None:
        """The host is gone; nothing more will come."""


class HostLink(asyncio.Protocol):
    """One connection to one host."""

    def __init__(self, standing: HostStanding, owner: LinkOwner) -> None:
        self.standing = standing
        self.ready = False
        """The host has said hello, so it will take batches."""
        self._owner = owner
        self._transport: asyncio.Transport | None = None
        self._received = bytearray()
        self._needed = frames.HEAD_BYTES
        self._on_ready: Callable[[HostLink], None] | None = None
        self._gone = False
        self.closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        """Done when the connection has ended, whoever ended it."""

    @classmethod
    async def open(cls, standing: HostStanding, owner: LinkOwner, on_ready: Callable[["HostLink"], None]) -> "HostLink":
        """Connect; `on_ready` is called once the host has said hello.

        Raises:
            OSError: nobody listens there.
        """
        link = cls(standing, owner)
        link._on_ready = on_ready
        await asyncio.get_running_loop().create_unix_connection(lambda: link, standing.socket)
        return link

    def send(self, buffers: list[Buffer]) -> None:
        """Send one frame."""
        if self._transport is None:
            return
        if sum(map(len, buffers)) <= _JOIN_BELOW:
            self._transport.write(b"".join(buffers))
        else:
            self._transport.writelines(buffers)

    def close(self) -> None:
        """End the link; the owner is not told."""
        self._gone = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Asyncio: the socket is open."""
        self._transport = cast("asyncio.Transport", transport)
        if self._gone:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Asyncio: the socket is closed."""
        if not self.closed.done():
            self.closed.set_result(None)
        if not self._gone:
            self._gone = True
            self._owner.lost(self)

    def data_received(self, data: bytes) -> None:
        """Asyncio: bytes came."""
        if not self._received and self._whole(data):
            self._take(data)
            return
        self._received += data
        if len(self._received) >= self._needed:
            rest = self._take(bytes(self._received))
            self._received = bytearray(rest)

    def _whole(self, data: bytes) -> bool:
        """Whether the bytes are one frame exactly: then none of them needs to be copied."""
        return len(data) >= frames.HEAD_BYTES and len(data) == frames.HEAD_BYTES + int.from_bytes(data[:4], "little")

    def _take(self, data: bytes) -> bytes:
        """Hand on every whole frame and return what is left."""
        at = 0
        while not self._gone and len(data) - at >= frames.HEAD_BYTES:
            try:
                length, kind, sequence = frames.read_head(data[at : at + frames.HEAD_BYTES])
            except frames.FrameError:
                self._break()
                return b""
            if length > _MOST_BYTES:
                self._break()
                return b""
            end = at + frames.HEAD_BYTES + length
            if len(data) < end:
                self._needed = end - at
                return data[at:]
            self._frame(kind, sequence, memoryview(data)[at + frames.HEAD_BYTES : end])
            at = end
        self._needed = frames.HEAD_BYTES
        return data[at:]

    def _frame(self, kind: int, sequence: int, payload: memoryview) -> None:
        if kind == frames.ANSWER:
            self._owner.answered(self, sequence, payload)
        elif kind == frames.ERROR:
            self._owner.erred(self, sequence, payload)
        elif kind == frames.HELLO and not self.ready:
            self.ready = True
            if self._on_ready is not None:
                self._on_ready(self)

    def _break(self) -> None:
        if self._transport is not None:
            self._transport.abort()
