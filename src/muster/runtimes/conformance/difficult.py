"""Values on which hosts stumble: the ends of ranges, the last bits of floats, texts of every kind."""

from typing import Any

import numpy as np
import numpy.typing as npt

from muster.vocabulary.tensors import FLOATS, INTEGER_RANGES, NUMPY_NAMES, Datatype

Array = npt.NDArray[Any]

#: Beyond this, a double no longer names one whole number.
_EXACT = 2**53
_BITS = {Datatype.FP16: 16, Datatype.FP32: 32, Datatype.FP64: 64}
#: A text with the character that ends a string in C.
ZERO_TEXT = "before\0after"
TEXTS = (
    "", " ", "  padded  ", "tab\tand\nline\r\nend\r", 'quotes " and ` and \u0027', "back\\slash \\n \\u0041", '{"a": [1, null]}', ",;|",
    "NA", "NaN", "null", "NULL", "None", "true", "1e5", "007", "-0", "Zoë Ångström", "Zoe\u0308 \u212b",
    "\u00df \u017f \u0130 \u0131", "日本語 한국어 ภาษาไทย", "עברית العربية", "\u202eright to left\u202c",
    "\U0001f468\u200d\U0001f469\u200d\U0001f467 \U0001f3f3\ufe0f\u200d\U0001f308", "\U0010ffff \ufffd \uffff", "\ufeffmark",
    "\u2028\u2029\x85", "\x01\x1f\x7f", "a\u0300\u0301\u0302", "\U0001d518\U0001d52b\U0001d526", "x" * 65_536, "é" * 40_000,
)  # fmt: skip


def ordinary(datatype: Datatype) -> Array:
    """Values that every model meets: both truths, both signs, small fractions, short texts."""
    if datatype is Datatype.BYTES:
        return np.array(["", "a", "monthly", "two words", "1.5", "-", "Yes", "no"], dtype=object)
    if datatype is Datatype.BOOL:
        return np.array([False, True] * 4)
    if datatype in FLOATS:
        values: list[float] = [0.0, 1.0, -1.0, 0.5, -0.25, 100.0, -1000.0, 3.0]
        return np.array(values, dtype=NUMPY_NAMES[datatype])
    low, high = INTEGER_RANGES[datatype]
    # Of 64 bits only what a double holds, too: the rest is a case of its own.
    low, high = max(low, -_EXACT), min(high, _EXACT)
    return np.array([0, 1, low, high, low + 1, high - 1, high // 2, high // 2 + 1], dtype=NUMPY_NAMES[datatype])


def large_integers(datatype: Datatype) -> Array:
    """INT64 and UINT64 that no double holds, and their neighbours."""
    low, high = INTEGER_RANGES[datatype]
    found = [high, high - 1, high // 2, high // 3, _EXACT - 1, _EXACT, _EXACT + 1, _EXACT + 3, 2**62 + 1, 2**60 - 1]
    found += [low, low + 1, -_EXACT + 1, -_EXACT, -_EXACT - 1, -(2**62) - 1] if low else [2**63, 2**63 + 1, 2**64 - 3]
    return np.array(found, dtype=NUMPY_NAMES[datatype])


def extremes(datatype: Datatype) -> Array:
    """The few values of a datatype that most likely make of their whole column something else."""
    if datatype is Datatype.BYTES:
        return np.array(["", "NA", "1e5", "Zoë \U0001f308"], dtype=object)
    if datatype is Datatype.BOOL:
        return np.array([False, True])
    if datatype in FLOATS:
        info = np.finfo(NUMPY_NAMES[datatype])
        return np.array([-0.0, 0.5, info.max, info.smallest_subnormal], dtype=NUMPY_NAMES[datatype])
    low, high = INTEGER_RANGES[datatype]
    return np.array([low, high, *([_EXACT + 1] if high > _EXACT else [])], dtype=NUMPY_NAMES[datatype])


def finite_bits(datatype: Datatype, count: int, seed: int = 0) -> Array:
    """Finite floats of all kinds of bits: zeros of both signs, subnormals, the ends of the range, and drawn ones.

    Args:
        datatype: FP16, of which there are 63,488, FP32 or FP64.
        count: how many.
        seed: of what is drawn.
    """
    bits = _BITS[datatype]
    unsigned = f"<u{bits // 8}"
    name = NUMPY_NAMES[datatype]
    if datatype is Datatype.FP16:
        every = np.arange(1 << 16, dtype=unsigned).view(name)
        every = every[np.isfinite(every)]
        if count >= len(every):
            return np.resize(every, count)
    info = np.finfo(name)
    special = np.array(
        [0.0, -0.0, info.tiny, -info.tiny, info.smallest_subnormal, -info.smallest_subnormal, info.max, info.min,
         info.eps, 1 + info.eps, 1 - info.epsneg, 0.1, 1 / 3, -np.pi, np.e],
        dtype=name,
    )  # fmt: skip
    drawn = np.random.default_rng(seed).integers(0, (1 << bits) - 1, 2 * count + 64, dtype=unsigned, endpoint=True)
    values = drawn.view(name)
    return np.concatenate([special, values[np.isfinite(values)]])[:count]


def nan_bits(datatype: Datatype) -> Array:
    """NaNs of both signs that carry something; FP16 only the plain one, as many languages have no such type.

    None of them signals, as reading such a one is enough to change it on some processors, and none is the one that R uses for NA.
    """
    patterns = {
        Datatype.FP16: [0x7E00],
        Datatype.FP32: [0x7FC00000, 0xFFC00000, 0x7FC0ABCD, 0xFFDFFFFF],
        Datatype.FP64: [0x7FF8000000000000, 0xFFF8000000000000, 0x7FF8000000000ABC, 0xFFFBADC0FFEE1234],
    }[datatype]
    return np.array(patterns, dtype=f"<u{_BITS[datatype] // 8}").view(NUMPY_NAMES[datatype])
