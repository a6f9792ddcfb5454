"""One request to every variant of its plan: each sees the same columns, each has its own lane."""

from collections.abc import Mapping

from muster.serving.batching import Lane
from muster.serving.decisions import Outcome
from muster.serving.rendezvous import Mailbox, Rendezvous
from muster.wire.records import VariantAnswer


def fan_out(mailbox: Mailbox, lanes: Mapping[str, Lane], banned: frozenset[str], rendezvous: Rendezvous) -> None:
    """Submit the request to each variant's lane; a banned variant fails at once, without seeing it."""
    for index, variant in enumerate(mailbox.plan.variants):
        if banned and variant.version in banned:
            answer = VariantAnswer(variant.version, variant.planned.role, "unsent", error="the version is banned")
            rendezvous.answered(mailbox, index, Outcome.FAILED, answer)
        else:
            lanes[variant.key].submit(mailbox, index)
