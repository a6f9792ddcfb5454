"""Whether a gate's rule is met: a pure function of the votes, the people, the delegations and the time.

A vote counts if it is about what is judged now, has not been replaced, is not too old, and both who voted and for whom the vote
is may vote here: they have the right of the gate now, and no part in what is judged. Of what is left, everybody who asks for
changes keeps the gate shut; and approvals are assigned to what the rule needs, one person to one place, so that the most places
are taken (a maximum matching in a bipartite graph).
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from muster.access.held import NOTHING, Held
from muster.access.roles import Right
from muster.gates.records import Circumstances, Gate, Matter, Need, Rule, Verdict, Vote
from muster.vocabulary.digests import digest_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """What the votes come to."""

    counted: tuple[Vote, ...]
    """The approvals that were assigned to a place."""
    blocking: tuple[Vote, ...]
    """Votes that keep the gate shut: rejections, and requests for changes where the rule says so."""
    missing: tuple[Need, ...]
    """Approvals that are still needed."""
    void: Mapping[int, str]
    """Why a vote does not count, by its number."""

    @property
    def met(self) -> bool:
        """Whether the gate may be passed."""
        return not self.missing and not self.blocking

    @property
    def told(self) -> tuple[str, ...]:
        """What is missing, in words."""
        return (
            *(f"{vote.person} {_SAYS[vote.verdict]}: {vote.text}" for vote in self.blocking),
            *(f"approval by {need}" for need in self.missing),
        )


_SAYS = {Verdict.REJECT: "rejects it", Verdict.REQUEST_CHANGES: "asks for changes", Verdict.APPROVE: "approves"}


def decide(matter: Matter, votes: Iterable[Vote], circumstances: Circumstances) -> Decision:
    """What the votes on a matter come to under all of its rules.

    Args:
        matter: what is judged.
        votes: everything that was said about the subject at the gate, in any order.
        circumstances: who holds what, who is absent, what time it is.
    """
    given = sorted(votes, key=lambda vote: vote.number)
    decisions = [_decide(matter, rule, given, circumstances) for rule in matter.rules]
    return Decision(
        counted=_once(vote for decision in decisions for vote in decision.counted),
        blocking=_once(vote for decision in decisions for vote in decision.blocking),
        missing=tuple(dict.fromkeys(need for decision in decisions for need in decision.missing)),
        # What one rule does not count may count by another: only what none counts is void.
        void={
            number: why
            for number, why in (decisions[0].void if decisions else {}).items()
            if all(number in decision.void for decision in decisions)
        },
    )


def may_vote(matter: Matter, name: str, circumstances: Circumstances) -> str | None:
    """Why a person's word does not count here, to be read after the name; None: it does."""
    if name.casefold() in matter.excluded:
        return "has part in it"
    if matter.right not in circumstances.people.get(name, NOTHING).rights:
        return f"does not have the right {matter.right} in the project"
    return None


def _decide(matter: Matter, rule: Rule, given: list[Vote], circumstances: Circumstances) -> Decision:
    void: dict[int, str] = {}
    live: list[Vote] = []
    for vote in given:
        why = _void(matter, rule, vote, circumstances)
        if why is None:
            live.append(vote)
        else:
            void[vote.number] = why
    live = _one_each(live, void)
    stopping = {Verdict.REJECT} | ({Verdict.REQUEST_CHANGES} if rule.changes_block else set())
    approving = [vote for vote in live if vote.verdict is Verdict.APPROVE]
    counted, missing = _assigned(rule.approvals, approving, circumstances)
    return Decision(
        counted=counted,
        blocking=tuple(vote for vote in live if vote.verdict in stopping),
        missing=missing,
        void=void,
    )


