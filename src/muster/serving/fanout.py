"""One request to every variant of its plan: each sees the same columns, each has its own lane."""

from collections.abc import Sequence

from muster.serving.batching import Lane
from muster.serving.decisions import Outcome
from muster.serving.rendezvous import Mailbox, Rendezvous
from muster.wire.records import VariantAnswer


def pass_over(mailbox: Mailbox) -> None:
    """Mark the variants on probation: the policy does not wait for them, whatever they are sent."""
    for index in mailbox.probations.passed_over:
        mailbox.outcomes[index] = Outcome.PASSED_OVER


def fan_out(mailbox: Mailbox, lanes: Sequence[Lane], banned: frozenset[str], rendezvous: Rendezvous) -> None:
    """Submit the request to each variant's lane.

    A banned variant fails at once, without seeing it. A variant on probation sees a request now and then, as a probe.
    """
    outcomes = mailbox.outcomes
    for index, lane in enumerate(lanes):
        if banned and mailbox.plan.variants[index].version in banned:
            _not_sent(mailbox, index, "the version is banned", rendezvous)
        elif outcomes[index] is Outcome.PASSED_OVER and not mailbox.probations.may_probe(index, mailbox.arrived_at):
            mailbox.variants[index].passed_over()
            _not_sent(mailbox, index, "on probation: it kept missing its patience", rendezvous)
        else:
            lane.submit(mailbox, index)


def _not_sent(mailbox: Mailbox, index: int, why: str, rendezvous: Rendezvous) -> None:
    variant = mailbox.plan.variants[index]
    answer = VariantAnswer(variant.version, variant.role, "unsent", error=why)
    passed_over = mailbox.outcomes[index] is Outcome.PASSED_OVER
    if passed_over:
        mailbox.answers[index] = answer
    else:
        rendezvous.answered(mailbox, index, Outcome.FAILED, answer)
