"""Users and tokens on both databases."""

import threading
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from muster.access.actor import Actor, Call
from muster.access.errors import (
    ExpiryPast,
    FactoryHasUsers,
    LastAdmin,
    RightMissing,
    RightNotGrantable,
    RoleUnknown,
    TokenExpired,
    TokenMissing,
    TokenNotFound,
    TokenRevoked,
    TokenUnknown,
    UserElsewhere,
    UserExists,
    UserNotFound,
)
from muster.access.roles import AccessRole, Right
from muster.access.service import Access
from muster.access.users import FirstUsers, NewUser
from muster.audit.errors import IdempotencyKeyReused
from muster.audit.journal import Journal
from muster.audit.verify import verify
from muster.migrations.whole_schema import whole_schema
from muster.publishing.board import ACCESS_SUBJECT, Board
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.errors import MusterError
from muster.vocabulary.names import NameMalformed
from muster.wire.plans import AccessEntry, AccessList


class Factory:
    """Everything that takes part, and shorthands."""

    def __init__(self, database: Database, head: Path, clock: FixedClock) -> None:
        self.database = database
        self.clock = clock
        self.head = head
        self.journal = Journal(head, clock)
        self.board = Board(database, clock)
        self.access = Access(database, self.journal, self.board, clock)
        self.first: FirstUsers = self.access.bootstrap()
        self.admin = self.call_of(self.first.admin)

    def call_of(self, user: NewUser, project: str = "default") -> Call:
        return Call(actor=self.access.identify(user.token), project=project)

    def scoring(self) -> dict[str, AccessEntry]:
        """The published access list, by user."""
        newest = self.board.newest(ACCESS_SUBJECT)
        assert newest is not None
        assert isinstance(newest.document, AccessList)
        return {entry.name: entry for entry in newest.document.entries}

    def events(self) -> list[tuple[str, str, str]]:
        with self.database.read() as tx:
            return [(entry.actor, entry.action, entry.subject) for entry in self.journal.entries(tx)]


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> Factory:
    return Factory(database, tmp_path / "head.jsonl", clock)


def test_a_factory_begins_with_an_admin_and_its_fronts(factory: Factory) -> None:
    """The two first tokens identify, and what their users may do is theirs alone."""
    admin, front = factory.admin, factory.call_of(factory.first.front)
    assert (admin.actor.name, dict(admin.actor.roles)) == ("admin", {"default": frozenset({"admin"})})
    assert front.may(Right.FOLLOW)
    assert not admin.may(Right.FOLLOW)
    assert not front.may(Right.READ)
    assert set(factory.scoring()) == {"admin"}
    assert factory.events() == [("muster", "user.added", "user admin"), ("muster", "user.added", "user front")]
    with pytest.raises(FactoryHasUsers):
        factory.access.bootstrap()


def test_a_new_user_is_identified_by_the_token_shown_once(factory: Factory) -> None:
    """The token works from then on, and neither the database nor the record holds it."""
    ana = factory.access.add_user(factory.admin, "ana", "scientist")
    assert ana.token is not None
    actor = factory.access.identify(ana.token)
    assert (actor.name, actor.token_id, actor.solo) == ("ana", ana.token_id, False)
    assert dict(actor.roles) == {"default": {"scientist"}}
    assert ana.token not in repr(ana)
    with factory.database.read() as tx:
        for table in whole_schema().sorted_tables:
            assert ana.token not in repr(tx.execute(sa.select(table)).all())


@pytest.mark.parametrize(
    ("token", "error"),
    [
        (None, TokenMissing),
        ("", TokenMissing),
        ("hello", TokenUnknown),
        ("mst_" + "A" * 43, TokenUnknown),
        ("mst_" + "A" * 43 + "\0", TokenUnknown),
        ("mst_' OR 1=1 --" + "A" * 32, TokenUnknown),
    ],
)
def test_what_is_no_token_of_this_factory_identifies_nobody(
    factory: Factory, token: str | None, error: type[MusterError]
) -> None:
    """Nothing, nonsense and tokens of elsewhere are turned away, without being repeated in the message."""
    with pytest.raises(error) as refused:
        factory.access.identify(token)
    assert not token or token not in str(refused.value)


@pytest.mark.parametrize("role", [role for role in AccessRole if role is not AccessRole.ADMIN])
def test_only_admins_manage_users(factory: Factory, role: AccessRole) -> None:
    """No other role can read users, add or remove them, or touch tokens of others."""
    call = factory.call_of(factory.access.add_user(factory.admin, "eve", role))
    for deed in (
        lambda: factory.access.add_user(call, "mallory", "admin"),
        lambda: factory.access.users(call),
        lambda: factory.access.change_role(call, "eve", "admin"),
        lambda: factory.access.remove_user(call, "admin"),
        lambda: factory.access.new_token(call, "admin"),
        lambda: factory.access.revoke_token(call, "admin"),
        lambda: factory.access.revoke_token(call, factory.first.admin.token_id),
    ):
        with pytest.raises(RightMissing):
            deed()
    assert factory.events()[-1] == ("admin", "user.added", "user eve")


