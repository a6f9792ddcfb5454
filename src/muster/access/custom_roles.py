"""Roles of a project's own: a name for a set of rights."""

from collections.abc import Sequence

from muster.access import store
from muster.access.actor import Call
from muster.access.changes import Changes
from muster.access.errors import RoleInUse, RoleNotFound
from muster.access.records import CustomRole
from muster.access.roles import AccessRole, Right, checked_custom_name, checked_custom_rights
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.publishing.board import ACCESS_SUBJECT, Board
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock


def role_names(tx: Transaction, project: str) -> frozenset[str]:
    """The names of all roles that a user of a project can have."""
    return frozenset((*AccessRole, *(role.name for role in store.custom_roles_of(tx, project))))


class CustomRoles:
    """The roles that projects have beside those of Muster.

    Args:
        database: where they are kept.
        journal: where each change is put on record.
        board: where the fronts learn of it.
        clock: tells when.
    """

    def __init__(self, database: Database, journal: Journal, board: Board, clock: Clock) -> None:
        self._database = database
        self._journal = journal
        self._board = board
        self._clock = clock

    def roles(self, call: Call) -> tuple[CustomRole, ...]:
        """The project's own roles, by name."""
        call.require(Right.READ)
        with self._database.read() as tx:
            return store.custom_roles_of(tx, call.project)

    def put(self, call: Call, name: str, rights: Sequence[str]) -> CustomRole:
        """Make a role, or change one: whoever has it has these rights from the next call on.

        Raises:
            RightUnknown: there is no right of that name.
            RightNotGrantable: a role of a project's own cannot hold it, or bears the name of one of Muster's.
            RightsBeyond: the role has, or had, rights that the caller has not.
        """
        call.require(Right.MANAGE_USERS)
        checked_custom_name(name)
        given = checked_custom_rights(call.project, rights)
        with self._database.write() as tx:
            repeated = self._repeated(tx, call)
            changes = Changes(tx, self._clock)
            before = self._found(tx, call.project, name)
            if repeated and before is not None:
                return before
            had = frozenset(() if before is None else before.rights)
            changes.require_over(call, had.union(given), f"to say what the role {name} may do")
            made = CustomRole(project=call.project, name=name, rights=given, set_by=call.actor.name, set_at=changes.now)
            store.put_custom_role(tx, made)
            self._board.publish(tx, ACCESS_SUBJECT, changes.access_list())
            details: dict[str, object] = {"rights": [str(right) for right in given]}
            if before is not None:
                details["before"] = [str(right) for right in before.rights]
            self._journal.append(tx, _deed(call, "role.set", name, details))
        return made

    def remove(self, call: Call, name: str) -> CustomRole:
        """Remove a role that nobody has.

        Raises:
            RoleNotFound: the project has none of this name.
            RoleInUse: users or groups have it.
            RightsBeyond: it has rights that the caller has not.
        """
        call.require(Right.MANAGE_USERS)
        with self._database.write() as tx:
            repeated = self._repeated(tx, call)
            changes = Changes(tx, self._clock)
            held = self._found(tx, call.project, name)
            if held is None:
                if repeated:
                    return CustomRole(project=call.project, name=name, rights=(), set_by="", set_at=changes.now)
                raise RoleNotFound(f"project {call.project} has no role {name} of its own", role=name)
            holders = store.holders_of(tx, call.project, name)
            if holders:
                raise RoleInUse(f"{name} is the role of {', '.join(holders)}", role=name, holders=list(holders))
            changes.require_over(call, frozenset(held.rights), f"to remove the role {name}")
            store.remove_custom_role(tx, call.project, name)
            self._journal.append(
                tx, _deed(call, "role.removed", name, {"rights": [str(right) for right in held.rights]})
            )
        return held

    @staticmethod
    def _found(tx: Transaction, project: str, name: str) -> CustomRole | None:
        return next((role for role in store.custom_roles_of(tx, project) if role.name == name), None)

    def _repeated(self, tx: Transaction, call: Call) -> bool:
        return self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest) is not None


def _deed(call: Call, action: str, role: str, details: dict[str, object]) -> Deed:
    return Deed(
        actor=call.actor.name,
        action=action,
        subject=f"role {role}",
        project=call.project,
        details=details,
        idempotency_key=call.idempotency_key,
        request_digest=call.request_digest,
    )
