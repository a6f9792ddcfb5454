"""The entry of every process that a supervisor starts: `python -m muster.bootstrap.process KIND --home HOME …`."""

import argparse
import os
import socket
import sys
from importlib import import_module
from pathlib import Path

import structlog

from muster.bootstrap.home import open_home
from muster.supervision.lifeline import end_with_starter
from muster.supervision.supervisor import FAILED, REFUSED
from muster.telemetry.logs import set_up_logs
from muster.vocabulary.errors import MusterError, Unavailable

KINDS = ("control", "executor", "keeper", "front")
log = structlog.get_logger()


def main(arguments: list[str] | None = None) -> int:
    """Run one process of a factory until it is asked to end; the exit code says whether it could start."""
    parser = argparse.ArgumentParser(prog="muster.bootstrap.process")
    parser.add_argument("kind", choices=KINDS)
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--number", type=int, default=0, help="which front of this machine")
    parser.add_argument("--control", default="", help="address of the control API")
    parser.add_argument("--scoring", default="", help="address of the scoring side")
    parser.add_argument("--grpc", default="", help="address for gRPC scoring; empty: none")
    parser.add_argument("--listen-fd", type=int, default=-1)
    parser.add_argument("--others-fds", default="", help="the other fronts' listening sockets")
    parser.add_argument("--lifeline-fd", type=int, default=-1)
    given = parser.parse_args(arguments)
    set_up_logs(f"{given.kind}-{given.number}" if given.kind == "front" else given.kind)
    if given.lifeline_fd >= 0:
        end_with_starter(given.lifeline_fd)
    # Each kind loads its own module and no other: a front has no use for a database driver's memory.
    entry = import_module(f"muster.bootstrap.{given.kind}")
    try:
        entry.run(open_home(given.home), given)
    except MusterError as error:
        log.error("process.refused", code=error.code, message=error.message, advice=error.advice)
        return FAILED if isinstance(error, Unavailable) else REFUSED
    return 0


def listener_of(given: argparse.Namespace) -> socket.socket:
    """The listening socket that the supervisor handed over."""
    return _handed_over(given.listen_fd)


def other_listeners_of(given: argparse.Namespace) -> list[socket.socket]:
    """The listening sockets of the other fronts that the supervisor handed over."""
    return [_handed_over(int(number)) for number in given.others_fds.split(",") if number]


def _handed_over(number: int) -> socket.socket:
    os.set_inheritable(number, False)
    listener = socket.socket(fileno=number)
    listener.setblocking(False)
    return listener


if __name__ == "__main__":
    sys.exit(main())
