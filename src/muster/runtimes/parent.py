"""The parent of one environment's hosts, as its starter holds it: load bundles, fork a host for each."""

import contextlib
import os
import select
import shutil
import signal
import socket
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from types import TracebackType
from typing import Any, Self

import structlog

from muster.runtimes.channel import check_socket_path
from muster.runtimes.confinement import Confinement
from muster.runtimes.errors import HostGone, HostLoadFailed, HostTimedOut, OrderBroken
from muster.runtimes.host_log import LogGuard
from muster.runtimes.order import LoadOrder, order_of
from muster.runtimes.process_groups import ProcessGroup, sweep, tasks_by_session
from muster.runtimes.program import HostProgram
from muster_host import frames
from muster_host.server import listen

_START_S = 60.0
_LOAD_S = 300.0
_FORK_S = 30.0
_STOP_S = 5.0
#: Processes and threads of a host together: far more than any runtime starts, far less than a machine bears.
PROCESSES = 512
_COUNT_EVERY_S = 0.25
#: When memory runs out, a host goes before whoever watches it.
_GOES_FIRST = 500
log = structlog.get_logger()


#: What a model may ask for at once lies so far above the resident memory at which its host is ended: a leak is to be
#: met by a new host, and not by one MemoryError after the other.
_HEADROOM = 1.25


def private_memory(resident_bytes: int) -> int | None:
    """The private memory that a host may have (`Limits.memory_bytes`) whose resident memory may be so large; None: no limit.

    Args:
        resident_bytes: 0: no limit.
    """
    return int(resident_bytes * _HEADROOM) or None


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What a host has to keep to."""

    memory_bytes: int | None = None
    """Private memory of the process (RLIMIT_DATA); beyond it the model gets a MemoryError. None: no limit."""
    nice: int = 0
    """Added to the niceness of the process, 0 to 19."""
    frame_bytes: int = 1 << 28
    """Largest payload that a host takes."""
    stuck_s: float = 30.0
    """How long a peer may leave its answers unread before it is cut off."""
    processes: int = PROCESSES
    """Processes and threads that the host may have together, with those of its model's program."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostExit:
    """A host has ended without being asked by `Parent.stop`."""

    host: str
    pid: int
    status: int | None
    """Exit status; None when a signal ended it, or when its parent was gone and nobody could tell."""
    signal: int | None

    def __str__(self) -> str:
        if self.signal is not None:
            return f"host {self.host} (pid {self.pid}) was ended by {_signal_name(self.signal)}"
        if self.status is not None:
            return f"host {self.host} (pid {self.pid}) ended with exit status {self.status}"
        return f"host {self.host} (pid {self.pid}) has ended"


@dataclass(frozen=True, slots=True, kw_only=True)
class Loaded:
    """A model is loaded and can be forked."""

    seconds: float
    """How long its import took."""
    fork_unsafe: str | None
    """Why its environment cannot be forked; its hosts are then started one by one, with a spare in reserve."""


@dataclass(slots=True, kw_only=True)
class _Running:
    """A host that was started and has not been reported as ended."""

    program: HostProgram
    socket: Path
    scratch: Path
    processes: int
    group: ProcessGroup | None = None
    pid: int = 0
    pidfd: int = -1


