"""Small models for the system tests; saved by value, so the factory needs nothing of this file."""

import time


class Adds:
    """Answers x + `step`."""

    def __init__(self, step):
        self.step = step

    def predict(self, columns):
        return {"score": [float(x) + self.step for x in columns["x"]]}


class SlowForSome(Adds):
    """Answers x + `step`, but sleeps when `x` lies above `limit`."""

    def __init__(self, step, limit, sleep_s):
        super().__init__(step)
        self.limit = limit
        self.sleep_s = sleep_s

    def predict(self, columns):
        if any(x > self.limit for x in columns["x"]):
            time.sleep(self.sleep_s)
        return super().predict(columns)


class RaisesForSome(Adds):
    """Answers x + `step`, but raises when `x` lies above `limit`."""

    def __init__(self, step, limit):
        super().__init__(step)
        self.limit = limit

    def predict(self, columns):
        if any(x > self.limit for x in columns["x"]):
            raise ValueError("this is too much")
        return super().predict(columns)


class KillsItselfFor(Adds):
    """Answers x + `step`, but takes its process down when `x` is `poison`."""

    def __init__(self, step, poison):
        super().__init__(step)
        self.poison = poison

    def predict(self, columns):
        if any(x == self.poison for x in columns["x"]):
            import os
            import signal

            os.kill(os.getpid(), signal.SIGKILL)
        return super().predict(columns)
