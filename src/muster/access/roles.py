"""Roles, rights, and which role has which.

A role belongs to a user, or to a group of users, in a project. Rights are what services ask for; no service asks for a
role. A project can have roles of its own beside those named here.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum

from muster.access.errors import RightNotGrantable, RightUnknown, RoleUnknown
from muster.vocabulary.names import DEFAULT_PROJECT, checked_name


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
    """To ask a version directly, past the endpoint's policy; to start and stop live-tests."""
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
    MANAGE_SOURCES = "manage-sources"
    """To say from where the factory may read data."""
    MANAGE_MODELS = "manage-models"
    """To say what a model carries besides its versions; its owner may without."""
    MANAGE_USERS = "manage-users"
    WAIVE = "waive"
    """To let a check that failed pass for a while; never for one's own work, nor where one asked for it."""
    BREAK_GLASS = "break-glass"
    """To let a release go live without its approvals; it must be confirmed, or is rolled back by itself."""
    CONFIRM_BREAK_GLASS = "confirm-break-glass"
    SEAL_EVALUATION = "seal-evaluation"
    """To seal evaluation sets and to read their rows; never for a model that one has part in."""
    DELEGATE = "delegate"
    """To name somebody who votes in one's place for a while."""
    PROPOSE_STANDARD = "propose-standard"
    ADOPT_STANDARD = "adopt-standard"
    """Also to reject."""
    MANAGE_PROJECTS = "manage-projects"
    MANAGE_GROUPS = "manage-groups"
    MANAGE_KEYS = "manage-keys"
    """To have another key sign certificates, and to revoke the keys of others."""
    FOLLOW = "follow"


#: Rights about the whole factory: a role gives them in the project `default` and in no other.
OF_FACTORY: frozenset[Right] = frozenset({Right.MANAGE_PROJECTS, Right.MANAGE_GROUPS, Right.MANAGE_KEYS})

#: Rights over people, who are of no endpoint: a token that is limited to some endpoints has none of them.
OVER_PEOPLE: frozenset[Right] = OF_FACTORY | {Right.MANAGE_USERS}


_WATCHING = frozenset(
    {Right.READ, Right.READ_REQUESTS, Right.READ_OWN_REQUESTS, Right.REPLAY, Right.REPLAY_OWN, Right.READ_AUDIT}
)

RIGHTS: dict[AccessRole, frozenset[Right]] = {
    AccessRole.VIEWER: frozenset({Right.READ}),
    AccessRole.SCIENTIST: frozenset(
        {
            Right.READ,
            Right.REGISTER,
            Right.CERTIFY,
            Right.PROPOSE,
            Right.READ_OWN_REQUESTS,
            Right.REPLAY_OWN,
            Right.PROPOSE_STANDARD,
        }
    ),
    AccessRole.APPROVER: _WATCHING
    | {
        Right.ACCEPT,
        Right.APPROVE,
        Right.RETIRE,
        Right.BAN,
        Right.ADOPT_STANDARD,
        Right.WAIVE,
        Right.SEAL_EVALUATION,
        Right.DELEGATE,
        Right.CONFIRM_BREAK_GLASS,
    },
    AccessRole.OPERATOR: _WATCHING
    | {
        Right.ROLL_BACK,
        Right.RAMP,
        Right.RESTART,
        Right.SCORE,
        Right.LIVE_TEST,
        Right.OVERRIDE,
        Right.BREAK_GLASS,
        Right.DELEGATE,
    },
    # Not FOLLOW: whoever reports as a front decides when a release is live.
    AccessRole.ADMIN: frozenset(Right) - {Right.FOLLOW},
    AccessRole.CONSUMER: frozenset({Right.SCORE}),
    AccessRole.FRONT: frozenset({Right.FOLLOW}),
}


#: Rights that a user may be given beyond the role, one by one; they are about scoring, so the role must score.
GRANTABLE: frozenset[Right] = frozenset({Right.OVERRIDE})


#: Rights that a role of one's own cannot hold: to follow is the fronts' own, and projects are made by admins alone.
NOT_IN_CUSTOM_ROLES: frozenset[Right] = frozenset({Right.FOLLOW, Right.MANAGE_PROJECTS})

#: The rights of a project's own roles, by project and name.
CustomRights = Mapping[tuple[str, str], frozenset[Right]]


def rights_of_role(role: str, project: str, custom: CustomRights) -> frozenset[Right]:
    """What a role gives in a project; nothing, if the project has no such role."""
    known = _BY_NAME.get(role)
    given = custom.get((project, role), frozenset()) if known is None else RIGHTS[known]
    return given if project == DEFAULT_PROJECT else given - OF_FACTORY


def is_built_in(role: str) -> bool:
    """Whether a role is one of Muster's own, and not of a project."""
    return role in _BY_NAME


_BY_NAME: dict[str, AccessRole] = {role.value: role for role in AccessRole}


def checked_right(name: str) -> Right:
    """The right of that name.

    Raises:
        RightUnknown: there is none.
    """
    try:
        return Right(name)
    except ValueError as error:
        raise RightUnknown(
            f"{name!r} is not a right", right=str(name), rights=[str(right) for right in Right]
        ) from error


def checked_rights(role: str, rights: frozenset[Right], names: Iterable[str]) -> tuple[Right, ...]:
    """The rights of these names that a user of the role is given beyond it, each once.

    Args:
        role: its name, for the message.
        rights: what the role gives.
        names: what is to be given beyond it.

    Raises:
        RightNotGrantable: one is not given one by one, or not to this role.
    """
    given = sorted(set(names))
    for name in given:
        if name not in GRANTABLE or Right.SCORE not in rights:
            raise RightNotGrantable(
                f"the right {name!r} cannot be given to a {role} beyond the role",
                right=name,
                role=role,
                grantable=sorted(GRANTABLE),
            )
    return tuple(Right(name) for name in given)


def checked_role(text: str, project: str = DEFAULT_PROJECT, custom: CustomRights | None = None) -> str:
    """The role of that name, one of Muster's or of the project's own.

    Raises:
        RoleUnknown: there is none.
    """
    own = sorted(name for of, name in custom or () if of == project)
    if text in _BY_NAME or text in own:
        return str(text)
    known = [*_BY_NAME, *own]
    raise RoleUnknown(f"{text!r} is not a role in project {project}", role=str(text), roles=known)


def checked_custom_name(name: str) -> str:
    """The name, if a project's own role may bear it.

    Raises:
        NameMalformed: it is not a name.
        RightNotGrantable: it is the name of a role that Muster has.
    """
    if checked_name(name, of="role") in _BY_NAME:
        raise RightNotGrantable(f"{name} is a role that every project has; it cannot be changed", role=name)
    return name


def checked_custom_rights(project: str, names: Iterable[str]) -> tuple[Right, ...]:
    """The rights of these names, sorted, each once, if a role of a project's own may hold them.

    Raises:
        RightUnknown: there is no right of that name.
        RightNotGrantable: a role of one's own cannot hold it.
    """
    found = sorted({checked_right(name) for name in names})
    unfit = NOT_IN_CUSTOM_ROLES if project == DEFAULT_PROJECT else NOT_IN_CUSTOM_ROLES | OF_FACTORY
    for right in found:
        if right in unfit:
            raise RightNotGrantable(
                f"a role of project {project} cannot hold the right {right}", right=str(right), project=project
            )
    return tuple(found)


def roles_with(right: Right) -> tuple[AccessRole, ...]:
    """The roles that include a right, for messages."""
    return tuple(role for role in AccessRole if right in RIGHTS[role])
