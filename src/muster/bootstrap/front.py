"""Builds a front process."""

import argparse

import uvloop

from muster.archive.finder import Finder
from muster.archive.segments import SegmentWriter
from muster.bootstrap.archive_store import archive_store_of
from muster.bootstrap.certificates import certificates_of
from muster.bootstrap.home import Home, read_secret
from muster.bootstrap.metrics import metrics_address
from muster.bootstrap.process import listener_of, other_listeners_of
from muster.serving.claims import Claims
from muster.serving.front.process import FrontOptions, TraceOptions, run_front


def run(home: Home, given: argparse.Namespace) -> None:
    """Serve on the socket that was handed over, until SIGTERM."""
    archive = home.settings.archive
    writer = SegmentWriter(
        home.archive / "spool",
        given.number,
        segment_bytes=archive.segment_mib * 1024 * 1024,
        max_age_s=archive.segment_s,
        spool_bytes=archive.spool_mib * 1024 * 1024,
    )
    settings = home.settings
    options = FrontOptions(
        number=given.number,
        keeper=home.keeper_socket,
        control=given.control,
        token=read_secret(home.front_token),
        cache=home.publications,
        grpc=given.grpc,
        grpc_message_bytes=settings.serving.grpc_message_mib * 1024 * 1024,
        metrics=metrics_address(home, f"front-{given.number}"),
        certificates=certificates_of(home),
        traces=TraceOptions(
            endpoint=settings.traces.endpoint, sample=settings.traces.sample, per_s=settings.traces.per_s
        ),
    )
    uvloop.run(
        run_front(
            options,
            listener_of(given),
            writer,
            claims=Claims(home.archive / "claims"),
            past=Finder(home.archive, archive_store_of(home)),
            others=other_listeners_of(given),
        )
    )
