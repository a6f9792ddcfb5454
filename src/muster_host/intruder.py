"""An intruder: it stands where a model would stand and tries what no model has any business with, to see what this machine refuses.

Each row asks for one attempt, as JSON, and is answered by what came of it: `{"done": true, "said": "…"}`. It is our own probe: what it
gets hold of it does not give away, and what it manages to do it undoes.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import resource
import select
import signal
import socket
from typing import Any, Callable, Dict, List, Mapping, Sequence, Tuple

from muster_host.fields import Field
from muster_host.frames import Views
from muster_host.outputs import Column, reader_of

_PTRACE_SEIZE = 0x4206
_NEW_NAMESPACES = 0x10020000
_AF_PACKET, _AF_NETLINK = 17, 16
_DIAL_S = 1.0
#: `ioprio_get` and `ioprio_set`, which no library calls, by architecture; and what says that a process is meant.
_IOPRIO = {"x86_64": (252, 251), "aarch64": (31, 30)}
_IOPRIO_WHO_PROCESS = 1
#: A question to a name server: the address of `muster.invalid`.
_NAME_QUERY = b"\x4d\x55\x01\x00\x00\x01\x00\x00\x00\x00\x00\x00\x06muster\x07invalid\x00\x00\x01\x00\x01"

_libc = ctypes.CDLL(None, use_errno=True)
Outcome = Tuple[bool, str]


class NotThere(Exception):
    """What was to be tried cannot be tried here."""


class Intruder:
    """A model by its face.

    Args:
        order: the load order; its contract has one text in and one text out.
    """

    def __init__(self, order: Mapping[str, Any]) -> None:
        contract = order["contract"]
        self.inputs = [Field(field) for field in contract["inputs"]]
        self.outputs = [Field(field) for field in contract["outputs"]]
        self._read = reader_of(self.outputs)
        self._bundle = str(order["bundle"])

    def enter(self, limits: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - it needs none
        """Stand where a model's code stands."""
        os.chdir(self._bundle)

    def build(self, rows: int, columns: Sequence[Views]) -> list[str]:
        """The attempts."""
        ((data, _),) = columns
        return self.inputs[0].texts(memoryview(data), rows)

    def predict(self, data: list[str]) -> dict[str, list[str]]:
        """Make them, one after the other."""
        return {self.outputs[0].name: [json.dumps(_made(json.loads(attempt))) for attempt in data]}

    def read(self, result: Any, rows: int) -> list[Column]:
        """What came of them."""
        return self._read(result, rows)


def load(order: Mapping[str, Any]) -> Intruder:
    """The intruder, whatever the bundle is."""
    return Intruder(order)


def _made(attempt: Dict[str, Any]) -> Dict[str, Any]:
    try:
        done, said = _ATTEMPTS[attempt["act"]](attempt.get("target"))
    except FileNotFoundError as error:
        done, said = False, "not there: %s" % error.strerror
    except (OSError, NotThere) as error:
        done, said = False, str(getattr(error, "strerror", None) or error)
    return {"done": done, "said": said}


# The network.


def _dial(target: Any) -> Outcome:
    host, port = target
    with socket.create_connection((host, port), _DIAL_S):
        return True, "connected to %s" % host


def _send(target: Any) -> Outcome:
    host, port = target
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sent = sock.sendto(_NAME_QUERY, (host, port))
        return sent > 0, "%d bytes left" % sent


def _listen(_: Any) -> Outcome:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as sock:
        sock.bind(("127.0.0.1", 0))
        sock.listen(1)
        return True, "a port is open"


def _raw(_: Any) -> Outcome:
    with socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP):
        return True, "a raw socket is open"


def _packets(_: Any) -> Outcome:
    with socket.socket(_AF_PACKET, socket.SOCK_RAW, 0):
        return True, "a packet socket is open"


def _dial_unix(target: Any) -> Outcome:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.settimeout(_DIAL_S)
        sock.connect(target.replace("@", "\0", 1) if target.startswith("@") else target)
        return True, "another process's socket took the connection"


# Files.


def _read_file(target: Any) -> Outcome:
    with open(target, "rb") as stream:
        return bool(stream.read(1)), "it can be read"


def _list(target: Any) -> Outcome:
    return True, "%d names are seen" % len(os.listdir(target))


def _write(target: Any) -> Outcome:
    descriptor = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    os.close(descriptor)
    os.unlink(target)
    return True, "a file was made there"


