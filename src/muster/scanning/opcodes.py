"""The opcodes of a pickle, read as CPython's unpicklers read them, the one in C and the one in Python.

`pickletools` reads some arguments more narrowly than the unpicklers do: it takes no `I0x10`, no name that is not ASCII, no text of other
encodings. A reader that stops where they go on would call harmless what they run. So lines are read here as the more generous of the two
reads them, and where this stops, both have stopped.

Source: Lib/pickle.py, Modules/_pickle.c and Lib/pickletools.py of CPython 3.11.
"""

import codecs
import pickletools
import struct
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any


class Stops(Exception):
    """Every unpickler stops here: nothing behind it is run."""


def opcodes(stream: BytesIO) -> Iterator[tuple[str, Any]]:
    """Name and argument of each opcode, up to STOP; imports are pairs of module and name.

    Args:
        stream: positioned at the first opcode; left behind STOP.

    Raises:
        Stops: it breaks off, or holds what is no opcode.
    """
    while True:
        code = stream.read(1)
        opcode = BY_CODE.get(code)
        if opcode is None:
            raise Stops(f"{code!r} is no opcode" if code else "it breaks off before its STOP")
        yield opcode.name, _argument(opcode, stream)
        if code == b".":
            return


def _argument(opcode: pickletools.OpcodeInfo, stream: BytesIO) -> Any:
    if opcode.arg is None:
        return None
    line = _LINES.get(opcode.name)
    try:
        return opcode.arg.reader(stream) if line is None else line(stream)
    except (ValueError, OverflowError, struct.error) as error:
        raise Stops(f"{opcode.name} has no argument: {str(error)[:200]}") from error


def _line(stream: BytesIO) -> bytes:
    """A line without its last byte, whatever that is: so the unpickler in Python takes it at the end of a file."""
    return stream.readline()[:-1]


def _import(stream: BytesIO) -> tuple[str, str]:
    return _line(stream).decode("utf-8"), _line(stream).decode("utf-8")


def _integer(stream: BytesIO) -> int:
    text = _line(stream)
    if text in {b"00", b"01"}:
        return text == b"01"
    try:
        return int(text, 0)
    except ValueError:
        return int(text, 8)  # C reads 010 as 8


def _long(stream: BytesIO) -> int:
    return int(_line(stream).removesuffix(b"L"), 0)


def _text(stream: BytesIO) -> str:
    quoted = _line(stream)
    if len(quoted) < 2 or quoted[0] != quoted[-1] or quoted[:1] not in {b"'", b'"'}:
        raise ValueError("it has no quotes")
    return codecs.escape_decode(quoted[1:-1])[0].decode("latin-1")  # whoever reads it may say its encoding


_LINES: dict[str, Callable[[BytesIO], Any]] = {
    "GLOBAL": _import,
    "INST": _import,
    "INT": _integer,
    "LONG": _long,
    "FLOAT": lambda stream: float(_line(stream)),
    "STRING": _text,
    "UNICODE": lambda stream: _line(stream).decode("raw-unicode-escape"),
    "PERSID": lambda stream: _line(stream).decode("ascii"),
    "GET": lambda stream: int(_line(stream)),
    "PUT": lambda stream: int(_line(stream)),
}
BY_CODE = {opcode.code.encode("latin-1"): opcode for opcode in pickletools.opcodes}
