"""What the keeper counts of its hosts, and the metrics made of it. Every name that a keeper exports is declared here."""

import contextlib
from collections.abc import Iterable
from typing import NamedTuple

import psutil

from muster.serving.workers.roster import HostStanding
from muster.telemetry.exposition import Exposition, Metric
from muster.telemetry.process_metrics import say_process

STATES = ("starting", "up", "down", "golden_failed", "load_failed")
_HOST = ("endpoint", "version")

STARTS = Metric("muster_serving_host_starts_total", "counter", "Hosts that came up, the first ones included.", _HOST)
RESTARTS = Metric(
    "muster_serving_host_restarts_total",
    "counter",
    "How often a host was started again after it ended or failed.",
    _HOST,
)
ENDS = Metric(
    "muster_serving_host_ends_total",
    "counter",
    "Hosts that ended although they were wanted: by themselves (ended), over their memory (memory), stopped, or hung.",
    (*_HOST, "why"),
)
STATE = Metric("muster_serving_host_state", "gauge", "1 for the state that the host is in.", (*_HOST, "state"))
MEMORY = Metric("muster_serving_host_memory_bytes", "gauge", "Resident memory of the host's process.", _HOST)
CPU = Metric("muster_serving_host_cpu_seconds_total", "counter", "Processor time of the host's process.", _HOST)
FRONTS = Metric("muster_serving_keeper_fronts", "gauge", "Fronts that are connected to the keeper.")
METRICS = (STARTS, RESTARTS, ENDS, STATE, MEMORY, CPU, FRONTS)

#: Hosts that are wanted no longer and still shown; the oldest goes first.
_KEPT = 1000


class _HostCounts:
    """Of one host key, over all its processes."""

    __slots__ = ("ends", "restarts", "starts")

    def __init__(self) -> None:
        self.starts = 0
        self.restarts = 0
        self.ends: dict[str, int] = {}


class _Host(NamedTuple):
    endpoint: str
    version: str


class HostCounts:
    """Counts of all hosts of one keeper; its calls come from the keeper's event loop.

    Two manifests of one version at one endpoint, which only follow each other, are counted as one.
    """

    def __init__(self) -> None:
        self._of: dict[_Host, _HostCounts] = {}
        self._why: dict[str, str] = {}

    def began(self, key: str, *, again: bool) -> None:
        """The keeper begins to bring a host up.

        Args:
            key: `endpoint/model:number@manifest`.
            again: it has ended or failed before.
        """
        self._counts(key).restarts += again

    def up(self, key: str) -> None:
        """A host came up."""
        self._counts(key).starts += 1

    def ends_for(self, host: str, why: str) -> None:
        """The keeper is about to end a host, and why: `memory`, `stopped`, `hung`."""
        self._why[host] = why

    def ended(self, key: str, host: str) -> None:
        """A host that was up has ended although it is wanted."""
        why = self._why.pop(host, "ended")
        ends = self._counts(key).ends
        ends[why] = ends.get(why, 0) + 1

    def render(self, standings: Iterable[HostStanding], fronts: int) -> bytes:
        """The text of all metrics of the keeper.

        Args:
            standings: of every host that is wanted now.
            fronts: how many are connected.
        """
        out = Exposition()
        self._say_counts(out)
        _say_standings(out, {_host_of(standing.key): standing for standing in standings})
        out.one(FRONTS, fronts)
        say_process(out, "keeper")
        return out.encode()

    def _counts(self, key: str) -> _HostCounts:
        host = _host_of(key)
        counts = self._of.get(host)
        if counts is None:
            counts = self._of[host] = _HostCounts()
            while len(self._of) > _KEPT:
                del self._of[next(iter(self._of))]
        return counts

    def _say_counts(self, out: Exposition) -> None:
        out.begin(STARTS)
        for host, counts in self._of.items():
            out.sample(counts.starts, *host)
        out.begin(RESTARTS)
        for host, counts in self._of.items():
            out.sample(counts.restarts, *host)
        out.begin(ENDS)
        for host, counts in self._of.items():
            for why, count in counts.ends.items():
                out.sample(count, *host, why)


def _say_standings(out: Exposition, standings: dict[_Host, HostStanding]) -> None:
    out.begin(STATE)
    for host, standing in standings.items():
        for state in STATES:
            out.sample(standing.state == state, *host, state)
    up = {host: standing.pid for host, standing in standings.items() if standing.state == "up"}
    for metric, look in ((MEMORY, _resident), (CPU, _processor_s)):
        out.begin(metric)
        for host, pid in up.items():
            with contextlib.suppress(psutil.Error):  # it ends at this moment
                out.sample(look(psutil.Process(pid)), *host)


def _resident(process: psutil.Process) -> float:
    return float(process.memory_info().rss)


def _processor_s(process: psutil.Process) -> float:
    times = process.cpu_times()
    return float(times.user + times.system)


def _host_of(key: str) -> _Host:
    """Whose host a key names; that of a version on trial is told from one that is served."""
    endpoint, _, rest = key.partition("/")
    version, _, manifest = rest.partition("@")
    _, mark, trial = manifest.partition("~")
    return _Host(endpoint, version + mark + trial)
