"""How large a page may become: parts that do not fit are left out, and the page says so."""

from collections.abc import Iterable

from muster.reports.markup import Html


class Budget:
    """What is left of the bytes that a page may have.

    Args:
        most: bytes.
    """

    def __init__(self, most: int) -> None:
        self._left = most
        self.is_short = False
        """Whether something had to be left out."""

    def all(self, parts: Iterable[Html]) -> list[Html]:
        """Those of the parts that still fit, in their order."""
        kept = []
        for part in parts:
            size = len(part.encode("utf-8"))
            if size > self._left:
                self.is_short = True
                continue
            self._left -= size
            kept.append(part)
        return kept
