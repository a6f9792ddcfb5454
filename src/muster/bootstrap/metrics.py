"""Where each process of a factory shows its metrics: a Unix socket in the home's folder of sockets, and a port from the settings."""

from collections.abc import Sequence
from pathlib import Path

from muster.bootstrap.home import Home
from muster.supervision.supervisor import PartLife
from muster.telemetry.exposition import Exposition, Metric
from muster.telemetry.metrics_door import MetricsAddress
from muster.telemetry.process_metrics import say_process

#: Added to the setting `metrics.port`.
_PLACES = {"control": 0, "executor": 1, "keeper": 2, "supervisor": 3}
_FIRST_FRONT = 10

PART_STARTS = Metric(
    "muster_supervision_part_starts_total", "counter", "How often a part of the factory was started.", ("part",)
)
PART_UP = Metric("muster_supervision_part_up", "gauge", "1 while the part's process runs.", ("part",))
METRICS = (PART_STARTS, PART_UP)


def metrics_address(home: Home, name: str) -> MetricsAddress:
    """Where a process shows its metrics.

    Args:
        home: the factory's.
        name: `control`, `executor`, `keeper`, `supervisor` or `front-0`.
    """
    settings = home.settings.metrics
    kind, _, number = name.partition("-")
    place = _PLACES[kind] if not number else _FIRST_FRONT + int(number)
    return MetricsAddress(
        socket=home.sockets / f"metrics-{name}.sock",
        host=settings.host,
        port=settings.port + place if settings.port else 0,
        token=settings.token,
    )


def metrics_sockets(home: Home) -> dict[str, Path]:
    """The sockets at which processes of this home show their metrics, by the process's name; some may be of dead ones."""
    found = sorted(home.sockets.glob("metrics-*.sock"))
    return {path.stem.removeprefix("metrics-"): path for path in found}


def render_supervisor(lives: Sequence[PartLife]) -> bytes:
    """The metrics of `muster up` itself."""
    out = Exposition()
    out.begin(PART_STARTS)
    for life in lives:
        out.sample(life.starts, life.part)
    out.begin(PART_UP)
    for life in lives:
        out.sample(life.is_up, life.part)
    say_process(out, "supervisor")
    return out.encode()
