"""The host program: one process per environment that loads models and forks a host for each, or becomes one itself.

It speaks host protocol v1 over the control channel, a socket that it inherits:

    → HELLO   {protocol, pid, python, environment, cpu, threads, capabilities}
    ← LOAD    {key, order}                 → LOADED {key, seconds, fork_unsafe: reason or null}
    ← LOAD    {key, order: null}           → LOADED {key}            forget it
    ← FORK    {key, host, socket, limits}  → FORKED {host, pid}      with the socket, which listens, as a descriptor
    ← FORK    {…, become: true}            → FORKED {host, pid}      this process itself is the host from now on
                                           → EXITED {host, pid, status, signal}
    anything that goes wrong               → ERROR  {code, message, traceback}

The models are loaded here and never called here: a call may start threads (OpenMP, pools), and a fork does not carry
threads over. The end of the control channel ends this process and its hosts.

Before it says HELLO the process shuts itself in (`confine`), as every host does once more before it is asked anything.
"""

from __future__ import annotations

import argparse
import array
import contextlib
import faulthandler
import gc
import json
import os
import resource
import select
import signal
import socket
import sys
import time
import traceback
import warnings
from typing import Any, Mapping

from muster_host import confine, frames, lifeline, machine
from muster_host.computing import Computer
from muster_host.frames import FrameError
from muster_host.loading import OrderBroken, Served, load
from muster_host.raised import ProgramFailed
from muster_host.server import LOAD_FAILED, Host, Limits, remove, turn_away

_LONGEST_TRACEBACK = 8000
#: Exit status of a host whose own program failed, not its model.
_INTERNAL = 70
#: Exit status of a program on a machine that cannot shut it in as is required.
_NOT_CONFINABLE = 74
#: The listening socket of a host that is to be, and the group of processes that it is to join.
_MOST_DESCRIPTORS = 2


