"""The factory as a whole: init, login, logout, whoami."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from muster.bootstrap.creation import create_home
from muster.cli.options import factory
from muster.cli.output import Output, answering, show_facts
from muster.client.control import connect
from muster.client.login import DEFAULT_URL, SavedLogin, forget_login, save_login
from muster.client.transport import checked_token, checked_url
from muster.wire import control


@click.command()
@click.argument("home", type=click.Path(path_type=Path))
@click.option(
    "--solo", is_flag=True, help="For one person: gates are passed without a second one, and all answers say so."
)
@answering
def init(out: Output, home: Path, solo: bool) -> None:  # noqa: FBT001 - click's own
    """Make a home for a factory: its database, its first admin, its folders.

    A folder that holds something already is left as it is.
    """
    with out.progress(f"Making {home}"):
        made = create_home(home, solo=solo)
    document: dict[str, Any] = {"home": str(made.home), "admin": "admin", "token": made.admin_token}
    if made.solo:
        document["solo"] = True
    facts = (
        ("home", str(made.home)),
        ("token", f"{made.admin_token} (of admin; also in {made.home}/admin.token)"),
        ("next", f"muster up --home {made.home}"),
    )
    out.document(document, lambda console: show_facts(console, facts))


@click.command()
@click.argument("url", default=DEFAULT_URL)
@click.option("--token", metavar="TOKEN", help="Your token; else it is asked for, or read from stdin.")
@answering
def login(out: Output, url: str, token: str | None) -> None:
    """Keep an address and a token for the commands to come, after trying them.

    They are written to ~/.config/muster/login.json, which only you can read.
    """
    given = token or os.environ.get("MUSTER_TOKEN") or _asked_for()
    address, secret = checked_url(url), checked_token(given)
    with connect(address, secret) as muster:
        identity = muster.whoami()
    file = save_login(SavedLogin(url=address, token=secret, name=identity.name), os.environ)
    out.document(
        identity, lambda console: console.print(f"{identity.name} at {address} ({_roles(identity)}); kept in {file}")
    )


@click.command()
@answering
def logout(out: Output) -> None:
    """Forget the saved login; its token stays valid until it is revoked."""
    was_there = forget_login(os.environ)
    said = "The login is forgotten." if was_there else "There was no saved login."
    out.document({"forgotten": was_there}, lambda console: console.print(said))


@click.command()
@answering
def whoami(out: Output) -> None:
    """Say who the factory takes you for, and what you are in each project."""
    with factory() as muster:
        identity = muster.whoami()
        url = muster.url
    out.document(identity, lambda console: console.print(f"{identity.name} at {url} ({_roles(identity)})"))


def _asked_for() -> str:
    if sys.stdin.isatty():
        return str(click.prompt("Token", hide_input=True, err=True))
    return sys.stdin.readline()


def _roles(identity: control.Identity) -> str:
    return ", ".join(f"{' and '.join(roles)} in {project}" for project, roles in identity.roles.items()) or "no role"
