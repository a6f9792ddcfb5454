"""Groups of the factory whose members the provider names: whoever signs in joins and leaves them as the provider says."""

from collections.abc import Mapping
from dataclasses import dataclass

from muster.access import store
from muster.access.changes import Changes
from muster.access.roles import AccessRole
from muster.access.service import FACTORY
from muster.access.signing.errors import GroupNotMade
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.storage.transaction import Transaction
from muster.vocabulary.names import DEFAULT_PROJECT


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """What a provider tells about somebody's groups."""

    provider: str
    joins: Mapping[str, str]
    """Group at the provider → group of this factory: what the settings say now."""
    groups: frozenset[str]
    """Groups of this factory that the person belongs to by the provider's word."""


def follow_provider(tx: Transaction, changes: Changes, journal: Journal, user: str, told: Told) -> bool:
    """Put a user into, and take the user out of, exactly the groups that are mapped; whether anything changed.

    Args:
        tx: the transaction in which the person signs in.
        changes: of users, in it.
        journal: where each joining and leaving is put on record.
        user: who signs in.
        told: what the provider says.

    Raises:
        GroupNotMade: a group that the user is to be in is not there.
        LastAdmin: the user is to leave a group, and a project would be left without an admin.
    """
    mapped = set(told.joins.values())
    held = {group.name: group for group in store.groups_of(tx) if group.name in mapped}
    wanted = told.groups & mapped
    if missing := sorted(wanted - held.keys()):
        raise GroupNotMade(
            f"the settings put members of {_of(told, missing[0])} at {told.provider} into the group {missing[0]}, which is not there",
            group=missing[0],
            provider=told.provider,
        )
    joining = [name for name in sorted(wanted) if user not in held[name].members]
    leaving = [name for name, group in sorted(held.items()) if name not in wanted and user in group.members]
    for name in joining:
        store.add_member(tx, name, user, changes.now)
        journal.append(tx, _deed("group.joined", name, user, told))
    for name in leaving:
        store.remove_member(tx, user, name)
        journal.append(tx, _deed("group.left", name, user, told))
    # Looked at last: whoever changes from one group of admins into another leaves nobody without one.
    for project in sorted(
        {one.project for name in leaving for one in held[name].grants if one.role == AccessRole.ADMIN}
    ):
        changes.keep_an_admin(project)
    return bool(joining or leaving)


def _of(told: Told, group: str) -> str:
    return " and ".join(sorted(theirs for theirs, ours in told.joins.items() if ours == group))


def _deed(action: str, group: str, user: str, told: Told) -> Deed:
    return Deed(
        actor=FACTORY,
        action=action,
        subject=f"group {group}",
        project=DEFAULT_PROJECT,
        details={"user": user, "by": f"oidc {told.provider}"},
    )
