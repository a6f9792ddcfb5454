"""Parents and the hosts they fork: loading, dying, outliving, and ending with their keeper."""

import json
import os
import signal
import subprocess
import sys
import tempfile
import textwrap
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

import psutil
import pytest
from hosts_by_hand import ADDS_ONE, BundleMaker, Environment, Hosts, floats, fp64, until

from muster.runtimes.channel import Channel
from muster.runtimes.errors import HostGone, HostLoadFailed, HostNotStarted, OrderBroken, SocketPathTooLong
from muster.runtimes.host import running_host
from muster.runtimes.order import LoadOrder, order_of
from muster.runtimes.parent import HostExit, Limits, Parent

pytest_plugins = ["hosts_by_hand"]

STARTS_A_THREAD = """
    import threading, time
    _never = threading.Event()
    threading.Thread(target=_never.wait, daemon=True).start()
    class Model:
        def predict(self, columns):
            return [x + 1 for x in columns["x"]]
"""
TELLS_ITS_PID = """
    import os
    LOADED_IN = os.getpid()
    class Model:
        def predict(self, columns):
            return [float(LOADED_IN) for x in columns["x"]]
"""


def _gone(pid: int) -> bool:
    try:
        return psutil.Process(pid).status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


def test_variants_of_one_environment_share_a_parent(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """Models are loaded once in the parent, before any fork, and every host is forked from it."""
    parent = hosts.parent()
    for key in ("a", "b"):
        loaded = parent.load(key, make_bundle(TELLS_ITS_PID, module=f"code_{key}"))
        assert loaded.fork_unsafe is None
    forked = [hosts.fork(parent, key) for key in ("a", "b", "a")]
    for _, pid, path in forked:
        assert psutil.Process(pid).ppid() == parent.pid
        assert floats(hosts.channel(path).predict([1], [fp64(0)]).columns[0]) == [float(parent.pid or 0)]
    assert parent.hosts == {host: pid for host, pid, _ in forked}
    assert not parent.spawns


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGSEGV, signal.SIGTERM])
def test_a_killed_host_is_reported_and_replaced(make_bundle: BundleMaker, hosts: Hosts, number: int) -> None:
    """The end of a host is told with its signal, its socket is removed, and a new one is there within milliseconds."""
    parent = hosts.parent()
    parent.load("k", make_bundle(ADDS_ONE))
    host, pid, path = hosts.fork(parent, "k")
    channel = hosts.channel(path)
    os.kill(pid, number)
    assert until(lambda: hosts.exits, "the exit is told") == [HostExit(host=host, pid=pid, status=None, signal=number)]
    assert not path.exists()
    with pytest.raises(HostGone):
        channel.predict([1], [fp64(1)])
    begun = time.monotonic()
    _, _, path = hosts.fork(parent, "k")
    assert floats(hosts.channel(path).predict([1], [fp64(1)]).columns[0]) == [2]
    assert time.monotonic() - begun < 5.0


