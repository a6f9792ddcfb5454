"""What a gRPC caller gets for an error: one table, by the families that give the REST form its statuses."""

import grpc

from muster.serving.errors import BodyTooLarge
from muster.vocabulary import errors

CODE_OF_FAMILY: dict[type[errors.MusterError], grpc.StatusCode] = {
    errors.Invalid: grpc.StatusCode.INVALID_ARGUMENT,
    errors.NotIdentified: grpc.StatusCode.UNAUTHENTICATED,
    errors.NotAllowed: grpc.StatusCode.PERMISSION_DENIED,
    errors.NotFound: grpc.StatusCode.NOT_FOUND,
    errors.Conflict: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Refused: grpc.StatusCode.FAILED_PRECONDITION,
    errors.Overloaded: grpc.StatusCode.RESOURCE_EXHAUSTED,
    errors.TimedOut: grpc.StatusCode.DEADLINE_EXCEEDED,
    errors.Unavailable: grpc.StatusCode.UNAVAILABLE,
    errors.Damaged: grpc.StatusCode.DATA_LOSS,
}
#: As gRPC itself says of a message that is larger than it takes.
_CODE_OF_LEAF: dict[type[errors.MusterError], grpc.StatusCode] = {BodyTooLarge: grpc.StatusCode.RESOURCE_EXHAUSTED}
_COME_BACK = frozenset({errors.Overloaded, errors.Unavailable})


def code_of(error: errors.MusterError) -> grpc.StatusCode:
    """The status code of an error."""
    return _CODE_OF_LEAF.get(type(error)) or CODE_OF_FAMILY.get(errors.family_of(error), grpc.StatusCode.INTERNAL)


def metadata_of(error: errors.MusterError) -> tuple[tuple[str, str], ...]:
    """What the trailing metadata say of an error, under the names of the REST form's headers."""
    told = [("muster-error-code", error.code)]
    if errors.family_of(error) in _COME_BACK:
        seconds = error.facts.get("retry_after_s", 1)
        # The second is what clients with a retry policy obey of themselves (gRPC proposal A6).
        told += [("retry-after", str(seconds)), ("grpc-retry-pushback-ms", str(int(float(seconds) * 1000)))]
    if "request_id" in error.facts:
        told.append(("muster-request-id", str(error.facts["request_id"])))
    return tuple(told)
