"""The cases about what a host does when something goes wrong around it: its model, its peers, its memory, its end."""

import contextlib
import socket
import struct
import threading
import time
from collections.abc import Callable
from typing import Self

import psutil

from muster.packaging.columns import Table, rows_between
from muster.runtimes.channel import Answer, Channel
from muster.runtimes.conformance import echo, echo_rows
from muster.runtimes.conformance.kit import Found, Stand, failed, not_applicable, passed
from muster.runtimes.conformance.tables import ask, changed, is_refused, outputs_of, same_answers, wrong_tables
from muster.runtimes.errors import HostGone, HostTimedOut
from muster.runtimes.parent import Limits
from muster.vocabulary.errors import MusterError
from muster_host import frames

#: A row of the echo model has to be back within this; any other model may take as long as it likes.
LATE_S = 1.0
_TIMED_ROWS = 5
_BUSY_MS = 400
#: Within this a host that was told to stop is gone, with all that it started.
STOPPED_S = 4.0
MEMORY_LIMIT = 1 << 30
_TAKEN_MIB = 3000
_MEMORY_S = 120.0
_ONLY_ECHO = "only the echo model does so on demand"


class WrongTables:
    """Tables that are none of the contract."""

    name = "wrong-tables"
    claim = "wrong tables get an error, and the host answers as before"

    def run(self, stand: Stand) -> Found:
        """The same that certification sends."""
        host = stand.host()
        inputs = stand.subject.golden.inputs
        before = ask(host, inputs)
        tables = list(wrong_tables(rows_between(inputs, 0, 1), stand.contract))
        answered = [what for what, columns in tables if not is_refused(host, columns)]
        if answered:
            return failed(f"{answered[0]} was answered", len(answered))
        if not before.errors and not same_answers(ask(host, inputs), before):
            return failed("the golden rows were answered otherwise afterwards")
        return passed(f"{len(tables)} wrong tables refused", len(tables))


class Raises:
    """A model that raises an error."""

    name = "raises"
    claim = "a request for which the model raises an error gets that error; the others of its batch are answered"

    def run(self, stand: Stand) -> Found:
        """The error is of the code `model-raised` and holds the model's own words."""
        if not stand.is_echo:
            return not_applicable(_ONLY_ECHO)
        host = stand.host()
        table = echo_rows.acting(echo.RAISE, rows=3, at=1)
        answer = ask(host, table, [1, 1, 1])
        error = answer.errors.get(1)
        if error is None:
            return failed("the row that asks for an error was answered")
        if error.code != "model-raised" or echo.ASKED_TO not in error.message:
            return failed(f"{error.code}: {error.message[:200]}; not model-raised with {echo.ASKED_TO!r}")
        if set(answer.errors) != {1} or answer.rows != 2:
            return failed(f"{answer.rows} of 2 other rows were answered")
        return _goes_on(stand, host, f"model-raised: {error.message[:80]}")


class Prints:
    """A model that prints."""

    name = "prints"
    claim = "what the model prints is log and never an answer"

    def run(self, stand: Stand) -> Found:
        """Before, between and after rows."""
        if not stand.is_echo:
            return not_applicable(_ONLY_ECHO)
        host = stand.host()
        for at in (0, 1, 2):
            table = echo_rows.acting(echo.PRINT, rows=3, at=at)
            answer = ask(host, table)
            lost, told = (1, str(answer.errors[0])) if answer.errors else _lost(stand, answer, table)
            if lost:
                return failed(told, lost)
        return _goes_on(stand, host, "three batches answered while it printed")