def test_anybody_may_revoke_their_own_token(factory: Factory) -> None:
    """Who has lost a token, or leaves, needs no admin to make it worthless."""
    ana = factory.access.add_user(factory.admin, "ana", "viewer")
    assert factory.access.revoke_token(factory.call_of(ana), ana.token_id or "").token_ids == (ana.token_id,)
    with pytest.raises(TokenRevoked, match=ana.token_id):
        factory.access.identify(ana.token)


def test_revoking_takes_effect_at_once_and_everywhere(factory: Factory) -> None:
    """A revoked token identifies nobody, and the access list that fronts follow no longer holds it."""
    app = factory.access.add_user(factory.admin, "app", "consumer")
    further = factory.access.new_token(factory.admin, "app")
    assert factory.scoring()["app"].name == "app"
    assert factory.access.revoke_token(factory.admin, app.token_id or "").token_ids == (app.token_id,)
    assert factory.scoring()["app"].token_id == further.token_id
    assert factory.access.revoke_token(factory.admin, "app").token_ids == (further.token_id,)
    assert "app" not in factory.scoring()
    for user in (app, further):
        with pytest.raises(TokenRevoked):
            factory.access.identify(user.token)
    assert factory.access.revoke_token(factory.admin, "app").token_ids == ()
    with pytest.raises(TokenNotFound, match="neither a token nor a user 'nobody'"):
        factory.access.revoke_token(factory.admin, "nobody")


def test_a_token_expires_at_its_moment(factory: Factory) -> None:
    """Until then it identifies; from then on it does not, and fronts know the moment themselves."""
    expires = factory.clock.now() + timedelta(hours=1, microseconds=7)
    app = factory.access.add_user(factory.admin, "app", "consumer", expires=expires)
    assert factory.scoring()["app"].expires_ns == int(expires.timestamp()) * 10**9 + 7000
    factory.clock.at = expires - timedelta(microseconds=1)
    assert factory.access.identify(app.token).name == "app"
    factory.clock.at = expires
    with pytest.raises(TokenExpired):
        factory.access.identify(app.token)
    assert [user.tokens for user in factory.access.users(factory.admin) if user.name == "app"] == [()]
    for past in (expires, expires.replace(tzinfo=None)):
        with pytest.raises(ExpiryPast):
            factory.access.new_token(factory.admin, "app", past)


def test_the_access_list_says_who_may_score_what(factory: Factory) -> None:
    """Consumers, operators and admins score, at the endpoints given; those who may test live say so; nobody else is in it."""
    for role in AccessRole:
        factory.access.add_user(factory.admin, f"a-{role}", role, ["wine", "churn"])
    assert {name: (entry.endpoints, entry.rights) for name, entry in factory.scoring().items()} == {
        "admin": (("default/*",), ("default/live-test", "default/override")),
        "a-admin": (("default/churn", "default/wine"), ("default/live-test", "default/override")),
        "a-operator": (("default/churn", "default/wine"), ("default/live-test", "default/override")),
        "a-consumer": (("default/churn", "default/wine"), ()),
    }


def test_a_consumer_can_be_given_the_right_to_override(factory: Factory) -> None:
    """On record, in the access list, for every token of the user; it ends with the next role that does not name it."""
    made = factory.access.add_user(factory.admin, "app", "consumer", ["churn"], may=["override", "override"])
    assert factory.scoring()["app"].rights == ("default/override",)
    factory.access.new_token(factory.admin, "app")
    newest = factory.board.newest(ACCESS_SUBJECT)
    assert newest is not None
    assert isinstance(newest.document, AccessList)
    assert [entry.rights for entry in newest.document.entries if entry.name == "app"] == [("default/override",)] * 2
    assert {user.name: user.may for user in factory.access.users(factory.admin)}["app"] == (Right.OVERRIDE,)
    with factory.database.read() as tx:
        details = [entry.details for entry in factory.journal.entries(tx) if entry.subject == "user app"]
    assert '"may":["override"]' in details[0]
    assert made.token is not None
    factory.access.change_role(factory.admin, "app", "consumer", ["churn"])
    assert factory.scoring()["app"].rights == ()
    factory.access.change_role(factory.admin, "app", "consumer", ["churn"], may=["override"])
    assert factory.scoring()["app"].rights == ("default/override",)


