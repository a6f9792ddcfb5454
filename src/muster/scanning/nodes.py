"""What a pickle builds, without building it: the values on the stack of an unpickler, as far as a judgement needs them."""

from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Global:
    """Something that is imported by its name."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(slots=True, eq=False)
class Made:
    """What a call gives; the callable is a `Global` or something that was made itself."""

    by: Any
    arguments: tuple[Any, ...]
    state: Any = None
    """What it was given afterwards."""


@dataclass(slots=True, eq=False)
class Items:
    """A list, set or dictionary: a key per value, or None."""

    values: list[Any] = field(default_factory=list)
    keys: list[Any] = field(default_factory=list)


class _Data:
    """Bytes, fractions and other values that name nothing."""

    def __repr__(self) -> str:
        return "data"


DATA = _Data()
MARK = object()
