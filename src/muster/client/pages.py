"""Lists that are longer than a page, fetched page by page."""

from collections.abc import Iterator
from typing import TypeVar

from muster.client.transport import Transport
from muster.vocabulary.pages import MOST
from muster.wire import control, people

Paged = TypeVar(
    "Paged", control.Models, control.Model, control.Endpoints, control.Releases, control.Users, people.Tokens
)


def pages(transport: Transport, path: str, first: Paged, *, user: str | None = None) -> Iterator[Paged]:
    """The first page of a list, and all that follow.

    Args:
        transport: to the factory.
        path: of the list.
        first: its first page.
        user: whose things the list is limited to; None: everybody's.
    """
    page = first
    while True:
        yield page
        if page.next is None:
            return
        page = transport.get(path, type(first), limit=MOST, after=page.next, user=user)
