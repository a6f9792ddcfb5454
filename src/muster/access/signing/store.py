"""All statements about passwords, attempts, identities and sign-ins under way."""

import json
from collections.abc import Mapping
from datetime import datetime
from typing import Any

import sqlalchemy as sa

from muster.access.signing.records import Flow, Identity, Password
from muster.access.signing.tables import identities, oidc_flows, passwords, sign_in_attempts, sign_ins
from muster.access.store import is_removed, profile, standing_of
from muster.access.users import UserKind
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import from_rfc3339, rfc3339


def is_known_person(tx: Transaction, name: str) -> bool:
    """Whether a user is a person who was not removed, in any project or in none."""
    found = profile(tx, name)
    return found is not None and found.kind is UserKind.PERSON and not is_removed(tx, name)


def is_person(tx: Transaction, name: str) -> bool:
    """Whether a user is there, in a project at least, and is a person."""
    return is_known_person(tx, name) and bool(standing_of(tx, name))


# Passwords.


def password_of(tx: Transaction, name: str) -> Password | None:
    """The password of a person who is there."""
    row = tx.execute(sa.select(passwords).where(passwords.c.user_name == name)).first()
    if row is None or not is_person(tx, name):
        return None
    return Password(
        user=row.user_name,
        hash=row.hash,
        set_at=from_rfc3339(row.set_at),
        set_by=row.set_by,
        must_change=bool(row.must_change),
    )


def keep_password(tx: Transaction, password: Password) -> None:
    """Set a password in place of whatever there was."""
    tx.execute(sa.delete(passwords).where(passwords.c.user_name == password.user))
    tx.execute(
        sa.insert(passwords).values(
            user_name=password.user,
            hash=password.hash,
            set_at=rfc3339(password.set_at),
            set_by=password.set_by,
            must_change=password.must_change,
        )
    )


def rehash(tx: Transaction, name: str, kept: str) -> None:
    """Keep the same password under a newer hash."""
    tx.execute(sa.update(passwords).where(passwords.c.user_name == name).values(hash=kept))


# Tokens that were got by signing in.


def add_sign_in(tx: Transaction, token_id: str, user: str, way: str, at: datetime) -> None:
    """Note that a token was got by signing in."""
    tx.execute(sa.insert(sign_ins).values(token_id=token_id, user_name=user, way=way, at=rfc3339(at)))


def signed_in_tokens(tx: Transaction, user: str) -> frozenset[str]:
    """The ids of all tokens that a user ever got by signing in."""
    rows = tx.execute(sa.select(sign_ins.c.token_id).where(sign_ins.c.user_name == user))
    return frozenset(row.token_id for row in rows)


# Attempts.


def attempts(tx: Transaction, *, who: str | None = None, address: str | None = None, since: datetime) -> list[datetime]:
    """When the attempts were that count, oldest first."""
    column, value = (sign_in_attempts.c.who, who) if who is not None else (sign_in_attempts.c.address, address)
    asked = sa.select(sign_in_attempts.c.at).where(column == value, sign_in_attempts.c.at > rfc3339(since))
    return [from_rfc3339(row.at) for row in tx.execute(asked.order_by(sign_in_attempts.c.at))]


def add_attempt(tx: Transaction, attempt_id: str, who: str, address: str, at: datetime) -> None:
    """Count an attempt."""
    tx.execute(sa.insert(sign_in_attempts).values(attempt_id=attempt_id, who=who, address=address, at=rfc3339(at)))


def drop_attempt(tx: Transaction, attempt_id: str) -> None:
    """Take one attempt back."""
    tx.execute(sa.delete(sign_in_attempts).where(sign_in_attempts.c.attempt_id == attempt_id))


def forget_attempts(tx: Transaction, who: str) -> None:
    """Count no attempt at a user's name any more."""
    tx.execute(sa.delete(sign_in_attempts).where(sign_in_attempts.c.who == who))


def forget_attempts_before(tx: Transaction, moment: datetime) -> None:
    """Let go of attempts that count no more."""
    tx.execute(sa.delete(sign_in_attempts).where(sign_in_attempts.c.at <= rfc3339(moment)))


# Identities.


