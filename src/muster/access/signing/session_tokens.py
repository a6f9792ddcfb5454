"""The token that somebody gets by signing in, and how such tokens end. Every function works within one transaction."""

from datetime import datetime, timedelta

from muster.access import store as users
from muster.access.changes import Changes, roles_told
from muster.access.signing import store
from muster.access.signing.records import SignedIn
from muster.access.tokens import SIGN_IN_LABEL
from muster.storage.transaction import Transaction


def give_token(tx: Transaction, changes: Changes, user: str, *, way: str, now: datetime, lasts: timedelta) -> SignedIn:
    """A token for a person who proved to be the user, and the note of how."""
    expires = now + lasts
    made = changes.new_token(user, roles_told(changes.standing(user), None), expires, label=SIGN_IN_LABEL)
    store.add_sign_in(tx, made.token_id, user, way, now)
    return SignedIn(user=user, token=made.token, token_id=made.token_id, expires_at=expires)


def end_tokens(tx: Transaction, changes: Changes, user: str, *, but: str | None = None) -> tuple[str, ...]:
    """Take back what a user got by signing in; gives the ids.

    Args:
        tx: the transaction.
        changes: of users, in it.
        user: whose.
        but: the id of one that stays.
    """
    signed_in = store.signed_in_tokens(tx, user) - {but}
    return changes.revoke(token for token in users.unrevoked_tokens(tx, user) if token.token_id in signed_in)
