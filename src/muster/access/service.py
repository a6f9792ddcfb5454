"""Users and tokens: identify a caller, add and remove users, give out tokens and take them back."""

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from muster.access import store
from muster.access.actor import Actor, Call
from muster.access.changes import EVERY_ENDPOINT, Changes, require_lasting, require_within, roles_told
from muster.access.errors import (
    FactoryHasUsers,
    ProjectNotFound,
    TokenEnded,
    TokenExpired,
    TokenMissing,
    TokenNotFound,
    TokenRevoked,
    TokenUnfit,
    TokenUnknown,
    UserElsewhere,
    UserExists,
    UserNotFound,
)
from muster.access.held import held_by
from muster.access.profiles import checked_told
from muster.access.roles import AccessRole, Right
from muster.access.tokens import (
    SIGN_IN_LABEL,
    WHOLE,
    Scope,
    Token,
    checked_grace,
    checked_label,
    looks_like_token,
    token_hash,
)
from muster.access.users import (
    FirstUsers,
    Grant,
    NewUser,
    Profile,
    Revoked,
    TokenHolder,
    User,
    UserKind,
    rights_by_project,
)
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.publishing.board import ACCESS_SUBJECT, Board
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock, rfc3339
from muster.vocabulary.names import DEFAULT_PROJECT, checked_name

FACTORY = "muster"
"""The actor of what no user asked for: the first users, a lost token that the machine's owner replaces."""
GRACE = timedelta(hours=1)
"""How long a rotated token stays good, unless somebody says otherwise."""
_NOTED_EVERY = timedelta(minutes=1)


