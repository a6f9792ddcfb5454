"""Files of vulnerabilities and what they hit, as services and doors see them."""

from dataclasses import dataclass
from datetime import datetime

from muster.scanning.vulnerabilities import Hit, Source
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import VersionState


@dataclass(frozen=True, slots=True, kw_only=True)
class VulnerabilityFile:
    """A file that was taken in; never changed and never removed. The newest counts."""

    project: str
    source: Source
    records: int
    """How many are about packages that locks can name."""
    skipped: int
    imported_by: str
    at: datetime
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Affected:
    """A version that packages with known vulnerabilities are part of."""

    version: VersionName
    state: VersionState
    served: tuple[str, ...]
    """By which releases; empty: it is not served."""
    hits: tuple[Hit, ...]
    """The worst first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a file hits."""

    file: VulnerabilityFile | None
    """By which; None: none was ever taken in."""
    looked_at: int
    """How many versions."""
    affected: tuple[Affected, ...]
    """Those that are served first."""
