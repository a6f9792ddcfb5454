"""Why somebody could not sign in, or a password or an identity could not be set."""

from muster.vocabulary.errors import (
    Conflict,
    Invalid,
    NotAllowed,
    NotFound,
    NotIdentified,
    Overloaded,
    Refused,
    Unavailable,
)


class SignInRefused(NotIdentified):
    """The user and the password do not go together; whether there is such a user is not said."""

    code = "access.sign-in-refused"
    advice = "Try again, or ask an admin of your project to set a new password: `muster password set USER`."


class SignInLocked(Overloaded):
    """There were too many failed attempts for this user, or from this address; right passwords are not looked at either."""

    code = "access.sign-in-locked"
    advice = "Wait as long as Retry-After says. Tokens that were given out before go on working."


class SignInBusy(Overloaded):
    """More people sign in at this moment than the machine has memory for: passwords are made costly to try out."""

    code = "access.sign-in-busy"


class PasswordMustChange(NotAllowed):
    """The password was set by an admin: it serves for one thing, to set one that only its user knows."""

    code = "access.password-must-change"
    advice = "Sign in again and give a new password with it; `muster sign-in` asks for one."


class PasswordUnfit(Invalid):
    """The new password is too short, too long, the user's name, the old one, or holds characters that cannot be typed."""

    code = "access.password-unfit"
    advice = "Take 12 characters or more, 1,024 bytes at most; several words that do not belong together are easy to keep in mind."


class PasswordWrong(NotAllowed):
    """The old password is not the one that was given."""

    code = "access.password-wrong"
    advice = "Give the password that you sign in with now; if it is lost, an admin sets a new one: `muster password set USER`."


class NoPerson(Conflict):
    """The user is an application: applications have tokens, which can be limited and told apart, and no passwords."""

    code = "access.no-person"
    advice = "Give it a token: `muster token new USER`."


class NotSignedIn(Conflict):
    """The token was not got by signing in, so there is nothing to sign out of."""

    code = "access.not-signed-in"
    advice = "`muster token revoke` ends a token that was given out; `muster logout` forgets a saved one."


class ProviderUnknown(NotFound):
    """The factory has no OpenID provider of this name or issuer."""

    code = "access.provider-unknown"
    advice = "`muster sign-in --list` shows the providers; `access.oidc` in settings.toml holds them."


class ProviderAway(Unavailable):
    """The OpenID provider cannot be reached, or answers that it cannot answer."""

    code = "access.provider-away"
    advice = "Try again later, or sign in with a password or a token."


class ProviderWrong(Refused):
    """What the OpenID provider said does not prove who somebody is: a check of its answer failed."""

    code = "access.provider-wrong"
    advice = "Begin again. If it stays, compare `access.oidc` with the provider; docs/reference/sign-in.md says what is checked."


class ProviderRefused(Refused):
    """The OpenID provider did not let the person in, or the person turned back there."""

    code = "access.provider-refused"
    advice = "Begin again, and sign in at the provider."


class GroupMissing(NotAllowed):
    """The person belongs to none of the provider's groups whose members may sign in."""

    code = "access.group-missing"
    advice = "Ask whoever looks after the groups at the provider."


class GroupNotMade(Refused):
    """The settings put the person into a group of this factory that is not there."""

    code = "access.group-not-made"
    advice = "Ask whoever manages groups to make it, `muster group add NAME`, or correct `joins` of `access.oidc` in settings.toml."


class FlowOver(NotFound):
    """This sign-in is unknown, over, used, or was begun too long ago."""

    code = "access.flow-over"
    advice = "Begin again: `muster sign-in --oidc PROVIDER`."


class CodeWrong(NotAllowed):
    """The code is not the one that the browser showed at the end of this very sign-in."""

    code = "access.code-wrong"
    advice = "Type the code as the browser shows it; after five wrong ones the sign-in is over."


class TooManyFlows(Overloaded):
    """Too many sign-ins were begun, from this address or altogether."""

    code = "access.too-many-flows"


class IdentityUnknown(NotAllowed):
    """The provider vouches for the person, but the identity belongs to no user of this factory."""

    code = "access.identity-unknown"
    advice = "Ask an admin to bind it, with the issuer and the subject named: `muster user bind NAME --issuer … --subject …`."


class IdentityTaken(Conflict):
    """The identity belongs to a user already."""

    code = "access.identity-taken"
    advice = "An identity is one person: unbind it there first, `muster user unbind`, if it was bound by mistake."


class IdentityNotFound(NotFound):
    """The user has no such identity."""

    code = "access.identity-not-found"
    advice = "`muster user identities NAME` shows those there are."
