"""Roles, rights, and which role has which.

A role belongs to a user in a project. Rights are what services ask for; no service asks for a role.
"""

from collections.abc import Iterable
from enum import StrEnum

from muster.access.errors import RightNotGrantable, RoleUnknown


class AccessRole(StrEnum):
    """What somebody is in a project."""

    VIEWER = "viewer"
    SCIENTIST = "scientist"
    APPROVER = "approver"
    OPERATOR = "operator"
    ADMIN = "admin"
    CONSUMER = "consumer"
    """An application that scores, and can do nothing else."""
    FRONT = "front"
    """The service account of the fronts: follows publications and reports what was done about them."""


class Right(StrEnum):
    """Something one may or may not do."""

    READ = "read"
    REGISTER = "register"
    CERTIFY = "certify"
    PROPOSE = "propose"
    ACCEPT = "accept"
    APPROVE = "approve"
    """Also to reject."""
    RETIRE = "retire"
    BAN = "ban"
    ROLL_BACK = "roll-back"
    RAMP = "ramp"
    """To move the current release to a step of the ramp that was approved with it."""
    RESTART = "restart"
    SCORE = "score"
    LIVE_TEST = "live-test"
    """To ask a version directly, past the endpoint's policy."""
    OVERRIDE = "override"
    """To say with a request which variant shall answer it, or to grant it a deadline beyond the release's."""
    READ_REQUESTS = "read-requests"
    READ_OWN_REQUESTS = "read-own-requests"
    """Requests that a model of one's own answered."""
    REPLAY = "replay"
    REPLAY_OWN = "replay-own"
    READ_AUDIT = "read-audit"
    RETAIN = "retain"
    """To say how long the records of an endpoint are kept."""
    MANAGE_PACKAGES = "manage-packages"
    """To say which packages a project trusts."""
    MANAGE_USERS = "manage-users"
    FOLLOW = "follow"


_WATCHING = frozenset(
    {Right.READ, Right.READ_REQUESTS, Right.READ_OWN_REQUESTS, Right.REPLAY, Right.REPLAY_OWN, Right.READ_AUDIT}
)

RIGHTS: dict[AccessRole, frozenset[Right]] = {
    AccessRole.VIEWER: frozenset({Right.READ}),
    AccessRole.SCIENTIST: frozenset(
        {Right.READ, Right.REGISTER, Right.CERTIFY, Right.PROPOSE, Right.READ_OWN_REQUESTS, Right.REPLAY_OWN}
    ),
    AccessRole.APPROVER: _WATCHING | {Right.ACCEPT, Right.APPROVE, Right.RETIRE, Right.BAN},
    AccessRole.OPERATOR: _WATCHING
    | {Right.ROLL_BACK, Right.RAMP, Right.RESTART, Right.SCORE, Right.LIVE_TEST, Right.OVERRIDE},
    # Not FOLLOW: whoever reports as a front decides when a release is live.
    AccessRole.ADMIN: frozenset(Right) - {Right.FOLLOW},
    AccessRole.CONSUMER: frozenset({Right.SCORE}),
    AccessRole.FRONT: frozenset({Right.FOLLOW}),
}


#: Rights that a user may be given beyond the role, one by one; they are about scoring, so the role must score.
GRANTABLE: frozenset[Right] = frozenset({Right.OVERRIDE})


def checked_rights(role: AccessRole, names: Iterable[str]) -> tuple[Right, ...]:
    """The rights of these names that a user of the role is given beyond it, each once.

    Raises:
        RightNotGrantable: one is not given one by one, or not to this role.
    """
    given = sorted(set(names))
    for name in given:
        if name not in GRANTABLE or Right.SCORE not in RIGHTS[role]:
            raise RightNotGrantable(
                f"the right {name!r} cannot be given to a {role} beyond the role",
                right=name,
                role=str(role),
                grantable=sorted(GRANTABLE),
            )
    return tuple(Right(name) for name in given)


def checked_role(text: str) -> AccessRole:
    """The role of that name.

    Raises:
        RoleUnknown: there is none.
    """
    try:
        return AccessRole(text)
    except ValueError as error:
        raise RoleUnknown(
            f"{text!r} is not a role", role=str(text), roles=[role.value for role in AccessRole]
        ) from error


def roles_with(right: Right) -> tuple[AccessRole, ...]:
    """The roles that include a right, for messages."""
    return tuple(role for role in AccessRole if right in RIGHTS[role])
