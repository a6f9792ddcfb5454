"""The rule that nobody passes their own work, admins included; see docs/adr/0012-own-work-at-go-live.md."""

from collections.abc import Mapping

from muster.access.actor import Call
from muster.registry.records import Version
from muster.release.errors import OwnWork
from muster.release.records import Release
from muster.vocabulary.digests import Digest


def part_in(version: Version, deputy: str | None) -> frozenset[str]:
    """Whoever has part in a version, in lower case: who registered it, owners, their deputy, authors; the model's owner and deputy."""
    named = (
        version.registered_by,
        *version.owners,
        *version.authors,
        *version.stewards,
        *(() if deputy is None else (deputy,)),
    )
    return frozenset(name.strip().casefold() for name in named)


def waived_for_version(call: Call, version: Version, deputy: str | None = None) -> bool:
    """Whether the rule had to be waived to let the caller pass this version; only a factory for one person waives it.

    Raises:
        OwnWork: the version is the caller's own.
    """
    if call.actor.name.casefold() not in part_in(version, deputy):
        return False
    if call.actor.solo:
        return True
    raise OwnWork(
        f"{call.actor.name} registered, owns or authored {version.name}, and may not pass it",
        actor=call.actor.name,
        version=str(version.name),
    )


def waived_for_release(
    call: Call, release: Release, versions: list[Version], deputies: Mapping[Digest, str | None]
) -> bool:
    """Whether the rule had to be waived to let the caller pass this release.

    Raises:
        OwnWork: the caller proposed it, or a version in it is the caller's own.
    """
    name = call.actor.name
    if release.proposed_by == name and not call.actor.solo:
        raise OwnWork(
            f"{name} proposed {release.subject}, and may not pass it",
            actor=name,
            endpoint=release.endpoint,
            release=release.number,
        )
    waived = [waived_for_version(call, version, deputies.get(version.digest)) for version in versions]
    return any(waived) or release.proposed_by == name
