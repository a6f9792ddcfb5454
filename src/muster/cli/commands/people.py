"""Who may do what: user add, list, role, set, remove; token new, list, rotate, revoke, reissue."""

from pathlib import Path
from typing import Any

import click

from muster.bootstrap.home import open_home
from muster.cli.commands import sign_in
from muster.cli.commands.processes import home_option
from muster.cli.options import Command, duration, factory, told_options
from muster.cli.output import Output, answering, show_table
from muster.vocabulary.pages import MOST
from muster.wire import control, people

_ROLE_HELP = "What the user may do: docs/reference/roles.md, or a role of the project's own."

_may_option = click.option(
    "--may",
    multiple=True,
    type=click.Choice(["override"]),
    help="A right beyond the role: to name the variant that shall answer, or a longer deadline, with a request.",
)
_kind_option = click.option("--kind", type=click.Choice(["person", "service"]), help="What the user is.")


def _grace(text: Any) -> float:
    """Milliseconds; unlike other durations it may be 0."""
    return 0.0 if str(text).strip() in {"0", "0s"} else duration(text)


def _endpoint_option(command: Command) -> Command:
    return click.option(
        "--endpoint", "endpoints", multiple=True, metavar="NAME", help="May score only here; may be repeated."
    )(command)


@click.group()
def user() -> None:
    """Add, list, describe, change and remove users."""


@user.command()
@click.argument("name")
@click.option("--role", required=True, metavar="ROLE", help=_ROLE_HELP)
@_endpoint_option
@click.option("--expires", metavar="MOMENT", help="When the token ends, like 2027-01-01T00:00:00Z; else never.")
@_may_option
@_kind_option
@told_options
@answering
def add(out: Output, name: str, role: str, *, endpoints: tuple[str, ...], **said: Any) -> None:
    """Add a user, or an application (role consumer); the token is shown this once."""
    with factory() as muster:
        made = muster.add_user(name, role, endpoints=endpoints or ("*",), **said)
    _show_new(out, made)


@user.command("list")
@click.option("--limit", type=click.IntRange(1, MOST), metavar="N", help="How many at most; else all.")
@click.option("--after", metavar="NAME", help="Begin behind this user.")
@answering
def list_users(out: Output, limit: int | None, after: str | None) -> None:
    """List the users with their roles, their groups and the ids of their tokens."""
    with factory() as muster:
        found = muster.users(limit=limit, after=after)
    rows = [
        (
            one.name, one.kind, one.role, [f"{role} by {group}" for group, role in one.groups.items()], one.may,
            one.endpoints, one.contact, one.created_at, [token.token_id for token in one.tokens],
        )
        for one in found.users
    ]  # fmt: skip
    columns = ("user", "kind", "role", "groups", "may", "endpoints", "contact", "added", "tokens")
    out.document(found, lambda console: show_table(console, columns, rows))
    if found.next is not None:
        out.note(f"There are more: --after {found.next}")


@user.command()
@click.argument("name")
@click.argument("role", metavar="ROLE")
@_endpoint_option
@_may_option
@answering
def role(out: Output, name: str, role: str, endpoints: tuple[str, ...], may: tuple[str, ...]) -> None:
    """Give a user another role, and no other rights beyond it than --may names."""
    with factory() as muster:
        granted = muster.change_role(name, role, endpoints=endpoints or ("*",), may=may)
    out.document(granted, lambda console: console.print(f"{granted.name} is {granted.role} now"))


@user.command("set")
@click.argument("name")
@_kind_option
@told_options
@answering
def set_user(out: Output, name: str, **said: Any) -> None:
    """Say what a user is, how to reach it and where it is told of changes; an empty text takes away what was said."""
    with factory() as muster:
        told = muster.describe_user(name, **said)
    out.document(told, lambda console: console.print(_profile(told)))


@user.command()
@click.argument("name")
@click.option("--everywhere", is_flag=True, help="Out of every project and group at once; for admins of `default`.")
@answering
def remove(out: Output, name: str, *, everywhere: bool) -> None:
    """Remove a user: role and tokens end, the name stays on record and is not given again."""
    with factory() as muster:
        gone = muster.remove_user(name, everywhere=everywhere)
    out.document(gone, lambda console: console.print(f"{gone.user} is removed; {_ended(gone)}"))


for _command in (sign_in.identities, sign_in.bind, sign_in.unbind):
    user.add_command(_command)


@click.group()
def token() -> None:
    """Give out tokens, list, rotate and take them back."""


