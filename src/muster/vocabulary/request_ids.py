"""Request ids: 128 bits, ordered by time, that name the front and the segment where the record lies.

The layout is that of a UUID of version 8 (RFC 9562, section 5.8), so every tool that takes a UUID takes it:

    48 bits  milliseconds since 1970
     4 bits  version = 8
    12 bits  front
     2 bits  variant = binary 10
    24 bits  segment that was open when the request arrived
    38 bits  sequence: 22 bits counter, 16 bits random, so that a front that starts again never repeats itself
"""

import random
import secrets
import time
import uuid
from dataclasses import dataclass

from muster.vocabulary.errors import Invalid

MAX_FRONT = (1 << 12) - 1
MAX_SEGMENT = (1 << 24) - 1
_COUNTER_MASK = (1 << 22) - 1


class RequestIdMalformed(Invalid):
    """A request id is not one that Muster gave."""

    code = "requests.id-malformed"
    advice = "A request id is the `request_id` of an answer, like 01935d3c-8a40-8000-8000-00000000002a."


@dataclass(frozen=True, slots=True)
class RequestPlace:
    """What a request id says about where its record is."""

    at_ms: int
    front: int
    segment: int


class RequestIds:
    """Makes the request ids of one front; not for use from several threads."""

    def __init__(self, front: int) -> None:
        if not 0 <= front <= MAX_FRONT:
            raise ValueError(f"front {front} is not in 0..{MAX_FRONT}")
        self._high = (8 << 12) | front
        self._counter = secrets.randbits(22)
        # Seeded once: the system's own generator costs a call of the kernel for every request.
        self._bits = random.Random(secrets.randbits(128)).getrandbits  # noqa: S311 - ids are unique, not secret

    def next(self, segment: int) -> bytes:
        """A new id, 16 bytes, for a request that arrived while `segment` was open."""
        self._counter = (self._counter + 1) & _COUNTER_MASK
        high = (time.time_ns() // 1_000_000 << 16) | self._high
        low = (2 << 62) | (segment << 38) | (self._counter << 16) | self._bits(16)
        return ((high << 64) | low).to_bytes(16, "big")


def request_id_text(request_id: bytes) -> str:
    """The id as people and documents write it: lower-case UUID text."""
    h = request_id.hex()
    return f"{h[:8]}-{h[8:12]}-{h[12:16]}-{h[16:20]}-{h[20:]}"


def request_id_bytes(text: str) -> bytes:
    """The 16 bytes of a written id.

    Raises:
        RequestIdMalformed: it is not a UUID of version 8.
    """
    try:
        value = uuid.UUID(text)
    except (ValueError, AttributeError, TypeError) as error:
        raise RequestIdMalformed(f"{text!r} is not a request id", request_id=str(text)) from error
    if value.version != 8:
        raise RequestIdMalformed(f"{text!r} is not a request id of Muster", request_id=text)
    return value.bytes


def place_of(request_id: bytes) -> RequestPlace:
    """Which front answered the request, when, and the segment that was open then."""
    value = int.from_bytes(request_id, "big")
    return RequestPlace(at_ms=value >> 80, front=(value >> 64) & MAX_FRONT, segment=(value >> 38) & MAX_SEGMENT)
