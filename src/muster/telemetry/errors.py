"""What can be wrong with how a process shows itself."""

from muster.vocabulary.errors import Invalid


class TracesNotInstalled(Invalid):
    """The settings ask for traces, and the libraries that send them are not installed."""

    code = "telemetry.traces-not-installed"
    advice = "Install the extra: `pip install muster-ml[otel]`; or leave `traces.endpoint` empty."
