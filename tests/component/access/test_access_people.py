"""Projects, groups, roles of a project's own, scopes and rotation of tokens, on both databases."""

import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest
import sqlalchemy as sa

from muster.access.actor import Call
from muster.access.custom_roles import CustomRoles
from muster.access.errors import (
    ContactMalformed,
    ExpiryPast,
    GroupExists,
    GroupNotFound,
    LastAdmin,
    ProjectExists,
    ProjectNotFound,
    QuotaExceeded,
    QuotaMalformed,
    RightMissing,
    RightNotGrantable,
    RightsBeyond,
    RightUnknown,
    RoleInUse,
    RoleNotFound,
    RoleUnknown,
    TokenBeyond,
    TokenEnded,
    TokenExpired,
    TokenNotFound,
    TokenRevoked,
    TokenUnfit,
    UserElsewhere,
    UserInGroup,
    UserNotFound,
)
from muster.access.groups import Groups
from muster.access.held import NOTHING, Held, held_by
from muster.access.projects import Projects, quotas_in
from muster.access.roles import RIGHTS, AccessRole, Right
from muster.access.service import Access
from muster.access.tokens import SIGN_IN_LABEL, Scope
from muster.access.users import NewUser, UserKind
from muster.audit.journal import Journal
from muster.audit.verify import verify
from muster.publishing.board import ACCESS_SUBJECT, Board
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.errors import MusterError
from muster.wire.plans import AccessEntry, AccessList


class Factory:
    """Everything that takes part, and shorthands."""

    def __init__(self, database: Database, head: Path, clock: FixedClock) -> None:
        self.database, self.clock, self.head = database, clock, head
        self.journal = Journal(head, clock)
        self.board = Board(database, clock)
        self.access = Access(database, self.journal, self.board, clock)
        parts = (database, self.journal, self.board, clock)
        self.projects, self.groups, self.roles = Projects(*parts), Groups(*parts), CustomRoles(*parts)
        self.admin = self.call(self.access.bootstrap().admin)

    def call(self, user: NewUser, project: str = "default", key: str | None = None) -> Call:
        actor = self.access.identify(user.token)
        return Call(actor=actor, project=project, idempotency_key=key, request_digest=None if key is None else "d")

    def again(self, call: Call, user: NewUser) -> Call:
        """The same call, identified anew."""
        return replace(call, actor=self.access.identify(user.token))

    def person(self, name: str, role: str = "viewer", project: str = "default") -> NewUser:
        return self.access.add_user(replace(self.admin, project=project), name, role)

    def tenant(self, name: str, admin: str) -> tuple[NewUser, Call]:
        """A project with an admin who has no part in `default`."""
        boss = self.person(admin)
        self.projects.add(self.admin, name, admin)
        self.access.remove_user(self.admin, admin)
        return boss, self.call(boss, name)

    def scoring(self) -> dict[str, AccessEntry]:
        newest = self.board.newest(ACCESS_SUBJECT)
        assert newest is not None
        assert isinstance(newest.document, AccessList)
        return {entry.token_id: entry for entry in newest.document.entries}

    def actions(self) -> list[tuple[str, str, str]]:
        with self.database.read() as tx:
            return [(one.action, one.subject, one.project) for one in self.journal.entries(tx, limit=1000)]


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> Factory:
    return Factory(database, tmp_path / "head.jsonl", clock)


# Projects.


def test_a_project_is_made_by_admins_of_default_and_by_nobody_else(factory: Factory) -> None:
    """Its first admin is named, has all rights there but those about the factory, and none elsewhere; all of it on record."""
    _, risk = factory.tenant("risk", "rita")
    assert risk.actor.roles == {"risk": {"admin"}}
    assert risk.actor.rights("risk") == RIGHTS[AccessRole.ADMIN] - {
        Right.MANAGE_PROJECTS,
        Right.MANAGE_GROUPS,
        Right.MANAGE_KEYS,
    }
    assert risk.actor.rights("default") == frozenset()
    for role in AccessRole:
        if role is not AccessRole.ADMIN:
            with pytest.raises(RightMissing, match="manage-projects"):
                factory.projects.add(factory.call(factory.person(f"a-{role}", role)), "mine", "admin")
    with pytest.raises(RightMissing):
        factory.projects.add(risk, "mine", "rita")
    with pytest.raises(ProjectExists):
        factory.projects.add(factory.admin, "risk", "admin")
    with pytest.raises(UserNotFound):
        factory.projects.add(factory.admin, "wine", "nobody")
    assert ("project.added", "project risk", "risk") in factory.actions()
    assert verify(factory.database, factory.head).valid


def test_who_has_no_part_in_a_project_is_not_told_that_it_exists(factory: Factory) -> None:
    """The answer for a project that is there and one that is not is the same, but for the name that was given."""
    factory.tenant("risk", "rita")
    vic = factory.access.identify(factory.person("vic").token)
    told = []
    for name in ("risk", "none"):
        with pytest.raises(ProjectNotFound) as refused:
            factory.access.enter(vic, name)
        told.append(str(refused.value).replace(name, "X"))
        with pytest.raises(ProjectNotFound):
            factory.projects.project(Call(actor=vic, project=name))
    assert told[0] == told[1]
    factory.access.enter(factory.admin.actor, "risk")
    with pytest.raises(ProjectNotFound):
        factory.access.enter(factory.admin.actor, "none")
    assert [one.name for one in factory.projects.projects(Call(actor=vic))] == ["default"]
    assert [one.name for one in factory.projects.projects(factory.admin)] == ["default", "risk"]


