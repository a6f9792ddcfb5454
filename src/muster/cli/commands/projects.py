"""Tenants and what they are made of: project, group, role, consumers."""

import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from muster.cli.errors import FileMissing, FileNotUnderstood, UsageWrong
from muster.cli.options import Command, factory
from muster.cli.output import Output, answering, show_facts, show_table
from muster.wire import people

if TYPE_CHECKING:
    from rich.console import Console

_QUOTAS = {
    "bytes": "Bytes of all bundles registered.",
    "versions": "Versions.",
    "live_variants": "Variants of all current releases together.",
    "requests_per_s": "Requests a second of each token, per front.",
}
_NONE = "none"


def _limit(text: Any) -> int | None:
    """A quota on the command line: a whole number, or `none`."""
    if text is None or str(text) == _NONE:
        return None
    try:
        return int(text)
    except ValueError as error:
        raise click.BadParameter(f"{text!r} is neither a whole number nor `none`") from error


def _quota_options(command: Command) -> Command:
    for name, told in reversed(_QUOTAS.items()):
        command = click.option(f"--{name.replace('_', '-')}", name, metavar="N|none", help=told)(command)
    return command


def _quotas(said: dict[str, Any]) -> dict[str, int | None]:
    """The quotas that were named."""
    return {name: _limit(said[name]) for name in _QUOTAS if said[name] is not None}


def _texts_options(command: Command) -> Command:
    command = click.option("--contact", metavar="TEXT", help="Whom to ask about it.")(command)
    return click.option("--title", metavar="TEXT", help="One line for people.")(command)


# Projects.


@click.group()
def project() -> None:
    """Make projects, show what they use, limit what they hold."""


@project.command("add")
@click.argument("name")
@click.option("--admin", required=True, metavar="USER", help="Its first admin: a user that the factory has.")
@_texts_options
@_quota_options
@answering
def add_project(out: Output, name: str, *, admin: str, title: str | None, contact: str | None, **said: Any) -> None:
    """Make a project; for admins of the project `default`."""
    with factory() as muster:
        made = muster.add_project(name, admin, title=title, contact=contact, quotas=_quotas(said))
    out.document(made, lambda console: console.print(f"project {made.name} is there; {admin} is its admin"))


@project.command("list")
@answering
def list_projects(out: Output) -> None:
    """List the projects that you have a part in."""
    with factory() as muster:
        found = muster.projects()
    rows = [(one.name, one.title, one.contact, one.created_by, one.created_at) for one in found.projects]
    out.document(found, lambda console: show_table(console, ("project", "title", "contact", "made by", "made"), rows))


@project.command("show")
@click.argument("name", required=False)
@answering
def show_project(out: Output, name: str | None) -> None:
    """Show a project: its quotas, and what is used of them."""
    with factory(name) as muster:
        found = muster.project()
    out.document(found, lambda console: _show_project(console, found))


@project.command("set")
@click.argument("name", required=False)
@_texts_options
@answering
def set_project(out: Output, name: str | None, **said: Any) -> None:
    """Say what a project is and whom to ask; an empty text takes away what was said."""
    with factory(name) as muster:
        told = muster.describe_project(**said)
    out.document(
        told, lambda console: console.print(f"{told.name}: {told.title or '-'}; contact {told.contact or '-'}")
    )


@project.command()
@click.argument("name", required=False)
@_quota_options
@answering
def quota(out: Output, name: str | None, **said: Any) -> None:
    """Limit what a project holds; `none` takes a limit away. For admins of the project `default`."""
    quotas = _quotas(said)
    if not quotas:
        raise UsageWrong("name at least one quota, like --versions 100")
    with factory(name) as muster:
        limited = muster.limit_project(**quotas)
    out.document(limited, lambda console: show_facts(console, _limits(limited.quotas)))


def _limits(quotas: people.Quotas) -> list[tuple[str, Any]]:
    return [(name, _NONE if getattr(quotas, name) is None else getattr(quotas, name)) for name in _QUOTAS]


def _show_project(console: "Console", found: people.Project) -> None:
    facts = (("project", found.name), ("title", found.title), ("contact", found.contact))
    show_facts(console, [*facts, ("made", f"{found.created_at} by {found.created_by}")])
    rows = [(name, found.used.get(name), limit) for name, limit in _limits(found.quotas)]
    show_table(console, ("quota", "used", "limit"), rows)


# Groups.


@click.group()
def group() -> None:
    """Make groups, say who is in them, give them roles."""


@group.command("add")
@click.argument("name")
@click.option("--title", metavar="TEXT", help="One line for people.")
@answering
def add_group(out: Output, name: str, title: str | None) -> None:
    """Make a group without members; for admins of the project `default`."""
    with factory() as muster:
        made = muster.add_group(name, title=title)
    out.document(made, lambda console: console.print(f"group {made.name} is there"))


@group.command("list")
@answering
def list_groups(out: Output) -> None:
    """List the groups, as far as you may see them."""
    with factory() as muster:
        found = muster.groups()
    rows = [(one.name, one.title, one.members, _roles_of(one)) for one in found.groups]
    out.document(found, lambda console: show_table(console, ("group", "title", "members", "roles"), rows))


@group.command("show")
@click.argument("name")
@answering
def show_group(out: Output, name: str) -> None:
    """Show a group: its members and its roles."""
    with factory() as muster:
        found = muster.group(name)
    facts = [("group", found.name), ("title", found.title), ("members", found.members), ("roles", _roles_of(found))]
    out.document(found, lambda console: show_facts(console, facts))


@group.command("remove")
@click.argument("name")
@answering
def remove_group(out: Output, name: str) -> None:
    """Remove a group, and what its members may do through it; the name is not given again."""
    with factory() as muster:
        gone = muster.remove_group(name)
    out.document(gone, lambda console: console.print(f"group {gone.name} is removed"))


