"""All statements about projects, users, groups, roles and tokens."""

import json
from collections.abc import Collection, Iterable, Mapping
from datetime import datetime
from typing import Any

import msgspec
import sqlalchemy as sa

from muster.access.quotas import Quotas
from muster.access.records import CustomRole, Group, GroupGrant, Project
from muster.access.roles import CustomRights, Right, is_built_in
from muster.access.tables import custom_roles, grants, group_grants, group_members, groups, projects, tokens, users
from muster.access.tokens import WHOLE, Scope, Token
from muster.access.users import Grant, Profile, UserKind
from muster.storage.transaction import Transaction
from muster.vocabulary.clock import from_rfc3339, rfc3339

_NAMES = msgspec.json.Decoder(tuple[str, ...])


def has_users(tx: Transaction) -> bool:
    """Whether there is any user."""
    return tx.execute(sa.select(users.c.name).limit(1)).first() is not None


def name_is_taken(tx: Transaction, name: str) -> bool:
    """Whether a user has, or had, the name."""
    return tx.execute(sa.select(users.c.name).where(users.c.name == name)).first() is not None


def is_removed(tx: Transaction, name: str) -> bool:
    """Whether the user of that name was removed."""
    asked = sa.select(users.c.name).where(users.c.name == name, users.c.removed_at.is_not(None))
    return tx.execute(asked).first() is not None


def profiles(tx: Transaction, names: Collection[str] | None = None) -> dict[str, Profile]:
    """What is told of each user, or of some, removed ones aside, by name."""
    asked = sa.select(users).where(users.c.removed_at.is_(None))
    if names is not None:
        asked = asked.where(users.c.name.in_(sorted(names)))
    return {row.name: _profile(row) for row in tx.execute(asked)}


def profile(tx: Transaction, name: str) -> Profile | None:
    """What is told of a user; None for one who was removed."""
    row = tx.execute(sa.select(users).where(users.c.name == name, users.c.removed_at.is_(None))).first()
    return row and _profile(row)


def add_user(tx: Transaction, added: Profile) -> None:
    """Add a user; the name must be free."""
    tx.execute(
        sa.insert(users).values(
            name=added.name, created_at=rfc3339(added.created_at), removed_at=None, **_told_of(added)
        )
    )


def change_profile(tx: Transaction, changed: Profile) -> None:
    """Keep what is told of a user from now on."""
    tx.execute(sa.update(users).where(users.c.name == changed.name).values(**_told_of(changed)))


def mark_removed(tx: Transaction, name: str, at: datetime) -> None:
    """Note that a user is gone."""
    tx.execute(sa.update(users).where(users.c.name == name).values(removed_at=rfc3339(at)))


def grants_of(tx: Transaction, name: str) -> tuple[Grant, ...]:
    """The user's own roles."""
    return tuple(_grant(row) for row in tx.execute(sa.select(grants).where(grants.c.user_name == name)))


def standing_of(tx: Transaction, name: str) -> tuple[Grant, ...]:
    """The roles of a user, the user's own and those of groups."""
    return tuple(_grant(row, row.group_name) for row in tx.execute(_STANDING_OF, {"name": name}))


def every_standing(tx: Transaction) -> tuple[Grant, ...]:
    """The roles of all users, their own and those of groups, by project and name."""
    return _sorted(tx.execute(sa.union_all(_OWN, _THROUGH_GROUPS)))


def standing_in(tx: Transaction, project: str, names: Collection[str] | None = None) -> tuple[Grant, ...]:
    """The roles in a project, own ones and those of groups, by name: of some users, or of all."""
    own = _OWN.where(grants.c.project == project)
    through = _THROUGH_GROUPS.where(group_grants.c.project == project)
    if names is not None:
        some = sorted(set(names))
        own, through = own.where(grants.c.user_name.in_(some)), through.where(group_members.c.user_name.in_(some))
    return _sorted(tx.execute(sa.union_all(own, through)))


