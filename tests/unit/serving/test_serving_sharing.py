"""A front accepts what waits at the sockets of fronts that do not come."""

import asyncio
import socket
from contextlib import ExitStack, closing

from muster.serving.front.sharing import Helper
from muster.supervision.supervisor import listen


def test_what_waits_at_another_fronts_socket_is_served() -> None:
    """Ten callers of a front that is dead are adopted; once it accepts itself again, it is left alone."""

    async def story() -> None:
        served: list[socket.socket] = []

        async def adopt(connection: socket.socket) -> None:
            served.append(connection)

        with closing(listen("127.0.0.1", 0)) as kept, ExitStack() as stack:
            kept.setblocking(False)
            dead = kept.dup()
            helper = Helper([dead], adopt)
            for _ in range(10):
                stack.enter_context(socket.create_connection(kept.getsockname()))
            async with asyncio.timeout(10):
                while len(served) < 10:
                    await asyncio.sleep(0.005)
            loop = asyncio.get_running_loop()
            for _ in range(20):
                stack.enter_context(socket.create_connection(kept.getsockname()))
                connection, _ = await loop.sock_accept(kept)
                connection.close()
            assert len(served) == 10
            await helper.close()
            for connection in served:
                connection.close()

    asyncio.run(story())


def test_a_connection_that_cannot_be_served_is_closed() -> None:
    """A caller that has gone again, or does not speak TLS, ends nothing but its own connection."""

    async def story() -> None:
        async def adopt(_: socket.socket) -> None:
            raise ConnectionResetError

        with closing(listen("127.0.0.1", 0)) as kept:
            kept.setblocking(False)
            helper = Helper([kept.dup()], adopt)
            for _ in range(2):
                with socket.create_connection(kept.getsockname()) as caller:
                    caller.setblocking(False)
                    async with asyncio.timeout(10):
                        assert await asyncio.get_running_loop().sock_recv(caller, 1) == b""
            await helper.close()

    asyncio.run(story())