def test_whoever_is_told_of_an_end_may_fork_the_next(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """`on_exit` runs on a thread of its own, so that it may call the parent."""
    again = threading.Event()
    replaced: list[Path] = []

    def replace(ended: HostExit) -> None:
        if not again.is_set():
            replaced.append(hosts.fork(parent, "k")[2])
            again.set()
        raise ValueError(ended.host)  # and what it raises is its own affair

    parent = hosts.parent(on_exit=replace)
    parent.load("k", make_bundle(ADDS_ONE))
    os.kill(hosts.fork(parent, "k")[1], signal.SIGKILL)
    assert again.wait(20)
    assert floats(hosts.channel(replaced[0]).predict([1], [fp64(1)]).columns[0]) == [2]


def test_hosts_outlive_their_parent(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """After kill -9 of the parent its hosts answer, the next fork starts a parent anew, and orphans' ends are told."""
    parent = hosts.parent()
    parent.load("k", make_bundle(ADDS_ONE))
    host, pid, path = hosts.fork(parent, "k")
    channel = hosts.channel(path)
    first = parent.pid
    assert first is not None
    os.kill(first, signal.SIGKILL)
    until(lambda: parent.pid is None, "the parent's end is noticed")
    assert floats(channel.predict([1], [fp64(1)]).columns[0]) == [2]
    _, second, other = hosts.fork(parent, "k")
    assert floats(hosts.channel(other).predict([1], [fp64(2)]).columns[0]) == [3]
    assert parent.pid not in (None, first)
    assert not hosts.exits
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: hosts.exits, "the orphan's end is told") == [
        HostExit(host=host, pid=pid, status=None, signal=None)
    ]
    assert parent.hosts == {"host-2": second}
    parent.stop()
    until(lambda: _gone(second), "stop ends every host")


def test_stop_ends_orphans_too(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """`Parent.stop` ends hosts whose parent process died before them."""
    parent = hosts.parent()
    parent.load("k", make_bundle(ADDS_ONE))
    _, pid, path = hosts.fork(parent, "k")
    assert parent.pid is not None
    os.kill(parent.pid, signal.SIGKILL)
    until(lambda: parent.pid is None, "the parent's end is noticed")
    parent.stop()
    assert _gone(pid)
    assert not path.exists()
    assert not hosts.exits
    with pytest.raises(HostGone):
        parent.fork("k", "late", hosts.folder / "late.sock")


@pytest.mark.parametrize(
    "busy",
    [
        "threading.Event().wait()",
        "sum(itertools.repeat(0))",  # an endless loop in C that never lets go of the interpreter's lock
        "[subprocess.run(['sleep', '600'], check=True)]",
        "[signal.pthread_sigmask(signal.SIG_BLOCK, range(1, 65)), time.sleep(600)]",
    ],
)
def test_hosts_end_with_their_keeper(make_bundle: BundleMaker, tmp_path: Path, hosts: Hosts, busy: str) -> None:
    """When the process that started them is killed with -9, no parent, host or child of a host is left, whatever it does."""
    order = make_bundle(f"""
    import itertools, signal, subprocess, threading, time
    class Model:
        def predict(self, columns):
            if columns["x"][0] < 0: {busy}
            return columns["x"]
    """)
    keeper = textwrap.dedent(f"""
    import json, sys, threading
    from pathlib import Path
    from muster.runtimes.channel import Channel
    from muster.runtimes.parent import Parent
    parent = Parent(Path(sys.executable), "e", Path({str(hosts.log)!r}))
    parent.load("k", json.loads({json.dumps(order.document())!r}))
    pids = [parent.pid] + [parent.fork("k", f"h{{n}}", Path({str(hosts.folder)!r}) / f"{{n}}.sock") for n in range(2)]
    print(json.dumps(pids), flush=True)
    sys.stdin.read()
    """)
    with subprocess.Popen(
        [sys.executable, "-c", keeper], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        pids = json.loads(process.stdout.readline())
        channel = hosts.channel(hosts.folder / "0.sock")
        asking = threading.Thread(target=_ask_in_vain, args=(channel,))
        asking.start()
        host = psutil.Process(pids[1])
        until(lambda: "sleep" not in busy or host.children() or "mask" in busy, "the model is at it")
        family = [*pids, *(child.pid for child in host.children())]
        process.send_signal(signal.SIGKILL)
        process.wait()
    for pid in family:
        until(partial(_gone, pid), f"{pid} of {family} ends")
    asking.join(20)
    assert not asking.is_alive()


def _ask_in_vain(channel: Channel) -> None:
    with pytest.raises(HostGone):
        channel.predict([1], [fp64(-1)], timeout_s=60)


def test_children_of_a_host_end_with_it(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """Processes that a model started do not outlive a host that is killed."""
    source = """
    import subprocess
    class Model:
        def predict(self, columns):
            return [float(subprocess.Popen(["sleep", "600"]).pid)]
    """
    parent = hosts.parent()
    parent.load("k", make_bundle(source))
    host, pid, path = hosts.fork(parent, "k")
    channel = hosts.channel(path)
    children = [int(floats(channel.predict([1], [fp64(0)]).columns[0])[0]) for _ in range(2)]
    os.kill(pid, signal.SIGKILL)
    for child in children:
        until(partial(_gone, child), "the model's child ends")
    host, pid, path = hosts.fork(parent, "k")
    child = int(floats(hosts.channel(path).predict([1], [fp64(0)]).columns[0])[0])
    parent.kill(host)
    parent.kill(host)
    until(lambda: _gone(pid) and _gone(child), "kill ends both")
    until(lambda: len(hosts.exits) == 2, "both ends are told")
    parent.kill(host)  # of one that is gone: no error


@pytest.mark.parametrize(
    ("source", "said"),
    [
        ("import a_module_that_is_nowhere\nclass Model: pass", "No module named 'a_module_that_is_nowhere'"),
        ("raise RuntimeError('while loading')\nclass Model: pass", "RuntimeError: while loading"),
        ("import sys; sys.exit(4)\nclass Model: pass", "SystemExit: 4"),
        ("import ctypes; ctypes.string_at(0)\nclass Model: pass", "signal 11"),
        ("import os; os._exit(9)\nclass Model: pass", "exit status 9"),
    ],
)
def test_a_model_that_cannot_be_loaded_says_why(make_bundle: BundleMaker, hosts: Hosts, source: str, said: str) -> None:
    """The error holds what the model's code said; other models of the parent are not harmed."""
    parent = hosts.parent()
    parent.load("good", make_bundle(ADDS_ONE))
    with pytest.raises(HostLoadFailed, match="bad") as caught:
        parent.load("bad", make_bundle(source, module="bad_code"))
    assert said in caught.value.message
    assert "bad_code.py" in caught.value.message or "exit" in said
    _, _, path = hosts.fork(parent, "good")
    assert floats(hosts.channel(path).predict([1], [fp64(1)]).columns[0]) == [2]


def test_loading_that_takes_too_long_is_given_up(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """A model that hangs while it is loaded costs the parent process, not the hosts, and not the next load."""
    parent = hosts.parent()
    parent.load("good", make_bundle(ADDS_ONE))
    _, _, path = hosts.fork(parent, "good")
    channel = hosts.channel(path)
    with pytest.raises(HostLoadFailed, match="not loaded within"):
        parent.load("bad", make_bundle("import time; time.sleep(600)", module="hangs"), timeout_s=0.3)
    assert floats(channel.predict([1], [fp64(1)]).columns[0]) == [2]
    _, _, path = hosts.fork(parent, "good")
    assert floats(hosts.channel(path).predict([1], [fp64(1)]).columns[0]) == [2]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"serializer": "joblib"}, "runtime.serializer is 'joblib'"),
        ({"kind": "R"}, "runtime.kind is 'R'"),
        ({"method": "transform"}, "runtime.method is 'transform'"),
        ({"method": "predict_proba"}, "has no predict_proba"),
        ({"input": "xarray"}, "runtime.input is 'xarray'"),
        ({"model": "model/nothing.skops"}, "'model/nothing.skops' is not in the bundle"),
        ({"model": "../../etc/passwd"}, "leads out of the bundle"),
        ({"code": ["/etc"]}, "leads out of the bundle"),
        ({"class_index": 1}, "only for predict_proba"),
    ],
)
def test_orders_that_cannot_be_followed_are_named(
    make_bundle: BundleMaker, hosts: Hosts, change: dict[str, Any], said: str
) -> None:
    """An order that asks for something unknown is refused with the words that name it."""
    parent = hosts.parent()
    with pytest.raises(OrderBroken) as caught:
        parent.load("k", make_bundle(ADDS_ONE, **change))
    assert said in caught.value.message


def test_orders_are_checked_before_they_are_sent(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """A document that is no order, a relative folder, other threads, an unknown key: each is an error of its own."""
    parent = hosts.parent()
    document = make_bundle(ADDS_ONE).document()
    assert order_of(document).document() == document
    for change, said in (
        ({"bundle": "relative"}, "not an absolute path"),
        ({"runtime": None}, "runtime"),
        ({"threads": 2}, "threads"),
        ({"contract": {"inputs": []}}, "outputs"),
    ):
        with pytest.raises(OrderBroken, match=said):
            parent.load("k", {**document, **change})
    with pytest.raises(OrderBroken, match="nothing is loaded under 'k'"):
        hosts.fork(parent, "k")
    parent.load("k", document)
    with pytest.raises(SocketPathTooLong):
        parent.fork("k", "h", hosts.folder / ("x" * 100))
    with pytest.raises(HostLoadFailed, match="No such file or directory"):
        parent.fork("k", "h", hosts.folder / "no" / "folder.sock")
    parent.forget("k")
    with pytest.raises(OrderBroken, match="nothing is loaded"):
        hosts.fork(parent, "k")


def test_an_interpreter_that_does_not_work_is_named(tmp_path: Path) -> None:
    """A missing or broken interpreter is an error that shows what it said."""
    with pytest.raises(HostNotStarted, match="No such file"):
        Parent(tmp_path / "bin" / "python", "e", tmp_path / "log")
    broken = tmp_path / "python"
    broken.write_text("#!/bin/sh\necho the library is missing >&2\nexit 3\n")
    broken.chmod(0o755)
    with pytest.raises(HostNotStarted, match=r"(?s)exit status 3.*the library is missing"):
        Parent(broken, "e", tmp_path / "log")


def test_two_versions_may_bring_modules_of_one_name(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """`features.py` of one bundle is never taken for that of another, not even when it is imported late."""
    source = """
    import features
    class Model:
        def predict(self, columns):
            import late
            return [features.VALUE + late.VALUE for x in columns["x"]]
    """
    parent = hosts.parent()
    paths = {}
    for key, value in (("one", 1), ("two", 2)):
        order = make_bundle(source, module="same_name")
        src = Path(order.bundle) / "src"
        (src / "features.py").write_text(f"VALUE = {value}.0")
        (src / "late.py").write_text(f"VALUE = {value}0.0")
        parent.load(key, order)
    for key in ("two", "one"):
        paths[key] = hosts.fork(parent, key)[2]
    assert floats(hosts.channel(paths["one"]).predict([1], [fp64(0)]).columns[0]) == [11]
    assert floats(hosts.channel(paths["two"]).predict([1], [fp64(0)]).columns[0]) == [22]


def test_the_same_order_is_loaded_once(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """Two keys with one order share the loaded model, and a second load of a key costs nothing."""
    source = """
    import os
    print("loading", flush=True)
    class Model:
        def predict(self, columns):
            return columns["x"]
    """
    order = make_bundle(source)
    parent = hosts.parent()
    for key in ("a", "b", "a"):
        parent.load(key, order)
    assert hosts.log.read_text().count("loading") == 1
    parent.forget("a")
    _, _, path = hosts.fork(parent, "b")
    assert floats(hosts.channel(path).predict([1], [fp64(3)]).columns[0]) == [3]


def test_an_environment_that_is_not_fork_safe_is_found_out(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """Threads that run after the import make every host a process of its own, through the same calls."""
    parent = hosts.parent()
    loaded = parent.load("k", make_bundle(STARTS_A_THREAD))
    assert loaded.fork_unsafe is not None
    assert "thread" in loaded.fork_unsafe
    assert parent.spawns
    host, pid, path = hosts.fork(parent, "k")
    assert psutil.Process(pid).ppid() == os.getpid()
    channel = hosts.channel(path)
    assert channel.hello.pid == pid
    assert floats(channel.predict([1], [fp64(1)]).columns[0]) == [2]
    _, other, path = hosts.fork(parent, "k")
    assert other != pid
    assert floats(hosts.channel(path).predict([1], [fp64(1)]).columns[0]) == [2]
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: hosts.exits, "the end is told") == [HostExit(host=host, pid=pid, status=None, signal=9)]
    parent.load("k", make_bundle(ADDS_ONE))
    parent.stop()
    until(lambda: _gone(other), "stop ends spawned hosts")
    assert not [child for child in psutil.Process().children() if "muster_host" in " ".join(child.cmdline())]


def test_a_trunk_with_hosts_is_left_to_them(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """When the second model turns out not to survive a fork, hosts of the first go on and new ones of both are made."""
    parent = hosts.parent()
    parent.load("safe", make_bundle(TELLS_ITS_PID, module="safe_code"))
    _, pid, path = hosts.fork(parent, "safe")
    assert not parent.spawns
    parent.load("unsafe", make_bundle(STARTS_A_THREAD, module="unsafe_code"))
    assert parent.spawns
    hosts.channel(path).predict([1], [fp64(0)])
    for key in ("unsafe", "safe"):
        other, answered = hosts.fork(parent, key)[1:]
        assert psutil.Process(other).ppid() == os.getpid()
        hosts.channel(answered).predict([1], [fp64(0)])
    os.kill(pid, signal.SIGKILL)
    assert until(lambda: hosts.exits, "the forked host's end is told")[0].signal == 9


def test_a_spare_waits_for_the_next_host(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """Where hosts are spawned, the next one is loaded beforehand, so that a replacement comes at once."""
    source = """
    import time
    time.sleep(1)
    class Model:
        def predict(self, columns):
            return columns["x"]
    """
    parent = hosts.parent(spawn=True)
    assert parent.pid is None
    assert parent.load("k", make_bundle(source)).seconds >= 0.5
    for _ in range(2):
        begun = time.monotonic()
        _, _, path = hosts.fork(parent, "k")
        assert time.monotonic() - begun < 0.5
        assert floats(hosts.channel(path).predict([1], [fp64(1)]).columns[0]) == [1]
        until(lambda: parent._spawned["k"].spare is not None, "the spare is ready")
    spare = parent._spawned["k"].spare
    assert spare is not None
    parent.forget("k")
    until(lambda: _gone(spare.pid), "a spare that is not needed ends")
    assert floats(hosts.channel(path).predict([1], [fp64(1)]).columns[0]) == [1]


def test_a_spare_is_never_of_an_earlier_model(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """Loading another model under the same key replaces the spare that had loaded the first."""
    parent = hosts.parent(spawn=True)
    for value in (1, 2):
        source = f"class Model:\n    def predict(self, columns): return [{value}.0 for _ in columns['x']]"
        parent.load("k", make_bundle(source, module=f"code_{value}"))
        _, _, path = hosts.fork(parent, "k")
        assert floats(hosts.channel(path).predict([1], [fp64(0)]).columns[0]) == [value]


def test_a_model_that_takes_signals_does_not_blind_its_parent(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """Packages that install handlers while they are imported do not keep the parent from noticing ends."""
    source = """
    import signal, sys
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    signal.set_wakeup_fd(-1)
    sys.stdout = None
    class Model:
        def predict(self, columns):
            return columns["x"]
    """
    parent = hosts.parent()
    parent.load("k", make_bundle(source))
    _, pid, path = hosts.fork(parent, "k")
    assert floats(hosts.channel(path).predict([1], [fp64(1)]).columns[0]) == [1]
    os.kill(pid, signal.SIGTERM)
    assert until(lambda: hosts.exits, "the end is told")[0].signal == signal.SIGTERM


def test_a_host_tells_where_it_is(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """SIGUSR1 writes the stack of a computing host to the log, and the host goes on."""
    source = """
    import time
    class Model:
        def predict(self, columns):
            print("at it", flush=True)
            while columns["x"][0]:
                time.sleep(0.01)
                columns["x"][0] -= 1
            return columns["x"]
    """
    channel = hosts.host(make_bundle(source))
    asking = threading.Thread(target=channel.predict, args=([1], [fp64(100)]))
    asking.start()
    until(lambda: "at it" in hosts.log.read_text(), "the model computes")
    os.kill(channel.hello.pid, signal.SIGUSR1)
    asking.join(20)
    assert not asking.is_alive()
    until(lambda: "authors_code.py" in hosts.log.read_text(), "the stack is in the log")


def test_polars_is_known_not_to_survive_a_fork(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """A model that takes polars frames is spawned and answers."""
    source = """
    class Model:
        def predict(self, frame):
            assert type(frame).__module__.startswith("polars")
            return frame.select(y=frame["x"] + 1)
    """
    parent = hosts.parent()
    loaded = parent.load("k", make_bundle(source, input="polars", dtypes={"x": "Float64"}))
    assert loaded.fork_unsafe is not None
    _, _, path = hosts.fork(parent, "k")
    assert floats(hosts.channel(path).predict([2], [fp64(1, 2)]).columns[0]) == [2, 3]


def test_a_fork_shares_what_was_loaded(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """Ten hosts of a model of 100 MB need far less memory than ten copies."""
    source = """
    import os
    BIG = os.urandom(100_000_000)
    class Model:
        def predict(self, columns):
            return [float(BIG[int(x)]) for x in columns["x"]]
    """
    parent = hosts.parent()
    parent.load("k", make_bundle(source))
    pids = []
    for _ in range(10):
        _, pid, path = hosts.fork(parent, "k")
        hosts.channel(path).predict([1], [fp64(5)])
        pids.append(pid)
    own = sum(psutil.Process(pid).memory_full_info().uss for pid in pids)
    assert own < 200_000_000


def _fail_with_a_host(order: LoadOrder, log: Path, pids: list[int]) -> None:
    with running_host(Environment(), Path(order.bundle), order, log) as channel:
        pids.append(channel.hello.pid)
        raise ZeroDivisionError


def test_running_host_cleans_up_after_errors(
    make_bundle: BundleMaker, hosts: Hosts, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whether loading fails or the block raises, no process and no folder is left."""
    monkeypatch.setattr(tempfile, "tempdir", str(hosts.folder))
    bad = make_bundle("raise ValueError('no')", module="bad")
    with pytest.raises(HostLoadFailed), running_host(Environment(), Path(bad.bundle), bad, tmp_path / "log"):
        pass
    good = make_bundle(ADDS_ONE)
    pids: list[int] = []
    with pytest.raises(ZeroDivisionError):
        _fail_with_a_host(good, tmp_path / "log", pids)
    until(lambda: _gone(pids[0]), "the host ends")
    threading_host = make_bundle(STARTS_A_THREAD)
    with running_host(Environment(), Path(threading_host.bundle), threading_host, tmp_path / "log") as channel:
        pids.append(channel.hello.pid)
        assert floats(channel.predict([1], [fp64(1)]).columns[0]) == [2]
    until(lambda: _gone(pids[1]), "the spawned host ends")
    assert not list(hosts.folder.iterdir())
    monkeypatch.setattr(tempfile, "tempdir", str(hosts.folder / ("long" * 25)))  # too long for a socket's address
    with running_host(Environment(), Path(good.bundle), good, tmp_path / "log") as channel:
        assert floats(channel.predict([1], [fp64(1)]).columns[0]) == [2]


@pytest.mark.parametrize("kills", [20, pytest.param(500, marks=pytest.mark.soak)])
def test_many_kills_leave_nothing_behind(make_bundle: BundleMaker, hosts: Hosts, kills: int) -> None:
    """Host after host is killed at a random moment; each end is told once, and no descriptor, thread or process is left."""
    parent = hosts.parent()
    parent.load("k", make_bundle(ADDS_ONE))
    warm = hosts.fork(parent, "k", Limits(nice=1))
    os.kill(warm[1], signal.SIGKILL)
    until(lambda: len(hosts.exits) == 1, "the first end is told")
    descriptors, threads = psutil.Process().num_fds(), threading.active_count()
    for number in range(kills):
        host, pid, path = hosts.fork(parent, "k")
        if number % 3:
            with Channel(path) as channel:
                channel.predict([1], [fp64(number)])
        if number % 2:
            parent.kill(host)
        else:
            os.kill(pid, signal.SIGKILL)
    until(lambda: len(hosts.exits) == kills + 1, "every end is told", 60)
    assert len({ended.host for ended in hosts.exits}) == kills + 1
    assert parent.hosts == {}
    assert not list(hosts.folder.iterdir())
    assert psutil.Process().num_fds() == descriptors
    assert threading.active_count() == threads
    assert psutil.Process(parent.pid).children() == []


def test_a_parent_that_died_unnoticed_is_replaced_within_the_call(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """Killing the parent just before each fork never makes a fork fail."""
    parent = hosts.parent()
    parent.load("k", make_bundle(ADDS_ONE))
    for _ in range(10):
        assert parent.pid is not None
        os.kill(parent.pid, signal.SIGKILL)
        _, _, path = hosts.fork(parent, "k")
        assert floats(hosts.channel(path).predict([1], [fp64(1)]).columns[0]) == [2]
    assert len(parent.hosts) == 10
