"""Who may score, and how often."""

import time
from hashlib import sha256
from typing import Any

import pytest

from muster.serving.endpoint import Endpoints
from muster.serving.errors import EndpointNotAllowed, EndpointUnknown, RateExceeded, TokenUnknown
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
    few = entry("few", endpoints=("risk/churn", "wine/*"))
    listed = tokens(few)
    listed.admit(few, "risk", "churn", 0)
    listed.admit(few, "wine", "anything", 0)
    with pytest.raises(EndpointNotAllowed):
        listed.admit(few, "risk", "other", 0)


def test_endpoints_of_other_projects_are_as_if_they_were_not_there() -> None:
    """The same error, word for word, as for an endpoint that nobody serves."""
    few = entry("few", endpoints=("risk/*",))
    with pytest.raises(EndpointUnknown) as hidden:
        tokens(few).admit(few, "wine", "churn", 0)
    served: Endpoints = Endpoints.__new__(Endpoints)
    served._served = {}
    with pytest.raises(EndpointUnknown) as missing:
        served.find("churn")
    assert (str(hidden.value), hidden.value.facts) == (str(missing.value), missing.value.facts)


def test_a_further_right_counts_in_its_project() -> None:
    """An operator of one project is a mere consumer in another."""
    one = entry("one", endpoints=("risk/*", "wine/*"), rights=("risk/override",))
    assert Tokens.has_right(one, "override", "risk")
    assert not Tokens.has_right(one, "override", "wine")
    assert not Tokens.has_right(one, "live-test", "risk")


def test_a_list_that_names_no_projects_holds_for_all() -> None:
    """A front starts from the cache that Muster 0.1 wrote, until control tells it more."""
    old = entry("old", endpoints=("churn",), rights=("override",))
    listed = tokens(old)
    listed.admit(old, "risk", "churn", 0)
    assert Tokens.has_right(old, "override", "risk")
    with pytest.raises(EndpointNotAllowed):
        listed.admit(old, "risk", "wine", 0)


def test_a_projects_rate_is_kept_over_its_endpoints() -> None:
    """The quota counts all endpoints of the project together; the smaller limit decides, and a refusal uses nothing up."""
    one = entry("one", endpoints=("risk/*", "wine/*"), requests_per_s={"risk": 3})
    listed = tokens(one)
    listed.admit(one, "risk", "churn", 100)
    listed.admit(one, "risk", "fraud", 0)
    with pytest.raises(EndpointNotAllowed):
        listed.admit(entry("few", endpoints=("risk/a",)), "risk", "b", 0)
    listed.admit(one, "risk", "churn", 100)
    with pytest.raises(RateExceeded, match="project 'risk' more than 3 times") as refused:
        listed.admit(one, "risk", "fraud", 100)
    assert refused.value.facts["retry_after_s"] >= 1
    for _ in range(10):
        listed.admit(one, "wine", "red", 0)
    tight = entry("tight", endpoints=("risk/*",), requests_per_s={"risk": 50})
    listed = tokens(tight)
    listed.admit(tight, "risk", "churn", 1)
    for _ in range(10):
        with pytest.raises(RateExceeded, match="endpoint 'churn' more than 1 times"):
            listed.admit(tight, "risk", "churn", 1)
    for _ in range(49):  # what the endpoint refused was not drawn from the project's
        listed.admit(tight, "risk", "fraud", 0)


def test_a_rate_is_kept_per_token_and_endpoint() -> None:
    """As many as a second's worth at once, then 429 with the time to wait; another token is not touched."""
    one, two = entry("one"), entry("two")
    listed = tokens(one, two)
    for _ in range(5):
        listed.admit(one, "risk", "churn", 5)
    with pytest.raises(RateExceeded) as refused:
        listed.admit(one, "risk", "churn", 5)
    assert refused.value.facts["retry_after_s"] >= 1
    listed.admit(two, "risk", "churn", 5)
    listed.admit(one, "risk", "other", 5)
