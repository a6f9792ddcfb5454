"""`muster.scorer` against a scoring side over HTTP."""

import math

import pandas as pd
import pytest

import muster
from muster.client.errors import RowsNotUnderstood
from muster.client.scoring import beside
from muster.vocabulary.errors import Invalid, NotFound, NotIdentified
from running_control import Control
from scoring_side import REQUEST_ID, running_scoring_side


def test_a_table_is_asked_about_as_one_request() -> None:
    """Rows, deadline and the caller's own name go out; answers, request id and reasons come back."""
    with running_scoring_side() as (url, requests), muster.scorer(url, token="mst_shop") as scorer:
        scored = scorer.score("sum", pd.DataFrame({"x": [1.0, 2.5]}), deadline="50ms", client_id="order-7")
    assert scored["score"] == [2.0, 3.5]
    assert (scored.request_id, scored.release, scored.outputs, len(scored)) == (REQUEST_ID, 3, ("score",), 2)
    assert (scored.variants, scored.reasons) == (["adds:1"] * 2, ["champion"] * 2)
    assert requests[0][1] == {"rows": [{"x": 1.0}, {"x": 2.5}], "deadline_ms": 50.0, "id": "order-7"}


def test_errors_of_the_scoring_side_are_families() -> None:
    """A broken contract is Invalid with its message, a wrong token NotIdentified, an unknown endpoint NotFound."""
    with running_scoring_side() as (url, _), muster.scorer(url, token="mst_shop") as scorer:
        with pytest.raises(Invalid, match="field 'x', row 1"):
            scorer.score("sum", [{"x": 1}, {"x": "two"}])
        with pytest.raises(NotFound):
            scorer.score("other", [{"x": 1}])
        with muster.scorer(url, token="mst_nobody") as nobody, pytest.raises(NotIdentified):
            nobody.score("sum", [{"x": 1}])
        with pytest.raises(RowsNotUnderstood):
            scorer.score("sum", [])
        with pytest.raises(Invalid, match="got null"):
            scorer.score("sum", pd.DataFrame({"x": [math.nan]}))
        assert scorer.metadata("sum").inputs[0].name == "x"


def test_control_says_where_to_score(control: Control, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without an address, the scoring side is where the factory says; MUSTER_SCORING_URL wins."""
    monkeypatch.setenv("MUSTER_URL", control.url)
    with muster.scorer(token="mst_shop") as scorer:
        assert scorer.url == "http://127.0.0.1:8601"
    monkeypatch.setenv("MUSTER_SCORING_URL", "http://127.0.0.1:1")
    with muster.scorer(token="mst_shop") as scorer:
        assert scorer.url == "http://127.0.0.1:1"


@pytest.mark.parametrize(
    ("control_url", "told", "reached"),
    [
        ("http://127.0.0.1:8600", "http://127.0.0.1:8601", "http://127.0.0.1:8601"),
        ("http://factory.example:8600", "http://127.0.0.1:9000", "http://factory.example:9000"),
        ("http://factory.example:8600", "http://scoring.example", "http://scoring.example"),
        ("http://[fd00::1]:8600", "http://127.0.0.1:8601", "http://[fd00::1]:8601"),
    ],
)
def test_a_factory_elsewhere_is_reached_by_its_own_name(control_url: str, told: str, reached: str) -> None:
    """What a factory on another machine calls 127.0.0.1 is that machine."""
    assert beside(control_url, told) == reached
