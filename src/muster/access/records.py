"""Projects, groups and roles of a project's own, as services and doors see them."""

from dataclasses import dataclass, field
from datetime import datetime

from muster.access.quotas import Quotas
from muster.access.roles import Right


@dataclass(frozen=True, slots=True, kw_only=True)
class Project:
    """A tenant: what belongs to it is seen by those who have a role in it, and by nobody else."""

    name: str
    created_by: str
    created_at: datetime
    title: str | None = None
    contact: str | None = None
    quotas: Quotas = field(default_factory=Quotas)


@dataclass(frozen=True, slots=True, kw_only=True)
class Usage:
    """A project and how much of its quotas is used."""

    project: Project
    used: dict[str, int]
    """By the name of the quota; `requests_per_s` is a rate, and not counted here."""


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupGrant:
    """A role of a group in a project."""

    group: str
    project: str
    role: str
    endpoints: tuple[str, ...]
    granted_at: datetime
    may: tuple[Right, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Users who are given roles together."""

    name: str
    created_by: str
    created_at: datetime
    title: str | None = None
    members: tuple[str, ...] = ()
    grants: tuple[GroupGrant, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomRole:
    """A role of a project's own."""

    project: str
    name: str
    rights: tuple[Right, ...]
    set_by: str
    set_at: datetime
