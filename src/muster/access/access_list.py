"""The access list: which tokens may score where, as the fronts follow it."""

from collections.abc import Sequence
from datetime import UTC, datetime

from muster.access.roles import RIGHTS, Right
from muster.access.tokens import Token
from muster.access.users import Grant
from muster.wire.plans import AccessEntry, AccessList

#: Rights that fronts ask for, beside the one to score.
_TOLD = (Right.LIVE_TEST, Right.OVERRIDE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def access_list(grants: Sequence[Grant], tokens: Sequence[Token], now: datetime) -> AccessList:
    """The list for the given users, ordered by token id, so that the same users give the same bytes."""
    scoring: dict[str, list[Grant]] = {}
    for grant in grants:
        if Right.SCORE in RIGHTS[grant.role]:
            scoring.setdefault(grant.user, []).append(grant)
    live = sorted((token for token in tokens if token.is_live(now)), key=lambda token: token.token_id)
    entries = (_entry(token, scoring[token.user]) for token in live if token.user in scoring)
    return AccessList(format=1, entries=tuple(entries))


def _includes(grant: Grant, right: Right) -> bool:
    return right in RIGHTS[grant.role] or right in grant.may


def _entry(token: Token, grants: Sequence[Grant]) -> AccessEntry:
    return AccessEntry(
        token_id=token.token_id,
        sha256=token.sha256,
        name=token.user,
        endpoints=tuple(sorted({endpoint for grant in grants for endpoint in grant.endpoints})),
        rights=tuple(str(right) for right in _TOLD if any(_includes(grant, right) for grant in grants)),
        expires_ns=_nanoseconds(token.expires_at) if token.expires_at else 0,
    )


def _nanoseconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
