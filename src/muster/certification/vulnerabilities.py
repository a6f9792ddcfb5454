"""The question whether packages of the lock have known vulnerabilities, by the file that the project has taken in."""

from contextlib import ExitStack
from datetime import UTC, datetime
from typing import ClassVar, Literal, Protocol

import msgspec

from muster.certification.checks import Bench, Finding
from muster.certification.records import Figure
from muster.certification.trust import packages_of
from muster.environments.languages.known import VENVS
from muster.environments.languages.python import is_wanted
from muster.environments.protocol import Package
from muster.scanning.severities import ORDER
from muster.scanning.sheets import sheets_of
from muster.scanning.vulnerabilities import Hit, Source, hits
from muster.storage.transaction import Transaction
from muster.wire.evidence import Grid

_SHOWN, _MOST_ROWS = 3, 100


class KnownVulnerabilities(Protocol):
    """Tells what projects know of vulnerabilities: handed over by bootstrap."""

    def newest_in(self, tx: Transaction, project: str) -> Source | None:
        """The newest file of a project; None: it has taken none in."""
        ...


class VulnerabilityOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a standard says about known vulnerabilities."""

    max_severity: Literal["none", "low", "medium", "high", "critical"] = "medium"
    """The worst that is let pass; one whose severity is not known counts as worse than all."""
    max_age_days: int | None = None
    """How old the newest record of the file may be; None: of any age."""
    ignore: tuple[str, ...] = ()
    """Vulnerabilities that do not concern the project's models, by id or alias."""

    def problems(self) -> list[str]:
        """An age that nothing can have."""
        return ["max_age_days is below 1"] if self.max_age_days is not None and self.max_age_days < 1 else []


class NoKnownVulnerabilities:
    """No package of the lock has a known vulnerability that is worse than the standard lets pass."""

    name: ClassVar[str] = "no-known-vulnerabilities"
    asks: ClassVar[str] = "are its packages free of known vulnerabilities?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = (
        "Lock the versions in which they are mended and register anew; a vulnerability that does not concern the model is named in the "
        'standard: [checks.no-known-vulnerabilities] options = { ignore = ["…"] }.'
    )
    Options: ClassVar[type[msgspec.Struct]] = VulnerabilityOptions

    def is_asked(self, bench: Bench) -> bool:
        """Whether the project has taken a file in."""
        return bench.advisories is not None

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """How many there are that are too bad."""
        options = bench.given(self, VulnerabilityOptions)
        source = bench.advisories
        if source is None:
            return Finding(
                passed=False,
                figure=None,
                limit=0,
                detail="the project has taken in no file of vulnerabilities",
                remedy="Have an admin take one in: `muster vulnerabilities import FILE --reason …`.",
            )
        packages = _wanted(bench)
        found = hits(packages, sheets_of(source, bench.blobs, frozenset(package.ecosystem for package in packages)))
        ignored = [hit for hit in found if hit.advisory.names & set(options.ignore)]
        worse = ORDER[ORDER.index(options.max_severity) + 1 :]
        refused = [hit for hit in found if hit not in ignored and hit.advisory.severity in worse]
        by = f"file {source.number} ({source.name}, {_told_age(source)})"
        too_old = _too_old(source, options.max_age_days)
        told = [_told(hit) for hit in refused[:_SHOWN]] + ([too_old] if too_old else [])
        counted = f"{len(packages)} packages, {len(found)} known, {len(refused)} worse than {options.max_severity}"
        rows = tuple(
            (
                hit.told,
                hit.advisory.id,
                hit.advisory.severity,
                hit.fixed,
                hit.advisory.summary,
                _verdict(hit, refused, ignored),
            )
            for hit in found[:_MOST_ROWS]
        )
        columns = ("package", "vulnerability", "severity", "mended in", "what", "verdict")
        return Finding(
            passed=not refused and not too_old,
            figure=len(refused),
            limit=0,
            detail="; ".join((*told, by)) if told else f"{counted}, by {by}",
            figures={"known": len(found), "packages": len(packages)},
            exhibits=(Grid(title=f"Known vulnerabilities, by {by}", columns=columns, rows=rows),) if rows else (),
            remedy=_upgrades(refused),
        )


def _wanted(bench: Bench) -> tuple[Package, ...]:
    """What the lock names for this machine."""
    assert bench.bundle is not None
    runtime = bench.bundle.runtime
    packages = packages_of(bench)
    if runtime.kind in VENVS:
        return tuple(package for package in packages if is_wanted(package, runtime.interpreter))
    return packages


def _verdict(hit: Hit, refused: list[Hit], ignored: list[Hit]) -> str:
    return "refused" if hit in refused else "ignored by the standard" if hit in ignored else "let pass"


def _told(hit: Hit) -> str:
    mended = f", mended in {hit.fixed}" if hit.fixed else ""
    return f"{hit.told}: {hit.advisory.id} ({hit.advisory.severity}){mended}"


def _upgrades(refused: list[Hit]) -> str:
    mended = dict.fromkeys(f"{hit.package} to {hit.fixed} or later" for hit in refused if hit.fixed)
    return f"Upgrade {'; '.join([*mended][:_SHOWN])}, and register anew." if mended else ""


def _moment(source: Source) -> datetime | None:
    try:
        found = datetime.fromisoformat(source.as_of)
    except ValueError:
        return None
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def _told_age(source: Source) -> str:
    moment = _moment(source)
    if moment is None:
        return "which does not say how old it is"
    return f"as of {moment.date()}, {max((datetime.now(UTC) - moment).days, 0)} days old"


def _too_old(source: Source, max_age_days: int | None) -> str | None:
    if max_age_days is None:
        return None
    moment = _moment(source)
    if moment is None:
        return "the file of vulnerabilities does not say how old it is"
    days = (datetime.now(UTC) - moment).days
    return (
        f"the file of vulnerabilities is {days} days old; the standard allows {max_age_days}"
        if days > max_age_days
        else None
    )
