"""Changes of users within one transaction: the parts of which the deeds of `service` are made, and their rules."""

from collections.abc import Iterable
from datetime import datetime

from muster.access import store
from muster.access.access_list import access_list
from muster.access.errors import ExpiryPast, LastAdmin, TokenNotFound, UserElsewhere, UserNotFound
from muster.access.roles import AccessRole, Right
from muster.access.tokens import Token, new_token_id, new_token_text, token_hash
from muster.access.users import Grant, TokenHolder
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import Clock, rfc3339
from muster.vocabulary.names import DEFAULT_PROJECT
from muster.wire.plans import AccessList

EVERY_ENDPOINT = ("*",)


class Changes:
    """What is done to users in one transaction; holds the lock that keeps two changes of users apart."""

    def __init__(self, tx: Transaction, clock: Clock) -> None:
        tx.lock("muster.access")
        self._tx = tx
        self._now = clock.now()

    def new_user(
        self,
        name: str,
        role: AccessRole,
        *,
        endpoints: tuple[str, ...] = EVERY_ENDPOINT,
        project: str = DEFAULT_PROJECT,
        expires: datetime | None = None,
        may: tuple[Right, ...] = (),
    ) -> TokenHolder:
        """Add a user with a role and a token; the name must be free."""
        store.add_user(self._tx, name, self._now)
        self.add_grant(name, role, endpoints, project, may)
        return self.new_token(name, role, expires)

    def add_grant(
        self, name: str, role: AccessRole, endpoints: tuple[str, ...], project: str, may: tuple[Right, ...] = ()
    ) -> Grant:
        """Give a user a role in a project in which the user has none."""
        grant = Grant(user=name, project=project, role=role, endpoints=endpoints, granted_at=self._now, may=may)
        store.add_grant(self._tx, grant)
        return grant

    def new_token(self, name: str, role: AccessRole, expires: datetime | None) -> TokenHolder:
        """Give a user a token.

        Raises:
            ExpiryPast: it would be worthless already.
        """
        if expires is not None and (expires.tzinfo is None or expires <= self._now):
            raise ExpiryPast(f"a token cannot expire at {expires.isoformat()}: it is {rfc3339(self._now)}")
        text = new_token_text()
        token = Token(
            token_id=new_token_id(),
            user=name,
            sha256=token_hash(text),
            created_at=self._now,
            expires_at=expires,
            revoked_at=None,
        )
        store.add_token(self._tx, token)
        return TokenHolder(name=name, role=role, token=text, token_id=token.token_id)

    def further_token(self, name: str, project: str, expires: datetime | None) -> TokenHolder:
        """Give a user of this project, and no other, one more token.

        Raises:
            UserNotFound: the project has no such user.
            UserElsewhere: the token would act as that user in a project whose admins were not asked.
        """
        grant = self.required_grant(name, project)
        if {other.project for other in store.grants_of(self._tx, name)} != {project}:
            raise UserElsewhere(f"{name} belongs to other projects than {project} as well", user=name)
        return self.new_token(name, grant.role, expires)

    def grant(self, name: str, project: str) -> Grant | None:
        """The role of a user in a project."""
        return next((grant for grant in store.grants_of(self._tx, name) if grant.project == project), None)

    def required_grant(self, name: str, project: str) -> Grant:
        """The role of a user in a project.

        Raises:
            UserNotFound: there is no such user in it.
        """
        grant = self.grant(name, project)
        if grant is None:
            raise UserNotFound(f"there is no user {name!r} in project {project}", user=name, project=project)
        return grant

    def remove(self, name: str, project: str) -> tuple[str, ...]:
        """Take a user out of a project; gives the ids of the tokens that ended, if it was the last project."""
        store.remove_grant(self._tx, name, project)
        if store.grants_of(self._tx, name):
            return ()
        store.mark_removed(self._tx, name, self._now)
        return self.revoke(store.unrevoked_tokens(self._tx, name))

    def tokens_meant(self, token_id_or_name: str, project: str) -> tuple[str, tuple[Token, ...]]:
        """Whose tokens are meant by an id or a user's name, and which of them still need revoking.

        Raises:
            TokenNotFound: the project has neither.
        """
        token = store.token_with_id(self._tx, token_id_or_name)
        user = token.user if token is not None else token_id_or_name
        if self.grant(user, project) is None:
            raise TokenNotFound(
                f"project {project} has neither a token nor a user {token_id_or_name!r}", name=token_id_or_name
            )
        if token is not None:
            return user, (token,) if token.revoked_at is None else ()
        return user, store.unrevoked_tokens(self._tx, user)

    def revoke(self, tokens: Iterable[Token]) -> tuple[str, ...]:
        """Take tokens back; gives their ids."""
        token_ids = tuple(token.token_id for token in tokens)
        store.revoke(self._tx, token_ids, self._now)
        return token_ids

    def keep_an_admin(self, project: str) -> None:
        """Nothing, if an admin of the project can still identify.

        Raises:
            LastAdmin: none can.
        """
        grants = (grant for grant in store.every_grant(self._tx) if grant.project == project)
        admins = {grant.user for grant in grants if grant.role is AccessRole.ADMIN}
        if not any(token.user in admins and token.is_live(self._now) for token in store.unrevoked_tokens(self._tx)):
            raise LastAdmin(f"project {project} would be left without an admin who has a token", project=project)

    def access_list(self) -> AccessList:
        """Who may score, after the changes."""
        return access_list(store.every_grant(self._tx), store.unrevoked_tokens(self._tx), self._now)
