"""What can go wrong with live-tests."""

from muster.vocabulary.errors import Conflict, Invalid, NotFound, Refused


class LiveTestNotFound(NotFound):
    """The endpoint has no live-test of this number."""

    code = "livetests.not-found"
    advice = "`muster livetest list ENDPOINT` shows the live-tests there are."


class LiveTestMalformed(Invalid):
    """A live-test says neither how many requests nor how many hours it lasts, or a share that is none."""

    code = "livetests.malformed"
    advice = "`muster livetest start ENDPOINT VERSION --requests N`, or `--hours H`, or both."


class LiveTestUnderWay(Conflict):
    """Another live-test of the endpoint has not come to its end; there is one at a time, so that figures are of one version."""

    code = "livetests.under-way"
    advice = "Wait for it, or `muster livetest stop ENDPOINT NUMBER`."


class LiveTestUnfit(Refused):
    """The version cannot be put to a live-test at the endpoint: it is not accepted, is served there already, or does not fit."""

    code = "livetests.unfit"
    advice = "A live-test takes an accepted version that answers what the endpoint is asked and is not in its current release."


class LiveTestOver(Conflict):
    """The live-test has come to its end already."""

    code = "livetests.over"
    advice = "`muster livetest report ENDPOINT NUMBER` shows what came of it."
