"""Checks and certificates as services and doors see them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

from muster.certification.at_hand import Profiled
from muster.certification.evaluated import KeptTable
from muster.certification.timing import Latency
from muster.certification.twinned import Twinned
from muster.environments.sealing import Sealed
from muster.sessions.records import Measure
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.wire.evidence import EVIDENCE_FORMAT, Evidence

Figure = float | int | str | bool | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One question, answered."""

    name: str
    """`golden-answers`; the names are listed in docs/reference/certification.md."""
    passed: bool
    figure: Figure
    """What was found."""
    limit: Figure
    """What is asked for."""
    detail: str = ""
    """The figure in words, with its unit; why it failed, if it did."""
    figures: Mapping[str, float] = field(default_factory=dict)
    """What else was measured, by name with its unit; empty in certificates of earlier versions of Muster."""
    remedy: str = ""
    """What can be done about it, if it failed."""


NO_EVIDENCE = Evidence(format=EVIDENCE_FORMAT, checks=())

#: The check that measures latency; go-live asks for its figures.
LATENCY_CHECK = "one-row-latency"


@dataclass(frozen=True, slots=True, kw_only=True)
class Examined:
    """What came of examining a version: the checks up to the first that makes the rest impossible."""

    checks: tuple[Check, ...]
    environment: Digest | None
    """The environment in which it was examined; None: it could not be built."""
    hardware: str
    """Where: processor, cores, platform."""
    sealed: Sealed | None = None
    """What its environment is made of, in the store; None: it was not sealed."""
    twinned: Twinned | None = None
    """Its compiled twin; None: none was asked for, or none could be had."""
    profiled: Profiled | None = None
    """The profile of its training data; None: the factory could read none."""
    is_complete: bool = True
    """Whether every question could be put."""
    evidence: Evidence = NO_EVIDENCE
    """What the checks show besides their figures."""
    measures: tuple[Measure, ...] = ()
    """Numbers by standard definitions, for the session to hold."""
    tables: tuple[KeptTable, ...] = ()
    """Tables in the store that curves are derived from."""
    may_fail: frozenset[str] = frozenset()
    """Checks that need not pass, by the project's standard or by a waiver."""

    @property
    def failed(self) -> tuple[str, ...]:
        """The checks that did not pass and had to."""
        return tuple(check.name for check in self.checks if not check.passed and check.name not in self.may_fail)

    @property
    def passed(self) -> bool:
        """Whether every question was put, and every check passed that has to."""
        return bool(self.checks) and self.is_complete and not self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class StandardNamed:
    """A standard that a version was held against."""

    name: str
    number: int
    """Of the project's own; 0: one that comes with Muster."""
    digest: Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class Certificate:
    """The evidence of one examination that passed; never edited."""

    session: str
    version: VersionName
    project: str
    digest: Digest
    """Of the bundle that was examined."""
    environment: Digest
    hardware: str
    checks: tuple[Check, ...]
    requested_by: str
    at: datetime
    seal: Digest | None = None
    """Of the environment; None in certificates of earlier versions of Muster."""
    twin: Digest | None = None
    """The bundle of the compiled twin; None: there is none."""
    evidence: Digest | None = None
    """Of what the checks show, in the store; None in certificates of earlier versions of Muster."""
    standard: StandardNamed | None = None
    """What it was held against; None in certificates of earlier versions of Muster."""
    expires: datetime | None = None
    """Until when it is good, by the standard of its day; None: for ever, as far as that is concerned."""
    renew_at: datetime | None = None
    """When the factory examines the version again by itself; None: it does not."""
    envelope: bytes | None = None
    """The certificate as a signed statement, a DSSE envelope in JSON; None: it is not signed."""

    @property
    def latency(self) -> Latency | None:
        """What one row takes on the host; None in certificates of earlier versions of Muster."""
        found = next((check for check in self.checks if check.name == LATENCY_CHECK), None)
        return None if found is None else Latency.of(found.figures)
