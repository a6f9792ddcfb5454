"""Files fetched from real folders, a real HTTPS server and an S3 server: whole and unchanged, or not at all."""

import os
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib import import_module
from pathlib import Path
from typing import ClassVar

import pytest

from certificates import Authority
from muster.training.addresses import Place, checked_source, place_of
from muster.training.errors import DataNotFound, DataRefused, SourceUnreachable
from muster.training.fetching import fetch
from muster.training.records import Source
from muster.vocabulary.digests import digest_of
from real_s3 import running_s3

CONTENT = bytes(range(256)) * 5000


def place(uri: str, path: str) -> Place:
    one = Source(
        project="default",
        name="one",
        uri=checked_source(uri),
        added_by="ada",
        added_at=datetime(2026, 1, 1, tzinfo=UTC),
        reason="so",
    )
    found = place_of(f"source:one/{path}", [one])
    assert found is not None
    return found


@pytest.fixture
def lake(tmp_path: Path) -> Path:
    folder = tmp_path / "lake" / "2026"
    folder.mkdir(parents=True)
    (folder / "x.parquet").write_bytes(CONTENT)
    return tmp_path / "lake"


def test_a_file_of_a_folder_comes_whole(lake: Path, tmp_path: Path) -> None:
    """With its digest and its size."""
    found = fetch(place(str(lake), "2026/x.parquet"), tmp_path / "copy")
    assert (found.digest, found.size) == (digest_of(CONTENT), len(CONTENT))
    assert (tmp_path / "copy").read_bytes() == CONTENT


def test_links_folders_and_pipes_are_no_files(lake: Path, tmp_path: Path) -> None:
    """A link is not followed at the end of the path nor within it; a pipe is not waited for."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key").write_text("k")
    (lake / "link").symlink_to(tmp_path / "secret" / "key")
    (lake / "folder").symlink_to(tmp_path / "secret")
    os.mkfifo(lake / "pipe")
    for path in ("link", "folder/key", "2026", "pipe", "missing", "2026/missing", "2026/x.parquet/y"):
        with pytest.raises(DataNotFound):
            fetch(place(str(lake), path), tmp_path / "copy")


def test_more_than_the_limit_is_not_taken(lake: Path, tmp_path: Path) -> None:
    """Nor more time than was given."""
    with pytest.raises(DataRefused, match="bytes"):
        fetch(place(str(lake), "2026/x.parquet"), tmp_path / "copy", most_bytes=1000)
    with pytest.raises(DataRefused, match="not there after"):
        fetch(place(str(lake), "2026/x.parquet"), tmp_path / "copy", within_s=0.0)


def test_a_folder_that_is_gone_is_unreachable(tmp_path: Path) -> None:
    """That is the operator's, not the author's."""
    with pytest.raises(SourceUnreachable):
        fetch(place(str(tmp_path / "gone"), "x"), tmp_path / "copy")


class Web(BaseHTTPRequestHandler):
    """Gives the content at one path, a redirect at another; at two more a byte now and then."""

    seen: ClassVar[list[str]] = []
    ended: ClassVar[threading.Event] = threading.Event()

    def do_GET(self) -> None:
        self.seen.append(self.path)
        if self.path.startswith("/ml/drip-"):
            self.drip(b"" if self.path == "/ml/drip-headers" else b"Content-Length: 100000\r\n\r\n")
            return
        if self.path == "/ml/x%20y.parquet":
            self.send_response(200)
            self.send_header("content-length", str(len(CONTENT)))
            self.end_headers()
            self.wfile.write(CONTENT)
            return
        self.send_response({"/ml/moved": 302, "/ml/broken": 500}.get(self.path, 404))
        self.send_header("location", "/secret")
        self.send_header("content-length", "0")
        self.end_headers()

    def drip(self, headers: bytes) -> None:
        """An answer that does not end within eight seconds, unless the caller goes."""
        self.close_connection = True
        until = time.monotonic() + 8
        with suppress(OSError):
            self.wfile.write(b"HTTP/1.1 200 OK\r\n" + headers + (b"" if headers else b"X-Long: "))
            while time.monotonic() < until and not self.ended.wait(0.02):
                self.wfile.write(b"x")

    def log_message(self, *_: object) -> None:
        """Nothing is printed."""


@pytest.fixture
def web(tmp_path: Path) -> Iterator[tuple[str, ssl.SSLContext]]:
    authority = Authority(tmp_path)
    certificate, key = authority.sign("web")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    Web.seen.clear()
    Web.ended.clear()
    with ThreadingHTTPServer(("127.0.0.1", 0), Web) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"https://localhost:{server.server_address[1]}/ml/", authority.trusted()
        finally:
            Web.ended.set()
            server.shutdown()
            thread.join()


def test_a_file_of_a_web_server_comes_whole(web: tuple[str, ssl.SSLContext], tmp_path: Path) -> None:
    """Its name is encoded as an address wants it."""
    url, tls = web
    assert fetch(place(url, "x y.parquet"), tmp_path / "copy", tls=tls).digest == digest_of(CONTENT)


@pytest.mark.parametrize("path", ["drip-headers", "drip-body"])
def test_a_source_that_sends_a_byte_now_and_then_is_given_up_in_time(
    web: tuple[str, ssl.SSLContext], tmp_path: Path, path: str
) -> None:
    """Each byte starts the timeouts of a connection anew; the time that a file may take holds all the same."""
    url, tls = web
    begun = time.monotonic()
    with pytest.raises(DataRefused, match=r"was not there after 0\.5 s"):
        fetch(place(url, path), tmp_path / "copy", tls=tls, within_s=0.5)
    assert time.monotonic() - begun < 5


def test_no_redirect_is_followed(web: tuple[str, ssl.SSLContext], tmp_path: Path) -> None:
    """The server sends the factory elsewhere on the same machine: nobody goes there."""
    url, tls = web
    with pytest.raises(DataRefused, match="redirect"):
        fetch(place(url, "moved"), tmp_path / "copy", tls=tls)
    assert Web.seen == ["/ml/moved"]


def test_what_a_web_server_does_not_have_is_told(web: tuple[str, ssl.SSLContext], tmp_path: Path) -> None:
    """Not found is the author's, a broken or unknown server the operator's."""
    url, tls = web
    with pytest.raises(DataNotFound):
        fetch(place(url, "missing"), tmp_path / "copy", tls=tls)
    with pytest.raises(SourceUnreachable, match="500"):
        fetch(place(url, "broken"), tmp_path / "copy", tls=tls)
    with pytest.raises(SourceUnreachable):  # not trusted
        fetch(place(url, "x y.parquet"), tmp_path / "copy")


def test_a_file_of_s3_comes_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Credentials are the executor's own, from its environment."""
    with running_s3() as url:
        for name, value in {
            "AWS_ENDPOINT_URL": url, "AWS_ACCESS_KEY_ID": "k", "AWS_SECRET_ACCESS_KEY": "s", "AWS_DEFAULT_REGION": "us-east-1",
        }.items():  # fmt: skip
            monkeypatch.setenv(name, value)
        client = import_module("boto3").client("s3")  # it comes with moto, and has no types
        client.create_bucket(Bucket="data")
        client.put_object(Bucket="data", Key="ml/x.parquet", Body=CONTENT)
        assert fetch(place("s3://data/ml", "x.parquet"), tmp_path / "copy").digest == digest_of(CONTENT)
        with pytest.raises(DataNotFound):
            fetch(place("s3://data/ml", "missing"), tmp_path / "copy")
        client.close()
