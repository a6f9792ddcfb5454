"""Compressed bodies: `Content-Encoding` of a request, bounded in what comes out of it; `Accept-Encoding` of an answer."""

import gzip
import zlib

from muster.serving.errors import BodyTooLarge, FormUnknown, RequestMalformed
from muster.serving.front.forms import JSON, NDJSON, Answer, preferred

#: Smaller answers are sent as they are: packing them costs more than it saves.
SMALLEST_PACKED = 16 * 1024
#: Larger ones too: packing is done between other requests, and they would wait for it.
LARGEST_PACKED = 2 * 1024 * 1024
_MOST_MEMBERS = 64
_GZIP, _ZLIB, _RAW = 31, 15, -15
_HEADERS = ((b"content-encoding", b"gzip"), (b"vary", b"accept-encoding"))


def unpacked(body: bytes, content_encoding: bytes | None, limit: int) -> bytes:
    """The body as it was before it was compressed.

    Args:
        body: as it came.
        content_encoding: the header `Content-Encoding`.
        limit: how many bytes may come out; no more than one above is ever made.

    Raises:
        FormUnknown: the encoding is neither gzip nor deflate.
        RequestMalformed: the body is not what the encoding says.
        BodyTooLarge: it is larger than the limit.
    """
    coding = b"" if content_encoding is None else content_encoding.strip().lower()
    if coding in {b"", b"identity"}:
        return body
    try:
        if coding in {b"gzip", b"x-gzip"}:
            return _gunzipped(body, limit)
        if coding == b"deflate":
            # RFC 9110 means the zlib format; some senders leave its two bytes of head out.
            is_zlib = len(body) >= 2 and body[0] & 15 == 8 and int.from_bytes(body[:2], "big") % 31 == 0
            unpacking = zlib.decompressobj(_ZLIB if is_zlib else _RAW)
            return _inflated(unpacking, body, limit)
    except zlib.error as error:
        raise RequestMalformed(f"the body is not {coding.decode()}: {error}") from error
    raise FormUnknown(
        f"the body is packed as {coding[:40].decode('latin-1')!r}; it may come plain, as gzip or as deflate"
    )


def _gunzipped(body: bytes, limit: int) -> bytes:
    """All members of a gzip file, one after another."""
    parts: list[bytes] = []
    rest = body
    while rest:
        if len(parts) == _MOST_MEMBERS:  # each costs a copy of all that follow
            raise RequestMalformed(f"the gzip has more than {_MOST_MEMBERS} members")
        unpacking = zlib.decompressobj(_GZIP)
        parts.append(unpacking.decompress(rest, limit + 1))
        limit -= len(parts[-1])
        if limit < 0:
            raise _too_large()
        if not unpacking.eof:
            raise RequestMalformed("the body is cut off: its gzip has no end")
        rest = unpacking.unused_data
    return parts[0] if len(parts) == 1 else b"".join(parts)


def _inflated(unpacking: "zlib._Decompress", body: bytes, limit: int) -> bytes:
    data = unpacking.decompress(body, limit + 1)
    if len(data) > limit:
        raise _too_large()
    if not unpacking.eof:
        raise RequestMalformed("the body is cut off: its deflate has no end")
    if unpacking.unused_data:
        raise RequestMalformed("bytes are left over behind the end of the deflated body")
    return data


def _too_large() -> BodyTooLarge:
    return BodyTooLarge("the body is larger than the limit once it is unpacked")


def packed(answer: Answer, accept_encoding: bytes | None) -> Answer:
    """The answer as gzip, where the caller takes that and it pays: text of 16 KiB to 2 MiB. Tensors as bytes stay as they are."""
    if accept_encoding is None or answer.content_type not in {JSON, NDJSON}:
        return answer
    if not SMALLEST_PACKED <= answer.size <= LARGEST_PACKED or preferred(accept_encoding, (b"gzip",)) is None:
        return answer
    body = gzip.compress(answer.body(), compresslevel=1, mtime=0)
    return Answer((body,), answer.content_type, None, (*answer.headers, *_HEADERS))
