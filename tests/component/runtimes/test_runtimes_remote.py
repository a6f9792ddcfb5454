"""A model of another server behind our own host: V2 over real sockets, JSON and binary, and every way not to answer."""

import json
import math
import ssl
import struct
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hosts_by_hand import Hosts, floats, fp64, until

from certificates import Authority
from muster.runtimes.channel import Channel
from muster.runtimes.errors import HostLoadFailed
from muster.runtimes.order import LoadOrder, order_of
from muster.runtimes.parent import Limits
from muster_host import frames
from muster_host.fields import text_bytes
from muster_host.server import LOAD_FAILED

pytest_plugins = ["hosts_by_hand"]

INPUTS = (
    {"name": "x", "datatype": "FP64", "nullable": True},
    {"name": "n", "datatype": "INT64", "nullable": True},
    {"name": "t", "datatype": "BYTES"},
)
OUTPUTS = tuple({**field, "name": "y_" + str(field["name"])} for field in INPUTS)


def described(fields: tuple[dict[str, Any], ...], *shape: int) -> list[dict[str, Any]]:
    """Fields as V2 metadata have them."""
    return [{"name": field["name"], "datatype": field["datatype"], "shape": list(shape or (-1,))} for field in fields]


class Server:
    """Another server: it answers each output `y_…` with the input, or as `answer` says."""

    def __init__(self) -> None:
        self.extensions: list[str] = []
        self.metadata: dict[str, Any] = {"name": "churn", "inputs": described(INPUTS), "outputs": described(OUTPUTS)}
        self.asked: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.connections = 0
        self.answer: Callable[[dict[str, Any]], tuple[int, bytes, dict[str, str]]] = self.echo
        self.drip_s = 0.0
        self.closes = False
        self.url = ""

    def echo(self, asked: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
        """The inputs as outputs, each in the form in which it came."""
        outputs, raw = [], []
        for tensor in asked["inputs"]:
            said = {key: tensor[key] for key in ("datatype", "shape")}
            if "raw" in tensor:
                raw.append(tensor["raw"])
                said["parameters"] = {"binary_data_size": len(tensor["raw"])}
            else:
                said["data"] = tensor["data"]
            outputs.append({"name": "y_" + tensor["name"], **said})
        head = json.dumps({"model_name": "churn", "outputs": outputs}).encode()
        return 200, head + b"".join(raw), {"Inference-Header-Content-Length": str(len(head))} if raw else {}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_of: ClassVar[dict[int, Server]] = {}

    @property
    def theirs(self) -> Server:
        return self.server_of[id(self.server)]

    def setup(self) -> None:
        super().setup()
        self.theirs.connections += 1

    def log_message(self, *_: object) -> None:
        """Nothing."""

    def do_GET(self) -> None:
        """Metadata."""
        found = {
            "/v2": {"name": "mlserver", "version": "1.6", "extensions": self.theirs.extensions},
            "/v2/models/churn": self.theirs.metadata,
            "/v2/models/churn/versions/2": self.theirs.metadata,
        }.get(self.path)
        self.reply(404, b'{"error": "no such model"}') if found is None else self.reply(200, json.dumps(found).encode())

    def do_POST(self) -> None:
        """Inference."""
        content = self.rfile.read(int(self.headers["Content-Length"]))
        length = int(self.headers.get("Inference-Header-Content-Length") or len(content))
        asked, at = json.loads(content[:length]), length
        for tensor in asked["inputs"]:
            size = (tensor.get("parameters") or {}).get("binary_data_size")
            if size is not None:
                tensor["raw"] = content[at : at + size]
                at += size
        self.theirs.asked.append({"path": self.path, **asked})
        self.theirs.headers.append(dict(self.headers))
        self.reply(*self.theirs.answer(asked))

    def reply(self, status: int, content: bytes, headers: dict[str, str] | None = None) -> None:
        """Say it, perhaps very slowly."""
        self.send_response(status)
        self.send_header("Content-Length", str(len(content)))
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.end_headers()
        if self.theirs.drip_s:
            for at in range(len(content)):
                self.wfile.write(content[at : at + 1])
                self.wfile.flush()
                time.sleep(self.theirs.drip_s)
        else:
            self.wfile.write(content)
        self.close_connection = self.theirs.closes


@contextmanager
def listening(server: Server, tls: ssl.SSLContext | None = None) -> Iterator[Server]:
    """The server on a port of its own."""
    with ThreadingHTTPServer(("127.0.0.1", 0), _Handler) as listener:
        listener.daemon_threads = True
        if tls is not None:
            listener.socket = tls.wrap_socket(listener.socket, server_side=True)
        _Handler.server_of[id(listener)] = server
        server.url = f"{'http' if tls is None else 'https'}://127.0.0.1:{listener.server_port}"
        thread = threading.Thread(target=listener.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
        thread.start()
        try:
            yield server
        finally:
            listener.shutdown()
            thread.join()


@pytest.fixture
def server() -> Iterator[Server]:
    """Another V2 server."""
    with listening(Server()) as running:
        yield running


def order(folder: Path, url: str, version: str = "", **remote: Any) -> LoadOrder:
    """The order of a remote model."""
    return order_of(
        {
            "bundle": str(folder),
            "runtime": {"kind": "remote", "remote": "partner", "model": "churn", "version": version},
            "contract": {"inputs": list(INPUTS), "outputs": list(OUTPUTS)},
            "remote": {"url": url, **remote},
        }
    )


ROWS: list[frames.Parts] = [
    (struct.pack("<3d", 0.1, 0, -0.0), b"\0\1\0"),
    (struct.pack("<3q", 2**53 + 1, -5, 0), b"\0\0\1"),
    (text_bytes(["größer", "", "\U0001f600"]), None),
]


def came(channel: Channel) -> list[tuple[bytes, bytes]]:
    """ROWS there and back."""
    answer = channel.predict([1, 2], ROWS)
    assert not answer.errors
    return [(bytes(data), bytes(nulls or b"")) for data, nulls in answer.columns]


@pytest.mark.parametrize("extensions", [[], ["binary_tensor_data"]], ids=["json", "binary"])
def test_another_server_answers_as_if_it_were_our_own(
    hosts: Hosts, tmp_path: Path, server: Server, extensions: list[str]
) -> None:
    """Every bit goes there and back, nulls too; its host says who answers, and one connection serves all questions."""
    server.extensions = extensions
    channel = hosts.host(order(tmp_path, server.url))
    assert (channel.hello.language, channel.hello.toolchain) == ("remote", "mlserver 1.6")
    for _ in range(3):
        assert came(channel) == [(bytes(data), nulls or b"") for data, nulls in ROWS]
    assert server.connections == 1
    first, second, third = server.asked[0]["inputs"]
    assert server.asked[0]["path"] == "/v2/models/churn/infer"
    assert first["shape"] == [3]
    if extensions:
        assert math.isnan(struct.unpack("<3d", first["raw"])[1])
        assert third["raw"] == ROWS[2][0]
    else:
        assert first["data"] == [0.1, None, -0.0]
    assert second["data"] == ["9007199254740993", -5, None]


def test_token_and_version(hosts: Hosts, tmp_path: Path, server: Server) -> None:
    """The operator's token goes along, the bundle's version is asked for; the token is in no log."""
    channel = hosts.host(order(tmp_path, server.url + "/", version="2", token="very-secret"))
    came(channel)
    assert server.asked[0]["path"] == "/v2/models/churn/versions/2/infer"
    assert server.headers[0]["Authorization"] == "Bearer very-secret"
    server.answer = lambda _: (401, b'{"error": "who are you?"}', {})
    error = channel.predict([3], ROWS).errors[0]
    assert (error.code, error.message) == ("model-raised", "the remote 'partner' answered 401: who are you?")
    assert "very-secret" not in hosts.log.read_text()


def test_a_server_that_wants_columns(hosts: Hosts, tmp_path: Path, server: Server) -> None:
    """Where its metadata say [-1, 1], scalars go as that and come back as that."""
    server.metadata["inputs"] = described(INPUTS, -1, 1)
    channel = hosts.host(order(tmp_path, server.url))
    assert came(channel) == [(bytes(data), nulls or b"") for data, nulls in ROWS]
    assert server.asked[0]["inputs"][0]["shape"] == [3, 1]


def test_no_rows_ask_nobody(hosts: Hosts, tmp_path: Path, server: Server) -> None:
    """An empty batch is answered here."""
    channel = hosts.host(order(tmp_path, server.url))
    assert channel.predict([0], [(b"", None)] * 3).rows == 0
    assert not server.asked


def test_a_connection_that_was_closed_is_made_anew(hosts: Hosts, tmp_path: Path, server: Server) -> None:
    """A server may close what it keeps open no longer."""
    server.closes = True
    channel = hosts.host(order(tmp_path, server.url))
    for _ in range(3):
        came(channel)
    assert server.connections >= 3


@pytest.mark.parametrize(
    ("answer", "code", "said"),
    [
        ((500, b"boom", {}), "model-raised", "answered 500: boom"),
        ((302, b"", {"Location": "http://127.0.0.1:1/"}), "model-raised", "answered 302"),
        ((200, b"<html>", {}), "output-broken", "cannot be read"),
        ((200, b'{"outputs": []}', {}), "output-broken", "without the output 'y_x'"),
        ((200, b'{"outputs": [{"name": "y_x", "datatype": "FP32", "shape": [3], "data": [1,2,3]}]}', {}), "output-broken", "is FP32"),
        ((200, b'{"outputs": [{"name": "y_x", "datatype": "FP64", "shape": [2], "data": [1,2]}]}', {}), "output-broken", "the shape [2]"),
        (
            (200, b'{"outputs": [{"name": "y_x", "datatype": "FP64", "shape": [3], "parameters": {"binary_data_size": 24}}]}', {}),
            "output-broken", "are cut off",
        ),
    ],
)  # fmt: skip
def test_answers_that_are_none(
    hosts: Hosts, tmp_path: Path, server: Server, answer: tuple[int, bytes, dict[str, str]], code: str, said: str
) -> None:
    """An error or a strange answer is the request's error, and the next one is asked again."""
    channel = hosts.host(order(tmp_path, server.url))
    server.answer = lambda _: answer
    error = channel.predict([3], ROWS).errors[0]
    assert error.code == code
    assert said in error.message
    server.answer = server.echo
    came(channel)


def test_nested_data_are_understood(hosts: Hosts, tmp_path: Path, server: Server) -> None:
    """Some servers nest what the protocol has flat."""

    def nested(asked: dict[str, Any]) -> tuple[int, bytes, dict[str, str]]:
        status, content, headers = server.echo(asked)
        document = json.loads(content)
        for tensor in document["outputs"]:
            tensor["shape"], tensor["data"] = [3, 1], [[value] for value in tensor["data"]]
        return status, json.dumps(document).encode(), headers

    server.answer = nested
    assert came(hosts.host(order(tmp_path, server.url))) == [(bytes(data), nulls or b"") for data, nulls in ROWS]


def test_a_deadline_for_the_whole_answer(hosts: Hosts, tmp_path: Path, server: Server) -> None:
    """A server that says one byte after the other is given up in time, and then left alone for a moment."""
    channel = hosts.host(order(tmp_path, server.url, timeout_ms=300))
    came(channel)
    server.drip_s = 0.05
    begun = time.monotonic()
    answer = channel.predict([1, 1, 1], ROWS)
    took_s = time.monotonic() - begun
    assert answer.statuses == b"\1\1\1"
    assert "no answer within 0.3 s" in answer.errors[0].message
    assert "just now out of reach" in answer.errors[2].message
    assert took_s < 2
    server.drip_s = 0.0
    until(lambda: not channel.predict([3], ROWS).errors, "it is asked again", 5)


def test_an_answer_that_is_too_large(hosts: Hosts, tmp_path: Path, server: Server) -> None:
    """It is not read to its end."""
    channel = hosts.host(order(tmp_path, server.url), Limits(frame_bytes=1 << 16))
    server.answer = lambda _: (200, bytes(1 << 20), {})
    assert "above 65536 bytes" in channel.predict([3], ROWS).errors[0].message


def test_nobody_there(hosts: Hosts, tmp_path: Path) -> None:
    """A host of a server that does not answer does not come up, and says so."""
    with listening(Server()) as gone:
        pass
    parent = hosts.parent()
    parent.load("k", order(tmp_path, gone.url))
    with pytest.raises(HostLoadFailed, match="the remote 'partner'"):
        Channel(hosts.fork(parent, "k")[2], 20)
    assert until(lambda: hosts.exits, "the host ends")[0].status == LOAD_FAILED


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"inputs": described(INPUTS[:2])}, "has no input 't'; it has n, x"),
        (
            {"outputs": [{"name": "y_x", "datatype": "FP32", "shape": [-1]}]},
            "takes 'y_x' as FP32; the contract says FP64",
        ),
    ],
)
def test_another_model_than_the_contract_says(
    hosts: Hosts, tmp_path: Path, server: Server, change: dict[str, Any], said: str
) -> None:
    """What its metadata say is held against the contract before anybody is served."""
    server.metadata.update(change)
    parent = hosts.parent()
    parent.load("k", order(tmp_path, server.url))
    with pytest.raises(HostLoadFailed) as caught:
        Channel(hosts.fork(parent, "k")[2], 20)
    assert said in caught.value.message


