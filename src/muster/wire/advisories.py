"""Documents of the control API about known vulnerabilities."""

import msgspec

from muster.vocabulary.states import VersionState
from muster.wire.control import Answer


class VulnerabilityFile(Answer, frozen=True, kw_only=True):
    """A file of known vulnerabilities that the project has taken in."""

    number: int
    name: str
    """What it was called."""
    digest: str
    """SHA-256 of its bytes, which the store keeps."""
    as_of: str
    """When its newest record was changed; empty: the file does not say."""
    records: int
    """How many are about packages that locks can name."""
    skipped: int
    """How many are withdrawn, or of ecosystems that no lock names."""
    ecosystems: tuple[str, ...]
    """`pypi`, `maven`, `npm`, `golang`, `cargo`, `cran`."""
    imported_by: str
    at: str
    reason: str


class VulnerabilityFiles(Answer, frozen=True, kw_only=True):
    """The files of the project, the newest first; the newest counts."""

    files: tuple[VulnerabilityFile, ...]


class VulnerablePackage(msgspec.Struct, frozen=True, kw_only=True):
    """A package of a lock that a vulnerability is known of."""

    package: str
    """`pypi:numpy 1.21.0`; with a word behind it where the version cannot be compared, so that it may be hit."""
    id: str
    """`GHSA-…`, `PYSEC-…`, `CVE-…`."""
    aliases: tuple[str, ...]
    severity: str
    """`none`, `low`, `medium`, `high`, `critical`, `unknown`."""
    summary: str
    fixed: str | None
    """The version in which it is mended; null: there is none, or it is not told."""


class AffectedVersion(msgspec.Struct, frozen=True, kw_only=True):
    """A version with packages that vulnerabilities are known of."""

    version: str
    state: VersionState
    served: tuple[str, ...]
    """The releases by which it is served, or is about to be; empty: it is not served."""
    vulnerabilities: tuple[VulnerablePackage, ...]
    """The worst first."""


class AffectedVersions(Answer, frozen=True, kw_only=True):
    """Which certified and accepted versions the newest file hits; those that are served first."""

    file: VulnerabilityFile | None
    """null: the project has taken none in, and nothing was looked at."""
    looked_at: int
    """How many versions were looked at."""
    versions: tuple[AffectedVersion, ...]
