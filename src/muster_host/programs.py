"""A model's program in another language: started, asked over one of two wires, ended. Nothing of a host is here.

The binary wire are frames of host protocol v1 on two pipes, which the program finds as descriptors 3 (to read from) and
4 (to write to); its standard input is empty, its standard output and error are the log. The other wire are lines of JSON
on standard input and output (`lines`), and only standard error is the log.

    bridge   LOAD      what to load                      program  LOADED or ERROR
    bridge   PREDICT   one request                       program  ANSWER or ERROR
    bridge   STOP, or the end of the pipe                program  ends
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import os
import select
import signal
import subprocess
import time
from typing import Any, Callable, List, Mapping, Sequence, Tuple

from muster_host import frames
from muster_host.frames import Buffer, FrameError, Views
from muster_host.raised import ModelRaised, ProgramFailed, words

#: Where a program finds the wire.
READ_FD, WRITE_FD = 3, 4
#: A big batch is a handful of writes; the kernel allows anybody this much.
_PIPE_BYTES = 1 << 20
_F_SETPIPE_SZ = 1031  # Linux; the fcntl module has no name for it before Python 3.10
_PR_SET_PDEATHSIG = 1
_FIRST_READ = 1 << 16
_BUFFERS_PER_CALL = 512
_STOP_S = 5.0
_FRAME_BYTES = 1 << 28

#: Rows and columns of an answer, as they came.
Answered = Tuple[int, List[Views]]


class ProgramGone(Exception):
    """The program is of no use any more: it said what is not the answer to its question."""


class ProgramEnded(ProgramGone):
    """The program has closed its wire, so it has ended or is about to."""


class Process:
    """A program that runs and has two pipes.

    Start it on the main thread: the kernel ends it together with the thread that started it.

    Args:
        argv: the program and its arguments.
        folder: its working directory.
        variables: all its environment variables.
        on_standard: the pipes are its standard input and output, instead of descriptors 3 and 4.

    Raises:
        ProgramFailed: it cannot be started.
    """

    def __init__(
        self, argv: Sequence[str], folder: str, variables: Mapping[str, str], *, on_standard: bool = False
    ) -> None:
        held = [] if on_standard else _hold_places()
        theirs_in, self.ask_fd = os.pipe()
        self.said_fd, theirs_out = os.pipe()
        for descriptor in (self.ask_fd, self.said_fd):
            with contextlib.suppress(OSError):  # the kernel may have less for this user
                fcntl.fcntl(descriptor, _F_SETPIPE_SZ, _PIPE_BYTES)
        os.set_blocking(self.ask_fd, False)  # our end alone: whoever answers early must not meet us writing
        try:
            self.popen = subprocess.Popen(
                list(argv),
                cwd=folder,
                env=dict(variables),
                stdin=theirs_in if on_standard else subprocess.DEVNULL,
                stdout=theirs_out if on_standard else None,
                pass_fds=() if on_standard else (READ_FD, WRITE_FD),
                preexec_fn=_placing(None if on_standard else (theirs_in, theirs_out)),  # noqa: PLW1509 - before any thread runs
            )
        except (OSError, ValueError, subprocess.SubprocessError) as error:
            os.close(self.ask_fd)
            os.close(self.said_fd)
            raise ProgramFailed("%s cannot be started: %s" % (argv[0], error)) from error
        finally:
            for descriptor in (theirs_in, theirs_out, *held):
                os.close(descriptor)
        self._poll = select.poll()
        self._poll.register(self.said_fd, select.POLLIN)

    def write(self, buffers: Sequence[Buffer], early: Callable[[bytes], None]) -> None:
        """Write all of it; what the program says meanwhile goes to `early`, so that neither waits for the other.

        Raises:
            ProgramGone: it does not take it.
        """
        waiting = [memoryview(part) for part in buffers if len(part)]
        poll = None
        while waiting:
            try:
                sent = os.writev(self.ask_fd, waiting[:_BUFFERS_PER_CALL])
            except BlockingIOError:
                sent = 0
            except OSError as error:
                raise ProgramEnded("the program takes no more: %s" % error) from error
            done = 0
            while sent and sent >= len(waiting[done]):
                sent -= len(waiting[done])
                done += 1
            del waiting[:done]
            if sent:
                waiting[0] = waiting[0][sent:]
            if waiting:
                if poll is None:
                    poll = select.poll()
                    poll.register(self.ask_fd, select.POLLOUT)
                    poll.register(self.said_fd, select.POLLIN)
                for descriptor, _ in poll.poll():
                    if descriptor == self.said_fd:
                        early(self.read(_PIPE_BYTES))

    def read(self, at_most: int, until: float | None = None) -> bytes:
        """What the program says next.

        Args:
            at_most: this many bytes.
            until: when to give up, of the monotonic clock; None: never.

        Raises:
            ProgramGone: it has ended.
            ProgramFailed: the time is up.
        """
        if until is not None and not self._poll.poll(max(0.0, until - time.monotonic()) * 1000):
            raise ProgramFailed("it did not answer in time")
        data = os.read(self.said_fd, at_most)
        if not data:
            raise ProgramEnded("the program has closed its wire")
        return data

    def read_into(self, view: memoryview) -> int:
        """Fill a part of a buffer and give the number of bytes; raises `ProgramGone` at the end."""
        count = os.readv(self.said_fd, [view])
        if not count:
            raise ProgramEnded("the program has closed its wire in the middle of a frame")
        return count

    def ending(self, within_s: float | None) -> str:
        """How it has ended, in words: `exit status 3`; `it still runs` when it has not within that time (None: whenever that is)."""
        try:
            status = self.popen.wait(within_s)
        except subprocess.TimeoutExpired:
            return "it still runs"
        return "exit status %d" % status if status >= 0 else "signal %d" % -status

    def close(self) -> None:
        """Close the pipe to it, wait until it has ended, or end it after 5 seconds."""
        with contextlib.suppress(OSError):
            os.close(self.ask_fd)
        try:
            self.popen.wait(_STOP_S)
        except subprocess.TimeoutExpired:
            self.popen.kill()
            self.popen.wait()
        with contextlib.suppress(OSError):
            os.close(self.said_fd)

    def kill(self) -> None:
        """End it at once."""
        self.popen.kill()
        self.close()


def _hold_places() -> list[int]:
    """Descriptors 3 and 4 opened where they are not, so that nothing else comes to lie there before the fork.

    The new process puts its pipes there, and `subprocess` has a pipe of its own in between, which must not be hit.
    """
    held = []
    for descriptor in (READ_FD, WRITE_FD):
        try:
            fcntl.fcntl(descriptor, fcntl.F_GETFD)
        except OSError:
            nothing = os.open(os.devnull, os.O_RDONLY)
            if nothing != descriptor:
                os.dup2(nothing, descriptor, inheritable=False)
                os.close(nothing)
            held.append(descriptor)
    return held


def _placing(pipes: tuple[int, int] | None) -> Callable[[], None]:
    """What the new process does before it becomes the program; looked up and imported before the fork."""
    prctl = ctypes.CDLL(None).prctl
    starter = os.getpid()

    def place() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != starter:
            os._exit(1)  # the starter was gone before the kernel knew whom to watch
        if pipes is not None:
            high = [fcntl.fcntl(descriptor, fcntl.F_DUPFD, WRITE_FD + 1) for descriptor in pipes]
            os.dup2(high[0], READ_FD)  # `subprocess` closes everything else afterwards
            os.dup2(high[1], WRITE_FD)

    return place


class BinaryProgram:
    """A program that speaks in frames.

    Args:
        process: the running program.
        document: what it is to load: the payload of LOAD.
        load_s: how long that may take.
        frame_bytes: the largest payload that it may answer with.

    Raises:
        ProgramFailed: it cannot load it, does not say in time that it has, or ends over it.
    """

    def __init__(
        self, process: Process, document: Mapping[str, Any], load_s: float, frame_bytes: int = _FRAME_BYTES
    ) -> None:
        self._process = process
        self._frame_bytes = frame_bytes
        self._sequence = 0
        self._early = bytearray()
        try:
            self._say([frames.json_frame(frames.LOAD, document)])
            kind, sequence, payload = self._frame(time.monotonic() + load_s)
            if kind not in (frames.LOADED, frames.ERROR) or sequence != 0:
                raise ProgramFailed("it began with %s, not with loaded" % frames.KIND_NAMES[kind])
            self.about = _error(payload) if kind == frames.ERROR else frames.read_json(payload)
        except FrameError as error:
            raise ProgramFailed("what it said is no frame of host protocol v1: %s" % error) from error
        except ProgramGone as error:
            raise ProgramFailed("%s (%s) before it had loaded the model" % (error, process.ending(1.0))) from error
        if kind == frames.ERROR:
            raise ProgramFailed(words(self.about.get("message") or self.about))

    def ask(self, rows: int, columns: Sequence[Views]) -> Answered:
        """The answer to one request.

        Raises:
            ModelRaised: the model failed.
            ProgramGone: the program ended, or did not answer just this.
        """
        self._sequence += 1
        try:
            self._say(frames.predict_frame(self._sequence, [rows], columns))
            kind, sequence, payload = self._frame(None)
            if sequence != self._sequence:
                raise ProgramGone("the program answered question %d; %d was asked" % (sequence, self._sequence))
            if kind == frames.ERROR:
                raise ModelRaised(words(_error(payload).get("message", "")))
            if kind != frames.ANSWER:
                raise ProgramGone("the program said %s, not answer or error" % frames.KIND_NAMES[kind])
            statuses, _, errors, got, found, _ = frames.read_answer(payload)
            if errors or statuses != b"\0":
                raise ModelRaised(_told(errors))
            return got, found
        except FrameError as error:
            raise ProgramGone("what the program said is no answer: %s" % error) from error

    def stop(self) -> None:
        """Ask it to end, and end it if it does not."""
        with contextlib.suppress(ProgramGone, FrameError):
            self._say([frames.json_frame(frames.STOP, {})])
        self._process.close()

    def _say(self, buffers: list[Buffer]) -> None:
        if len(buffers) > 1 and sum(map(len, buffers)) < _FIRST_READ:
            buffers = [b"".join(buffers)]
        self._process.write(buffers, self._take_early)

    def _take_early(self, data: bytes) -> None:
        self._early += data
        if len(self._early) > frames.HEAD_BYTES + self._frame_bytes:
            raise ProgramGone("the program says more than a payload of %d bytes" % self._frame_bytes)

    def _frame(self, until: float | None) -> tuple[int, int, memoryview]:
        """(kind, sequence, payload) of the next frame; one that is followed by anything unasked is no answer."""
        data: bytes | bytearray = self._early or self._process.read(_FIRST_READ, until)
        self._early = bytearray()
        while len(data) < frames.HEAD_BYTES:
            data += self._process.read(_FIRST_READ, until)
        length, kind, sequence = frames.read_head(data[: frames.HEAD_BYTES])
        if length > self._frame_bytes:
            raise ProgramGone("a payload of %d bytes is above this host's limit of %d" % (length, self._frame_bytes))
        end = frames.HEAD_BYTES + length
        if len(data) > end:
            raise ProgramGone("the program said more than one frame to one question")
        if len(data) == end:
            return kind, sequence, memoryview(data)[frames.HEAD_BYTES :]
        whole = bytearray(end)
        whole[: len(data)] = data
        view, at = memoryview(whole), len(data)
        while at < end:
            at += self._process.read_into(view[at:])
        return kind, sequence, view[frames.HEAD_BYTES :]


def _error(payload: memoryview) -> dict[str, Any]:
    """The document of an ERROR. Its message is the model's own, whose bytes need not be UTF-8."""
    return frames.read_json(bytes(payload).decode("utf-8", "replace").encode("utf-8"))


def _told(errors: frames.Errors) -> str:
    for error in errors.values():
        if isinstance(error, dict):
            return words(error.get("message", ""))
    return "the model failed"