class Access:
    """Who may do what. Every change publishes the access list in its own transaction.

    Args:
        database: where users are kept.
        journal: where each change is put on record.
        board: where the fronts learn of it.
        clock: tells when, and whether a token has expired.
        solo: the factory is one person's.
    """

    def __init__(self, database: Database, journal: Journal, board: Board, clock: Clock, *, solo: bool = False) -> None:
        self._database = database
        self._journal = journal
        self._board = board
        self._clock = clock
        self._solo = solo
        self._used: dict[str, datetime] = {}
        self._noted: dict[str, datetime] = {}
        self._using = threading.Lock()

    def identify(self, token: str | None) -> Actor:
        """Who has this token.

        Raises:
            TokenMissing: none was given.
            TokenUnknown: nobody has it.
            TokenRevoked: it was taken back.
            TokenExpired: its time is over.
        """
        if not token:
            raise TokenMissing("the call carries no token")
        if not looks_like_token(token):
            raise TokenUnknown("what was given as a token has not the form of one")
        with self._database.read() as tx:
            known = store.token_with_hash(tx, token_hash(token))
            standing = store.standing_of(tx, known.user) if known else ()
            custom = store.custom_rights_for(tx, standing)
        if known is None:
            raise TokenUnknown("nobody in this factory has the token that was given")
        if known.revoked_at is not None:
            raise TokenRevoked(f"the token {known.token_id} of {known.user} was revoked", token_id=known.token_id)
        now = self._clock.now()
        if not known.is_live(now):
            raise TokenExpired(f"the token {known.token_id} of {known.user} has expired", token_id=known.token_id)
        with self._using:
            self._used[known.token_id] = now
        held = [grant for grant in standing if known.scope.holds_project(grant.project)]
        roles: dict[str, set[str]] = {}
        for grant in held:
            roles.setdefault(grant.project, set()).add(grant.role)
        granted = {
            project: known.scope.rights_of(rights) for project, rights in rights_by_project(held, custom).items()
        }
        return Actor(
            name=known.user,
            roles=roles,
            token_id=known.token_id,
            solo=self._solo,
            granted=granted,
            scope=known.scope,
            expires_at=known.expires_at,
        )

    def enter(self, actor: Actor, project: str) -> None:
        """Nothing, if the actor has a part in the project, or manages projects and there is one of this name.

        Raises:
            ProjectNotFound: neither; whether there is such a project is not told.
        """
        if actor.belongs_to(project):
            return
        if actor.may(Right.MANAGE_PROJECTS) and actor.scope.holds_project(project):
            with self._database.read() as tx:
                if store.project(tx, project) is not None:
                    return
        raise ProjectNotFound(f"there is no project {project}, or you have no part in it", project=project)

    def note_uses(self, *, at_once: bool = False) -> None:
        """Keep when tokens were used last: of each at most once a minute, as the database is not on every call's way.

        Args:
            at_once: also what was kept less than a minute ago; for the end of the process.
        """
        now = self._clock.now()
        with self._using:
            due = {
                token_id: used
                for token_id, used in self._used.items()
                if at_once or token_id not in self._noted or now - self._noted[token_id] >= _NOTED_EVERY
            }
        if not due:
            return
        with self._database.write() as tx:
            store.note_uses(tx, due)
        with self._using:
            self._noted.update(dict.fromkeys(due, now))
            for token_id, used in due.items():
                if self._used.get(token_id) == used:  # used again meanwhile: that is for the next time
                    del self._used[token_id]

    def publish_again(self) -> bool:
        """Publish the access list if it is not what was published last, as after an update of Muster; whether it was."""
        with self._database.write() as tx:
            listed = Changes(tx, self._clock).access_list()
            newest = self._board.newest(ACCESS_SUBJECT)
            if newest is not None and newest.document == listed:
                return False
            self._board.publish(tx, ACCESS_SUBJECT, listed)
        return True

    def require(self, call: Call, right: Right) -> None:
        """Nothing, if the caller has the right in the project of the call.

        Raises:
            RightMissing: it has not.
        """
        call.require(right)

    def bootstrap(self, admin: str = "admin", front: str = "front") -> FirstUsers:
        """Add the first admin and the service account of the fronts.

        Raises:
            FactoryHasUsers: it was done before.
        """
        with self._database.write() as tx:
            changes = Changes(tx, self._clock)
            if store.has_users(tx):
                raise FactoryHasUsers("this factory has users already")
            made = FirstUsers(
                admin=changes.new_user(admin, AccessRole.ADMIN),
                front=changes.new_user(front, AccessRole.FRONT, endpoints=()),
            )
            self._board.publish(tx, ACCESS_SUBJECT, changes.access_list())
            for user in (made.admin, made.front):
                details = {"role": str(user.role), "token_id": user.token_id}
                self._journal.append(tx, _factory_deed("user.added", user.name, details))
        return made

    def reissue(self, name: str) -> TokenHolder:
        """A new token in place of all that a user has; for the machine's owner, who lost `admin.token` or the like.

        Whoever may call this owns the database: no door leads here but the ones that start the factory. The deed is on
        record as the factory's own.

        Raises:
            UserNotFound: there is no such user.
        """
        with self._database.write() as tx:
            changes = Changes(tx, self._clock)
            standing = changes.standing(name)
            if not standing:
                raise UserNotFound(f"there is no user {name}", user=name)
            changes.revoke(store.unrevoked_tokens(tx, name))
            made = changes.new_token(name, roles_told(standing, None), None)
            self._board.publish(tx, ACCESS_SUBJECT, changes.access_list())
            self._journal.append(tx, _factory_deed("token.replaced", name, {"token_id": made.token_id}))
        return made

    def add_user(
        self,
        call: Call,
        name: str,
        role: AccessRole | str,
        endpoints: Sequence[str] = EVERY_ENDPOINT,
        expires: datetime | None = None,
        may: Sequence[str] = (),
        *,
        kind: UserKind | str | None = None,
        told: Mapping[str, str | None] | None = None,
    ) -> NewUser:
        """Add a user to the project of the call, with a token; a user of another project keeps the tokens had there.

        A repetition (same idempotency key) gives a further token, as the first one's text is nowhere to be found again.

        Args:
            call: who, and in which project.
            name: of the user.
            role: of Muster's, or of the project's own.
            endpoints: where the user may score, if the role may.
            expires: when the token ends.
            may: rights beyond the role.
            kind: `person` or `service`; None: as the role has it. What is known of a user of another project stays.
            told: title, contact and channel.

        Raises:
            UserExists: the name is taken, or was.
            RoleUnknown: the project has no such role.
            RightNotGrantable: a right of `may` is not given beyond this role.
            RightsBeyond: the role gives rights that the caller has not.
            ContactMalformed: what is told of the user cannot be kept.
        """
        call.require(Right.MANAGE_USERS)
        user, allowed, about = checked_name(name, of="user"), checked_endpoints(endpoints), checked_told(told or {})
        with self._database.write() as tx:
            if self._repeated(tx, call):
                return self._further_token(tx, call, user, expires, keyed=False)
            changes = Changes(tx, self._clock)
            granted, given = changes.role_given(call, role, may)
            if user == FACTORY or store.is_removed(tx, user) or changes.grant(user, call.project) is not None:
                raise UserExists(f"the name {user} is taken, or was", user=user)
            made: NewUser
            if store.name_is_taken(tx, user):
                # No token: with one, an admin of this project could act as that user in another.
                changes.add_grant(user, granted, allowed, call.project, given)
                made = NewUser(name=user, role=granted, token=None, token_id=None)
            else:
                made = changes.new_user(
                    user, granted, endpoints=allowed, project=call.project, expires=expires, may=given,
                    told=about, kind=None if kind is None else UserKind(kind), scope=changes.scope_given(call, user),
                )  # fmt: skip
            details = {
                "role": str(granted), "endpoints": list(allowed), "token_id": made.token_id, **_until(expires), **_beyond(given),
            }  # fmt: skip
            self._finish(tx, changes, _deed(call, "user.added", user, details))
        return made

    def hold_roles(self, tx: Transaction) -> None:
        """Nobody gains or loses a role until this transaction ends."""
        tx.lock("muster.access")

    def has_role(self, tx: Transaction, name: str, project: str) -> bool:
        """Whether somebody has any role in a project, as this transaction sees it."""
        return bool(held_by(tx, project, name).roles)

    def may_score(self, tx: Transaction, project: str, endpoint: str, *, by_name: bool) -> frozenset[str]:
        """Who has a token that is good now and may score at an endpoint.

        Args:
            tx: transaction.
            project: of the endpoint.
            endpoint: its name.
            by_name: only those whose rights name this endpoint, and not all there are.
        """
        now = self._clock.now()
        meant = {endpoint} if by_name else {endpoint, "*"}
        custom = store.custom_rights(tx)
        named = {
            grant.user
            for grant in store.every_standing(tx)
            if grant.project == project and Right.SCORE in grant.rights(custom) and meant & set(grant.endpoints)
        }
        live = store.unrevoked_tokens(tx, live_at=now)
        return frozenset(token.user for token in live if token.user in named and token.is_live(now))

    def users(self, call: Call, *, limit: int | None = None, after: str | None = None) -> tuple[User, ...]:
        """The users of the project, by name, with their live tokens: so many behind a name, or all."""
        call.require(Right.MANAGE_USERS)
        now = self._clock.now()
        with self._database.read() as tx:
            # So few names that a statement may list them; all at once otherwise.
            names = None if limit is None else store.names_in(tx, call.project, limit=limit, after=after)
            standing = store.standing_in(tx, call.project, names)
            tokens_of = store.unrevoked_tokens(tx, names, live_at=now)
            known = store.profiles(tx, names)
        live = [token for token in tokens_of if _is_told(token, call.project, now)]
        by_user: dict[str, list[Grant]] = {}
        for grant in standing:
            by_user.setdefault(grant.user, []).append(grant)
        tokens: dict[str, list[Token]] = {}
        for token in live:
            tokens.setdefault(token.user, []).append(token)
        return tuple(
            _user(known[name], by_user[name], tuple(tokens.get(name, ()))) for name in sorted(by_user) if name in known
        )

    def change_profile(
        self, call: Call, name: str, told: Mapping[str, str | None], kind: UserKind | str | None = None
    ) -> Profile:
        """Say anew what is told of a user: title, contact, channel; of oneself without any right, the kind aside.

        A token that is limited to some rights says it of its holder only with the right to manage users: where others reach
        somebody is none of what such a token is given for.

        Args:
            call: who, and in which project.
            name: of the user.
            told: what changes; an empty text or None takes away what was said.
            kind: `person` or `service`; None: as it was.

        Raises:
            UserNotFound: there is no such user in the project.
            UserElsewhere: the user belongs to other projects as well; whoever manages groups may do it.
            RightsBeyond: the user has rights that the caller has not.
            ContactMalformed: what is told cannot be kept.
        """
        about = checked_told(told)
        if name != call.actor.name or kind is not None or call.actor.scope.rights is not None:
            call.require(Right.MANAGE_USERS)
        with self._database.write() as tx:
            repeated = self._repeated(tx, call)
            changes = Changes(tx, self._clock)
            changes.require_member(name, call.project)
            before = store.profile(tx, name)
            if before is None:
                raise UserNotFound(f"there is no user {name!r} in project {call.project}", user=name)
            if repeated:
                return before
            if name != call.actor.name:
                changes.require_over_user(call, name, f"to change what is told of {name}")
                elsewhere = {grant.project for grant in changes.standing(name)} != {call.project}
                if elsewhere and not call.actor.may(Right.MANAGE_GROUPS):
                    raise UserElsewhere(f"{name} belongs to other projects than {call.project} as well", user=name)
            after = replace(
                before,
                kind=before.kind if kind is None else UserKind(kind),
                title=about.get("title", before.title),
                contact=about.get("contact", before.contact),
                channel=about.get("channel", before.channel),
            )
            store.change_profile(tx, after)
            details = {**about, **({} if kind is None else {"kind": str(after.kind)})}
            self._journal.append(tx, _deed(call, "user.described", name, details))
        return after

    def change_role(
        self,
        call: Call,
        name: str,
        role: AccessRole | str,
        endpoints: Sequence[str] = EVERY_ENDPOINT,
        may: Sequence[str] = (),
    ) -> Grant:
        """Give a user of the project another role; rights that were given beyond the one before end, unless named again.

        Raises:
            UserNotFound: there is no such user in the project.
            LastAdmin: it would leave the project without an admin.
            UserInGroup: the user is in the project through groups alone.
            RoleUnknown: the project has no such role.
            RightNotGrantable: a right of `may` is not given beyond this role.
            RightsBeyond: the old role or the new one gives rights that the caller has not.
        """
        call.require(Right.MANAGE_USERS)
        allowed = checked_endpoints(endpoints)
        with self._database.write() as tx:
            repeated = self._repeated(tx, call)
            changes = Changes(tx, self._clock)
            before = changes.required_grant(name, call.project)
            if repeated:
                return before
            changes.require_over_user(call, name, f"to change the role of {name}")
            granted, given = changes.role_given(call, role, may)
            store.remove_grant(tx, name, call.project)
            grant = changes.add_grant(name, granted, allowed, call.project, given)
            changes.keep_an_admin(call.project)
            details = {
                "role": str(granted), "before": str(before.role), "endpoints": list(allowed), **_beyond(given),
            }  # fmt: skip
            self._finish(tx, changes, _deed(call, "user.role-changed", name, details))
        return grant

    def remove_user(self, call: Call, name: str, *, everywhere: bool = False) -> Revoked:
        """Take a user out of the project; out of the last one, all tokens are revoked and the name stays taken.

        Args:
            call: who, and in which project.
            name: of the user.
            everywhere: out of every project and group at once; takes the right `manage-groups`.

        Raises:
            UserNotFound: there is no such user in the project, or anywhere.
            UserInGroup: a group gives the user a role in the project as well.
            RightsBeyond: the user has rights that the caller has not.
            LastAdmin: it would leave a project without an admin.
        """
        call.require(Right.MANAGE_USERS)
        if everywhere:
            replace(call, project=DEFAULT_PROJECT).require(Right.MANAGE_GROUPS)
        with self._database.write() as tx:
            if self._repeated(tx, call):
                return Revoked(user=name, token_ids=())
            changes = Changes(tx, self._clock)
            if everywhere:
                standing = changes.standing(name)
                if not standing and store.profile(tx, name) is None:
                    raise UserNotFound(f"there is no user {name!r} in this factory", user=name)
                changes.require_over_user(replace(call, project=DEFAULT_PROJECT), name, f"to remove {name}")
                revoked = changes.remove_everywhere(name)
                left = {grant.project for grant in standing if grant.role == AccessRole.ADMIN}
            else:
                changes.required_grant(name, call.project)
                changes.require_no_groups(name, call.project)
                changes.require_over_user(call, name, f"to remove {name}")
                revoked = changes.remove(name, call.project)
                left = {call.project}
            for project in sorted(left):
                changes.keep_an_admin(project)
            details = {"token_ids": list(revoked), **({"everywhere": True} if everywhere else {})}
            self._finish(tx, changes, _deed(call, "user.removed", name, details))
        return Revoked(user=name, token_ids=revoked)

    def profiles_in(self, tx: Transaction) -> Mapping[str, Profile]:
        """What is told of each user, by name; for other rooms."""
        return store.profiles(tx)

    def entitled_in(self, tx: Transaction, project: str) -> tuple[tuple[str, str], ...]:
        """User and endpoint, of those who may score at an endpoint of the project that a role of theirs names."""
        custom = store.custom_rights(tx)
        found = {
            (grant.user, endpoint)
            for grant in store.every_standing(tx)
            if grant.project == project and Right.SCORE in grant.rights(custom)
            for endpoint in grant.endpoints
            if endpoint != "*"
        }
        return tuple(sorted(found))

    # Tokens.

    def new_token(
        self,
        call: Call,
        name: str,
        expires: datetime | None = None,
        *,
        label: str = "",
        scope: Scope = WHOLE,
    ) -> TokenHolder:
        """A further token for a user; of several projects, only one that is good in the project of the call alone.

        Args:
            call: who, and in which project.
            name: of the user.
            expires: when the token ends.
            label: what it is for.
            scope: what it is limited to, beside the limits of the token of the call; its holder's rights are the limit in any case.

        Raises:
            UserNotFound: there is no such user in the project.
            UserElsewhere: the user belongs to other projects as well.
            RightsBeyond: the token would give rights that the caller has not.
            TokenBeyond: it is for oneself, and good for more, or for longer, than the token of the call.
            TokenUnfit: the label or the scope cannot be had.
            ExpiryPast: it would be worthless already.
        """
        call.require(Right.MANAGE_USERS)
        told, limited = checked_label(label), _checked_scope(scope)
        with self._database.write() as tx:
            repeated = self._repeated(tx, call)
            return self._further_token(tx, call, name, expires, keyed=not repeated, label=told, scope=limited)

    def tokens(
        self, call: Call, name: str | None = None, *, limit: int | None = None, after: str | None = None
    ) -> tuple[Token, ...]:
        """The live tokens of the project's users, by user and age; without the right to manage users, one's own alone.

        Args:
            call: who, and in which project.
            name: of a user; None: all.
            limit: how many at most; None: all.
            after: only those that follow the token of this id.

        Raises:
            TokenNotFound: there is no token of that id in the list, or its user has left the project since.
        """
        own_only = not call.may(Right.MANAGE_USERS)
        if own_only and name not in {None, call.actor.name}:
            call.require(Right.MANAGE_USERS)
        now = self._clock.now()
        user = call.actor.name if own_only else name
        with self._database.read() as tx:
            seen = None if after is None else store.token_with_id(tx, after)
            if after is not None and (
                seen is None or user not in {None, seen.user} or not held_by(tx, call.project, seen.user).roles
            ):
                raise TokenNotFound(f"project {call.project} has no token {after!r} in that list", name=after)
            found = store.tokens_in(tx, call.project, user, live_at=now, limit=limit, after=seen)
        with self._using:
            used = dict(self._used)
        return tuple(replace(token, last_used_at=used.get(token.token_id, token.last_used_at)) for token in found)

    def rotate_token(self, call: Call, token_id: str, grace: timedelta = GRACE) -> TokenHolder:
        """A token like another one: same holder, label, scope and span; the old one ends after the grace.

        The token that one calls with takes no right. A repetition gives another one still, and revokes the first, whose
        text was in an answer that may have been lost.

        Raises:
            TokenNotFound: the project has no such token.
            TokenEnded: it was revoked, has expired, or was rotated before.
            TokenUnfit: it came from a sign-in, or the grace is out of range.
            UserElsewhere: the holder belongs to other projects as well.
            RightsBeyond: the holder has rights that the caller has not.
            TokenBeyond: the token of the call is limited, and that one is not; or it is one's own and would last longer.
        """
        own = token_id == call.actor.token_id
        if not own:
            call.require(Right.MANAGE_USERS)
        lasting = checked_grace(grace)
        with self._database.write() as tx:
            repeated = self._repeated(tx, call)
            changes = Changes(tx, self._clock)
            old = store.token_with_id(tx, token_id)
            # Word for word the same of a token of another project, so that nothing tells that there is one.
            if old is None or not any(grant.project == call.project for grant in changes.standing(old.user)):
                raise TokenNotFound(f"project {call.project} has no token {token_id!r}", name=token_id)
            _require_rotatable(old)
            if not own:
                changes.require_over_user(call, old.user, f"to rotate a token of {old.user}")
                elsewhere = {grant.project for grant in changes.standing(old.user)} != {call.project}
                if elsewhere and old.scope.project != call.project:
                    raise UserElsewhere(f"{old.user} belongs to other projects as well", user=old.user)
                require_within(call, old.user, old.scope)
            if not repeated and (not old.is_live(changes.now) or store.was_replaced(tx, token_id)):
                raise TokenEnded(f"the token {token_id} has ended, or was rotated before", token_id=token_id)
            made = changes.replace_token(old, lasting)
            if not own:
                given = store.token_with_id(tx, made.token_id)
                require_lasting(call, old.user, None if given is None else given.expires_at)
            details = {"token_id": made.token_id, "replaces": token_id, "grace_s": int(lasting.total_seconds())}
            self._finish(tx, changes, _deed(call, "token.rotated", old.user, details, keyed=not repeated))
        return made

    def revoke_token(self, call: Call, token_id_or_name: str) -> Revoked:
        """Take one token back by its id, or all of a user by name; one's own token needs no right.

        Raises:
            TokenNotFound: the project has neither such a token nor such a user.
            RightsBeyond: the holder has rights that the caller has not.
            UserElsewhere: the token is good in other projects, too; whoever manages groups may end it.
            LastAdmin: no admin of the project could identify any more.
        """
        own = token_id_or_name == call.actor.token_id
        if not own:
            call.require(Right.MANAGE_USERS)
        with self._database.write() as tx:
            repeated = self._repeated(tx, call)
            changes = Changes(tx, self._clock)
            user, tokens = changes.tokens_meant(token_id_or_name, call.project)
            if repeated or not tokens:
                return Revoked(user=user, token_ids=())
            if not own:
                changes.require_over_user(call, user, f"to revoke tokens of {user}")
                tokens = _revocable(call, user, tokens, changes.standing(user))
            revoked = changes.revoke(tokens)
            changes.keep_an_admin(call.project)
            self._finish(tx, changes, _deed(call, "token.revoked", user, {"token_ids": list(revoked)}))
        return Revoked(user=user, token_ids=revoked)

    def _repeated(self, tx: Transaction, call: Call) -> bool:
        return self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest) is not None

    def _further_token(
        self,
        tx: Transaction,
        call: Call,
        name: str,
        expires: datetime | None,
        *,
        keyed: bool,
        label: str = "",
        scope: Scope = WHOLE,
    ) -> TokenHolder:
        changes = Changes(tx, self._clock)
        changes.require_member(name, call.project)
        standing = [grant for grant in changes.standing(name) if grant.project == call.project]
        scope = changes.scope_given(call, name, scope)
        require_lasting(call, name, expires)
        rights = rights_by_project(standing, changes.custom())[call.project]
        changes.require_over(call, scope.rights_of(rights), f"to give a token to {name}")
        made = changes.further_token(name, call.project, expires, label=label, scope=scope)
        details = {"token_id": made.token_id, **_until(expires), **_limited(label, scope)}
        self._finish(tx, changes, _deed(call, "token.added", name, details, keyed=keyed))
        return made

    def _finish(self, tx: Transaction, changes: Changes, deed: Deed) -> None:
        self._board.publish(tx, ACCESS_SUBJECT, changes.access_list())
        self._journal.append(tx, deed)


