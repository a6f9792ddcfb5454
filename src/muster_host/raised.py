"""What a model that does not live in this process says of itself, and what is said of its program."""

from __future__ import annotations


class ModelRaised(Exception):
    """The model says that it failed; the message is its own, and no traceback of this side helps."""


class ProgramFailed(Exception):
    """A program cannot be started here, or says that it cannot load the model."""


def words(said: object) -> str:
    """What a program says of itself, as text that can be written as UTF-8: half of a surrogate pair is a question mark."""
    return str(said).encode("utf-8", "replace").decode("utf-8")
