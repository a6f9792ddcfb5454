"""What can go wrong when a version is examined."""

from muster.vocabulary.errors import Conflict, Invalid, NotAllowed, NotFound, Refused, Unavailable


class VersionNotExaminable(Conflict):
    """A retired or banned version is not examined: nothing could come of it."""

    code = "certification.version-not-examinable"
    advice = "Register a new version; one that is retired or banned never comes back."


class TwinNotMade(Refused):
    """A model cannot be converted to ONNX; the version itself is none the worse for it."""

    code = "certification.twin-not-made"
    advice = "Certify the version without a twin; docs/how-to/bring-a-model/onnx.md says which models convert."


class OwnCheckFailed(Refused):
    """A check of the bundle's or the project's own came to no verdict: it crashed, hung, or said what nobody understands."""

    code = "certification.own-check-failed"
    advice = (
        "Run it in the lab with `muster own-check try`; docs/reference/own-checks.md has the protocol and an example."
    )


class FailedInConfidence(Refused):
    """The host that is asked sealed rows, or what callers have asked, did not answer them. Why it says only by a code."""

    code = "certification.failed-in-confidence"
    advice = (
        "Ask the model in the lab about rows of the same kind, with nulls and extreme values among them; whoever may read the set "
        "can look for the row with `muster try`."
    )


class CurveNotFound(NotFound):
    """The session has no table from which the curve could be derived: it judged nothing, or not on such a slice."""

    code = "certification.curve-not-found"
    advice = "`muster metrics tables SESSION` shows what the session has kept."


class CurveUnfit(Invalid):
    """The curve cannot be derived from the table that is kept: a ROC curve is of two classes, outcomes are of numbers."""

    code = "certification.curve-unfit"
    advice = "docs/reference/standard-metrics.md says which curves there are for which task."


class CurveWithheld(NotAllowed):
    """The curve would tell an author of single rows of the sealed set: whoever may not read the rows sees steps of many rows only."""

    code = "certification.curve-withheld"
    advice = (
        "Ask for the curve of all rows, or for the measures of the slice (`muster metrics list MODEL --slices`); exact curves are for "
        "approvers without part in the model."
    )


class FrontNotStarted(Unavailable):
    """The front through which a version is put under load did not become ready."""

    code = "certification.front-not-started"
    advice = "Certify again; if it goes on, look at the message, and at the memory and the processes that this machine allows."