def test_quotas_are_whole_numbers_set_by_admins_of_default(factory: Factory) -> None:
    """What is not named stays, None takes a limit away, the fronts are told of rates; a project's own admin cannot."""
    rita, risk = factory.tenant("risk", "rita")
    over = replace(factory.admin, project="risk")
    factory.projects.limit(over, {"versions": 5, "requests_per_s": 7})
    factory.projects.limit(over, {"bytes": 10, "versions": None})
    assert factory.projects.project(risk).project.quotas.as_document() == {"bytes": 10, "requests_per_s": 7}
    assert factory.scoring()[rita.token_id or ""].requests_per_s == {"risk": 7}
    with pytest.raises(RightMissing):
        factory.projects.limit(risk, {"bytes": 20})
    for wrong in (
        {"beans": 1},
        {"bytes": -1},
        {"bytes": True},
        {"bytes": 1.5},
        {"requests_per_s": 0},
        {"versions": 2**60},
    ):
        with pytest.raises(QuotaMalformed):
            factory.projects.limit(over, wrong)
    with factory.database.read() as tx:
        quotas = quotas_in(tx, "risk")
        assert quotas_in(tx, "none").as_document() == {}
    quotas.require("risk", "bytes", 7, 3)
    quotas.require("risk", "versions", 10**9, 1)
    with pytest.raises(QuotaExceeded) as refused:
        quotas.require("risk", "bytes", 7, 4)
    assert refused.value.facts == {"project": "risk", "quota": "bytes", "used": 7, "asked": 4, "limit": 10}


# Groups.


def test_a_group_gives_its_members_a_role_beside_their_own(factory: Factory) -> None:
    """Rights are the union, at once, for tokens already given; they end with the membership, the grant or the group."""
    _, risk = factory.tenant("risk", "rita")
    ana = factory.person("ana", "scientist")
    factory.groups.add(factory.admin, "modellers", "Those who model")
    factory.groups.join(factory.admin, "modellers", "ana")
    factory.groups.grant(risk, "modellers", "operator", ["churn"])
    call = factory.call(ana, "risk")
    assert call.actor.roles == {"default": {"scientist"}, "risk": {"operator"}}
    assert call.may(Right.ROLL_BACK)
    assert factory.scoring()[ana.token_id or ""].endpoints == ("risk/churn",)
    factory.groups.grant(replace(factory.admin), "modellers", "approver")
    both = factory.access.identify(ana.token)
    assert both.roles["default"] == {"scientist", "approver"}
    assert both.rights() == RIGHTS[AccessRole.SCIENTIST] | RIGHTS[AccessRole.APPROVER]
    factory.groups.grant(risk, "modellers", "viewer")
    assert not factory.again(call, ana).may(Right.ROLL_BACK)
    assert (ana.token_id or "") not in factory.scoring()
    factory.groups.leave(factory.admin, "modellers", "ana")
    assert not factory.access.identify(ana.token).belongs_to("risk")
    factory.groups.join(factory.admin, "modellers", "ana")
    factory.groups.revoke(risk, "modellers")
    assert not factory.access.identify(ana.token).belongs_to("risk")
    factory.groups.grant(risk, "modellers", "viewer")
    factory.groups.remove(factory.admin, "modellers")
    assert not factory.access.identify(ana.token).belongs_to("risk")
    with pytest.raises(GroupExists):
        factory.groups.add(factory.admin, "modellers")
    with pytest.raises(GroupNotFound):
        factory.groups.join(factory.admin, "modellers", "ana")
    recorded = [(action, project) for action, subject, project in factory.actions() if subject == "group modellers"]
    assert recorded[:4] == [
        ("group.added", "default"), ("group.joined", "default"), ("group.granted", "risk"), ("group.granted", "default"),
    ]  # fmt: skip


def test_who_is_in_a_group_is_said_by_the_factory_and_what_it_may_do_by_the_project(factory: Factory) -> None:
    """A project's admin changes no group, and sees of it what has to do with the project."""
    _, risk = factory.tenant("risk", "rita")
    factory.person("ana")
    factory.groups.add(factory.admin, "team")
    factory.groups.join(factory.admin, "team", "ana")
    deeds: list[Callable[[], object]] = [
        lambda: factory.groups.add(risk, "mine"),
        lambda: factory.groups.remove(risk, "team"),
        lambda: factory.groups.join(risk, "team", "rita"),
        lambda: factory.groups.leave(risk, "team", "ana"),
        lambda: factory.groups.grant(replace(risk, project="default"), "team", "viewer"),
        lambda: factory.groups.revoke(replace(risk, project="default"), "team"),
    ]
    for deed in deeds:
        with pytest.raises(RightMissing):
            deed()
    assert factory.groups.group(risk, "team").members == ()
    factory.groups.grant(factory.admin, "team", "viewer")
    assert factory.groups.group(risk, "team").grants == ()
    factory.groups.grant(risk, "team", "viewer")
    seen = factory.groups.group(risk, "team")
    assert (seen.members, [grant.project for grant in seen.grants]) == (("ana",), ["risk"])
    factory.groups.add(factory.admin, "others")
    factory.groups.grant(risk, "others", "viewer")
    with pytest.raises(RightsBeyond):
        factory.groups.join(factory.admin, "others", "admin")


