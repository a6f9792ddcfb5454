"""What control counts of the calls it answers, and the metrics made of it."""

from bisect import bisect_left
from time import perf_counter_ns

from litestar.enums import ScopeType
from litestar.types import ASGIApp, Message, Receive, Scope, Send

from muster.telemetry.exposition import Buckets, Exposition, Metric
from muster.telemetry.process_metrics import say_process

REQUESTS = Metric("muster_control_requests_total", "counter", "Calls of the control API.", ("method", "status"))
LATENCY = Metric(
    "muster_control_request_seconds",
    "histogram",
    "Calls of the control API by the time until the answer began; calls that wait for news are among them.",
    ("method",),
)
RUNNING = Metric("muster_control_requests_running", "gauge", "Calls that are being answered, waiting ones included.")
METRICS = (REQUESTS, LATENCY, RUNNING)

_BOUNDS_NS = tuple(
    int(ms * 1e6) for ms in (1, 2.5, 5, 10, 25, 50, 100, 250, 500, 1000, 2500, 5000, 10000, 30000, 60000)
)
_LATENCY = Buckets(_BOUNDS_NS, 1e9)
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class ControlCounts:
    """Counts of one control process; its calls come from its event loop."""

    def __init__(self) -> None:
        self.running = 0
        self._requests: dict[tuple[str, int], int] = {}
        self._latency: dict[str, list[int]] = {}
        self._latency_ns: dict[str, int] = {}

    def answered(self, method: str, status: int, took_ns: int) -> None:
        """A call was answered."""
        named = method if method in _METHODS else "other"
        self._requests[named, status] = self._requests.get((named, status), 0) + 1
        latency = self._latency.setdefault(named, [0] * (len(_BOUNDS_NS) + 1))
        latency[bisect_left(_BOUNDS_NS, took_ns)] += 1
        self._latency_ns[named] = self._latency_ns.get(named, 0) + took_ns

    def render(self) -> bytes:
        """The text of all metrics of control."""
        out = Exposition()
        out.begin(REQUESTS)
        for (method, status), count in list(self._requests.items()):
            out.sample(count, method, str(status))
        out.begin(LATENCY)
        for method, latency in list(self._latency.items()):
            out.histogram(_LATENCY, latency, self._latency_ns[method], method)
        out.one(RUNNING, self.running)
        say_process(out, "control")
        return out.encode()


class Counted:
    """An application whose calls are counted: from outside, so that what the framework itself refuses is counted, too.

    Args:
        app: the application.
        counts: where.
    """

    def __init__(self, app: ASGIApp, counts: ControlCounts) -> None:
        self._app = app
        self._counts = counts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Count one call; what is no HTTP passes by."""
        if scope["type"] != ScopeType.HTTP:
            await self._app(scope, receive, send)
            return
        counts, method, began_ns = self._counts, str(scope.get("method", "")), perf_counter_ns()

        async def counted(message: Message) -> None:
            if message["type"] == "http.response.start":
                counts.answered(method, message["status"], perf_counter_ns() - began_ns)
            await send(message)

        counts.running += 1
        try:
            await self._app(scope, receive, counted)
        finally:
            counts.running -= 1
