"""Answers as the client hands them back."""

from typing import Any

from muster.client.scoring import Scored


def scored(*answers: dict[str, Any], **more: Any) -> Scored:
    return Scored(request_id="x", release=7, answers=answers, **more)


def test_outputs_and_facts_are_told_apart() -> None:
    """Whatever an output is called, it is an output, and the facts are found."""
    facts = {"variant": "churn:3", "role": "champion", "reason": "champion"}
    plain = scored({"score": 0.5, **facts})
    assert (plain.outputs, plain.variants, plain.reasons) == (("score",), ["churn:3"], ["champion"])
    answer = {"variant": 1, "muster_variant": "churn:3", "role": "champion", "reason": "champion"}
    collided = scored(answer, answer)
    assert (collided.outputs, collided.variants) == (("variant",), ["churn:3", "churn:3"])
    answer = {"muster_variant": 1, "muster_muster_variant": "churn:3", "role": "champion", "reason": "champion"}
    assert (scored(answer).outputs, scored(answer).variants) == (("muster_variant",), ["churn:3"])


def test_no_answers() -> None:
    """Without rows there is nothing to tell."""
    assert (scored().outputs, scored().variants, len(scored())) == ((), [], 0)


def test_weights() -> None:
    """A combined answer has the weight of each version; others have none."""
    assert scored().weights == {}
    assert scored(weights={"churn:2": 1.0}).weights == {"churn:2": 1.0}
