"""A count of consumers that is killed at a chosen statement.

    python archive_killed_count.py DATABASE_URL PARQUET STATEMENT

Counts the files below PARQUET and ends, without any tidying up, just before it writes its STATEMENT-th row, or, with 0,
after it is through. Prints how many files it counted.
"""

import os
import sys
from datetime import UTC, datetime
from pathlib import Path

import sqlalchemy as sa

from muster.archive.consumers import UseCounter
from muster.archive.depot import FolderStore
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock


def main(url: str, parquet: str, fatal: int) -> None:
    database = Database(url)
    written = 0

    def watch(_connection: object, _cursor: object, statement: str, *_rest: object) -> None:
        nonlocal written
        if statement.startswith(("INSERT", "UPDATE")):
            written += 1
            if written == fatal:
                os._exit(9)

    sa.event.listen(database.engine, "before_cursor_execute", watch)
    counter = UseCounter(database, FolderStore(Path(parquet)), FixedClock(datetime(2026, 11, 21, tzinfo=UTC)))
    print(counter.count())  # noqa: T201 - what the caller reads
    database.close()


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