def _change(target: Any) -> Outcome:
    with open(target, "ab"):
        return True, "it can be written to"


# Other processes and the machine.


def _trace(target: Any) -> Outcome:
    return _called(_libc.ptrace(_PTRACE_SEIZE, int(target), None, None), "it is traced")


def _signal(target: Any) -> Outcome:
    os.kill(int(target), 0)
    return True, "a signal would arrive"


def _limit(target: Any) -> Outcome:
    """By a limit of a second on its time another process could be ended; the intruder sets the limits that are there already."""
    resource.prlimit(int(target), resource.RLIMIT_CPU, resource.prlimit(int(target), resource.RLIMIT_CPU))
    return True, "its limits were set"


def _slow(target: Any) -> Outcome:
    pid = int(target)
    os.setpriority(os.PRIO_PROCESS, pid, os.getpriority(os.PRIO_PROCESS, pid))
    return True, "its priority was set"


def _pin(target: Any) -> Outcome:
    os.sched_setaffinity(int(target), os.sched_getaffinity(int(target)))
    return True, "its processors were set"


def _schedule(target: Any) -> Outcome:
    pid = int(target)
    os.sched_setscheduler(pid, os.sched_getscheduler(pid), os.sched_getparam(pid))
    return True, "its scheduling was set"


def _starve(target: Any) -> Outcome:
    numbers = _IOPRIO.get(os.uname().machine)
    if numbers is None:
        raise NotThere("it is not known how that is called on this architecture")
    reads, sets = [ctypes.c_long(number) for number in numbers]
    found = _libc.syscall(reads, _IOPRIO_WHO_PROCESS, int(target))
    if found < 0:
        return _called(found, "")
    return _called(_libc.syscall(sets, _IOPRIO_WHO_PROCESS, int(target), found), "its turn at the disks was set")


def _mount(target: Any) -> Outcome:
    outcome = _called(_libc.mount(b"none", os.fsencode(target), b"tmpfs", 0, None), "something is mounted")
    if outcome[0]:
        _libc.umount2(os.fsencode(target), 0)
    return outcome


def _unshare(_: Any) -> Outcome:
    return _in_child(lambda: _called(_libc.unshare(_NEW_NAMESPACES), "it has namespaces of its own"))


def _leave(_: Any) -> Outcome:
    def leave() -> Outcome:
        os.setsid()
        return True, "a child has left the group that it would be ended with"

    return _in_child(leave)


def _fork(target: Any) -> Outcome:
    most = int(target)
    children: List[int] = []
    try:
        while len(children) < most:
            pid = os.fork()
            if pid == 0:
                signal.pause()
                os._exit(0)
            children.append(pid)
        return True, "%d children live" % most
    except OSError as error:
        return False, "%s after %d children" % (error.strerror, len(children))
    finally:
        for child in children:
            os.kill(child, signal.SIGKILL)
        for child in children:
            os.waitpid(child, 0)


def _in_child(act: Callable[[], Outcome]) -> Outcome:
    """What an act says that would change this process for good."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        outcome: Outcome = (False, "")
        with contextlib.suppress(BaseException):
            try:
                outcome = act()
            except OSError as error:
                outcome = (False, str(error.strerror))
            os.write(writing, json.dumps(outcome).encode())
        os._exit(0)
    os.close(writing)
    try:
        said = os.read(reading, 4096) if select.select([reading], [], [], 5.0)[0] else b""
    finally:
        os.close(reading)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
    done, text = json.loads(said) if said else (False, "nothing was said")
    return bool(done), str(text)


def _called(result: int, otherwise: str) -> Outcome:
    if result < 0:
        return False, os.strerror(ctypes.get_errno())
    return True, otherwise


_ATTEMPTS: Dict[str, Callable[[Any], Outcome]] = {
    "dial": _dial,
    "send": _send,
    "listen": _listen,
    "raw": _raw,
    "packets": _packets,
    "dial-unix": _dial_unix,
    "read": _read_file,
    "list": _list,
    "write": _write,
    "change": _change,
    "trace": _trace,
    "signal": _signal,
    "limit": _limit,
    "slow": _slow,
    "pin": _pin,
    "schedule": _schedule,
    "starve": _starve,
    "mount": _mount,
    "unshare": _unshare,
    "leave": _leave,
    "fork": _fork,
}
#: What can be asked for.
ACTS: List[str] = sorted(_ATTEMPTS)
