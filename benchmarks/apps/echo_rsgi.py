"""The ceiling on granian's own interface, RSGI: sends back what came."""

from typing import Any


async def app(scope: Any, proto: Any) -> None:
    """One request."""
    if scope.proto != "http":
        return
    body: bytes = await proto()
    headers = [("content-type", "application/json"), ("content-length", str(len(body)))]
    proto.response_bytes(200, headers, body)
