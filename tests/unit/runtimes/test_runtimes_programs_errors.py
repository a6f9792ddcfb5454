"""What programs say of their errors: whatever the bytes are, the request fails and the program goes on."""

import json
from collections.abc import Callable
from typing import Any

import pytest

from muster_host import frames
from muster_host.fields import Field
from muster_host.lines import LinesProgram
from muster_host.programs import BinaryProgram, ProgramGone
from muster_host.raised import ModelRaised, ProgramFailed

FIELDS = [Field({"name": "x", "datatype": "FP64"})]
COLUMNS = [(memoryview(bytes(8)), None)]
LOADED = frames.json_frame(frames.LOADED, {"language": "odd"})


class Saying:
    """A process that says one thing after each question."""

    def __init__(self, *said: bytes) -> None:
        self._said = list(said)

    def write(self, buffers: list[bytes], early: Callable[[bytes], None]) -> None:
        """Hear it."""

    def read(self, at_most: int, until: float | None = None) -> bytes:
        """The next thing, whole."""
        assert len(self._said[0]) <= at_most
        return self._said.pop(0)

    def ending(self, within_s: float | None) -> str:
        """It has not."""
        return "it still runs"


def erring(sequence: int, payload: bytes) -> bytes:
    return frames.head(frames.ERROR, len(payload), sequence) + payload


def binary(*said: bytes) -> BinaryProgram:
    return BinaryProgram(Saying(*said), {}, 1.0)  # type: ignore[arg-type]


def lines(*said: bytes) -> LinesProgram:
    return LinesProgram(Saying(*said), {}, 1.0, FIELDS, FIELDS)  # type: ignore[arg-type]


def line(document: dict[str, Any]) -> bytes:
    return json.dumps(document).encode() + b"\n"


def test_an_error_of_other_bytes_than_utf_8_is_the_models_error() -> None:
    """On the binary wire; the next question is answered as ever."""
    program = binary(
        LOADED,
        erring(1, b'{"code": "model-raised", "message": "pas trouv\xe9"}'),
        erring(2, b'{"message": "half \\ud83d"}'),
    )
    with pytest.raises(ModelRaised, match=r"^pas trouv\N{REPLACEMENT CHARACTER}$"):
        program.ask(1, COLUMNS)
    with pytest.raises(ModelRaised, match=r"^half \?$"):
        program.ask(1, COLUMNS)


def test_a_program_may_say_in_any_bytes_why_it_cannot_load() -> None:
    """So its reason is not lost behind a complaint about its encoding."""
    with pytest.raises(ProgramFailed, match=r"^pas trouv\N{REPLACEMENT CHARACTER}$"):
        binary(erring(0, b'{"message": "pas trouv\xe9"}'))
    with pytest.raises(ProgramFailed, match=r"^pas trouv\N{REPLACEMENT CHARACTER}$"):
        lines(b'{"error": "pas trouv\xe9"}\n')


def test_lines_of_other_bytes_than_utf_8_are_errors_or_nothing() -> None:
    """An error keeps its words; an answer whose texts cannot be known is none."""
    program = lines(
        line({"loaded": {}}),
        b'{"id": "1", "error": {"message": "pas trouv\xe9"}}\n',
        b'{"id": "2", "outputs": ["\xe9"]}\n',
    )
    with pytest.raises(ModelRaised, match=r"^pas trouv\N{REPLACEMENT CHARACTER}$"):
        program.ask(1, COLUMNS)
    with pytest.raises(ProgramGone, match="no JSON"):
        program.ask(1, COLUMNS)


def test_an_error_that_is_null_is_none() -> None:
    """As serialisers write a field that is not there."""
    answer = {"outputs": [{"name": "x", "data": [1.5]}]}
    program = lines(
        line({"loaded": {}, "error": None}), line({"id": "1", **answer, "error": None}), line({"id": "2", "error": ""})
    )
    assert program.ask(1, COLUMNS) == {"x": [1.5]}
    with pytest.raises(ModelRaised):
        program.ask(1, COLUMNS)