class _Spawned:
    """A model of an environment that is not fork-safe: always one program that has loaded it and can become a host."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.spare: HostProgram | None = None


class Parent:
    """Starts the parent process of one environment; a context manager. Safe to use from several threads.

    Its hosts outlive the parent process, and none of them outlives the process that holds this object. When the
    parent process dies, the next `load` or `fork` starts another and loads there again what is needed.

    Args:
        python: the environment's interpreter.
        environment_id: id of the environment; hosts tell it to their peers.
        log: file to which the parent and its hosts write; a model's prints go there, too.
        on_exit: told of every host that ends, on a thread that does nothing else; it may call this object.
        spawn: the environment is not fork-safe: start a process per host, with a spare in reserve. Also found out
            when a model is loaded: by packages known for it, and by threads that run after the import.
        spares: keep that spare.
        threads: threads of linear algebra per process.
        variables: environment variables for the model, beyond the few that are handed on.
        confinement: how the parent and its hosts are shut in.
        scratch: where their temporary files go; None: the usual place.

    Raises:
        HostNotStarted: the program does not start in that environment, or this machine cannot shut it in as is required.
    """

    def __init__(
        self,
        python: Path,
        environment_id: str,
        log: Path,
        on_exit: Callable[[HostExit], None] | None = None,
        *,
        spawn: bool = False,
        spares: bool = True,
        threads: int = 1,
        variables: Mapping[str, str] | None = None,
        confinement: Confinement | None = None,
        scratch: Path | None = None,
    ) -> None:
        self._python = python
        self._environment = environment_id
        self._log = log
        self._on_exit = on_exit
        self._spawns = spawn
        self._spares = spares
        self._threads = threads
        self._variables = dict(variables or {})
        self._confinement = confinement or Confinement()
        self._lock = threading.Lock()
        self._trunk_lock = threading.Lock()
        self._trunk: HostProgram | None = None
        self._programs: set[HostProgram] = set()
        self._orders: dict[str, LoadOrder] = {}
        self._spawned: dict[str, _Spawned] = {}
        self._hosts: dict[str, _Running] = {}
        self._groups: dict[HostProgram, ProcessGroup] = {}
        self._stopped = False
        self._ending = threading.Event()
        self._scratch = Path(tempfile.mkdtemp(prefix="muster-hosts-", dir=scratch))
        self._notices: SimpleQueue[HostExit | None] = SimpleQueue()
        self._pipe, self._lifeline = os.pipe()
        self._teller = threading.Thread(target=self._tell, name="host-exits", daemon=True)
        self._teller.start()
        self._log_guard = LogGuard(log)
        self._counter: threading.Thread | None = None
        sweep()
        try:
            if not spawn:
                self._trunk = self._start()
        except BaseException:
            self.stop()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def pid(self) -> int | None:
        """Process id of the parent; None where hosts are not forked, or after it has died."""
        trunk = self._trunk
        return trunk.pid if trunk is not None and trunk.is_alive else None

    @property
    def spawns(self) -> bool:
        """Whether hosts are started one by one, because the environment is not fork-safe."""
        return self._spawns

    @property
    def hosts(self) -> dict[str, int]:
        """Process id of every host that runs, by the host's id."""
        with self._lock:
            return {host: running.pid for host, running in self._hosts.items() if running.pid}

    def load(self, key: str, order: LoadOrder | Mapping[str, Any], timeout_s: float = _LOAD_S) -> Loaded:
        """Import and load a bundle's model; it is never called in the parent.

        Args:
            key: what `fork` calls it; an earlier model of that key is replaced.
            order: the load order.
            timeout_s: how long that may take; after it the parent process is ended, its hosts go on.

        Raises:
            OrderBroken: the order cannot be followed.
            HostLoadFailed: the model's own code failed, ended the process, or took too long.
        """
        wanted = order_of(order)
        if wanted.threads != self._threads:
            raise OrderBroken(
                f"the order asks for {wanted.threads} threads; hosts of this parent have {self._threads}, set before import"
            )
        loaded = Loaded(seconds=0.0, fork_unsafe="hosts of this environment are spawned")
        with self._trunk_lock:
            if wanted.remote is not None and not self._confinement.network:
                self._let_dial()
            if not self._spawns:
                _, loaded = self._load_somewhere(self._living_trunk, key, wanted, timeout_s)
                self._orders[key] = wanted
                if loaded.fork_unsafe is None:
                    return loaded
                self._leave_trunk(key)
        with self._spawned_of(key) as spawned:
            if spawned.spare is not None and self._orders.get(key) != wanted:
                spawned.spare.kill()  # it has loaded an earlier model of that key
            self._orders[key] = wanted
            if spawned.spare is None or not spawned.spare.is_alive:
                begun = time.monotonic()
                spawned.spare, _ = self._load_somewhere(partial(self._start, wanted), key, wanted, timeout_s)
                loaded = Loaded(seconds=time.monotonic() - begun, fork_unsafe=loaded.fork_unsafe)
        return loaded

    def forget(self, key: str) -> None:
        """Free what was loaded under a key; its hosts go on."""
        with self._trunk_lock:
            self._orders.pop(key, None)
            trunk = self._trunk
            if trunk is not None and key in trunk.loaded:
                trunk.loaded.discard(key)
                with contextlib.suppress(HostGone, HostTimedOut):
                    trunk.ask(frames.LOAD, {"key": key, "order": None}, _FORK_S)
        spawned = self._spawned.pop(key, None)
        if spawned is not None:
            with spawned.lock:
                if spawned.spare is not None:
                    spawned.spare.kill()

    def fork(
        self, key: str, host_id: str, socket: Path, *, limits: Limits | None = None, timeout_s: float = _FORK_S
    ) -> int:
        """Start a host; when this returns its socket takes connections.

        Args:
            key: the model, as `load` called it.
            host_id: unique for ever; the host tells it to its peers.
            socket: where it shall listen: at most 107 bytes, in a folder that only this user may enter.
            limits: what it has to keep to.
            timeout_s: how long that may take.

        Returns:
            The host's process id.

        Raises:
            OrderBroken: nothing is loaded under that key.
            HostLoadFailed: the host could not be made.
            HostTimedOut, HostGone: the parent hangs, or died over it.
            SocketPathTooLong: the path does not fit into an address.
        """
        check_socket_path(socket)
        order = self._orders.get(key)
        if order is None:
            raise OrderBroken(f"nothing is loaded under {key!r}", key=key)
        wanted = limits or Limits()
        said: dict[str, Any] = {
            "key": key, "host": host_id, "socket": str(socket), "limits": _limits_document(wanted),
        }  # fmt: skip
        with self._trunk_lock:
            if not self._spawns:
                try:
                    return self._fork_in(self._trunk_with(key, order), said, wanted, timeout_s)
                except HostGone:
                    if self._stopped:
                        raise
                    return self._fork_in(self._trunk_with(key, order), said, wanted, timeout_s)
        with self._spawned_of(key) as spawned:
            order = self._orders.get(key, order)
            program, spawned.spare = spawned.spare, None
            if program is None or not program.is_alive:
                program, _ = self._load_somewhere(partial(self._start, order), key, order, _LOAD_S)
            pid = self._fork_in(program, {**said, "become": True}, wanted, timeout_s)
        if self._spares:
            threading.Thread(target=self._prepare_spare, args=(key, order), name="host-spare", daemon=True).start()
        return pid

    def kill(self, host_id: str) -> None:
        """End a host at once, with every process that it started; `on_exit` is told. One that has ended is no error."""
        with self._lock:
            running = self._hosts.get(host_id)
            if running is not None and running.pidfd >= 0 and not _is_readable(running.pidfd, 0):
                with contextlib.suppress(OSError):
                    os.killpg(running.pid, signal.SIGKILL)

    def stop(self, timeout_s: float = _STOP_S) -> None:
        """End the parent and all its hosts at once. For a gentle end have each host stop through its `Channel` first."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
            programs = list(self._programs)
            hosts = list(self._hosts.values())
        os.close(self._lifeline)  # the kernel ends every process of ours
        for program in programs:
            program.end(timeout_s)
        for running in hosts:
            if running.pidfd >= 0:
                _is_readable(running.pidfd, timeout_s)
            running.socket.unlink(missing_ok=True)
            if running.group is not None:
                running.group.leave()
        self._ending.set()
        if self._counter is not None:
            self._counter.join(timeout_s)
        os.close(self._pipe)
        self._log_guard.close()
        shutil.rmtree(self._scratch, ignore_errors=True)
        self._notices.put(None)
        if threading.current_thread() is not self._teller:
            self._teller.join(timeout_s)

    # Programs.

    def _start(self, order: LoadOrder | None = None) -> HostProgram:
        """A program: the trunk, or one for this order alone, which may then read no other's bundle."""
        with self._lock:
            if self._stopped:
                raise HostGone("the parent was stopped")
        confinement = self._confinement if order is None else Confinement.of(order, self._confinement.level)
        program = HostProgram(
            python=self._python,
            environment=self._environment,
            log=self._log,
            lifeline=self._pipe,
            threads=self._threads,
            confine=confinement.document(self._scratch),
            variables=self._variables,
            on_exited=self._exited,
            on_end=self._ended,
            timeout_s=_START_S,
        )
        group = self._new_group(PROCESSES)
        if group is not None:
            group.add(program.pid)  # it has loaded nothing yet
        with self._lock:
            self._programs.add(program)
            if group is not None:
                self._groups[program] = group
        return program

    def _living_trunk(self) -> HostProgram:
        if self._trunk is None or not self._trunk.is_alive:
            self._trunk = self._start()
        return self._trunk

    def _let_dial(self) -> None:
        """The models of this environment are on other servers: from now on a trunk whose hosts may dial, the old one left to its hosts."""
        self._confinement = replace(self._confinement, reads=None, network=True)
        trunk, self._trunk = self._trunk, None
        with self._lock:
            has_hosts = any(running.program is trunk for running in self._hosts.values())
        if trunk is not None and not has_hosts:
            trunk.end(_STOP_S)

    def _leave_trunk(self, key: str) -> None:
        """From now on a process per host: this environment was found not to survive a fork."""
        self._spawns = True
        trunk, self._trunk = self._trunk, None
        with self._lock:
            has_hosts = any(running.program is trunk for running in self._hosts.values())
        if trunk is not None and not has_hosts and trunk.loaded == {key}:
            self._spawned.setdefault(key, _Spawned()).spare = trunk  # it has loaded just what the first host needs
        elif trunk is not None and not has_hosts:
            trunk.kill()

    @contextlib.contextmanager
    def _spawned_of(self, key: str) -> Iterator[_Spawned]:
        with self._lock:
            spawned = self._spawned.setdefault(key, _Spawned())
        with spawned.lock:
            yield spawned

    def _trunk_with(self, key: str, order: LoadOrder) -> HostProgram:
        """The trunk, with the model of that key; one that has died since is replaced."""
        trunk = self._living_trunk()
        if key not in trunk.loaded:
            trunk, _ = self._load_somewhere(self._living_trunk, key, order, _LOAD_S)
        return trunk

    def _prepare_spare(self, key: str, order: LoadOrder) -> None:
        try:
            with self._spawned_of(key) as spawned:
                if spawned.spare is None and self._orders.get(key) is order:
                    spawned.spare, _ = self._load_somewhere(partial(self._start, order), key, order, _LOAD_S)
        except Exception as error:  # noqa: BLE001 - without a spare the next fork loads the model itself
            if not self._stopped:
                log.warning("host.no_spare", key=key, error=str(error))

    def _load_somewhere(
        self, program_for: Callable[[], HostProgram], key: str, order: LoadOrder, timeout_s: float
    ) -> tuple[HostProgram, Loaded]:
        """The program that has loaded the model.

        A program that ends over it gets a successor once: it may have been killed, and not by the model.
        """
        program = program_for()
        try:
            return program, self._load_in(program, key, order, timeout_s)
        except HostGone as error:
            if self._stopped:
                raise
            log.warning("host.parent_died_loading", key=key, pid=program.pid, error=error.message[:500])
        program = program_for()
        try:
            return program, self._load_in(program, key, order, timeout_s)
        except HostGone as error:
            raise HostLoadFailed(f"loading the model of {key} ended the process: {error.message}", key=key) from error

    def _load_in(self, program: HostProgram, key: str, order: LoadOrder, timeout_s: float) -> Loaded:
        try:
            said = program.ask(frames.LOAD, {"key": key, "order": order.document()}, timeout_s)
        except HostTimedOut as error:
            program.kill()
            raise HostLoadFailed(f"the model of {key} was not loaded within {timeout_s} s", key=key) from error
        except (HostLoadFailed, OrderBroken) as error:
            if program is not self._trunk:
                program.kill()
            if isinstance(error, OrderBroken):
                raise
            message = f"the model of {key} cannot be loaded: {error.message}"
            raise HostLoadFailed(message, key=key, **error.facts) from error
        program.loaded.add(key)
        return Loaded(seconds=float(said["seconds"]), fork_unsafe=said["fork_unsafe"])

    def _fork_in(self, program: HostProgram, said: dict[str, Any], limits: Limits, timeout_s: float) -> int:
        host, path = said["host"], Path(said["socket"])
        with self._lock:
            if host in self._hosts:
                raise OrderBroken(f"a host {host} runs already", host=host)
        try:
            listener = listen(str(path))
        except OSError as error:
            raise HostLoadFailed(f"the host {host} cannot listen at {path}: {error}", host=host) from error
        with listener:
            running = _Running(
                program=program,
                socket=path,
                scratch=Path(tempfile.mkdtemp(prefix="host-", dir=self._scratch)),
                processes=limits.processes,
                group=self._new_group(limits.processes),
            )
            with self._lock:
                self._hosts[host] = running  # before the question: news of its end may come together with the answer
            try:
                pid = self._asked_to_fork(
                    program, {**said, "scratch": str(running.scratch)}, listener, running, timeout_s
                )
            except BaseException:
                with self._lock:
                    self._hosts.pop(host, None)
                self._clear(running)
                raise
        if limits.nice:
            _set_of_process(pid, "autogroup", limits.nice)
        _set_of_process(pid, "oom_score_adj", _GOES_FIRST)
        with self._lock:
            running.pid = pid
            if host in self._hosts:
                with contextlib.suppress(ProcessLookupError):
                    running.pidfd = os.pidfd_open(pid)
        return pid

    def _asked_to_fork(
        self,
        program: HostProgram,
        said: Mapping[str, Any],
        listener: socket.socket,
        running: _Running,
        timeout_s: float,
    ) -> int:
        door = None if running.group is None else running.group.door()
        try:
            descriptors = [listener.fileno(), *([] if door is None else [door])]
            return int(program.ask(frames.FORK, said, timeout_s, descriptors)["pid"])
        finally:
            if door is not None:
                os.close(door)

    # Bounds on what a host starts.

    def _new_group(self, most: int) -> ProcessGroup | None:
        """A group that bounds its tasks; where this kernel makes none, they are counted from now on."""
        if self._confinement.level == "off":
            return None
        group = ProcessGroup.new(most)
        with self._lock:
            if group is None and self._counter is None and not self._stopped:
                self._counter = threading.Thread(target=self._count_processes, name="host-processes", daemon=True)
                self._counter.start()
        return group

    def _count_processes(self) -> None:
        while not self._ending.wait(_COUNT_EVERY_S):
            with self._lock:
                hosts = {running.pid: host for host, running in self._hosts.items() if running.pid}
                most = {running.pid: running.processes for running in self._hosts.values()}
            tasks = tasks_by_session() if hosts else {}
            for pid, host in hosts.items():
                if tasks.get(pid, 0) > most[pid]:
                    log.warning("host.too_many_processes", host=host, pid=pid, processes=tasks[pid], most=most[pid])
                    self.kill(host)

    def _clear(self, running: _Running) -> None:
        """Take away what an ended host leaves."""
        running.socket.unlink(missing_ok=True)
        shutil.rmtree(running.scratch, ignore_errors=True)
        if running.group is not None:
            running.group.leave()

    # Ends.

    def _exited(self, said: dict[str, Any]) -> None:
        self._report(HostExit(host=said["host"], pid=said["pid"], status=said["status"], signal=said["signal"]))

    def _ended(self, program: HostProgram, status: int) -> None:
        """A program has ended: it was a host itself, or its hosts are orphans now."""
        with self._lock:
            self._programs.discard(program)
            group = self._groups.pop(program, None)
            left = {host: running for host, running in self._hosts.items() if running.program is program}
            stopped = self._stopped
        if group is not None:
            group.leave()
        if stopped:
            return
        for host, running in left.items():
            if running.pid == program.pid:
                ended = {"status": None, "signal": -status} if status < 0 else {"status": status, "signal": None}
                self._report(HostExit(host=host, pid=running.pid, **ended))
            elif running.pid:
                threading.Thread(
                    target=self._watch_orphan, args=(host, running), name="host-orphan", daemon=True
                ).start()

    def _watch_orphan(self, host: str, running: _Running) -> None:
        _is_readable(running.pidfd, None)
        if not self._stopped:
            self._report(HostExit(host=host, pid=running.pid, status=None, signal=None))

    def _report(self, ended: HostExit) -> None:
        with self._lock:
            running = self._hosts.pop(ended.host, None)
            if running is not None and running.pidfd >= 0:
                os.close(running.pidfd)
                running.pidfd = -1
        if running is not None:
            self._clear(running)
            self._notices.put(ended)

    def _tell(self) -> None:
        while (ended := self._notices.get()) is not None:
            if self._on_exit is not None:
                try:
                    self._on_exit(ended)
                except Exception:
                    log.exception("host.exit_not_handled", host=ended.host)


def _limits_document(limits: Limits) -> dict[str, Any]:
    return {
        "memory_bytes": limits.memory_bytes,
        "nice": limits.nice,
        "frame_bytes": limits.frame_bytes,
        "stuck_s": limits.stuck_s,
    }


def _set_of_process(pid: int, name: str, value: int) -> None:
    """Write what a host that is shut in cannot write of itself; one that has ended, or a kernel without it, is no error."""
    with contextlib.suppress(OSError):
        Path(f"/proc/{pid}/{name}").write_text(f"{value}\n", encoding="ascii")


def _is_readable(descriptor: int, timeout_s: float | None) -> bool:
    """Whether the process of a pidfd has ended, waiting at most that long; for ever with None."""
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(None if timeout_s is None else timeout_s * 1000))


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"
