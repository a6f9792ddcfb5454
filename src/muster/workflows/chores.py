"""Chores: what the executor does again and again, and how it bears that something it needs is away."""

import time
from collections.abc import Callable

import structlog

from muster.vocabulary.errors import MusterError

_SHORTEST_PAUSE_S = 0.01
_LONGEST_PAUSE_S = 60.0
log = structlog.get_logger()


class Chore:
    """A deed that is done again and again.

    While it fails it is tried more and more seldom, up to once a minute, and the log tells of it once: when it begins to
    fail, when it fails in another way, and when it succeeds again.

    Args:
        name: for the log.
        deed: what is done.
        every_s: how often, seconds.
        monotonic: time that only passes, seconds.
    """

    def __init__(
        self,
        name: str,
        deed: Callable[[], object],
        *,
        every_s: float = 0.0,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self._deed = deed
        self._every_s = every_s
        self._monotonic = monotonic
        self._next = monotonic() + every_s
        self._failures = 0
        self._since = 0.0
        self._told = ""

    def do_if_due(self) -> bool:
        """Do it, unless it was done, or has failed, too short a time ago; whether it was done well."""
        if self._monotonic() < self._next:
            return False
        try:
            self._deed()
        except MusterError as error:
            self._failed()
            if self._is_news(error.code):
                log.warning("executor.chore_held_up", chore=self.name, code=error.code, message=error.message)
            return False
        except Exception as error:  # a chore that fails is done again; it must not end those that do not
            self._failed()
            if self._is_news(type(error).__name__):
                log.exception("executor.chore_failed", chore=self.name)
            return False
        if self._failures:
            after_s = round(self._monotonic() - self._since, 1)
            log.info("executor.chore_goes_on", chore=self.name, failures=self._failures, after_s=after_s)
        self._failures, self._told = 0, ""
        self._next = self._monotonic() + self._every_s
        return True

    def _failed(self) -> None:
        self._failures += 1
        if self._failures == 1:
            self._since = self._monotonic()
        pause = min(max(self._every_s, _SHORTEST_PAUSE_S) * 2 ** (self._failures - 1), _LONGEST_PAUSE_S)
        self._next = self._monotonic() + pause

    def _is_news(self, what: str) -> bool:
        told, self._told = self._told, what
        return told != what
