"""Files of data sources, copied to where they can be read while nobody changes them.

A folder is walked down part by part without following a link; an address is asked once, without following a redirect.
"""

import hashlib
import os
import socket
import stat
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from ssl import SSLContext
from types import TracebackType
from typing import Any, BinaryIO, Self

import httpx

from muster.training.addresses import Place
from muster.training.errors import DataNotFound, DataRefused, SourceUnreachable
from muster.vocabulary.digests import Digest

MOST_BYTES = 2 * 1024**3
_PIECE = 1 << 20
_CONNECT_S = 20.0
#: What httpx tells of when there is another connection to cut.
_CONNECTED = ("connect_tcp.complete", "start_tls.complete")
_OK = 200
_MISSING = (401, 403, 404, 410)


@dataclass(frozen=True, slots=True, kw_only=True)
class Fetched:
    """A file that was read whole."""

    path: Path
    digest: Digest
    size: int


def fetch(
    place: Place, to: Path, *, most_bytes: int = MOST_BYTES, within_s: float = 600.0, tls: SSLContext | None = None
) -> Fetched:
    """Copy a file of a source to a path.

    Args:
        place: which.
        to: where it goes; in a folder that nobody else writes to.
        most_bytes: a larger one is not taken.
        within_s: how long that may take, however little the source sends at a time; of S3 it is looked at block by block.
        tls: whom to trust; None: whom the machine trusts.

    Raises:
        DataNotFound: there is none, or it is no plain file.
        DataRefused: it is too large, took too long, or the source answered with a redirect.
        SourceUnreachable: the source cannot be read.
    """
    until = time.monotonic() + within_s
    summed, size = hashlib.sha256(), 0
    try:
        with to.open("wb") as target, _pieces(place, tls, until) as pieces:
            for piece in pieces:
                size += len(piece)
                if size > most_bytes:
                    raise DataRefused(f"{place} has more than {most_bytes} bytes", data=str(place), limit=most_bytes)
                _require_time(until)
                summed.update(piece)
                target.write(piece)
    except _TooSlow as error:
        raise DataRefused(f"{place} was not there after {within_s:g} s", data=str(place)) from error
    return Fetched(path=to, digest=Digest(f"sha256:{summed.hexdigest()}"), size=size)


class _TooSlow(Exception):
    """The time was up; it does not leave this module."""


def _require_time(until: float) -> None:
    if time.monotonic() > until:
        raise _TooSlow


@contextmanager
def _pieces(place: Place, tls: SSLContext | None, until: float) -> Iterator[Iterator[bytes]]:
    scheme = place.source.uri.partition(":")[0]
    if scheme == "file":
        with _opened_below(place) as stream:
            yield _read(stream)
    elif scheme == "s3":
        with _s3(place) as stream:
            yield _read(stream)
    else:
        with _https(place, tls, until) as pieces:
            yield pieces


def _read(stream: BinaryIO) -> Iterator[bytes]:
    while piece := stream.read(_PIECE):
        yield piece


@contextmanager
def _opened_below(place: Place) -> Iterator[BinaryIO]:
    """The file, reached through real folders alone.

    Source:
        openat(2) with O_NOFOLLOW for every part: what is checked is what is opened, whoever renames meanwhile.
    """
    at = -1
    try:
        try:
            at = os.open(place.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError as error:
            raise SourceUnreachable(
                f"the folder of source {place.source.name} cannot be opened: {error.strerror}", source=place.source.name
            ) from error
        try:
            for part in place.parts[:-1]:
                below = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
                os.close(at)
                at = below
            # A pipe would make us wait for its writer: it is opened without waiting, and then found to be no file.
            found = os.open(place.name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=at)
        except OSError as error:
            raise DataNotFound(f"{place} is no plain file there: {error.strerror}", data=str(place)) from error
    finally:
        if at >= 0:
            os.close(at)
    if not stat.S_ISREG(os.fstat(found).st_mode):
        os.close(found)
        raise DataNotFound(f"{place} is no plain file", data=str(place))
    with os.fdopen(found, "rb") as stream:
        yield stream


class _Cut:
    """Cuts a connection when the time is up; a context manager.

    The timeouts of a connection count from one byte to the next: a source that sends one now and then, in its headers or its body,
    would never run into them.

    Args:
        until: when, on the monotonic clock.
    """

    def __init__(self, until: float) -> None:
        self._timer = threading.Timer(max(0.0, until - time.monotonic()), self._cut)
        self._timer.daemon = True
        self._stream: Any = None
        self.is_over = False

    def __enter__(self) -> Self:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()
        self._timer.join()

    def trace(self, event: str, info: Mapping[str, Any]) -> None:
        """Told by the connection what it does, and given each stream that it opens.

        Source:
            The request extension `trace` of HTTPX and httpcore.
        """
        if event.endswith(_CONNECTED):
            self._stream = info["return_value"]
            if self.is_over:  # the time was up while the connection was made
                self._cut()

    def _cut(self) -> None:
        self.is_over = True
        if self._stream is not None:
            with suppress(OSError):  # whoever reads is told that nothing more comes
                self._stream.get_extra_info("socket").shutdown(socket.SHUT_RDWR)


@contextmanager
def _https(place: Place, tls: SSLContext | None, until: float) -> Iterator[Iterator[bytes]]:
    with _Cut(until) as cut:
        try:
            with (
                httpx.Client(
                    follow_redirects=False,
                    timeout=httpx.Timeout(60.0, connect=_CONNECT_S),
                    verify=True if tls is None else tls,
                    headers={"accept-encoding": "identity"},
                ) as client,
                client.stream("GET", place.url, extensions={"trace": cut.trace}) as answer,
            ):
                if answer.is_redirect:
                    raise DataRefused(f"{place} is answered with a redirect, which is not followed", data=str(place))
                if answer.status_code in _MISSING:
                    raise DataNotFound(f"{place} is answered with status {answer.status_code}", data=str(place))
                if answer.status_code != _OK:
                    raise SourceUnreachable(
                        f"{place} is answered with status {answer.status_code}", source=place.source.name
                    )
                # No size is asked for: pieces of one are handed on only when they are full, and the clock is looked at with each.
                yield answer.iter_raw()
        except httpx.HTTPError as error:
            if cut.is_over:
                raise _TooSlow from error
            raise SourceUnreachable(f"{place} cannot be read: {error}", source=place.source.name) from error


@contextmanager
def _s3(place: Place) -> Iterator[BinaryIO]:
    if find_spec("s3fs") is None:
        raise SourceUnreachable(f"{place} needs the package s3fs: install muster-ml[s3]", source=place.source.name)
    botocore_error: type[Exception] = import_module("botocore.exceptions").BotoCoreError
    try:
        files = import_module("fsspec").filesystem("s3", use_listings_cache=False, skip_instance_cache=True)
        stream = files.open(place.url, "rb", block_size=8 * _PIECE)
    except FileNotFoundError as error:
        raise DataNotFound(f"{place} is not there", data=str(place)) from error
    except (OSError, botocore_error) as error:
        raise SourceUnreachable(f"{place} cannot be read: {error}", source=place.source.name) from error
    try:
        yield stream
    except FileNotFoundError as error:
        raise DataNotFound(f"{place} is not there", data=str(place)) from error
    except (OSError, botocore_error) as error:
        raise SourceUnreachable(f"{place} cannot be read: {error}", source=place.source.name) from error
    finally:
        with suppress(OSError):
            stream.close()
