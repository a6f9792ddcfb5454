"""The layout of Muster 0.1, read only: all files of an endpoint in one folder, and no index.

<endpoint>/<front>-<segment>.parquet, <endpoint>/<front>-<segment>.1.parquet, …
<endpoint>/late/<front>-<segment>.late.parquet, …
"""

from collections.abc import Callable, Iterator
from functools import cached_property

from muster.archive.depot import ArchiveStore
from muster.archive.files import front_and_segment

_LATE = "late"


class FlatFiles:
    """What lies in a store in the old layout. Nothing is added to it any more, so one look is enough.

    Args:
        store: where the compacted records lie.
        endpoints: gives their folders.
    """

    def __init__(self, store: ArchiveStore, endpoints: Callable[[], list[str]]) -> None:
        self._store = store
        self._endpoints_of = endpoints

    @cached_property
    def _endpoints(self) -> list[str]:
        return self._endpoints_of()

    @cached_property
    def _rows(self) -> dict[str, dict[tuple[int, int], list[str]]]:
        return {endpoint: self._found(endpoint) for endpoint in self._endpoints}

    @cached_property
    def _late(self) -> dict[str, dict[tuple[int, int], list[str]]]:
        return {endpoint: self._found(f"{endpoint}/{_LATE}") for endpoint in self._endpoints}

    def rows(self, front: int, segment: int, endpoint: str | None = None) -> Iterator[str]:
        """Files of requests that a segment became."""
        for name in self._endpoints if endpoint is None else [endpoint]:
            yield from self._rows.get(name, {}).get((front, segment), ())

    def segments(self, endpoint: str) -> list[tuple[int, int]]:
        """Front and number of the segments that have files of requests of an endpoint."""
        return sorted(self._rows.get(endpoint, {}))

    def late(self, endpoint: str, front: int, first: int) -> Iterator[str]:
        """Files of late answers found in a segment or a later one."""
        for (of_front, segment), places in sorted(self._late.get(endpoint, {}).items()):
            if of_front == front and segment >= first:
                yield from places

    def every_late(self, endpoint: str) -> Iterator[str]:
        """All files of late answers of an endpoint."""
        for _, places in sorted(self._late.get(endpoint, {}).items()):
            yield from places

    def _found(self, folder: str) -> dict[tuple[int, int], list[str]]:
        found: dict[tuple[int, int], list[str]] = {}
        for name in self._store.names(folder):
            key = front_and_segment(name)
            if key is not None:
                found.setdefault(key, []).append(f"{folder}/{name}")
        return found
