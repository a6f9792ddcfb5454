"""The wire of JSON lines: what JSON cannot say is said by rule, and comes back as it was."""

import json
import math
import struct
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster_host import lines
from muster_host.fields import INTEGER_RANGES, STRUCT_CODES, Field
from muster_host.outputs import reader_of
from muster_host.promises import OutputBroken

FLOATS: dict[str, Literal[16, 32, 64]] = {"FP16": 16, "FP32": 32, "FP64": 64}


def field(datatype: str, **more: Any) -> Field:
    """An output `y`."""
    return Field({"name": "y", "datatype": datatype, **more})


def answered(what: Field, text: str, rows: int = 1) -> list[Any]:
    """The values of an answer whose data are this JSON."""
    document = lines.parse(b'{"outputs": [{"name": "y", "data": %s}]}' % text.encode())
    return lines.answered(document, [what], rows)["y"]


def there_and_back(what: Field, rows: int, data: bytes, nulls: bytes | None = None) -> tuple[bytes, bytes | None]:
    """A column written as a line, and the same line read as an answer."""
    line = lines.question(3, [what], rows, [(memoryview(data), None if nulls is None else memoryview(nulls))])
    assert line.endswith(b"\n")
    assert line.count(b"\n") == 1
    tensors = lines.parse(line)["inputs"]
    return reader_of([what])(lines.answered({"outputs": tensors}, [what], rows), rows)[0]


@pytest.mark.parametrize("datatype", sorted(INTEGER_RANGES))
@given(data=st.data())
def test_whole_numbers(datatype: str, data: st.DataObject) -> None:
    """Every integer comes back exactly, the largest ones, too."""
    low, high = INTEGER_RANGES[datatype]
    values = data.draw(st.lists(st.integers(low, high) | st.sampled_from([low, high, 0]), min_size=1))
    packed = struct.pack(f"<{len(values)}{STRUCT_CODES[datatype]}", *values)
    assert there_and_back(field(datatype), len(values), packed) == (packed, None)


@pytest.mark.parametrize("datatype", sorted(FLOATS))
@given(data=st.data())
def test_finite_floats(datatype: str, data: st.DataObject) -> None:
    """Every finite float comes back bit for bit, -0.0 and the smallest ones, too."""
    floats = st.floats(allow_nan=False, allow_infinity=False, width=FLOATS[datatype])
    values = data.draw(st.lists(floats | st.just(-0.0), min_size=1))
    packed = struct.pack(f"<{len(values)}{STRUCT_CODES[datatype]}", *values)
    assert there_and_back(field(datatype), len(values), packed) == (packed, None)


@given(st.lists(st.text(), min_size=1))
def test_texts(values: list[str]) -> None:
    """Any Unicode in one line, whatever line ends it holds."""
    what = field("BYTES")
    packed = b"".join(struct.pack("<I", len(text.encode())) + text.encode() for text in values)
    assert there_and_back(what, len(values), packed) == (packed, None)


def test_nulls_of_scalars_and_tensors() -> None:
    """A null is null; in a tensor all elements of its row are."""
    scalar, tensor = field("INT8", nullable=True), field("INT16", shape=[2], nullable=True)
    assert there_and_back(scalar, 3, b"\1\0\3", b"\0\1\0") == (b"\1\0\3", b"\0\1\0")
    assert there_and_back(tensor, 2, b"\1\0\2\0\0\0\0\0", b"\0\1") == (b"\1\0\2\0\0\0\0\0", b"\0\1")
    assert lines.written(tensor, 2, memoryview(bytes(8)), memoryview(b"\0\1")) == [0, 0, None, None]


def test_how_a_line_looks() -> None:
    """Compact, in UTF-8, with V2 tensors."""
    what = [Field({"name": "größe", "datatype": "FP64"}), Field({"name": "n", "datatype": "UINT64", "shape": [2]})]
    columns = [(memoryview(struct.pack("<d", 0.1)), None), (memoryview(struct.pack("<2Q", 2**53, 2**53 + 1)), None)]
    assert (
        lines.question(17, what, 1, columns)
        == (
            '{"id":"17","inputs":[{"name":"größe","datatype":"FP64","shape":[1],"data":[0.1]},'
            '{"name":"n","datatype":"UINT64","shape":[1,2],"data":[9007199254740992,"9007199254740993"]}]}\n'
        ).encode()
    )


