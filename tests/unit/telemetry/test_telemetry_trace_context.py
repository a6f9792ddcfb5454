"""The W3C context of a request is read as the recommendation says."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.telemetry.trace_context import TraceParent, read_traceparent, write_traceparent

TRACE, SPAN = 0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7
GOOD = b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@given(trace=st.integers(1, 2**128 - 1), span=st.integers(1, 2**64 - 1), is_sampled=st.booleans())
def test_what_is_written_is_read(trace: int, span: int, is_sampled: bool) -> None:
    """A context survives the header."""
    assert read_traceparent(write_traceparent(trace, span, is_sampled=is_sampled)) == TraceParent(
        trace, span, is_sampled
    )


@given(st.binary(max_size=80))
def test_nothing_that_a_caller_sends_raises(header: bytes) -> None:
    """Whatever stands in the headers, there is a context or none."""
    read_traceparent(header, header)


@pytest.mark.parametrize(
    "header",
    [
        b"", b"00", GOOD.upper(), GOOD + b"-more", b"ff" + GOOD[2:], GOOD.replace(b"4bf92f3577b34da6a3ce929d0e0e4736", b"0" * 32),
        GOOD.replace(b"00f067aa0ba902b7", b"0" * 16), GOOD[:-1], b"00_" + GOOD[3:],
    ],
)  # fmt: skip
def test_what_is_no_context_is_left_alone(header: bytes) -> None:
    """Upper case, an id of zeros, version ff and more than version 00 has are no context."""
    assert read_traceparent(header) is None


def test_a_later_version_is_read_as_far_as_it_is_known() -> None:
    """A version that is yet to come may carry more, and only the flag that is known counts."""
    assert read_traceparent(b"cc" + GOOD[2:-2] + b"ff-what-the-future-brings", b"a=1,b=2") == TraceParent(
        TRACE, SPAN, is_sampled=True, state="a=1,b=2"
    )
    assert read_traceparent(GOOD[:-2] + b"02") == TraceParent(TRACE, SPAN, is_sampled=False)


def test_a_state_that_is_too_long_is_left_out() -> None:
    """The trace goes on without it."""
    assert read_traceparent(GOOD, b"a=" + b"x" * 600) == TraceParent(TRACE, SPAN, is_sampled=True)
