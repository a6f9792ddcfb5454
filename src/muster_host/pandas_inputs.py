"""Columns as a pandas DataFrame with the dtypes that the lab's had, at the cost of few Python calls per row.

A DataFrame made of one array per column costs about half a millisecond for twenty columns. Numbers of the same dtype
therefore share one block, as they do in a frame read from a file, and text columns of the same dtype are made in one go.
"""

from __future__ import annotations

from typing import Any, Callable, Mapping, Sequence

import numpy as np
import pandas as pd

from muster_host.fields import NUMPY_NAMES, Field
from muster_host.frames import Views
from muster_host.inputs import array_maker, object_maker

try:
    from pandas.api.internals import (  # type: ignore[import-not-found]  # pandas-stubs lack it
        create_dataframe_from_blocks as _frame_of_blocks,
    )
except ImportError:  # pandas before 2.3
    _frame_of_blocks = None

#: (rows, data, nulls) -> the array of one column
Maker = Callable[[int, memoryview, "memoryview | None"], Any]


class _Block:
    """Columns of one NumPy dtype."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.places: list[int] = []
        self.makers: list[Maker] = []


class _Texts:
    """Text columns of one extension dtype."""

    def __init__(self, dtype: Any) -> None:
        self.dtype = dtype
        self.places: list[int] = []
        self.fields: list[Field] = []
        self._make = dtype.construct_array_type()._from_sequence  # noqa: SLF001 - part of pandas' extension interface

    def arrays(self, rows: int, columns: Sequence[Views]) -> list[Any]:
        """One array per column, cut from a single one."""
        values: list[Any] = []
        for place, field in zip(self.places, self.fields):
            data, nulls = columns[place]
            texts = field.texts(data, rows)
            values += texts if nulls is None else [None if null else text for text, null in zip(texts, nulls)]
        whole = self._make(values, dtype=self.dtype)
        return [whole[at : at + rows] for at in range(0, len(values), rows)]


def builder_of(fields: Sequence[Field], runtime: Mapping[str, Any]) -> Callable[[int, Sequence[Views]], Any]:
    """The builder for these fields."""
    dtypes = runtime.get("dtypes") or {}
    blocks: dict[str, _Block] = {}
    texts: dict[str, _Texts] = {}
    others: list[tuple[int, Maker]] = []
    for place, field in enumerate(fields):
        name = dtypes.get(field.name) or ("object" if not field.item_bytes else NUMPY_NAMES[field.datatype])
        dtype = None if name == "category" else pd.api.types.pandas_dtype(name)
        if isinstance(dtype, np.dtype):
            block = blocks.setdefault(str(dtype), _Block(dtype))
            block.places.append(place)
            block.makers.append(_numpy_maker(field, dtype, runtime))
        elif isinstance(dtype, pd.StringDtype) and not field.shape:
            group = texts.setdefault(repr(dtype), _Texts(dtype))
            group.places.append(place)
            group.fields.append(field)
        else:
            others.append((place, _extension_maker(field, dtype, runtime)))
    index = pd.Index([field.name for field in fields])
    return _Assembly(index, list(blocks.values()), list(texts.values()), others).build


class _Assembly:
    """Puts the blocks together."""

    def __init__(self, names: Any, blocks: list[_Block], texts: list[_Texts], others: list[tuple[int, Maker]]) -> None:
        self._names = names
        self._blocks = [(block.dtype, np.array(block.places), block.places, block.makers) for block in blocks]
        self._texts = texts
        self._others = others
        self._at = [np.array([place]) for place in range(len(names))]

    def build(self, rows: int, columns: Sequence[Views]) -> Any:
        """The DataFrame of a batch."""
        if _frame_of_blocks is None or not rows:
            return self._plain(rows, columns)
        parts = []
        for dtype, where, places, makers in self._blocks:
            block = np.empty((len(places), rows), dtype)
            for line, place, make in zip(block, places, makers):
                line[:] = make(rows, *columns[place])
            parts.append((block, where))
        for place, array in self._extensions(rows, columns):
            parts.append((array, self._at[place]))
        return _frame_of_blocks(parts, pd.RangeIndex(rows), self._names)

    def _plain(self, rows: int, columns: Sequence[Views]) -> Any:
        found: dict[int, Any] = {}
        for _, _, places, makers in self._blocks:
            for place, make in zip(places, makers):
                found[place] = make(rows, *columns[place])
        found.update(self._extensions(rows, columns))
        return pd.DataFrame({name: found[place] for place, name in enumerate(self._names)}, index=pd.RangeIndex(rows))

    def _extensions(self, rows: int, columns: Sequence[Views]) -> list[tuple[int, Any]]:
        found = [(place, make(rows, *columns[place])) for place, make in self._others]
        for group in self._texts:
            if rows:
                found += zip(group.places, group.arrays(rows, columns))
            else:
                found += [(place, pd.array([], dtype=group.dtype)) for place in group.places]
        return found


def _numpy_maker(field: Field, dtype: Any, runtime: Mapping[str, Any]) -> Maker:
    none = float("nan") if (runtime.get("missing") or {}).get(field.name) == "nan" else None
    if field.shape or not field.item_bytes or dtype.kind == "O":
        make = object_maker(field, none)
        return make if dtype.kind in "OUS" else lambda rows, data, nulls: make(rows, data, nulls).astype(dtype)
    return array_maker(field, dtype)


def _extension_maker(field: Field, dtype: Any, runtime: Mapping[str, Any]) -> Maker:
    if dtype is None:
        return _category_maker(field, (runtime.get("categories") or {}).get(field.name))
    if field.item_bytes and not field.shape and _is_masked(dtype):
        return _masked_maker(field, dtype)
    make_array = dtype.construct_array_type()._from_sequence  # noqa: SLF001 - part of pandas' extension interface

    def make(rows: int, data: memoryview, nulls: memoryview | None) -> Any:
        values = field.values(rows, data)
        if nulls is not None:
            values = [None if null else value for value, null in zip(values, nulls)]
        return make_array(values, dtype=dtype)

    return make


def _is_masked(dtype: Any) -> bool:
    masked = (pd.arrays.IntegerArray, pd.arrays.FloatingArray, pd.arrays.BooleanArray)
    return issubclass(dtype.construct_array_type(), masked)


def _masked_maker(field: Field, dtype: Any) -> Maker:
    wire = np.dtype(NUMPY_NAMES[field.datatype])
    kind = dtype.construct_array_type()
    wanted = np.dtype(dtype.numpy_dtype)

    def make(rows: int, data: memoryview, nulls: memoryview | None) -> Any:
        mask = np.zeros(rows, np.bool_) if nulls is None else np.frombuffer(nulls, np.bool_).copy()
        return kind(np.frombuffer(data, wire).astype(wanted), mask)

    return make


def _category_maker(field: Field, categories: Mapping[str, Any] | None) -> Maker:
    if categories is None:
        raise ValueError("field %r is a category, and runtime.categories does not list its values" % field.name)
    if field.shape:
        raise ValueError("field %r is a tensor; a tensor cannot be a category" % field.name)
    listed = list(categories["values"])
    index = pd.Index(listed, dtype=categories.get("dtype"))
    dtype = pd.CategoricalDtype(index, ordered=bool(categories.get("ordered")))
    code_of = {value: code for code, value in enumerate(listed)}
    codes = np.int8 if len(listed) < 127 else np.int32

    def make(rows: int, data: memoryview, nulls: memoryview | None) -> Any:
        # A value that the lab never saw is no category: pandas makes it missing, and so do we.
        found = [code_of.get(value, -1) for value in field.values(rows, data)]
        if nulls is not None:
            found = [-1 if null else code for code, null in zip(found, nulls)]
        return pd.Categorical.from_codes(np.array(found, codes), dtype=dtype)

    return make
