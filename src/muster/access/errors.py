"""Why a caller was turned away, or a change of users was."""

from muster.vocabulary.errors import Conflict, Invalid, NotAllowed, NotFound, NotIdentified


class TokenMissing(NotIdentified):
    """The call carries no token."""

    code = "access.token-missing"


class TokenUnknown(NotIdentified):
    """No user has this token: it was mistyped, or given out by another factory."""

    code = "access.token-unknown"


class TokenRevoked(NotIdentified):
    """The token was given out here and taken back since."""

    code = "access.token-revoked"
    advice = "Ask an admin for a new token."


class TokenExpired(NotIdentified):
    """The token's time is over."""

    code = "access.token-expired"
    advice = "Ask an admin for a new token."


class RightMissing(NotAllowed):
    """The caller's role in the project does not include what was asked for."""

    code = "access.right-missing"
    advice = "Ask somebody in one of the roles named, or an admin for the role; docs/reference/roles.md lists them all."


class UserNotFound(NotFound):
    """No user has this name in the project."""

    code = "access.user-not-found"
    advice = "`muster user list` shows who there is."


class UserElsewhere(NotAllowed):
    """The user belongs to other projects as well: a token given out here would act as that user there, too."""

    code = "access.user-elsewhere"
    advice = "Ask the owner of the factory's machine for a token, or add a user of this project alone."


class TokenNotFound(NotFound):
    """There is neither a token of this id nor a user of this name in the project."""

    code = "access.token-not-found"
    advice = "Name a token id or a user, as `muster user list` shows them."


class UserExists(Conflict):
    """The name is taken, by a user or by one who was removed: names on record are never given to somebody else."""

    code = "access.user-exists"
    advice = "Choose another name; for a further token of the same user, `muster token new`."


class LastAdmin(Conflict):
    """The change would leave the project without an admin who can still identify: nobody could mend it."""

    code = "access.last-admin"
    advice = "Add another admin, or give this one a new token, before you take the last one away."


class FactoryHasUsers(Conflict):
    """The first users of a factory are made once; this factory has users."""

    code = "access.has-users"
    advice = "Add users with `muster user add`."


class RoleUnknown(Invalid):
    """There is no such role."""

    code = "access.role-unknown"
    advice = "Roles are viewer, scientist, approver, operator, admin, consumer and front."


class RightNotGrantable(Invalid):
    """A user can be given `override` beyond the role and nothing else, and only with a role that scores."""

    code = "access.right-not-grantable"
    advice = "Every other right belongs to a role; docs/reference/roles.md says which role has which."


class ExpiryPast(Invalid):
    """A token was to expire at a moment that is already past."""

    code = "access.expiry-past"
    advice = "Give a moment in the future, with its offset from UTC, or none."
