"""What a host may take of the machine: memory, processors, disk. Real processes, looked at as the keeper does."""

import os
import time
from pathlib import Path

import psutil
import pytest
from hosts_by_hand import BundleMaker, Hosts, floats, fp64, until

from muster.runtimes.channel import Channel
from muster.runtimes.errors import HostGone
from muster.runtimes.host_log import KEPT_BYTES, LogGuard
from muster.runtimes.parent import Limits
from muster.serving.workers.watch import HostWatch, usable_memory_bytes

pytest_plugins = ["hosts_by_hand"]

LEAKS = """
    kept = []
    class Model:
        def predict(self, columns):
            for x in columns["x"]:
                if x > 0:
                    kept.append(bytearray(int(x)))
                else:
                    bytearray(int(-x))
            return columns["x"]
"""
MB = 1_000_000


def test_a_model_that_leaks_meets_a_new_host_and_not_one_memory_error_after_the_other(
    make_bundle: BundleMaker, hosts: Hosts
) -> None:
    """When no memory is left although the request is over, the request has its answer and the host ends with 71."""
    channel = hosts.host(make_bundle(LEAKS), Limits(memory_bytes=300 * MB))
    for _ in range(20):
        answer = channel.predict([1], [fp64(40 * MB)])
        if answer.errors:
            break
    assert answer.errors[0].message.startswith("MemoryError")
    ended = until(lambda: hosts.exits, "the host ends")[0]
    assert (ended.status, ended.signal) == (71, None)
    assert "holds on to its memory" in hosts.log.read_text()