@pytest.mark.parametrize(
    ("role", "right"),
    [("viewer", "override"), ("scientist", "override"), ("front", "override"), ("consumer", "approve"),
     ("consumer", "live-test"), ("operator", "ban"), ("consumer", "everything")],
)  # fmt: skip
def test_no_other_right_is_given_beyond_a_role(factory: Factory, role: str, right: str) -> None:
    """Only `override`, and only where the role scores; nothing is left of the attempt."""
    with pytest.raises(RightNotGrantable, match=right):
        factory.access.add_user(factory.admin, "app", role, may=[right])
    with pytest.raises(RightNotGrantable):
        factory.access.change_role(factory.admin, "admin", role, may=[right])
    assert [user.name for user in factory.access.users(factory.admin)] == ["admin", "front"]


def test_users_are_listed_with_their_live_tokens(factory: Factory) -> None:
    """An admin sees who there is, in which role, and which tokens still work; never the tokens themselves."""
    ana = factory.access.add_user(factory.admin, "ana", "scientist")
    further = factory.access.new_token(factory.admin, "ana")
    factory.access.revoke_token(factory.admin, ana.token_id or "")
    users = {user.name: user for user in factory.access.users(factory.admin)}
    assert list(users) == ["admin", "ana", "front"]
    assert users["ana"].role == AccessRole.SCIENTIST
    assert users["ana"].created_at == factory.clock.now()
    assert [token.token_id for token in users["ana"].tokens] == [further.token_id]
    assert further.token not in repr(users)


def test_a_role_is_changed_for_tokens_already_given(factory: Factory) -> None:
    """The next call with the same token has the new role, at the door of control and in the access list."""
    ana = factory.access.add_user(factory.admin, "ana", "scientist")
    factory.access.change_role(factory.admin, "ana", "operator", ["churn"])
    assert factory.call_of(ana).may(Right.ROLL_BACK)
    assert factory.scoring()["ana"].endpoints == ("default/churn",)
    with pytest.raises(UserNotFound):
        factory.access.change_role(factory.admin, "ben", "operator")
    with pytest.raises(RoleUnknown):
        factory.access.change_role(factory.admin, "ana", "boss")


def test_a_removed_user_is_gone_and_the_name_stays_taken(factory: Factory) -> None:
    """Tokens end, and nobody else can become the one whom the record names."""
    app = factory.access.add_user(factory.admin, "app", "consumer")
    assert factory.access.remove_user(factory.admin, "app").token_ids == (app.token_id,)
    with pytest.raises(TokenRevoked):
        factory.access.identify(app.token)
    assert "app" not in factory.scoring()
    assert [user.name for user in factory.access.users(factory.admin)] == ["admin", "front"]
    with pytest.raises(UserExists):
        factory.access.add_user(factory.admin, "app", "consumer")
    for deed in (factory.access.remove_user, factory.access.new_token):
        with pytest.raises(UserNotFound):
            deed(factory.admin, "app")


@pytest.mark.parametrize("name", ["admin", "front", "muster"])
def test_a_taken_name_is_refused(factory: Factory, name: str) -> None:
    """Neither a user's name nor the factory's own can be taken again."""
    with pytest.raises(UserExists):
        factory.access.add_user(factory.admin, name, "viewer")


def test_names_follow_the_rule(factory: Factory) -> None:
    """Names of users and endpoints are checked before anything is written."""
    with pytest.raises(NameMalformed):
        factory.access.add_user(factory.admin, "Ana Maria", "viewer")
    with pytest.raises(NameMalformed):
        factory.access.add_user(factory.admin, "ana", "consumer", ["churn*"])


def test_the_last_admin_stays(factory: Factory) -> None:
    """No way of taking the last admin's access away succeeds; with a second admin each does."""
    deeds = (
        lambda: factory.access.revoke_token(factory.admin, "admin"),
        lambda: factory.access.revoke_token(factory.admin, factory.first.admin.token_id),
        lambda: factory.access.change_role(factory.admin, "admin", "viewer"),
        lambda: factory.access.remove_user(factory.admin, "admin"),
    )
    for deed in deeds:
        with pytest.raises(LastAdmin):
            deed()
    assert factory.access.identify(factory.first.admin.token).name == "admin"
    soon = factory.clock.now() + timedelta(hours=1)
    factory.access.add_user(factory.admin, "ben", "admin", expires=soon)
    factory.clock.at = soon
    with pytest.raises(LastAdmin):
        factory.access.remove_user(factory.admin, "admin")
    factory.access.new_token(factory.admin, "ben")
    factory.access.remove_user(factory.admin, "admin")


