"""Users and tokens: identify a caller, add and remove users, give out tokens and take them back."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from types import MappingProxyType

from muster.access import store
from muster.access.actor import Actor, Call
from muster.access.changes import EVERY_ENDPOINT, Changes
from muster.access.errors import (
    FactoryHasUsers,
    TokenExpired,
    TokenMissing,
    TokenRevoked,
    TokenUnknown,
    UserExists,
    UserNotFound,
)
from muster.access.roles import AccessRole, Right, checked_rights, checked_role
from muster.access.tokens import looks_like_token, token_hash
from muster.access.users import FirstUsers, Grant, NewUser, Revoked, TokenHolder, User
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.publishing.board import ACCESS_SUBJECT, Board
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.clock import Clock, rfc3339
from muster.vocabulary.names import DEFAULT_PROJECT, checked_name

FACTORY = "muster"
"""The actor of what no user asked for: the first users, a lost token that the machine's owner replaces."""


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
            grants = store.grants_of(tx, known.user) if known else ()
        if known is None:
            raise TokenUnknown("nobody in this factory has the token that was given")
        if known.revoked_at is not None:
            raise TokenRevoked(f"the token {known.token_id} of {known.user} was revoked", token_id=known.token_id)
        if not known.is_live(self._clock.now()):
            raise TokenExpired(f"the token {known.token_id} of {known.user} has expired", token_id=known.token_id)
        roles = MappingProxyType({grant.project: grant.role for grant in grants})
        return Actor(name=known.user, roles=roles, token_id=known.token_id, solo=self._solo)

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

        Whoever may call this owns the database: no door leads here but the ones that start the factory.

        Raises:
            UserNotFound: there is no such user.
        """
        with self._database.write() as tx:
            changes = Changes(tx, self._clock)
            grants = store.grants_of(tx, name)
            if not grants:
                raise UserNotFound(f"there is no user {name}", user=name)
            changes.revoke(store.unrevoked_tokens(tx, name))
            made = changes.new_token(name, grants[0].role, None)
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
    ) -> NewUser:
        """Add a user to the project of the call, with a token; a user of another project keeps the tokens had there.

        A repetition (same idempotency key) gives a further token, as the first one's text is nowhere to be found again.

        Raises:
            UserExists: the name is taken, or was.
            RightNotGrantable: a right of `may` is not given beyond this role.
        """
        call.require(Right.MANAGE_USERS)
        user, granted = checked_name(name, of="user"), checked_role(role)
        allowed, given = _checked_endpoints(endpoints), checked_rights(granted, may)
        with self._database.write() as tx:
            if self._repeated(tx, call):
                return self._further_token(tx, call, user, expires, keyed=False)
            changes = Changes(tx, self._clock)
            if user == FACTORY or store.is_removed(tx, user) or changes.grant(user, call.project) is not None:
                raise UserExists(f"the name {user} is taken, or was", user=user)
            made: NewUser
            if store.name_is_taken(tx, user):
                # No token: with one, an admin of this project could act as that user in another.
                changes.add_grant(user, granted, allowed, call.project, given)
                made = NewUser(name=user, role=granted, token=None, token_id=None)
            else:
                made = changes.new_user(
                    user, granted, endpoints=allowed, project=call.project, expires=expires, may=given
                )
            details = {
                "role": str(granted), "endpoints": list(allowed), "token_id": made.token_id, **_until(expires), **_beyond(given),
            }  # fmt: skip
            self._finish(tx, changes, _deed(call, "user.added", user, details))
        return made

    def users(self, call: Call) -> tuple[User, ...]:
        """The users of the project, by name, with their live tokens."""
        call.require(Right.MANAGE_USERS)
        now = self._clock.now()
        with self._database.read() as tx:
            grants = [grant for grant in store.every_grant(tx) if grant.project == call.project]
            live = [token for token in store.unrevoked_tokens(tx) if token.is_live(now)]
            created = store.users_created(tx)
        return tuple(
            User(
                name=grant.user,
                role=grant.role,
                endpoints=grant.endpoints,
                created_at=created[grant.user],
                tokens=tuple(token for token in live if token.user == grant.user),
                may=grant.may,
            )
            for grant in grants
        )

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
            RightNotGrantable: a right of `may` is not given beyond this role.
        """
        call.require(Right.MANAGE_USERS)
        granted, allowed = checked_role(role), _checked_endpoints(endpoints)
        given = checked_rights(granted, may)
        with self._database.write() as tx:
            repeated = self._repeated(tx, call)
            changes = Changes(tx, self._clock)
            before = changes.required_grant(name, call.project)
            if repeated:
                return before
            store.remove_grant(tx, name, call.project)
            grant = changes.add_grant(name, granted, allowed, call.project, given)
            changes.keep_an_admin(call.project)
            details = {
                "role": str(granted), "before": str(before.role), "endpoints": list(allowed), **_beyond(given),
            }  # fmt: skip
            self._finish(tx, changes, _deed(call, "user.role-changed", name, details))
        return grant

    def remove_user(self, call: Call, name: str) -> Revoked:
        """Take a user out of the project; out of the last one, all tokens are revoked and the name stays taken.

        Raises:
            UserNotFound: there is no such user in the project.
            LastAdmin: it would leave the project without an admin.
        """
        call.require(Right.MANAGE_USERS)
        with self._database.write() as tx:
            if self._repeated(tx, call):
                return Revoked(user=name, token_ids=())
            changes = Changes(tx, self._clock)
            changes.required_grant(name, call.project)
            revoked = changes.remove(name, call.project)
            changes.keep_an_admin(call.project)
            self._finish(tx, changes, _deed(call, "user.removed", name, {"token_ids": list(revoked)}))
        return Revoked(user=name, token_ids=revoked)

    def new_token(self, call: Call, name: str, expires: datetime | None = None) -> TokenHolder:
        """A further token for a user whose only project is that of the call.

        Raises:
            UserNotFound: there is no such user in the project.
            UserElsewhere: the user belongs to other projects as well.
        """
        call.require(Right.MANAGE_USERS)
        with self._database.write() as tx:
            return self._further_token(tx, call, name, expires, keyed=not self._repeated(tx, call))

    def revoke_token(self, call: Call, token_id_or_name: str) -> Revoked:
        """Take one token back by its id, or all of a user by name; one's own token needs no right.

        Raises:
            TokenNotFound: the project has neither such a token nor such a user.
            LastAdmin: no admin of the project could identify any more.
        """
        if token_id_or_name != call.actor.token_id:
            call.require(Right.MANAGE_USERS)
        with self._database.write() as tx:
            repeated = self._repeated(tx, call)
            changes = Changes(tx, self._clock)
            user, tokens = changes.tokens_meant(token_id_or_name, call.project)
            if repeated or not tokens:
                return Revoked(user=user, token_ids=())
            revoked = changes.revoke(tokens)
            changes.keep_an_admin(call.project)
            self._finish(tx, changes, _deed(call, "token.revoked", user, {"token_ids": list(revoked)}))
        return Revoked(user=user, token_ids=revoked)

    def _repeated(self, tx: Transaction, call: Call) -> bool:
        return self._journal.earlier(tx, call.actor.name, call.idempotency_key, call.request_digest) is not None

    def _further_token(
        self, tx: Transaction, call: Call, name: str, expires: datetime | None, *, keyed: bool
    ) -> TokenHolder:
        changes = Changes(tx, self._clock)
        made = changes.further_token(name, call.project, expires)
        details = {"token_id": made.token_id, **_until(expires)}
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


def _beyond(may: Sequence[Right]) -> Mapping[str, object]:
    return {"may": [str(right) for right in may]} if may else {}


def _checked_endpoints(endpoints: Sequence[str]) -> tuple[str, ...]:
    return tuple(sorted({name if name == "*" else checked_name(name, of="endpoint") for name in endpoints}))
