"""What can go wrong when a version is examined."""

from muster.vocabulary.errors import Conflict


class VersionNotExaminable(Conflict):
    """A retired or banned version is not examined: nothing could come of it."""

    code = "certification.version-not-examinable"
    advice = "Register a new version; one that is retired or banned never comes back."