def _deed(call: Call, action: str, user: str, details: Mapping[str, object], *, keyed: bool = True) -> Deed:
    return Deed(
        actor=call.actor.name,
        action=action,
        subject=f"user {user}",
        project=call.project,
        details=dict(details),
        # A key stands on one event only: a token that a repetition gives is on record without it.
        idempotency_key=call.idempotency_key if keyed else None,
        request_digest=call.request_digest if keyed else None,
    )


def _factory_deed(action: str, user: str, details: Mapping[str, object]) -> Deed:
    return Deed(actor=FACTORY, action=action, subject=f"user {user}", project=DEFAULT_PROJECT, details=dict(details))


def _until(expires: datetime | None) -> Mapping[str, object]:
    return {} if expires is None else {"expires": rfc3339(expires)}


def _limited(label: str, scope: Scope) -> Mapping[str, object]:
    told: dict[str, object] = {"label": label} if label else {}
    if scope.rights is not None:
        told["rights"] = sorted(str(right) for right in scope.rights)
    if scope.endpoints is not None:
        told["endpoints"] = list(scope.endpoints)
    if scope.project is not None:
        told["in_project"] = scope.project
    return told


def _is_told(token: Token, project: str, now: datetime) -> bool:
    """Whether a token is shown in a project: it is live, and good there."""
    return token.is_live(now) and token.scope.holds_project(project)


