"""What can go wrong with votes, delegations and waivers."""

from muster.vocabulary.errors import Conflict, Invalid, NotAllowed, NotFound, Refused


class PartInIt(NotAllowed):
    """Whoever has part in something has no voice at its gate, by no door and in nobody's place; admins are no exception."""

    code = "gates.has-part"
    advice = "Ask another person with the right to it. Comments are open to everybody: `muster review comment`."


class PassedBefore(NotAllowed):
    """The project's standard wants other people at this gate than at the gates before (`disjoint`)."""

    code = "gates.passed-before"
    advice = "Ask somebody who had no voice in the acceptance of the versions."


class VoiceLost(NotAllowed):
    """The right to vote here ended between the call and the moment at which the vote would have counted."""

    code = "gates.voice-lost"
    advice = "Ask an admin of the project which role you have now."


class NotDelegated(NotAllowed):
    """Nobody votes in another's place who was not named for it, or not for now."""

    code = "gates.not-delegated"
    advice = "Whoever is absent names somebody with `muster delegate add`; `muster delegate list` shows who stands in for whom."


class DelegationMalformed(Invalid):
    """A delegation is for another person, for a time that begins before it ends and is not past, of a year at most."""

    code = "gates.delegation-malformed"


class DelegateUnfit(Refused):
    """Only somebody who has the right to vote can stand in for another: a delegation gives no right."""

    code = "gates.delegate-unfit"
    advice = "Name somebody with a role that votes; docs/reference/roles.md lists them."


class DelegationNotFound(NotFound):
    """The project has no delegation of this id."""

    code = "gates.delegation-not-found"
    advice = "`muster delegate list` shows the delegations there are."


class WaiverNotFound(NotFound):
    """The project has no waiver of this id."""

    code = "gates.waiver-not-found"
    advice = "`muster waive list` shows the waivers there are."


class WaiverMalformed(Invalid):
    """A waiver names a check by its name and ends at a moment that is not past, within two years."""

    code = "gates.waiver-malformed"


class WaiverStateUnfit(Conflict):
    """The waiver was decided already."""

    code = "gates.waiver-state-unfit"
    advice = "Ask for another one: `muster waive ask`."


class WaiverOwn(NotAllowed):
    """A waiver takes a second pair of eyes: not those that asked for it, and not those of anybody who has part in the version."""

    code = "gates.waiver-own"
    advice = "Ask another person with the right `waive`."


class NothingToWithdraw(Conflict):
    """The caller has no vote there that counts still."""

    code = "gates.nothing-to-withdraw"


class VoteUnfit(Conflict):
    """The gate is behind it: what was to be judged is decided already."""

    code = "gates.vote-unfit"
    advice = "`muster review show` tells what was said, docs/reference/states.md which deed is possible in which state."


class WordsMalformed(Invalid):
    """What is said at a gate, or the reason for it, is empty, too long, or holds what cannot be kept."""

    code = "gates.words-malformed"