@group.command()
@click.argument("name")
@click.argument("user")
@answering
def join(out: Output, name: str, user: str) -> None:
    """Put a user into a group."""
    with factory() as muster:
        changed = muster.join_group(name, user)
    out.document(changed, lambda console: console.print(f"{user} is in group {changed.name}"))


@group.command()
@click.argument("name")
@click.argument("user")
@answering
def leave(out: Output, name: str, user: str) -> None:
    """Take a user out of a group."""
    with factory() as muster:
        changed = muster.leave_group(name, user)
    out.document(changed, lambda console: console.print(f"{user} is not in group {changed.name} any more"))


@group.command()
@click.argument("name")
@click.argument("role", metavar="ROLE")
@click.option("--endpoint", "endpoints", multiple=True, metavar="NAME", help="May score only here; may be repeated.")
@click.option("--may", multiple=True, type=click.Choice(["override"]), help="A right beyond the role.")
@answering
def grant(out: Output, name: str, role: str, endpoints: tuple[str, ...], may: tuple[str, ...]) -> None:
    """Give a group a role in the project, in place of the one it has there."""
    with factory() as muster:
        made = muster.grant_group(name, role, endpoints=endpoints or ("*",), may=may)
    out.document(made, lambda console: console.print(f"group {name} is {made.role} in {made.project}"))


@group.command("revoke")
@click.argument("name")
@answering
def revoke_group(out: Output, name: str) -> None:
    """Take a group's role in the project away."""
    with factory() as muster:
        gone = muster.revoke_group(name)
    out.document(gone, lambda console: console.print(f"group {name} has no role in {gone.project} any more"))


def _roles_of(found: people.Group) -> list[str]:
    return [f"{one.role} in {one.project}" for one in found.roles]


# Roles of the project's own.


@click.group()
def role() -> None:
    """Show the roles, make roles of the project's own."""


@role.command("list")
@answering
def list_roles(out: Output) -> None:
    """List the roles and their rights: those that every project has, and the project's own."""
    with factory() as muster:
        found = muster.roles()
    rows = [(one.name, "every project's" if one.built_in else "own", one.rights) for one in found.roles]
    out.document(found, lambda console: show_table(console, ("role", "whose", "rights"), rows))


@role.command("set")
@click.argument("name", required=False)
@click.option("--right", "rights", multiple=True, metavar="RIGHT", help="What it may do; may be repeated.")
@click.option(
    "--file", "file", metavar="FILE", type=click.Path(path_type=Path, dir_okay=False),
    help='TOML with a table per role: [roles.auditor] rights = ["read", "read-audit"].',
)  # fmt: skip
@answering
def set_role(out: Output, name: str | None, rights: tuple[str, ...], file: Path | None) -> None:
    """Make a role of the project's own, or change one; or all of a file, one after the other."""
    if (file is None) == (name is None):
        raise UsageWrong("name a role with its rights, or a file")
    wanted = {name: rights} if name is not None else _roles_in(file)
    with factory() as muster:
        made = [muster.set_role(one, given) for one, given in wanted.items()]
    document = people.CustomRoles(roles=tuple(made))
    rows = [(one.name, one.rights) for one in made]
    out.document(document, lambda console: show_table(console, ("role", "rights"), rows))


@role.command("remove")
@click.argument("name")
@answering
def remove_role(out: Output, name: str) -> None:
    """Remove a role of the project's own that nobody has."""
    with factory() as muster:
        gone = muster.remove_role(name)
    out.document(gone, lambda console: console.print(f"role {gone.name} is removed"))


def _roles_in(file: Path | None) -> dict[str, tuple[str, ...]]:
    """The roles that a file names.

    Raises:
        FileMissing: it is not there.
        FileNotUnderstood: it is not TOML of that form.
    """
    assert file is not None
    try:
        said = tomllib.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise FileMissing(f"there is no file {file}", file=str(file)) from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise FileNotUnderstood(f"{file} is no TOML: {error}", file=str(file)) from error
    roles = said.get("roles")
    if set(said) != {"roles"} or not isinstance(roles, dict):
        raise FileNotUnderstood(f"{file} holds no tables [roles.NAME] alone", file=str(file))
    for name, table in roles.items():
        fits = isinstance(table, dict) and set(table) == {"rights"} and isinstance(table["rights"], list)
        if not fits or not all(isinstance(right, str) for right in table["rights"]):
            raise FileNotUnderstood(f"{file}: [roles.{name}] holds `rights`, a list of names, and nothing else")
    return {name: tuple(table["rights"]) for name, table in roles.items()}


# Consumers.


@click.command()
@click.argument("endpoint", required=False)
@click.option("--days", type=click.IntRange(1, 36_500), help="Only of the last so many days, today among them.")
@answering
def consumers(out: Output, endpoint: str | None, days: int | None) -> None:
    """List who asks which endpoint: how to reach them, how often they asked, when last, and which versions answered.

    Counted from the archive, a few minutes behind. A consumer whose role names an endpoint is listed before it asks.
    """
    with factory() as muster:
        found = muster.consumers(endpoint, days=days)
    rows = [
        (
            one.consumer, one.endpoint, one.contact, one.channel, one.requests, one.rows, one.last_at,
            [f"{use.version} {use.rows}" for use in one.versions],
        )
        for one in found.consumers
    ]  # fmt: skip
    columns = ("consumer", "endpoint", "contact", "channel", "requests", "rows", "last", "rows by version")
    out.document(found, lambda console: show_table(console, columns, rows))
    if found.counted_to is not None:
        out.note(f"Counted at {found.counted_to}; what was asked since is not in it.")
