"""Who may do what: user add, list, role, remove; token new, revoke."""

import click

from muster.cli.options import factory
from muster.cli.output import Output, answering, show_table
from muster.wire import control

_ROLES = click.Choice(["viewer", "scientist", "approver", "operator", "admin", "consumer", "front"])

_may_option = click.option(
    "--may",
    multiple=True,
    type=click.Choice(["override"]),
    help="A right beyond the role: to name the variant that shall answer, or a longer deadline, with a request.",
)


@click.group()
def user() -> None:
    """Add, list, change and remove users."""


@user.command()
@click.argument("name")
@click.option("--role", required=True, type=_ROLES, help="What the user may do; docs/reference/roles.md.")
@click.option("--endpoint", "endpoints", multiple=True, metavar="NAME", help="May score only here; may be repeated.")
@click.option("--expires", metavar="MOMENT", help="When the token ends, like 2027-01-01T00:00:00Z; else never.")
@_may_option
@answering
def add(
    out: Output, name: str, role: str, *, endpoints: tuple[str, ...], expires: str | None, may: tuple[str, ...]
) -> None:
    """Add a user, or an application (role consumer); the token is shown this once."""
    with factory() as muster:
        made = muster.add_user(name, role, endpoints=endpoints or ("*",), expires=expires, may=may)
    _show_new(out, made)


@user.command("list")
@answering
def list_users(out: Output) -> None:
    """List the users with the ids of their tokens."""
    with factory() as muster:
        found = muster.users()
    rows = [
        (one.name, one.role, one.may, one.endpoints, one.created_at, [token.token_id for token in one.tokens])
        for one in found.users
    ]
    columns = ("user", "role", "may", "endpoints", "added", "tokens")
    out.document(found, lambda console: show_table(console, columns, rows))


@user.command()
@click.argument("name")
@click.argument("role", type=_ROLES)
@click.option("--endpoint", "endpoints", multiple=True, metavar="NAME", help="May score only here; may be repeated.")
@_may_option
@answering
def role(out: Output, name: str, role: str, endpoints: tuple[str, ...], may: tuple[str, ...]) -> None:
    """Give a user another role, and no other rights beyond it than --may names."""
    with factory() as muster:
        granted = muster.change_role(name, role, endpoints=endpoints or ("*",), may=may)
    out.document(granted, lambda console: console.print(f"{granted.name} is {granted.role} now"))


@user.command()
@click.argument("name")
@answering
def remove(out: Output, name: str) -> None:
    """Remove a user: role and tokens end, the name stays on record and is not given again."""
    with factory() as muster:
        gone = muster.remove_user(name)
    out.document(gone, lambda console: console.print(f"{gone.user} is removed; {_ended(gone)}"))


@click.group()
def token() -> None:
    """Give out tokens and take them back."""


@token.command()
@click.argument("user", metavar="USER")
@click.option("--expires", metavar="MOMENT", help="When it ends, like 2027-01-01T00:00:00Z; else never.")
@answering
def new(out: Output, user: str, expires: str | None) -> None:
    """Give a user a further token; it is shown this once."""
    with factory() as muster:
        made = muster.new_token(user, expires=expires)
    _show_new(out, made)


@token.command()
@click.argument("token_or_user", metavar="TOKEN_ID|USER")
@answering
def revoke(out: Output, token_or_user: str) -> None:
    """End a token by its id, or all tokens of a user; in effect on every connected front within a second."""
    with factory() as muster:
        gone = muster.revoke_token(token_or_user)
    out.document(gone, lambda console: console.print(f"{gone.user}: {_ended(gone)}"))


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