@token.command()
@click.argument("user", metavar="USER")
@click.option("--expires", metavar="MOMENT", help="When it ends, like 2027-01-01T00:00:00Z; else never.")
@click.option("--label", default="", metavar="TEXT", help="What it is for.")
@click.option(
    "--right", "rights", multiple=True, metavar="RIGHT",
    help="Good for this right alone, as far as the user has it; may be repeated.",
)  # fmt: skip
@click.option("--endpoint", "endpoints", multiple=True, metavar="NAME", help="Good here alone; may be repeated.")
@click.option("--this-project", is_flag=True, help="Good in this project alone.")
@answering
def new(
    out: Output, user: str, *, expires: str | None, label: str, rights: tuple[str, ...], endpoints: tuple[str, ...],
    this_project: bool,
) -> None:  # fmt: skip
    """Give a user a further token, for all that the user may do or for less; it is shown this once."""
    with factory() as muster:
        made = muster.new_token(
            user,
            expires=expires,
            label=label,
            rights=rights or None,
            endpoints=endpoints or None,
            this_project=this_project,
        )
    _show_new(out, made)


@token.command("list")
@click.argument("user", metavar="[USER]", required=False)
@click.option("--limit", type=click.IntRange(1, MOST), metavar="N", help="How many at most; else all.")
@click.option("--after", metavar="TOKEN_ID", help="Begin behind this token.")
@answering
def list_tokens(out: Output, user: str | None, limit: int | None, after: str | None) -> None:
    """List the tokens that are good now; without the right to manage users, your own."""
    with factory() as muster:
        found = muster.tokens(user, limit=limit, after=after)
    rows = [
        (one.token_id, one.user, one.label, _scope(one), one.created_at, one.expires_at, one.last_used_at)
        for one in found.tokens
    ]
    columns = ("token", "user", "label", "limited to", "made", "expires", "last used")
    out.document(found, lambda console: show_table(console, columns, rows))
    if found.next is not None:
        out.note(f"There are more: --after {found.next}")


@token.command()
@click.argument("token_id", metavar="TOKEN_ID")
@click.option(
    "--grace", type=_grace, default="1h", show_default=True, metavar="DURATION",
    help="How long the old one stays good; 0 ends it at once.",
)  # fmt: skip
@answering
def rotate(out: Output, token_id: str, grace: float) -> None:
    """Give a token in the place of another: same user, label, limits and span; it is shown this once."""
    with factory() as muster:
        made = muster.rotate_token(token_id, grace_s=round(grace / 1000))
    _show_new(out, made)


@token.command()
@click.argument("token_or_user", metavar="TOKEN_ID|USER")
@answering
def revoke(out: Output, token_or_user: str) -> None:
    """End a token by its id, or all tokens of a user; in effect on every connected front within a second."""
    with factory() as muster:
        gone = muster.revoke_token(token_or_user)
    out.document(gone, lambda console: console.print(f"{gone.user}: {_ended(gone)}"))


@token.command()
@click.argument("user", metavar="USER", default="admin")
@home_option
@answering
def reissue(out: Output, user: str, *, home: Path) -> None:
    """Give a user a new token in place of all lost ones, by right of owning the home; it is on record.

    For the owner of the factory's machine who has lost the admin's token. It needs no token, and no running factory; the new
    one of `admin` or `front` is also written to its file in the home. A running front takes up its own when it is started again.
    """
    from muster.bootstrap.recovery import reissue_token  # noqa: PLC0415 - brings the database, which nothing else here needs

    made, file = reissue_token(open_home(home), user)
    if file is not None:
        out.note(f"Written to {file}.")
    _show_new(out, control.NewUser(name=made.name, role=made.role, token=made.token, token_id=made.token_id))


def _profile(told: people.Profile) -> str:
    said = ((name, getattr(told, name)) for name in ("title", "contact", "channel"))
    return f"{told.name} is a {told.kind}" + "".join(f"; {name} {text}" for name, text in said if text)


def _scope(one: control.Token) -> list[str]:
    return [
        *(one.rights or ()),
        *(f"endpoint {endpoint}" for endpoint in one.endpoints or ()),
        *([f"project {one.project}"] if one.project else []),
    ]


def _ended(gone: control.Revoked) -> str:
    return f"ended {', '.join(gone.token_ids)}" if gone.token_ids else "no token had to be ended"


def _show_new(out: Output, made: control.NewUser) -> None:
    if made.token is None:
        out.document(
            made, lambda console: console.print(f"{made.name} is {made.role} here as well, with the same tokens")
        )
        return
    # Plain text on a line of its own, so that it can be selected and piped.
    out.note(f"{made.name} is {made.role}. The token below is shown this once; the factory keeps only its hash.")
    out.document(made, lambda _console: click.echo(made.token))
