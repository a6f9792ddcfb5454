"""Groups: users who are given roles together.

A group belongs to the factory: who is in it is said by those who manage groups, and what it may do in a project by the admins of
that project.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from muster.access import store
from muster.access.actor import Call
from muster.access.changes import EVERY_ENDPOINT, Changes
from muster.access.errors import GroupExists, GroupNotFound, UserNotFound
from muster.access.profiles import checked_line
from muster.access.records import Group, GroupGrant
from muster.access.roles import AccessRole, Right, rights_of_role
from muster.access.service import checked_endpoints
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.publishing.board import ACCESS_SUBJECT, Board
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock
from muster.vocabulary.names import DEFAULT_PROJECT, checked_name


class Groups:
    """The groups of a factory. Every change publishes the access list in its own transaction.

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

    def groups(self, call: Call) -> tuple[Group, ...]:
        """The groups, by name.

        Whoever manages groups sees them whole; whoever manages the users of the call's project sees their names and titles,
        to give them roles, and of those that have a role there the members and that role.

        Raises:
            RightMissing: the caller manages neither.
        """
        whole = _manages(call)
        if not whole:
            call.require(Right.MANAGE_USERS)
        with self._database.read() as tx:
            found = store.groups_of(tx)
        return found if whole else tuple(_seen_from(group, call.project) for group in found)

    def group(self, call: Call, name: str) -> Group:
        """One group, as `groups` has it.

        Raises:
            GroupNotFound: there is none.
        """
        found = next((group for group in self.groups(call) if group.name == name), None)
        if found is None:
            raise GroupNotFound(f"there is no group {name}", group=name)
        return found

    # Who is in them: the factory's.

    def add(self, call: Call, name: str, title: str | None = None) -> Group:
        """Make a group without members.

        Raises:
            GroupExists: the name is taken, or was.
        """
        self._require(call)
        checked_name(name, of="group")
        told = checked_line(title, of="title")
        with self._database.write() as tx:
            if self._repeated(tx, call):
                return self._required(tx, name)
            changes = Changes(tx, self._clock)
            if store.group_name_is_taken(tx, name):
                raise GroupExists(f"the name {name} is taken, or was", group=name)
            made = Group(name=name, title=told, created_by=call.actor.name, created_at=changes.now)
            store.add_group(tx, made)
            details: dict[str, object] = {} if told is None else {"title": told}
            self._journal.append(tx, _deed(call, "group.added", name, DEFAULT_PROJECT, details))
        return made

    def remove(self, call: Call, name: str) -> Group:
        """Remove a group: what its members may do through it ends.

        Raises:
            GroupNotFound: there is none.
            RightsBeyond: it gives rights that the caller has not.
            LastAdmin: a project would be left without an admin.
        """
        self._require(call)
        with self._database.write() as tx:
            repeated = self._repeated(tx, call)
            changes = Changes(tx, self._clock)
            held = Group(name=name, created_by="", created_at=changes.now) if repeated else self._required(tx, name)
            if repeated:
                return held
            _require_over(changes, call, held, f"to remove the group {name}", alone=False)
            store.mark_group_removed(tx, name, changes.now)
            self._keep_admins(changes, held.grants)
            details: dict[str, object] = {
                "members": list(held.members),
                "projects": [one.project for one in held.grants],
            }
            self._finish(tx, changes, _deed(call, "group.removed", name, DEFAULT_PROJECT, details))
        return held

    def join(self, call: Call, name: str, user: str) -> Group:
        """Put a user into a group.

        Raises:
            GroupNotFound: there is none.
            UserNotFound: there is no such user in the factory.
            RightsBeyond: the group gives rights that the caller has not; see `_require_over`.
        """
        self._require(call)
        with self._database.write() as tx:
            repeated = self._repeated(tx, call)
            changes = Changes(tx, self._clock)
            held = self._required(tx, name)
            if repeated or user in held.members:
                return held
            if store.profile(tx, user) is None:
                raise UserNotFound(f"there is no user {user!r} in this factory", user=user)
            alone = user == call.actor.name
            _require_over(changes, call, held, f"to put {user} into the group {name}", alone=alone)
            store.add_member(tx, name, user, changes.now)
            self._finish(tx, changes, _deed(call, "group.joined", name, DEFAULT_PROJECT, {"user": user}))
            return self._required(tx, name)

    def leave(self, call: Call, name: str, user: str) -> Group:
        """Take a user out of a group.

        Raises:
            GroupNotFound: there is none, or the user is not in it.
            RightsBeyond: somebody else is taken out, and the group gives rights that the caller has not.
            LastAdmin: a project would be left without an admin.
        """
        self._require(call)
        with self._database.write() as tx:
            repeated = self._repeated(tx, call)
            changes = Changes(tx, self._clock)
            held = self._required(tx, name)
            if repeated:
                return held
            if user not in held.members:
                raise GroupNotFound(f"{user} is not in group {name}", group=name, user=user)
            if user != call.actor.name:
                _require_over(changes, call, held, f"to take {user} out of the group {name}", alone=False)
            store.remove_member(tx, user, name)
            self._keep_admins(changes, held.grants)
            self._finish(tx, changes, _deed(call, "group.left", name, DEFAULT_PROJECT, {"user": user}))
            return self._required(tx, name)

    # What they may do: each project's.

    def grant(
        self, call: Call, name: str, role: str, endpoints: Sequence[str] = EVERY_ENDPOINT, may: Sequence[str] = ()
    ) -> GroupGrant:
        """Give a group a role in the project of the call, in place of the one it had there.

        Raises:
            GroupNotFound: there is no such group.
            RoleUnknown: the project has no such role.
            RightsBeyond: the role before or the new one gives rights that the caller has not.
            LastAdmin: the project would be left without an admin.
        """
        call.require(Right.MANAGE_USERS)
        allowed = checked_endpoints(endpoints)
        with self._database.write() as tx:
            repeated = self._repeated(tx, call)
            changes = Changes(tx, self._clock)
            held = self._required(tx, name)
            before = _of_project(held, call.project)
            if repeated and before is not None:
                return before
            if before is not None:
                changes.require_over(call, _rights(changes, before), f"to change what the group {name} may do")
            granted, given = changes.role_given(call, role, may)
            made = GroupGrant(
                group=name,
                project=call.project,
                role=granted,
                endpoints=allowed,
                granted_at=changes.now,
                may=given,
            )
            store.put_group_grant(tx, made)
            changes.keep_an_admin(call.project)
            details: dict[str, object] = {"role": granted, "endpoints": list(allowed)}
            if given:
                details["may"] = [str(right) for right in given]
            if before is not None:
                details["before"] = before.role
            self._finish(tx, changes, _deed(call, "group.granted", name, call.project, details))
        return made

    def revoke(self, call: Call, name: str) -> GroupGrant:
        """Take a group's role in the project of the call away.

        Raises:
            GroupNotFound: there is no such group, or it has no role here.
            RightsBeyond: the role gives rights that the caller has not.
            LastAdmin: the project would be left without an admin.
        """
        call.require(Right.MANAGE_USERS)
        with self._database.write() as tx:
            repeated = self._repeated(tx, call)
            changes = Changes(tx, self._clock)
            held = self._required(tx, name)
            before = _of_project(held, call.project)
            if before is None:
                if repeated:
                    return GroupGrant(group=name, project=call.project, role="", endpoints=(), granted_at=changes.now)
                raise GroupNotFound(f"group {name} has no role in project {call.project}", group=name)
            changes.require_over(call, _rights(changes, before), f"to take the role of the group {name} away")
            store.remove_group_grant(tx, name, call.project)
            changes.keep_an_admin(call.project)
            self._finish(tx, changes, _deed(call, "group.revoked", name, call.project, {"role": before.role}))
        return before

    @staticmethod
    def _require(call: Call) -> None:
        replace(call, project=DEFAULT_PROJECT).require(Right.MANAGE_GROUPS)

    @staticmethod
    def _required(tx: Transaction, name: str) -> Group:
        found = next(iter(store.groups_of(tx, name)), None)
        if found is None:
            raise GroupNotFound(f"there is no group {name}", group=name)
        return found

    @staticmethod
    def _keep_admins(changes: Changes, grants: Sequence[GroupGrant]) -> None:
        for project in sorted({grant.project for grant in grants if grant.role == AccessRole.ADMIN}):
            changes.keep_an_admin(project)

    def _repeated(self, tx: Transaction, call: Call) -> bool:
        return self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest) is not None

    def _finish(self, tx: Transaction, changes: Changes, deed: Deed) -> None:
        self._board.publish(tx, ACCESS_SUBJECT, changes.access_list())
        self._journal.append(tx, deed)


