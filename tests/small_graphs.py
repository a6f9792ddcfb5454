"""ONNX files of a few nodes, written byte by byte: what an exporter would write, without an exporter.

Only what the tests need of the format is here. Source: https://github.com/onnx/onnx/blob/main/onnx/onnx.proto
"""

import struct
from collections.abc import Sequence

FLOAT, STRING, INT64, BOOL, DOUBLE = 1, 8, 7, 9, 11
_IR_VERSION = 8
_OPSET = 17


def graph(
    nodes: Sequence[bytes],
    inputs: Sequence[bytes],
    outputs: Sequence[bytes],
    constants: Sequence[bytes] = (),
) -> bytes:
    """A model of one graph."""
    body = b"".join(
        [
            *(_block(1, each) for each in nodes),
            _text(2, "small"),
            *(_block(5, each) for each in constants),
            *(_block(11, each) for each in inputs),
            *(_block(12, each) for each in outputs),
        ]
    )
    return _number(1, _IR_VERSION) + _block(7, body) + _block(8, _text(1, "") + _number(2, _OPSET))


def node(operator: str, inputs: Sequence[str], outputs: Sequence[str], **attributes: int) -> bytes:
    """One node; its attributes are whole numbers."""
    told = [_block(5, _text(1, name) + _number(3, value) + _number(20, 2)) for name, value in attributes.items()]
    given = [_text(1, name) for name in inputs] + [_text(2, name) for name in outputs]
    return b"".join([*given, _text(4, operator), *told])


def tensor(name: str, kind: int, *shape: int | str) -> bytes:
    """An input or output; an extent that is a word may be anything."""
    extents = b"".join(
        _block(1, _text(2, extent) if isinstance(extent, str) else _number(1, extent)) for extent in shape
    )
    return _text(1, name) + _block(2, _block(1, _number(1, kind) + _block(2, extents)))


def doubles(name: str, values: Sequence[float], *shape: int) -> bytes:
    """A constant."""
    raw = struct.pack(f"<{len(values)}d", *values)
    return b"".join(_number(1, extent) for extent in shape) + _number(2, DOUBLE) + _text(8, name) + _bytes(9, raw)


def _varint(value: int) -> bytes:
    parts = bytearray()
    while value > 127:
        parts.append(value & 127 | 128)
        value >>= 7
    return bytes([*parts, value])


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _bytes(field: int, content: bytes) -> bytes:
    return _varint(field << 3 | 2) + _varint(len(content)) + content


def _block(field: int, content: bytes) -> bytes:
    return _bytes(field, content)


def _text(field: int, content: str) -> bytes:
    return _bytes(field, content.encode("utf-8"))
