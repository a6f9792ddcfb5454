"""The tables of every room on one MetaData."""

import pkgutil
from importlib import import_module
from importlib.util import find_spec

import sqlalchemy as sa

import muster
from muster.storage.schema import METADATA


def whole_schema() -> sa.MetaData:
    """Every table there is; each room with a module `tables` has declared its own."""
    for room in pkgutil.iter_modules(muster.__path__):
        name = f"muster.{room.name}.tables"
        if room.ispkg and find_spec(name) is not None:
            import_module(name)
    return METADATA
