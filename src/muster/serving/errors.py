"""What a caller of the scoring side can be told."""

from muster.vocabulary.errors import (
    Invalid,
    NotAllowed,
    NotFound,
    NotIdentified,
    Overloaded,
    Refused,
    TimedOut,
    Unavailable,
)


class EndpointUnknown(NotFound):
    """No endpoint of that name is served here."""

    code = "serving.endpoint-unknown"
    advice = "See the endpoints with `muster releases NAME`; an endpoint exists once its first release is live."


class VersionUnreachable(NotFound):
    """The version is in no current release that this front serves."""

    code = "serving.version-unreachable"
    advice = "A version is reached directly while it is in the current release of an endpoint."


class RouteUnknown(NotFound):
    """The scoring side has no such address."""

    code = "serving.route-unknown"


class MethodUnknown(Invalid):
    """The address exists, but not with this HTTP method."""

    code = "serving.method-unknown"


class RequestMalformed(Invalid):
    """The body is not what the address takes: no JSON, or JSON of another shape."""

    code = "serving.request-malformed"


class OutputUnknown(Invalid):
    """The request asks for an output that the endpoint does not have."""

    code = "serving.output-unknown"


class BodyTooLarge(Invalid):
    """The body is larger than the endpoint takes."""

    code = "serving.body-too-large"
    advice = "Send fewer rows at once; the limit is `limits.body_bytes` of the release."


class TokenUnknown(NotIdentified):
    """Scoring needs a token, and this one is absent, unknown, expired or revoked."""

    code = "serving.token-unknown"
    advice = (
        "Send the header `Authorization: Bearer TOKEN`; an admin makes one with `muster user add NAME --role consumer`."
    )


class EndpointNotAllowed(NotAllowed):
    """The token is valid, but not for this endpoint."""

    code = "serving.endpoint-not-allowed"


class RateExceeded(Overloaded):
    """The token asks more often than the release allows."""

    code = "serving.rate-exceeded"


class FrontOverloaded(Overloaded):
    """More requests are under way than this front holds."""

    code = "serving.front-overloaded"


class NoAnswerInTime(TimedOut):
    """No variant answered by the deadline, and the release has no default answer."""

    code = "serving.no-answer-in-time"
    advice = "Give the release a default answer, or a longer deadline; `muster request ID` shows what each variant did."


class EndpointNotReady(Unavailable):
    """The endpoint has a plan, but none of the variants that may answer runs yet, and there is no default answer."""

    code = "serving.endpoint-not-ready"


class ServedTooLongOffline(Unavailable):
    """This front has not reached control for longer than the release allows it to serve alone."""

    code = "serving.offline-too-long"


class RecordNotWritten(Unavailable):
    """The decision record could not be written, so the answer was not given."""

    code = "serving.record-not-written"
    advice = "Make room on the disk that holds the archive's spool; see `muster logs`."


class GoldenMismatch(Refused):
    """A host did not answer its golden rows as the author validated them."""

    code = "serving.golden-mismatch"
    advice = "The machine differs from the one the version was certified on, or the version is not what it was; it gets no traffic."
