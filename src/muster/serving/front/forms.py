"""What every form of a request comes down to, what every form of an answer is, and the headers that name forms."""

from functools import lru_cache
from typing import Any

import msgspec

from muster.packaging.columns import Buffer, Table
from muster.serving.errors import RequestMalformed
from muster.wire.inference import RequestedOutput

JSON = b"application/json"
OCTETS = b"application/octet-stream"
NDJSON = b"application/x-ndjson"
CSV = b"text/csv"
ARROW = b"application/vnd.apache.arrow.stream"
#: What JSON is sent as; the last is what curl says of a body when it is told nothing.
JSON_NAMES = frozenset({JSON, b"text/json", b"application/x-www-form-urlencoded"})

_LONGEST_CLIENT_ID = 256
#: Encodings of text that UTF-8 covers.
_UTF8 = frozenset({b"utf-8", b"utf8", b"us-ascii", b"ascii"})


class Asked(msgspec.Struct, frozen=True):
    """One request, read and checked."""

    table: Table
    id: str | None = None
    """The caller's own."""
    deadline_s: float | None = None
    """What the body grants, seconds from arrival."""
    parameters: dict[str, Any] | None = None
    """Of a V2 request."""
    outputs: tuple[RequestedOutput, ...] | None = None
    """The outputs that a V2 request wants; None or empty: all."""


class Answer(msgspec.Struct, frozen=True):
    """The body of an answer, in parts that are written one after another, and what its headers say."""

    parts: tuple[Buffer, ...]
    content_type: bytes = JSON
    json_bytes: int | None = None
    """How many bytes of the body are JSON, where tensors follow: `Inference-Header-Content-Length`."""
    headers: tuple[tuple[bytes, bytes], ...] = ()
    """Further headers."""

    @property
    def size(self) -> int:
        """Bytes of the body."""
        return sum(map(len, self.parts))

    def body(self) -> bytes:
        """The body in one piece."""
        return b"".join(self.parts)


@lru_cache(maxsize=256)
def media_type(header: bytes | None) -> tuple[bytes, dict[bytes, bytes]]:
    """The media type in a header like `Content-Type`, in lower case, and its parameters."""
    if header is None:
        return b"", {}
    name, *rest = header.split(b";")
    parameters = {}
    for part in rest:
        key, _, value = part.partition(b"=")
        parameters[key.strip().lower()] = value.strip().strip(b'"')
    return name.strip().lower(), parameters


def is_utf8(parameters: dict[bytes, bytes]) -> bool:
    """Whether a media type's `charset`, if any, is one that UTF-8 covers."""
    return parameters.get(b"charset", b"utf-8").lower() in _UTF8


@lru_cache(maxsize=256)
def preferred(accept: bytes | None, offered: tuple[bytes, ...]) -> bytes | None:
    """Which of the offered media types a header `Accept` likes best; the first offered where it has no preference.

    None: it takes none of them.

    Source: RFC 9110, 12.5.1.
    """
    if accept is None or not accept.strip():
        return offered[0]
    ranges = []
    for part in accept.split(b","):
        name, parameters = media_type(part)
        ranges.append((name, _weight(parameters.get(b"q", b"1"))))
    best, liking = None, 0.0
    for offer in offered:
        # The most specific range that matches speaks for the offer.
        matching = [(len(name) - 2 * name.count(b"*"), weight) for name, weight in ranges if _matches(name, offer)]
        weight = max(matching)[1] if matching else 0.0
        if weight > liking:
            best, liking = offer, weight
    return best


def _matches(name: bytes, offer: bytes) -> bool:
    return name in {offer, b"*/*", b"*"} or (name.endswith(b"/*") and offer.startswith(name[:-1]))


def _weight(text: bytes) -> float:
    try:
        weight = float(text)
    except ValueError:
        return 0.0
    return weight if 0 <= weight <= 1 else 0.0


def client_id_of(header: bytes | None) -> str | None:
    """The caller's own id in the header `Muster-Client-Id`.

    Raises:
        RequestMalformed: it is longer than 256 bytes or no UTF-8.
    """
    if header is None:
        return None
    try:
        text = header.decode()
    except UnicodeDecodeError:
        text = ""
    if len(header) > _LONGEST_CLIENT_ID or not text or not text.isprintable():
        raise RequestMalformed(
            f"the header Muster-Client-Id has {len(header)} bytes; it is printable UTF-8 text of 1 to {_LONGEST_CLIENT_ID}"
        )
    return text


def json_length_of(header: bytes | None) -> int | None:
    """How many bytes of a body are JSON, as the header `Inference-Header-Content-Length` says.

    Raises:
        RequestMalformed: it is no whole number.
    """
    if header is None:
        return None
    if not header.isdigit() or len(header) > 15:
        raise RequestMalformed(
            f"the header Inference-Header-Content-Length is {header[:40].decode('latin-1')!r}; it is a number of bytes"
        )
    return int(header)
