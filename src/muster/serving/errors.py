"""What a caller of the scoring side can be told."""

from muster.vocabulary.errors import (
    Conflict,
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


class FormUnknown(Invalid):
    """The body is in a form that the address does not take: its `Content-Type` or `Content-Encoding` is another."""

    code = "serving.form-unknown"
    advice = "See the forms in docs/reference/scoring.md; without a `Content-Type` the body is read as JSON."


class AnswerFormUnknown(Invalid):
    """The request accepts answers only in forms that the address does not give."""

    code = "serving.answer-form-unknown"
    advice = "Leave out the header `Accept`, or name one of the forms in docs/reference/scoring.md."


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


class ModelNotOrdered(Invalid):
    """The order to load or unload cannot be followed: a release alone decides which versions an endpoint runs."""

    code = "serving.model-not-ordered"
    advice = "Propose a release with other versions: `muster release propose`."


class OverrideNotAllowed(NotAllowed):
    """The request names the variant that shall answer, and its token has no right to."""

    code = "serving.override-not-allowed"
    advice = "The right is `override` (docs/reference/roles.md); an admin gives it to an application with its token."


class RateExceeded(Overloaded):
    """The token asks more often than the release allows."""

    code = "serving.rate-exceeded"


class FrontOverloaded(Overloaded):
    """More requests are under way than this front holds."""

    code = "serving.front-overloaded"
    told = "as many requests are under way as can be answered in time"


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


class IdempotencyKeyReused(Conflict):
    """The idempotency key was used within the last ten minutes for another request to the endpoint."""

    code = "serving.idempotency-key-reused"
    advice = "Take a new key for each new request; the same key only to repeat one."


class RequestUnderWay(TimedOut):
    """A request with the same idempotency key was still under way elsewhere when this one's time was over."""

    code = "serving.request-under-way"
    advice = "Ask again with the same key."


class ClaimNotWritten(Unavailable):
    """The idempotency key could not be noted, so the request was not carried out."""

    code = "serving.claim-not-written"
    advice = "Make room on the disk that holds the home's archive; see `muster logs`."


class GrpcAddressUnusable(Unavailable):
    """The front cannot listen on the address of the gRPC service."""

    code = "serving.grpc-address-unusable"
    advice = "Name another with --grpc-port, or serve without gRPC: MUSTER_SERVING_GRPC=false."


class CertificateUnusable(Invalid):
    """The scoring doors cannot speak TLS with the files that the settings name."""

    code = "serving.certificate-unusable"
    advice = (
        "Name PEM files that belong together and that the factory's user may read, in `[serving]` of settings.toml: "
        "`tls_certificate`, `tls_key` (without a passphrase), and `tls_client_ca` where callers show certificates."
    )


class GoldenMismatch(Refused):
    """A host did not answer its golden rows as the author validated them."""

    code = "serving.golden-mismatch"
    advice = "The machine differs from the one the version was certified on, or the version is not what it was; it gets no traffic."


def unknown_endpoint(endpoint: str) -> EndpointUnknown:
    """That an endpoint is not served: the same words, whether there is none or it is not the caller's to know of."""
    return EndpointUnknown(f"no endpoint {endpoint[:100]!r} is served", endpoint=endpoint[:100])
