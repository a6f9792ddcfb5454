"""A model on another server that speaks Open Inference Protocol V2, behind the face of a model of our own.

Where that server is says the operator, not the bundle. A batch is one HTTP request over a connection that is kept; it has
a deadline as a whole, from the first byte sent to the last one read. Tensors go in binary where that server says that it
takes the binary extension, otherwise as JSON by the rules of `lines`.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import signal
import ssl
import threading
import time
from typing import Any, Dict, Iterator, List, Mapping, Sequence, Union
from urllib.parse import quote, urlsplit

from muster_host.fields import Field, TableBroken
from muster_host.frames import Views
from muster_host.kept_columns import kept_columns
from muster_host.lines import line_of, parse, values_of, written
from muster_host.outputs import Column, reader_of
from muster_host.promises import OutputBroken
from muster_host.raised import ModelRaised, ProgramFailed

#: How long a whole answer may take where the operator says nothing.
TIMEOUT_MS = 1000
#: A server that did not answer is left alone for so long, so that a batch does not wait for it once per request.
_PAUSE_S = 1.0
_LOAD_S = 10.0
_READ = 1 << 16
_BINARY = "binary_tensor_data"
_HEADER_LENGTH = "Inference-Header-Content-Length"
_LONGEST_TOLD = 500
_QUIET_NAN = {"FP16": b"\x00\x7e", "FP32": b"\x00\x00\xc0\x7f", "FP64": b"\x00\x00\x00\x00\x00\x00\xf8\x7f"}

#: A column as it came: raw bytes, or the values of a JSON tensor.
Came = Union[bytes, List[Any]]


class _Unreachable(Exception):
    """There was no whole answer."""


def load(order: Mapping[str, Any]) -> "RemoteModel":
    """The remote model of an order; nobody is called yet.

    Raises:
        ProgramFailed: the order lacks where it is.
    """
    remote = order.get("remote")
    name = order["runtime"].get("remote")
    if not isinstance(remote, dict) or not remote.get("url"):
        raise ProgramFailed("remotes.toml of this home has no entry %r with a url" % name)
    return RemoteModel(order, remote)


class RemoteModel:
    """Asks one model of one server.

    Args:
        order: the load order.
        remote: `url`, and perhaps `token`, `ca` (a file of certificates) and `timeout_ms`.

    Raises:
        ProgramFailed: that cannot be an address.
    """

    def __init__(self, order: Mapping[str, Any], remote: Mapping[str, Any]) -> None:
        runtime, contract = order["runtime"], order["contract"]
        self._called = str(runtime["remote"])
        self.inputs = [Field(field) for field in contract["inputs"]]
        self.outputs = [Field(field) for field in contract["outputs"]]
        self.about = {"language": "remote", "toolchain": ""}
        place = urlsplit(str(remote["url"]))
        if place.scheme not in ("http", "https") or not place.hostname or place.query or place.fragment:
            raise ProgramFailed("the url of the remote %r is no plain http or https address" % self._called)
        self._base = place.path.rstrip("/")
        version = str(runtime.get("version") or "")
        model = "/v2/models/" + quote(str(runtime["model"]), safe="")
        self._model = self._base + model + ("/versions/" + quote(version, safe="") if version else "")
        self._timeout_s = float(remote.get("timeout_ms", TIMEOUT_MS)) / 1000
        self._headers = {"Content-Type": "application/json", "Accept": "application/json"}
        if remote.get("token"):
            self._headers["Authorization"] = "Bearer %s" % remote["token"]
        self._connection = _connection(place.scheme, place.hostname, place.port, remote.get("ca"), self._called)
        self._takes_binary = False
        self._columns_wanted: Dict[str, bool] = {}
        self._answer_bytes = 1 << 28
        self._quiet_until = 0.0
        self._quiet_because = ""

    def enter(self, limits: Mapping[str, Any] | None = None) -> None:
        """Ask the server what it is and whether its model fits the contract.

        Raises:
            ProgramFailed: it does not answer, does not know the model, or that has other tensors.
        """
        self._answer_bytes = int((limits or {}).get("frame_bytes") or self._answer_bytes)
        try:
            with _deadline(_LOAD_S):
                server = self._get(self._base + "/v2")
                described = self._get(self._model)
        except _Unreachable as error:
            raise ProgramFailed("the remote %r: %s" % (self._called, error)) from error
        self._takes_binary = _BINARY in (server.get("extensions") or ())
        self.about["toolchain"] = " ".join(str(server.get(key) or "") for key in ("name", "version")).strip()[:80]
        self._check_tensors("inputs", described.get("inputs"), self.inputs)
        self._check_tensors("outputs", described.get("outputs"), self.outputs)

    def build(self, rows: int, columns: Sequence[Views]) -> tuple[int, Sequence[Views]]:
        """The table as it came, once it is what the contract says; raises `TableBroken` otherwise."""
        if len(columns) != len(self.inputs):
            raise TableBroken("the table has %d columns; the contract has %d inputs" % (len(columns), len(self.inputs)))
        for field, (data, nulls) in zip(self.inputs, columns):
            field.check(rows, data, nulls)
            if not field.item_bytes:
                field.texts(data, rows * field.elements)
        return rows, columns

    def predict(self, data: tuple[int, Sequence[Views]]) -> list[Came]:
        """What the server answers, per output.

        Raises:
            ModelRaised: it says that it failed, or does not answer in time.
            OutputBroken: what it says cannot be read.
        """
        rows, columns = data
        if rows == 0:
            return [b"" for _ in self.outputs]
        if time.monotonic() < self._quiet_until:
            raise ModelRaised("the remote %r was just now out of reach: %s" % (self._called, self._quiet_because))
        body, headers = self._question(rows, columns)
        try:
            with _deadline(self._timeout_s):
                status, said, content = self._ask("POST", self._model + "/infer", body, headers)
        except _Unreachable as error:
            self._quiet_until, self._quiet_because = time.monotonic() + _PAUSE_S, str(error)
            raise ModelRaised("the remote %r: %s" % (self._called, error)) from error
        if status != 200:
            raise ModelRaised("the remote %r answered %d: %s" % (self._called, status, _told(content)))
        return self._answered(rows, said.get(_HEADER_LENGTH), content)

    def read(self, result: list[Came], rows: int) -> list[Column]:
        """The columns of the contract's outputs; raises `OutputBroken` where they are not that."""
        found: List[Column] = []
        for field, came in zip(self.outputs, result):
            if isinstance(came, bytes):
                found += kept_columns([field], rows, (rows, [(memoryview(came), None)]))
            else:
                found += reader_of([field])({field.name: came}, rows)
        return found

    # The question.

    def _question(self, rows: int, columns: Sequence[Views]) -> tuple[bytes, dict[str, str]]:
        tensors: List[Dict[str, Any]] = []
        raw: List[Any] = []
        for field, (data, nulls) in zip(self.inputs, columns):
            shape = [rows, *field.shape]
            if self._columns_wanted.get(field.name) and not field.shape:
                shape.append(1)
            tensor: Dict[str, Any] = {"name": field.name, "datatype": field.datatype, "shape": shape}
            binary = _binary_of(field, rows, data, nulls) if self._takes_binary else None
            if binary is None:
                tensor["data"] = written(field, rows, data, nulls)
            else:
                tensor["parameters"] = {"binary_data_size": len(binary)}
                raw.append(binary)
            tensors.append(tensor)
        asked: Dict[str, Any] = {"inputs": tensors, "outputs": [{"name": field.name} for field in self.outputs]}
        headers = dict(self._headers)
        if self._takes_binary:
            asked["parameters"] = {"binary_data_output": True}
        head = line_of(asked)[:-1]
        if raw:
            headers[_HEADER_LENGTH] = str(len(head))
            headers["Content-Type"] = "application/octet-stream"
        return b"".join([head, *raw]), headers

    # The answer.

    def _answered(self, rows: int, header_length: str | None, content: bytes) -> list[Came]:
        try:
            length = len(content) if header_length is None else int(header_length)
            document = parse(content[:length])
            tensors = {str(tensor["name"]): tensor for tensor in document["outputs"]}
            parts = _binary_parts(document["outputs"], content[length:])
        except (ValueError, KeyError, TypeError) as error:
            raise OutputBroken("the answer of the remote %r cannot be read: %r" % (self._called, error)) from error
        found: List[Came] = []
        for field in self.outputs:
            tensor = tensors.get(field.name)
            if tensor is None:
                raise OutputBroken("the remote %r answered without the output %r" % (self._called, field.name))
            _check_tensor(field, rows, tensor)
            if field.name in parts:
                found.append(parts[field.name])
            else:
                found.append(values_of(field, {"data": _flat(tensor.get("data"))}, rows))
        return found

    def _check_tensors(self, what: str, described: Any, fields: Sequence[Field]) -> None:
        """Hold the server's metadata against the contract; servers that tell nothing are taken at the golden answers."""
        if not isinstance(described, list) or not described:
            return
        known = {str(tensor.get("name")): tensor for tensor in described if isinstance(tensor, dict)}
        for field in fields:
            tensor = known.get(field.name)
            if tensor is None:
                names = ", ".join(sorted(known)) or "none"
                raise ProgramFailed(
                    "the remote %r has no %s %r; it has %s" % (self._called, what[:-1], field.name, names)
                )
            datatype, shape = tensor.get("datatype"), tensor.get("shape")
            if datatype not in (None, field.datatype):
                raise ProgramFailed(
                    "the remote %r takes %r as %.20s; the contract says %s"
                    % (self._called, field.name, datatype, field.datatype)
                )
            if isinstance(shape, list) and len(shape) == 2 and shape[1] == 1 and what == "inputs":
                self._columns_wanted[field.name] = True

    # HTTP.

    def _get(self, path: str) -> dict[str, Any]:
        status, _, content = self._ask("GET", path, None, self._headers)
        if status != 200:
            raise _Unreachable("GET %s answers %d: %s" % (path, status, _told(content)))
        try:
            return dict(json.loads(content))
        except (ValueError, TypeError) as error:
            raise _Unreachable("GET %s answers what is no JSON object" % path) from error

    def _ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> tuple[int, Any, bytes]:
        """(status, headers, content) of one request; a kept connection that turns out to be closed is made anew once."""
        was_open = self._connection.sock is not None
        try:
            try:
                return self._ask_once(method, path, body, headers)
            except (http.client.RemoteDisconnected, BrokenPipeError, ConnectionResetError):
                self._connection.close()
                if not was_open:
                    raise
                return self._ask_once(method, path, body, headers)
        except (OSError, http.client.HTTPException) as error:
            self._connection.close()
            said = str(error) or type(error).__name__
            raise _Unreachable(said) from error
        except BaseException:
            self._connection.close()
            raise

    def _ask_once(
        self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, Any, bytes]:
        self._connection.request(method, path, body, dict(headers))
        answer = self._connection.getresponse()
        parts: List[bytes] = []
        size = 0
        while part := answer.read(_READ):
            parts.append(part)
            size += len(part)
            if size > self._answer_bytes:
                raise http.client.HTTPException("the answer is above %d bytes" % self._answer_bytes)
        return answer.status, answer.headers, b"".join(parts)


