"""Rows to load a host with: the golden ones, one after another, as often as needed."""

from collections.abc import Sequence

from muster.packaging.columns import Table, joined, rows_between
from muster.runtimes.channel import Answer, Channel

#: Different requests that are kept ready.
_MOST_KINDS = 50


class Rows:
    """The rows of a table without end.

    Args:
        table: at least one row.
    """

    def __init__(self, table: Table) -> None:
        self._table = table
        self._ones: dict[int, list[Table]] = {}

    def block(self, rows: int) -> Table:
        """A table of so many rows, the given ones again and again."""
        times = -(-rows // self._table.rows)
        return rows_between(joined([self._table] * times), 0, rows)

    def request(self, index: int, rows: int) -> Table:
        """The rows of one request: as many as asked for, from another place for every index."""
        if rows not in self._ones:
            count = min(self._table.rows, _MOST_KINDS)
            many = self.block(count * rows)
            self._ones[rows] = [rows_between(many, at * rows, (at + 1) * rows) for at in range(count)]
        blocks = self._ones[rows]
        return blocks[index % len(blocks)]


def sent(channel: Channel, requests: Sequence[Table], timeout_s: float | None = None) -> Answer:
    """A host's answer to several requests in one batch.

    Raises:
        HostGone, HostTimedOut, ProtocolBroken, TableRefused: there is no answer.
    """
    together = requests[0] if len(requests) == 1 else joined(requests)
    columns = [(column.data, column.nulls) for column in together.columns.values()]
    return channel.predict([one.rows for one in requests], columns, timeout_s)
