"""Orders that the client does not even send."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from muster.client.control import Factory, connect
from muster.client.errors import DurationMalformed, OrderMalformed
from muster.wire.control import VoteOrder

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
