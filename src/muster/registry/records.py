"""Models and versions as services and doors see them."""

from dataclasses import dataclass
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

    @property
    def model(self) -> str:
        """The model that it is a version of."""
        return self.name.model

    @property
    def number(self) -> int:
        """Its number under the model."""
        return self.name.number

    def is_work_of(self, user: str) -> bool:
        """Whether the user registered it, or is named in it as owner or author."""
        return user == self.registered_by or _alike(user) in {_alike(name) for name in (*self.owners, *self.authors)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A model with its versions, the newest first."""

    name: str
    project: str
    created_by: str
    created_at: datetime
    versions: tuple[Version, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSummary:
    """A model in a list."""

    name: str
    project: str
    created_by: str
    created_at: datetime
    versions: int
    latest: Version | None


def _alike(name: str) -> str:
    """A name from muster.toml, which people write as they like, as user names are written."""
    return name.strip().casefold()
