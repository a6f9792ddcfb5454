"""What can go wrong with releases and at gates."""

from muster.vocabulary.errors import Conflict, Invalid, NotAllowed, NotFound, Overloaded, Refused, TimedOut


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


class TwinMissing(Refused):
    """A version's compiled twin is to be served, and its newest certificate names none that agrees with it."""

    code = "release.twin-missing"
    advice = (
        "`muster certify VERSION --twin` makes one and holds it against the version; or propose the version itself."
    )


class LastResortTooSlow(Refused):
    """What is to answer when nothing else can does not hold a quarter of the deadline at the 99.9th percentile.

    The last resort is the default answer, where the release has one; else the last version of its order.
    """

    code = "release.last-resort-too-slow"
    advice = (
        "Propose it with a longer --deadline, with a --default answer, or with a faster version last in the order; if the machine "
        "was busy when the version was measured, `muster certify VERSION` measures it again."
    )


class DefaultTooSlow(LastResortTooSlow):
    """The default answer, written for the largest request that is allowed, does not hold a quarter of the deadline."""

    code = "release.default-too-slow"
    advice = (
        "Propose it with a longer --deadline, or, by the Python client or the REST API, with fewer rows in one request (`limits`); if "
        "control was busy, approve it again: that measures the default answer again."
    )


class LastResortUnmeasured(Refused):
    """The version that is to answer when nothing else can has no certificate that tells its 99.9th percentile."""

    code = "release.last-resort-unmeasured"
    advice = "Measure it with `muster certify VERSION`: a version that is accepted may be certified again."


class StepUnfit(Conflict):
    """The release has no such step to move to: its policy is no split, or has fewer steps, or it is not current."""

    code = "release.step-unfit"
    advice = "`muster release show ENDPOINT RELEASE` shows the steps of a release and which of them is current."


class SimulationUnderWay(Overloaded):
    """A simulation is running already; one at a time, as each keeps a core of the machine busy that approvals need, too."""

    code = "release.simulation-under-way"
    advice = "Ask again when it is done; 10,000 records take a few seconds."


class WindowMalformed(Invalid):
    """A simulation was to run over no requests at all, or over more than it takes."""

    code = "release.window-malformed"
    advice = "Name the last requests, --on last:10000, a day, --on today, or two moments with --from and --to."


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
    """No release that came before the current one has been live. Later ones become current again only by their number."""

    code = "release.nothing-to-roll-back-to"
    advice = "`muster releases ENDPOINT` shows which releases have been live; name one of them with --to (`to` in the REST API)."


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


class BreaksUnacknowledged(Refused):
    """The release takes from consumers what the current one gives them, and one of them has not agreed."""

    code = "release.breaks-unacknowledged"
    advice = (
        "`muster release breaks ENDPOINT RELEASE` says what breaks and who is awaited; each agrees with `muster release acknowledge`, "
        "with a token of their own. Or propose it at a new endpoint, to which consumers move when they can."
    )


class NothingToAcknowledge(Conflict):
    """The release breaks nothing that consumers of the endpoint rely on now."""

    code = "release.nothing-to-acknowledge"


class NotYoursToAcknowledge(NotAllowed):
    """What a release breaks is agreed to by the endpoint's consumers, or by an admin on behalf of one, with a reason."""

    code = "release.not-yours-to-acknowledge"
    advice = "`muster release breaks ENDPOINT RELEASE` shows who is asked."


class TooManyReferences(Invalid):
    """More references were to be resolved in one call than are answered."""

    code = "release.too-many-references"
    advice = "Ask in several calls, a hundred references each."


class ProposalExpired(Refused):
    """The release was proposed longer ago than the project's standard lets a proposal be."""

    code = "release.proposal-expired"
    advice = "Propose it anew: what was right then may not be now."


class ScheduleMalformed(Invalid):
    """A release is approved for a moment to come, within a year; and what breaks the glass goes live at once."""

    code = "release.schedule-malformed"


class GlassUnfit(Conflict):
    """Glass is broken to mend what is served: nothing that the endpoint has served could be current again, so there is no way back."""

    code = "release.glass-unfit"
    advice = "Have it approved as the standard asks, like the first release of an endpoint."


class GlassClosed(Conflict):
    """There is no broken glass to confirm: none was broken for this release, it was confirmed already, or its time is over."""

    code = "release.glass-closed"
    advice = "`muster release show ENDPOINT RELEASE` tells what became of it."
