"""What a project's standard asks of an examination: handed down by bootstrap, as this room does not know standards."""

from collections.abc import Collection, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any, ClassVar, Protocol

from muster.certification import checks
from muster.certification.options import CertificationOptions
from muster.certification.records import LATENCY_CHECK, Check, Figure, StandardNamed
from muster.registry.records import Version
from muster.vocabulary.digests import Digest

STANDARD_CHECK = "standard"


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What is asked of one version beside what certification asks by itself."""

    limits: Mapping[str, float] = field(default_factory=dict)
    """What the figure of a check may be at most, by its name."""
    optional: Collection[str] = ()
    """Checks that may fail."""
    waived: Mapping[str, str] = field(default_factory=dict)
    """Checks that may fail for a while, by name, each with until when and by whose word."""
    lacks: tuple[str, ...] | None = None
    """What the bundle lacks by the standard; None: there is none, and the check `standard` is not put."""
    forgiven: tuple[str, ...] = ()
    """What it lacks and need not carry for a while, each with until when and by whose word."""
    options: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """Settings of checks, by their name."""
    run: Mapping[str, bool] = field(default_factory=dict)
    """Checks that are put, or not, whatever they say themselves."""
    programs: Mapping[str, Digest] = field(default_factory=dict)
    """Programs of the project's own checks, by the name of the check."""
    standard: StandardNamed | None = None
    """The standard that says all this; None: nothing is known of one."""
    valid: timedelta | None = None
    """How long the certificate is good; None: for ever."""
    renew: timedelta | None = None
    """How long before its end the version is examined again by itself; None: it is not."""

    def may_fail(self, check: str) -> bool:
        """Whether a version passes although the check failed."""
        return check in self.optional or check in self.waived

    def settings(self, options: CertificationOptions) -> CertificationOptions:
        """The settings with the limits that the standard gives in their place."""
        return replace(
            options,
            latency_limit_ms=self.limits.get(LATENCY_CHECK, options.latency_limit_ms),
            build_limit_s=self.limits.get(checks.EnvironmentBuilds.name, options.build_limit_s),
            load_limit_s=self.limits.get(checks.ModelLoads.name, options.load_limit_s),
        )

    def judged(self, check: Check) -> Check:
        """A check, held against the limit that the standard gives; says so where it may fail."""
        limit = self.limits.get(check.name)
        if limit is not None and check.name not in _SETTINGS and check.passed and _is_above(check.figure, limit):
            told = f"{check.detail}; the standard allows {limit:g}".removeprefix("; ")
            check = replace(check, passed=False, limit=limit, detail=told)
        if check.passed or not self.may_fail(check.name):
            return check
        why = self.waived.get(check.name, "the standard does not need it")
        return replace(check, detail=f"{check.detail} ({why})")


NONE = Limits()


class Standard(Protocol):
    """Tells what a project asks for."""

    def limits(self, project: str, version: Version) -> Limits:
        """What is asked of a version."""
        ...


class MeetsStandard:
    """The bundle carries what the project's standard asks of it."""

    name: ClassVar[str] = STANDARD_CHECK
    asks: ClassVar[str] = "does the bundle carry what the project's standard asks?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = (
        "Add what is named, `muster standard check DIR` shows it in the lab, and register again; or have it waived."
    )

    def is_asked(self, bench: checks.Bench) -> bool:
        """Whether the project has adopted a standard."""
        return bench.lacks is not None

    def answer(self, bench: checks.Bench, stack: ExitStack) -> checks.Finding:  # noqa: ARG002 - nothing to end
        """How many findings there are for which there is no waiver; the waived ones are told."""
        lacks = bench.lacks or ()
        detail = "; ".join((*lacks, *bench.forgiven)) or "it carries everything"
        return checks.Finding(passed=not lacks, figure=len(lacks), limit=0, detail=detail)


#: Checks whose limit is a setting.
_SETTINGS = frozenset({LATENCY_CHECK, checks.EnvironmentBuilds.name, checks.ModelLoads.name})


def _is_above(figure: Figure, limit: float) -> bool:
    return isinstance(figure, int | float) and not isinstance(figure, bool) and figure > limit