def _user(profile: Profile, grants: Sequence[Grant], tokens: tuple[Token, ...]) -> User:
    own = next((grant for grant in grants if grant.group is None), None)
    return User(
        name=profile.name,
        role=None if own is None else own.role,
        endpoints=tuple(sorted({endpoint for grant in grants for endpoint in grant.endpoints})),
        created_at=profile.created_at,
        tokens=tokens,
        may=() if own is None else own.may,
        groups={grant.group: grant.role for grant in grants if grant.group is not None},
        kind=profile.kind,
        title=profile.title,
        contact=profile.contact,
        channel=profile.channel,
    )


def _checked_scope(scope: Scope) -> Scope:
    """A scope as it is kept.

    Raises:
        TokenUnfit: it holds nothing.
        NameMalformed: an endpoint is not a name.
    """
    if scope.rights is not None and not scope.rights:
        raise TokenUnfit("a token without any right would be good for nothing")
    if scope.endpoints is None:
        return scope
    if not scope.endpoints:
        raise TokenUnfit("a token for no endpoint would be good for nothing")
    return replace(scope, endpoints=tuple(sorted({checked_name(name, of="endpoint") for name in scope.endpoints})))


def _revocable(call: Call, user: str, tokens: Sequence[Token], standing: Sequence[Grant]) -> tuple[Token, ...]:
    """Those of a user's tokens that the caller may end: all, or of a user of several projects those for this one alone.

    Raises:
        UserElsewhere: there are none.
    """
    if call.actor.may(Right.MANAGE_GROUPS) or {grant.project for grant in standing} == {call.project}:
        return tuple(tokens)
    here = tuple(token for token in tokens if token.scope.project == call.project)
    if not here:
        raise UserElsewhere(f"{user} belongs to other projects than {call.project} as well", user=user)
    return here


def _require_rotatable(token: Token) -> None:
    """Nothing, if a token may be rotated.

    Raises:
        TokenUnfit: it came from a sign-in: it would outlive the password or the provider's word.
    """
    if token.label == SIGN_IN_LABEL:
        raise TokenUnfit("a token that a sign-in gave is not rotated: sign in again", token_id=token.token_id)


def _beyond(may: Sequence[Right]) -> Mapping[str, object]:
    return {"may": [str(right) for right in may]} if may else {}


def checked_endpoints(endpoints: Sequence[str]) -> tuple[str, ...]:
    """Endpoints as a grant holds them: sorted, each once, `*` for all.

    Raises:
        NameMalformed: one is not a name.
    """
    return tuple(sorted({name if name == "*" else checked_name(name, of="endpoint") for name in endpoints}))
