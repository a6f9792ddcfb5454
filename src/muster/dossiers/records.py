"""What is gathered of a version and its model before a document is made of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from muster.certification.records import Certificate
from muster.gates.records import Review
from muster.packaging.documents import Bundle
from muster.registry.records import ModelFacts, Version
from muster.release.records import Pointer, Release
from muster.sessions.records import Measured, Session
from muster.standards.records import InForce
from muster.wire.evidence import Evidence

#: What was done by hand so long ago counts as done no more.
DECLARED_FOR = timedelta(days=365)


@dataclass(frozen=True, slots=True, kw_only=True)
class Declaration:
    """That somebody has done by hand what one of the tests asks."""

    test: str
    """`data-3`."""
    where: str
    """Where its results can be read."""
    reason: str
    by: str
    at: datetime

    def holds(self, moment: datetime) -> bool:
        """Whether it is recent enough to count."""
        return moment < self.at + DECLARED_FOR


@dataclass(frozen=True, slots=True, kw_only=True)
class Examination:
    """One certification session, with what it showed."""

    session: Session
    evidence: Evidence
    measures: tuple[Measured, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Serving:
    """An endpoint that answers with the version, or did."""

    endpoint: str
    current: Release
    """What the endpoint answers with now."""
    releases: tuple[Release, ...]
    """Every release with the version there, the newest first."""
    history: tuple[Pointer, ...]
    """What was current when, the newest first."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dossier:
    """All that is on record of a version, at one moment."""

    now: datetime
    version: Version
    bundle: Bundle
    facts: ModelFacts
    certificate: Certificate | None
    valid_until: datetime | None
    """When the newest certificate lapses by the project's standard; None: never, or there is none."""
    standard: InForce
    examination: Examination | None
    """The newest that came to an end; None: there is none."""
    measures: tuple[Measured, ...]
    """Of all versions of the model, the newest first."""
    review: Review
    """What people said at the gate of acceptance."""
    servings: tuple[Serving, ...]
    replayed: str | None
    """A session that computed a past request of the model again, and found the very same; None: there is none."""
    tried: str | None = None
    """A test on live traffic that the version passed, with its session; None: there is none."""
    declarations: Mapping[str, Declaration] = field(default_factory=dict)
    """By test."""
    versions: tuple[Version, ...] = ()
    """All versions of the model, the newest first."""

    @property
    def live(self) -> tuple[Serving, ...]:
        """Where the version answers now."""
        return tuple(one for one in self.servings if self.version.name in one.current.versions)

    def passed(self, check: str) -> bool:
        """Whether the newest examination made the check, and it passed."""
        return check in self.checks and self.checks[check]

    @property
    def checks(self) -> dict[str, bool]:
        """The checks of the newest examination, by name, and whether they passed."""
        return {check["name"]: bool(check["passed"]) for check in self._told}

    def figures(self, check: str) -> Mapping[str, float]:
        """What the newest examination measured in a check, by name; empty where it made none."""
        return next((one.get("figures", {}) for one in self._told if one["name"] == check), {})

    @property
    def _told(self) -> Sequence[Mapping[str, Any]]:
        found: Mapping[str, Any] = {} if self.examination is None else self.examination.session.result or {}
        told: Sequence[Mapping[str, Any]] = found.get("checks", ())
        return told
