"""A host's log stays small, whatever a model prints.

Hosts write straight into the file: there is no pipe that could fill up and block a model, and nobody who reads along could
be slowed down or eat memory. So whoever started them looks at the file's size now and then and cuts it.
"""

import contextlib
import os
import stat
import threading
from pathlib import Path

#: A log that is larger than this is cut.
MOST_BYTES = 16 * 1024 * 1024
#: So much of what was written last is kept beside it, as `NAME.1`.
KEPT_BYTES = 1024 * 1024
_LOOK_EVERY_S = 0.2


class LogGuard:
    """Keeps one log file within bounds, on a thread of its own, until it is closed.

    Args:
        path: the file; it may not be there yet, and need not be a regular one.
        most_bytes: the size above which it is cut.
    """

    def __init__(self, path: Path, most_bytes: int = MOST_BYTES) -> None:
        self._path = path
        self._most_bytes = most_bytes
        self._closed = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="host-log", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Look for the last time."""
        self._closed.set()
        if threading.current_thread() is not self._thread:
            self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(_LOOK_EVERY_S):
            self._look()
        self._look()

    def _look(self) -> None:
        with contextlib.suppress(OSError):
            found = self._path.stat()
            if stat.S_ISREG(found.st_mode) and found.st_size > self._most_bytes:
                cut(self._path, found.st_size)


def cut(path: Path, size: int) -> None:
    """Empty a log, and keep its end beside it; those who have it open for appending go on at its new beginning.

    Args:
        path: the log.
        size: how large it was found.
    """
    kept = path.with_name(path.name + ".1")
    with contextlib.suppress(OSError):  # a full disk is a reason to cut, never one to keep
        with path.open("rb") as log:
            log.seek(-min(KEPT_BYTES, size), os.SEEK_END)
            end = log.read(KEPT_BYTES)
        kept.touch(0o600)
        kept.write_bytes(end)
    os.truncate(path, 0)
    with contextlib.suppress(OSError), path.open("ab") as log:
        log.write(b"%d bytes of output were cut here; the end of them is in %s\n" % (size, os.fsencode(kept.name)))
