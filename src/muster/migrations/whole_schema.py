"""The tables of every room on one MetaData."""

import pkgutil
from collections.abc import Iterable, Iterator
from importlib import import_module

import sqlalchemy as sa

import muster
from muster.storage.schema import METADATA

#: Where the catalogue's words lie: a table of each database's own kind, which a migration makes and no room can declare.
_OWN_KIND = "catalogue_words"


def is_declared(name: str | None, kind: str, _parents: object) -> bool:
    """Whether something in a database is declared by a room, for Alembic's comparisons."""
    return kind != "table" or not (name or "").startswith(_OWN_KIND)


def whole_schema() -> sa.MetaData:
    """Every table there is; each room, and each part of one, that has a `tables` beside its `store` has declared its own."""
    for name in _kept_in(muster.__path__, "muster"):
        import_module(f"{name}.tables")
    return METADATA


def _kept_in(path: Iterable[str], package: str) -> Iterator[str]:
    """The packages that keep data."""
    found = list(pkgutil.iter_modules(path))
    if {"tables", "store"} <= {module.name for module in found}:
        yield package
    for module in found:
        if module.ispkg:
            yield from _kept_in([f"{folder}/{module.name}" for folder in path], f"{package}.{module.name}")
