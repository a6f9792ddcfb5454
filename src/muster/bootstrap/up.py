"""Starts a whole factory on one machine: the parts, their sockets, the supervisor over them."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

import httpx

from muster.bootstrap.errors import HomeUnusable
from muster.bootstrap.home import Home, make_socket_folder
from muster.supervision.supervisor import Part, Supervisor, listen

#: Less than this on the home's disk, in bytes, and starting is not worth while.
_ROOM_TO_START = 1024 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class Addresses:
    """Where a factory answers."""

    host: str
    port: int
    scoring_port: int
    grpc_port: int
    """Kept for the gRPC service of the scoring side; nothing listens there yet."""

    @property
    def control(self) -> str:
        """The control API, as this machine reaches it."""
        return f"http://{_reachable(self.host)}:{self.port}"

    @property
    def scoring(self) -> str:
        """The scoring side, as this machine reaches it."""
        return f"http://{_reachable(self.host)}:{self.scoring_port}"


def bring_up(home: Home, addresses: Addresses, on_ready: Callable[[Addresses], None]) -> int:
    """Run a factory until it is asked to end.

    Args:
        home: its home.
        addresses: where it answers; port 0 takes any that is free.
        on_ready: called with the real addresses once control and fronts answer.

    Raises:
        AlreadyUp, PortInUse, AddressUnusable, PartKeepsEnding: it cannot start; nothing is left running.
        HomeUnusable: the home may not be written.
    """
    make_socket_folder(home)
    try:
        supervisor = Supervisor(home.state, of=str(home.path))
        _try_to_write(home)
    except OSError as error:
        raise HomeUnusable(f"{home.state} cannot be written: {error}", home=str(home.path)) from error
    control_listener = listen(addresses.host, addresses.port)
    scoring_listener = listen(addresses.host, addresses.scoring_port)
    addresses = replace(
        addresses, port=control_listener.getsockname()[1], scoring_port=scoring_listener.getsockname()[1]
    )
    supervisor.answers_at(control=addresses.control, scoring=addresses.scoring)

    def part(kind: str, of: str, name: str, *more: str) -> Part:
        listener = {"control": control_listener, "front": scoring_listener}.get(kind)
        arguments = (kind, "--home", str(home.path), *more)
        return Part(kind=kind, of=of, arguments=arguments, listener=listener, log=_log(home, name))

    parts = [
        part("control", addresses.control, "control", "--control", addresses.control, "--scoring", addresses.scoring),
        part("executor", str(home.path), "executor"),
        part("keeper", str(home.path), "keeper"),
        *(
            part("front", f"front-{number}", f"front-{number}", "--number", str(number), "--control", addresses.control)
            for number in range(home.settings.serving.fronts)
        ),
    ]

    def is_ready() -> bool:
        return _answers(f"{addresses.control}/api/v1/health") and _answers(f"{addresses.scoring}/v2/health/live")

    try:
        return supervisor.run(parts, is_ready=is_ready, on_ready=lambda: on_ready(addresses))
    finally:
        control_listener.close()
        scoring_listener.close()


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


def _log(home: Home, name: str) -> Path:
    return home.logs / f"{name}.log"


def _reachable(host: str) -> str:
    if host in {"0.0.0.0", ""}:  # noqa: S104 - what the user asked to listen on, not what we choose
        return "127.0.0.1"
    return f"[{host}]" if ":" in host else host