def test_who_says_who_is_in_a_group_has_what_the_group_gives(factory: Factory) -> None:
    """Who manages groups and nothing else joins no group of admins, brings nobody in, and takes nobody out of one."""
    rita, risk = factory.tenant("risk", "rita")
    factory.roles.put(factory.admin, "librarian", ["manage-groups"])
    lib = factory.person("lib", "librarian")
    factory.person("ana")
    factory.person("eve")
    for group, grantor, role in (
        ("admins", factory.admin, "admin"),
        ("risk-desk", risk, "operator"),
        ("idle", None, ""),
    ):
        factory.groups.add(factory.admin, group)
        factory.groups.join(factory.admin, group, "ana")
        if grantor is not None:
            factory.groups.grant(grantor, group, role)
    narrow = factory.access.new_token(factory.admin, "admin", scope=Scope(rights=frozenset({Right.MANAGE_GROUPS})))
    here = factory.access.new_token(factory.admin, "admin", scope=Scope(project="default"))
    before = factory.actions()
    tries: list[tuple[NewUser, str]] = [
        (lib, "admins"), (lib, "risk-desk"), (narrow, "admins"), (narrow, "risk-desk"), (here, "risk-desk"),
    ]  # fmt: skip
    for user, group in tries:
        call = factory.call(user)
        deeds: list[Callable[[], object]] = [
            partial(factory.groups.join, call, group, "lib"),
            partial(factory.groups.join, call, group, "eve"),
            partial(factory.groups.leave, call, group, "ana"),
            partial(factory.groups.remove, call, group),
        ]
        for deed in deeds:
            with pytest.raises(RightsBeyond) as refused:
                deed()
            assert refused.value.facts["missing"]
    assert factory.actions() == before
    factory.groups.join(factory.call(lib), "idle", "lib")
    factory.groups.leave(factory.call(lib), "idle", "ana")
    # An admin of the factory says it of others, whatever the project; of a limited token's project, that token.
    factory.groups.join(factory.admin, "risk-desk", "eve")
    factory.groups.join(factory.call(here), "admins", "lib")
    lib_call = factory.call(lib)
    assert lib_call.may(Right.MANAGE_USERS)
    factory.groups.leave(lib_call, "admins", "lib")
    assert not factory.call(rita, "risk").actor.belongs_to("default")


def test_the_role_of_a_group_is_changed_by_who_has_what_it_gives(factory: Factory) -> None:
    """To lower it, or to take it away, is to change those who are in it."""
    factory.roles.put(factory.admin, "hr", ["manage-users", "read"])
    hr = factory.call(factory.person("hr", "hr"))
    factory.groups.add(factory.admin, "admins")
    factory.groups.add(factory.admin, "readers")
    factory.groups.grant(factory.admin, "admins", "admin")
    before = factory.actions()
    deeds: list[Callable[[], object]] = [
        lambda: factory.groups.revoke(hr, "admins"),
        lambda: factory.groups.grant(hr, "admins", "viewer"),
    ]
    for deed in deeds:
        with pytest.raises(RightsBeyond) as refused:
            deed()
        assert "approve" in refused.value.facts["missing"]
    assert factory.actions() == before
    assert [grant.role for grant in factory.groups.group(factory.admin, "admins").grants] == ["admin"]
    factory.groups.grant(hr, "readers", "viewer")
    factory.groups.revoke(hr, "readers")


def test_a_user_in_a_project_through_a_group_leaves_it_with_the_group(factory: Factory) -> None:
    """To remove somebody whom a group brings in would change nothing, so it is refused; `everywhere` ends all at once."""
    _, risk = factory.tenant("risk", "rita")
    ana = factory.person("ana")
    factory.groups.add(factory.admin, "team")
    factory.groups.join(factory.admin, "team", "ana")
    factory.groups.grant(risk, "team", "viewer")
    for deed in (factory.access.remove_user, lambda call, name: factory.access.change_role(call, name, "operator")):
        with pytest.raises(UserInGroup, match="team"):
            deed(risk, "ana")
    assert [(user.name, user.role, dict(user.groups)) for user in factory.access.users(risk)] == [
        ("ana", None, {"team": "viewer"}), ("rita", "admin", {}),
    ]  # fmt: skip
    with pytest.raises(RightMissing, match="manage-groups"):
        factory.access.remove_user(risk, "ana", everywhere=True)
    assert factory.access.remove_user(factory.admin, "ana", everywhere=True).token_ids == (ana.token_id,)
    with pytest.raises(TokenRevoked):
        factory.access.identify(ana.token)
    assert factory.groups.group(factory.admin, "team").members == ()
    with pytest.raises(UserNotFound):
        factory.groups.join(factory.admin, "team", "ana")


def test_no_change_of_a_group_takes_a_project_its_last_admin(factory: Factory) -> None:
    """An admin through a group counts, and so the group, its grant and the membership stay until there is another."""
    rita, risk = factory.tenant("risk", "rita")
    factory.person("ana")
    factory.groups.add(factory.admin, "bosses")
    factory.groups.join(factory.admin, "bosses", "ana")
    factory.groups.grant(risk, "bosses", "admin")
    ana_token = factory.access.new_token(factory.admin, "ana", scope=Scope(project="default"))
    factory.access.remove_user(risk, "rita")
    ana = factory.call(ana_token)
    assert ana.actor.roles == {"default": {"viewer"}}
    for deed in (
        lambda: factory.groups.leave(factory.admin, "bosses", "ana"),
        lambda: factory.groups.remove(factory.admin, "bosses"),
        lambda: factory.access.remove_user(factory.admin, "ana", everywhere=True),
    ):
        with pytest.raises(LastAdmin, match="risk"):
            deed()
    with pytest.raises(TokenRevoked):
        factory.access.identify(rita.token)


# Roles of a project's own.