def identity(tx: Transaction, issuer: str, subject: str) -> Identity | None:
    """Whose an identity is."""
    asked = sa.select(identities).where(identities.c.issuer == issuer, identities.c.subject == subject)
    row = tx.execute(asked).first()
    return row and _identity(row)


def identities_of(tx: Transaction, user: str) -> tuple[Identity, ...]:
    """The identities of a user."""
    asked = sa.select(identities).where(identities.c.user_name == user)
    return tuple(_identity(row) for row in tx.execute(asked.order_by(identities.c.issuer, identities.c.subject)))


def add_identity(tx: Transaction, bound: Identity) -> None:
    """Bind an identity that is nobody's."""
    tx.execute(
        sa.insert(identities).values(
            issuer=bound.issuer,
            subject=bound.subject,
            user_name=bound.user,
            bound_at=rfc3339(bound.bound_at),
            bound_by=bound.bound_by,
        )
    )


def remove_identity(tx: Transaction, issuer: str, subject: str) -> None:
    """Let an identity be nobody's."""
    tx.execute(sa.delete(identities).where(identities.c.issuer == issuer, identities.c.subject == subject))


# Sign-ins at a provider.


def add_flow(tx: Transaction, flow: Flow, *, handle_sha256: str, address: str) -> None:
    """Keep a sign-in that was just begun."""
    tx.execute(
        sa.insert(oidc_flows).values(
            state_sha256=flow.state_sha256,
            handle_sha256=handle_sha256,
            provider=flow.provider,
            nonce=flow.nonce,
            verifier=flow.verifier,
            address=address,
            begun_at=rfc3339(flow.begun_at),
            expires_at=rfc3339(flow.expires_at),
            wrong_codes=0,
        )
    )


def flow_with_state(tx: Transaction, state_sha256: str) -> Flow | None:
    """The sign-in that a browser comes back for."""
    row = tx.execute(sa.select(oidc_flows).where(oidc_flows.c.state_sha256 == state_sha256)).first()
    return row and _flow(row)


def flow_with_handle(tx: Transaction, handle_sha256: str) -> Flow | None:
    """The sign-in that somebody began."""
    row = tx.execute(sa.select(oidc_flows).where(oidc_flows.c.handle_sha256 == handle_sha256)).first()
    return row and _flow(row)


def change_flow(tx: Transaction, state_sha256: str, **values: Any) -> None:
    """Note how a sign-in goes on; moments and tuples as such."""
    told: Mapping[str, Any] = {
        name: rfc3339(value)
        if isinstance(value, datetime)
        else json.dumps(value)
        if isinstance(value, tuple)
        else value
        for name, value in values.items()
    }
    tx.execute(sa.update(oidc_flows).where(oidc_flows.c.state_sha256 == state_sha256).values(**told))


def flows_begun(tx: Transaction, since: datetime, address: str | None = None) -> int:
    """How many sign-ins were begun, from an address or from everywhere."""
    asked = sa.select(sa.func.count()).select_from(oidc_flows).where(oidc_flows.c.begun_at > rfc3339(since))
    if address is not None:
        asked = asked.where(oidc_flows.c.address == address)
    return int(tx.execute(asked).scalar_one())


def forget_flows_before(tx: Transaction, moment: datetime) -> None:
    """Let go of sign-ins that were begun long ago."""
    tx.execute(sa.delete(oidc_flows).where(oidc_flows.c.begun_at <= rfc3339(moment)))


def _identity(row: sa.Row[Any]) -> Identity:
    return Identity(
        issuer=row.issuer,
        subject=row.subject,
        user=row.user_name,
        bound_at=from_rfc3339(row.bound_at),
        bound_by=row.bound_by,
    )


def _flow(row: sa.Row[Any]) -> Flow:
    return Flow(
        state_sha256=row.state_sha256,
        provider=row.provider,
        nonce=row.nonce,
        verifier=row.verifier,
        begun_at=from_rfc3339(row.begun_at),
        expires_at=from_rfc3339(row.expires_at),
        called_at=row.called_at and from_rfc3339(row.called_at),
        finished_at=row.finished_at and from_rfc3339(row.finished_at),
        problem=row.problem,
        subject=row.subject,
        claimed=row.claimed,
        groups=tuple(json.loads(row.groups or "[]")),
        code_sha256=row.code_sha256,
        wrong_codes=row.wrong_codes,
    )
