"""Data sources and stored profiles as services and doors see them."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.wire.profiles import TableProfile

Origin = Literal["factory", "declared"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A place from which the factory may read data."""

    project: str
    name: str
    uri: str
    """`file:///data/ml/`, `s3://bucket/prefix/` or `https://host/prefix/`; always with a slash at its end."""
    added_by: str
    added_at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Kept:
    """Where the profile of a version lies."""

    version: VersionName
    project: str
    digest: Digest
    """Of the profile, in the store."""
    data: str
    """Name of the data that it was made of: `training`."""
    data_digest: str
    """Of that data; empty where nobody can tell."""
    session: str
    """The certification that made it."""
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class VersionProfile:
    """The profile of a version's training data."""

    version: VersionName
    origin: Origin
    """`factory`: computed from data that it read itself; `declared`: the author's, as it came in the bundle."""
    data: str
    data_digest: str
    at: datetime | None
    """When it was computed; None where it is declared."""
    profile: TableProfile
