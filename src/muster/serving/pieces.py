"""Requests put together into a batch, and a batch's answer cut into theirs."""

from collections.abc import Sequence

from muster.packaging.columns import Buffer, Column
from muster.vocabulary.tensors import ITEM_BYTES
from muster.wire.contracts import Field
from muster.wire.records import StoredColumn

#: Values and nulls of a column, as frames carry them.
Raw = tuple[Buffer, Buffer | None]


def put_together(gathered: Sequence[Sequence[Column]], rows: Sequence[int]) -> list[Raw]:
    """One column per input, of the requests' own columns.

    Args:
        gathered: of each input, the columns of all requests.
        rows: of each request.
    """
    joined: list[Raw] = []
    for parts in gathered:
        nulls = None
        if any(part.nulls is not None for part in parts):
            nulls = b"".join(
                bytes(count) if part.nulls is None else part.nulls for count, part in zip(rows, parts, strict=True)
            )
        joined.append((b"".join([part.data for part in parts]), nulls))
    return joined


class Cutter:
    """Cuts the answers of requests out of one batch's, in the order in which they are asked for.

    Args:
        outputs: the fields that the version answers with.
        row_bytes: of each, as `row_bytes` gives it.
        columns: the batch's.
    """

    __slots__ = ("_columns", "_offsets", "_outputs", "_row_bytes", "_taken")

    def __init__(
        self,
        outputs: tuple[Field, ...],
        row_bytes: tuple[int | None, ...],
        columns: list[tuple[memoryview, memoryview | None]],
    ) -> None:
        self._outputs = outputs
        self._row_bytes = row_bytes
        self._columns = columns
        self._offsets = [0] * len(columns)  # where each column of varying length is
        self._taken = 0

    def skip(self, rows: int) -> None:
        """Leave out rows whose outputs could not be cut."""
        self._taken += rows

    def cut(self, rows: int) -> tuple[StoredColumn, ...]:
        """The outputs of the next rows; `skip` moves on.

        Raises:
            ValueError: the batch's answer is cut off.
        """
        outputs = []
        start = self._taken
        for place, (field, size, (data, nulls)) in enumerate(
            zip(self._outputs, self._row_bytes, self._columns, strict=True)
        ):
            if size is None:
                begin = self._offsets[place]
                end = begin
                for _ in range(rows * _elements(field)):
                    end += 4 + int.from_bytes(data[end : end + 4], "little")
                self._offsets[place] = end
            else:
                begin, end = start * size, (start + rows) * size
            if end > len(data):
                raise ValueError(f"output {field.name!r} has {len(data)} bytes")
            part = None if nulls is None else bytes(nulls[start : start + rows])
            outputs.append(StoredColumn(field.name, field.datatype, field.shape, bytes(data[begin:end]), part))
        return tuple(outputs)


def row_bytes(field: Field) -> int | None:
    """Bytes of one row, None where they vary."""
    item = ITEM_BYTES.get(field.datatype)
    return None if item is None else item * _elements(field)


def _elements(field: Field) -> int:
    elements = 1
    for extent in field.shape:
        elements *= extent
    return elements
