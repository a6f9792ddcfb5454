"""From data sources and profiles to the documents of the wire."""

from muster.training.records import Source, VersionProfile
from muster.vocabulary.clock import rfc3339
from muster.wire import training


def source(found: Source) -> training.DataSource:
    """A place from which the factory may read data."""
    return training.DataSource(
        name=found.name,
        uri=found.uri,
        added_by=found.added_by,
        added_at=rfc3339(found.added_at),
        reason=found.reason,
    )


def version_profile(found: VersionProfile) -> training.VersionProfile:
    """The profile of the data that a version was trained on."""
    return training.VersionProfile(
        version=str(found.version),
        origin=found.origin,
        data=found.data,
        data_digest=found.data_digest,
        at=None if found.at is None else rfc3339(found.at),
        profile=found.profile,
    )
