"""A host that has answered its golden rows: it can be given requests, now or when the one before it ends."""

import asyncio
import contextlib
from dataclasses import dataclass
from pathlib import Path

import psutil

from muster.runtimes.channel import Channel, Hello
from muster.vocabulary.errors import MusterError

_STOP_WITHIN_S = 5.0


@dataclass(slots=True, kw_only=True)
class ProvenHost:
    """One host process, with a connection that tells when it ends."""

    id: str
    socket: Path
    process: psutil.Process
    environment: str
    hello: Hello
    reader: asyncio.StreamReader
    writer: asyncio.StreamWriter

    @property
    def pid(self) -> int:
        """Of the process."""
        return self.process.pid

    @property
    def is_alive(self) -> bool:
        """Whether it has not ended yet, as far as is known."""
        try:
            return self.process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    async def ended(self) -> None:
        """Return when it has ended."""
        with contextlib.suppress(OSError):
            while await self.reader.read(65536):  # it says hello to everybody who connects
                pass

    async def dispose(self) -> None:
        """End it, if it has not ended, and remove its socket."""
        self.writer.close()
        await asyncio.to_thread(end_host, self.process, self.socket)


def end_host(process: psutil.Process, socket: Path) -> None:
    """Let a host finish what it has received, then end it for good; psutil sees to it that a pid is not somebody else's by now."""
    with contextlib.suppress(psutil.NoSuchProcess):
        if process.is_running():
            with contextlib.suppress(MusterError), Channel(socket, _STOP_WITHIN_S) as channel:
                channel.stop()
            process.kill()
    with contextlib.suppress(FileNotFoundError):
        socket.unlink()
