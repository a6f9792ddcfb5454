"""A real factory, run as its users run it: `muster init`, `muster up`, people with tokens, register to release."""

import contextlib
import http.client
import io
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

from harness import models
from harness.contenders import Contender, last_of_first_output, row_bodies, tensor_bodies
from harness.models import Trained
from harness.processes import Crew, family, pss_mb, wait_until
from muster.client.control import Factory, connect
from muster.livetests.errors import LiveTestOver
from muster.supervision.state import ProcessEntry, running
from muster.supervision.supervisor import listen
from muster.vocabulary.states import LiveTestState, ReleaseState
from muster.wire.livetests import LiveTest

MUSTER = (sys.executable, "-m", "muster")
SERVING_SIDE = frozenset({"keeper", "front", "parent", "host", "shadow"})
DEADLINE_MS = 100.0
_PEOPLE = (("ana", "scientist"), ("ben", "approver"), ("olga", "operator"), ("shop", "consumer"))
_SETTINGS = {
    # Compaction is the executor's, at leisure; it would run into the turn of another contender.
    "MUSTER_ARCHIVE_COMPACT_AFTER_S": "86400",
    # So that a model that leaks meets its limit while somebody looks.
    "MUSTER_SERVING_HOST_MEMORY_MIB": "1024",
}
_UP_WITHIN_S = 90.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Roster:
    """Who is at an endpoint."""

    champion: str
    """Key of a version, as `RunningFactory.version` takes it."""
    challengers: tuple[str, ...] = ()
    answer: bool = True
    """Whether the challengers stand in for the champion."""
    archive: Literal["sync", "group", "async"] = "group"


#: Every endpoint that a part of the benchmark asks.
ROSTERS = {
    "one": Roster(champion="linear-0"),
    "three": Roster(champion="linear-0", challengers=("linear-1", "linear-2")),
    "boosted": Roster(champion="boosted"),
    "null": Roster(champion="null"),
    "slow": Roster(champion="slow"),
    "tensors": Roster(champion="tensors"),
    "one-async": Roster(champion="linear-0", archive="async"),
    "hanging": Roster(champion="trickster-0", challengers=("linear-1", "linear-2")),
    "dueling": Roster(champion="linear-0", challengers=("trickster-1",), answer=False),
}


