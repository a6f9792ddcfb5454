"""One process of the host program, and the control channel to it."""

import contextlib
import os
import socket
import subprocess
import threading
from collections.abc import Callable, Mapping, Sequence
from itertools import count
from pathlib import Path
from queue import Empty, SimpleQueue
from typing import Any

import muster_host
from muster.runtimes.errors import HostGone, HostLoadFailed, HostNotStarted, HostTimedOut, OrderBroken
from muster_host import frames

_PROGRAM = Path(muster_host.__file__).parent
_TAIL_BYTES = 4000
#: All that a model sees of this process's environment variables: no token, no password of Muster's.
_KEPT_VARIABLES = (
    "PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_ALL", "LC_CTYPE", "TZ", "TMPDIR", "LD_LIBRARY_PATH",
    "SSL_CERT_FILE", "SSL_CERT_DIR", "CUDA_VISIBLE_DEVICES", "NVIDIA_VISIBLE_DEVICES",
)  # fmt: skip

Reply = tuple[int, dict[str, Any]]


class HostProgram:
    """Starts the program and waits for its hello.

    Args:
        python: the environment's interpreter.
        environment: id of the environment.
        log: where the program's and its hosts' output goes; appended to.
        lifeline: read end of the pipe that ends every process of this program with its starter.
        threads: threads of linear algebra per process.
        confine: how it is to shut itself in, as JSON.
        variables: further environment variables for the model.
        on_exited: told of every host that was forked there and has ended, on a thread of its own.
        on_end: told when the program itself has ended, with its exit status as `subprocess` gives it, on the same thread.
        timeout_s: how long it may take to start.

    Raises:
        HostNotStarted: it did not say hello.
    """

    def __init__(
        self,
        *,
        python: Path,
        environment: str,
        log: Path,
        lifeline: int,
        threads: int,
        confine: str,
        variables: Mapping[str, str],
        on_exited: Callable[[dict[str, Any]], None],
        on_end: Callable[["HostProgram", int], None],
        timeout_s: float,
    ) -> None:
        self._log = log
        self._on_exited = on_exited
        self._on_end = on_end
        self._lock = threading.Lock()
        self._sequence = count(1)
        self._waiting: dict[int, SimpleQueue[Reply | None]] = {0: SimpleQueue()}
        self._ended = threading.Event()
        self._killed = False
        self.loaded: set[str] = set()
        """Keys of the models that are loaded there."""
        ours, theirs = socket.socketpair()
        self._control = ours
        with theirs:
            self._log_begin, self._process = self._start(
                theirs, python, environment, lifeline, threads, confine, variables
            )
        self.pid = self._process.pid
        """Its process id."""
        threading.Thread(target=self._listen, name=f"host-program-{self.pid}", daemon=True).start()
        try:
            kind, self.about = self._reply(0, timeout_s)
        except (HostGone, HostTimedOut) as error:
            self.kill()
            raise HostNotStarted(
                f"the host program did not start with {python}: {error.message}{self._tail()}", python=str(python)
            ) from error
        if kind != frames.HELLO or self.about.get("protocol") != frames.PROTOCOL:
            self.kill()
            raise HostNotStarted(f"the host program of {python} does not speak host protocol {frames.PROTOCOL}")

    def _start(
        self,
        control: socket.socket,
        python: Path,
        environment: str,
        lifeline: int,
        threads: int,
        confine: str,
        variables: Mapping[str, str],
    ) -> tuple[int, subprocess.Popen[bytes]]:
        kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        command = [
            str(python), "-I", "-B", "-u", "-X", "utf8", "-X", "faulthandler", str(_PROGRAM),
            "--control", str(control.fileno()), "--lifeline", str(lifeline),
            "--environment", environment, "--threads", str(threads), "--confine", confine,
        ]  # fmt: skip
        try:
            self._log.parent.mkdir(parents=True, exist_ok=True)
            output = os.open(self._log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
            try:
                begin = os.fstat(output).st_size
                process = subprocess.Popen(
                    command,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    cwd="/",
                    env={**kept, **variables},
                    pass_fds=(control.fileno(), lifeline),
                    start_new_session=True,
                )
            finally:
                os.close(output)
        except OSError as error:
            self._control.close()
            raise HostNotStarted(f"the host program cannot be started with {python}: {error}") from error
        return begin, process

    @property
    def is_alive(self) -> bool:
        """Whether the process runs, as far as is known here, and was not killed."""
        return not self._killed and not self._ended.is_set()

    def ask(
        self, kind: int, document: Mapping[str, Any], timeout_s: float, descriptors: Sequence[int] = ()
    ) -> dict[str, Any]:
        """The answer to a frame on the control channel, which may take descriptors along.

        Raises:
            OrderBroken: the program refused the frame.
            HostLoadFailed: what was asked failed there.
            HostTimedOut: no answer in time.
            HostGone: the program has ended.
        """
        sequence = next(self._sequence)
        frame = frames.json_frame(kind, document, sequence)
        self._waiting[sequence] = SimpleQueue()
        try:
            with self._lock:
                sent = socket.send_fds(self._control, [frame], descriptors) if descriptors else 0
                self._control.sendall(frame[sent:])
        except OSError as error:
            self._waiting.pop(sequence, None)
            self.kill()  # without a channel it is of no use, whatever it still does
            raise HostGone(f"the host program {self.pid} is gone: {error}{self._tail()}", pid=self.pid) from error
        kind, said = self._reply(sequence, timeout_s)
        if kind != frames.ERROR:
            return said
        message, trace = str(said.get("message")), str(said.get("traceback") or "")
        if said.get("code") == "order-broken":
            raise OrderBroken(f"the host cannot follow the order: {message}", said=message)
        raise HostLoadFailed(f"{message}\n{trace.rstrip()}" if trace else message, said=message, traceback=trace)

    def end(self, timeout_s: float) -> None:
        """End the program and the hosts it forked: first by closing the channel, then by force."""
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        if not self._ended.wait(timeout_s):
            self.kill()
            self._ended.wait(timeout_s)

    def kill(self) -> None:
        """End the program at once; the hosts that it forked go on."""
        self._killed = True
        with contextlib.suppress(OSError):
            self._process.kill()

    def _reply(self, sequence: int, timeout_s: float) -> Reply:
        waiting = self._waiting[sequence]
        if self._ended.is_set():
            waiting.put(None)  # the thread that would have said so may have looked before we were listed
        try:
            reply = waiting.get(timeout=timeout_s)
        except Empty:
            raise HostTimedOut(
                f"the host program {self.pid} did not answer within {timeout_s} s", pid=self.pid
            ) from None
        finally:
            self._waiting.pop(sequence, None)
        if reply is None:
            self.kill()
            raise HostGone(f"the host program {self.pid} ended{self._ending()}{self._tail()}", pid=self.pid)
        return reply

    def _ending(self) -> str:
        status = self._process.poll()
        if status is None:
            return ""
        return f" by signal {-status}" if status < 0 else f" with exit status {status}"

    def _tail(self) -> str:
        """The end of what it has written since its start, to be put behind a message."""
        try:
            with self._log.open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                begin = self._log_begin if self._log_begin <= size else 0  # it was cut in the meantime
                stream.seek(max(begin, size - _TAIL_BYTES))
                text = stream.read().decode("utf-8", "replace").strip()
        except OSError:
            return ""
        return f"; its log ends:\n{text}" if text else ""

    # The listening thread.

    def _listen(self) -> None:
        with contextlib.suppress(OSError, EOFError, frames.FrameError):
            while True:
                length, kind, sequence = frames.read_head(self._read(frames.HEAD_BYTES))
                document = frames.read_json(self._read(length))
                if kind == frames.EXITED:
                    self._on_exited(document)
                elif (waiting := self._waiting.get(sequence)) is not None:
                    waiting.put((kind, document))
        with contextlib.suppress(OSError):
            self._control.shutdown(socket.SHUT_RDWR)
        status = self._wait()
        self._ended.set()
        for waiting in list(self._waiting.values()):
            waiting.put(None)
        self._control.close()
        self._on_end(self, status)

    def _wait(self) -> int:
        """Its exit status; a program that does not end although its channel did is ended."""
        try:
            return self._process.wait(timeout=10.0)
        except subprocess.TimeoutExpired:
            self.kill()
            return self._process.wait()

    def _read(self, length: int) -> bytes:
        parts = []
        while length:
            part = self._control.recv(min(length, 1 << 20))
            if not part:
                raise EOFError
            parts.append(part)
            length -= len(part)
        return b"".join(parts)
