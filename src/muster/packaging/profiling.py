"""The profile of a table in the lab: what `muster.save` writes into profile.json of the rows that were trained on."""

from collections.abc import Collection
from typing import Any

from muster.packaging.columns import Column, array_of, nulls_of
from muster.packaging.samples import read_sample
from muster.profiles.columns import Given
from muster.profiles.whole import profile_bytes, profile_of


def given_of(name: str, column: Column, *, personal: bool = False, only_counted: bool = False) -> Given:
    """A column for its profile.

    Args:
        name: what it is called.
        column: what it holds.
        personal: tell only how often it is missing.
        only_counted: tell of its values only how many different ones there are.
    """
    return Given(
        name=name,
        datatype=column.datatype,
        values=array_of(column),
        nulls=nulls_of(column),
        personal=personal,
        only_counted=only_counted,
    )


def declared_profile(rows: Any, personal: Collection[str], told: Collection[str]) -> bytes:
    """profile.json of a table: of personal fields it tells nothing but how often they are missing.

    Args:
        rows: as `muster.save` takes a sample: a DataFrame, an Arrow table, an array, a dict of columns.
        personal: fields with personal data.
        told: fields whose values are told, the inputs and the label; of others only how many there are, as nobody said what they hold.

    Raises:
        SampleUnusable: they hold what a contract cannot express.
    """
    table = read_sample(rows).table
    columns = (
        given_of(name, column, personal=name in personal, only_counted=name not in told)
        for name, column in table.columns.items()
    )
    return profile_bytes(profile_of(table.rows, columns))
