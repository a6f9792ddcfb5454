"""Projects, users, groups, roles, tokens and consumers: the part of `Factory` that is about people."""

from collections.abc import Iterable
from datetime import datetime
from typing import Literal
from urllib.parse import quote

from msgspec.structs import replace

from muster.client.orders import moment, order_of
from muster.client.pages import pages
from muster.client.transport import Transport
from muster.vocabulary.names import checked_name
from muster.vocabulary.pages import MOST
from muster.wire import control, people

_API = "/api/v1"


class People:
    """What a factory is asked about people."""

    _transport: Transport
    _project: str

    # Projects.

    def projects(self) -> people.Projects:
        """The projects that you have a part in."""
        return self._transport.get(f"{_API}/projects", people.Projects)

    def project(self) -> people.Project:
        """The project: its quotas, and what is used of them."""
        return self._transport.get(self._project, people.Project)

    def add_project(
        self,
        name: str,
        admin: str,
        *,
        title: str | None = None,
        contact: str | None = None,
        quotas: dict[str, int | None] | None = None,
    ) -> people.ProjectSummary:
        """Make a project.

        Args:
            name: for ever.
            admin: its first admin, a user that the factory has.
            title: one line.
            contact: whom to ask about it.
            quotas: `bytes`, `versions`, `live_variants`, `requests_per_s`; what is absent has no limit.
        """
        wanted = order_of(
            people.ProjectOrder,
            name=name,
            admin=admin,
            title=title,
            contact=contact,
            quotas=quotas or {},
        )
        return self._transport.post(f"{_API}/projects", people.ProjectSummary, wanted)

    def describe_project(self, *, title: str | None = None, contact: str | None = None) -> people.ProjectSummary:
        """Say what the project is and whom to ask; None leaves a line as it is, an empty one takes it away."""
        wanted = order_of(people.ProjectTextsOrder, title=title, contact=contact)
        return self._transport.post(f"{self._project}/description", people.ProjectSummary, wanted)

    def limit_project(self, **quotas: int | None) -> people.ProjectSummary:
        """Set quotas of the project, by name; None takes a limit away."""
        wanted = order_of(people.QuotasOrder, **quotas)
        return self._transport.post(f"{self._project}/quotas", people.ProjectSummary, wanted)

    # Users.

    def users(self, *, limit: int | None = None, after: str | None = None) -> control.Users:
        """Everybody who may do something in the project, by name.

        Args:
            limit: how many at most; None: all, fetched page by page.
            after: the `next` of the page before.
        """
        path = f"{self._project}/users"
        first = self._transport.get(path, control.Users, limit=limit or MOST, after=after)
        if limit is not None:
            return first
        every = pages(self._transport, path, first)
        return replace(first, users=tuple(one for page in every for one in page.users), next=None)

    def add_user(
        self,
        name: str,
        role: str,
        *,
        endpoints: Iterable[str] = ("*",),
        expires: datetime | str | None = None,
        may: Iterable[str] = (),
        kind: Literal["person", "service"] | None = None,
        title: str | None = None,
        contact: str | None = None,
        channel: str | None = None,
    ) -> control.NewUser:
        """Add a user or an application; the token in the answer is shown this once.

        Args:
            name: of the user.
            role: viewer, scientist, approver, operator, admin, consumer, front, or one of the project's own.
            endpoints: those it may score at; `*` means all.
            expires: when the token ends; None: never.
            may: rights beyond those of the role: `override`.
            kind: None: `service` for a consumer or a front, `person` otherwise.
            title: one line.
            contact: how to reach who answers for it.
            channel: where its people are told of changes.
        """
        wanted = order_of(
            control.UserOrder,
            name=name,
            role=role,
            endpoints=tuple(endpoints),
            expires=moment(expires),
            may=tuple(may),
            kind=kind,
            title=title,
            contact=contact,
            channel=channel,
        )
        return self._transport.post(f"{self._project}/users", control.NewUser, wanted)

    def change_role(
        self, name: str, role: str, *, endpoints: Iterable[str] = ("*",), may: Iterable[str] = ()
    ) -> control.Granted:
        """Give a user another role, and no other rights beyond it than `may` names."""
        wanted = order_of(control.RoleOrder, role=role, endpoints=tuple(endpoints), may=tuple(may))
        return self._transport.post(f"{self._user(name)}/role", control.Granted, wanted)

    def describe_user(
        self,
        name: str,
        *,
        kind: Literal["person", "service"] | None = None,
        title: str | None = None,
        contact: str | None = None,
        channel: str | None = None,
    ) -> people.Profile:
        """Say what a user is and how to reach it; None leaves a line as it is, an empty one takes it away."""
        wanted = order_of(people.ProfileOrder, kind=kind, title=title, contact=contact, channel=channel)
        return self._transport.post(f"{self._user(name)}/profile", people.Profile, wanted)

    def remove_user(self, name: str, *, everywhere: bool = False) -> control.Revoked:
        """Take a user out of the project, or of every project and group; the name stays on record."""
        address = self._user(name) + ("?everywhere=true" if everywhere else "")
        return self._transport.delete(address, control.Revoked)

    # Tokens.

    def tokens(self, user: str | None = None, *, limit: int | None = None, after: str | None = None) -> people.Tokens:
        """The tokens that are good now, by user and age; without the right to manage users, your own.

        Args:
            user: only this user's.
            limit: how many at most; None: all, fetched page by page.
            after: the `next` of the page before.
        """
        if user is not None:
            checked_name(user, of="user")
        path = f"{self._project}/tokens"
        first = self._transport.get(path, people.Tokens, user=user, limit=limit or MOST, after=after)
        if limit is not None:
            return first
        every = pages(self._transport, path, first, user=user)
        return replace(first, tokens=tuple(one for page in every for one in page.tokens), next=None)

    def new_token(
        self,
        name: str,
        *,
        expires: datetime | str | None = None,
        label: str = "",
        rights: Iterable[str] | None = None,
        endpoints: Iterable[str] | None = None,
        this_project: bool = False,
    ) -> control.NewUser:
        """A further token for a user; shown this once.

        Args:
            name: of the user.
            expires: when it ends; None: never.
            label: what it is for.
            rights: what it is limited to; None: all that its holder may do.
            endpoints: where it is good; None: wherever its holder may score.
            this_project: good in this project alone.
        """
        wanted = order_of(
            control.TokenOrder,
            expires=moment(expires),
            label=label,
            rights=None if rights is None else tuple(rights),
            endpoints=None if endpoints is None else tuple(endpoints),
            this_project=this_project,
        )
        return self._transport.post(f"{self._user(name)}/tokens", control.NewUser, wanted)

    def rotate_token(self, token_id: str, *, grace_s: int = 3600) -> control.NewUser:
        """A token in the place of another, which stays good for the grace; shown this once."""
        wanted = order_of(people.RotationOrder, grace_s=grace_s)
        return self._transport.post(
            f"{self._project}/tokens/{quote(token_id, safe='')}/rotate", control.NewUser, wanted
        )

    def revoke_token(self, token_or_user: str) -> control.Revoked:
        """End a token by its id, or all tokens of a user by the name; in effect on every front within a second."""
        return self._transport.post(f"{self._project}/tokens/{quote(token_or_user, safe='')}/revoke", control.Revoked)

    # Groups.

    def groups(self) -> people.Groups:
        """The groups, as far as you may see them."""
        return self._transport.get(f"{self._project}/groups", people.Groups)

    def group(self, name: str) -> people.Group:
        """One group."""
        return self._transport.get(f"{self._project}/{_group(name)}", people.Group)

    def add_group(self, name: str, *, title: str | None = None) -> people.Group:
        """Make a group without members."""
        return self._transport.post(f"{_API}/groups", people.Group, order_of(people.GroupOrder, name=name, title=title))

    def remove_group(self, name: str) -> people.Group:
        """Remove a group, and what its members may do through it."""
        return self._transport.delete(f"{_API}/{_group(name)}", people.Group)

    def join_group(self, group: str, user: str) -> people.Group:
        """Put a user into a group."""
        return self._transport.post(
            f"{_API}/{_group(group)}/members", people.Group, order_of(people.MemberOrder, user=user)
        )

    def leave_group(self, group: str, user: str) -> people.Group:
        """Take a user out of a group."""
        address = f"{_API}/{_group(group)}/members/{checked_name(user, of='user')}"
        return self._transport.delete(address, people.Group)

    def grant_group(
        self, group: str, role: str, *, endpoints: Iterable[str] = ("*",), may: Iterable[str] = ()
    ) -> people.GroupRole:
        """Give a group a role in the project."""
        wanted = order_of(people.GroupRoleOrder, role=role, endpoints=tuple(endpoints), may=tuple(may))
        return self._transport.post(f"{self._project}/{_group(group)}/role", people.GroupRole, wanted)

    def revoke_group(self, group: str) -> people.GroupRole:
        """Take a group's role in the project away."""
        return self._transport.delete(f"{self._project}/{_group(group)}/role", people.GroupRole)

    # Roles of the project's own.

    def roles(self) -> people.CustomRoles:
        """The roles that every project has, and the project's own."""
        return self._transport.get(f"{self._project}/roles", people.CustomRoles)

    def set_role(self, name: str, rights: Iterable[str]) -> people.CustomRole:
        """Make a role of the project's own, or change one."""
        wanted = order_of(people.CustomRoleOrder, rights=tuple(rights))
        return self._transport.post(f"{self._project}/roles/{checked_name(name, of='role')}", people.CustomRole, wanted)

    def remove_role(self, name: str) -> people.CustomRole:
        """Remove a role of the project's own that nobody has."""
        return self._transport.delete(f"{self._project}/roles/{checked_name(name, of='role')}", people.CustomRole)

    # Consumers.

    def consumers(self, endpoint: str | None = None, *, days: int | None = None) -> people.Consumers:
        """Who asks which endpoint, how often, when last, and which versions answered."""
        if endpoint is not None:
            checked_name(endpoint, of="endpoint")
        return self._transport.get(f"{self._project}/consumers", people.Consumers, endpoint=endpoint, days=days)

    def _user(self, name: str) -> str:
        return f"{self._project}/users/{checked_name(name, of='user')}"


def _group(name: str) -> str:
    return f"groups/{checked_name(name, of='group')}"