def test_what_is_no_number_is_a_text() -> None:
    """NaN and the infinities go out as texts, and are understood as such."""
    what = field("FP32", shape=[4])
    packed = struct.pack("<4f", math.nan, math.inf, -math.inf, 1.5)
    assert lines.written(what, 1, memoryview(packed), None) == ["NaN", "Infinity", "-Infinity", 1.5]
    values = answered(field("FP64", shape=[4]), '["NaN", "Infinity", "-Infinity", 1e0]')[0]
    assert math.isnan(values[0])
    assert values[1:] == [math.inf, -math.inf, 1.0]


@pytest.mark.parametrize(
    ("datatype", "text", "value"),
    [
        ("INT64", "9007199254740993", 2**53 + 1),
        ("INT64", '"9007199254740993"', 2**53 + 1),
        ("UINT64", "18446744073709551615", 2**64 - 1),
        ("INT64", "9007199254740993.0", 2**53 + 1),
        ("INT64", "-9.007199254740993e15", -(2**53) - 1),
        ("INT8", "-3e0", -3),
        ("INT16", "1e3", 1000),
        ("INT16", "2500e-2", 25),
        ("INT8", "-0.0", 0),
        ("INT8", '"-5"', -5),
        ("FP64", "3", 3.0),
        ("FP32", "0.1", struct.unpack("<f", struct.pack("<f", 0.1))[0]),
        ("BOOL", "true", True),
        ("BYTES", '"\\ud83d\\ude00"', "\U0001f600"),
    ],
)
def test_what_is_understood(datatype: str, text: str, value: Any) -> None:
    """Integers are read exactly, never by way of a float; a decimal is the nearest value of its field."""
    (found,) = answered(field(datatype), f"[{text}]")
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("datatype", "text"),
    [
        ("INT64", "1.5"), ("INT64", "1e-1"), ("INT64", "true"), ("INT64", '"1.0"'), ("INT64", '"--5"'), ("INT64", '"\u0663"'),
        ("INT64", '"NaN"'), ("INT64", "NaN"), ("INT64", "1e999999999"), ("FP64", '"0.5"'), ("FP64", "true"), ("FP64", '"nan"'),
        ("FP16", "70000"), ("FP32", "1e39"), ("BOOL", "1"), ("BOOL", '"true"'), ("BYTES", "5"), ("BYTES", '"\\ud83d"'),
        ("INT64", "[1]"), ("INT64", "{}"),
    ],
)  # fmt: skip
def test_what_is_refused(datatype: str, text: str) -> None:
    """What is no value of the field is told with its row."""
    with pytest.raises(OutputBroken, match="row 0"):
        answered(field(datatype), f"[{text}]")


@pytest.mark.parametrize(
    ("document", "said"),
    [
        ({}, "without a list of outputs"),
        ({"outputs": ["y"]}, "without a list of outputs"),
        ({"outputs": []}, "answered outputs named nothing; its contract names y"),
        ({"outputs": [{"name": "z", "data": [1]}]}, "outputs named z"),
        ({"outputs": [{"name": "y", "data": [1]}, {"name": "y", "data": [1]}]}, "outputs named y"),
        ({"outputs": [{"name": "y", "data": [1, 2]}]}, "has 2 elements for 1 rows, not 1"),
        ({"outputs": [{"name": "y", "data": 1}]}, "has int elements"),
        ({"outputs": [{"name": "y", "datatype": "FP32", "data": [1]}]}, "is FP32; its contract says INT64"),
        ({"outputs": [{"name": "y", "shape": [2], "data": [1]}]}, r"has the shape \[2\]; it should be \[1\]"),
    ],
)
def test_answers_that_do_not_fit(document: dict[str, Any], said: str) -> None:
    """Names, datatype, shape and number of elements are the contract's."""
    with pytest.raises(OutputBroken, match=said):
        lines.answered(document, [field("INT64")], 1)


def test_an_empty_batch() -> None:
    """No rows are an empty list."""
    assert there_and_back(field("FP64", shape=[3]), 0, b"") == (b"", None)
    assert json.loads(lines.question(1, [field("BYTES")], 0, [(memoryview(b""), None)]))["inputs"][0]["data"] == []
