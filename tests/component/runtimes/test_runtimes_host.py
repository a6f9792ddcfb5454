"""A host, as its peers meet it: real processes of this interpreter, real sockets."""

import errno
import os
import socket
import struct
import threading
import time
from pathlib import Path
from random import Random
from typing import Any

import psutil
import pytest
from hosts_by_hand import ADDS_ONE, BundleMaker, Environment, Hosts, floats, fp64, until

from muster.runtimes.channel import Channel
from muster.runtimes.errors import HostGone, HostTimedOut, SocketPathTooLong, TableRefused
from muster.runtimes.host import running_host
from muster.runtimes.parent import Limits
from muster_host import frames

pytest_plugins = ["hosts_by_hand"]

RAISES_ON_NEGATIVE = """
    class Model:
        def predict(self, columns):
            if any(x < 0 for x in columns["x"]):
                raise ValueError("no negative customers")
            return [x + 1 for x in columns["x"]]
"""


def _raw(path: Path) -> socket.socket:
    """A plain connection that has read the hello."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(20)
    sock.connect(str(path))
    _read_frame(sock)
    return sock


def _read_frame(sock: socket.socket) -> tuple[int, int, bytes]:
    head = sock.recv(16, socket.MSG_WAITALL)
    length, kind, sequence = frames.read_head(head)
    return kind, sequence, sock.recv(length, socket.MSG_WAITALL) if length else b""


def _is_cut_off(sock: socket.socket) -> bool:
    """Whether the host closes the connection; fails by the time-out when it does not."""
    try:
        while sock.recv(4096):
            pass
    except ConnectionError:
        pass
    return True


def test_a_host_answers_and_says_who_it_is(make_bundle: BundleMaker, tmp_path: Path) -> None:
    """The way from a folder to an answer: start, load, fork, connect, predict; and nothing is left behind."""
    order = make_bundle(ADDS_ONE)
    with running_host(Environment(), Path(order.bundle), order, tmp_path / "log") as channel:
        answer = channel.predict([2, 1], [fp64(1, 2, 41)])
        assert floats(answer.columns[0]) == [2, 3, 42]
        assert answer.columns[0][1] is None
        assert (answer.statuses, answer.rows, answer.errors, answer.alone) == (b"\0\0", 3, {}, False)
        assert 0 < answer.compute_ns <= answer.latency_ns
        hello = channel.hello
        assert hello.protocol == 1
        assert hello.environment == Environment().id
        assert hello.threads == 1
        assert hello.cpu
        assert set(hello.capabilities) == {"predict", "health", "stop"}
        process = psutil.Process(hello.pid)
        parent = process.parent()
        assert parent is not None
        health = channel.health()
        assert (health.batches, health.requests, health.rows) == (1, 2, 3)
        assert health.rss_bytes > 1_000_000
    until(lambda: not process.is_running() and not parent.is_running(), "host and parent end with the block")


def test_one_bad_request_costs_only_itself(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """When the model raises for a batch, each request is computed alone, and the answer says so."""
    channel = hosts.host(make_bundle(RAISES_ON_NEGATIVE))
    answer = channel.predict([1, 2, 1], [fp64(1, 2, -3, 4)])
    assert answer.statuses == b"\0\1\0"
    assert floats(answer.columns[0]) == [2, 5]
    assert answer.alone
    assert answer.rows == 2
    assert answer.errors[1].code == "model-raised"
    assert answer.errors[1].message == "ValueError: no negative customers"
    alone = channel.predict([1], [fp64(-1)])
    assert (alone.statuses, alone.rows, alone.alone) == (b"\1", 0, False)
    assert bytes(alone.columns[0][0]) == b""
    assert "no negative customers" in hosts.log.read_text()


@pytest.mark.parametrize(
    ("body", "code", "said"),
    [
        ("return [1.0]", "output-broken", "has 1 rows; 2 rows went in"),
        ("return [1.0, None]", "output-broken", "null in row 1"),
        ("return {'z': [1.0, 2.0]}", "output-broken", "outputs named z; its contract names y"),
        ("return 7", "output-broken", "not one value per row"),
        ("return ['a', 'b']", "output-broken", "type str in row 0; its contract says FP64"),
        ("return [[1.0, 2.0], [3.0, 4.0]]", "output-broken", "type list in row 0"),
        ("return [2**53 + 1, 1]", "output-broken", "cannot hold exactly"),
        ("import sys; sys.exit(3)", "model-raised", "SystemExit: 3"),
        ("raise KeyboardInterrupt", "model-raised", "KeyboardInterrupt"),
        ("return self.predict(columns)", "model-raised", "RecursionError"),
        (
            "class Odd(Exception):\n                def __str__(self): raise ValueError\n            raise Odd",
            "model-raised",
            "Odd",
        ),
    ],
)
def test_whatever_the_model_does_is_an_error_of_the_request(
    make_bundle: BundleMaker, hosts: Hosts, body: str, code: str, said: str
) -> None:
    """Wrong outputs, exceptions, sys.exit and endless recursion are answers; the host lives on."""
    source = f"""
    class Model:
        def predict(self, columns):
            if columns["x"][0] == 0: return [1.0 for _ in columns["x"]]
            {body}
    """
    channel = hosts.host(make_bundle(source))
    answer = channel.predict([2], [fp64(1, 2)])
    assert answer.statuses == b"\1"
    assert answer.errors[0].code == code
    assert said in answer.errors[0].message
    assert channel.predict([2], [fp64(0, 0)]).statuses == b"\0"


def test_prints_do_not_touch_the_frames(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """What a model prints, by Python, by descriptor or by a child process, goes to the log."""
    source = """
    import os, subprocess, sys
    class Model:
        def predict(self, columns):
            print("from python")
            sys.stderr.write("from stderr\\n")
            os.write(1, b"from descriptor\\n")
            subprocess.run(["echo", "from child"], check=True)
            assert sys.stdin.read() == ""
            return columns["x"]
    """
    channel = hosts.host(make_bundle(source))
    for _ in range(3):
        assert floats(channel.predict([1], [fp64(5)]).columns[0]) == [5]
    written = hosts.log.read_text()
    for said in ("from python", "from stderr", "from descriptor", "from child"):
        assert written.count(said) == 3


def test_a_table_of_another_contract_is_refused(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """Too few bytes, another number of columns, a null that may not be: an ERROR frame, and the host lives on."""
    channel = hosts.host(make_bundle(ADDS_ONE))
    for rows, columns, said in (
        ([2], [fp64(1)], "needs 16 bytes for 2 rows of FP64, and has 8"),
        ([1], [fp64(1), fp64(1)], "takes 1 columns, the table has 2"),
        ([1], [], "takes 1 columns, the table has 0"),
        ([1], [(struct.pack("<d", 0), b"\1")], "null in row 0 and is not nullable"),
    ):
        with pytest.raises(TableRefused, match=said):
            channel.predict(rows, columns)
    assert floats(channel.predict([1], [fp64(1)]).columns[0]) == [2]


def test_garbage_and_half_frames_cost_only_their_connection(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """Peers that send noise, lie about lengths or close within a frame do not disturb another peer."""
    parent = hosts.parent()
    parent.load("k", make_bundle(ADDS_ONE))
    _, _, path = hosts.fork(parent, "k")
    good = hosts.channel(path)
    whole = b"".join(frames.predict_frame(9, [1], [fp64(1)]))
    for noise in (b"GET / HTTP/1.1\r\n\r\n", os.urandom(4096), frames.head(frames.PREDICT, frames.MAX_PAYLOAD, 1)):
        with _raw(path) as sock:
            sock.sendall(noise)
            assert _is_cut_off(sock)
    for cut in (1, 15, 16, 17, len(whole) - 1):
        with _raw(path) as sock:
            sock.sendall(whole[:cut])
        assert floats(good.predict([1], [fp64(cut)]).columns[0]) == [cut + 1]
    with _raw(path) as sock:  # a frame that is whole, holding a table that is none
        for payload in (b"", b"\1\0\0\0", b"\xff" * 64, os.urandom(256)):
            sock.sendall(frames.head(frames.PREDICT, len(payload), 7) + payload)
            kind, sequence, said = _read_frame(sock)
            assert (kind, sequence) == (frames.ERROR, 7)
            assert frames.read_json(said)["code"] == "table-broken"
        sock.sendall(frames.json_frame(frames.LOAD, {}, 8))
        kind, sequence, said = _read_frame(sock)
        assert (kind, frames.read_json(said)["code"]) == (frames.ERROR, "not-understood")
    assert good.health().failed_requests == 0


@pytest.mark.parametrize("rounds", [300, pytest.param(20_000, marks=pytest.mark.soak)])
def test_damaged_frames_never_end_a_host(make_bundle: BundleMaker, hosts: Hosts, rounds: int) -> None:
    """Frames with flipped, missing and doubled bytes get an answer, an error or a closed connection; the host lives on."""
    inputs: list[dict[str, Any]] = [
        {"name": "x", "datatype": "FP64", "nullable": True},
        {"name": "s", "datatype": "BYTES"},
    ]
    source = """
    class Model:
        def predict(self, columns):
            return [len(text) + (x or 0.0) for x, text in zip(columns["x"], columns["s"])]
    """
    parent = hosts.parent()
    parent.load("k", make_bundle(source, inputs=inputs))
    _, pid, path = hosts.fork(parent, "k")
    random = Random(20261121)
    table = [(struct.pack("<3d", 1, 2, 3), b"\0\1\0"), (b"\1\0\0\0a\0\0\0\0\2\0\0\0bc", None)]
    whole = b"".join(frames.predict_frame(5, [1, 2], table))
    for _ in range(rounds):
        frame = bytearray(whole)
        for _ in range(random.randint(1, 4)):
            at = random.randrange(len(frame))
            if random.random() < 0.7:
                frame[at] ^= 1 << random.randrange(8)
            else:
                frame[at : at + random.randint(0, 8)] = frame[at : at + 8] * random.randint(0, 2)
        with _raw(path) as sock:
            sock.sendall(frame)
            sock.shutdown(socket.SHUT_WR)
            assert _is_cut_off(sock)
    channel = hosts.channel(path)
    assert floats(channel.predict([1, 2], table).columns[0]) == [2, 0, 5]
    assert channel.health().connections == 1
    assert channel.hello.pid == pid
    assert not hosts.exits


def test_a_frame_may_come_byte_by_byte_and_many_may_come_at_once(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """Frames are found wherever the network cuts them, and answered in order."""
    parent = hosts.parent()
    parent.load("k", make_bundle(ADDS_ONE))
    _, _, path = hosts.fork(parent, "k")
    with _raw(path) as sock:
        for byte in b"".join(frames.predict_frame(1, [1], [fp64(1)])):
            sock.sendall(bytes([byte]))
        assert _read_frame(sock)[1] == 1
        many = b"".join(b"".join(frames.predict_frame(number, [1], [fp64(number)])) for number in range(2, 300))
        sock.sendall(many[:-5])
        sock.sendall(many[-5:])
        sock.shutdown(socket.SHUT_WR)  # a peer that says no more still gets its answers
        for number in range(2, 300):
            kind, sequence, payload = _read_frame(sock)
            assert (kind, sequence) == (frames.ANSWER, number)
            assert floats(frames.read_answer(payload)[4][0]) == [number + 1]
        assert sock.recv(1) == b""


def test_large_tables_pass(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """A frame larger than any socket buffer goes both ways unharmed."""
    source = """
    import numpy as np
    class Model:
        def predict(self, columns):
            return columns["x"] * 2
    """
    channel = hosts.host(make_bundle(source, input="columns"))
    rows = 1_000_000
    data = struct.pack(f"<{rows}d", *range(rows))
    answer = channel.predict([rows], [(data, None)])
    values = struct.unpack(f"<{rows}d", answer.columns[0][0])
    assert values[:3] == (0.0, 2.0, 4.0)
    assert values[-1] == 2.0 * (rows - 1)


def test_a_frame_above_the_limit_is_refused_before_it_is_read(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """A peer cannot make a host hold more than its limit."""
    channel = hosts.host(make_bundle(ADDS_ONE), Limits(frame_bytes=1000))
    assert floats(channel.predict([1], [fp64(1)]).columns[0]) == [2]
    with pytest.raises((TableRefused, HostGone)):
        channel.predict([1000], [fp64(*range(1000))])


def test_a_peer_that_does_not_read_holds_nobody_up(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """Answers that nobody reads wait in the host's memory while others are served; in the end that peer is cut off."""
    source = """
    class Model:
        def predict(self, columns):
            return {"y": ["x" * 4_000_000 if x < 0 else "." for x in columns["x"]]}
    """
    outputs = [{"name": "y", "datatype": "BYTES"}]
    parent = hosts.parent()
    parent.load("k", make_bundle(source, outputs=outputs))
    _, _, path = hosts.fork(parent, "k", Limits(stuck_s=0.5))
    good = hosts.channel(path)
    with _raw(path) as stuck:
        for number in range(20):
            stuck.sendall(b"".join(frames.predict_frame(number, [1], [fp64(-1)])))
        for _ in range(200):
            assert bytes(good.predict([1], [fp64(1)]).columns[0][0]) == b"\1\0\0\0."
        assert good.health().rss_bytes < 300_000_000
        until(lambda: good.health().connections == 1, "the peer that does not read is cut off")
    assert "left its answers unread" in hosts.log.read_text()