def names_in(tx: Transaction, project: str, *, limit: int | None = None, after: str | None = None) -> tuple[str, ...]:
    """Names of the users who have a role in a project, by name: so many behind a name, or all."""
    own = sa.select(grants.c.user_name).where(grants.c.project == project)
    through = (
        sa.select(group_members.c.user_name)
        .join(group_grants, group_grants.c.group_name == group_members.c.group_name)
        .where(group_grants.c.project == project)
    )
    if after is not None:
        own, through = own.where(grants.c.user_name > after), through.where(group_members.c.user_name > after)
    # Each half in order and no longer than the page, so that not everybody is read for some.
    halves = (
        half.order_by(half.selected_columns.user_name).limit(limit).subquery() for half in (own, through.distinct())
    )
    both = sa.union(*(sa.select(half) for half in halves)).subquery()
    return tuple(tx.execute(sa.select(both.c.user_name).order_by(both.c.user_name).limit(limit)).scalars())


def _sorted(rows: Iterable[sa.Row[Any]]) -> tuple[Grant, ...]:
    found = (_grant(row, row.group_name) for row in rows)
    return tuple(sorted(found, key=lambda grant: (grant.project, grant.user, grant.group or "")))


_TOLD_OF_GRANT = ("project", "role", "endpoints", "granted_at", "may")
_OWN = sa.select(
    grants.c.user_name, *(grants.c[name] for name in _TOLD_OF_GRANT), sa.null().cast(sa.String(64)).label("group_name")
)
_THROUGH_GROUPS = sa.select(
    group_members.c.user_name, *(group_grants.c[name] for name in _TOLD_OF_GRANT), group_grants.c.group_name
).join(group_members, group_members.c.group_name == group_grants.c.group_name)
_STANDING_OF = sa.union_all(
    _OWN.where(grants.c.user_name == sa.bindparam("name")),
    _THROUGH_GROUPS.where(group_members.c.user_name == sa.bindparam("name")),
)


def add_grant(tx: Transaction, grant: Grant) -> None:
    """Give a role; the user must have none in the project."""
    tx.execute(
        sa.insert(grants).values(
            user_name=grant.user,
            project=grant.project,
            role=grant.role,
            endpoints=json.dumps(grant.endpoints),
            granted_at=rfc3339(grant.granted_at),
            may=json.dumps(grant.may),
        )
    )


def remove_grant(tx: Transaction, name: str, project: str) -> None:
    """Take a role away."""
    tx.execute(sa.delete(grants).where(grants.c.user_name == name, grants.c.project == project))


def add_token(tx: Transaction, token: Token) -> None:
    """Keep a new token."""
    tx.execute(
        sa.insert(tokens).values(
            token_id=token.token_id,
            user_name=token.user,
            sha256=token.sha256,
            created_at=rfc3339(token.created_at),
            expires_at=token.expires_at and rfc3339(token.expires_at),
            revoked_at=None,
            label=token.label,
            scope=_scope_text(token.scope),
            replaces=token.replaces,
        )
    )


def token_with_hash(tx: Transaction, sha256: str) -> Token | None:
    """The token whose text has this SHA-256."""
    row = tx.execute(sa.select(tokens).where(tokens.c.sha256 == sha256)).first()
    return row and _token(row)


def token_with_id(tx: Transaction, token_id: str) -> Token | None:
    """The token of this id."""
    row = tx.execute(sa.select(tokens).where(tokens.c.token_id == token_id)).first()
    return row and _token(row)


def unrevoked_tokens(
    tx: Transaction, user: str | Collection[str] | None = None, *, live_at: datetime | None = None
) -> tuple[Token, ...]:
    """Tokens that were not taken back; of all users or some; by id.

    Args:
        tx: the transaction.
        user: whose, one name or several; None: everybody's.
        live_at: leaves out those that have expired at that moment: who signs in every day leaves many behind.
    """
    asked = sa.select(tokens).where(tokens.c.revoked_at.is_(None)).order_by(tokens.c.token_id)
    if live_at is not None:
        asked = asked.where(sa.or_(tokens.c.expires_at.is_(None), tokens.c.expires_at > rfc3339(live_at)))
    if user is not None:
        asked = asked.where(tokens.c.user_name.in_([user] if isinstance(user, str) else sorted(user)))
    return tuple(_token(row) for row in tx.execute(asked))


