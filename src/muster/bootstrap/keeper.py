"""Builds a keeper process."""

import argparse
import asyncio
import contextlib
import signal
from concurrent.futures import ThreadPoolExecutor

from muster.bootstrap.home import Home, make_socket_folder
from muster.bootstrap.metrics import metrics_address
from muster.bootstrap.stores import blobs_of, environments_of
from muster.packaging.trees import remove_tree
from muster.serving.workers.keeper import Keeper
from muster.serving.workers.readiness import Preparer
from muster.supervision.state import ProcessEntry, ProcessList, write_list
from muster.telemetry.metrics_door import MetricsDoor

_THREADS = 64


def run(home: Home, _given: argparse.Namespace) -> None:
    """Keep hosts until SIGTERM."""
    asyncio.run(_keep(home))


async def _keep(home: Home) -> None:
    make_socket_folder(home)
    for pattern in ("h*.sock", "muster-hosts-*"):  # of a keeper that was killed; its hosts have ended with it
        for left_over in home.sockets.glob(pattern):
            remove_tree(left_over)

    def told(processes: list[tuple[int, str, str]]) -> None:
        entries = (ProcessEntry(pid, kind, of) for pid, kind, of in processes)
        with contextlib.suppress(OSError):  # a full disk makes `muster ps` forgetful; hosts go on
            write_list(home.state, "keeper", ProcessList(tuple(entries)))

    keeper = Keeper(
        socket=home.keeper_socket,
        sockets=home.sockets,
        logs=home.logs,
        preparer=Preparer(blobs_of(home), home.bundles, environments_of(home)),
        memory_bytes=home.settings.serving.host_memory_mib * 1024 * 1024,
        told=told,
    )
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    # Loading may take minutes; one that hangs must not keep the others from being started again.
    loop.set_default_executor(ThreadPoolExecutor(_THREADS, thread_name_prefix="keeper"))
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    door = MetricsDoor(metrics_address(home, "keeper"), keeper.metrics)
    await door.open()
    try:
        await keeper.run(ended)
    finally:
        await door.close()
