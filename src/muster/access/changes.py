"""Changes of users within one transaction: the parts of which the deeds of the services are made, and their rules."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from datetime import datetime, timedelta

from muster.access import store
from muster.access.access_list import access_list
from muster.access.actor import Call
from muster.access.errors import (
    ExpiryPast,
    LastAdmin,
    RightsBeyond,
    TokenBeyond,
    TokenNotFound,
    UserElsewhere,
    UserInGroup,
    UserNotFound,
)
from muster.access.roles import AccessRole, CustomRights, Right, checked_rights, checked_role, rights_of_role
from muster.access.tokens import WHOLE, Scope, Token, new_token_id, new_token_text, token_hash
from muster.access.users import Grant, Profile, TokenHolder, UserKind, rights_by_project
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import Clock, rfc3339
from muster.vocabulary.names import DEFAULT_PROJECT
from muster.wire.plans import AccessList

EVERY_ENDPOINT = ("*",)
#: Roles of programs.
_OF_SERVICES = frozenset({AccessRole.CONSUMER, AccessRole.FRONT})


class Changes:
    """What is done to users in one transaction; holds the lock that keeps two changes of users apart."""

    def __init__(self, tx: Transaction, clock: Clock) -> None:
        tx.lock("muster.access")
        self._tx = tx
        self.now = clock.now()

    # Who may change whom.

    def custom(self) -> CustomRights:
        """What the projects' own roles give now."""
        return store.custom_rights(self._tx)

    def role_given(self, call: Call, role: str, may: Iterable[str]) -> tuple[str, tuple[Right, ...]]:
        """A role and the rights beyond it that the caller may give in the project of the call.

        Raises:
            RoleUnknown: the project has no such role.
            RightNotGrantable: a right of `may` is not given beyond it.
            RightsBeyond: it gives rights that the caller has not.
        """
        custom = self.custom()
        granted = checked_role(role, call.project, custom)
        rights = rights_of_role(granted, call.project, custom)
        given = checked_rights(granted, rights, may)
        self.require_over(call, rights.union(given), f"to give the role {granted}")
        return granted, given

    def require_over_user(self, call: Call, name: str, deed: str) -> None:
        """Nothing, if the caller has every right that a user has in the project of the call.

        Raises:
            RightsBeyond: the user has more.
        """
        standing = [grant for grant in self.standing(name) if grant.project == call.project]
        rights = rights_by_project(standing, self.custom()).get(call.project, frozenset())
        self.require_over(call, rights, deed)

    @staticmethod
    def require_over(call: Call, rights: frozenset[Right], deed: str) -> None:
        """Nothing, if the caller has these rights in the project of the call.

        Raises:
            RightsBeyond: some are missing.
        """
        # Nobody but a front follows; whoever may do everything else may say who is one.
        needed = rights_of_role(AccessRole.ADMIN, call.project, {}) if Right.FOLLOW in rights else rights
        missing = sorted(needed - call.actor.rights(call.project) - {Right.FOLLOW})
        if missing:
            raise RightsBeyond(
                f"{deed} takes rights that {call.actor.name} has not in project {call.project}: {', '.join(missing)}",
                actor=call.actor.name,
                project=call.project,
                missing=[str(right) for right in missing],
            )

    @staticmethod
    def scope_given(call: Call, name: str, scope: Scope = WHOLE) -> Scope:
        """The scope of a token that the caller gives: what it does not say is as with the token of the call.

        A token that is limited to a project gives those that are good there alone. To its own holder it gives none that is
        good for more than itself, now or when the holder may do more; what others may do is looked at by `require_over`.

        Args:
            call: who gives it.
            name: of whom it is given to.
            scope: as it was asked for.

        Raises:
            TokenBeyond: it says more than the token of the call is good for.
        """
        own = call.actor.scope
        limit = own if name == call.actor.name else Scope(project=own.project)
        given = replace(
            scope,
            rights=limit.rights if scope.rights is None else scope.rights,
            endpoints=limit.endpoints if scope.endpoints is None else scope.endpoints,
            project=limit.project if scope.project is None else scope.project,
        )
        require_within(call, name, given)
        return given

    # Users and their roles.

    def new_user(
        self,
        name: str,
        role: str,
        *,
        endpoints: tuple[str, ...] = EVERY_ENDPOINT,
        project: str = DEFAULT_PROJECT,
        expires: datetime | None = None,
        may: tuple[Right, ...] = (),
        told: Mapping[str, str | None] | None = None,
        kind: UserKind | None = None,
        scope: Scope = WHOLE,
    ) -> TokenHolder:
        """Add a user with a role and a token; the name must be free."""
        is_service = kind is UserKind.SERVICE if kind is not None else role in _OF_SERVICES
        store.add_user(
            self._tx,
            Profile(
                name=name,
                kind=UserKind.SERVICE if is_service else UserKind.PERSON,
                created_at=self.now,
                **(told or {}),
            ),
        )
        self.add_grant(name, role, endpoints, project, may)
        return self.new_token(name, role, expires, scope=scope)

    def add_grant(
        self, name: str, role: str, endpoints: tuple[str, ...], project: str, may: tuple[Right, ...] = ()
    ) -> Grant:
        """Give a user a role in a project in which the user has none."""
        grant = Grant(user=name, project=project, role=role, endpoints=endpoints, granted_at=self.now, may=may)
        store.add_grant(self._tx, grant)
        return grant

    def standing(self, name: str) -> tuple[Grant, ...]:
        """The roles of a user in all projects, the user's own and those of groups."""
        return store.standing_of(self._tx, name)

    def grant(self, name: str, project: str) -> Grant | None:
        """The user's own role in a project."""
        return next((grant for grant in store.grants_of(self._tx, name) if grant.project == project), None)

    def required_grant(self, name: str, project: str) -> Grant:
        """The user's own role in a project.

        Raises:
            UserNotFound: there is no such user in it.
            UserInGroup: the user is in it through groups alone.
        """
        grant = self.grant(name, project)
        if grant is not None:
            return grant
        self.require_member(name, project)
        self.require_no_groups(name, project)
        raise UserNotFound(f"there is no user {name!r} in project {project}", user=name, project=project)

    def require_member(self, name: str, project: str) -> None:
        """Nothing, if the user has a role in the project, an own one or through a group.

        Raises:
            UserNotFound: there is no such user in it.
        """
        if not any(grant.project == project for grant in self.standing(name)):
            raise UserNotFound(f"there is no user {name!r} in project {project}", user=name, project=project)

    def require_no_groups(self, name: str, project: str) -> None:
        """Nothing, if no group gives the user a role in the project.

        Raises:
            UserInGroup: one does.
        """
        through = sorted(grant.group for grant in self.standing(name) if grant.project == project and grant.group)
        if through:
            raise UserInGroup(f"{name} is in project {project} through {', '.join(through)}", user=name, groups=through)

    def remove(self, name: str, project: str) -> tuple[str, ...]:
        """Take a user out of a project; gives the ids of the tokens that ended, if it was the last project."""
        store.remove_grant(self._tx, name, project)
        return () if self.standing(name) else self._end(name)

    def remove_everywhere(self, name: str) -> tuple[str, ...]:
        """Take a user out of every project and group; gives the ids of the tokens that ended."""
        for grant in store.grants_of(self._tx, name):
            store.remove_grant(self._tx, name, grant.project)
        return self._end(name)

    def _end(self, name: str) -> tuple[str, ...]:
        store.remove_member(self._tx, name)
        store.mark_removed(self._tx, name, self.now)
        return self.revoke(store.unrevoked_tokens(self._tx, name))

    # Tokens.

    def new_token(
        self,
        name: str,
        role: str,
        expires: datetime | None,
        *,
        label: str = "",
        scope: Scope = WHOLE,
        replaces: str | None = None,
    ) -> TokenHolder:
        """Give a user a token.

        Raises:
            ExpiryPast: it would be worthless already.
        """
        if expires is not None and (expires.tzinfo is None or expires <= self.now):
            raise ExpiryPast(f"a token cannot expire at {expires.isoformat()}: it is {rfc3339(self.now)}")
        text = new_token_text()
        token = Token(
            token_id=new_token_id(),
            user=name,
            sha256=token_hash(text),
            created_at=self.now,
            expires_at=expires,
            revoked_at=None,
            label=label,
            scope=scope,
            replaces=replaces,
        )
        store.add_token(self._tx, token)
        return TokenHolder(name=name, role=role, token=text, token_id=token.token_id)

    def further_token(
        self, name: str, project: str, expires: datetime | None, *, label: str = "", scope: Scope = WHOLE
    ) -> TokenHolder:
        """Give a user of this project one more token; of several projects, only one for this project.

        Raises:
            UserNotFound: the project has no such user.
            UserElsewhere: the token would act as that user in a project whose admins were not asked.
        """
        self.require_member(name, project)
        standing = self.standing(name)
        if scope.project != project and {other.project for other in standing} != {project}:
            raise UserElsewhere(f"{name} belongs to other projects than {project} as well", user=name)
        return self.new_token(name, roles_told(standing, project), expires, label=label, scope=scope)

    def replace_token(self, old: Token, grace: timedelta) -> TokenHolder:
        """Give a token like another one, which ends after the grace; what took its place before is revoked."""
        # After a repetition the old token's end has moved: the span it was given for is that of what took its place.
        lost = store.replacements_of(self._tx, old.token_id)
        span = _span(lost[0] if lost else old)
        self.revoke(lost)
        if not grace:
            if old.revoked_at is None:
                self.revoke((old,))
        elif old.expires_at is None or old.expires_at > self.now + grace:
            store.end_token(self._tx, old.token_id, self.now + grace)
        return self.new_token(
            old.user,
            roles_told(self.standing(old.user), old.scope.project),
            None if span is None else self.now + span,
            label=old.label,
            scope=old.scope,
            replaces=old.token_id,
        )

    def tokens_meant(self, token_id_or_name: str, project: str) -> tuple[str, tuple[Token, ...]]:
        """Whose tokens are meant by an id or a user's name, and which of them still need revoking.

        Raises:
            TokenNotFound: the project has neither.
        """
        token = store.token_with_id(self._tx, token_id_or_name)
        user = token.user if token is not None else token_id_or_name
        if not any(grant.project == project for grant in self.standing(user)):
            raise TokenNotFound(
                f"project {project} has neither a token nor a user {token_id_or_name!r}", name=token_id_or_name
            )
        if token is not None:
            return user, (token,) if token.revoked_at is None else ()
        return user, store.unrevoked_tokens(self._tx, user)

    def revoke(self, tokens: Iterable[Token]) -> tuple[str, ...]:
        """Take tokens back; gives their ids."""
        token_ids = tuple(token.token_id for token in tokens)
        store.revoke(self._tx, token_ids, self.now)
        return token_ids

    # What holds after every change.

    def keep_an_admin(self, project: str) -> None:
        """Nothing, if an admin of the project can still identify.

        Raises:
            LastAdmin: none can.
        """
        grants = (grant for grant in store.every_standing(self._tx) if grant.project == project)
        admins = {grant.user for grant in grants if grant.role == AccessRole.ADMIN}
        whole = (token for token in store.unrevoked_tokens(self._tx, live_at=self.now) if token.scope == WHOLE)
        if not any(token.user in admins and token.is_live(self.now) for token in whole):
            raise LastAdmin(f"project {project} would be left without an admin who has a token", project=project)

    def access_list(self) -> AccessList:
        """Who may score, after the changes."""
        limits = {project.name: project.quotas.requests_per_s for project in store.every_project(self._tx)}
        return access_list(
            store.every_standing(self._tx),
            store.unrevoked_tokens(self._tx, live_at=self.now),
            self.now,
            custom=self.custom(),
            requests_per_s={name: limit for name, limit in limits.items() if limit is not None},
        )