def tokens_in(
    tx: Transaction,
    project: str,
    user: str | None = None,
    *,
    live_at: datetime,
    limit: int | None = None,
    after: Token | None = None,
) -> tuple[Token, ...]:
    """Tokens that are good in a project at a moment, by user, age and id: so many behind one of them, or all; of all users or one."""
    column = tokens.c
    is_own = sa.exists().where(grants.c.user_name == column.user_name, grants.c.project == project)
    through = sa.select(group_members.c.user_name).join(
        group_grants, group_grants.c.group_name == group_members.c.group_name
    )
    is_of_group = through.where(
        group_members.c.user_name == column.user_name, group_grants.c.project == project
    ).exists()
    only_in = (
        sa.cast(column.scope, sa.JSON)["project"].as_string()
        if tx.is_postgresql
        else sa.func.json_extract(column.scope, "$.project")
    )
    asked = sa.select(tokens).where(
        column.revoked_at.is_(None),
        sa.or_(column.expires_at.is_(None), column.expires_at > rfc3339(live_at)),
        sa.or_(column.scope.is_(None), only_in.is_(None), only_in == project),
        sa.or_(is_own, is_of_group),
    )
    order = (column.user_name, column.created_at, column.token_id)
    if user is not None:
        asked = asked.where(column.user_name == user)
    if after is not None:
        asked = asked.where(sa.tuple_(*order) > sa.tuple_(after.user, rfc3339(after.created_at), after.token_id))
    return tuple(_token(row) for row in tx.execute(asked.order_by(*order).limit(limit)))


def replacements_of(tx: Transaction, token_id: str) -> tuple[Token, ...]:
    """The tokens that were given in the place of one, revoked ones aside."""
    asked = sa.select(tokens).where(tokens.c.replaces == token_id, tokens.c.revoked_at.is_(None))
    return tuple(_token(row) for row in tx.execute(asked.order_by(tokens.c.token_id)))


def was_replaced(tx: Transaction, token_id: str) -> bool:
    """Whether another token was ever given in the place of this one."""
    return tx.execute(sa.select(tokens.c.token_id).where(tokens.c.replaces == token_id)).first() is not None


def end_token(tx: Transaction, token_id: str, at: datetime) -> None:
    """Let a token expire at a moment."""
    tx.execute(sa.update(tokens).where(tokens.c.token_id == token_id).values(expires_at=rfc3339(at)))


def note_uses(tx: Transaction, used: Mapping[str, datetime]) -> None:
    """Note when tokens were used last; an earlier moment than the one on record changes nothing."""
    for token_id, at in sorted(used.items()):
        moment = rfc3339(at)
        older = sa.or_(tokens.c.last_used_at.is_(None), tokens.c.last_used_at < moment)
        tx.execute(sa.update(tokens).where(tokens.c.token_id == token_id, older).values(last_used_at=moment))


def revoke(tx: Transaction, token_ids: Collection[str], at: datetime) -> None:
    """Take tokens back."""
    tx.execute(sa.update(tokens).where(tokens.c.token_id.in_(token_ids)).values(revoked_at=rfc3339(at)))


# Projects.


def project(tx: Transaction, name: str) -> Project | None:
    """One project."""
    row = tx.execute(sa.select(projects).where(projects.c.name == name)).first()
    return row and _project(row)


def every_project(tx: Transaction) -> tuple[Project, ...]:
    """All projects, by name."""
    return tuple(_project(row) for row in tx.execute(sa.select(projects).order_by(projects.c.name)))


def add_project(tx: Transaction, added: Project) -> None:
    """Add a project; its name must be free."""
    tx.execute(
        sa.insert(projects).values(
            name=added.name,
            title=added.title,
            contact=added.contact,
            created_by=added.created_by,
            created_at=rfc3339(added.created_at),
            quotas=json.dumps(added.quotas.as_document()),
        )
    )


def change_project(tx: Transaction, changed: Project) -> None:
    """Keep what is told of a project, and its quotas, from now on."""
    tx.execute(
        sa.update(projects)
        .where(projects.c.name == changed.name)
        .values(title=changed.title, contact=changed.contact, quotas=json.dumps(changed.quotas.as_document()))
    )


def quotas_of(tx: Transaction, name: str) -> Quotas:
    """The quotas of a project; those of one that is not there have no limit."""
    text = tx.execute(sa.select(projects.c.quotas).where(projects.c.name == name)).scalar()
    return Quotas() if text is None else Quotas.from_document(json.loads(text))


