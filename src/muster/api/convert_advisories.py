"""What the room `advisories` tells, as documents of the control API."""

from muster.advisories import records
from muster.scanning.vulnerabilities import Hit
from muster.vocabulary.clock import rfc3339
from muster.wire import advisories


def vulnerability_file(found: records.VulnerabilityFile) -> advisories.VulnerabilityFile:
    """A file that was taken in."""
    return advisories.VulnerabilityFile(
        number=found.source.number,
        name=found.source.name,
        digest=found.source.digest,
        as_of=found.source.as_of,
        records=found.records,
        skipped=found.skipped,
        ecosystems=tuple(sorted(found.source.sheets)),
        imported_by=found.imported_by,
        at=rfc3339(found.at),
        reason=found.reason,
    )


def affected(found: records.Survey) -> advisories.AffectedVersions:
    """Which versions a file hits."""
    return advisories.AffectedVersions(
        file=None if found.file is None else vulnerability_file(found.file),
        looked_at=found.looked_at,
        versions=tuple(
            advisories.AffectedVersion(
                version=str(one.version),
                state=one.state,
                served=one.served,
                vulnerabilities=tuple(_package(hit) for hit in one.hits),
            )
            for one in found.affected
        ),
    )


def _package(hit: Hit) -> advisories.VulnerablePackage:
    return advisories.VulnerablePackage(
        package=hit.told,
        id=hit.advisory.id,
        aliases=hit.advisory.aliases,
        severity=hit.advisory.severity,
        summary=hit.advisory.summary,
        fixed=hit.fixed,
    )
