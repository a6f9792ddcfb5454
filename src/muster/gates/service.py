"""Votes and comments at gates: given, taken back, counted."""

from collections.abc import Mapping
from datetime import datetime

from muster.access.actor import Call
from muster.access.held import NOTHING, held_by, held_by_some
from muster.access.roles import Right
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.gates import store
from muster.gates.decision import Decision, decide, may_vote
from muster.gates.errors import NotDelegated, NothingToWithdraw, PartInIt, PassedBefore, VoiceLost
from muster.gates.records import Circumstances, Comment, Gate, Matter, Opinion, Review, Verdict, Vote
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import Clock


class Gates:
    """Counts what people say; the rooms above own the things that are judged, and act on what it comes to.

    Every method works within the transaction of such a room, which has looked at the idempotency key and puts the deed on record.

    Args:
        journal: where votes are put on record that pass no gate yet.
        clock: tells when.
    """

    def __init__(self, *, journal: Journal, clock: Clock) -> None:
        self._journal = journal
        self._clock = clock

    def cast(
        self,
        tx: Transaction,
        call: Call,
        matter: Matter,
        verdict: Verdict,
        text: str,
        *,
        for_person: str | None = None,
        not_before: datetime | None = None,
    ) -> Decision:
        """Take a vote, and tell what all of them come to now.

        Raises:
            PartInIt: the caller, or the person for whom the vote is, has part in it.
            PassedBefore: one of the two passed an earlier gate, and the rule wants others.
            VoiceLost: one of the two has no right to it any more.
            NotDelegated: the caller does not stand in for that person.
        """
        voter = call.actor.name
        circumstances = self._held_still(tx, matter, voter, for_person or voter)
        if for_person == voter:
            for_person = None
        if for_person is not None and not any(
            one.holds(circumstances.now) and (one.from_, one.to) == (for_person, voter)
            for one in circumstances.delegations
        ):
            raise NotDelegated(f"{voter} does not stand in for {for_person} now", actor=voter, for_person=for_person)
        for name in (voter, for_person or voter):
            _require_voice(matter, name, circumstances, verdict)
        given = Vote(
            number=0,
            project=matter.project,
            gate=matter.gate,
            subject=matter.subject,
            digest=matter.digest,
            voter=voter,
            verdict=verdict,
            text=text,
            at=circumstances.now,
            for_person=for_person,
            not_before=not_before,
            roles=tuple(sorted(circumstances.people.get(for_person or voter, NOTHING).roles)),
        )
        store.add_vote(tx, given)
        return self._decided(tx, matter, circumstances)

    def take_back(self, tx: Transaction, call: Call, matter: Matter) -> Decision:
        """Withdraw what the caller has said; tells what the rest comes to.

        Raises:
            NothingToWithdraw: there is nothing.
        """
        circumstances = self._held_still(tx, matter)
        name = call.actor.name
        if not store.withdraw(tx, matter.project, matter.gate, matter.subject, name, circumstances.now):
            raise NothingToWithdraw(f"{name} has no vote on {matter.subject}", actor=name, subject=matter.subject)
        return self._decided(tx, matter, circumstances)

    def decision(self, tx: Transaction, matter: Matter) -> Decision:
        """What the votes come to, as this transaction sees it; to be acted on only where `hold` was called before."""
        return self._decided(tx, matter, self._circumstances(tx, matter))

    def hold(self, tx: Transaction) -> None:
        """From here to the end of the transaction nobody's role, vote or delegation changes.

        Whatever changes one of them goes on record, and whoever goes on record takes this lock.
        """
        tx.lock("muster.order")

    def require_right(self, tx: Transaction, call: Call, right: Right) -> None:
        """Nothing, if the caller has the right still, as this transaction sees it.

        Raises:
            VoiceLost: it ended since the caller was identified.
        """
        if right not in held_by(tx, call.project, call.actor.name).rights:
            name = call.actor.name
            raise VoiceLost(f"{name} does not have the right {right} in the project", actor=name, right=str(right))

    def comment(self, tx: Transaction, call: Call, matter: Matter, text: str) -> None:
        """Keep a remark; open to whoever may read, those who have part in it among them."""
        store.add_comment(
            tx,
            Comment(
                number=0,
                project=matter.project,
                gate=matter.gate,
                subject=matter.subject,
                digest=matter.digest,
                author=call.actor.name,
                text=text,
                at=self._clock.now(),
            ),
        )

    def review(self, tx: Transaction, matter: Matter) -> Review:
        """All that was said, and what it comes to."""
        votes = store.votes_on(tx, matter.project, matter.gate, matter.subject)
        decision = decide(matter, votes, self._circumstances(tx, matter))
        return Review(
            gate=matter.gate,
            subject=matter.subject,
            digest=matter.digest,
            rules=matter.rules,
            opinions=tuple(Opinion(vote=vote, why_not=decision.void.get(vote.number)) for vote in votes),
            comments=store.comments_on(tx, matter.project, matter.gate, matter.subject),
            is_met=decision.met,
            missing=decision.told,
        )

    def approvers(self, tx: Transaction, project: str, gate: Gate, subject: str) -> frozenset[str]:
        """Whoever approved something at a gate, or was stood in for, and did not take it back."""
        given = store.votes_on(tx, project, gate, subject)
        standing = [vote for vote in given if vote.withdrawn_at is None and vote.verdict is Verdict.APPROVE]
        return frozenset(name for vote in standing for name in (vote.voter, vote.person))

    def record(
        self,
        tx: Transaction,
        call: Call,
        action: str,
        matter: Matter,
        reason: str,
        details: Mapping[str, object] | None = None,
    ) -> None:
        """Put what somebody said on record, with the key of the call."""
        self._journal.append(
            tx,
            Deed(
                actor=call.actor.name,
                action=action,
                subject=matter.subject,
                project=matter.project,
                details={"gate": str(matter.gate), "digest": matter.digest, **(details or {})},
                reason=reason,
                idempotency_key=call.idempotency_key,
                request_digest=call.request_digest,
            ),
        )

    def _held_still(self, tx: Transaction, matter: Matter, *names: str) -> Circumstances:
        self.hold(tx)
        return self._circumstances(tx, matter, *names)

    def _circumstances(self, tx: Transaction, matter: Matter, *names: str) -> Circumstances:
        """What those people hold who have voted, were stood in for, or are named: a project may have thousands of others."""
        votes = store.votes_on(tx, matter.project, matter.gate, matter.subject)
        concerned = {*names, *(name for vote in votes for name in (vote.voter, vote.person))}
        return Circumstances(
            people=held_by_some(tx, matter.project, concerned),
            delegations=store.delegations_of(tx, matter.project),
            now=self._clock.now(),
        )

    def _decided(self, tx: Transaction, matter: Matter, circumstances: Circumstances) -> Decision:
        return decide(matter, store.votes_on(tx, matter.project, matter.gate, matter.subject), circumstances)


def approvals_told(decision: Decision) -> list[dict[str, object]]:
    """The approvals that passed a gate, for its audit event."""
    return [
        {"by": vote.voter, "at_vote": vote.number, **({"for": vote.for_person} if vote.for_person else {})}
        for vote in decision.counted
    ]


def _require_voice(matter: Matter, name: str, circumstances: Circumstances, verdict: Verdict) -> None:
    problem = may_vote(matter, name, circumstances)
    facts = {"actor": name, "subject": matter.subject}
    if problem is not None and name.casefold() in matter.excluded:
        raise PartInIt(f"{name} {problem}: {matter.subject}", **facts)
    if problem is not None:
        raise VoiceLost(f"{name} {problem}", right=str(matter.right), **facts)
    is_approval = verdict is Verdict.APPROVE
    if is_approval and name in matter.earlier and any(rule.disjoint for rule in matter.rules):
        raise PassedBefore(
            f"{name} passed an earlier gate of {matter.subject}, and the standard wants others here", **facts
        )
