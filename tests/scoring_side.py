"""The scoring side as far as a client sees it: a real HTTP server that answers in the records form."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

REQUEST_ID = "01935d3c-8a40-8000-8000-00000000002a"
METADATA = {
    "name": "sum",
    "versions": ["1"],
    "platform": "muster",
    "inputs": [
        {"name": "x", "datatype": "FP64", "shape": [-1], "parameters": {"nullable": True}},
        {"name": "code", "datatype": "BYTES", "shape": [-1]},
    ],
    "outputs": [{"name": "score", "datatype": "FP64", "shape": [-1]}],
}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        known = self.path == "/v2/models/sum"
        self._reply(200 if known else 404, METADATA if known else {"error": f"no endpoint at {self.path}"})

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append((dict(self.headers), body))  # type: ignore[attr-defined]
        if self.path != "/score/sum":
            return self._reply(404, {"error": f"no endpoint at {self.path}"})
        if self.headers["authorization"] != "Bearer mst_shop":
            return self._reply(401, {"error": "the token is unknown or revoked"})
        for position, row in enumerate(body["rows"]):
            if not isinstance(row["x"], int | float):
                told = f"field 'x', row {position}: expected a number (FP64), got {json.dumps(row['x'])}"
                return self._reply(400, {"error": told})
        why = {"variant": "adds:1", "role": "champion", "reason": "champion"}
        answers = [{"score": row["x"] + 1} | why for row in body["rows"]]
        return self._reply(200, {"request_id": REQUEST_ID, "release": 3, "answers": answers})

    def _reply(self, status: int, document: Any) -> None:
        body = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


@contextmanager
def running_scoring_side() -> Iterator[tuple[str, list[tuple[dict[str, str], Any]]]]:
    """Its address, and every request that it has had."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.requests = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}", server.requests  # type: ignore[attr-defined]
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
