"""Compressed bodies are bounded in what comes out of them; compressed answers say what they would have said."""

import gzip
import tracemalloc
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.serving.errors import BodyTooLarge, FormUnknown, RequestMalformed
from muster.serving.front.encoding import SMALLEST_PACKED, packed, unpacked
from muster.serving.front.forms import JSON, NDJSON, OCTETS, Answer, client_id_of

LIMIT = 100_000


def raw_deflate(data: bytes) -> bytes:
    packing = zlib.compressobj(wbits=-15)
    return packing.compress(data) + packing.flush()


class TestUnpacked:
    """Request bodies."""

    @given(st.binary(max_size=200))
    def test_every_encoding_comes_back(self, data: bytes) -> None:
        """gzip, in one member or several, deflate with and without its head, and no encoding."""
        half = len(data) // 2
        assert unpacked(data, None, LIMIT) == data
        assert unpacked(data, b"identity", LIMIT) == data
        assert unpacked(gzip.compress(data), b"gzip", LIMIT) == data
        assert unpacked(gzip.compress(data), b" GZIP ", LIMIT) == data
        assert unpacked(gzip.compress(data[:half]) + gzip.compress(data[half:]), b"x-gzip", LIMIT) == data
        assert unpacked(zlib.compress(data), b"deflate", LIMIT) == data
        assert unpacked(raw_deflate(data), b"deflate", LIMIT) == data

    @pytest.mark.parametrize("coding", [b"br", b"zstd", b"gzip, gzip", b"compress", b"\xff"])
    def test_other_encodings(self, coding: bytes) -> None:
        """They are refused by name."""
        with pytest.raises(FormUnknown):
            unpacked(b"x", coding, LIMIT)

    @pytest.mark.parametrize(
        ("body", "coding"),
        [
            (b"no gzip", b"gzip"),
            (gzip.compress(b"x" * 50, mtime=0)[:-5], b"gzip"),
            (gzip.compress(b"x", mtime=0)[:5], b"gzip"),
            (gzip.compress(b"x", mtime=0) + b"tail", b"gzip"),
            (gzip.compress(b"", mtime=0) * 65, b"gzip"),
            (b"\xff\xff\xff", b"deflate"),
            (zlib.compress(b"x" * 50)[:-5], b"deflate"),
            (zlib.compress(b"x") + b"tail", b"deflate"),
            (b"", b"deflate"),
        ],
    )
    def test_damaged_bodies(self, body: bytes, coding: bytes) -> None:
        """Cut off, with a tail, or nothing of the kind."""
        with pytest.raises(RequestMalformed):
            unpacked(body, coding, LIMIT)

    def test_exactly_the_limit(self) -> None:
        """A body of just the limit is taken, a byte more is not."""
        for pack, coding in ((gzip.compress, b"gzip"), (zlib.compress, b"deflate"), (raw_deflate, b"deflate")):
            assert len(unpacked(pack(bytes(LIMIT)), coding, LIMIT)) == LIMIT
            with pytest.raises(BodyTooLarge):
                unpacked(pack(bytes(LIMIT + 1)), coding, LIMIT)
        with pytest.raises(BodyTooLarge):
            unpacked(gzip.compress(bytes(LIMIT)) + gzip.compress(b"x"), b"gzip", LIMIT)

    @pytest.mark.parametrize("coding", [b"gzip", b"deflate"])
    def test_a_bomb_takes_no_memory(self, coding: bytes) -> None:
        """Of 100 MB that come as 100 kB, no more is made than the limit allows."""
        bomb = (gzip.compress if coding == b"gzip" else zlib.compress)(bytes(100_000_000))
        tracemalloc.start()
        with pytest.raises(BodyTooLarge):
            unpacked(bomb, coding, LIMIT)
        _, peak = tracemalloc.get_traced_memory()
        tracemalloc.stop()
        assert peak < 10 * LIMIT


class TestPacked:
    """Answers."""

    LARGE = b'{"a": 1}' * SMALLEST_PACKED

    @pytest.mark.parametrize("accept", [b"gzip", b"gzip, deflate, br", b"*", b"gzip;q=0.5"])
    def test_large_texts_are_packed(self, accept: bytes) -> None:
        """Where the caller takes gzip; the headers say so."""
        answer = packed(Answer((b"", self.LARGE), JSON, headers=((b"a", b"b"),)), accept)
        assert gzip.decompress(answer.body()) == self.LARGE
        assert answer.headers[:2] == ((b"a", b"b"), (b"content-encoding", b"gzip"))
        assert answer.content_type == JSON

    @pytest.mark.parametrize(
        ("answer", "accept"),
        [
            (Answer((LARGE,), JSON), None),
            (Answer((LARGE,), JSON), b"br"),
            (Answer((LARGE,), JSON), b"gzip;q=0"),
            (Answer((LARGE,), OCTETS, 8), b"gzip"),
            (Answer((b"{}",), NDJSON), b"gzip"),
            (Answer((LARGE * 100,), NDJSON), b"gzip"),
        ],
    )
    def test_others_stay_as_they_are(self, answer: Answer, accept: bytes | None) -> None:
        """Small ones, very large ones, tensors, and what the caller does not take."""
        assert packed(answer, accept) is answer


class TestClientId:
    """The header `Muster-Client-Id`."""

    def test_texts(self) -> None:
        """Printable UTF-8 comes through."""
        assert client_id_of(None) is None
        assert client_id_of("größer 1".encode()) == "größer 1"

    @pytest.mark.parametrize("header", [b"", b"\xff", b"a\tb", b"x" * 257])
    def test_others(self, header: bytes) -> None:
        """Anything else is refused."""
        with pytest.raises(RequestMalformed):
            client_id_of(header)