def test_a_slow_reader_gets_everything(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """A peer that reads late but reads gets every byte of every answer, in order."""
    source = """
    class Model:
        def predict(self, columns):
            return {"y": [str(int(x)) * 500_000 for x in columns["x"]]}
    """
    parent = hosts.parent()
    parent.load("k", make_bundle(source, outputs=[{"name": "y", "datatype": "BYTES"}]))
    _, _, path = hosts.fork(parent, "k")
    with _raw(path) as sock:
        for number in range(1, 10):
            sock.sendall(b"".join(frames.predict_frame(number, [1], [fp64(number)])))
        for number in range(1, 10):
            head = sock.recv(16, socket.MSG_WAITALL)
            length, _, sequence = frames.read_head(head)
            payload = b""
            while len(payload) < length:
                payload += sock.recv(min(10_000, length - len(payload)))
            assert sequence == number
            assert bytes(frames.read_answer(payload)[4][0][0][4:]) == str(number).encode() * 500_000


def test_several_peers_take_turns(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """A peer with a thousand frames waiting does not keep another one waiting for all of them."""
    parent = hosts.parent()
    parent.load(
        "k",
        make_bundle("""
    import time
    class Model:
        def predict(self, columns):
            time.sleep(0.002)
            return columns["x"]
    """),
    )
    _, _, path = hosts.fork(parent, "k")
    good = hosts.channel(path)
    with _raw(path) as greedy:
        greedy.sendall(b"".join(b"".join(frames.predict_frame(n, [1], [fp64(n)])) for n in range(1000)))
        begun = time.monotonic()
        for _ in range(5):
            good.predict([1], [fp64(1)])
        assert time.monotonic() - begun < 1.0
        assert good.health().batches < 200


def test_many_threads_may_share_a_channel(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """Every thread gets the answer to its own question."""
    channel = hosts.host(make_bundle(ADDS_ONE))
    wrong: list[float] = []

    def ask(value: float) -> None:
        for _ in range(50):
            got = floats(channel.predict([1], [fp64(value)]).columns[0])
            if got != [value + 1]:
                wrong.append(value)

    threads = [threading.Thread(target=ask, args=(float(number),)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_stop_answers_what_has_arrived_and_ends_with_0(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """STOP drains: frames that were sent before it are answered, then the process ends and its socket is gone."""
    parent = hosts.parent()
    parent.load(
        "k",
        make_bundle("""
    import time
    class Model:
        def predict(self, columns):
            time.sleep(0.01)
            return columns["x"]
    """),
    )
    host, pid, path = hosts.fork(parent, "k")
    with _raw(path) as busy:
        busy.sendall(b"".join(b"".join(frames.predict_frame(n, [1], [fp64(n)])) for n in range(20)))
        stopper = hosts.channel(path)
        assert stopper.stop().batches == 20
        assert [_read_frame(busy)[1] for _ in range(20)] == list(range(20))
        assert busy.recv(1) == b""
    ended = until(lambda: hosts.exits, "the exit is reported")[0]
    assert (ended.host, ended.pid, ended.status, ended.signal) == (host, pid, 0, None)
    assert not path.exists()
    with pytest.raises(HostGone):
        Channel(path)


def test_a_late_answer_is_passed_over(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """After a time-out the channel goes on, and the late answer is never taken for another one."""
    channel = hosts.host(
        make_bundle("""
    import time
    class Model:
        def predict(self, columns):
            time.sleep(columns["x"][0])
            return columns["x"]
    """)
    )
    with pytest.raises(HostTimedOut):
        channel.predict([1], [fp64(0.4)], timeout_s=0.05)
    assert floats(channel.predict([1], [fp64(0.001)]).columns[0]) == [0.001]


def test_a_channel_says_when_its_host_is_gone(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """A host that dies over a batch is an error at once, not after the time-out."""
    channel = hosts.host(
        make_bundle("""
    import ctypes
    class Model:
        def predict(self, columns):
            ctypes.string_at(0)
    """)
    )
    begun = time.monotonic()
    with pytest.raises(HostGone):
        channel.predict([1], [fp64(1)], timeout_s=60)
    assert time.monotonic() - begun < 20
    ended = until(lambda: hosts.exits, "the exit is reported")[0]
    assert ended.signal == 11
    assert "was ended by SIGSEGV" in str(ended)
    assert "Segmentation fault" in hosts.log.read_text()  # with the model's own line, by faulthandler


def test_a_socket_path_that_is_too_long_is_named(hosts: Hosts) -> None:
    """107 bytes are what an address holds; more is an error that says so."""
    with pytest.raises(SocketPathTooLong, match="107"):
        Channel(Path("/tmp") / ("x" * 120))
    with pytest.raises(HostGone):
        Channel(hosts.folder / "nobody.sock")


def test_a_model_sees_nothing_of_muster(
    make_bundle: BundleMaker, hosts: Hosts, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Isolated: no environment variables with tokens, no folder of Muster on the path, no module names taken."""
    monkeypatch.setenv("MUSTER_TOKEN", "mst_secret")
    monkeypatch.setenv("PYTHONPATH", "/nowhere/at/all")
    source = """
    import os, sys
    class Model:
        def predict(self, columns):
            import server                    # the model's own, not the host's
            assert server.MINE
            assert "MUSTER_TOKEN" not in os.environ
            assert os.environ["OMP_NUM_THREADS"] == os.environ["OPENBLAS_NUM_THREADS"] == "1"
            assert "/nowhere/at/all" not in sys.path
            assert not any(entry.endswith("muster_host") for entry in sys.path), sys.path
            assert "muster" not in sys.modules and "numpy" not in sys.modules
            assert sys.flags.isolated and sys.flags.dont_write_bytecode
            assert os.getcwd() == os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
            assert not any(isinstance(f, str) and f.startswith("muster_host") for f in os.listdir("."))
            return columns["x"]
    """
    order = make_bundle(source)
    (Path(order.bundle) / "src" / "server.py").write_text("MINE = True")
    channel = hosts.host(order)
    answer = channel.predict([1], [fp64(1)])
    assert not answer.errors
    assert not list(Path(order.bundle).rglob("__pycache__"))


def test_memory_is_limited(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """A model that asks for too much gets a MemoryError, and the next request is served."""
    source = """
    class Model:
        def predict(self, columns):
            return [float(len(bytearray(int(x)))) for x in columns["x"]]
    """
    channel = hosts.host(make_bundle(source), Limits(memory_bytes=300_000_000, nice=3))
    answer = channel.predict([1], [fp64(2e9)])
    assert answer.errors[0].message.startswith("MemoryError")
    assert floats(channel.predict([1], [fp64(1e6)]).columns[0]) == [1e6]
    assert psutil.Process(channel.hello.pid).nice() == psutil.Process().nice() + 3


def test_a_full_log_does_not_end_a_host(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """Where nothing can be written to the log, failing requests are still answered."""
    hosts.log = Path("/dev/full")
    with Path("/dev/full").open("wb", buffering=0) as full, pytest.raises(OSError, match=os.strerror(errno.ENOSPC)):
        full.write(b"x")
    channel = hosts.host(make_bundle(RAISES_ON_NEGATIVE))
    assert channel.predict([1, 1], [fp64(-1, 1)]).statuses == b"\1\0"
    assert channel.predict([1], [fp64(1)]).statuses == b"\0"


def test_one_row_costs_little_on_top_of_the_model(make_bundle: BundleMaker, hosts: Hosts) -> None:
    """There and back through the socket costs well below 100 microseconds; the limit here allows for a busy machine."""
    source = """
    class Model:
        def predict(self, columns):
            return columns["x0"]
    """
    inputs = [{"name": f"x{number}", "datatype": "FP64"} for number in range(19)]
    channel = hosts.host(make_bundle(source, inputs=inputs))
    columns = [fp64(number) for number in range(19)]
    overheads = []
    for _ in range(2000):
        answer = channel.predict([1], columns)
        overheads.append(answer.latency_ns - answer.compute_ns)
    overheads.sort()
    assert overheads[len(overheads) // 4] < 300_000, f"{overheads[len(overheads) // 4] / 1000} microseconds"