def test_a_project_has_roles_of_its_own(factory: Factory) -> None:
    """A name for rights, in this project alone; a change holds from the next call on, and a role that is had stays."""
    _, risk = factory.tenant("risk", "rita")
    factory.roles.put(risk, "auditor", ["read", "read-audit", "read"])
    ana = factory.access.add_user(risk, "ana", "auditor")
    call = factory.call(ana, "risk")
    assert call.actor.rights("risk") == {Right.READ, Right.READ_AUDIT}
    factory.roles.put(risk, "auditor", ["read", "score"])
    assert factory.again(call, ana).actor.rights("risk") == {Right.READ, Right.SCORE}
    assert factory.scoring()[ana.token_id or ""].endpoints == ("risk/*",)
    with pytest.raises(RoleUnknown) as unknown:
        factory.access.add_user(factory.admin, "ben", "auditor")
    assert "auditor" not in unknown.value.facts["roles"]
    with pytest.raises(RoleInUse, match="ana"):
        factory.roles.remove(risk, "auditor")
    factory.access.change_role(risk, "ana", "viewer")
    factory.roles.remove(risk, "auditor")
    with pytest.raises(RoleNotFound):
        factory.roles.remove(risk, "auditor")
    assert [action for action, subject, _ in factory.actions() if subject == "role auditor"] == [
        "role.set", "role.set", "role.removed",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("name", "rights", "error"),
    [
        ("admin", ["read"], RightNotGrantable),
        ("front", ["read"], RightNotGrantable),
        ("watcher", ["follow"], RightNotGrantable),
        ("maker", ["manage-projects"], RightNotGrantable),
        ("joiner", ["manage-groups"], RightNotGrantable),
        ("odd", ["everything"], RightUnknown),
        ("Odd!", ["read"], MusterError),
    ],
)
def test_what_no_role_of_a_projects_own_can_be(
    factory: Factory, name: str, rights: list[str], error: type[MusterError]
) -> None:
    """Built-in names, rights of fronts and of the factory, and words that are no rights."""
    _, risk = factory.tenant("risk", "rita")
    with pytest.raises(error):
        factory.roles.put(risk, name, rights)
    assert factory.roles.roles(risk) == ()


def test_nobody_gives_rights_that_they_do_not_have(factory: Factory) -> None:
    """Who manages users and nothing else comes by no more: not by a user, a role, a group, nor by somebody's token."""
    _, risk = factory.tenant("risk", "rita")
    factory.roles.put(risk, "helpdesk", ["manage-users", "read"])
    factory.roles.put(risk, "strong", ["read", "approve"])
    hugo = factory.access.add_user(risk, "hugo", "helpdesk")
    sam = factory.access.add_user(risk, "sam", "approver")
    factory.groups.add(factory.admin, "team")
    call = factory.call(hugo, "risk")
    deeds: list[Callable[[], object]] = [
        lambda: factory.access.add_user(call, "eve", "admin"),
        lambda: factory.access.add_user(call, "eve", "consumer"),
        lambda: factory.access.add_user(call, "eve", "front"),
        lambda: factory.access.change_role(call, "hugo", "admin"),
        lambda: factory.access.change_role(call, "sam", "viewer"),
        lambda: factory.access.remove_user(call, "sam"),
        lambda: factory.access.new_token(call, "sam"),
        lambda: factory.access.new_token(call, "sam", scope=Scope(rights=frozenset({Right.APPROVE}))),
        lambda: factory.access.rotate_token(call, sam.token_id or ""),
        lambda: factory.access.revoke_token(call, "rita"),
        lambda: factory.access.change_profile(call, "sam", {"contact": "eve@x"}),
        lambda: factory.roles.put(call, "helpdesk", ["manage-users", "read", "ban"]),
        lambda: factory.roles.put(call, "strong", ["read"]),
        lambda: factory.roles.remove(call, "strong"),
        lambda: factory.groups.grant(call, "team", "operator"),
        lambda: factory.groups.grant(call, "team", "strong"),
    ]
    before = factory.actions()
    for number, deed in enumerate(deeds):
        with pytest.raises(RightsBeyond) as refused:
            deed()
        assert refused.value.facts["missing"], number
    assert factory.actions() == before
    factory.access.add_user(call, "vic", "viewer")
    factory.access.new_token(call, "sam", scope=Scope(rights=frozenset({Right.READ})))


# Tokens.


def test_a_scoped_token_does_what_its_scope_and_its_holder_both_may(factory: Factory) -> None:
    """Rights, endpoints and project are cut; what the holder loses the token loses, what the holder gains it does not gain."""
    _, risk = factory.tenant("risk", "rita")
    factory.person("olga", "operator")
    factory.access.add_user(risk, "olga", "operator")
    ci = factory.access.new_token(
        factory.admin, "olga", label="ci",
        scope=Scope(
            rights=frozenset({Right.READ, Right.SCORE, Right.OVERRIDE, Right.APPROVE}), endpoints=("churn", "churn"),
            project="default",
        ),
    )  # fmt: skip
    actor = factory.access.identify(ci.token)
    assert actor.rights() == {Right.READ, Right.SCORE, Right.OVERRIDE}
    assert not actor.belongs_to("risk")
    assert (actor.scope.holds_endpoint("churn"), actor.scope.holds_endpoint("wine")) == (True, False)
    entry = factory.scoring()[ci.token_id]
    assert (entry.endpoints, entry.rights) == (("default/churn",), ("default/override",))
    factory.access.change_role(factory.admin, "olga", "operator", ["wine"])
    assert ci.token_id not in factory.scoring()
    factory.access.change_role(factory.admin, "olga", "admin")
    assert factory.access.identify(ci.token).rights() == {Right.READ, Right.SCORE, Right.OVERRIDE, Right.APPROVE}
    factory.access.change_role(factory.admin, "olga", "viewer")
    assert factory.access.identify(ci.token).rights() == {Right.READ}
    (listed,) = (token for token in factory.access.tokens(factory.admin, "olga") if token.label == "ci")
    assert (listed.token_id, listed.scope.endpoints) == (ci.token_id, ("churn",))


