"""The keeper: owns every host of a machine and no data of any request.

Fronts say which hosts they want; the keeper brings each up (bundle, environment, parent, fork), lets it answer its golden rows and warm
up, tells the fronts where it listens, notices its end and brings up the next. A front that goes away is waited for: its hosts stay.
"""

import asyncio
import contextlib
import secrets
import time
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path

import msgspec
import psutil
import structlog

from muster.runtimes.confinement import Confinement
from muster.runtimes.errors import HostGone, OrderBroken
from muster.runtimes.parent import Limits, Parent, private_memory
from muster.serving.errors import GoldenMismatch
from muster.serving.workers.host_counts import HostCounts
from muster.serving.workers.proven import ProvenHost, end_host
from muster.serving.workers.readiness import PreparedBundle, Preparer, prove
from muster.serving.workers.roster import (
    FromFront,
    HostStanding,
    Hung,
    Standings,
    Wanted,
    WantedHost,
    line,
    read_from_front,
)
from muster.serving.workers.watch import HostWatch, usable_memory_bytes

_LINE_LIMIT = 64 * 1024 * 1024
_FRONT_GRACE_S = 15.0
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 10.0
_REFUSED_PAUSE_S = 15.0
#: So many ends within this time, in seconds, are answered at once; beyond them the pauses grow.
_ENDS_AT_ONCE = 10
_ENDS_COUNT_FOR_S = 60.0
_WATCH_EVERY_S = 0.5
#: A host's successor is prepared so long after it has begun, seconds; after each that ends or fails the pause is twice as long.
_SPARE_AFTER_S = 0.3
_LONGEST_SPARE_PAUSE_S = 15.0
_HOST_NICENESS = 5
#: Of hosts on trial: the lowest there is, at which they get what everybody else leaves.
_SHADOW_NICENESS = 19
log = structlog.get_logger()

#: (pid, kind, of) of every process the keeper owns, itself not included.
Told = Callable[[list[tuple[int, str, str]]], None]


@dataclass(slots=True)
class _Kept:
    """One host that is wanted."""

    wanted: WantedHost
    standing: HostStanding
    task: asyncio.Task[None] | None = None
    watch: HostWatch | None = None
    next: asyncio.Task[None] | None = None
    """Keeps a spare ready."""
    is_settled: asyncio.Event = field(default_factory=asyncio.Event)
    """Not set while a spare is being brought up."""
    spare: ProvenHost | None = None
    """Takes over when the host ends."""


