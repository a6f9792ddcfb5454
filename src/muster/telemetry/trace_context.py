"""The W3C Trace Context of a request: which trace it belongs to, and whether that trace is kept.

Source: W3C Recommendation "Trace Context", level 1 (2021): `traceparent` and `tracestate`.
"""

import os
import re
from dataclasses import dataclass

_TRACEPARENT = re.compile(rb"([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")
_SAMPLED = 1
#: Longest `tracestate` that is passed on, bytes; a longer one may be left out whole.
_STATE_BYTES = 512


@dataclass(frozen=True, slots=True)
class TraceParent:
    """A caller's span, of which ours is a child."""

    trace: int
    """128 bits, not 0."""
    span: int
    """64 bits, not 0."""
    is_sampled: bool
    state: str = ""


def read_traceparent(traceparent: bytes | None, tracestate: bytes | None = None) -> TraceParent | None:
    """The caller's context; None where there is none, or one that is not to be used."""
    if traceparent is None:
        return None
    found = _TRACEPARENT.fullmatch(traceparent.strip())
    if found is None:
        return None
    version, trace, span, flags, rest = found.groups()
    if version == b"ff" or (version == b"00" and rest):  # later versions may have more behind; this one has not
        return None
    if int(trace, 16) == 0 or int(span, 16) == 0:
        return None
    state = b"" if tracestate is None or len(tracestate) > _STATE_BYTES else tracestate.strip()
    return TraceParent(int(trace, 16), int(span, 16), bool(int(flags, 16) & _SAMPLED), state.decode("ascii", "ignore"))


def write_traceparent(trace: int, span: int, *, is_sampled: bool) -> bytes:
    """The header's value for a span."""
    return b"00-%032x-%016x-%02x" % (trace, span, _SAMPLED if is_sampled else 0)


def new_trace() -> int:
    """A trace's id, never 0."""
    return int.from_bytes(os.urandom(16), "big") or 1


def new_span() -> int:
    """A span's id, never 0."""
    return int.from_bytes(os.urandom(8), "big") or 1
