"""The datatypes of the Open Inference Protocol V2, their sizes and their NumPy names.

Source: Open Inference Protocol V2, "Tensor Data Types"; raw layout: its binary tensor data extension.
"""

from enum import StrEnum


class Datatype(StrEnum):
    """A V2 tensor datatype."""

    BOOL = "BOOL"
    UINT8 = "UINT8"
    UINT16 = "UINT16"
    UINT32 = "UINT32"
    UINT64 = "UINT64"
    INT8 = "INT8"
    INT16 = "INT16"
    INT32 = "INT32"
    INT64 = "INT64"
    FP16 = "FP16"
    FP32 = "FP32"
    FP64 = "FP64"
    BYTES = "BYTES"


#: Bytes of one element in the raw layout; BYTES elements are a 4-byte little-endian length and that many bytes.
ITEM_BYTES: dict[Datatype, int] = {
    Datatype.BOOL: 1, Datatype.UINT8: 1, Datatype.INT8: 1,
    Datatype.UINT16: 2, Datatype.INT16: 2, Datatype.FP16: 2,
    Datatype.UINT32: 4, Datatype.INT32: 4, Datatype.FP32: 4,
    Datatype.UINT64: 8, Datatype.INT64: 8, Datatype.FP64: 8,
}  # fmt: skip

#: NumPy's name of the raw layout, little-endian.
NUMPY_NAMES: dict[Datatype, str] = {
    Datatype.BOOL: "|b1", Datatype.UINT8: "|u1", Datatype.INT8: "|i1",
    Datatype.UINT16: "<u2", Datatype.INT16: "<i2", Datatype.FP16: "<f2",
    Datatype.UINT32: "<u4", Datatype.INT32: "<i4", Datatype.FP32: "<f4",
    Datatype.UINT64: "<u8", Datatype.INT64: "<i8", Datatype.FP64: "<f8",
}  # fmt: skip

#: Smallest and largest value of the whole-number datatypes.
INTEGER_RANGES: dict[Datatype, tuple[int, int]] = {
    **{Datatype(f"UINT{bits}"): (0, 2**bits - 1) for bits in (8, 16, 32, 64)},
    **{Datatype(f"INT{bits}"): (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) for bits in (8, 16, 32, 64)},
}
FLOATS = frozenset({Datatype.FP16, Datatype.FP32, Datatype.FP64})
