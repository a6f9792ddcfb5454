"""Entries of the catalogue as services and doors see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

#: So much of a description is shown with an entry; all of it is searched.
SHOWN_CHARACTERS = 300


class Kind(StrEnum):
    """What an entry is of."""

    MODEL = "model"
    VERSION = "version"
    ENDPOINT = "endpoint"


class EndpointState(StrEnum):
    """Whether anything answers at an endpoint."""

    SERVED = "served"
    UNSERVED = "unserved"


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """An entry that a search found."""

    place: int
    """Its place in the catalogue: what was entered later has a higher one."""
    kind: Kind
    name: str
    """`churn:3` for a version, else the name."""
    state: str
    """Of a version or an endpoint; empty for a model."""
    owner: str
    at: datetime
    """When it was registered or made."""
    description: str
    tags: Mapping[str, str]
    digest: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """A thing as its room enters it."""

    project: str
    kind: Kind
    name: str
    state: str = ""
    owner: str
    at: datetime
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    digest: str | None = None
    facts: tuple[tuple[str, str], ...] = ()
    """Further facts by key, the same key as often as it has values: `("author", "ben")`."""
    figures: Mapping[str, float] = field(default_factory=dict)
    text: str = ""
    """What is searched by words beyond name, description and tags."""
