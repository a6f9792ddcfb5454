"""Arrays as joblib writes them: a wrapper that tells type and shape, and behind its BUILD the bytes, between the opcodes of the pickle.

Whoever finds another end of those bytes than joblib does reads other opcodes than joblib runs. So the wrapper is accepted in the one form
that joblib writes, and its size is worked out from a type in the one form that NumPy writes.

Source: joblib/numpy_pickle.py, NumpyArrayWrapper.read_array; numpy/_core/src/multiarray/descriptor.c, arraydescr_reduce.
"""

import re
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from muster.scanning.nodes import Global, Items, Made

#: The class, under whatever module's name it is found.
NAME = "NumpyArrayWrapper"
#: Those of joblib before 0.10: they read other files.
OLD_NAMES = frozenset({"NDArrayWrapper", "ZNDArrayWrapper"})
_LARGEST = 2**48
_HAS_OBJECTS = 1
"""NPY_ITEM_HASOBJECT among the flags of a type."""
_STATE = 8
_PLAIN_TYPE = re.compile(r"[<>|=]?([?bBhHiIlLqQefdgFDGO]|[biufcmMSUVO][0-9]{1,9})|object")
#: What may stand between the class and the call that makes it.
_KEEPS = frozenset({"PUT", "BINPUT", "LONG_BINPUT", "MEMOIZE", "FRAME"})


@dataclass(frozen=True, slots=True)
class Layout:
    """What lies behind a wrapper."""

    size: int
    """Of its bytes, padding apart; of objects nothing is said."""
    is_padded: bool
    has_objects: bool


def is_wrapper(node: Any) -> bool:
    """Whether it is the wrapper's class, or made of it."""
    named = node.by if isinstance(node, Made) else node
    return isinstance(named, Global) and named.name.rpartition(".")[2] == NAME


def may_follow(before: str, opcode: str) -> bool:
    """Whether an opcode may follow the wrapper's class: joblib keeps it, and makes one without arguments."""
    if before == "class":
        return opcode in _KEEPS or opcode == "EMPTY_TUPLE"
    return opcode == "NEWOBJ"


def layout_of(state: Any) -> Layout:
    """What lies behind a wrapper of this state.

    Raises:
        ValueError: it does not say so in the form that joblib writes.
    """
    if not isinstance(state, Items) or not all(type(key) is str for key in state.keys):
        raise ValueError("an array of joblib does not tell its type and shape")
    told = dict(zip(state.keys, state.values, strict=True))
    kind, shape = told.get("dtype"), told.get("shape")
    if not isinstance(shape, tuple) or not all(type(edge) is int and 0 <= edge < _LARGEST for edge in shape):
        raise ValueError("an array of joblib does not tell its type and shape")
    itemsize, has_objects = _type(kind)
    count = prod(shape)
    if count * max(itemsize, 1) >= _LARGEST:
        raise ValueError("an array of joblib is beyond every measure")
    return Layout(count * itemsize, told.get("numpy_array_alignment_bytes") is not None, has_objects)


def _type(kind: Any) -> tuple[int, bool]:
    """Bytes of an item, and whether it holds objects."""
    text = kind.arguments[0] if isinstance(kind, Made) and str(kind.by) == "numpy.dtype" and kind.arguments else None
    if not isinstance(text, str):
        raise ValueError("the type of an array of joblib is computed")  # noqa: TRY004 - of the pickle
    if not _PLAIN_TYPE.fullmatch(text):
        raise ValueError(f"the type {text[:50]!r} of an array of joblib is none that NumPy writes")
    plain = np.dtype(text)
    assert isinstance(kind, Made)
    if kind.state is None:
        return plain.itemsize, plain.hasobject
    state = kind.state
    if not isinstance(state, tuple) or len(state) < _STATE:
        raise ValueError("the type of an array of joblib is computed")
    has_objects = plain.hasobject or _inner_objects(state[2]) or _inner_objects(state[4])
    size, flags = state[5], state[7]
    # NumPy takes both from the state, whatever the type's name and its fields say.
    if size not in {-1, plain.itemsize} or type(flags) is not int or bool(flags & _HAS_OBJECTS) != has_objects:
        raise ValueError("the type of an array of joblib contradicts itself")
    return plain.itemsize, has_objects


def _inner_objects(node: Any) -> bool:
    """Whether the fields of a type, or the type of its items, hold objects."""
    if isinstance(node, Made):
        return _type(node)[1]
    parts = node.values if isinstance(node, Items) else node if isinstance(node, tuple) else ()
    held = [_inner_objects(part) for part in parts]  # each is looked at: one that contradicts itself refuses the array
    return any(held)