def test_of_two_admins_who_remove_each_other_one_stays(factory: Factory) -> None:
    """Two changes at once, each of which is right alone, do not lock everybody out."""
    ben = factory.call_of(factory.access.add_user(factory.admin, "ben", "admin"))
    begin = threading.Barrier(2)
    outcomes: list[str] = []

    def remove(call: Call, name: str) -> None:
        begin.wait(30)
        try:
            factory.access.remove_user(call, name)
        except LastAdmin:
            outcomes.append("refused")
        else:
            outcomes.append("removed")

    threads = [threading.Thread(target=remove, args=pair) for pair in ((factory.admin, "ben"), (ben, "admin"))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["refused", "removed"]


def test_a_repeated_request_does_not_do_it_twice(factory: Factory) -> None:
    """The same key again gives a further token for the same user, as the first cannot be shown again, and no second user."""
    call = replace(factory.admin, idempotency_key="k1", request_digest="sha256:1")
    first, again = (factory.access.add_user(call, "ana", "scientist") for _ in range(2))
    assert first.token != again.token
    assert factory.access.identify(first.token) == replace(
        factory.access.identify(again.token), token_id=first.token_id or ""
    )
    with pytest.raises(IdempotencyKeyReused):
        factory.access.add_user(replace(call, request_digest="sha256:2"), "ben", "scientist")
    removal = replace(factory.admin, idempotency_key="k2", request_digest="sha256:3")
    assert len(factory.access.remove_user(removal, "ana").token_ids) == 2
    assert factory.access.remove_user(removal, "ana").token_ids == ()
    assert [action for _, action, _ in factory.events()[2:]] == ["user.added", "token.added", "user.removed"]


def test_every_change_is_on_record_and_published_in_its_transaction(factory: Factory) -> None:
    """Each deed leaves one event and one publication, and the chain is right."""
    factory.access.add_user(factory.admin, "ana", "scientist")
    factory.access.new_token(factory.admin, "ana")
    factory.access.change_role(factory.admin, "ana", "operator")
    factory.access.revoke_token(factory.admin, "ana")
    factory.access.remove_user(factory.admin, "ana")
    actions = ["user.added", "token.added", "user.role-changed", "token.revoked", "user.removed"]
    assert factory.events()[2:] == [("admin", action, "user ana") for action in actions]
    assert factory.board.since(0).number == 1 + len(actions)
    assert verify(factory.database, factory.head).valid


def test_a_change_that_fails_leaves_no_trace(factory: Factory) -> None:
    """A refused change has neither event nor publication nor effect."""
    before = (factory.events(), factory.board.since(0).number)
    with pytest.raises(LastAdmin):
        factory.access.remove_user(factory.admin, "admin")
    assert (factory.events(), factory.board.since(0).number) == before
    assert [user.name for user in factory.access.users(factory.admin)] == ["admin", "front"]


def test_projects_are_kept_apart(factory: Factory) -> None:
    """An admin of one project reaches no user of another, and cannot come by a token that acts there."""
    elsewhere = Actor(name="zoe", roles={"other": AccessRole.ADMIN}, token_id="tok_z")
    zoe = Call(actor=elsewhere, project="other")
    factory.access.add_user(zoe, "zoe", "admin")
    ana = factory.access.add_user(factory.admin, "ana", "approver")
    with pytest.raises(RightMissing):
        factory.access.add_user(Call(actor=elsewhere), "ben", "admin")
    with pytest.raises(TokenNotFound):
        factory.access.revoke_token(zoe, "ana")
    with pytest.raises(UserNotFound):
        factory.access.new_token(zoe, "ana")
    joined = factory.access.add_user(zoe, "ana", "viewer")
    assert (joined.token, joined.token_id) == (None, None)
    with pytest.raises(UserElsewhere):
        factory.access.new_token(zoe, "ana")
    assert dict(factory.access.identify(ana.token).roles) == {
        "default": {"approver"},
        "other": {"viewer"},
    }
    assert factory.access.remove_user(zoe, "ana").token_ids == ()
    assert dict(factory.access.identify(ana.token).roles) == {"default": {"approver"}}


def test_the_machines_owner_replaces_a_lost_token(factory: Factory) -> None:
    """Whoever starts the factory can always come in again; the lost token is worthless from then on, and it is on record."""
    again = factory.access.reissue("admin")
    assert factory.access.identify(again.token).name == "admin"
    with pytest.raises(TokenRevoked):
        factory.access.identify(factory.first.admin.token)
    assert factory.scoring()["admin"].token_id == again.token_id
    assert factory.events()[-1] == ("muster", "token.replaced", "user admin")
    with pytest.raises(UserNotFound):
        factory.access.reissue("nobody")


def test_actors_of_a_solo_factory_say_so(factory: Factory) -> None:
    """In a factory for one person every actor carries that."""
    solo = Access(factory.database, factory.journal, factory.board, factory.clock, solo=True)
    assert solo.identify(factory.first.admin.token).solo