def test_a_token_for_one_project_can_be_given_to_a_user_of_several(factory: Factory) -> None:
    """It acts where its giver decides; a whole one, which would act elsewhere, too, cannot."""
    _, risk = factory.tenant("risk", "rita")
    factory.person("ana", "approver")
    factory.access.add_user(risk, "ana", "viewer")
    with pytest.raises(UserElsewhere):
        factory.access.new_token(risk, "ana")
    with pytest.raises(UserElsewhere):
        factory.access.new_token(risk, "ana", scope=Scope(project="default"))
    made = factory.access.new_token(risk, "ana", scope=Scope(project="risk"))
    assert factory.access.identify(made.token).roles == {"risk": {"viewer"}}
    assert made.token_id not in {token.token_id for token in factory.access.tokens(factory.admin)}


def test_a_projects_admin_ends_no_token_that_is_good_elsewhere(factory: Factory) -> None:
    """Of a user of several projects only tokens for this one; an admin of `default` ends them all."""
    _, risk = factory.tenant("risk", "rita")
    ana = factory.person("ana", "approver")
    factory.access.add_user(risk, "ana", "viewer")
    for meant in ("ana", ana.token_id or ""):
        with pytest.raises(UserElsewhere):
            factory.access.revoke_token(risk, meant)
    here = factory.access.new_token(risk, "ana", scope=Scope(project="risk"))
    assert factory.access.revoke_token(risk, "ana").token_ids == (here.token_id,)
    factory.access.identify(ana.token)
    assert factory.access.revoke_token(factory.admin, "ana").token_ids == (ana.token_id,)


def test_who_manages_groups_alone_removes_no_admin(factory: Factory) -> None:
    """To take somebody out of everything takes the rights that they have in `default`."""
    factory.roles.put(factory.admin, "joiner", ["manage-users", "manage-groups"])
    jo = factory.person("jo", "joiner")
    factory.person("other", "admin")
    factory.person("vic", "viewer")
    with pytest.raises(RightsBeyond):
        factory.access.remove_user(factory.call(jo), "other", everywhere=True)


@pytest.mark.parametrize(
    ("label", "scope"),
    [
        ("x" * 201, Scope()),
        ("two\nlines", Scope()),
        (SIGN_IN_LABEL, Scope()),
        ("", Scope(rights=frozenset())),
        ("", Scope(endpoints=())),
        ("", Scope(endpoints=("*",))),
    ],
)
def test_labels_and_scopes_that_cannot_be(factory: Factory, label: str, scope: Scope) -> None:
    """Too long, of several lines, the sign-in's own; good for nothing."""
    factory.person("ana")
    with pytest.raises(MusterError):
        factory.access.new_token(factory.admin, "ana", label=label, scope=scope)
    assert len(factory.access.tokens(factory.admin, "ana")) == 1


def test_a_rotated_token_is_like_the_one_that_it_replaces(factory: Factory) -> None:
    """Label, scope and span go on; the old one is good for the grace, and no longer, at control and at the fronts."""
    factory.person("app", "consumer")
    day = timedelta(days=1)
    scope = Scope(endpoints=("churn",))
    old = factory.access.new_token(factory.admin, "app", factory.clock.now() + day, label="shop", scope=scope)
    factory.clock.at += timedelta(hours=6)
    new = factory.access.rotate_token(factory.admin, old.token_id, timedelta(hours=2))
    tokens = {token.token_id: token for token in factory.access.tokens(factory.admin, "app")}
    made = tokens[new.token_id]
    assert (made.label, made.scope, made.replaces) == ("shop", scope, old.token_id)
    assert made.expires_at == factory.clock.now() + day
    assert tokens[old.token_id].expires_at == factory.clock.now() + timedelta(hours=2)
    assert (
        factory.scoring()[old.token_id].expires_ns
        == int((factory.clock.now() + timedelta(hours=2)).timestamp()) * 10**9
    )
    with pytest.raises(TokenEnded):
        factory.access.rotate_token(factory.admin, old.token_id)
    factory.access.identify(old.token)
    factory.clock.at += timedelta(hours=2)
    with pytest.raises(TokenExpired):
        factory.access.identify(old.token)
    last = factory.access.rotate_token(factory.admin, new.token_id, timedelta())
    with pytest.raises(TokenRevoked):
        factory.access.identify(new.token)
    factory.access.identify(last.token)
    assert [action for action, subject, _ in factory.actions() if subject == "user app"].count("token.rotated") == 2


def test_a_repeated_rotation_leaves_one_token(factory: Factory) -> None:
    """The answer to the first was lost: what it made is revoked, the span is the first one's, and one event has the key."""
    ana = factory.person("ana")
    lasting = factory.access.new_token(factory.admin, "ana", factory.clock.now() + timedelta(days=9))
    keyed = replace(factory.admin, idempotency_key="once", request_digest="d")
    lost = factory.access.rotate_token(keyed, lasting.token_id)
    kept = factory.access.rotate_token(keyed, lasting.token_id)
    with pytest.raises(TokenRevoked):
        factory.access.identify(lost.token)
    (token,) = (one for one in factory.access.tokens(factory.admin, "ana") if one.token_id == kept.token_id)
    assert token.expires_at == factory.clock.now() + timedelta(days=9)
    assert {one.token_id for one in factory.access.tokens(factory.admin, "ana")} == {
        ana.token_id, lasting.token_id, kept.token_id,
    }  # fmt: skip


