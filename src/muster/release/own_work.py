"""The rule that nobody passes their own work, admins included; see docs/adr/0012-own-work-at-go-live.md."""

from muster.access.actor import Call
from muster.registry.records import Version
from muster.release.errors import OwnWork
from muster.release.records import Release


def waived_for_version(call: Call, version: Version) -> bool:
    """Whether the rule had to be waived to let the caller pass this version; only a factory for one person waives it.

    Raises:
        OwnWork: the version is the caller's own.
    """
    if not version.is_work_of(call.actor.name):
        return False
    if call.actor.solo:
        return True
    raise OwnWork(
        f"{call.actor.name} registered, owns or authored {version.name}, and may not pass it",
        actor=call.actor.name,
        version=str(version.name),
    )


def waived_for_release(call: Call, release: Release, versions: list[Version]) -> bool:
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
    waived = [waived_for_version(call, version) for version in versions]
    return any(waived) or release.proposed_by == name
