"""One host for a while: started, used, ended. Certification, replay and `muster try` run models this way."""

import shutil
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from muster.runtimes.channel import LONGEST_SOCKET_PATH, Channel
from muster.runtimes.confinement import Confinement
from muster.runtimes.order import LoadOrder, order_of
from muster.runtimes.parent import Limits, Parent
from muster_host.confine import BEST_EFFORT, Level

_NAME = "host.sock"


class Interpreter(Protocol):
    """What is needed of an environment; `packaging.environments.Environment` is one."""

    @property
    def id(self) -> str:
        """Id of the environment."""
        ...

    @property
    def python(self) -> Path:
        """Its interpreter."""
        ...


@runtime_checkable
class Holdable(Protocol):
    """An environment that might be taken away."""

    def held(self) -> AbstractContextManager[None]:
        """Keep it while the block runs."""
        ...


@runtime_checkable
class Confining(Protocol):
    """An environment that knows what the operator says about shutting in what runs in it."""

    @property
    def confinement(self) -> Level:
        """What counts where this machine cannot."""
        ...


@contextmanager
def running_host(
    environment: Interpreter,
    bundle_dir: Path,
    order: LoadOrder | Mapping[str, Any],
    log: Path,
    *,
    limits: Limits | None = None,
    load_timeout_s: float = 300.0,
    answer_timeout_s: float = 60.0,
) -> Iterator[Channel]:
    """A connection to a fresh host of one bundle; the host ends with the block, and its environment is kept as long.

    Args:
        environment: where it runs.
        bundle_dir: the bundle's folder; wins over the one that the order names.
        order: the load order.
        log: where the host writes.
        limits: what it has to keep to.
        load_timeout_s: how long loading may take.
        answer_timeout_s: how long an answer may take where the caller says nothing else.

    Raises:
        HostNotStarted, OrderBroken, HostLoadFailed: there is no host; the message says why.
    """
    level = environment.confinement if isinstance(environment, Confining) else BEST_EFFORT
    wanted = order_of({**_plain(order), "bundle": str(bundle_dir.resolve())})
    folder = Path(tempfile.mkdtemp(prefix="muster-", dir=_short_folder()))
    try:
        with (
            environment.held() if isinstance(environment, Holdable) else nullcontext(),
            Parent(
                environment.python,
                environment.id,
                log,
                spares=False,
                threads=wanted.threads,
                confinement=Confinement.of(wanted, level),
                scratch=folder,
            ) as parent,
        ):
            parent.load(_NAME, wanted, load_timeout_s)
            parent.fork(_NAME, folder.name, folder / _NAME, limits=limits)
            with Channel(folder / _NAME, answer_timeout_s) as channel:
                yield channel
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _plain(order: LoadOrder | Mapping[str, Any]) -> dict[str, Any]:
    return order.document() if isinstance(order, LoadOrder) else dict(order)


def _short_folder() -> str | None:
    """Where temporary sockets go: the usual place, unless its path is too long for a socket's address."""
    usual = tempfile.gettempdir()
    return None if len(usual.encode()) + len("/muster-12345678/" + _NAME) <= LONGEST_SOCKET_PATH else "/tmp"  # noqa: S108