def test_anybody_rotates_the_token_they_call_with_and_no_other(factory: Factory) -> None:
    """A token cannot be turned into a stronger one of the same user; a sign-in's is not rotated at all."""
    ana = factory.person("ana", "approver")
    narrow = factory.access.new_token(factory.admin, "ana", scope=Scope(rights=frozenset({Right.READ})))
    call = factory.call(narrow)
    with pytest.raises(RightMissing):
        factory.access.rotate_token(call, ana.token_id or "")
    again = factory.access.rotate_token(call, narrow.token_id)
    assert factory.access.identify(again.token).rights() == {Right.READ}
    with pytest.raises(TokenNotFound):
        factory.access.rotate_token(factory.admin, "tok_nobody")
    for grace in (timedelta(seconds=-1), timedelta(days=31)):
        with pytest.raises(TokenUnfit):
            factory.access.rotate_token(factory.call(again), again.token_id, grace)


_EVERY = RIGHTS[AccessRole.ADMIN]


@pytest.mark.parametrize(
    ("own", "asked"),
    [
        (Scope(project="default"), Scope(project="risk")),
        (Scope(rights=_EVERY), Scope(rights=_EVERY | {Right.FOLLOW})),
        (Scope(rights=_EVERY, project="default"), Scope(rights=_EVERY, project="risk")),
    ],
    ids=["project", "rights", "both"],
)
def test_a_limited_token_gives_its_holder_none_that_is_good_for_more(
    factory: Factory, own: Scope, asked: Scope
) -> None:
    """Not by a new one, nor by rotating a wider one; what it gives without being told has its limits."""
    whole = factory.access.new_token(factory.admin, "admin", label="whole")
    like = factory.access.new_token(factory.admin, "admin", scope=own)
    call = factory.call(factory.access.new_token(factory.admin, "admin", scope=own))
    before = factory.actions()
    with pytest.raises(TokenBeyond):
        factory.access.rotate_token(call, whole.token_id)
    with pytest.raises(TokenBeyond):
        factory.access.new_token(call, "admin", scope=asked)
    assert factory.actions() == before
    for made in (factory.access.new_token(call, "admin"), factory.access.rotate_token(call, like.token_id)):
        assert factory.call(made).actor.scope == own
    narrow = Scope(rights=frozenset({Right.READ}), endpoints=("churn",))
    made = factory.access.new_token(call, "admin", scope=narrow)
    assert factory.call(made).actor.scope == replace(narrow, project=own.project)


def test_a_token_with_some_rights_gives_its_holder_none(factory: Factory) -> None:
    """Neither whole nor for a right that it lacks: to rotate somebody's token takes all that they may do."""
    some = Scope(rights=_EVERY - {Right.APPROVE})
    call = factory.call(factory.access.new_token(factory.admin, "admin", scope=some))
    with pytest.raises(TokenBeyond):
        factory.access.new_token(call, "admin", scope=Scope(rights=frozenset({Right.APPROVE})))
    with pytest.raises(RightsBeyond):
        factory.access.rotate_token(call, factory.admin.actor.token_id)
    assert factory.call(factory.access.new_token(call, "admin")).actor.scope == some


def test_a_token_for_an_endpoint_manages_nobody(factory: Factory) -> None:
    """People are of no endpoint: it gives out nothing, and can be rotated as any."""
    scope = Scope(endpoints=("churn",))
    limited = factory.access.new_token(factory.admin, "admin", scope=scope)
    call = factory.call(limited)
    people = {Right.MANAGE_USERS, Right.MANAGE_GROUPS, Right.MANAGE_PROJECTS, Right.MANAGE_KEYS}
    assert _EVERY - call.actor.rights() == people
    deeds: list[Callable[[], object]] = [
        lambda: factory.access.new_token(call, "admin"),
        lambda: factory.access.new_token(call, "admin", scope=scope),
        lambda: factory.access.rotate_token(call, factory.admin.actor.token_id),
        lambda: factory.access.add_user(call, "eve", "viewer"),
        lambda: factory.roles.put(call, "odd", ["read"]),
        lambda: factory.groups.add(call, "team"),
        lambda: factory.projects.add(call, "wine", "admin"),
    ]
    for deed in deeds:
        with pytest.raises(RightMissing, match="with this token"):
            deed()
    assert factory.call(factory.access.rotate_token(call, limited.token_id)).actor.scope == scope


def test_a_token_that_ends_gives_its_holder_none_that_lasts_longer(factory: Factory) -> None:
    """Not by a new one, nor by rotating one that lasts; what it gives to others lasts as long as is said."""
    ends = factory.clock.now() + timedelta(minutes=5)
    lasting = factory.access.new_token(factory.admin, "admin")
    long = factory.access.new_token(factory.admin, "admin", ends + timedelta(hours=1))
    limited = factory.access.new_token(factory.admin, "admin", ends)
    call = factory.call(limited)
    before = factory.actions()
    deeds: list[Callable[[], object]] = [
        lambda: factory.access.new_token(call, "admin"),
        lambda: factory.access.new_token(call, "admin", ends + timedelta(seconds=1)),
        lambda: factory.access.rotate_token(call, lasting.token_id),
        lambda: factory.access.rotate_token(call, long.token_id),
    ]
    for deed in deeds:
        with pytest.raises(TokenBeyond):
            deed()
    assert factory.actions() == before
    made = factory.access.new_token(call, "admin", ends)
    ana = factory.access.add_user(call, "ana", "viewer")
    factory.access.rotate_token(call, limited.token_id, timedelta())
    factory.clock.at += timedelta(minutes=5)
    with pytest.raises(TokenExpired):
        factory.access.identify(made.token)
    factory.access.identify(ana.token)


