"""One request to every variant of its plan: each sees the same columns, each has its own lane."""

from collections.abc import Sequence

from muster.serving.batching import Lane
from muster.serving.decisions import Outcome
from muster.serving.rendezvous import Mailbox, Rendezvous
from muster.wire.records import VariantAnswer


def pass_over(mailbox: Mailbox, lanes: Sequence[Lane]) -> None:
    """Mark the variants on probation: the policy does not wait for them, whatever they are sent.

    Where nobody else can answer, the policy does wait for those that this request probes: the caller has nothing to lose, and
    whoever asks seldom would be refused for long after a fault has gone.
    """
    probations = mailbox.probations
    if not probations.passed_over:
        return
    outcomes, order = mailbox.outcomes, mailbox.plan.order
    for index in probations.passed_over:
        outcomes[index] = Outcome.PASSED_OVER
    if any(outcomes[index] is not Outcome.PASSED_OVER and lanes[index].is_up for index in order):
        return
    for index in order:
        if outcomes[index] is Outcome.PASSED_OVER and probations.may_probe(index, mailbox.arrived_at):
            outcomes[index] = Outcome.PENDING


def fan_out(mailbox: Mailbox, lanes: Sequence[Lane], banned: frozenset[str], rendezvous: Rendezvous) -> None:
    """Submit the request to each variant's lane.

    A banned variant fails at once, without seeing it. A variant on probation sees a request now and then, as a probe: `pass_over` has
    asked for those that are waited for.
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
