"""Arrays in NumPy's own format: numbers are harmless, an array of objects is a pickle.

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

import ast
import operator
from math import prod

import numpy as np

from muster.scanning.machine import Unreadable

MAGIC = b"\x93NUMPY"
_HEADS = {1: 2, 2: 4, 3: 4}
"""Bytes of the length of the header, by the format's first number."""


def behind_array(content: bytes) -> tuple[bool, bytes]:
    """Whether an array holds objects, and what lies behind: the pickle that they are, or what follows the numbers.

    Args:
        content: of a file that begins with `MAGIC`, or its first bytes.

    Raises:
        Unreadable: its header cannot be read.
    """
    width = _HEADS.get(content[6] if len(content) > 6 else 0)
    if width is None:
        raise Unreadable("it is an array of NumPy in a format that nobody knows")
    begins = 8 + width
    ends = begins + int.from_bytes(content[8:begins], "little")
    try:
        header = ast.literal_eval(content[begins:ends].decode("utf-8" if width == 4 else "latin-1").strip())
        kind = np.lib.format.descr_to_dtype(header["descr"])  # as NumPy reads it: 'object' and 'i4,O' are objects, too
        size = kind.itemsize * prod(operator.index(edge) for edge in header["shape"])
    except Exception as error:  # whatever NumPy stumbles over
        raise Unreadable(f"the header of the array cannot be read: {type(error).__name__}") from error
    return (True, content[ends:]) if kind.hasobject else (False, content[ends + max(size, 0) :])
