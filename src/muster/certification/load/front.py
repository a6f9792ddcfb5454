"""A front before the host that is examined, so that load meets what callers meet: HTTP, token, contract, batching, decision record."""

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import httpx
import msgspec

from muster.certification.errors import FrontNotStarted
from muster.certification.load.front_process import KEEPER, LOG, PUBLICATIONS
from muster.packaging.contract import contract_digest
from muster.registry.records import Version
from muster.runtimes.channel import Channel
from muster.serving.workers.roster import HostStanding, Standings, Wanted, line, read_from_front
from muster.vocabulary.states import Role
from muster.wire.plans import (
    AccessEntry,
    AccessList,
    EndpointPlans,
    FirstPolicy,
    PlannedVariant,
    Publication,
    Publications,
    RequestLimits,
    ServingPlan,
)

ENDPOINT = "under-load"
_START_S = 30.0
_STOP_S = 10.0
_LOOK_S = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Front:
    """A front that answers."""

    port: int
    """On 127.0.0.1."""
    token: str
    path: str = f"/score/{ENDPOINT}"


@contextmanager
def running_front(version: Version, channel: Channel, *, rows: int, deadline_s: float) -> Iterator[Front]:
    """A front that has this host and no other; it ends with the block, the host goes on.

    Args:
        version: what the host answers for.
        channel: to the host.
        rows: of one request.
        deadline_s: by when a request is answered; later ones are counted as not answered.

    Raises:
        FrontNotStarted: it did not become ready; the message has the end of its log.
    """
    token = "mst_" + secrets.token_hex(24)
    with (
        tempfile.TemporaryDirectory(prefix="muster-front-") as name,
        _Keeper(Path(name) / KEEPER, channel),
        contextlib.closing(socket.create_server(("127.0.0.1", 0), backlog=512)) as listener,
    ):
        folder = Path(name)
        (folder / PUBLICATIONS).write_bytes(
            msgspec.json.encode(_publications(version, token, rows=rows, deadline_s=deadline_s))
        )
        front = Front(port=listener.getsockname()[1], token=token)
        with _process(folder, listener) as process:
            _await_ready(front, process, folder / LOG)
            yield front


class _Keeper:
    """Tells a front that the one host is up; a context manager.

    Args:
        path: of the socket at which the front asks.
        channel: to the host.
    """

    def __init__(self, path: Path, channel: Channel) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.bind(str(path))
        self._socket.listen(4)
        self._channel = channel
        self._peers: list[socket.socket] = []
        self._thread = threading.Thread(target=self._serve, name="keeper-of-one", daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        for one in (self._socket, *self._peers):
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        for one in (self._socket, *self._peers):
            one.close()

    def _serve(self) -> None:
        while True:
            try:
                peer, _ = self._socket.accept()
            except OSError:  # it was shut down
                return
            self._peers.append(peer)
            with contextlib.suppress(OSError, msgspec.MsgspecError), peer.makefile("rb") as lines:
                for text in lines:
                    told = read_from_front.decode(text)
                    if isinstance(told, Wanted):
                        peer.sendall(line(Standings(tuple(self._standing(host.key) for host in told.hosts))))

    def _standing(self, key: str) -> HostStanding:
        hello = self._channel.hello
        return HostStanding(
            key=key,
            state="up",
            host=hello.host,
            socket=str(self._channel.path),
            pid=hello.pid,
            environment=hello.environment,
            cpu=hello.cpu,
            threads=hello.threads,
        )


def _publications(version: Version, token: str, *, rows: int, deadline_s: float) -> Publications:
    plan = ServingPlan(
        format=1,
        project=version.project,
        endpoint=ENDPOINT,
        release=1,
        contract=version.contract,
        contract_digest=contract_digest(version.contract),
        variants=(
            PlannedVariant(
                version=str(version.name),
                role=Role.CHAMPION,
                manifest=version.digest,
                inputs=tuple(field.name for field in version.contract.inputs),
            ),
        ),
        policy=FirstPolicy(order=(str(version.name),), patience_ms=(1000 * deadline_s,)),
        deadline_ms=1000 * deadline_s,
        limits=RequestLimits(rows=max(1000, rows), body_bytes=256 * 1024 * 1024),
    )
    entry = AccessEntry(
        token_id="tok_load",  # noqa: S106 - its name, not the token
        sha256=sha256(token.encode()).hexdigest(),
        name="certification",
        endpoints=(f"{version.project}/{ENDPOINT}",),
    )
    return Publications(
        2,
        (
            Publication(1, "access", AccessList(1, (entry,))),
            Publication(2, f"endpoint/{ENDPOINT}", EndpointPlans(ENDPOINT, serving=plan)),
        ),
    )


@contextmanager
def _process(folder: Path, listener: socket.socket) -> Iterator[subprocess.Popen[bytes]]:
    reading, lifeline = os.pipe()
    try:
        with (folder / LOG).open("wb") as log:
            process = subprocess.Popen(
                [
                    sys.executable,
                    "-m",
                    "muster.certification.load.front_process",
                    str(folder),
                    str(listener.fileno()),
                    str(reading),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                pass_fds=(listener.fileno(), reading),
                start_new_session=True,
            )
        with process:
            try:
                yield process
            finally:
                process.send_signal(signal.SIGTERM)
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_STOP_S)
                process.kill()
    finally:
        os.close(lifeline)
        os.close(reading)


def _await_ready(front: Front, process: subprocess.Popen[bytes], log: Path) -> None:
    until = time.monotonic() + _START_S
    with httpx.Client(base_url=f"http://127.0.0.1:{front.port}", timeout=5.0, trust_env=False) as client:
        while time.monotonic() < until and process.poll() is None:
            with contextlib.suppress(httpx.HTTPError):
                if client.get("/v2/health/ready").is_success:
                    return
            time.sleep(_LOOK_S)
    told = log.read_text(errors="replace")[-600:]
    raise FrontNotStarted(f"the front for the load did not become ready: {told}")
