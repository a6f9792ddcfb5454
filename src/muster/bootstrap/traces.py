"""Builds what sends a front's traces, where the settings name a collector."""

from muster.bootstrap.home import Home
from muster.serving.front.traces import Traces
from muster.telemetry.spans import SpanSender


def traces_of(home: Home, name: str) -> Traces | None:
    """The traces of a front; None when they are off.

    Args:
        home: the factory's.
        name: the front's: `front-0`.

    Raises:
        TracesNotInstalled: the settings ask for traces, and the extra `otel` is missing.
    """
    settings = home.settings.traces
    if not settings.endpoint:
        return None
    return Traces(SpanSender(settings.endpoint, name), sample=settings.sample, per_s=settings.per_s)
