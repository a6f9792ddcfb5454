"""Certificates and what they rest on: `certificate report`."""

import click

from muster.cli.commands.dossiers import report


@click.group()
def certificate() -> None:
    """See what certifications found."""


certificate.add_command(report)
