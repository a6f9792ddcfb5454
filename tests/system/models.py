"""Small models for the system tests; saved by value, so the factory needs nothing of this file."""

import os
import signal
import time
from typing import Any


class Adds:
    """Answers x + `step`."""

    def __init__(self, step: float) -> None:
        self.step = step

    def predict(self, columns: dict[str, Any]) -> dict[str, Any]:
        return {"score": [float(x) + self.step for x in columns["x"]]}


class SlowForSome(Adds):
    """Answers x + `step`, but sleeps when `x` lies above `limit`."""

    def __init__(self, step: float, limit: float, sleep_s: float) -> None:
        super().__init__(step)
        self.limit = limit
        self.sleep_s = sleep_s

    def predict(self, columns: dict[str, Any]) -> dict[str, Any]:
        if any(x > self.limit for x in columns["x"]):
            time.sleep(self.sleep_s)
        return super().predict(columns)


class RaisesForSome(Adds):
    """Answers x + `step`, but raises when `x` lies above `limit`."""

    def __init__(self, step: float, limit: float) -> None:
        super().__init__(step)
        self.limit = limit

    def predict(self, columns: dict[str, Any]) -> dict[str, Any]:
        if any(x > self.limit for x in columns["x"]):
            raise ValueError("this is too much")
        return super().predict(columns)


class KillsItselfFor(Adds):
    """Answers x + `step`, but takes its process down when `x` is `poison`."""

    def __init__(self, step: float, poison: float) -> None:
        super().__init__(step)
        self.poison = poison

    def predict(self, columns: dict[str, Any]) -> dict[str, Any]:
        if any(x == self.poison for x in columns["x"]):
            os.kill(os.getpid(), signal.SIGKILL)
        return super().predict(columns)
