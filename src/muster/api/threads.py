"""Where handlers block: quick work shares the framework's threads, waiting has threads of its own.

An approval that waits for its fronts, or a roll back, holds a thread for seconds. With threads of its own it can never keep
a revocation, a report or a health check waiting.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, TypeVar

from anyio import CapacityLimiter, to_thread

Result = TypeVar("Result")
_WAITING_THREADS = 64


async def in_thread(work: Callable[..., Result], *arguments: Any, **options: Any) -> Result:
    """What quick work gives."""
    return await to_thread.run_sync(partial(work, *arguments, **options))


class WaitingThreads:
    """Threads for work that waits."""

    def __init__(self) -> None:
        self._limiter = CapacityLimiter(_WAITING_THREADS)

    async def run(self, work: Callable[..., Result], *arguments: Any, **options: Any) -> Result:
        """What the work gives; a process that ends does not wait for it."""
        task = partial(work, *arguments, **options)
        return await to_thread.run_sync(task, limiter=self._limiter, abandon_on_cancel=True)
