"""Orders that the client does not even send."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from muster.client.control import Factory, connect
from muster.client.errors import DurationMalformed, OrderMalformed
from muster.client.orders import order_of
from muster.wire.control import Order, UserOrder, VoteOrder
from muster.wire.governance import WaiverOrder
from muster.wire.people import ProjectTextsOrder, QuotasOrder
from muster.wire.sign_in import OidcFinishOrder

NAN, INFINITY = float("nan"), float("inf")


def nobody(request: httpx.Request) -> httpx.Response:
    """Answers nothing: nothing is to be asked."""
    pytest.fail(f"{request.method} {request.url} was sent")


@pytest.mark.parametrize(
    "said",
    [
        {"policy": {"name": "vote", "output": "label", "wait_ms": NAN}},
        {"policy": VoteOrder(output="label", wait_ms=NAN)},
        {"policy": {"name": "weighted", "outputs": ["score"], "weights": {"churn:1": INFINITY, "churn:2": 1.0}}},
        {"policy": {"name": "split", "field": "customer", "steps": [{"churn:1": 1.0}, {"churn:1": NAN}]}},
        {"patience": {"churn:1": NAN}},
        {"deadline": INFINITY},
        {"default": {"score": NAN}},
    ],
    ids=str,
)
def test_numbers_that_are_not_finite_are_refused(said: dict[str, Any]) -> None:
    """JSON would make nulls of them, which mean the default."""
    factory: Factory = connect("http://127.0.0.1:1", token="t", transport=httpx.MockTransport(nobody))
    propose: Callable[..., Any] = factory.propose
    with pytest.raises((OrderMalformed, DurationMalformed), match=r"no finite number|not a duration"):
        propose("churn", champion="churn:1", reason="better", **said)


@pytest.mark.parametrize(
    ("kind", "fields", "told"),
    [
        (WaiverOrder, {"check": "x", "reason": "r", "ends": "yesterday"}, "ends: 'yesterday' is not a moment with its offset"),
        (WaiverOrder, {"check": "x", "reason": "", "ends": "2027-01-31T18:00:00Z"}, "reason: it must not be empty"),
        (ProjectTextsOrder, {"title": "x" * 300}, "title: its length has to be <= 200"),
        (ProjectTextsOrder, {"title": "a\nb"}, r"title: 'a\nb' is not one line"),
        (QuotasOrder, {"bytes": -5}, "bytes: Expected `int` >= 0, got -5"),
        (UserOrder, {"name": "Zed", "role": "viewer"}, "name: 'Zed' is not a name: 1 to 63"),
        (OidcFinishOrder, {"handle": "secret"}, "handle: it does not match"),
    ],
)  # fmt: skip
def test_what_an_order_does_not_take_is_said_in_words(kind: type[Order], fields: dict[str, Any], told: str) -> None:
    """Which argument, what was given and what is asked for; a text that may be a secret is not repeated."""
    with pytest.raises(OrderMalformed) as refused:
        order_of(kind, **fields)
    assert refused.value.message.startswith(told)
    assert "secret" not in refused.value.message
