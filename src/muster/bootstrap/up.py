"""Starts a whole factory on one machine: the parts, their sockets, the supervisor over them."""

import contextlib
import socket
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from muster.bootstrap.certificates import certificates_of
from muster.bootstrap.errors import HomeUnusable
from muster.bootstrap.home import Home, make_socket_folder
from muster.bootstrap.metrics import metrics_address, metrics_sockets, render_supervisor
from muster.supervision.supervisor import Part, Supervisor, listen, listen_together, reserve
from muster.telemetry.logs import set_up_logs
from muster.telemetry.metrics_door import shown_in_thread

#: Less than this on the home's disk, in bytes, and starting is not worth while.
_ROOM_TO_START = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where a factory answers."""

    host: str
    port: int
    scoring_port: int
    grpc_port: int
    """For the gRPC form of the scoring side."""
    tls: bool = False
    """The scoring side speaks TLS."""

    @property
    def control(self) -> str:
        """The control API, as this machine reaches it."""
        return f"http://{_reachable(self.host)}:{self.port}"

    @property
    def scoring(self) -> str:
        """The scoring side, as this machine reaches it."""
        return f"http{'s' if self.tls else ''}://{_reachable(self.host)}:{self.scoring_port}"

    @property
    def grpc(self) -> str:
        """The scoring side for gRPC clients, as this machine reaches it: `HOST:PORT`."""
        return f"{_reachable(self.host)}:{self.grpc_port}"


def bring_up(home: Home, addresses: Addresses, on_ready: Callable[[Addresses], None]) -> int:
    """Run a factory until it is asked to end.

    Args:
        home: its home.
        addresses: where it answers; port 0 takes any that is free.
        on_ready: called with the real addresses once control and fronts answer.

    Raises:
        AlreadyUp, PortInUse, AddressUnusable, PartKeepsEnding: it cannot start; nothing is left running.
        HomeUnusable: the home may not be written.
        CertificateUnusable: the scoring doors cannot speak TLS as the settings say.
    """
    with_tls = certificates_of(home) is not None
    make_socket_folder(home)
    try:
        supervisor = Supervisor(home.state, of=str(home.path))
        _try_to_write(home)
    except OSError as error:
        raise HomeUnusable(f"{home.state} cannot be written: {error}", home=str(home.path)) from error
    control_listener = listen(addresses.host, addresses.port)
    fronts = listen_together(addresses.host, addresses.scoring_port, home.settings.serving.fronts)
    with_grpc = home.settings.serving.grpc
    grpc_port = reserve(addresses.host, addresses.grpc_port) if with_grpc else None
    addresses = replace(
        addresses,
        port=control_listener.getsockname()[1],
        scoring_port=fronts[0].getsockname()[1],
        grpc_port=0 if grpc_port is None else grpc_port.getsockname()[1],
        tls=with_tls,
    )
    supervisor.answers_at(
        control=addresses.control, scoring=addresses.scoring, grpc=addresses.grpc if with_grpc else ""
    )
    grpc = ("--grpc", f"{_bracketed(addresses.host)}:{addresses.grpc_port}") if with_grpc else ()

    def part(kind: str, of: str, name: str, *more: str) -> Part:
        listener = control_listener if kind == "control" else None
        arguments = (kind, "--home", str(home.path), *more)
        return Part(kind=kind, of=of, arguments=arguments, listener=listener, log=_log(home, name))

    def front(number: int, listener: socket.socket) -> Part:
        name = f"front-{number}"
        made = part("front", name, name, "--number", str(number), "--control", addresses.control, *grpc)
        return replace(made, listener=listener, others=[other for other in fronts if other is not listener])

    parts = [
        part("control", addresses.control, "control", "--control", addresses.control, "--scoring", addresses.scoring),
        part("executor", str(home.path), "executor"),
        part("keeper", str(home.path), "keeper"),
        *(front(number, listener) for number, listener in enumerate(fronts)),
    ]

    def is_ready() -> bool:
        if not _answers(f"{addresses.control}/api/v1/health"):
            return False
        return _shakes_hands(addresses) if with_tls else _answers(f"{addresses.scoring}/v2/health/live")

    try:
        with (
            _logging(home),
            shown_in_thread(metrics_address(home, "supervisor"), lambda: render_supervisor(supervisor.lives())),
        ):
            return supervisor.run(parts, is_ready=is_ready, on_ready=lambda: on_ready(addresses))
    finally:
        for opened in (control_listener, *fronts, *([] if grpc_port is None else [grpc_port])):
            opened.close()
        _clear_sockets(home)


def _clear_sockets(home: Home) -> None:
    """Take away the folder of sockets, with those that ended processes have left in it."""
    for left_over in metrics_sockets(home).values():
        left_over.unlink(missing_ok=True)
    with contextlib.suppress(OSError):  # somebody is starting the factory again at this moment
        home.sockets.rmdir()


@contextmanager
def _logging(home: Home) -> Iterator[None]:
    """What this process logs goes where the other processes' logs are: its stdout and stderr belong to who called it."""
    with _log(home, "supervisor").open("a", buffering=1, encoding="utf-8") as lines:
        set_up_logs("supervisor", to=lines)
        yield


def _try_to_write(home: Home) -> None:
    """Raise OSError now, and not in the middle of the start, when the home's disk is full or takes no files."""
    trial = home.state / "trial"
    try:
        trial.write_bytes(bytes(_ROOM_TO_START))
    finally:
        trial.unlink(missing_ok=True)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=0.5).is_success
    except httpx.HTTPError:
        return False


def _shakes_hands(addresses: Addresses) -> bool:
    """Whether a front speaks TLS at the scoring address.

    More cannot be asked: it may want a certificate that only its callers have, and its own may name another address than the one that
    this machine uses. It need not be checked who it is either, as the socket is ours.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    try:
        with (
            socket.create_connection((_dialled(addresses.host), addresses.scoring_port), timeout=0.5) as connection,
            context.wrap_socket(connection),
        ):
            return True
    except OSError:  # TLS errors are among them; with 1.3 a client's certificate is asked for after the handshake
        return False


def _log(home: Home, name: str) -> Path:
    return home.logs / f"{name}.log"


def _reachable(host: str) -> str:
    return _bracketed(_dialled(host))


def _dialled(host: str) -> str:
    if host in {"0.0.0.0", ""}:  # noqa: S104 - what the user asked to listen on, not what we choose
        return "127.0.0.1"
    return host


def _bracketed(host: str) -> str:
    if host == "":
        return "0.0.0.0"  # noqa: S104 - what an empty host means to a socket
    return f"[{host}]" if ":" in host else host
