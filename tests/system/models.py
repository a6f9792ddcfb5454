"""Small models for the system tests; saved by value, so the factory needs nothing of this file."""

import ctypes
import hashlib
import os
import signal
import socket
import stat
import threading
import time
from pathlib import Path
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


class SleepsAndEnds(Adds):
    """Answers x + 1; on trial it sleeps when `x` lies above `limit`, and takes its process down when `x` is `poison`.

    Only there: no certificate is given to one that does so whenever it is asked.
    """

    def __init__(self, limit: float, sleep_s: float, poison: float) -> None:
        super().__init__(1)
        self.limit = limit
        self.sleep_s = sleep_s
        self.poison = poison

    def predict(self, columns: dict[str, Any]) -> dict[str, Any]:
        if os.sched_getscheduler(0) == os.SCHED_IDLE:
            if any(x == self.poison for x in columns["x"]):
                os.kill(os.getpid(), signal.SIGKILL)
            if any(x > self.limit for x in columns["x"]):
                time.sleep(self.sleep_s)
        return super().predict(columns)


#: What `Misbehaves` is asked for: `x` is 1000 times the number, plus anything below 1000 to tell requests apart.
FAULTS = (
    "none", "raises", "too_many_rows", "text", "nan", "infinity", "out_of_range", "sys_exit", "os_exit", "sigkill", "sigstop",
    "leaks", "allocates", "spins", "segfaults", "floods", "hangs", "half_a_frame", "garbage", "absurd_length",
)  # fmt: skip


def asks_for(fault: str, number: int = 0) -> float:
    """The `x` that makes `Misbehaves` do this."""
    return 1000.0 * FAULTS.index(fault) + number


class Misbehaves(Adds):
    """Answers x + `step`, and does whatever its input asks for, as a model in production sooner or later does."""

    def predict(self, columns: dict[str, Any]) -> dict[str, Any]:
        asked = max((int(x) // 1000 for x in columns["x"]), default=0)
        scores: list[Any] = [float(x) + self.step for x in columns["x"]]
        if asked > 0:
            scores = getattr(self, "_" + FAULTS[asked])(scores)
        return {"score": scores}

    # What is wrong with an answer.

    def _raises(self, scores: list[Any]) -> list[Any]:
        raise ValueError("this is too much")

    def _too_many_rows(self, scores: list[Any]) -> list[Any]:
        return [*scores, 0.0]

    def _text(self, scores: list[Any]) -> list[Any]:
        return ["high" for _ in scores]

    def _nan(self, scores: list[Any]) -> list[Any]:
        return [float("nan") for _ in scores]

    def _infinity(self, scores: list[Any]) -> list[Any]:
        return [float("inf") for _ in scores]

    def _out_of_range(self, scores: list[Any]) -> list[Any]:
        return [-1e9 for _ in scores]

    # What is wrong with a process.

    def _sys_exit(self, scores: list[Any]) -> list[Any]:
        raise SystemExit(3)

    def _os_exit(self, scores: list[Any]) -> list[Any]:
        os._exit(0)

    def _sigkill(self, scores: list[Any]) -> list[Any]:
        os.kill(os.getpid(), signal.SIGKILL)
        return scores

    def _sigstop(self, scores: list[Any]) -> list[Any]:
        os.kill(os.getpid(), signal.SIGSTOP)
        return scores

    def _hangs(self, scores: list[Any]) -> list[Any]:
        while True:
            time.sleep(3600)

    def _segfaults(self, scores: list[Any]) -> list[Any]:

        ctypes.string_at(0)
        return scores

    # What it takes of the machine.

    def _leaks(self, scores: list[Any]) -> list[Any]:
        self.__dict__.setdefault("kept", []).append(bytearray(40_000_000))
        return scores

    def _allocates(self, scores: list[Any]) -> list[Any]:
        return [float(len(bytearray(1 << 36))) for _ in scores]

    def _spins(self, scores: list[Any]) -> list[Any]:

        work = bytes(50_000_000)

        def spin() -> None:
            while True:
                hashlib.sha256(work).digest()  # without the interpreter's lock, as linear algebra does

        for _ in range(16):
            threading.Thread(target=spin, daemon=True).start()
        return scores

    def _floods(self, scores: list[Any]) -> list[Any]:
        line = b"." * 99_999 + b"\n"
        for number in range(600):
            os.write(1 + number % 2, line)
        return scores

    # What it does to the sockets of its process.

    def _half_a_frame(self, scores: list[Any]) -> list[Any]:
        for peer in self._peers():
            peer.send(b"\xe8\x03\0\0\x05\x01\0\0" + b"\1" * 100)  # an answer of 1000 bytes, of which 92 come
            peer.shutdown(2)
        return scores

    def _garbage(self, scores: list[Any]) -> list[Any]:
        for peer in self._peers():
            peer.send(os.urandom(4000))
        return scores

    def _absurd_length(self, scores: list[Any]) -> list[Any]:
        for peer in self._peers():
            peer.setblocking(True)
            peer.settimeout(10)
            try:
                peer.sendall(b"\xff\xff\xff\xff\x05\x01\0\0" + b"\0" * 8)
                for _ in range(600):
                    peer.sendall(bytes(1_000_000))
            except OSError:
                pass
        return scores

    def _peers(self) -> list[Any]:

        found = []
        for entry in list(Path("/proc/self/fd").iterdir()):
            try:
                if stat.S_ISSOCK(os.fstat(int(entry.name)).st_mode):
                    peer = socket.socket(fileno=os.dup(int(entry.name)))
                    peer.getpeername()
                    found.append(peer)
            except OSError:
                pass
        return found


class SleepsEvery(Adds):
    """Answers x + `step`; of the calls with an x of 500 and more every `every`-th takes `sleep_s`."""

    def __init__(self, step: float, every: int, sleep_s: float) -> None:
        super().__init__(step)
        self.every = every
        self.sleep_s = sleep_s
        self.calls = 0

    def predict(self, columns: dict[str, Any]) -> dict[str, Any]:
        self.calls += any(x >= 500 for x in columns["x"])
        if self.calls % self.every == self.every - 1:
            time.sleep(self.sleep_s)
        return super().predict(columns)


class Works(Adds):
    """Answers x + `step` after `work_s` of sleep for each row, so that its capacity is known."""

    def __init__(self, step: float, work_s: float) -> None:
        super().__init__(step)
        self.work_s = work_s

    def predict(self, columns: dict[str, Any]) -> dict[str, Any]:
        time.sleep(self.work_s * len(columns["x"]))
        return super().predict(columns)


class Echoes:
    """Answers each column under the name `out_…`."""

    def predict(self, columns: dict[str, Any]) -> dict[str, Any]:
        return {f"out_{name}": values for name, values in columns.items()}
