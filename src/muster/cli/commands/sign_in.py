"""How people get in by themselves: sign-in, sign-out, password set; and whose an identity at a provider is.

A password is asked for without echo, or read from stdin; it is never an argument, for every user of a machine can read those.
"""

import getpass
import os
import sys
from collections.abc import Iterator

import click

from muster.cli.errors import UsageWrong
from muster.cli.main import Meant
from muster.cli.options import factory
from muster.cli.output import Output, answering, show_table
from muster.client.control import Factory
from muster.client.login import SavedLogin, find_login, forget_login, read_login, save_login
from muster.client.transport import Transport, is_loopback
from muster.vocabulary.errors import NotAllowed
from muster.wire import sign_in as wire

_MUST_CHANGE = "access.password-must-change"
_stdin_option = click.option(
    "--password-stdin", is_flag=True, help="Read from stdin, one on a line, instead of asking."
)


@click.command("sign-in")
@click.option("--user", metavar="NAME", help="Who you are; else the name of your account on this machine.")
@click.option("--oidc", "provider", metavar="PROVIDER", help="Sign in at this OpenID provider, in a browser.")
@click.option("--list", "only_list", is_flag=True, help="Only say which providers there are.")
@_stdin_option
@answering
def sign_in(out: Output, *, user: str | None, provider: str | None, only_list: bool, password_stdin: bool) -> None:
    """Sign in, and keep the token for the commands to come, as `muster login` does.

    The password is asked for, or read from the first line of stdin; where it has to be changed, the new one comes from the
    second. At a provider, a browser shows you a code at the end, which is asked for in the same way.
    """
    if provider is not None and user is not None:
        raise UsageWrong("--user goes with a password; the provider says who you are")
    meant = click.get_current_context().find_object(Meant) or Meant(None, "default")
    address = find_login(meant.url).url
    secrets = _secrets(from_stdin=password_stdin)
    with Factory(Transport(address, None)) as muster:
        if only_list:
            ways = muster.sign_in_ways()
            out.document(ways, lambda console: console.print("\n".join(("password", *ways.providers))))
            return
        if address.startswith("http:") and not is_loopback(address):
            out.note(f"{address} is not encrypted: whoever is on the way can read what you type.")
        made = (
            _by_password(out, muster, user or getpass.getuser(), secrets)
            if provider is None
            else _at_provider(out, muster, provider, secrets)
        )
    file = save_login(SavedLogin(url=address, token=made.token, name=made.user), os.environ)
    out.document(
        {"user": made.user, "token_id": made.token_id, "expires": made.expires, "url": address},
        lambda console: console.print(f"{made.user} at {address} until {made.expires}; kept in {file}"),
    )


@click.command("sign-out")
@answering
def sign_out(out: Output) -> None:
    """End the token that you got by signing in, and forget it."""
    with factory() as muster:
        gone = muster.sign_out()
    saved = read_login(os.environ)
    if saved is not None and saved.token == find_login().token:
        forget_login(os.environ)
    out.document(gone, lambda console: console.print(f"{gone.user} is signed out."))


@click.group()
def password() -> None:
    """Set passwords."""


@password.command("set")
@click.argument("user", required=False)
@_stdin_option
@answering
def set_password(out: Output, user: str | None, *, password_stdin: bool) -> None:
    """Set your own password; with USER, as an admin, somebody's, who has to change it at the first sign-in.

    Your own takes the old one; on stdin that is the first line. An admin names themselves to do without.
    """
    secrets = _secrets(from_stdin=password_stdin)
    with factory() as muster:
        if user is None:
            old = secrets.ask("Old password")
            done = muster.set_own_password(secrets.ask("New password", again=True), old)
        else:
            done = muster.set_password(user, secrets.ask(f"New password of {user}", again=True))
    ended = f"; ended {', '.join(done.ended_token_ids)}" if done.ended_token_ids else ""
    out.document(done, lambda console: console.print(f"The password of {done.user} is set{ended}."))


@click.command()
@click.argument("name")
@click.option("--issuer", required=True, metavar="URL", help="The provider, as `access.oidc` names it.")
@click.option("--subject", required=True, metavar="TEXT", help="What the provider calls the person for good: `sub`.")
@answering
def bind(out: Output, name: str, issuer: str, subject: str) -> None:
    """Say that an identity at an OpenID provider is this user."""
    with factory() as muster:
        bound = muster.bind_identity(name, issuer, subject)
    out.document(bound, lambda console: console.print(f"{bound.subject} at {bound.issuer} is {bound.user}"))


@click.command()
@click.argument("name")
@click.option("--issuer", required=True, metavar="URL", help="The provider, as `access.oidc` names it.")
@click.option("--subject", required=True, metavar="TEXT", help="What the provider calls the person for good: `sub`.")
@answering
def unbind(out: Output, name: str, issuer: str, subject: str) -> None:
    """Say that an identity at a provider is nobody any more; what the user got by signing in ends."""
    with factory() as muster:
        gone = muster.unbind_identity(name, issuer, subject)
    ended = f"; ended {', '.join(gone.ended_token_ids)}" if gone.ended_token_ids else ""
    out.document(gone, lambda console: console.print(f"{subject} at {issuer} is nobody any more{ended}"))


@click.command()
@click.argument("name")
@answering
def identities(out: Output, name: str) -> None:
    """List the identities at OpenID providers that are bound to a user."""
    with factory() as muster:
        found = muster.identities(name)
    rows = [(one.issuer, one.subject, one.bound_by, one.bound_at) for one in found.identities]
    out.document(found, lambda console: show_table(console, ("issuer", "subject", "bound by", "bound"), rows))


class _Secrets:
    """What is typed without echo, or read from stdin line by line."""

    def __init__(self, lines: Iterator[str] | None) -> None:
        self._lines = lines

    def ask(self, what: str, *, again: bool = False) -> str:
        """One secret.

        Args:
            what: is asked for.
            again: a new one, which is typed twice.
        """
        if self._lines is not None:
            line = next(self._lines, None)
            if line is None:
                raise UsageWrong(f"stdin has no line for: {what}")
            return line.rstrip("\r\n")
        return str(click.prompt(what, hide_input=True, confirmation_prompt=again, err=True))


def _secrets(*, from_stdin: bool) -> _Secrets:
    if from_stdin:
        return _Secrets(iter(sys.stdin.readline, ""))
    if not sys.stdin.isatty():
        return _Secrets(iter(()))  # nobody is there to be asked: the error says what was missing
    return _Secrets(None)


def _by_password(out: Output, muster: Factory, user: str, secrets: _Secrets) -> wire.SignedIn:
    typed = secrets.ask(f"Password of {user}")
    try:
        return muster.sign_in(user, typed)
    except NotAllowed as error:
        if error.code != _MUST_CHANGE:
            raise
        out.note(f"{error.message}.")
    return muster.sign_in(user, typed, new_password=secrets.ask("New password", again=True))


def _at_provider(out: Output, muster: Factory, provider: str, secrets: _Secrets) -> wire.SignedIn:
    begun = muster.begin_oidc(provider)
    click.echo(f"Open this address in a browser and sign in there:\n\n{begun.url}\n", err=True)
    while True:
        done = muster.finish_oidc(begun.handle, secrets.ask("Code that the browser shows"))
        if done.signed_in is not None:
            return done.signed_in
        out.note("The browser has not come back from the provider yet.")
