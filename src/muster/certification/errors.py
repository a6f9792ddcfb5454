"""What can go wrong when a version is examined."""

from muster.vocabulary.errors import Conflict, Refused, Unavailable


class VersionNotExaminable(Conflict):
    """A retired or banned version is not examined: nothing could come of it."""

    code = "certification.version-not-examinable"
    advice = "Register a new version; one that is retired or banned never comes back."


class TwinNotMade(Refused):
    """A model cannot be converted to ONNX; the version itself is none the worse for it."""

    code = "certification.twin-not-made"
    advice = "Certify the version without a twin; docs/how-to/bring-a-model/onnx.md says which models convert."


class FrontNotStarted(Unavailable):
    """The front through which a version is put under load did not become ready."""

    code = "certification.front-not-started"
    advice = "Certify again; if it goes on, look at the message, and at the memory and the processes that this machine allows."
