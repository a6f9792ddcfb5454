"""What a host can say about the machine and the process it is: for its hello, for the record and for a replay."""

from __future__ import annotations

import contextlib
import os
import platform
import sys

#: Packages that start threads or hold device handles which a fork does not carry over.
_FORK_UNSAFE = ("torch", "tensorflow", "jax", "jaxlib", "jpype", "jnius", "py4j", "polars", "ray", "cupy")
#: Threads that look after themselves across a fork (jemalloc registers for it).
_FORK_TOLERANT_THREADS = ("jemalloc_bg_thd",)
#: The greatest niceness there is.
_NICEST = 19
THREAD_VARIABLES = (
    "OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "BLIS_NUM_THREADS", "NUMEXPR_NUM_THREADS",
    "VECLIB_MAXIMUM_THREADS", "POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "ARROW_NUM_THREADS", "NUMBA_NUM_THREADS",
)  # fmt: skip


def limit_threads(threads: int) -> None:
    """Tell every library of linear algebra how many threads it may start; must come before their import."""
    for name in THREAD_VARIABLES:
        os.environ[name] = str(threads)
    os.environ["OMP_DYNAMIC"] = "FALSE"
    os.environ["MKL_DYNAMIC"] = "FALSE"
    os.environ["TOKENIZERS_PARALLELISM"] = "false"


def cpu_model() -> str:
    """Name of the processor, as exactly as the system tells it."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as lines:
            for line in lines:
                if line.startswith("model name"):
                    return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()


def python_version() -> str:
    """Version of the interpreter: `3.11.7`."""
    return ".".join(str(part) for part in sys.version_info[:3])


def rss_bytes() -> int:
    """Memory this process holds at present; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as line:
            return int(line.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def data_bytes() -> int:
    """Private memory of this process as `RLIMIT_DATA` counts it; 0 where the system does not tell."""
    try:
        with open("/proc/self/statm", encoding="ascii") as line:
            return int(line.read().split()[5]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def share_fairly(niceness: int) -> None:
    """Yield to whoever watches this process, however many threads it comes to run.

    Where the kernel shares the processors among sessions (autogroups), niceness counts only within one; so the
    session as a whole, this process's own, is made as nice. At the greatest niceness the process runs only when nobody else
    wants to, and gives way as soon as somebody does (SCHED_IDLE); what it starts does likewise.
    """
    os.nice(niceness)
    if niceness >= _NICEST and hasattr(os, "SCHED_IDLE"):
        with contextlib.suppress(OSError):
            os.sched_setscheduler(0, os.SCHED_IDLE, os.sched_param(0))
    with contextlib.suppress(OSError), open("/proc/self/autogroup", "w", encoding="ascii") as group:
        group.write(str(niceness))


def why_fork_is_unsafe() -> str | None:
    """A reason why a fork of this process could hang, None when there is none."""
    for name in _FORK_UNSAFE:
        if name in sys.modules:
            return "%s is imported, which does not survive a fork" % name
    try:
        threads = os.listdir("/proc/self/task")
    except OSError:
        return None
    for thread in threads:
        if int(thread) == os.getpid():
            continue
        try:
            with open("/proc/self/task/%s/comm" % thread, encoding="utf-8", errors="replace") as comm:
                text = comm.read().strip()
        except OSError:
            continue  # it has ended since
        if text not in _FORK_TOLERANT_THREADS:
            return "a thread %r runs, and a fork would not carry it over" % text
    return None
