"""The contract of a version or an endpoint as a document: format 1."""

from typing import Any

import msgspec

from muster.vocabulary.tensors import Datatype


class Declared(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """Limits that the author declares; a value outside them is refused."""

    minimum: float | int | None = None
    maximum: float | int | None = None
    categories: tuple[str | int | bool, ...] | None = None


class Observed(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What the sample showed; kept and watched, never a reason to refuse."""

    minimum: float | int | str | None = None
    maximum: float | int | str | None = None
    categories: tuple[str | int | bool, ...] | None = None
    nulls: int = 0
    rows: int = 0


class Field(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One input or output: a scalar column (`shape` empty) or a fixed-shape tensor per row (`shape = [30]`)."""

    name: str
    datatype: Datatype
    shape: tuple[int, ...] = ()
    nullable: bool = False
    required: bool = True
    """False: the field may be absent, which means its default, or null for all rows where it has none; then it is nullable."""
    unit: str | None = None
    description: str | None = None
    personal: bool = False
    declared: Declared | None = None
    observed: Observed | None = None
    default: float | int | str | bool | tuple[Any, ...] | None = None
    """Of an input that is not required: what fills it in where it is absent, as JSON gives it; None: null."""
    labels: tuple[str | int | bool, ...] | None = None
    """For an output `[rows, classes]`: the class each position stands for."""


class Contract(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What goes in and what comes out, in order; the order is the order of columns on the wire to a host."""

    inputs: tuple[Field, ...]
    outputs: tuple[Field, ...]

    def input(self, name: str) -> Field | None:
        """The input of that name."""
        return next((field for field in self.inputs if field.name == name), None)

    def output(self, name: str) -> Field | None:
        """The output of that name."""
        return next((field for field in self.outputs if field.name == name), None)


def as_document(document: Any) -> Any:
    """Plain JSON-able values of any struct of this room, for canonical JSON and for `--json`."""
    return msgspec.to_builtins(document)
