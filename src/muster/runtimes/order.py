"""The load order: what a host is told to load a model, made from `muster.toml`."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from muster.runtimes.errors import OrderBroken
from muster.wire.contracts import Contract


class LoadOrder(msgspec.Struct, frozen=True, kw_only=True):
    """What a host needs in order to load one bundle."""

    bundle: str
    """The bundle's folder, absolute."""
    runtime: dict[str, Any]
    """`[runtime]` of muster.toml as it is."""
    contract: Contract
    threads: int = 1
    """Threads of linear algebra in the host."""
    program: dict[str, Any] | None = None
    """How a model that is a program of its own is started: `argv`, `variables`, `environment`, `wire`."""
    remote: dict[str, Any] | None = None
    """Where the model of another server is: `url`, `token`, `ca`, `timeout_ms`; never to be shown."""

    def __repr__(self) -> str:
        """Without what opens the door of another server."""
        return f"LoadOrder(bundle={self.bundle!r}, kind={self.runtime.get('kind')!r}, threads={self.threads})"

    def document(self) -> dict[str, Any]:
        """The order as the JSON object of a LOAD frame."""
        document = {
            "bundle": self.bundle,
            "runtime": self.runtime,
            "contract": msgspec.to_builtins(self.contract),
            "threads": self.threads,
        }
        if self.program is not None:
            document["program"] = self.program
        if self.remote is not None:
            document["remote"] = self.remote
        return document


def order_of(document: "LoadOrder | Mapping[str, Any]") -> LoadOrder:
    """The order of a document, as `muster.packaging` makes it from a bundle.

    Raises:
        OrderBroken: something is missing or of the wrong type.
    """
    if isinstance(document, LoadOrder):
        return document
    try:
        order = msgspec.convert(dict(document), LoadOrder, strict=False)
    except msgspec.ValidationError as error:
        raise OrderBroken(f"the load order cannot be followed: {error}") from error
    if not Path(order.bundle).is_absolute():
        raise OrderBroken(f"the load order names the bundle {order.bundle!r}, which is not an absolute path")
    return order
