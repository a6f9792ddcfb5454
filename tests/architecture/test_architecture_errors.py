"""Every error that Muster can name is one that a person and a program can work with."""

import importlib
import pkgutil
import re

import pytest

import muster
from muster.vocabulary import errors

#: Entry points that act when imported, and the migrations, which Alembic loads.
NOT_IMPORTED = re.compile(r"muster\.(migrations|.*__main__)\b")


def every_leaf() -> list[type[errors.MusterError]]:
    """All error classes of Muster, after all its modules have been loaded."""
    for module in pkgutil.walk_packages(muster.__path__, "muster."):
        if NOT_IMPORTED.match(module.name) is None:
            importlib.import_module(module.name)
    return [leaf for leaf in errors.leaves() if leaf.__module__.startswith("muster.")]


LEAVES = every_leaf()


def test_codes_are_unique() -> None:
    """No two errors share a code."""
    codes = [leaf.code for leaf in LEAVES]
    assert sorted({code for code in codes if codes.count(code) > 1}) == []


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.code)
def test_an_error_explains_itself(leaf: type[errors.MusterError]) -> None:
    """An error class has a code and an explanation of its own, and belongs to a family that every door can map."""
    assert "code" in vars(leaf), f"{leaf.__name__} inherits its code"
    assert re.fullmatch(r"[a-z][a-z0-9_]*\.[a-z0-9]+(-[a-z0-9]+)*", leaf.code), leaf.code
    assert (vars(leaf).get("__doc__") or "").strip(), f"{leaf.__name__} has no docstring"
    # A door's word for a fault inside Muster is the one thing outside the families: every door maps it by itself.
    known = (*errors.FAMILIES, *(kind for kind in LEAVES if kind.__name__ == "InternalFault"))
    assert leaf is errors.MusterError or issubclass(leaf, known), f"{leaf.__name__} is outside every family"


@pytest.mark.parametrize("leaf", LEAVES, ids=lambda leaf: leaf.code)
def test_an_error_lives_in_its_room(leaf: type[errors.MusterError]) -> None:
    """An error class stands in the `errors` module of its room; in the vocabulary, or a room of one file, where it is used."""
    parts = leaf.__module__.split(".")
    assert parts[-1] == "errors" or parts[1] == "vocabulary" or len(parts) == 2
