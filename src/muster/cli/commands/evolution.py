"""What a release breaks, and what its consumers say to it: release breaks, release acknowledge."""

from typing import TYPE_CHECKING

import click

from muster.cli import exits
from muster.cli.options import factory, reason_option
from muster.cli.output import Output, answering, show_facts, show_table
from muster.wire import evolution

if TYPE_CHECKING:
    from rich.console import Console


@click.command()
@click.argument("endpoint")
@click.argument("release", metavar="RELEASE", type=click.IntRange(min=1))
@answering
def breaks(out: Output, endpoint: str, release: int) -> int:
    """Show what a release changes of the current contract, field by field, and which consumers have agreed.

    Exit code 1 says that a consumer who has to agree has not.
    """
    with factory() as muster:
        found = muster.contract_review(endpoint, release)
    out.document(found, lambda console: _show_review(console, found))
    return exits.VERDICT_NO if found.awaited else exits.DONE


@click.command()
@click.argument("endpoint")
@click.argument("release", metavar="RELEASE", type=click.IntRange(min=1))
@click.option("--for", "consumer", metavar="CONSUMER", help="On behalf of this consumer; takes the right manage-users.")
@reason_option
@answering
def acknowledge(out: Output, endpoint: str, release: int, consumer: str | None, reason: str) -> None:
    """Agree to what a proposed release breaks: as a consumer of the endpoint, or on behalf of one."""
    with factory() as muster:
        found = muster.acknowledge(endpoint, release, reason, consumer=consumer)
    out.document(found, lambda console: _show_review(console, found))


def _show_review(console: "Console", found: evolution.ContractReview) -> None:
    if found.against is None:
        console.print(f"{found.endpoint} release {found.release}: nothing is current, so nothing can break")
        return
    verdict = "is compatible with" if found.compatible else "breaks the contract of"
    style = "green" if found.compatible else "red"
    console.print(f"{found.endpoint} release {found.release} {verdict} release {found.against}", style=style)
    rows = [(one.side, one.field, "" if one.compatible else "breaks", one.what) for one in found.changes]
    show_table(console, ("", "field", "", "change"), rows, none="The contract is the same.")
    show_facts(
        console,
        (
            *(("agreed", f"{one.consumer}, {one.at} by {one.by}: {one.reason}") for one in found.acknowledged),
            *(("awaited", name) for name in found.awaited),
        ),
    )
