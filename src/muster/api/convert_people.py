"""Projects, groups, roles, scopes and consumers, from the records of the rooms to the documents of the wire and back."""

import msgspec

from muster.access import records
from muster.access.roles import RIGHTS, AccessRole, checked_right
from muster.access.tokens import WHOLE, Scope
from muster.access.users import Profile
from muster.archive.consumers import Consumer
from muster.vocabulary.clock import rfc3339
from muster.wire import control, people


def scope_of(order: control.TokenOrder, project: str) -> Scope:
    """What a new token is to be limited to.

    Raises:
        RightUnknown: a right is none.
    """
    if order.rights is None and order.endpoints is None and not order.this_project:
        return WHOLE
    return Scope(
        rights=None if order.rights is None else frozenset(checked_right(name) for name in order.rights),
        endpoints=order.endpoints,
        project=project if order.this_project else None,
    )


def profile(told: Profile) -> people.Profile:
    """What is told of a user."""
    return people.Profile(
        name=told.name, kind=told.kind.value, title=told.title, contact=told.contact, channel=told.channel
    )


def texts_of(order: people.ProfileOrder | people.ProjectTextsOrder) -> dict[str, str | None]:
    """The lines that an order names."""
    names = ("title", "contact", "channel") if isinstance(order, people.ProfileOrder) else ("title", "contact")
    return {name: text for name in names if (text := getattr(order, name)) is not None}


def quotas_of(order: people.QuotasOrder) -> dict[str, object]:
    """The limits that an order names; null takes one away."""
    said: dict[str, object] = msgspec.structs.asdict(order)
    return {name: value for name, value in said.items() if value is not msgspec.UNSET}


def project_summary(project: records.Project) -> people.ProjectSummary:
    """A project."""
    return people.ProjectSummary(
        name=project.name,
        title=project.title,
        contact=project.contact,
        created_by=project.created_by,
        created_at=rfc3339(project.created_at),
        quotas=_quotas(project),
    )


def project(usage: records.Usage) -> people.Project:
    """A project and what it uses."""
    summary = project_summary(usage.project)
    return people.Project(**msgspec.structs.asdict(summary), used=usage.used)


def group(found: records.Group) -> people.Group:
    """A group with its members and roles."""
    return people.Group(
        name=found.name,
        title=found.title,
        created_by=found.created_by,
        created_at=rfc3339(found.created_at),
        members=found.members,
        roles=tuple(map(group_role, found.grants)),
    )


def group_role(grant: records.GroupGrant) -> people.GroupRole:
    """The role of a group in a project."""
    return people.GroupRole(
        project=grant.project,
        role=grant.role,
        endpoints=grant.endpoints,
        may=tuple(str(right) for right in grant.may),
    )


def built_in_roles() -> tuple[people.CustomRole, ...]:
    """The roles that every project has."""
    return tuple(
        people.CustomRole(
            name=str(role), rights=tuple(sorted(map(str, RIGHTS[role]))), built_in=True, set_by=None, set_at=None
        )
        for role in AccessRole
    )


def custom_role(role: records.CustomRole) -> people.CustomRole:
    """A role of a project's own."""
    return people.CustomRole(
        name=role.name,
        rights=tuple(str(right) for right in role.rights),
        built_in=False,
        set_by=role.set_by,
        set_at=rfc3339(role.set_at),
    )


def consumer(found: Consumer) -> people.Consumer:
    """Who asks an endpoint."""
    return people.Consumer(
        consumer=found.consumer,
        endpoint=found.endpoint,
        contact=found.contact,
        channel=found.channel,
        title=found.title,
        requests=found.requests,
        rows=found.rows,
        last_at=found.last_at,
        versions=tuple(
            people.ConsumerVersion(version=use.version, requests=use.requests, rows=use.rows, last_at=use.last_at)
            for use in found.versions
        ),
    )


def _quotas(project: records.Project) -> people.Quotas:
    limits = project.quotas
    return people.Quotas(
        bytes=limits.bytes,
        versions=limits.versions,
        live_variants=limits.live_variants,
        requests_per_s=limits.requests_per_s,
    )