class Keeper:
    """Owns the hosts of one machine.

    Args:
        socket: where it listens for fronts.
        sockets: short folder for the hosts' own sockets.
        logs: folder for the hosts' logs.
        preparer: fetches bundles and environments.
        memory_bytes: resident memory above which a host is ended; 0: no limit. Four fifths of the machine's at most.
        told: called whenever the list of processes has changed.
    """

    def __init__(
        self,
        *,
        socket: Path,
        sockets: Path,
        logs: Path,
        preparer: Preparer,
        memory_bytes: int,
        told: Told,
    ) -> None:
        self._socket = socket
        self._sockets = sockets
        self._logs = logs
        self._preparer = preparer
        self._memory_bytes = usable_memory_bytes(memory_bytes)
        # Fronts go first: a host that computes must not keep a reply from leaving.
        self._limits = Limits(memory_bytes=private_memory(self._memory_bytes), nice=_HOST_NICENESS)
        self._shadow_limits = replace(self._limits, nice=_SHADOW_NICENESS)
        self._told = told
        self._kept: dict[str, _Kept] = {}
        self._parents: dict[str, Parent] = {}
        self._holds: dict[str, Callable[[], None]] = {}
        self._parents_lock = asyncio.Lock()
        self._wants: dict[str, tuple[WantedHost, ...]] = {}
        self._gone_since: dict[str, float] = {}
        self._writers: dict[str, asyncio.StreamWriter] = {}
        self._fronts: set[asyncio.StreamWriter] = set()
        self._stopping: set[asyncio.Task[None]] = set()
        self._counts = HostCounts()

    def metrics(self) -> bytes:
        """The text of the keeper's metrics."""
        return self._counts.render([kept.standing for kept in self._kept.values()], len(self._fronts))

    async def run(self, until: asyncio.Event) -> None:
        """Keep hosts until the event is set; then end them all."""
        with contextlib.suppress(FileNotFoundError):
            self._socket.unlink()
        server = await asyncio.start_unix_server(self._meet_front, str(self._socket), limit=_LINE_LIMIT)
        self._socket.chmod(0o600)
        watching = asyncio.create_task(self._watch_for_ever(), name="keeper.watch")
        log.info("keeper.started", socket=str(self._socket))
        try:
            await until.wait()
        finally:
            watching.cancel()
            server.close()
            for writer in self._fronts:
                writer.close()
            await self._stop_all()
            with contextlib.suppress(FileNotFoundError):
                self._socket.unlink()
            log.info("keeper.stopped")

    # Fronts.

    async def _meet_front(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._fronts.add(writer)
        front = ""
        try:
            self._say(writer)
            while text := await reader.readline():
                message: FromFront = read_from_front.decode(text)
                if isinstance(message, Wanted):
                    front = message.front
                    self._writers[front] = writer
                    self._gone_since.pop(front, None)
                    self._wants[front] = message.hosts
                    self._settle()
                elif isinstance(message, Hung):
                    self._end_hung(message.host)
        except (OSError, ValueError, msgspec.MsgspecError) as error:
            log.warning("front.link_broken", front=front, error=repr(error))
        finally:
            self._fronts.discard(writer)
            if front and self._writers.get(front) is writer:  # it may have come back before its old connection ended
                self._gone_since[front] = time.monotonic()
            writer.close()

    def _say(self, writer: asyncio.StreamWriter) -> None:
        writer.write(line(Standings(tuple(kept.standing for kept in self._kept.values()))))

    def _say_all(self) -> None:
        for writer in self._fronts:
            self._say(writer)
        self._told([*self._parent_entries(), *self._host_entries()])

    def _stands(self, kept: _Kept, standing: HostStanding) -> None:
        kept.standing = standing
        self._say_all()

    def _end_hung(self, host: str) -> None:
        for kept in self._kept.values():
            if kept.standing.host == host and kept.standing.state == "up":
                log.error("host.hung", key=kept.standing.key, host=host, pid=kept.standing.pid)
                self._counts.ends_for(host, "hung")
                _kill(kept.standing.pid)

    # What is wanted.

    def _settle(self) -> None:
        """Bring up what is wanted and not kept, stop what is kept and not wanted."""
        wanted = {host.key: host for hosts in self._wants.values() for host in hosts}
        for key, kept in list(self._kept.items()):
            if key not in wanted or wanted[key].manifest != kept.wanted.manifest:
                del self._kept[key]
                self._stop_soon(kept)
        for key, host in wanted.items():
            if key not in self._kept:
                kept = _Kept(host, HostStanding(key, "starting"))
                kept.task = asyncio.create_task(self._keep(kept), name=f"keep.{key}")
                self._kept[key] = kept
        self._say_all()

    def _stop_soon(self, kept: _Kept) -> None:
        task = asyncio.create_task(self._stop(kept), name=f"stop.{kept.wanted.key}")
        self._stopping.add(task)
        task.add_done_callback(self._stopping.discard)

    async def _stop(self, kept: _Kept) -> None:
        await _cancelled(kept.task)
        await _cancelled(kept.next)
        if kept.spare is not None:
            await kept.spare.dispose()
        await self._forget_model(kept.wanted.manifest)
        await self._drop_idle_parents()
        self._say_all()

    async def _stop_all(self) -> None:
        kept, self._kept = list(self._kept.values()), {}
        await asyncio.gather(*(self._stop(one) for one in kept), *self._stopping, return_exceptions=True)
        for parent in self._parents.values():
            await asyncio.to_thread(parent.stop)
        self._told([])

    # One host's life, again and again.

    async def _keep(self, kept: _Kept) -> None:
        key = kept.wanted.key
        restarts = 0
        ends: deque[float] = deque()
        while True:
            self._counts.began(key, again=restarts > 0)
            try:
                await self._live_once(kept, restarts)
            except GoldenMismatch as error:
                log.error("host.golden_failed", key=key, message=error.message)
                self._stands(kept, HostStanding(key, "golden_failed", message=error.message, restarts=restarts))
                pause_s = _REFUSED_PAUSE_S
            except (HostGone, psutil.NoSuchProcess) as error:  # killed while it proved itself: an end like any other
                log.warning("host.ended", key=key, error=repr(error))
                pause_s = _pause_after(ends)
                self._stands(kept, HostStanding(key, "down", message="it ended at its start", restarts=restarts))
            except Exception as error:  # noqa: BLE001 - whatever it was, the host is tried again
                log.error("host.not_started", key=key, error=repr(error))
                self._stands(kept, HostStanding(key, "load_failed", message=_first_lines(error), restarts=restarts))
                pause_s = _REFUSED_PAUSE_S
            else:
                pause_s = _pause_after(ends)
                message = f"it ended and is started again in {pause_s:g} s"
                self._stands(kept, HostStanding(key, "down", message=message, restarts=restarts))
            restarts += 1
            await asyncio.sleep(pause_s)

    async def _live_once(self, kept: _Kept, restarts: int) -> None:
        """Bring a host up, tell the fronts, return when it has ended."""
        key = kept.wanted.key
        host = await self._spare_of(kept) or await self._bring_up(kept.wanted)
        try:
            log.info("host.up", key=key, host=host.id, pid=host.pid, restarts=restarts)
            self._counts.up(key)
            self._stands(
                kept,
                HostStanding(
                    key, "up", host=host.id, socket=str(host.socket), pid=host.pid, environment=host.environment,
                    cpu=host.hello.cpu, threads=host.hello.threads, restarts=restarts,
                ),
            )  # fmt: skip
            if not kept.wanted.is_shadow and not self._spawns(host.environment):
                kept.is_settled.set()
                kept.next = asyncio.create_task(self._keep_spare(kept), name=f"spare.{key}")
            await host.ended()
            log.warning("host.ended", key=key, host=host.id, pid=host.pid)
            self._counts.ended(key, host.id)
        finally:
            self._dispose_soon(host)  # not waited for: the next one is to be announced at once

    async def _bring_up(self, wanted: WantedHost) -> ProvenHost:
        """A new host that has answered its golden rows.

        Raises:
            GoldenMismatch: it answers them otherwise than its author said.
            MusterError: it cannot be brought up.
        """
        prepared = await asyncio.to_thread(self._preparer.prepare, wanted)
        parent = await self._parent_for(prepared)
        await asyncio.to_thread(parent.load, wanted.manifest, prepared.order)
        host = f"h{secrets.token_hex(8)}"
        socket = self._sockets / f"{host}.sock"
        limits = self._shadow_limits if wanted.is_shadow else self._limits
        forking = asyncio.ensure_future(
            asyncio.to_thread(self._fork, parent, wanted.manifest, prepared, host, socket, limits)
        )
        try:
            pid = await asyncio.shield(forking)
        except asyncio.CancelledError:  # the fork cannot be called back: end what it made
            with contextlib.suppress(Exception):  # the fork itself may fail; what counts is that this was cancelled
                await asyncio.to_thread(end_host, psutil.Process(await forking), socket)
            raise
        process = psutil.Process(pid)
        try:
            hello = await asyncio.to_thread(prove, socket, prepared)
            reader, writer = await asyncio.open_unix_connection(str(socket))
        except BaseException:
            await asyncio.to_thread(end_host, process, socket)
            raise
        return ProvenHost(
            id=host, socket=socket, process=process, environment=prepared.environment.id, hello=hello,
            reader=reader, writer=writer,
        )  # fmt: skip

    async def _keep_spare(self, kept: _Kept) -> None:
        """Have the next host ready while this one works: after a kill nobody waits for a fork and the golden answers.

        It shares the parent's memory; what it costs is a few MiB. It is not made at once, as what has just been started has other work.
        One that ends before it is needed is followed by another, and so is one that could not be made: what kept it from being made may
        have been the machine's fault. The pauses grow, for each try takes processor time from the hosts that work.
        """
        tries: deque[float] = deque()
        while True:
            await asyncio.sleep(_pause_before_spare(tries))
            kept.is_settled.clear()
            try:
                kept.spare = await self._bring_up(kept.wanted)
            except Exception as error:  # noqa: BLE001 - without it the next host is brought up when it is needed, and says what is wrong
                log.warning("spare.not_started", key=kept.wanted.key, error=repr(error))
                continue
            finally:
                kept.is_settled.set()
            self._say_all()
            await self._spare_ended(kept, kept.spare)

    async def _spare_ended(self, kept: _Kept, spare: ProvenHost) -> None:
        """Return when a spare has ended that nobody has needed; it is no spare any more."""
        await spare.ended()
        kept.spare = None
        log.warning("spare.ended", key=kept.wanted.key, host=spare.id, pid=spare.pid)
        self._dispose_soon(spare)
        self._say_all()

    async def _spare_of(self, kept: _Kept) -> ProvenHost | None:
        """The host that was prepared, if it is alive; one that is being prepared is waited for, as another would take longer."""
        if kept.next is not None:
            await kept.is_settled.wait()
        await _cancelled(kept.next)
        host, kept.spare, kept.next = kept.spare, None, None
        if host is None or host.is_alive:
            return host
        await host.dispose()
        return None

    def _dispose_soon(self, host: ProvenHost) -> None:
        disposing = asyncio.create_task(host.dispose(), name=f"dispose.{host.id}")
        self._stopping.add(disposing)
        disposing.add_done_callback(self._stopping.discard)

    def _spawns(self, environment: str) -> bool:
        """Whether hosts of an environment are not forked: each costs its whole memory, and the parent keeps a spare of its own."""
        parent = self._parents.get(environment)
        return parent is None or parent.spawns

    def _fork(
        self, parent: Parent, manifest: str, prepared: PreparedBundle, host: str, socket: Path, limits: Limits
    ) -> int:
        try:
            return parent.fork(manifest, host, socket, limits=limits)
        except OrderBroken:  # another host of the bundle was stopped just now, and took the loaded model with it
            parent.load(manifest, prepared.order)
            return parent.fork(manifest, host, socket, limits=limits)

    async def _parent_for(self, prepared: PreparedBundle) -> Parent:
        environment = prepared.environment
        async with self._parents_lock:
            parent = self._parents.get(environment.id)
            if parent is None:
                if environment.id not in self._holds:
                    self._holds[environment.id] = await asyncio.to_thread(self._preparer.hold, environment.id)
                bundles = Path(prepared.order.bundle).parent  # of whichever versions share the environment
                parent = await asyncio.to_thread(
                    Parent,
                    environment.python,
                    environment.id,
                    self._logs / f"hosts-{environment.id[7:19]}.log",
                    confinement=Confinement.of(prepared.order, environment.confinement, also=[bundles]),
                    scratch=self._sockets,
                )
                self._parents[environment.id] = parent
                log.info("parent.started", environment=environment.id, pid=parent.pid)
            return parent

    async def _forget_model(self, manifest: str) -> None:
        """Free what the parents have loaded of a bundle that no host runs any more."""
        if any(kept.wanted.manifest == manifest for kept in self._kept.values()):
            return
        for parent in self._parents.values():
            await asyncio.to_thread(parent.forget, manifest)

    async def _drop_idle_parents(self) -> None:
        async with self._parents_lock:
            used = {kept.standing.environment for kept in self._kept.values() if kept.standing.environment}
            if any(not kept.standing.environment for kept in self._kept.values()):
                return  # one that is being brought up may be about to use any of them
            for environment in [environment for environment in self._parents if environment not in used]:
                await asyncio.to_thread(self._parents.pop(environment).stop)
                self._holds.pop(environment, _nothing_held)()

    # Watching.

    async def _watch_for_ever(self) -> None:
        while True:
            await asyncio.sleep(_WATCH_EVERY_S)
            self._forget_fronts()
            for kept in self._kept.values():
                self._look_at(kept)

    def _forget_fronts(self) -> None:
        """Drop what a front wanted that has been away for longer than a restart takes."""
        now = time.monotonic()
        gone = [front for front, since in self._gone_since.items() if now - since > _FRONT_GRACE_S]
        for front in gone:
            del self._gone_since[front]
            self._wants.pop(front, None)
        if gone:
            self._settle()

    def _look_at(self, kept: _Kept) -> None:
        """End a host that takes too much memory or is stopped, confine one that wants too many processors."""
        standing = kept.standing
        if standing.state != "up":
            kept.watch = None
            return
        if kept.watch is None or kept.watch.pid != standing.pid:
            kept.watch = HostWatch(standing.pid, standing.threads, self._memory_bytes)
        why = kept.watch.look()
        facts = {"key": standing.key, "host": standing.host, "pid": standing.pid}
        if why == "memory":
            log.error("host.memory_exceeded", limit=self._memory_bytes, **facts)
        elif why == "stopped":
            log.error("host.stopped", **facts)
        if kept.watch.confined_now:
            log.warning("host.confined", threads=standing.threads, **facts)
        if why is not None:
            self._counts.ends_for(standing.host, why)
            _kill(standing.pid)

    def _parent_entries(self) -> Iterable[tuple[int, str, str]]:
        return [
            (parent.pid, "parent", environment)
            for environment, parent in self._parents.items()
            if parent.pid is not None
        ]

    def _host_entries(self) -> Iterable[tuple[int, str, str]]:
        return [
            (kept.standing.pid, "shadow" if kept.wanted.is_shadow else "host", kept.standing.key.partition("@")[0])
            for kept in self._kept.values()
            if kept.standing.state == "up"
        ] + [
            (kept.spare.pid, "spare", kept.standing.key.partition("@")[0])
            for kept in self._kept.values()
            if kept.spare is not None
        ]


async def _cancelled(task: asyncio.Task[None] | None) -> None:
    if task is not None:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def _nothing_held() -> None:
    """Nothing to let go."""


def _kill(pid: int) -> None:
    with contextlib.suppress(psutil.NoSuchProcess):
        psutil.Process(pid).kill()


def _pause_after(ends: deque[float]) -> float:
    """Seconds to wait after one more end: none at first, so that a kill costs nothing; longer for a host that keeps ending."""
    now = time.monotonic()
    ends.append(now)
    while now - ends[0] > _ENDS_COUNT_FOR_S:
        ends.popleft()
    over = len(ends) - _ENDS_AT_ONCE
    return 0.0 if over <= 0 else min(_FIRST_PAUSE_S * 2.0 ** min(over, 16), _LONGEST_PAUSE_S)


def _pause_before_spare(tries: deque[float]) -> float:
    """Seconds until the next spare is made; those that were begun within the last minute make it longer."""
    now = time.monotonic()
    while tries and now - tries[0] > _ENDS_COUNT_FOR_S:
        tries.popleft()
    tries.append(now)
    return min(_SPARE_AFTER_S * 2.0 ** (len(tries) - 1), _LONGEST_SPARE_PAUSE_S)


def _first_lines(error: BaseException, most: int = 1500) -> str:
    return str(error)[:most]