def _void(matter: Matter, rule: Rule, vote: Vote, circumstances: Circumstances) -> str | None:
    """Why a vote does not count by itself; None: it does."""
    now, why = circumstances.now, None
    if vote.withdrawn_at is not None:
        why = f"{vote.voter} said something else since"
    elif (vote.project, vote.gate, vote.subject, vote.digest) != (
        matter.project,
        matter.gate,
        matter.subject,
        matter.digest,
    ):
        why = "it was about something else than what is there now"
    elif rule.expires is not None and vote.at + rule.expires <= now:
        why = "it has expired"
    elif vote.for_person is not None and not any(
        delegation.holds(now) and (delegation.from_, delegation.to) == (vote.for_person, vote.voter)
        for delegation in circumstances.delegations
    ):
        why = f"{vote.voter} stands in for {vote.for_person} no longer"
    else:
        for name in dict.fromkeys((vote.voter, vote.person)):
            problem = may_vote(matter, name, circumstances)
            if problem is None and rule.disjoint and vote.verdict is Verdict.APPROVE and name in matter.earlier:
                problem = "passed an earlier gate of the same"
            if problem is not None:
                why = f"{name} {problem}"
                break
    return why


def _one_each(live: list[Vote], void: dict[int, str]) -> list[Vote]:
    """At most one vote of each human being, whether as voter or as who is stood in for; notes what falls away."""
    newest = {vote.voter: vote for vote in live}
    kept: list[Vote] = []
    represented: set[str] = set()
    for vote in sorted(newest.values(), key=lambda vote: -vote.number):
        if vote.for_person is not None and vote.for_person in newest:
            void[vote.number] = f"{vote.for_person} has voted"
        elif vote.person in represented:
            void[vote.number] = f"somebody else voted for {vote.person} later"
        else:
            represented.add(vote.person)
            kept.append(vote)
    for vote in live:
        if newest[vote.voter] is not vote:
            void[vote.number] = f"{vote.voter} said something else since"
    return sorted(kept, key=lambda vote: vote.number)


def _assigned(
    needs: tuple[Need, ...], approving: list[Vote], circumstances: Circumstances
) -> tuple[tuple[Vote, ...], tuple[Need, ...]]:
    """The approvals that take a place, and what stays open; as many places as possible are taken (Kuhn's algorithm)."""
    places = [need for need in needs for _ in range(need.count)]
    taken: dict[int, Vote] = {}

    def place(vote: Vote, tried: set[int]) -> bool:
        roles = circumstances.people.get(vote.person, NOTHING).roles
        for index, need in enumerate(places):
            if index in tried or (need.role is not None and need.role not in roles):
                continue
            tried.add(index)
            if index not in taken or place(taken[index], tried):
                taken[index] = vote
                return True
        return False

    for vote in approving:
        place(vote, set())
    open_places: dict[str | None, int] = {}
    for index, need in enumerate(places):
        if index not in taken:
            open_places[need.role] = open_places.get(need.role, 0) + 1
    counted = tuple(sorted(taken.values(), key=lambda vote: vote.number))
    return counted, tuple(Need(role=role, count=count) for role, count in open_places.items())


def _once(votes: Iterable[Vote]) -> tuple[Vote, ...]:
    return tuple(sorted({vote.number: vote for vote in votes}.values(), key=lambda vote: vote.number))


def attainable(rule: Rule, right: Right, people: Mapping[str, Held], without: str) -> bool:
    """Whether the people of a project could meet a rule if they all agreed, one of them left out."""
    names = sorted(name for name, held in people.items() if right in held.rights and name != without)
    digest = digest_of(b"")
    willing = [
        Vote(
            number=number, project="", gate=Gate.STANDARD, subject="", digest=digest, voter=name,
            verdict=Verdict.APPROVE, text="", at=datetime.min.replace(tzinfo=UTC),
        )
        for number, name in enumerate(names)
    ]  # fmt: skip
    circumstances = Circumstances(people=people, delegations=(), now=datetime.min.replace(tzinfo=UTC))
    return not _assigned(rule.approvals, willing, circumstances)[1]
