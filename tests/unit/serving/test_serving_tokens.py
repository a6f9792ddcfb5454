"""Who may score, and how often."""

import time
from hashlib import sha256
from typing import Any

import pytest

from muster.serving.errors import EndpointNotAllowed, RateExceeded, TokenUnknown
from muster.serving.front.tokens import Tokens
from muster.wire.plans import AccessEntry, AccessList


def entry(token: str, **more: Any) -> AccessEntry:
    return AccessEntry(f"id-{token}", sha256(token.encode()).hexdigest(), "shop", more.pop("endpoints", ("*",)), **more)


def tokens(*entries: AccessEntry) -> Tokens:
    listed = Tokens()
    listed.replace(AccessList(1, entries))
    return listed


@pytest.mark.parametrize("header", [None, b"", b"Bearer", b"Basic abc", b"Bearer other", b"Bearer \xff"])
def test_anything_but_a_listed_token_is_refused(header: bytes | None) -> None:
    """No header, another scheme, an unknown token: all the same error."""
    with pytest.raises(TokenUnknown):
        tokens(entry("good")).identify(header)


def test_a_new_list_revokes_what_is_not_on_it() -> None:
    """What was good is unknown once the list is replaced."""
    listed = tokens(entry("good"), entry("other"))
    assert listed.identify(b"bearer good").name == "shop"
    listed.replace(AccessList(1, (entry("other"),)))
    with pytest.raises(TokenUnknown):
        listed.identify(b"Bearer good")


def test_an_expired_token_is_refused() -> None:
    """The front looks at the time itself: nobody publishes when a token expires."""
    now = time.time_ns()
    listed = tokens(entry("old", expires_ns=now - 1), entry("young", expires_ns=now + 10**12))
    assert listed.identify(b"Bearer young").token_id == "id-young"
    with pytest.raises(TokenUnknown, match="expired"):
        listed.identify(b"Bearer old")


def test_a_token_is_good_for_its_endpoints_only() -> None:
    """`*` means all."""
    few = entry("few", endpoints=("churn",))
    listed = tokens(few)
    listed.admit(few, "churn", 0)
    with pytest.raises(EndpointNotAllowed):
        listed.admit(few, "other", 0)


def test_a_rate_is_kept_per_token_and_endpoint() -> None:
    """As many as a second's worth at once, then 429 with the time to wait; another token is not touched."""
    one, two = entry("one"), entry("two")
    listed = tokens(one, two)
    for _ in range(5):
        listed.admit(one, "churn", 5)
    with pytest.raises(RateExceeded) as refused:
        listed.admit(one, "churn", 5)
    assert refused.value.facts["retry_after_s"] >= 1
    listed.admit(two, "churn", 5)
    listed.admit(one, "other", 5)