def _manages(call: Call) -> bool:
    return call.actor.may(Right.MANAGE_GROUPS)


def _rights(changes: Changes, grant: GroupGrant) -> frozenset[Right]:
    """What a group may do by one of its roles."""
    return rights_of_role(grant.role, grant.project, changes.custom()).union(grant.may)


def _require_over(changes: Changes, call: Call, group: Group, deed: str, *, alone: bool) -> None:
    """Nothing, if the caller may say who is in a group: in each project where it has a role, the caller has what that gives.

    Whoever has all rights of an admin in `default` may say it of others also where they have no part: that project's admins
    gave the group its role, knowing who says who is in it.

    Args:
        changes: of users, in this transaction.
        call: who.
        group: as it is.
        deed: for the message.
        alone: the caller joins.

    Raises:
        RightsBeyond: some rights are missing.
    """
    actor = call.actor
    is_admin = rights_of_role(AccessRole.ADMIN, DEFAULT_PROJECT, {}) <= actor.rights(DEFAULT_PROJECT)
    for grant in group.grants:
        if alone or not is_admin or not actor.scope.holds_project(grant.project):
            changes.require_over(replace(call, project=grant.project), _rights(changes, grant), deed)


def _of_project(group: Group, project: str) -> GroupGrant | None:
    return next((grant for grant in group.grants if grant.project == project), None)


def _seen_from(group: Group, project: str) -> Group:
    """A group as a project sees it: what it may do elsewhere is not told, nor who is in a group that does nothing here."""
    here = tuple(grant for grant in group.grants if grant.project == project)
    return replace(group, members=group.members if here else (), grants=here)


def _deed(call: Call, action: str, group: str, project: str, details: Mapping[str, object]) -> Deed:
    return Deed(
        actor=call.actor.name,
        action=action,
        subject=f"group {group}",
        project=project,
        details=dict(details),
        idempotency_key=call.idempotency_key,
        request_digest=call.request_digest,
    )
