"""Documents of the control API about data sources and profiles of training data."""

from typing import Annotated, Literal

import msgspec

from muster.wire.control import Answer, NameText, Order, ReasonText
from muster.wire.profiles import TableProfile


class SourceOrder(Order, frozen=True, kw_only=True):
    """A place from which the factory may read data."""

    name: NameText
    uri: Annotated[str, msgspec.Meta(min_length=1, max_length=1000)]
    """An absolute folder, `s3://bucket/prefix/` or `https://host/prefix/`."""
    reason: ReasonText


class DataSource(Answer, frozen=True, kw_only=True):
    """A place from which the factory may read data."""

    name: str
    uri: str
    added_by: str
    added_at: str
    reason: str


class DataSources(Answer, frozen=True, kw_only=True):
    """The places of a project, by name."""

    sources: tuple[DataSource, ...]


class VersionProfile(Answer, frozen=True, kw_only=True):
    """The profile of the data that a version was trained on."""

    version: str
    origin: Literal["factory", "declared"]
    """`factory`: computed from data that it read itself; `declared`: the author's, as it came in the bundle."""
    data: str
    """Name of the data in the bundle; empty where it is declared."""
    data_digest: str
    """Of that data; empty where nobody can tell."""
    at: str | None
    """When it was computed; null where it is declared."""
    profile: TableProfile
