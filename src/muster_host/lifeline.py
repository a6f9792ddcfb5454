"""A process that ends when its keeper ends, however that happens, and even while a model holds the interpreter.

The keeper holds the write end of a pipe and never writes. When the keeper is gone the kernel itself sends SIGKILL to the
process group of every reader that asked for it: no thread has to run for that, so neither an endless loop in C nor a held
interpreter lock delays it.
"""

from __future__ import annotations

import fcntl
import os
import select
import signal
import threading

_F_SETSIG = 10  # Linux; the fcntl module has no name for it before Python 3.13


def end_with(pipe: int) -> None:
    """End this process group as soon as nobody holds the write end of `pipe` any more."""
    try:
        own = os.open("/proc/self/fd/%d" % pipe, os.O_RDONLY)  # who is told belongs to the open file: have one's own
        fcntl.fcntl(own, fcntl.F_SETOWN, -os.getpgrp())
        fcntl.fcntl(own, _F_SETSIG, int(signal.SIGKILL))
        fcntl.fcntl(own, fcntl.F_SETFL, fcntl.fcntl(own, fcntl.F_GETFL) | os.O_ASYNC)
    except (OSError, AttributeError):
        threading.Thread(target=_watch, args=(pipe,), name="lifeline", daemon=True).start()
        return
    poll = select.poll()
    poll.register(pipe, 0)
    if poll.poll(0):  # it was cut before we asked
        _end()


def _watch(pipe: int) -> None:
    """For systems without that signal: a thread that waits for the end."""
    while os.read(pipe, 1):
        pass
    _end()


def _end() -> None:
    os.killpg(os.getpgrp(), signal.SIGKILL)
