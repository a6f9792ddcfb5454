"""Lists are read page by page: so many, behind the last one seen. Nothing that comes meanwhile shifts what follows."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

Item = TypeVar("Item")
Key = TypeVar("Key")

#: Without a limit, a list answers with so many.
USUAL = 100
#: What a caller may ask for at once.
MOST = 1000


@dataclass(frozen=True, slots=True)
class Paged(Generic[Item, Key]):
    """Some of a list."""

    items: tuple[Item, ...]
    next: Key | None
    """What to name as `after` for more; None: there are no more."""


def paged(found: Sequence[Item], limit: int, key: Callable[[Item], Key]) -> Paged[Item, Key]:
    """A page of `limit` items, made of one more than that, where there are so many.

    >>> paged(["a", "b", "c"], 2, str)
    Paged(items=('a', 'b'), next='b')
    >>> paged(["a", "b"], 2, str)
    Paged(items=('a', 'b'), next=None)
    """
    if len(found) <= limit:
        return Paged(tuple(found), None)
    return Paged(tuple(found[:limit]), key(found[limit - 1]))
