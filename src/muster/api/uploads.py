"""Bodies that are too large for memory: written to a file as they come, within a limit, and digested on the way."""

import hashlib
import shutil
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from litestar import Request

from muster.access.actor import Actor
from muster.api.errors import BodyTooLarge, RequestMalformed, UploadsUnwritable
from muster.api.threads import in_thread

_PIECE_BYTES = 1 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """A body in a file."""

    file: Path
    sha256: str


@asynccontextmanager
async def uploaded(request: Request[Actor, Any, Any], folder: Path, limit: int) -> AsyncIterator[Upload]:
    """The body of a request as a file, which is gone when the block ends.

    Args:
        request: whose body it is.
        folder: where the file lies meanwhile.
        limit: most bytes that are taken.

    Raises:
        BodyTooLarge: the body is longer, or says that it is.
        RequestMalformed: it is empty.
        UploadsUnwritable: the disk has no room for it.
    """
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise BodyTooLarge(f"the body has {int(announced)} bytes; the limit is {limit}", limit=limit)
    try:
        scratch = Path(await in_thread(tempfile.mkdtemp, prefix="upload-", dir=folder))
    except OSError as error:
        raise UploadsUnwritable(f"{folder} cannot be written: {error.strerror}") from error
    try:
        yield await _received(request, scratch / "body", limit)
    finally:
        await in_thread(shutil.rmtree, scratch, ignore_errors=True)


async def _received(request: Request[Actor, Any, Any], file: Path, limit: int) -> Upload:
    digest, taken = hashlib.sha256(), 0
    pending = bytearray()

    def write(piece: bytes) -> None:
        digest.update(piece)
        stream.write(piece)

    try:
        stream = file.open("xb")
    except OSError as error:
        raise UploadsUnwritable(f"the body cannot be kept: {error.strerror}") from error
    try:
        async for piece in request.stream():
            taken += len(piece)
            if taken > limit:
                raise BodyTooLarge(f"the body has more than {limit} bytes", limit=limit)
            pending += piece
            if len(pending) >= _PIECE_BYTES:
                await in_thread(write, bytes(pending))
                pending.clear()
        await in_thread(write, bytes(pending))
        await in_thread(stream.flush)
    except OSError as error:
        raise UploadsUnwritable(f"the body cannot be kept: {error.strerror}") from error
    finally:
        stream.close()
    if taken == 0:
        raise RequestMalformed("the body is empty; it has to be the file")
    return Upload(file=file, sha256=digest.hexdigest())
