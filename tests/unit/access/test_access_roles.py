"""Roles and rights."""

from pathlib import Path

import pytest

from muster.access.actor import Actor, Call
from muster.access.errors import RightMissing, RoleUnknown
from muster.access.roles import RIGHTS, AccessRole, Right, checked_role, roles_with
from muster.access.tokens import looks_like_token, new_token_id, new_token_text, token_hash
from muster.vocabulary.names import NameMalformed, checked_name

_ALL = set(Right)
_WATCH = {Right.READ, Right.READ_REQUESTS, Right.READ_OWN_REQUESTS, Right.REPLAY, Right.REPLAY_OWN, Right.READ_AUDIT}


@pytest.mark.parametrize(
    ("role", "rights"),
    [
        ("viewer", {Right.READ}),
        (
            "scientist",
            {
                Right.READ,
                Right.REGISTER,
                Right.CERTIFY,
                Right.PROPOSE,
                Right.READ_OWN_REQUESTS,
                Right.REPLAY_OWN,
                Right.PROPOSE_STANDARD,
            },
        ),
        (
            "approver",
            _WATCH
            | {
                Right.ACCEPT,
                Right.APPROVE,
                Right.RETIRE,
                Right.BAN,
                Right.ADOPT_STANDARD,
                Right.SEAL_EVALUATION,
                Right.WAIVE,
                Right.DELEGATE,
                Right.CONFIRM_BREAK_GLASS,
            },
        ),
        (
            "operator",
            _WATCH
            | {
                Right.ROLL_BACK,
                Right.RAMP,
                Right.RESTART,
                Right.SCORE,
                Right.LIVE_TEST,
                Right.OVERRIDE,
                Right.BREAK_GLASS,
                Right.DELEGATE,
            },
        ),
        ("admin", _ALL - {Right.FOLLOW}),
        ("consumer", {Right.SCORE}),
        ("front", {Right.FOLLOW}),
    ],
)
def test_each_role_has_the_documented_rights(role: str, rights: set[Right]) -> None:
    """The table of docs/reference/roles.md, exactly."""
    assert RIGHTS[AccessRole(checked_role(role))] == rights


def test_every_right_belongs_to_some_role() -> None:
    """No right is out of everybody's reach, and every role is in the table."""
    assert set(RIGHTS) == set(AccessRole)
    for right in Right:
        assert roles_with(right)


def test_an_unknown_role_is_refused_with_the_list() -> None:
    """A mistyped role is answered with those there are."""
    with pytest.raises(RoleUnknown) as refused:
        checked_role("boss")
    assert "viewer" in refused.value.facts["roles"]


def test_a_right_holds_in_its_project_alone() -> None:
    """Who is admin here is nobody elsewhere."""
    actor = Actor(name="ana", roles={"default": AccessRole.ADMIN}, token_id="tok_1")
    Call(actor=actor).require(Right.ACCEPT)
    with pytest.raises(RightMissing) as refused:
        Call(actor=actor, project="other").require(Right.ACCEPT)
    assert str(refused.value) == "ana is nobody in project other and may not accept; that takes approver or admin"


def test_a_missing_right_names_who_has_it() -> None:
    """The message tells whom to ask."""
    call = Call(actor=Actor(name="ana", roles={"default": AccessRole.SCIENTIST}, token_id="tok_1"))
    assert call.may(Right.REGISTER)
    with pytest.raises(RightMissing) as refused:
        call.require(Right.ROLL_BACK)
    assert refused.value.facts == {
        "actor": "ana",
        "role": "scientist",
        "project": "default",
        "right": "roll-back",
        "roles": ["operator", "admin"],
    }


def test_tokens_are_long_random_and_recognisable() -> None:
    """256 bits behind a prefix that secret scanners can look for; no two alike."""
    made = {new_token_text() for _ in range(1000)}
    assert len(made) == 1000
    assert all(looks_like_token(text) and len(text) == 47 for text in made)
    assert len({token_hash(text) for text in made}) == 1000
    for text in ("", "mst_", "mst_" + "a" * 42, "Mst_" + "a" * 43, "mst_" + "a" * 43 + "\n"):
        assert not looks_like_token(text)


def test_no_user_can_be_named_like_a_token() -> None:
    """A token id is never a user's name, so that `revoke` cannot mean both."""
    with pytest.raises(NameMalformed):
        checked_name(new_token_id(), of="user")


def test_the_reference_page_has_the_table() -> None:
    """docs/reference/roles.md says of every right who has it, as it is."""
    page = (Path(__file__).parents[3] / "docs/reference/roles.md").read_text()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in page.splitlines() if line.startswith("|")]
    head = rows[0]
    told = {
        row[0].strip("`"): {head[at] for at in range(2, len(head)) if row[at] == "✓"}
        for row in rows[2 : 2 + len(Right)]
    }
    assert told == {str(right): {str(role) for role in roles_with(right)} for right in Right}
