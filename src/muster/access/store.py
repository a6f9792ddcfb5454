"""All statements about users, grants and tokens."""

import json
from collections.abc import Collection
from datetime import datetime

import sqlalchemy as sa

from muster.access.roles import AccessRole, Right
from muster.access.tables import grants, tokens, users
from muster.access.tokens import Token
from muster.access.users import Grant
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import from_rfc3339, rfc3339


def has_users(tx: Transaction) -> bool:
    """Whether there is any user."""
    return tx.execute(sa.select(users.c.name).limit(1)).first() is not None


def name_is_taken(tx: Transaction, name: str) -> bool:
    """Whether a user has, or had, the name."""
    return tx.execute(sa.select(users.c.name).where(users.c.name == name)).first() is not None


def is_removed(tx: Transaction, name: str) -> bool:
    """Whether the user of that name was removed."""
    asked = sa.select(users.c.name).where(users.c.name == name, users.c.removed_at.is_not(None))
    return tx.execute(asked).first() is not None


def users_created(tx: Transaction) -> dict[str, datetime]:
    """When each user, removed ones aside, was added."""
    rows = tx.execute(sa.select(users.c.name, users.c.created_at).where(users.c.removed_at.is_(None)))
    return {row.name: from_rfc3339(row.created_at) for row in rows}


def add_user(tx: Transaction, name: str, at: datetime) -> None:
    """Add a user; the name must be free."""
    tx.execute(sa.insert(users).values(name=name, created_at=rfc3339(at), removed_at=None))


def mark_removed(tx: Transaction, name: str, at: datetime) -> None:
    """Note that a user is gone."""
    tx.execute(sa.update(users).where(users.c.name == name).values(removed_at=rfc3339(at)))


def grants_of(tx: Transaction, name: str) -> tuple[Grant, ...]:
    """The roles of a user."""
    return tuple(_grant(row) for row in tx.execute(sa.select(grants).where(grants.c.user_name == name)))


def every_grant(tx: Transaction) -> tuple[Grant, ...]:
    """The roles of all users, by project and name."""
    return tuple(_grant(row) for row in tx.execute(sa.select(grants).order_by(grants.c.project, grants.c.user_name)))


def add_grant(tx: Transaction, grant: Grant) -> None:
    """Give a role; the user must have none in the project."""
    tx.execute(
        sa.insert(grants).values(
            user_name=grant.user,
            project=grant.project,
            role=str(grant.role),
            endpoints=json.dumps(grant.endpoints),
            granted_at=rfc3339(grant.granted_at),
            may=json.dumps(grant.may),
        )
    )


def remove_grant(tx: Transaction, name: str, project: str) -> None:
    """Take a role away."""
    tx.execute(sa.delete(grants).where(grants.c.user_name == name, grants.c.project == project))


def add_token(tx: Transaction, token: Token) -> None:
    """Keep a new token."""
    tx.execute(
        sa.insert(tokens).values(
            token_id=token.token_id,
            user_name=token.user,
            sha256=token.sha256,
            created_at=rfc3339(token.created_at),
            expires_at=token.expires_at and rfc3339(token.expires_at),
            revoked_at=None,
        )
    )


def token_with_hash(tx: Transaction, sha256: str) -> Token | None:
    """The token whose text has this SHA-256."""
    row = tx.execute(sa.select(tokens).where(tokens.c.sha256 == sha256)).first()
    return row and _token(row)


def token_with_id(tx: Transaction, token_id: str) -> Token | None:
    """The token of this id."""
    row = tx.execute(sa.select(tokens).where(tokens.c.token_id == token_id)).first()
    return row and _token(row)


def unrevoked_tokens(tx: Transaction, user: str | None = None) -> tuple[Token, ...]:
    """Tokens that were not taken back, though they may have expired; of all users or one; by id."""
    asked = sa.select(tokens).where(tokens.c.revoked_at.is_(None)).order_by(tokens.c.token_id)
    if user is not None:
        asked = asked.where(tokens.c.user_name == user)
    return tuple(_token(row) for row in tx.execute(asked))


def revoke(tx: Transaction, token_ids: Collection[str], at: datetime) -> None:
    """Take tokens back."""
    tx.execute(sa.update(tokens).where(tokens.c.token_id.in_(token_ids)).values(revoked_at=rfc3339(at)))


def _grant(row: sa.Row[tuple[str, str, str, str, str, str]]) -> Grant:
    return Grant(
        user=row.user_name,
        project=row.project,
        role=AccessRole(row.role),
        endpoints=tuple(json.loads(row.endpoints)),
        granted_at=from_rfc3339(row.granted_at),
        may=tuple(Right(name) for name in json.loads(row.may)),
    )


def _token(row: sa.Row[tuple[str, str, str, str, str | None, str | None]]) -> Token:
    return Token(
        token_id=row.token_id,
        user=row.user_name,
        sha256=row.sha256,
        created_at=from_rfc3339(row.created_at),
        expires_at=row.expires_at and from_rfc3339(row.expires_at),
        revoked_at=row.revoked_at and from_rfc3339(row.revoked_at),
    )
