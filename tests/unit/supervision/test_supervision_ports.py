"""Ports that several processes listen on together, and ports that another program has."""

import socket
from contextlib import ExitStack, closing

import pytest

from muster.supervision.errors import PortInUse
from muster.supervision.supervisor import listen, listen_together, reserve

HOST = "127.0.0.1"


def connected(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), 2).close()
    except ConnectionRefusedError:
        return False
    return True


def test_fronts_share_a_port_evenly() -> None:
    """Three sockets on one port: of 120 connections each gets a good part."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(closing(one)) for one in listen_together(HOST, 0, 3)]
        (port,) = {one.getsockname()[1] for one in sockets}
        for _ in range(120):
            stack.enter_context(socket.create_connection((HOST, port), 2))
        shares = []
        for one in sockets:
            one.setblocking(False)
            count = 0
            while True:
                try:
                    stack.enter_context(one.accept()[0])
                except BlockingIOError:
                    break
                count += 1
            shares.append(count)
        assert sum(shares) == 120
        assert min(shares) >= 15, shares


def test_a_port_of_another_program_is_found_in_use() -> None:
    """Whether it shares the port or not, and whether we would share it or not."""
    with closing(listen(HOST, 0)) as taken:
        port = taken.getsockname()[1]
        for take in (
            lambda: listen_together(HOST, port, 3),
            lambda: listen_together(HOST, port, 1),
            lambda: reserve(HOST, port),
        ):
            with pytest.raises(PortInUse):
                take()
    with ExitStack() as stack:
        shared = [stack.enter_context(closing(one)) for one in listen_together(HOST, 0, 2)]
        with pytest.raises(PortInUse):
            reserve(HOST, shared[0].getsockname()[1])


def test_a_reserved_port_takes_no_connection_and_is_not_given_away() -> None:
    """Nobody is left waiting at it; a process that shares it may listen, another may not."""
    with closing(reserve(HOST, 0)) as reserved:
        port = reserved.getsockname()[1]
        assert not connected(port)
        with pytest.raises(PortInUse):
            listen(HOST, port)
        with pytest.raises(PortInUse):
            reserve(HOST, port)
        with closing(socket.socket()) as front:
            front.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            front.bind((HOST, port))
            front.listen()
            assert connected(port)


@pytest.mark.parametrize("before", [1, 2], ids=["listened on alone", "shared"])
def test_a_port_is_had_again_right_after_its_connections_were_closed(before: int) -> None:
    """What the kernel keeps of them for a minute is in nobody's way."""
    sockets = listen_together(HOST, 0, before)
    port = sockets[0].getsockname()[1]
    for one in sockets[1:]:
        one.close()
    with closing(sockets[0]) as front, socket.create_connection((HOST, port), 2) as caller:
        front.accept()[0].close()  # whoever closes first is left with the remains
        assert caller.recv(1) == b""
    reserve(HOST, port).close()
    for one in listen_together(HOST, port, 2):
        one.close()