def test_a_token_for_a_project_gives_tokens_for_that_project(factory: Factory) -> None:
    """A new user's, too; it makes no other project, and rotates no token that is good elsewhere."""
    factory.tenant("risk", "rita")
    ana = factory.person("ana")
    here = Scope(project="default")
    call = factory.call(factory.access.new_token(factory.admin, "admin", scope=here))
    keyed = replace(call, idempotency_key="once", request_digest="d")
    given: list[NewUser] = [
        factory.access.add_user(keyed, "ben", "viewer"),
        factory.access.add_user(keyed, "ben", "viewer"),  # a repetition: a further token
        factory.access.new_token(call, "ana"),
    ]
    for made in given:
        assert factory.access.identify(made.token).scope == here
    with pytest.raises(TokenBeyond):
        factory.access.rotate_token(call, ana.token_id or "")
    with pytest.raises(TokenBeyond):
        factory.projects.add(call, "wine", "admin")
    assert [one.name for one in factory.projects.projects(factory.admin)] == ["default", "risk"]


def test_two_who_rotate_at_once_get_one_token(factory: Factory) -> None:
    """The second finds that the token was rotated before."""
    app = factory.person("app", "consumer")
    results: list[object] = []
    begin = threading.Barrier(2)

    def rotate() -> None:
        begin.wait(30)
        try:
            results.append(factory.access.rotate_token(factory.admin, app.token_id or "").token_id)
        except TokenEnded as error:
            results.append(error.code)

    threads = [threading.Thread(target=rotate) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results.count("access.token-ended") == 1
    assert len(factory.access.tokens(factory.admin, "app")) == 2


def test_two_who_remove_the_two_last_admins_at_once_leave_one(factory: Factory) -> None:
    """Whichever comes second is refused, through groups as through roles."""
    other = factory.person("other", "admin")
    calls = {"admin": factory.call(other), "other": factory.admin}
    results: list[str] = []
    begin = threading.Barrier(2)

    def remove(name: str) -> None:
        begin.wait(30)
        try:
            factory.access.remove_user(calls[name], name)
            results.append("removed")
        except LastAdmin:
            results.append("refused")

    threads = [threading.Thread(target=remove, args=(name,)) for name in calls]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["refused", "removed"]


def test_the_last_use_of_a_token_is_kept_once_a_minute(factory: Factory) -> None:
    """It is told at once, written within a minute, and goes on over a restart."""
    ana = factory.person("ana")
    factory.access.identify(ana.token)
    first = factory.clock.now()

    def kept() -> object:
        restarted = Access(factory.database, factory.journal, factory.board, factory.clock)
        return next(token.last_used_at for token in restarted.tokens(factory.admin, "ana"))

    assert kept() is None
    factory.access.note_uses()
    assert kept() == first
    factory.clock.at += timedelta(seconds=30)
    factory.access.identify(ana.token)
    factory.access.note_uses()
    assert kept() == first
    assert factory.access.tokens(factory.admin, "ana")[0].last_used_at == factory.clock.now()
    factory.clock.at += timedelta(seconds=30)
    factory.access.note_uses()
    assert kept() == first + timedelta(seconds=30)
    factory.access.identify(ana.token)
    factory.access.note_uses(at_once=True)
    assert kept() == first + timedelta(seconds=60)


def test_a_scoped_admins_token_keeps_no_project(factory: Factory) -> None:
    """What can be done with it is not enough to mend things: the last whole token of an admin stays."""
    narrow = factory.access.new_token(factory.admin, "admin", scope=Scope(rights=frozenset({Right.READ})))
    with pytest.raises(LastAdmin):
        factory.access.revoke_token(factory.admin, factory.admin.actor.token_id)
    factory.access.identify(narrow.token)
    with pytest.raises(ExpiryPast):
        factory.access.new_token(factory.admin, "admin", factory.clock.now())


# What is told of users.


def test_a_user_says_how_to_be_reached(factory: Factory) -> None:
    """Oneself, or an admin; not an admin of another project; nothing that cannot be kept in a line."""
    _, risk = factory.tenant("risk", "rita")
    shop = factory.access.add_user(
        factory.admin, "shop", "consumer", told={"contact": "shop@example.com", "channel": " #shop "}
    )
    told = {user.name: user for user in factory.access.users(factory.admin)}["shop"]
    assert (told.kind, told.contact, told.channel, told.title) == (UserKind.SERVICE, "shop@example.com", "#shop", None)
    own = factory.access.change_profile(factory.call(shop), "shop", {"title": "The shop", "channel": ""})
    assert (own.title, own.channel, own.contact) == ("The shop", None, "shop@example.com")
    with pytest.raises(RightMissing):
        factory.access.change_profile(factory.call(shop), "shop", {}, "person")
    factory.access.add_user(risk, "shop", "consumer")
    with pytest.raises(UserElsewhere):
        factory.access.change_profile(risk, "shop", {"contact": "eve@example.com"})
    assert factory.access.change_profile(factory.admin, "shop", {}, "person").kind is UserKind.PERSON
    for wrong in ({"contact": "x" * 201}, {"title": "a\0b"}, {"title": "two\nlines"}, {"age": "7"}):
        with pytest.raises(ContactMalformed):
            factory.access.change_profile(factory.admin, "shop", wrong)


def test_a_token_for_some_rights_says_nothing_of_its_holder(factory: Factory) -> None:
    """Where others reach somebody is not changed by who found a token for reading; one to manage users may, and a whole one."""
    ana = factory.person("ana", "scientist")
    for rights in ({Right.READ}, {Right.READ, Right.REGISTER}):
        narrow = factory.access.new_token(factory.admin, "ana", scope=Scope(rights=frozenset(rights)))
        with pytest.raises(RightMissing, match="with this token"):
            factory.access.change_profile(factory.call(narrow), "ana", {"contact": "eve@example.com"})
    admins = Scope(rights=frozenset({Right.MANAGE_USERS}))
    call = factory.call(factory.access.new_token(factory.admin, "admin", scope=admins))
    assert factory.access.change_profile(call, "admin", {"contact": "a@example.com"}).contact == "a@example.com"
    for token in (ana, factory.access.new_token(factory.admin, "ana", scope=Scope(endpoints=("churn",)))):
        assert factory.access.change_profile(factory.call(token), "ana", {"title": "Ana"}).title == "Ana"


def test_an_access_list_of_an_older_version_is_published_anew(factory: Factory) -> None:
    """After an update the fronts learn at once which project an endpoint is of; a list that is right is left alone."""
    with factory.database.write() as tx:
        old = AccessEntry(token_id="tok_1", sha256="0" * 64, name="admin", endpoints=("*",))
        factory.board.publish(tx, ACCESS_SUBJECT, AccessList(format=1, entries=(old,)))
    assert factory.access.publish_again()
    assert [entry.endpoints for entry in factory.scoring().values()] == [("default/*",)]
    assert not factory.access.publish_again()


def test_what_somebody_is_can_be_asked_within_a_transaction(factory: Factory) -> None:
    """Roles and rights of the moment, whatever the token; nothing for who is gone or never was."""
    _, risk = factory.tenant("risk", "rita")
    factory.roles.put(risk, "auditor", ["read-audit"])
    factory.access.add_user(risk, "ana", "auditor")
    factory.groups.add(factory.admin, "team")
    factory.groups.join(factory.admin, "team", "ana")
    factory.groups.grant(risk, "team", "viewer")
    with factory.database.read() as tx:
        assert held_by(tx, "risk", "ana") == Held(
            roles=frozenset({"auditor", "viewer"}), rights=frozenset({Right.READ_AUDIT, Right.READ})
        )
        assert (held_by(tx, "default", "ana"), held_by(tx, "risk", "nobody")) == (NOTHING, NOTHING)
        assert factory.access.has_role(tx, "ana", "risk")
    factory.access.remove_user(factory.admin, "ana", everywhere=True)
    with factory.database.read() as tx:
        assert held_by(tx, "risk", "ana") == NOTHING
        assert not factory.access.has_role(tx, "ana", "risk")


@pytest.mark.parametrize("size", [1, 2, 3, 50])
def test_users_and_tokens_are_given_page_by_page(factory: Factory, size: int) -> None:
    """Pages together are the whole list in its order, whoever is in the project through a group, and nothing of another project."""
    _, risk = factory.tenant("risk", "rita")
    for name in ("zoe", "ana", "mia", "bob"):
        factory.access.add_user(
            risk, name, "viewer", expires=None if name != "mia" else factory.clock.now() + timedelta(hours=1)
        )
    for name in ("ann", "ben", "yan", "abe"):  # of the other project; two of them are in both
        factory.person(name)
    factory.groups.add(factory.admin, "team")
    for name in ("yan", "abe", "ann"):
        factory.groups.join(factory.admin, "team", name)
    factory.groups.grant(risk, "team", "viewer")
    factory.access.new_token(risk, "zoe", label="second", scope=Scope(rights=frozenset({Right.READ})))
    factory.access.new_token(factory.admin, "yan", scope=Scope(project="default"))  # good in the other one alone
    factory.clock.at += timedelta(hours=2)  # the token of mia has expired

    users = factory.access.users(risk)
    assert [user.name for user in users] == ["abe", "ana", "ann", "bob", "mia", "rita", "yan", "zoe"]
    assert [len(user.tokens) for user in users] == [1, 1, 1, 1, 0, 1, 1, 2]
    paged: list[object] = []
    after = None
    while page := factory.access.users(risk, limit=size, after=after):
        assert len(page) <= size
        paged += page
        after = page[-1].name
    assert paged == list(users)

    tokens = factory.access.tokens(risk)
    assert [token.user for token in tokens] == ["abe", "ana", "ann", "bob", "rita", "yan", "zoe", "zoe"]
    assert {token.token_id for token in tokens} == {token.token_id for user in users for token in user.tokens}
    paged, after = [], None
    while given := factory.access.tokens(risk, limit=size, after=after):
        assert len(given) <= size
        paged += given
        after = given[-1].token_id
    assert paged == list(tokens)


def test_a_page_of_tokens_begins_behind_a_token_of_the_list(factory: Factory) -> None:
    """A token of another project, of somebody else where only one's own are told, or none at all is answered alike."""
    rita, risk = factory.tenant("risk", "rita")
    ben = factory.person("ben")
    vera = factory.access.add_user(risk, "vera", "viewer")
    assert ben.token_id is not None
    for call, foreign in (
        (risk, ben.token_id), (risk, "tok_nothing"), (factory.call(vera, "risk"), factory.access.tokens(risk, "rita")[0].token_id),
    ):  # fmt: skip
        with pytest.raises(TokenNotFound):
            factory.access.tokens(call, limit=5, after=foreign)
    with pytest.raises(TokenNotFound):
        factory.access.tokens(risk, "vera", limit=5, after=factory.access.tokens(risk, rita.name)[0].token_id)


def test_to_identify_a_caller_takes_two_statements(factory: Factory) -> None:
    """It comes before every call: the token, the roles; and what a role of the project's own gives only where there is one."""
    _, risk = factory.tenant("risk", "rita")
    factory.roles.put(risk, "auditor", ["read", "read-audit"])
    told = {}
    for name, role in (("vera", "viewer"), ("aud", "auditor")):
        made = factory.access.add_user(risk, name, role)
        said: list[str] = []
        sa.event.listen(
            factory.database.engine, "before_cursor_execute", lambda *given, said=said: said.append(given[2])
        )
        assert Right.READ in factory.access.identify(made.token).rights("risk")
        told[name] = [statement for statement in said if not statement.startswith("BEGIN")]
    assert {name: len(statements) for name, statements in told.items()} == {"vera": 2, "aud": 3}
