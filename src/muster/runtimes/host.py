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
    with hosts(
        environment,
        bundle_dir,
        order,
        log,
        limits=limits,
        load_timeout_s=load_timeout_s,
        answer_timeout_s=answer_timeout_s,
    ) as succession:
        yield succession.start()


class Succession:
    """Hosts of one bundle, one at a time: each is forked from the same parent, so that the next is there soon after the last.

    Args:
        parent: has loaded the model.
        folder: of the sockets.
        limits: what each has to keep to.
        answer_timeout_s: how long an answer may take where the caller says nothing else.
    """

    def __init__(self, parent: Parent, folder: Path, limits: Limits | None, answer_timeout_s: float) -> None:
        self._parent = parent
        self._folder = folder
        self._limits = limits
        self._answer_timeout_s = answer_timeout_s
        self._started = 0
        self._channel: Channel | None = None

    def start(self) -> Channel:
        """A connection to a fresh host; the one before is ended, dead or alive.

        Raises:
            HostLoadFailed, HostGone, HostTimedOut: there is none.
        """
        self.end()
        self._started += 1
        name = _NAME if self._started == 1 else f"{self._started}.sock"
        self._parent.fork(_NAME, self._host(), self._folder / name, limits=self._limits)
        self._channel = Channel(self._folder / name, self._answer_timeout_s)
        return self._channel

    def end(self) -> None:
        """End the host at once, and the connection to it, if there is one."""
        if self._channel is not None:
            self.close()
            self._parent.kill(self._host())

    def close(self) -> None:
        """End the connection; the host goes on as long as its parent."""
        if self._channel is not None:
            self._channel.close()
            self._channel = None

    def _host(self) -> str:
        return self._folder.name if self._started == 1 else f"{self._folder.name}-{self._started}"


@contextmanager
def hosts(
    environment: Interpreter,
    bundle_dir: Path,
    order: LoadOrder | Mapping[str, Any],
    log: Path,
    *,
    limits: Limits | None = None,
    load_timeout_s: float = 300.0,
    answer_timeout_s: float = 60.0,
) -> Iterator[Succession]:
    """Hosts of one bundle, for whoever may need another after the first; the arguments are those of `running_host`.

    Raises:
        HostNotStarted, OrderBroken, HostLoadFailed: the model cannot be loaded; the message says why.
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
            succession = Succession(parent, folder, limits, answer_timeout_s)
            try:
                yield succession
            finally:
                succession.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _plain(order: LoadOrder | Mapping[str, Any]) -> dict[str, Any]:
    return order.document() if isinstance(order, LoadOrder) else dict(order)


def _short_folder() -> str | None:
    """Where temporary sockets go: the usual place, unless its path is too long for a socket's address."""
    usual = tempfile.gettempdir()
    return None if len(usual.encode()) + len("/muster-12345678/" + _NAME) <= LONGEST_SOCKET_PATH else "/tmp"  # noqa: S108
