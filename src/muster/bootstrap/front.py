"""Builds a front process."""

import argparse

import uvloop

from muster.archive.segments import SegmentWriter
from muster.bootstrap.home import Home, read_secret
from muster.bootstrap.process import listener_of
from muster.serving.front.process import run_front


def run(home: Home, given: argparse.Namespace) -> None:
    """Serve on the socket that was handed over, until SIGTERM."""
    archive = home.settings.archive
    writer = SegmentWriter(
        home.archive / "spool",
        given.number,
        segment_bytes=archive.segment_mib * 1024 * 1024,
        max_age_s=archive.segment_s,
    )
    uvloop.run(
        run_front(
            number=given.number,
            listener=listener_of(given),
            keeper=home.keeper_socket,
            control=given.control,
            token=read_secret(home.front_token),
            cache=home.publications,
            writer=writer,
        )
    )