def main(arguments: list[str]) -> None:
    """Run the program until its control channel ends."""
    parser = argparse.ArgumentParser(prog="muster_host", description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--control", type=int, required=True, help="descriptor of the control channel")
    parser.add_argument("--lifeline", type=int, required=True, help="descriptor of the pipe whose end ends everything")
    parser.add_argument("--environment", default="", help="id of the environment, told to every peer")
    parser.add_argument("--threads", type=int, default=1, help="threads of linear algebra per process")
    parser.add_argument("--confine", default='{"level": "off"}', help="how it is to shut itself in, as JSON")
    options = parser.parse_args(arguments)
    machine.limit_threads(options.threads)  # before anything else is imported
    lifeline.end_with(options.lifeline)
    for descriptor in (options.control, options.lifeline):
        os.set_inheritable(descriptor, False)
    control = socket.socket(fileno=options.control)
    wish = confine.wish_of(json.loads(options.confine))
    Program(control, options.lifeline, options.environment, options.threads, wish).run()


class _Child:
    """A host that was forked here."""

    def __init__(self, host: str, path: str) -> None:
        self.host = host
        self.path = path


class Program:
    """The parent of one environment's hosts.

    Args:
        control: the control channel.
        pipe: the lifeline's read end.
        environment: id of the environment.
        threads: threads of linear algebra per process.
        wish: how this process is to be shut in.
    """

    def __init__(self, control: socket.socket, pipe: int, environment: str, threads: int, wish: confine.Wish) -> None:
        self._control = control
        self._pipe = pipe
        self._wish = wish
        self._told = confine.NOTHING
        self._descriptors: list[int] = []
        self._models: dict[str, Served] = {}
        self._orders: dict[str, Any] = {}
        self._children: dict[int, _Child] = {}
        self._about = {
            "protocol": frames.PROTOCOL,
            "python": machine.python_version(),
            "implementation": sys.implementation.name,
            "environment": environment,
            "cpu": machine.cpu_model(),
            "threads": threads,
            "capabilities": ["predict", "health", "stop"],
        }

    def run(self) -> None:
        """Serve the control channel until it ends."""
        warnings.filterwarnings("ignore", message=".*fork.*", category=DeprecationWarning)  # we looked at the threads
        wake, wake_end = os.pipe()
        os.set_blocking(wake, False)
        os.set_blocking(wake_end, False)
        self._wake_end = wake_end
        self._take_signals()
        try:
            self._told = self._shut_in(self._wish)
        except confine.NotConfinable as error:
            print("this machine cannot confine hosts as is required: %s" % error, file=sys.stderr, flush=True)  # noqa: T201 - the host's log
            os._exit(_NOT_CONFINABLE)
        self._send(frames.HELLO, dict(self._about, pid=os.getpid(), **self._told.document()))
        poll = select.poll()
        poll.register(self._control.fileno(), select.POLLIN)
        poll.register(wake, select.POLLIN)
        try:
            while True:
                for descriptor, _ in poll.poll():
                    if descriptor == wake:
                        os.read(wake, 4096)
                        self._reap()
                    else:
                        self._take()
        except (EOFError, OSError):
            self._end_children()

    # The control channel.

    def _take_signals(self) -> None:
        """Notice the end of a host, and SIGTERM; again after every load, for a model's packages may take signals too."""
        signal.set_wakeup_fd(self._wake_end, warn_on_full_buffer=False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.signal(signal.SIGTERM, self._terminated)
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for whoever started us

    def _terminated(self, *_: Any) -> None:
        self._end_children()
        os._exit(128 + signal.SIGTERM)

    def _read(self, length: int) -> bytes:
        """The next bytes; descriptors that come with them are kept."""
        parts, room = [], socket.CMSG_SPACE(_MOST_DESCRIPTORS * array.array("i").itemsize)
        while length:
            part, came, _, _ = self._control.recvmsg(min(length, 1 << 20), room, socket.MSG_CMSG_CLOEXEC)
            for level, kind, data in came:
                if (level, kind) == (socket.SOL_SOCKET, socket.SCM_RIGHTS):
                    numbers = array.array("i")
                    numbers.frombytes(data[: len(data) - len(data) % numbers.itemsize])
                    self._descriptors += numbers
            if not part:
                raise EOFError
            parts.append(part)
            length -= len(part)
        return b"".join(parts)

    def _send(self, kind: int, document: Mapping[str, Any], sequence: int = 0) -> None:
        self._control.sendall(frames.json_frame(kind, document, sequence))

    def _take(self) -> None:
        try:
            length, kind, sequence = frames.read_head(self._read(frames.HEAD_BYTES))
            document = frames.read_json(self._read(length))
        except FrameError as error:
            print("the control channel is broken: %s" % error, file=sys.stderr)  # noqa: T201 - the host's log
            raise EOFError from None
        try:
            if kind == frames.LOAD:
                self._send(frames.LOADED, self._load(document), sequence)
            elif kind == frames.FORK:
                self._fork(document, sequence)
            else:
                raise OrderBroken("a parent takes load and fork, not %s" % frames.KIND_NAMES[kind])
        except EOFError:
            raise
        except BaseException as error:  # a model's code may raise anything, SystemExit too
            self._send(frames.ERROR, _problem(error), sequence)
        finally:
            self._drop_descriptors()

    # Deeds.

    def _load(self, document: Mapping[str, Any]) -> dict[str, Any]:
        key, order = _text(document, "key"), document.get("order")
        if order is None:
            self._models.pop(key, None)
            self._orders.pop(key, None)
            gc.collect()
            return {"key": key}
        begun = time.monotonic()
        same = next((other for other, known in self._orders.items() if known == order), None)
        if same is None:
            try:
                self._models[key] = load(order)
            finally:
                self._take_signals()
                self._reap()  # whoever ended in the meantime
            gc.collect()
            gc.freeze()  # what is loaded stays out of the hosts' collections, so its pages stay shared
        else:
            self._models[key] = self._models[same]  # a bundle does not change: the same order is the same model
        self._orders[key] = order
        return {
            "key": key,
            "seconds": round(time.monotonic() - begun, 3),
            "fork_unsafe": machine.why_fork_is_unsafe(),
            "rss_bytes": machine.rss_bytes(),
        }

    def _fork(self, document: Mapping[str, Any], sequence: int) -> None:
        key, host, path = _text(document, "key"), _text(document, "host"), _text(document, "socket")
        if key not in self._models:
            raise OrderBroken("nothing is loaded under %r" % key)
        if not self._descriptors:
            raise OrderBroken("a fork comes with the host's listening socket")
        if document.get("become"):
            self._send(frames.FORKED, {"host": host, "pid": os.getpid()}, sequence)
            self._serve(document)
        _flush()
        leads, leads_end = os.pipe()
        try:
            pid = os.fork()
        except OSError:
            for descriptor in (leads, leads_end):
                os.close(descriptor)
            raise
        if pid == 0:
            self._control.close()
            os.setsid()  # processes that the model starts end with it, and share its part of the processors
            for descriptor in (leads, leads_end):
                os.close(descriptor)
            self._serve(document)
        self._children[pid] = _Child(host, path)
        os.close(leads_end)
        os.read(leads, 1)  # ends when the child leads its own process group, by which it can be ended
        os.close(leads)
        self._send(frames.FORKED, {"host": host, "pid": pid}, sequence)

    def _serve(self, document: Mapping[str, Any]) -> None:
        """Be a host, and never return."""
        status = _INTERNAL
        key, host, path = document["key"], document["host"], document["socket"]
        limits, scratch = document.get("limits") or {}, str(document.get("scratch") or "")
        try:
            listener = socket.socket(fileno=self._descriptors.pop(0))
            self._become_host(limits)
            model = self._models[key]
            told = self._shut_in_as_host(key, scratch)
            model.enter(dict(limits, scratch=scratch))
            hello = dict(self._about, **getattr(model, "about", {}), host=host, pid=os.getpid(), key=key)
            hello.update(told.document())
            status = Host(
                listener=listener, path=path, computer=Computer(model), hello=hello, limits=Limits(limits)
            ).serve()
            leave = getattr(model, "leave", None)
            if leave is not None:
                leave()
        except ProgramFailed as error:
            print("host %s cannot load its model: %s" % (host, str(error).partition("\n")[0]), file=sys.stderr)  # noqa: T201 - the host's log
            turn_away(listener, path, "load-failed", str(error))
            status = LOAD_FAILED
        except BaseException:
            traceback.print_exc()
        finally:
            _flush()
            os._exit(status)  # nothing of the parent's own end, no exit handlers of libraries

    def _shut_in(self, wish: confine.Wish) -> confine.Told:
        told = confine.shut_in(wish)
        if wish.level != confine.OFF and wish.scratch:
            confine.use_scratch(wish.scratch)
        return told

    def _shut_in_as_host(self, key: str, scratch: str) -> confine.Told:
        """Give up what other models of this environment need, and may."""
        reads = None if self._wish.network else confine.reads_of(self._orders[key])
        wish = self._wish._replace(reads=reads, scratch=scratch, is_host=True)
        return self._told.and_then(self._shut_in(wish))

    def _become_host(self, limits: Mapping[str, Any]) -> None:
        for descriptor in self._descriptors:  # the group of processes that bounds what the model may start
            os.write(descriptor, b"0")
        self._drop_descriptors()
        signal.set_wakeup_fd(-1)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        with contextlib.suppress(Exception):  # `kill -USR1` writes to the log where the model is at present
            faulthandler.register(signal.SIGUSR1, all_threads=True)
        lifeline.end_with(self._pipe)
        if limits.get("nice"):
            machine.share_fairly(int(limits["nice"]))
        memory = limits.get("memory_bytes")
        if memory:
            resource.setrlimit(resource.RLIMIT_DATA, (int(memory), int(memory)))
        resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
        # When memory runs out, a host goes before whoever watches it.
        with contextlib.suppress(OSError), open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
            score.write("500")

    def _drop_descriptors(self) -> None:
        while self._descriptors:
            os.close(self._descriptors.pop())

    # Ends.

    def _reap(self) -> None:
        for pid in list(self._children):
            if os.waitid(os.P_PID, pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
                continue
            with contextlib.suppress(OSError):  # as long as it is not reaped its number is nobody else's
                os.killpg(pid, signal.SIGKILL)
            _, status = os.waitpid(pid, 0)
            child = self._children.pop(pid)
            remove(child.path)
            self._send(frames.EXITED, dict(_ending(status), host=child.host, pid=pid))

    def _end_children(self) -> None:
        for pid in self._children:
            with contextlib.suppress(OSError):
                os.killpg(pid, signal.SIGKILL)
        for pid, child in self._children.items():
            with contextlib.suppress(OSError):
                os.waitpid(pid, 0)
            remove(child.path)


def _flush() -> None:
    with contextlib.suppress(Exception):  # a model may have replaced or closed them
        sys.stdout.flush()
        sys.stderr.flush()


def _text(document: Mapping[str, Any], name: str) -> str:
    value = document.get(name)
    if not isinstance(value, str):
        raise OrderBroken("the frame lacks the text %r" % name)
    return value


def _ending(status: int) -> dict[str, Any]:
    if os.WIFSIGNALED(status):
        return {"status": None, "signal": os.WTERMSIG(status)}
    return {"status": os.WEXITSTATUS(status), "signal": None}


def _problem(error: BaseException) -> dict[str, Any]:
    name = type(error).__name__
    try:
        said = str(error)
    except Exception:  # even this may be the model's own code
        said = ""
    code = "order-broken" if isinstance(error, (OrderBroken, FrameError)) else "load-failed"
    message = said if isinstance(error, (OrderBroken, ProgramFailed)) else ("%s: %s" % (name, said) if said else name)
    text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    if isinstance(error, ProgramFailed):
        text = ""  # the program's own words say it all
    return {"code": code, "message": message[:2000], "traceback": text[-_LONGEST_TRACEBACK:]}