# Roles of a project's own.


def custom_rights_for(tx: Transaction, standing: Iterable[Grant]) -> CustomRights:
    """What the projects' own roles give, if any of these roles is one."""
    return custom_rights(tx) if any(not is_built_in(grant.role) for grant in standing) else {}


def custom_rights(tx: Transaction) -> CustomRights:
    """What the projects' own roles give."""
    rows = tx.execute(sa.select(custom_roles.c.project, custom_roles.c.name, custom_roles.c.rights))
    return {(row.project, row.name): _rights(row.rights) for row in rows}


def custom_roles_of(tx: Transaction, project: str) -> tuple[CustomRole, ...]:
    """A project's own roles, by name."""
    asked = sa.select(custom_roles).where(custom_roles.c.project == project).order_by(custom_roles.c.name)
    return tuple(
        CustomRole(
            project=row.project,
            name=row.name,
            rights=tuple(sorted(_rights(row.rights))),
            set_by=row.set_by,
            set_at=from_rfc3339(row.at),
        )
        for row in tx.execute(asked)
    )


def put_custom_role(tx: Transaction, made: CustomRole) -> None:
    """Keep a project's own role; one of the same name is replaced."""
    remove_custom_role(tx, made.project, made.name)
    tx.execute(
        sa.insert(custom_roles).values(
            project=made.project,
            name=made.name,
            rights=json.dumps(made.rights),
            set_by=made.set_by,
            at=rfc3339(made.set_at),
        )
    )


def holders_of(tx: Transaction, project: str, role: str) -> tuple[str, ...]:
    """The users and groups that have a role in a project."""
    people = sa.select(grants.c.user_name).where(grants.c.project == project, grants.c.role == role)
    joint = sa.select(group_grants.c.group_name).where(group_grants.c.project == project, group_grants.c.role == role)
    found = [*tx.execute(people).scalars(), *(f"group {name}" for name in tx.execute(joint).scalars())]
    return tuple(sorted(found))


def remove_custom_role(tx: Transaction, project: str, name: str) -> None:
    """Forget a project's own role."""
    tx.execute(sa.delete(custom_roles).where(custom_roles.c.project == project, custom_roles.c.name == name))


# Groups.


def group_name_is_taken(tx: Transaction, name: str) -> bool:
    """Whether a group has, or had, the name."""
    return tx.execute(sa.select(groups.c.name).where(groups.c.name == name)).first() is not None


def groups_of(tx: Transaction, name: str | None = None) -> tuple[Group, ...]:
    """The groups, removed ones aside, with their members and roles, by name; all, or the one of that name."""
    asked = sa.select(groups).where(groups.c.removed_at.is_(None)).order_by(groups.c.name)
    members = sa.select(group_members).order_by(group_members.c.group_name, group_members.c.user_name)
    given = sa.select(group_grants).order_by(group_grants.c.group_name, group_grants.c.project)
    if name is not None:
        asked = asked.where(groups.c.name == name)
        members = members.where(group_members.c.group_name == name)
        given = given.where(group_grants.c.group_name == name)
    people: dict[str, list[str]] = {}
    for row in tx.execute(members):
        people.setdefault(row.group_name, []).append(row.user_name)
    roles: dict[str, list[GroupGrant]] = {}
    for row in tx.execute(given):
        roles.setdefault(row.group_name, []).append(_group_grant(row))
    return tuple(
        Group(
            name=row.name,
            title=row.title,
            created_by=row.created_by,
            created_at=from_rfc3339(row.created_at),
            members=tuple(people.get(row.name, ())),
            grants=tuple(roles.get(row.name, ())),
        )
        for row in tx.execute(asked)
    )


def add_group(tx: Transaction, added: Group) -> None:
    """Add a group without members; its name must be free."""
    tx.execute(
        sa.insert(groups).values(
            name=added.name, title=added.title, created_by=added.created_by, created_at=rfc3339(added.created_at)
        )
    )


