"""Reads the metrics that a process shows at its Unix socket."""

from collections.abc import Iterator, Mapping
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from socket import AF_UNIX, SOCK_STREAM, socket

from prometheus_client.parser import text_string_to_metric_families

from muster.telemetry.metrics_door import PATH

_WITHIN_S = 3.0

Labels = Mapping[str, str]


class Scrape:
    """All samples of one process at one moment.

    Args:
        text: what it answered.
    """

    def __init__(self, text: str) -> None:
        self._samples: dict[str, list[tuple[Labels, float]]] = {}
        for family in text_string_to_metric_families(text):
            for sample in family.samples:
                self._samples.setdefault(sample.name, []).append((sample.labels, float(sample.value)))

    def of(self, name: str) -> Iterator[tuple[Labels, float]]:
        """Labels and value of each sample of that name."""
        yield from self._samples.get(name, ())

    def one(self, name: str) -> float:
        """The value of a metric without labels; 0 where it is missing."""
        return next((value for _, value in self.of(name)), 0.0)


def scrape(path: Path) -> Scrape | None:
    """The metrics of a process; None when nobody answers there."""
    try:
        with closing(_UnixConnection("localhost", timeout=_WITHIN_S)) as connection:
            connection.path = path
            connection.request("GET", PATH)
            answer = connection.getresponse()
            text = answer.read().decode()
        return Scrape(text) if answer.status == HTTPStatus.OK else None
    except (OSError, HTTPException, ValueError):  # dead, hung, of another version, or broken
        return None


class _UnixConnection(HTTPConnection):
    """HTTP over a Unix socket."""

    path: Path

    def connect(self) -> None:
        """Open it."""
        self.sock = socket(AF_UNIX, SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(str(self.path))
