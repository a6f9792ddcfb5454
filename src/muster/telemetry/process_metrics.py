"""What every process says about itself, under the names that all programs use for it."""

import os
import resource
import time

import psutil

import muster
from muster.telemetry.exposition import Exposition, Metric

INFO = Metric(
    "muster_info", "gauge", "Always 1; which process of a factory this is, and its version.", ("process", "version")
)
CPU = Metric("process_cpu_seconds_total", "counter", "Processor time that the process has used, user and system.")
RESIDENT = Metric("process_resident_memory_bytes", "gauge", "Resident memory of the process.")
VIRTUAL = Metric("process_virtual_memory_bytes", "gauge", "Virtual memory of the process.")
OPEN_FILES = Metric("process_open_fds", "gauge", "Files and sockets that the process has open.")
MOST_FILES = Metric("process_max_fds", "gauge", "How many files and sockets it may have open.")
STARTED = Metric("process_start_time_seconds", "gauge", "When the process was started, seconds since 1970.")
THREADS = Metric("process_threads", "gauge", "Threads of the process.")
METRICS = (INFO, CPU, RESIDENT, VIRTUAL, OPEN_FILES, MOST_FILES, STARTED, THREADS)

_own = psutil.Process()


def say_process(out: Exposition, name: str) -> None:
    """Write the metrics of this process.

    Args:
        out: the text.
        name: the process's kind and number: `front-0`.
    """
    own = _own if _own.pid == os.getpid() else psutil.Process()
    out.begin(INFO)
    out.sample(1, name, muster.__version__)
    out.one(CPU, time.process_time())
    memory = own.memory_info()
    out.one(RESIDENT, memory.rss)
    out.one(VIRTUAL, memory.vms)
    out.one(OPEN_FILES, own.num_fds())
    out.one(MOST_FILES, resource.getrlimit(resource.RLIMIT_NOFILE)[0])
    out.one(STARTED, own.create_time())
    out.one(THREADS, own.num_threads())