def test_orders_that_lead_nowhere(hosts: Hosts, tmp_path: Path) -> None:
    """No entry, or one that is no address, is told when it is loaded."""
    parent = hosts.parent()
    missing = order(tmp_path, "http://127.0.0.1:1").document()
    del missing["remote"]
    with pytest.raises(HostLoadFailed, match="has no entry 'partner' with a url"):
        parent.load("k", missing)
    for url in ("file:///etc/passwd", "gopher://x", "http://"):
        with pytest.raises(HostLoadFailed, match="no plain http or https address"):
            parent.load("k", order(tmp_path, url))


def test_tls(hosts: Hosts, tmp_path: Path) -> None:
    """A certificate counts only if the authority that the operator names has signed it."""
    authority = Authority(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.sign("partner"))
    with listening(Server(), context) as server:
        channel = hosts.host(order(tmp_path, server.url, ca=str(authority.certificate)))
        assert floats(
            channel.predict([1], [fp64(2.5), (struct.pack("<q", 1), None), (text_bytes(["a"]), None)]).columns[0]
        ) == [2.5]
        parent = hosts.parent()
        parent.load("k", order(tmp_path, server.url))
        with pytest.raises(HostLoadFailed, match="CERTIFICATE_VERIFY_FAILED"):
            Channel(hosts.fork(parent, "k")[2], 20)
