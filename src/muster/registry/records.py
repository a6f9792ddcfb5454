"""Models and versions as services and doors see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import VersionState
from muster.wire.contracts import Contract


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """A bundle registered under a model; only its state ever changes."""

    name: VersionName
    project: str
    digest: Digest
    """Digest of the manifest: the version's identity."""
    state: VersionState
    registered_by: str
    registered_at: datetime
    description: str
    owners: tuple[str, ...]
    authors: tuple[str, ...]
    tags: dict[str, str]
    contract: Contract
    contract_digest: Digest
    lock_digest: Digest
    """SHA-256 of the lock file's bytes: versions with the same one can share an environment."""
    python: str
    """The interpreter that it asks for: `3.11.7`."""
    files: int
    size: int
    """Bytes of all files that the bundle carries."""
    stewards: tuple[str, ...] = ()
    """Owner and deputy of its model at present; they change, and are no part of the bundle."""
    missing: tuple[str, ...] = ()
    """What its acceptance still asks for, in words; told where somebody has just voted on it."""

    @property
    def model(self) -> str:
        """The model that it is a version of."""
        return self.name.model

    @property
    def number(self) -> int:
        """Its number under the model."""
        return self.name.number

    def is_work_of(self, user: str) -> bool:
        """Whether the user registered it, is named in it as owner or author, or is the model's owner or deputy."""
        if user == self.registered_by or user in self.stewards:
            return True
        return _alike(user) in {_alike(name) for name in (*self.owners, *self.authors)}


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelFacts:
    """What a model carries besides its versions: it may change, and every change is on record."""

    owner: str
    """Who answers for it; whoever registered its first version, until another is named."""
    deputy: str | None = None
    """Who stands in for the owner."""
    description: str = ""
    business_metric: str = ""
    """What it is for in figures that the business knows: `churn of premium customers per quarter`."""
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def people(self) -> tuple[str, ...]:
        """The owner, and the deputy if there is one."""
        return (self.owner, *([self.deputy] if self.deputy else []))


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelChanges:
    """What shall become other of a model; None: it stays."""

    owner: str | None = None
    deputy: str | None = None
    """Empty: nobody."""
    description: str | None = None
    business_metric: str | None = None
    tags: Mapping[str, str | None] = field(default_factory=dict)
    """By key; None: the tag goes."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model with its versions, the newest first."""

    name: str
    project: str
    created_by: str
    created_at: datetime
    facts: ModelFacts
    versions: tuple[Version, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSummary:
    """A model in a list."""

    name: str
    project: str
    created_by: str
    created_at: datetime
    facts: ModelFacts
    versions: int
    latest: Version | None


def _alike(name: str) -> str:
    """A name from muster.toml, which people write as they like, as user names are written."""
    return name.strip().casefold()


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What a project has of what its quotas limit."""

    versions: int
    bytes: int
    """Each file counted in every version that holds it, though the store keeps it once."""