class AnswersInTime:
    """Time."""

    name = "answers-in-time"
    claim = "an answer comes in time, and one that comes too late is nobody else's"

    def run(self, stand: Stand) -> Found:
        """The median of five rows; then one that was given up, and the next."""
        host = stand.host()
        row = rows_between(stand.subject.golden.inputs, 0, 1)
        took = sorted(ask(host, row).latency_ns / 1e9 for _ in range(_TIMED_ROWS))
        median_s = took[len(took) // 2]
        detail = f"{median_s * 1e3:.2f} ms for a row"
        if not stand.is_echo:
            return passed(detail, median_s)
        if median_s > LATE_S:
            return failed(f"{detail}; at most {LATE_S:g} s", median_s)
        try:
            ask(host, echo_rows.acting(echo.sleep(_BUSY_MS)), timeout_s=0.05)
        except HostTimedOut:
            found = _goes_on(stand, host, detail)
            return found if found.is_failed else passed(f"{detail}; a late answer was passed over", median_s)
        return failed(f"a row that asks for {_BUSY_MS} ms was answered within 50")


class SurvivesPeer:
    """Peers that break off or send garbage."""

    name = "survives-peer"
    claim = "a peer that sends garbage, half a frame or nothing harms nobody else"

    def run(self, stand: Stand) -> Found:
        """Each on a connection of its own, beside one that asks as before."""
        host = stand.host()
        row = rows_between(stand.subject.golden.inputs, 0, 1)
        columns = [(column.data, column.nulls) for column in row.columns.values()]
        question = b"".join(bytes(part) for part in frames.predict_frame(1, [1], columns))
        before = ask(host, row)
        for what, sent in (
            ("garbage", b"GET / HTTP/1.1\r\nHost: muster\r\n\r\n" * 4),
            ("half a frame", question[: len(question) // 2]),
            ("a frame of 4 GiB", struct.pack("<IBBHQ", frames.MAX_PAYLOAD, frames.PREDICT, frames.PROTOCOL, 0, 1)),
            ("a question whose answer it does not read", question),
            ("nothing", b""),
        ):
            _send(host, sent)
            try:
                if not same_answers(ask(host, row), before):
                    return failed(f"another answer after a peer that sent {what}")
            except MusterError as error:
                stand.leave()
                return failed(f"after a peer that sent {what}: {error.message}")
        return passed("five broken peers, and the host answers as before")


class MemoryLimit:
    """Memory."""

    name = "memory-limit"
    claim = "a model that takes more memory than its host may have gets an error or ends, and takes no more"

    def run(self, stand: Stand) -> Found:
        """On a host of its own that may have 1 GiB."""
        if not stand.is_echo:
            return not_applicable(_ONLY_ECHO)
        stand.leave()
        with stand.subject.start(Limits(memory_bytes=MEMORY_LIMIT)) as host, _Peak(host.hello.pid) as peak:
            first = ask(host, echo.plain(3))
            if first.errors:
                return failed(f"under {MEMORY_LIMIT >> 20} MiB: {first.errors[0].message[:200]}")
            try:
                answer = ask(host, echo_rows.acting(echo.allocate(_TAKEN_MIB)), timeout_s=_MEMORY_S)
                how = answer.errors[0].message[:80] if answer.errors else ""
            except HostGone:
                how = "its host ended"
        taken = peak.bytes >> 20
        if not how:
            return failed(f"it was given {_TAKEN_MIB} MiB of {MEMORY_LIMIT >> 20} MiB", taken)
        if peak.bytes > MEMORY_LIMIT * 3 // 2:
            return failed(f"{taken} MiB were taken before: {how}", taken)
        return passed(f"{how}; {taken} MiB resident at most", taken)


class Exits:
    """A program that ends in the middle of an answer."""

    name = "exits"
    claim = "a program that ends takes its host along at once, and nothing is answered in its place"

    def run(self, stand: Stand) -> Found:
        """The next host answers."""
        if not stand.is_echo:
            return not_applicable(_ONLY_ECHO)
        host = stand.host()
        begun = time.monotonic()
        try:
            answer = ask(host, echo_rows.acting(echo.EXIT), timeout_s=30.0)
        except HostGone:
            took_s = time.monotonic() - begun
            stand.leave()
            found = _goes_on(stand, stand.host(), f"the host was gone after {took_s * 1e3:.0f} ms")
            return found if found.is_failed or took_s <= STOPPED_S else failed(found.detail, took_s)
        except HostTimedOut:
            stand.leave()
            return failed("the host stayed, and nobody answered")
        return failed(f"error {answer.errors[0].code}" if answer.errors else "the row was answered")


class StopsWhileBusy:
    """The end."""

    name = "stops-while-busy"
    claim = "a host that is told to stop answers what it has, and is gone with all that it started"

    def run(self, stand: Stand) -> Found:
        """Told over another connection while a batch is being computed."""
        host = stand.host()
        pid = host.hello.pid
        family = _family(pid)
        rows = echo_rows.acting(echo.sleep(_BUSY_MS), rows=3, at=1) if stand.is_echo else stand.subject.golden.inputs
        with stand.second_peer() as peer:
            asked = _Asked(lambda: ask(host, rows))
            time.sleep(_BUSY_MS / 4000 if stand.is_echo else 0.0)
            begun = time.monotonic()
            with contextlib.suppress(HostGone):  # it may be gone before its last word is read
                peer.stop(30.0)
        asked.join()
        _, alive = psutil.wait_procs(family, STOPPED_S)
        took_s = time.monotonic() - begun
        stand.leave()
        alive = [process for process in alive if _runs(process)]
        if alive:
            return failed(f"{len(alive)} of {len(family)} processes still ran {took_s:.1f} s after stop", took_s)
        if took_s > STOPPED_S:
            return failed(f"it took {took_s:.1f} s, so that somebody had to end it; at most {STOPPED_S:g} s", took_s)
        if stand.is_echo:
            if asked.error is not None or asked.answer is None:
                return failed(f"what was being computed was not answered: {asked.error}")
            lost, told = _lost(stand, asked.answer, rows)
            if lost:
                return failed(told, lost)
        elif asked.error is not None and not isinstance(asked.error, HostGone):
            return failed(f"what was being computed was not answered: {asked.error}")
        return passed(f"{len(family)} processes gone {took_s:.2f} s after stop", round(took_s, 3))


def _goes_on(stand: Stand, host: Channel, detail: str) -> Found:
    """Whether the host answers a plain batch as before."""
    table = echo.plain(4)
    answer = ask(host, table)
    if answer.errors:
        return failed(f"afterwards: {answer.errors[0].message[:200]}")
    lost, told = _lost(stand, answer, table)
    return failed(f"afterwards: {told}", lost) if lost else passed(detail)


def _lost(stand: Stand, answer: Answer, inputs: Table) -> tuple[int, str]:
    return changed(outputs_of(answer, stand.contract), echo.answered(inputs))


def _send(host: Channel, data: bytes) -> None:
    """As a peer that sends those bytes and hangs up."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as peer:
        peer.settimeout(5.0)
        with contextlib.suppress(OSError):
            peer.connect(str(host.path))
            peer.sendall(data)


class _Asked:
    """A question that is being answered on a thread of its own."""

    def __init__(self, question: Callable[[], Answer]) -> None:
        self.answer: Answer | None = None
        self.error: MusterError | None = None
        self._question = question
        self._thread = threading.Thread(target=self._ask, name="conformance-question", daemon=True)
        self._thread.start()

    def _ask(self) -> None:
        try:
            self.answer = self._question()
        except MusterError as error:
            self.error = error

    def join(self) -> None:
        """Wait for it."""
        self._thread.join(60.0)


class _Peak:
    """The most memory that a process and its descendants have at any time, looked at every few milliseconds.

    Args:
        pid: of the process.
    """

    def __init__(self, pid: int) -> None:
        self.bytes = 0
        self._pid = pid
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="conformance-memory", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join(5.0)

    def _watch(self) -> None:
        while not self._over.wait(0.02):
            self.bytes = max(self.bytes, sum(_resident(process) for process in _family(self._pid)))


def _family(pid: int) -> list[psutil.Process]:
    try:
        process = psutil.Process(pid)
        return [process, *process.children(recursive=True)]
    except psutil.Error:
        return []


def _resident(process: psutil.Process) -> int:
    try:
        found: int = process.memory_info().rss
    except psutil.Error:
        return 0
    return found


def _runs(process: psutil.Process) -> bool:
    """Whether it does: one that has ended and whose parent has not been told is no process any more."""
    try:
        return bool(process.is_running() and process.status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False
