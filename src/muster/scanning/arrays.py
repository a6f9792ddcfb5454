"""Arrays in NumPy's own format: numbers are harmless, an array of objects is a pickle.

Source: https://numpy.org/doc/stable/reference/generated/numpy.lib.format.html.
"""

import ast

from muster.scanning.machine import Unreadable

MAGIC = b"\x93NUMPY"
_HEADS = {1: 2, 2: 4, 3: 4}
"""Bytes of the length of the header, by the format's first number."""


def pickle_in_array(content: bytes) -> bytes | None:
    """The pickle that an array of objects is; None: it holds none.

    Args:
        content: of a file that begins with `MAGIC`.

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
        kind = header["descr"]
    except (ValueError, SyntaxError, KeyError, TypeError, MemoryError, RecursionError, UnicodeDecodeError) as error:
        raise Unreadable(f"the header of the array cannot be read: {type(error).__name__}") from error
    return content[ends:] if _holds_objects(kind) else None


def _holds_objects(kind: object) -> bool:
    if isinstance(kind, str):
        return kind.lstrip("<>=|")[:1] == "O"
    if isinstance(kind, tuple | list):
        return any(_holds_objects(one) for one in kind)
    return False
