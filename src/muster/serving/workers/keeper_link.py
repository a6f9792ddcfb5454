"""A front's connection to the keeper: says which hosts it wants, hears how they are; connects again for ever."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import msgspec
import structlog

from muster.serving.workers.roster import HostStanding, Hung, Wanted, WantedHost, line, read_standings

_AGAIN_AFTER_S = 0.05
_LINE_LIMIT = 64 * 1024 * 1024
log = structlog.get_logger()


class KeeperLink:
    """The link of one front.

    Args:
        socket: where the keeper listens.
        front: this front's name.
    """

    def __init__(self, socket: Path, front: str) -> None:
        self._socket = socket
        self._front = front
        self._wanted: tuple[WantedHost, ...] | None = None
        self._writer: asyncio.StreamWriter | None = None
        self.on_standings: Callable[[tuple[HostStanding, ...]], None] = lambda _: None
        self._following = asyncio.get_running_loop().create_task(self._follow(), name="keeper.follow")

    def want(self, hosts: tuple[WantedHost, ...]) -> None:
        """These hosts, and no others, shall run for this front."""
        self._wanted = hosts
        self._say(Wanted(self._front, hosts))

    def hung(self, host: str) -> None:
        """This host does not answer any more."""
        self._say(Hung(host))

    async def close(self) -> None:
        """End the link; the keeper then forgets what this front wanted."""
        self._following.cancel()
        await asyncio.gather(self._following, return_exceptions=True)

    def _say(self, message: Wanted | Hung) -> None:
        if self._writer is not None:
            self._writer.write(line(message))

    async def _follow(self) -> None:
        while True:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError, ValueError):
                await self._listen()
            self._writer = None
            await asyncio.sleep(_AGAIN_AFTER_S)

    async def _listen(self) -> None:
        reader, writer = await asyncio.open_unix_connection(str(self._socket), limit=_LINE_LIMIT)
        self._writer = writer
        try:
            if self._wanted is not None:
                self._say(Wanted(self._front, self._wanted))
            while text := await reader.readline():
                try:
                    self.on_standings(read_standings.decode(text).hosts)
                except msgspec.MsgspecError as error:
                    log.error("keeper.unreadable", error=str(error))
        finally:
            self._writer = None
            writer.close()
