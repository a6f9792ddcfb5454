"""Who ends a delegation, and with which token, on both databases."""

from datetime import timedelta
from pathlib import Path

import pytest

from governed_factory import PEOPLE, GovernedFactory
from muster.access.actor import Actor, Call
from muster.access.errors import RightMissing
from muster.access.roles import RIGHTS, Right
from muster.access.tokens import Scope
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(database, tmp_path, clock)


def limited(name: str, *rights: Right) -> Call:
    """A call with a token that is limited to these rights."""
    scope = Scope(rights=frozenset(rights))
    granted = {"default": scope.rights_of(RIGHTS[PEOPLE[name]])}
    roles = {"default": PEOPLE[name]}
    return Call(actor=Actor(name=name, roles=roles, token_id=f"t-{name}", granted=granted, scope=scope))


@pytest.mark.parametrize(
    ("call", "ends"),
    [
        (limited("paul", Right.READ), False),
        (limited("paul", Right.READ, Right.APPROVE), False),
        (limited("paul", Right.READ, Right.DELEGATE), True),
        (limited("petra", Right.READ), False),
        (limited("petra", Right.READ, Right.DELEGATE), False),
        (limited("petra", Right.READ, Right.APPROVE), True),
        (limited("adele", Right.READ, Right.DELEGATE, Right.APPROVE), False),
        (limited("adele", Right.READ, Right.MANAGE_USERS), True),
    ],
    ids=["absent-reads", "absent-votes", "absent-delegates", "stands-in-reads", "stands-in-delegates", "stands-in-votes", "other", "admin"],
)  # fmt: skip
def test_a_delegation_is_ended_with_a_token_that_is_for_it(factory: GovernedFactory, call: Call, ends: bool) -> None:
    """One for reading ends nobody's voice; of who made it the right is to delegate, of who stands in to vote."""
    delegations = factory.governance.delegations
    until = factory.clock.now() + timedelta(days=1)
    made = delegations.delegate(factory.call("paul"), "petra", until, "on leave")
    factory.clock.at += timedelta(hours=1)
    if ends:
        assert delegations.end(call, made.id, "back").ends == factory.clock.now()
    else:
        with pytest.raises(RightMissing, match="with this token"):
            delegations.end(call, made.id, "back")
        (held,) = delegations.delegations(factory.call("paul"))
        assert held.ends == until


def test_who_lost_the_right_ends_what_was_given_with_it(factory: GovernedFactory) -> None:
    """A whole token takes no right for it: who is an approver no more is not left with somebody who stands in."""
    delegations = factory.governance.delegations
    until = factory.clock.now() + timedelta(days=1)
    made = delegations.delegate(factory.call("paul"), "petra", until, "on leave")
    viewer = Call(actor=Actor(name="paul", roles={"default": "viewer"}, token_id="t-paul"))
    assert delegations.end(viewer, made.id, "no approver any more").ends == factory.clock.now()
    other = Call(actor=Actor(name="vic", roles={"default": "viewer"}, token_id="t-vic"))
    second = delegations.delegate(factory.call("paul"), "petra", until, "on leave")
    with pytest.raises(RightMissing):
        delegations.end(other, second.id, "so")
