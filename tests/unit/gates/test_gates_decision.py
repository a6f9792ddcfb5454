"""Whether a gate's rule is met: held against an oracle that tries everything, while people do whatever they can do."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations, permutations

import hypothesis.strategies as st
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from muster.access.held import Held
from muster.access.roles import Right
from muster.gates.decision import attainable, decide
from muster.gates.records import Circumstances, Delegation, Gate, Matter, Need, Rule, Verdict, Vote
from muster.vocabulary.digests import digest_of

NOW = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
NAMES = ("ana", "ben", "cat", "dan", "eve")
ROLES = ("approver", "risk", "scientist")
VOTING = frozenset({"approver", "risk"})
DIGESTS = (digest_of(b"one"), digest_of(b"two"))


def held(*roles: str) -> Held:
    """Somebody with these roles; approvers and risk officers may vote."""
    rights = frozenset({Right.APPROVE}) if VOTING & set(roles) else frozenset()
    return Held(roles=frozenset(roles), rights=rights)


def matter(*rules: Rule, excluded: frozenset[str] = frozenset(), earlier: frozenset[str] = frozenset()) -> Matter:
    """A release at the go-live gate."""
    return Matter(
        project="default", gate=Gate.GO_LIVE, subject="churn release 1", digest=DIGESTS[0], right=Right.APPROVE,
        rules=rules or (Rule(),), excluded=excluded, earlier=earlier,
    )  # fmt: skip


def vote(number: int, voter: str, verdict: Verdict = Verdict.APPROVE, **said: object) -> Vote:
    """What somebody said about it."""
    base = Vote(
        number=number, project="default", gate=Gate.GO_LIVE, subject="churn release 1", digest=DIGESTS[0], voter=voter,
        verdict=verdict, text="so", at=NOW,
    )  # fmt: skip
    return replace(base, **said)  # type: ignore[arg-type]


def seen(people: dict[str, Held], *delegations: Delegation, now: datetime = NOW) -> Circumstances:
    """Who holds what, now."""
    return Circumstances(people=people, delegations=delegations, now=now)


def delegation(from_: str, to: str, ends: datetime = NOW + timedelta(days=1)) -> Delegation:
    """That somebody stands in for somebody."""
    return Delegation(
        id="d", project="default", from_=from_, to=to, starts=NOW - timedelta(days=1), ends=ends, reason="away",
        made_by=from_, made_at=NOW,
    )  # fmt: skip


class Machine(RuleBasedStateMachine):
    """People vote, delegate, gain and lose roles and parts, while time passes and the thing itself changes."""

    def __init__(self) -> None:
        super().__init__()
        self.people: dict[str, Held] = {name: held("approver") for name in NAMES}
        self.votes: list[Vote] = []
        self.delegations: list[Delegation] = []
        self.excluded: set[str] = set()
        self.earlier: set[str] = set()
        self.now = NOW
        self.digest = DIGESTS[0]
        self.rule = Rule(approvals=(Need(count=2),))

    @rule(
        needs=st.lists(
            st.tuples(st.integers(1, 2), st.sampled_from([None, "approver", "risk"])), min_size=1, max_size=3
        ),
        disjoint=st.booleans(),
        expires=st.sampled_from([None, timedelta(hours=2)]),
        changes_block=st.booleans(),
    )
    def adopt(
        self, needs: list[tuple[int, str | None]], disjoint: bool, expires: timedelta | None, changes_block: bool
    ) -> None:
        """Another rule is adopted."""
        approvals = tuple(Need(count=count, role=role) for count, role in needs)
        self.rule = Rule(approvals=approvals, disjoint=disjoint, expires=expires, changes_block=changes_block)

    @rule(
        voter=st.sampled_from(NAMES),
        verdict=st.sampled_from(list(Verdict)),
        for_person=st.none() | st.sampled_from(NAMES),
        replaces=st.booleans(),
    )
    def say(self, voter: str, verdict: Verdict, for_person: str | None, replaces: bool) -> None:
        """Somebody votes; a vote that was not withdrawn in time, as from a raced request, is still the older one."""
        if replaces:
            self.votes = [
                replace(one, withdrawn_at=self.now) if one.voter == voter and one.withdrawn_at is None else one
                for one in self.votes
            ]
        given = vote(len(self.votes) + 1, voter, verdict, at=self.now, digest=self.digest)
        self.votes.append(replace(given, for_person=for_person if for_person != voter else None))

    @rule(voter=st.sampled_from(NAMES))
    def take_back(self, voter: str) -> None:
        """Somebody withdraws what was said."""
        self.votes = [
            replace(one, withdrawn_at=self.now) if one.voter == voter and one.withdrawn_at is None else one
            for one in self.votes
        ]

    @rule(from_=st.sampled_from(NAMES), to=st.sampled_from(NAMES), hours=st.integers(1, 5))
    def delegate(self, from_: str, to: str, hours: int) -> None:
        """Somebody is away for some hours."""
        self.delegations.append(replace(delegation(from_, to), starts=self.now, ends=self.now + timedelta(hours=hours)))

    @rule(name=st.sampled_from(NAMES), roles=st.sets(st.sampled_from(ROLES)))
    def change_roles(self, name: str, roles: set[str]) -> None:
        """Somebody has other roles; none at all means removed."""
        if roles:
            self.people[name] = held(*roles)
        else:
            self.people.pop(name, None)

    @rule(name=st.sampled_from(NAMES))
    def become_owner(self, name: str) -> None:
        """Somebody gets part in it."""
        self.excluded ^= {name}

    @rule(name=st.sampled_from(NAMES))
    def pass_before(self, name: str) -> None:
        """Somebody passed an earlier gate."""
        self.earlier ^= {name}

    @rule()
    def change(self) -> None:
        """What is judged is another thing now."""
        self.digest = DIGESTS[1 - DIGESTS.index(self.digest)]

    @rule(hours=st.integers(1, 3))
    def wait(self, hours: int) -> None:
        """Time passes."""
        self.now += timedelta(hours=hours)

    @invariant()
    def agrees_with_the_oracle(self) -> None:
        """The decision is what trying every choice of votes and places comes to, and names nobody who may not vote."""
        judged = replace(
            matter(self.rule, excluded=frozenset(self.excluded), earlier=frozenset(self.earlier)), digest=self.digest
        )
        found = decide(judged, self.votes, seen(self.people, *self.delegations, now=self.now))
        live = self._live()
        approving = [one for one in live if one.verdict is Verdict.APPROVE]
        shut = any(
            one.verdict is Verdict.REJECT or (one.verdict is Verdict.REQUEST_CHANGES and self.rule.changes_block)
            for one in live
        )
        places = [need.role for need in self.rule.approvals for _ in range(need.count)]
        assert found.met == (not shut and self._fits(approving, places))
        humans = [name for one in found.counted for name in {one.voter, one.person}]
        assert len(humans) == len(set(humans)), "one human being counts twice"
        for one in (*found.counted, *found.blocking):
            assert one.digest == self.digest
            for name in (one.voter, one.person):
                assert name not in self.excluded
                assert Right.APPROVE in self.people[name].rights
                assert not (self.rule.disjoint and one.verdict is Verdict.APPROVE and name in self.earlier)
        assert sum(need.count for need in found.missing) == len(places) - len(found.counted)

    def _live(self) -> list[Vote]:
        """The votes that count, said the slow way."""

        def counts(one: Vote) -> bool:
            stood_in = one.for_person is None or any(
                one.for_person == other.from_ and one.voter == other.to and other.starts <= self.now < other.ends
                for other in self.delegations
            )
            fresh = self.rule.expires is None or self.now - one.at < self.rule.expires
            voices = all(
                name not in self.excluded
                and name in self.people
                and bool(VOTING & self.people[name].roles)
                and not (self.rule.disjoint and one.verdict is Verdict.APPROVE and name in self.earlier)
                for name in (one.voter, one.person)
            )
            return one.withdrawn_at is None and one.digest == self.digest and stood_in and fresh and voices

        counting = [one for one in self.votes if counts(one)]
        last = [one for one in counting if not any(o.voter == one.voter and o.number > one.number for o in counting)]
        return [
            one
            for one in last
            if not any(
                other is not one
                and (
                    (one.for_person is not None and other.voter == one.for_person)
                    or (
                        other.person == one.person
                        and other.number > one.number
                        and not (other.for_person and any(third.voter == other.for_person for third in last))
                    )
                )
                for other in last
            )
        ]

    def _fits(self, approving: list[Vote], places: list[str | None]) -> bool:
        """Whether some of the votes, in some order, fill the places."""
        if len(approving) < len(places):
            return False
        return any(
            all(role is None or role in self.people[one.person].roles for one, role in zip(order, places, strict=True))
            for chosen in combinations(approving, len(places))
            for order in permutations(chosen)
        )


Machine.TestCase.settings = settings(max_examples=150, stateful_step_count=25, deadline=None)
TestMachine = Machine.TestCase

PEOPLE = {"ana": held("approver"), "ben": held("approver", "risk"), "cat": held("risk"), "sam": held("scientist")}


def test_one_person_with_two_roles_counts_once() -> None:
    """Ben is approver and risk officer, and takes one place of the two; which one depends on who else is there."""
    both = Rule(approvals=(Need(count=1, role="approver"), Need(count=1, role="risk")))
    alone = decide(matter(both), [vote(1, "ben")], seen(PEOPLE))
    assert [need.count for need in alone.missing] == [1]
    assert decide(matter(both), [vote(1, "ben"), vote(2, "ana")], seen(PEOPLE)).met
    assert decide(matter(both), [vote(1, "ben"), vote(2, "cat")], seen(PEOPLE)).met


def test_an_edited_subject_voids_every_vote() -> None:
    """A vote about another digest is told as void, and does not count."""
    found = decide(matter(), [vote(1, "ana", digest=DIGESTS[1])], seen(PEOPLE))
    assert not found.met
    assert "something else" in found.void[1]


def test_votes_on_another_subject_gate_or_project_do_not_count() -> None:
    """The same digest somewhere else is another matter."""
    for other in (
        {"subject": "churn release 2"},
        {"gate": Gate.ACCEPTANCE},
        {"project": "other"},
    ):
        assert not decide(matter(), [vote(1, "ana", **other)], seen(PEOPLE)).met


def test_a_delegate_needs_the_right_and_brings_the_role_of_who_is_absent() -> None:
    """Sam, who may not vote, cannot stand in for anybody; ana stands in for cat and fills the place of a risk officer."""
    risk = Rule(approvals=(Need(count=1, role="risk"),))
    assert not decide(matter(risk), [vote(1, "sam", for_person="cat")], seen(PEOPLE, delegation("cat", "sam"))).met
    assert decide(matter(risk), [vote(1, "ana", for_person="cat")], seen(PEOPLE, delegation("cat", "ana"))).met
    assert not decide(matter(risk), [vote(1, "ana")], seen(PEOPLE)).met
    ended = delegation("cat", "ana", ends=NOW)
    assert not decide(matter(risk), [vote(1, "ana", for_person="cat")], seen(PEOPLE, ended)).met


def test_nobody_votes_in_the_place_of_an_owner_nor_an_owner_for_anybody() -> None:
    """Having part in it takes the voice of the delegate and of who delegated alike."""
    delegated = seen(PEOPLE, delegation("cat", "ana"))
    for owner in ("cat", "ana"):
        judged = matter(excluded=frozenset({owner}))
        assert not decide(judged, [vote(1, "ana", for_person="cat")], delegated).met


def test_several_rules_must_all_be_met() -> None:
    """A release with versions of two risk tiers meets the rule of each."""
    rules = (Rule(), Rule(approvals=(Need(count=2),)))
    assert not decide(matter(*rules), [vote(1, "ana")], seen(PEOPLE)).met
    assert decide(matter(*rules), [vote(1, "ana"), vote(2, "cat")], seen(PEOPLE)).met


def test_a_vote_expires_at_the_moment_its_time_is_over() -> None:
    """It counts until just before, and not at the moment itself."""
    short = Rule(expires=timedelta(hours=1))
    almost, over = NOW + timedelta(minutes=59, seconds=59), NOW + timedelta(hours=1)
    assert decide(matter(short), [vote(1, "ana")], seen(PEOPLE, now=almost)).met
    assert not decide(matter(short), [vote(1, "ana")], seen(PEOPLE, now=over)).met


def test_a_rule_is_attainable_with_one_person_left_out_or_it_is_not() -> None:
    """Two risk officers are two, and one of them is not enough for a rule of two."""
    two = Rule(approvals=(Need(count=2, role="risk"),))
    assert attainable(two, Right.APPROVE, PEOPLE, without="sam")
    assert not attainable(two, Right.APPROVE, PEOPLE, without="cat")