def mark_group_removed(tx: Transaction, name: str, at: datetime) -> None:
    """Note that a group is gone; its members and roles go with it."""
    tx.execute(sa.delete(group_members).where(group_members.c.group_name == name))
    tx.execute(sa.delete(group_grants).where(group_grants.c.group_name == name))
    tx.execute(sa.update(groups).where(groups.c.name == name).values(removed_at=rfc3339(at)))


def add_member(tx: Transaction, group: str, user: str, at: datetime) -> None:
    """Put a user into a group; the user must not be in it."""
    tx.execute(sa.insert(group_members).values(group_name=group, user_name=user, added_at=rfc3339(at)))


def remove_member(tx: Transaction, user: str, group: str | None = None) -> None:
    """Take a user out of a group, or of all."""
    gone = sa.delete(group_members).where(group_members.c.user_name == user)
    tx.execute(gone if group is None else gone.where(group_members.c.group_name == group))


def put_group_grant(tx: Transaction, grant: GroupGrant) -> None:
    """Give a group a role in a project, in place of the one it had."""
    remove_group_grant(tx, grant.group, grant.project)
    tx.execute(
        sa.insert(group_grants).values(
            group_name=grant.group,
            project=grant.project,
            role=grant.role,
            endpoints=json.dumps(grant.endpoints),
            granted_at=rfc3339(grant.granted_at),
            may=json.dumps(grant.may),
        )
    )


def remove_group_grant(tx: Transaction, group: str, project: str) -> None:
    """Take a group's role in a project away."""
    tx.execute(sa.delete(group_grants).where(group_grants.c.group_name == group, group_grants.c.project == project))


# Rows as records.


def _rights(text: str) -> frozenset[Right]:
    return frozenset(Right(name) for name in json.loads(text))


def _profile(row: sa.Row[Any]) -> Profile:
    return Profile(
        name=row.name,
        kind=UserKind(row.kind),
        created_at=from_rfc3339(row.created_at),
        title=row.title,
        contact=row.contact,
        channel=row.channel,
    )


def _told_of(profile: Profile) -> dict[str, str | None]:
    return {
        "kind": str(profile.kind),
        "title": profile.title,
        "contact": profile.contact,
        "channel": profile.channel,
    }


def _project(row: sa.Row[Any]) -> Project:
    return Project(
        name=row.name,
        title=row.title,
        contact=row.contact,
        created_by=row.created_by,
        created_at=from_rfc3339(row.created_at),
        quotas=Quotas.from_document(json.loads(row.quotas)),
    )


def _group_grant(row: sa.Row[Any]) -> GroupGrant:
    return GroupGrant(
        group=row.group_name,
        project=row.project,
        role=row.role,
        endpoints=tuple(json.loads(row.endpoints)),
        granted_at=from_rfc3339(row.granted_at),
        may=tuple(Right(name) for name in json.loads(row.may)),
    )


def _scope_text(scope: Scope) -> str | None:
    if scope == WHOLE:
        return None
    return json.dumps(
        {
            "rights": None if scope.rights is None else sorted(scope.rights),
            "endpoints": scope.endpoints,
            "project": scope.project,
        }
    )


def _scope(text: str | None) -> Scope:
    if text is None:
        return WHOLE
    said = json.loads(text)
    return Scope(
        rights=None if said["rights"] is None else frozenset(Right(name) for name in said["rights"]),
        endpoints=None if said["endpoints"] is None else tuple(said["endpoints"]),
        project=said["project"],
    )


def _grant(row: sa.Row[Any], group: str | None = None) -> Grant:
    return Grant(
        user=row.user_name,
        project=row.project,
        role=row.role,
        endpoints=_NAMES.decode(row.endpoints),
        granted_at=from_rfc3339(row.granted_at),
        may=tuple(Right(name) for name in _NAMES.decode(row.may)),
        group=group,
    )


def _token(row: sa.Row[Any]) -> Token:
    return Token(
        token_id=row.token_id,
        user=row.user_name,
        sha256=row.sha256,
        created_at=from_rfc3339(row.created_at),
        expires_at=row.expires_at and from_rfc3339(row.expires_at),
        revoked_at=row.revoked_at and from_rfc3339(row.revoked_at),
        label=row.label,
        scope=_scope(row.scope),
        last_used_at=row.last_used_at and from_rfc3339(row.last_used_at),
        replaces=row.replaces,
    )
