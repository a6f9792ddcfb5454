"""Documents of the control API about what there is: what models carry, searches, references."""

from typing import Annotated

import msgspec

from muster.vocabulary.states import VersionState
from muster.wire.control import Answer, NameText, Order, ReasonText

#: Words about a model. No control characters but tab and line breaks.
_NO_CONTROLS = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
ModelText = Annotated[str, msgspec.Meta(max_length=4000, pattern=_NO_CONTROLS)]
#: A key of a tag, without space and =.
TagKey = Annotated[str, msgspec.Meta(min_length=1, max_length=200, pattern=r"^[^\x00-\x20\x7f=]+$")]
TagValue = Annotated[str, msgspec.Meta(max_length=200, pattern=_NO_CONTROLS)]
#: What shall be resolved, like `churn:3`.
ReferenceText = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]


class ModelOrder(Order, frozen=True, kw_only=True):
    """What shall become other of a model; null: it stays."""

    owner: NameText | None = None
    """Who answers for it from now on."""
    deputy: Annotated[str, msgspec.Meta(pattern=r"^([a-z][a-z0-9-]{0,62})?$")] | None = None
    """Who stands in for the owner; empty: nobody."""
    description: ModelText | None = None
    business_metric: ModelText | None = None
    """What it is for in figures that the business knows."""
    tags: Annotated[dict[TagKey, TagValue | None], msgspec.Meta(max_length=50)] = msgspec.field(default_factory=dict)
    """By key; null: the tag goes."""
    reason: ReasonText


class ResolveOrder(Order, frozen=True, kw_only=True):
    """What references stand for."""

    references: Annotated[tuple[ReferenceText, ...], msgspec.Meta(min_length=1, max_length=100)]
    """`churn:3`, `churn:latest`, `churn@champion` of an endpoint, `sha256:…`."""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a search found."""

    kind: str
    """`model`, `version` or `endpoint`."""
    name: str
    state: str
    """Of a version or an endpoint; empty for a model."""
    owner: str
    at: str
    """When it was registered or made."""
    description: str
    """Its beginning."""
    tags: dict[str, str]
    digest: str | None
    """Of a version."""


class Search(Answer, frozen=True, kw_only=True):
    """What a search found, what came last first."""

    query: str
    found: tuple[Found, ...]
    next: int | None
    """What to name as `after` for more; null: there are no more."""


class ResolvedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """The version that a reference stands for."""

    version: str
    model: str
    number: int
    state: VersionState
    digest: str
    registered_by: str
    registered_at: str
    contract_digest: str


class Resolved(msgspec.Struct, frozen=True, kw_only=True):
    """What a reference stands for."""

    reference: str
    version: ResolvedVersion | None
    problem: str | None
    """Why it stands for nothing; null: it stands for the version."""


class Resolution(Answer, frozen=True, kw_only=True):
    """What references stand for, in their order."""

    resolved: tuple[Resolved, ...]