class RunningFactory:
    """A factory in a folder of its own, with its people.

    Args:
        crew: which its supervisor joins.
        folder: where its home and the bundles lie.
        trained: the models.
    """

    def __init__(self, crew: Crew, folder: Path, trained: Trained) -> None:
        self._crew = crew
        self._folder = folder
        self._trained = trained
        self.home = folder / "home"
        self._versions: dict[str, str] = {}
        self._endpoints: set[str] = set()
        self.ports = (0, 0)
        made = subprocess.run(
            [*MUSTER, "init", str(self.home), "--json"], capture_output=True, env=self._environ(fronts=1), check=False
        )
        if made.returncode != 0:
            raise RuntimeError(f"muster init failed: {made.stderr.decode()}")
        self.up()
        admin = (self.home / "admin.token").read_text().strip()
        with connect(self.control, token=admin) as factory:
            self._tokens = {name: str(factory.add_user(name, role).token) for name, role in _PEOPLE}

    def _environ(self, *, fronts: int) -> dict[str, str]:
        mine = ("MUSTER_URL", "MUSTER_TOKEN", "MUSTER_HOME", "MUSTER_SCORING_URL", "MUSTER_PROJECT")
        kept = {name: value for name, value in os.environ.items() if name not in mine}
        return {
            **kept,
            **_SETTINGS,
            "MUSTER_SERVING_FRONTS": str(fronts),
            "XDG_CONFIG_HOME": str(self._folder / "config"),
        }

    # Its life.

    def up(self, *, fronts: int = 1) -> None:
        """Start it; returns when it answers, on the same ports as before."""
        self._start(fronts=fronts)
        assert self.process.stdout is not None
        said = b""
        while not said.endswith(b"}\n"):
            line = self.process.stdout.readline()
            if not line:
                raise RuntimeError(f"muster up failed: {self._crew.log_of('muster')}")
            said += line
        addresses = json.loads(said)
        self.control, self.scoring = addresses["control"], addresses["scoring"]
        control, scoring = (urlsplit(address).port or 0 for address in (self.control, self.scoring))
        self.ports = (control, scoring)

    def _start(self, *, fronts: int) -> None:
        self.process = self._crew.start(
            "muster",
            [
                *(*MUSTER, "up", "--home", str(self.home), "--json", "--grpc-port", "0"),
                *("--port", str(self.ports[0]), "--scoring-port", str(self.ports[1])),
            ],
            environment=self._environ(fronts=fronts),
            stdout=subprocess.PIPE,
        )

    def down(self) -> None:
        """End it in order."""
        self._crew.end(self.process)
        assert self.process.stdout is not None
        self.process.stdout.close()

    def start_to_first_answer(self, contender: Contender) -> float:
        """Start it again; seconds from `muster up` to the first scored request. The plan is cached, the parts are down."""
        began = time.perf_counter()
        self._start(fronts=1)
        return self._first_answer(contender, began)

    def _first_answer(self, contender: Contender, began: float) -> float:
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                if contender.ask(timeout_s=1.0)[0] == 200:
                    return time.perf_counter() - began
            if time.perf_counter() - began > _UP_WITHIN_S:
                raise TimeoutError(f"no answer within {_UP_WITHIN_S:.0f} s of the start")
            time.sleep(0.01)

    @contextlib.contextmanager
    def serving_side(self, contender: Contender) -> Iterator[tuple[float, Callable[[], list[int]]]]:
        """Keeper and front alone, as their supervisor starts them, while the control plane is down.

        Gives the seconds from the start to the first scored request, and the pids of all that runs.
        """
        listener = listen("127.0.0.1", self.ports[1])
        entry = [sys.executable, "-m", "muster.bootstrap.process"]
        began = time.perf_counter()
        keeper = self._crew.start(
            "keeper", [*entry, "keeper", "--home", str(self.home)], environment=self._environ(fronts=1)
        )
        front = self._crew.start(
            "front",
            [
                *(*entry, "front", "--home", str(self.home), "--control", f"http://127.0.0.1:{self.ports[0]}"),
                *("--listen-fd", str(listener.fileno())),
            ],
            environment=self._environ(fronts=1),
            pass_fds=[listener.fileno()],
        )
        try:
            yield self._first_answer(contender, began), lambda: [*family(keeper.pid), *family(front.pid)]
        finally:
            for process in (front, keeper):
                self._crew.end(process)
            listener.close()

    def wait_for(self, contender: Contender) -> None:
        """Until an endpoint is answered again.

        Raises:
            TimeoutError: it is not within 90 s; the message holds what the factory logged last.
        """
        try:
            wait_until(contender.answers_now, within_s=_UP_WITHIN_S, told=f"an answer of {contender.name}")
        except TimeoutError as error:
            logs = sorted((self.home / "logs").glob("*.log"))
            ends = [f"{log.name}:\n{''.join(log.read_text().splitlines(keepends=True)[-8:])}" for log in logs]
            raise TimeoutError("\n".join([f"{error}; {contender.said_now()}", *ends])) from error

    # Its processes.

    def processes(self, *kinds: str) -> list[ProcessEntry]:
        """What runs, as `muster ps` lists it."""
        return [entry for entry in running(self.home / "run") if not kinds or entry.kind in kinds]

    def pss_mb(self) -> dict[str, float]:
        """Memory of the serving side and of everything, in megabytes."""
        entries = self.processes()
        by_kind: dict[str, float] = {}
        for entry in entries:
            by_kind[entry.kind] = by_kind.get(entry.kind, 0.0) + pss_mb([entry.pid])
        return {
            **by_kind,
            "serving side": sum(by_kind.get(kind, 0.0) for kind in SERVING_SIDE),
            "muster up": sum(by_kind.values()),
        }

    def hosts(self, endpoint: str, version: str) -> list[int]:
        """Pids of the hosts of a version at an endpoint."""
        of = f"{endpoint}/{self._versions[version]}"
        return [entry.pid for entry in self.processes("host") if entry.of.endswith(of)]

    def kill_host(self, endpoint: str, version: str) -> int:
        """SIGKILL; the pid it had."""
        pid: int = wait_until(lambda: self.hosts(endpoint, version), within_s=30, told=f"a host of {version}")[0]
        os.kill(pid, signal.SIGKILL)
        return pid

    # Its models.

    def trigger(self, version: str) -> Path:
        """The file that makes a trickster play."""
        return self._folder / f"{version}.trick"

    def version(self, key: str) -> str:
        """A version, registered, certified and accepted the first time it is asked for.

        Args:
            key: kind and number: `linear-0`, `boosted`, `trickster-1`.
        """
        if key not in self._versions:
            kind, _, number = key.partition("-")
            trained = self._trained if number in {"", "0"} else models.train(int(number))
            bundle = self._folder / "bundles" / key
            bundle.parent.mkdir(exist_ok=True)
            with contextlib.redirect_stderr(io.StringIO()):  # it says that no estimator is written with cloudpickle
                models.save_bundle(trained, kind, bundle, trigger=self.trigger(key))
            with self._as("ana") as ana:
                name = ana.register(bundle).version
                verdict = ana.certify(name)
            if not verdict.passed:
                raise RuntimeError(f"{key} was not certified: {verdict.checks}")
            with self._as("ben") as ben:
                ben.accept(name, "for the benchmark")
            shutil.rmtree(bundle)
            self._versions[key] = name
        return self._versions[key]

    def serve(self, endpoint: str) -> Contender:
        """Release an endpoint, if it is not served yet; the way to ask it."""
        roster = ROSTERS[endpoint]
        if endpoint not in self._endpoints:
            champion, *others = (self.version(key) for key in (roster.champion, *roster.challengers))
            with self._as("ana") as ana:
                proposed = ana.propose(
                    endpoint,
                    champion=champion,
                    challengers=others,
                    order=[champion, *others] if roster.answer else [champion],
                    deadline=f"{DEADLINE_MS:.0f}ms",
                    archive_level=roster.archive,
                    reason="for the benchmark",
                )
            with self._as("ben") as ben:
                approved = ben.approve(endpoint, proposed.release, "go")
            if approved.state is not ReleaseState.LIVE:
                raise RuntimeError(f"the release at {endpoint} is {approved.state}: {approved}")
            self._endpoints.add(endpoint)
        contender = self.contender(endpoint)
        wait_until(contender.answers_now, within_s=30, told=f"an answer at {endpoint}")
        return contender

    @contextlib.contextmanager
    def on_trial(self, endpoint: str, key: str) -> Iterator[int]:
        """A version on trial at an endpoint that is served, until the end of the block; the number of the live-test."""
        version = self.version(key)
        with self._as("olga") as olga:
            started = olga.start_live_test(endpoint, version, "for the benchmark", hours=24)

            def is_running() -> bool:
                found = olga.live_test(endpoint, started.number)
                if found.state not in {LiveTestState.QUEUED, LiveTestState.LOADING, LiveTestState.RUNNING}:
                    raise RuntimeError(f"the live-test is {found.state}: {found.outcome}")
                return found.state is LiveTestState.RUNNING

            wait_until(is_running, within_s=60, told=f"a live-test of {version}")
            try:
                yield started.number
            finally:
                with contextlib.suppress(LiveTestOver):
                    olga.stop_live_test(endpoint, started.number, "measured")

    def tried(self, endpoint: str, number: int) -> LiveTest:
        """A live-test as far as it is counted."""
        with self._as("olga") as olga:
            return olga.live_test(endpoint, number)

    def contender(self, endpoint: str, name: str = "", key: str = "") -> Contender:
        """How an endpoint is asked."""
        names = {
            "one": "Muster, one variant",
            "three": "Muster, three variants",
            "boosted": "Muster, one variant",
            "null": "Muster, null model",
            "slow": "Muster, a model that computes 0.5 ms a row",
            "tensors": "Muster, one variant, 30 tensors",
            "one-async": "Muster, one variant, archive async",
            "hanging": "Muster, three variants, one hangs",
            "dueling": "Muster, champion and challenger",
        }
        kind = ROSTERS[endpoint].champion.partition("-")[0]
        tensors = endpoint == "tensors"
        return Contender(
            key=key or f"muster-{endpoint}",
            name=name or names[endpoint],
            port=self.ports[1],
            path=f"/v2/models/{endpoint}/infer",
            token=self._tokens["shop"],
            bodies=tensor_bodies(self._trained.rows) if tensors else row_bodies(self._trained.rows),
            pid=self.process.pid,
            model={"boosted": "boosted", "null": "null"}.get(kind, "linear"),
            answers=None if tensors else last_of_first_output,
        )

    def _as(self, name: str) -> Factory:
        return connect(self.control, token=self._tokens[name])
