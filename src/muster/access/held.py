"""What a person holds in a project now, for rooms that judge by it long after the person called.

The one place at which anybody but this room learns of the roles of somebody who is not calling.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from muster.access import store
from muster.access.roles import CustomRights, Right
from muster.access.users import Grant
from muster.storage.transaction import Transaction


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """The roles of a person in a project, and what they allow."""

    roles: frozenset[str]
    """By name; empty: nobody there."""
    rights: frozenset[Right]


NOTHING = Held(roles=frozenset(), rights=frozenset())


def held_by(tx: Transaction, project: str, name: str) -> Held:
    """What a person holds in a project, as this transaction sees it; nothing, if the person was removed."""
    return held_by_some(tx, project, (name,)).get(name, NOTHING)


def held_by_all(tx: Transaction, project: str) -> dict[str, Held]:
    """What everybody of a project holds there."""
    return _by_name(tx, store.standing_in(tx, project))


def held_by_some(tx: Transaction, project: str, names: Collection[str]) -> dict[str, Held]:
    """What some people hold in a project; who holds nothing there is absent."""
    return _by_name(tx, store.standing_in(tx, project, names)) if names else {}


def _by_name(tx: Transaction, found: Sequence[Grant]) -> dict[str, Held]:
    custom = store.custom_rights_for(tx, found)
    standing: dict[str, list[Grant]] = {}
    for grant in found:
        standing.setdefault(grant.user, []).append(grant)
    return {name: _held(grants, custom) for name, grants in standing.items()}


def _held(grants: Sequence[Grant], custom: CustomRights) -> Held:
    rights = (grant.rights(custom) for grant in grants)
    return Held(roles=frozenset(grant.role for grant in grants), rights=frozenset().union(*rights))
