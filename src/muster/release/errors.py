"""What can go wrong with releases and at gates."""

from muster.vocabulary.errors import Conflict, Invalid, NotAllowed, NotFound, Refused, TimedOut


class EndpointNotFound(NotFound):
    """The project has no endpoint of this name."""

    code = "release.endpoint-not-found"
    advice = "The first `muster release propose ENDPOINT …` makes an endpoint."


class ReleaseNotFound(NotFound):
    """The endpoint has no release of this number."""

    code = "release.not-found"
    advice = "`muster releases ENDPOINT` shows the releases there are."


class EndpointTaken(Conflict):
    """An endpoint of another project has the name; endpoint names are unique in the factory, as requests name no project."""

    code = "release.endpoint-taken"
    advice = "Choose another name."


class ProposalMalformed(Invalid):
    """A proposal contradicts itself: a version twice, an order that names strangers, a patience beyond the deadline."""

    code = "release.proposal-malformed"


class DefaultUnfit(Invalid):
    """The default answer does not keep the contract: it needs exactly one value per output, of the output's type."""

    code = "release.default-unfit"
    advice = "Give one JSON object with the outputs' names, like --default '{\"churn_probability\": 0.27}'."


class VersionNotReleasable(Refused):
    """A version of the proposal is not accepted, or not any more; only accepted versions may be released."""

    code = "release.version-not-releasable"
    advice = "Certify it and have it accepted first; a retired or banned version never comes back."


class VersionsIncompatible(Refused):
    """A version of the proposal cannot serve the endpoint's contract, which is that of the champion."""

    code = "release.versions-incompatible"
    advice = "All variants of a release take the endpoint's inputs and give the same outputs."


class ReleaseStateUnfit(Conflict):
    """The state of the release does not permit this deed."""

    code = "release.state-unfit"
    advice = "docs/reference/states.md shows which deed is possible in which state."


class SwitchUnderWay(Conflict):
    """Another release of the endpoint is being loaded by the fronts; one at a time."""

    code = "release.switch-under-way"
    advice = "Wait until it is live or failed, or withdraw it."


class OwnWork(NotAllowed):
    """Nobody passes their own work: what they registered, own, authored or proposed. Admins are no exception."""

    code = "release.own-work"
    advice = "Ask another person with the right to do it."


class NotYoursToWithdraw(NotAllowed):
    """A release is withdrawn by who proposed it, by an approver or an admin."""

    code = "release.not-yours-to-withdraw"


class NothingToRollBackTo(Conflict):
    """No earlier release of the endpoint has been live."""

    code = "release.nothing-to-roll-back-to"
    advice = "Only a release that has been live can become current again."


class RollBackRefused(Refused):
    """The release cannot become current again: it was never live, is current already, or holds a banned version."""

    code = "release.roll-back-refused"
    advice = "`muster releases ENDPOINT` shows the others; name one with --to."


class RollBackUnconfirmed(TimedOut):
    """The roll back is ordered and on record, but not every connected front has confirmed that it serves it yet."""

    code = "release.roll-back-unconfirmed"
    advice = (
        "The fronts named go on with the release before until they can switch; look at their logs with `muster logs`."
    )