def test_one_request_that_asks_for_too_much_ends_nothing(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """Its memory is free again, so the host goes on, however often it is asked."""
    channel = hosts.host(make_bundle(LEAKS), Limits(memory_bytes=300 * MB))
    for _ in range(5):
        assert channel.predict([1], [fp64(-900 * MB)]).errors[0].message.startswith("MemoryError")
        assert floats(channel.predict([1], [fp64(-1)]).columns[0]) == [-1]
    assert not hosts.exits


def test_memory_is_counted_with_the_processes_that_a_model_starts(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """A model cannot hide its memory in a child process; pages that both share count once."""
    source = """
    import subprocess, sys
    child = "import sys, time; kept = b'x' * %d; print('.', flush=True); time.sleep(600)"
    class Model:
        def predict(self, columns):
            for x in columns["x"]:
                if x:
                    started = subprocess.Popen([sys.executable, "-c", child % int(x)], stdout=subprocess.PIPE)
                    started.stdout.read(1)
            return columns["x"]
    """
    channel = hosts.host(make_bundle(source))
    watch = HostWatch(channel.hello.pid, 1, 300 * MB)
    channel.predict([1], [fp64(0)])
    assert watch.look() is None
    channel.predict([1], [fp64(150 * MB)])
    assert watch.look() is None
    channel.predict([1], [fp64(250 * MB)])
    assert watch.look() == "memory"


def test_a_limit_is_a_limit_on_this_machine() -> None:
    """Whatever is set, some of the machine is left for those who watch."""
    total = psutil.virtual_memory().total
    assert usable_memory_bytes(1 << 60) <= 0.81 * total
    assert usable_memory_bytes(64 * MB) == 64 * MB
    assert usable_memory_bytes(0) == 0


def test_a_host_that_is_stopped_is_found(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """SIGSTOP leaves a process that answers nobody; seen several times in a row, it has to be ended."""
    channel = hosts.host(make_bundle(LEAKS))
    watch = HostWatch(channel.hello.pid, 1, 0)
    process = psutil.Process(channel.hello.pid)
    process.suspend()
    until(lambda: process.status() == psutil.STATUS_STOPPED, "it is stopped")
    verdicts = [watch.look() for _ in range(6)]
    assert verdicts == [None] * 5 + ["stopped"]
    process.resume()
    until(lambda: process.status() != psutil.STATUS_STOPPED, "it goes on")
    assert watch.look() is None
    process.kill()
    until(lambda: hosts.exits, "it has ended")
    assert watch.look() is None


def test_a_host_with_more_threads_than_it_may_have_is_confined(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """It gets as many processors as it has threads, and those only while nobody else wants them; so do its children."""
    source = """
    import hashlib, threading
    work = bytes(50_000_000)
    def spin():
        while True:
            hashlib.sha256(work).digest()  # without the interpreter's lock, as linear algebra does
    class Model:
        def predict(self, columns):
            if columns["x"][0]:
                for _ in range(4):
                    threading.Thread(target=spin, daemon=True).start()
            return columns["x"]
    """
    channel = hosts.host(make_bundle(source), Limits(nice=5))
    watch = HostWatch(channel.hello.pid, 1, 0)
    for _ in range(6):
        assert watch.look() is None
        assert not watch.confined_now
    channel.predict([1], [fp64(1)])

    def is_confined() -> bool:
        assert watch.look() is None
        return watch.confined_now

    until(is_confined, "it is confined")
    for thread in Path(f"/proc/{channel.hello.pid}/task").iterdir():
        assert len(os.sched_getaffinity(int(thread.name))) == 1
        assert os.getpriority(os.PRIO_PROCESS, int(thread.name)) == 19
    assert floats(channel.predict([1], [fp64(0)]).columns[0]) == [0]


def test_each_host_is_a_session_of_its_own(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """Where the kernel shares the processors among sessions, a host with sixteen threads gets no more than one with one."""
    parent = hosts.parent()
    parent.load("k", make_bundle(LEAKS))
    pids = [hosts.channel(hosts.fork(parent, "k", Limits(nice=5))[2]).hello.pid for _ in range(2)]
    assert [os.getsid(pid) for pid in pids] == pids
    assert [os.getpgid(pid) for pid in pids] == pids
    for pid in pids:
        group = Path(f"/proc/{pid}/autogroup")
        if group.exists():
            assert group.read_text().endswith("nice 5\n")


def test_what_a_model_prints_is_bounded_on_the_disk(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """A model that floods its output fills no disk, is not held up, and the end of what it wrote is kept."""
    source = """
    import os
    class Model:
        def predict(self, columns):
            for number in range(int(columns["x"][0])):
                os.write(1, b"%09d" % number + b"." * 99_990 + b"\\n")
            return columns["x"]
    """
    channel = hosts.host(make_bundle(source))
    beside = hosts.log.with_name(hosts.log.name + ".1")
    for _ in range(4):
        channel.predict([1], [fp64(1000)])  # 100 MB
    until(lambda: b"were cut here" in hosts.log.read_bytes()[:200], "the log is cut")
    until(lambda: hosts.log.stat().st_size < 20 * MB, "it is cut once more where the model was quicker than its guard")
    assert beside.stat().st_size <= KEPT_BYTES
    assert b"." * 1000 in beside.read_bytes()
    assert channel.predict([1], [fp64(0)]).errors == {}


def test_a_log_is_cut_where_it_lies_and_its_writers_go_on(tmp_path: Path) -> None:
    """Whoever has the file open for appending writes on at its new beginning; what is no regular file is left alone."""
    path = tmp_path / "host.log"
    guard, devices = LogGuard(path, most_bytes=1000), LogGuard(Path("/dev/full"), most_bytes=0)
    with path.open("ab", buffering=0) as log:
        log.write(b"a" * 900)
        time.sleep(0.5)
        assert path.stat().st_size == 900
        log.write(b"b" * 900)
        until(lambda: path.stat().st_size < 900, "it is cut")
        log.write(b"the end")
        assert path.read_text() == "1800 bytes of output were cut here; the end of them is in host.log.1\nthe end"
        assert path.with_name("host.log.1").read_bytes() == b"a" * 900 + b"b" * 900
    guard.close()
    devices.close()


def test_a_socket_that_a_model_meddles_with_costs_only_that_connection(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """A model that closes the descriptors of its own process loses its peers, and is reached again."""
    source = """
    import os, stat
    class Model:
        def predict(self, columns):
            if columns["x"][0]:
                for name in os.listdir("/proc/self/fd"):
                    descriptor = int(name)
                    try:
                        if descriptor > 2 and stat.S_ISSOCK(os.fstat(descriptor).st_mode):
                            os.shutdown(descriptor) if hasattr(os, "shutdown") else os.close(descriptor)
                    except OSError:
                        pass
            return columns["x"]
    """
    parent = hosts.parent()
    parent.load("k", make_bundle(source))
    _, pid, path = hosts.fork(parent, "k")
    channel = hosts.channel(path)
    with pytest.raises(HostGone):
        channel.predict([1], [fp64(1)])
    ended = until(lambda: hosts.exits, "the host has ended, for it cannot listen any more")[0]
    assert ended.pid == pid
    with pytest.raises(HostGone):
        Channel(path)
