"""The access list: which tokens may score where, as the fronts follow it."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from muster.access.roles import CustomRights, Right
from muster.access.tokens import Token
from muster.access.users import Grant
from muster.wire.plans import AccessEntry, AccessList

#: Rights that fronts ask for, beside the one to score.
_TOLD = (Right.LIVE_TEST, Right.OVERRIDE)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def access_list(
    grants: Sequence[Grant],
    tokens: Sequence[Token],
    now: datetime,
    *,
    custom: CustomRights | None = None,
    requests_per_s: Mapping[str, int] | None = None,
) -> AccessList:
    """The list for the given users, ordered by token id, so that the same users give the same bytes.

    Args:
        grants: of users, those that come from groups among them.
        tokens: of all users.
        now: at which tokens have or have not expired.
        custom: what the projects' own roles give.
        requests_per_s: how often a token may ask in a project, where its quota says so.
    """
    of_user: dict[str, list[Grant]] = {}
    for grant in grants:
        of_user.setdefault(grant.user, []).append(grant)
    live = sorted((token for token in tokens if token.is_live(now)), key=lambda token: token.token_id)
    entries = (_entry(token, of_user.get(token.user, ()), custom or {}, requests_per_s or {}) for token in live)
    return AccessList(format=1, entries=tuple(entry for entry in entries if entry is not None))


def _entry(
    token: Token, grants: Sequence[Grant], custom: CustomRights, limits: Mapping[str, int]
) -> AccessEntry | None:
    """What the fronts are told of a token; None: it scores nowhere."""
    endpoints: dict[str, set[str]] = {}
    rights: set[str] = set()
    for grant in grants:
        given = token.scope.rights_of(grant.rights(custom)) if token.scope.holds_project(grant.project) else frozenset()
        # A right counts in the project in which it was granted, and nowhere else.
        rights |= {f"{grant.project}/{right}" for right in _TOLD if right in given}
        if Right.SCORE in given:
            endpoints.setdefault(grant.project, set()).update(token.scope.endpoints_of(grant.endpoints))
    if not any(endpoints.values()):
        return None
    return AccessEntry(
        token_id=token.token_id,
        sha256=token.sha256,
        name=token.user,
        endpoints=tuple(sorted(f"{project}/{name}" for project, names in endpoints.items() for name in _fewest(names))),
        rights=tuple(sorted(right for right in rights if right.partition("/")[0] in endpoints)),
        expires_ns=_nanoseconds(token.expires_at) if token.expires_at else 0,
        requests_per_s={project: limits[project] for project in sorted(endpoints) if project in limits},
    )


def _fewest(names: set[str]) -> set[str]:
    return {"*"} if "*" in names else names


def _nanoseconds(moment: datetime) -> int:
    since = moment - _EPOCH
    return ((since.days * 86_400 + since.seconds) * 1_000_000 + since.microseconds) * 1000