def require_within(call: Call, name: str, scope: Scope) -> None:
    """Nothing, if a token of this scope for this user is within the limits of the token of the call; see `scope_given`.

    Raises:
        TokenBeyond: it is good for more.
    """
    own = call.actor.scope
    limit = own if name == call.actor.name else Scope(project=own.project)
    if not scope.within(limit):
        raise TokenBeyond(
            f"the token {call.actor.token_id} is limited, and what it would give {name} is not", user=name
        )


def require_lasting(call: Call, name: str, expires: datetime | None) -> None:
    """Nothing, if what a user is given ends with the token of the call or before, or is another's than the caller's.

    Raises:
        TokenBeyond: it does.
    """
    ends = call.actor.expires_at
    if name == call.actor.name and ends is not None and (expires is None or expires > ends):
        raise TokenBeyond(
            f"the token {call.actor.token_id} ends at {rfc3339(ends)} and gives its holder nothing that lasts longer",
            user=name,
            expires=rfc3339(ends),
        )


def roles_told(standing: Iterable[Grant], project: str | None) -> str:
    """A user's roles in a project, or in any, for an answer."""
    return ", ".join(sorted({grant.role for grant in standing if project is None or grant.project == project}))


def _span(token: Token) -> timedelta | None:
    return None if token.expires_at is None else token.expires_at - token.created_at