def _connection(scheme: str, host: str, port: int | None, ca: Any, called: str) -> http.client.HTTPConnection:
    if scheme == "http":
        return http.client.HTTPConnection(host, port, timeout=_LOAD_S)
    try:
        context = ssl.create_default_context(cafile=str(ca) if ca else None)
    except (OSError, ssl.SSLError) as error:
        raise ProgramFailed("the certificates %s of the remote %r cannot be read: %s" % (ca, called, error)) from error
    return http.client.HTTPSConnection(host, port, timeout=_LOAD_S, context=context)


@contextlib.contextmanager
def _deadline(seconds: float) -> Iterator[None]:
    """A limit on everything inside, however little by little it comes; only the main thread can have one.

    Raises:
        _Unreachable: the time is up.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def ring(*_: Any) -> None:
        raise TimeoutError("no answer within %g s" % seconds)

    before = signal.signal(signal.SIGALRM, ring)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    except TimeoutError as error:
        raise _Unreachable(str(error)) from error
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _binary_of(field: Field, rows: int, data: memoryview, nulls: memoryview | None) -> Any:
    """The column as binary tensor data; None where that cannot say it: only a null of a float is NaN there."""
    if nulls is None or not any(nulls):
        return data
    if not field.is_float:
        return None
    nan = _QUIET_NAN[field.datatype] * field.elements
    marked = bytearray(data)
    for row in range(rows):
        if nulls[row]:
            marked[row * field.row_bytes : (row + 1) * field.row_bytes] = nan
    return marked


def _binary_parts(tensors: Sequence[Mapping[str, Any]], content: bytes) -> dict[str, bytes]:
    """The bytes of every output that came in binary, by name; raises ValueError where there are too few."""
    found: Dict[str, bytes] = {}
    at = 0
    for tensor in tensors:
        size = (tensor.get("parameters") or {}).get("binary_data_size")
        if size is None:
            continue
        if not isinstance(size, int) or size < 0 or at + size > len(content):
            raise ValueError("the binary data of %.80r are cut off" % tensor.get("name"))
        found[str(tensor["name"])] = content[at : at + size]
        at += size
    return found


def _check_tensor(field: Field, rows: int, tensor: Mapping[str, Any]) -> None:
    """Whether an answered tensor is the output; `[rows, 1]` is a scalar, too."""
    datatype, shape = tensor.get("datatype"), tensor.get("shape")
    if datatype != field.datatype:
        raise OutputBroken("output %r is %.20s; its contract says %s" % (field.name, datatype, field.datatype))
    wanted = [rows, *field.shape]
    if shape != wanted and not (not field.shape and shape == [rows, 1]):
        raise OutputBroken("output %r has the shape %.80s; it should be %s" % (field.name, shape, wanted))


def _flat(data: Any) -> Any:
    """Elements of nested lists, row after row: some servers nest."""
    while isinstance(data, list) and data and isinstance(data[0], list):
        data = [element for inner in data for element in (inner if isinstance(inner, list) else [inner])]
    return data


def _told(content: bytes) -> str:
    """What a server says is wrong."""
    text = content[: 4 * _LONGEST_TOLD].decode("utf-8", "replace")
    with contextlib.suppress(ValueError, TypeError, AttributeError):
        document = json.loads(content)
        text = str(document.get("error") or document.get("detail") or document.get("title") or text)
    return " ".join(text.split())[:_LONGEST_TOLD] or "nothing more"
