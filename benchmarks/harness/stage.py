"""The stage: everything that a part of the benchmark may ask for, started the first time that it is asked for."""

import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil

from harness.closed_loop import run_round
from harness.contenders import Contender
from harness.environments import NoEnvironment, environment
from harness.factory import RunningFactory
from harness.models import Trained
from harness.processes import Crew
from harness.servers import Fastapi, MlServer, start_echo, wait_for

FAMILIES = ("muster", "fastapi", "mlserver", "echo")
CONNECTIONS = (1, 16, 64)
_CAPACITY_AT = 64
_BUSY_PERCENT = 20.0
_SETTLED_WITHIN_S = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How long and how often."""

    only: tuple[str, ...] = FAMILIES
    """Which families take part; parts that need another are left out."""
    seconds: float
    """Of one closed-loop round; whole seconds."""
    rounds: int
    connections: tuple[int, ...] = CONNECTIONS
    on_time_s: float
    overload_s: float
    kill_s: float
    challenger_s: float
    tensors: bool = False


class Stage:
    """The contenders of one run.

    Args:
        crew: which all processes join.
        folder: for everything that is written; it is removed in the end.
        trained: the models.
        options: of the run.
    """

    def __init__(self, crew: Crew, folder: Path, trained: Trained, options: Options) -> None:
        self.crew = crew
        self.folder = folder
        self.trained = trained
        self.options = options
        self.left_out: dict[str, str] = {}
        """Who did not take part, and why."""
        self._factory: RunningFactory | None = None
        self._started: dict[str, Fastapi | MlServer] = {}
        self._contenders: dict[str, Contender] = {}
        self._began = time.monotonic()
        self._capacity: dict[str, float] = {}

    def told(self, what: str) -> None:
        """Say where the run is."""
        print(f"{time.monotonic() - self._began:5.0f} s  {what}", file=sys.stderr, flush=True)

    def has(self, family: str) -> bool:
        """Whether a family takes part."""
        return family in self.options.only and family not in self.left_out

    def binaries(self, name: str) -> Path:
        """Of an environment.

        Raises:
            NoEnvironment: it cannot be made.
        """
        return environment(name, self.told)

    @property
    def factory(self) -> RunningFactory:
        """The factory; it runs from then on."""
        if self._factory is None:
            self.told("starting a factory")
            self._factory = RunningFactory(self.crew, self.folder, self.trained)
        return self._factory

    def muster(self, *endpoints: str) -> list[Contender]:
        """Muster's endpoints, released and proven; none if Muster does not take part."""
        if not self.has("muster"):
            return []
        found = []
        for endpoint in endpoints:
            if f"muster-{endpoint}" not in self._contenders:
                self.told(f"register, certify, accept, release: {endpoint}")
                contender = self.factory.serve(endpoint)
                contender.prove(self.trained)
                self._contenders[contender.key] = contender
            found.append(self._contenders[f"muster-{endpoint}"])
        return found

    def fastapi(self, workers: int, *, has_duties: bool = False, model: str = "linear") -> list[Contender]:
        """FastAPI; none if it does not take part."""
        key = f"fastapi-{workers}{'-duties' if has_duties else ''}"
        return self._other("fastapi", key, model, lambda: self.new_fastapi(workers, has_duties=has_duties))

    def mlserver(self, model: str = "linear") -> list[Contender]:
        """MLServer; none if it does not take part."""
        return self._other("mlserver", "mlserver", model, self.new_mlserver)

    def echo(self) -> list[Contender]:
        """The ceilings."""
        found: list[Contender] = []
        for server in ("uvicorn", "granian"):
            if not self.has("echo"):
                break
            key = f"echo-{server}"
            try:
                if key not in self._contenders:
                    echo = start_echo(self.crew, self.binaries("bench"), self.trained, server=server)
                    self._contenders[key] = self._up(echo, key)
                found.append(self._contenders[key])
            except (NoEnvironment, RuntimeError) as error:
                self._leave_out(key, error)
        return found

    def new_fastapi(self, workers: int, *, has_duties: bool = False) -> Fastapi:
        """Another FastAPI, of the part's own."""
        return Fastapi(self.crew, self.binaries("bench"), self.folder, workers=workers, has_duties=has_duties)

    def new_mlserver(
        self, models: tuple[str, ...] = ("linear", "linear-adaptive", "boosted", "boosted-adaptive")
    ) -> MlServer:
        """Another MLServer, of the part's own."""
        return MlServer(self.crew, self.binaries("bench-mlserver"), self.folder, models=models)

    def capacity(self, contender: Contender) -> float:
        """Requests a second that a contender answers in the closed loop; measured now unless a part has measured it."""
        key = f"{contender.key} {contender.model}"
        if key not in self._capacity:
            self.settle()
            self.told(f"capacity of {contender.name}")
            run_round(contender, _CAPACITY_AT, 1)
            # The most, not the median: what a round loses to other programs is no lack of capacity.
            self._capacity[key] = max(run_round(contender, _CAPACITY_AT, 2).per_s for _ in range(3))
        return self._capacity[key]

    def settle(self) -> None:
        """Wait until the machine has done with what came before, or clearly has other work that does not end."""
        until = time.monotonic() + _SETTLED_WITHIN_S
        while psutil.cpu_percent(interval=0.5) > _BUSY_PERCENT and time.monotonic() < until:
            pass

    def _other(self, family: str, server: str, model: str, start: Callable[[], Fastapi | MlServer]) -> list[Contender]:
        if not self.has(family):
            return []
        key = f"{server} {model}"
        try:
            if server not in self._started:
                self.told(f"starting {server}")
                self._started[server] = start()
            if key not in self._contenders:
                contender = self._started[server].contender(self.trained, model)
                wait_for(self.crew, self._started[server].process, contender, server)
                contender.prove(self.trained)
                self._contenders[key] = contender
        except (NoEnvironment, RuntimeError) as error:
            self._leave_out(family, error)
            return []
        return [self._contenders[key]]

    def _up(self, contender: Contender, log: str) -> Contender:
        (process,) = (member for member in self.crew.members() if member.pid == contender.pid)
        wait_for(self.crew, process, contender, log)
        return contender

    def _leave_out(self, who: str, error: Exception) -> None:
        self.left_out[who] = str(error)
        self.told(f"{who} is left out: {error}")


def best(per_s: dict[str, float], families: Sequence[str]) -> float | None:
    """The most requests a second that anybody of these families reached."""
    found = [value for key, value in per_s.items() if key.partition("-")[0] in families and "duties" not in key]
    return max(found, default=None)
