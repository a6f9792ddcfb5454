"""Why a caller was turned away, or a change of users was."""

from muster.vocabulary.errors import Conflict, Invalid, NotAllowed, NotFound, NotIdentified, Refused


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
    advice = "Sign in again with `muster sign-in`, or ask an admin for a new token."


class RightMissing(NotAllowed):
    """The caller's role in the project does not include what was asked for."""

    code = "access.right-missing"
    advice = "Ask somebody in one of the roles named, or an admin for the role; docs/reference/roles.md lists them all."


class UserNotFound(NotFound):
    """No user has this name in the project."""

    code = "access.user-not-found"
    advice = "`muster user list` shows who there is."


class UserElsewhere(NotAllowed):
    """The user belongs to other projects as well: a token given out or ended here would count there, too."""

    code = "access.user-elsewhere"
    advice = (
        "Give a token for this project alone (`--this-project`), take the user out of this project, or ask an admin of the project"
        " `default`."
    )


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
    advice = "Roles are viewer, scientist, approver, operator, admin, consumer and front, and the project's own: `muster role list`."


class RightUnknown(Invalid):
    """There is no such right."""

    code = "access.right-unknown"
    advice = "docs/reference/roles.md lists the rights."


class RightNotGrantable(Invalid):
    """A right cannot be given in this way, or a role cannot be changed.

    Beyond a role a user can be given `override` alone, and only with a role that scores. A project's own role holds any right
    but `follow` and `manage-projects`, and outside of `default` not `manage-groups`. The roles that Muster has stay as they are.
    """

    code = "access.right-not-grantable"
    advice = "Every other right belongs to a role; docs/reference/roles.md says which role has which."


class RightsBeyond(NotAllowed):
    """Nobody gives, or takes from somebody else, rights that they do not have themselves."""

    code = "access.rights-beyond"
    advice = "Ask somebody who has these rights, such as an admin."


class ProjectNotFound(NotFound):
    """There is no such project, or the caller has no part in it; which of the two is not told."""

    code = "access.project-not-found"
    advice = "`muster project list` shows the projects that you have a part in."


class ProjectExists(Conflict):
    """There is a project of this name."""

    code = "access.project-exists"
    advice = "Choose another name."


class EndpointOutOfScope(NotAllowed):
    """The token is limited to other endpoints."""

    code = "access.endpoint-out-of-scope"
    advice = "Use a token whose scope holds the endpoint; `muster token list` shows scopes."


class GroupNotFound(NotFound):
    """There is no group of this name, the user is not in it, or it has no role in the project."""

    code = "access.group-not-found"
    advice = "`muster group list` shows the groups there are."


class GroupExists(Conflict):
    """The name is taken, by a group or by one that was removed: names on record are never given again."""

    code = "access.group-exists"
    advice = "Choose another name."


class UserInGroup(Conflict):
    """The user's role in the project comes from groups: it does not end with a role of their own."""

    code = "access.user-in-group"
    advice = (
        "Take the user out of the group (`muster group leave`), take the group out of the project (`muster group revoke`), or"
        " remove the person from the whole factory (`muster user remove --everywhere`)."
    )


class RoleNotFound(NotFound):
    """The project has no role of its own of this name."""

    code = "access.role-not-found"
    advice = "`muster role list` shows the project's own roles."


class RoleInUse(Conflict):
    """Users or groups have this role."""

    code = "access.role-in-use"
    advice = "Give them another role first."


class TokenEnded(Conflict):
    """The token has ended, or another was given in its place already: there is nothing to rotate."""

    code = "access.token-ended"
    advice = "Rotate the token that took its place, or ask for a new one: `muster token new`."


class TokenUnfit(Invalid):
    """A token of this kind cannot be made: its scope, label or grace is out of range."""

    code = "access.token-unfit"
    advice = "docs/reference/roles.md says what a token's scope and label may be."


class TokenBeyond(NotAllowed):
    """A limited token gives nobody what is good for more than itself: no wider token, none that lasts longer, no way to sign in."""

    code = "access.token-beyond"
    advice = "Give the new token the limits of the one you ask with (`--right`, `--this-project`, `--expires`), or ask with a whole one."


class QuotaExceeded(Refused):
    """The project would hold more than its quota allows."""

    code = "access.quota-exceeded"
    advice = "Ask an admin of the project `default` for a larger quota (`muster project quota`), or make room."


class QuotaMalformed(Invalid):
    """There is no such quota, or it is not a whole number from 0 up."""

    code = "access.quota-malformed"
    advice = "Quotas are bytes, versions, live_variants and requests_per_s: whole numbers, or none for no limit."


class ContactMalformed(Invalid):
    """A title, contact or channel is longer than 200 characters, or holds characters that cannot be kept."""

    code = "access.contact-malformed"
    advice = "Write one line of at most 200 characters."


class ExpiryPast(Invalid):
    """A token was to expire at a moment that is already past."""

    code = "access.expiry-past"
    advice = "Give a moment in the future, with its offset from UTC, or none."
