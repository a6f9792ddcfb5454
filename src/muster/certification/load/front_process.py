"""One front on its own, for as long as a version is under load: the very code that serves, over a folder that is thrown away.

`python -m muster.certification.load.front_process FOLDER LISTENER LIFELINE`: the folder holds `publications.json` and `keeper.sock`, the
listener is a descriptor of the socket to serve. There is no control: a front starts alone from the plan that it was told last.
"""

import socket
import sys
from pathlib import Path

import uvloop

from muster.archive.finder import Finder
from muster.archive.segments import SegmentWriter
from muster.serving.claims import Claims
from muster.serving.front.process import FrontOptions, TraceOptions, run_front
from muster.telemetry.metrics_door import MetricsAddress
from muster_host.lifeline import end_with

PUBLICATIONS, KEEPER, LOG = "publications.json", "keeper.sock", "front.log"
#: Nobody listens at the port of `discard`: a front that asks there is answered at once that control is away.
_NO_CONTROL = "http://127.0.0.1:9"


def main(folder: Path, listener: int, lifeline: int) -> None:
    """Serve until SIGTERM, or until whoever holds the other end of the lifeline is gone."""
    end_with(lifeline)
    door = socket.socket(fileno=listener)
    door.setblocking(False)
    for name in ("spool", "parquet", "claims"):
        (folder / name).mkdir(exist_ok=True)
    options = FrontOptions(
        number=0,
        keeper=folder / KEEPER,
        control=_NO_CONTROL,
        token="none",  # noqa: S106 - there is no control to show it to
        cache=folder / PUBLICATIONS,
        grpc="",
        grpc_message_bytes=1 << 20,
        metrics=MetricsAddress(socket=folder / "metrics.sock"),
        traces=TraceOptions(endpoint="", sample=0.0, per_s=1),
    )
    writer = SegmentWriter(folder / "spool", 0)
    uvloop.run(run_front(options, door, writer, Claims(folder / "claims"), Finder(folder)))


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]))
