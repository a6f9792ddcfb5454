"""Tiny bundles made by hand, and real hosts that run them in this interpreter's own environment.

A plugin of the tests beside it, `pytest_plugins = ["hosts_by_hand"]`, that is also imported by name, hence
PYTEST_DONT_REWRITE.
"""

import struct
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import pytest

from muster.runtimes.channel import Channel
from muster.runtimes.order import LoadOrder, order_of
from muster.runtimes.parent import HostExit, Limits, Parent
from muster_host import frames


@dataclass(frozen=True)
class Environment:
    """This interpreter, as an environment."""

    id: str = "sha256:" + "0" * 64
    python: Path = Path(sys.executable)


def fp64(*values: float) -> frames.Parts:
    """A column of FP64 without nulls."""
    return struct.pack(f"<{len(values)}d", *values), None


def floats(column: frames.Views) -> list[float]:
    """The values of a column of FP64."""
    return list(struct.unpack(f"<{len(column[0]) // 8}d", column[0]))


def until(holds: Callable[[], Any], what: str, timeout_s: float = 20.0) -> Any:
    """The first true result of `holds`; fails when there is none in time."""
    end = time.monotonic() + timeout_s
    while not (found := holds()):
        assert time.monotonic() < end, f"not within {timeout_s} s: {what}"
        time.sleep(0.005)
    return found


class BundleMaker(Protocol):
    def __call__(
        self,
        source: str,
        *,
        inputs: Sequence[dict[str, Any]] = ...,
        outputs: Sequence[dict[str, Any]] = ...,
        **runtime: Any,
    ) -> LoadOrder: ...


ONE_IN = ({"name": "x", "datatype": "FP64"},)
ONE_OUT = ({"name": "y", "datatype": "FP64"},)
ADDS_ONE = """
    class Model:
        def predict(self, columns):
            return [x + 1 for x in columns["x"]]
"""


@pytest.fixture
def make_bundle(tmp_path: Path) -> BundleMaker:
    """Writes a bundle whose model is the class `Model` of the given source, and gives its load order."""
    made = 0

    def make(
        source: str,
        *,
        inputs: Sequence[dict[str, Any]] = ONE_IN,
        outputs: Sequence[dict[str, Any]] = ONE_OUT,
        module: str = "authors_code",
        **runtime: Any,
    ) -> LoadOrder:
        nonlocal made
        made += 1
        folder = tmp_path / f"bundle-{made}"
        (folder / "src").mkdir(parents=True)
        (folder / "model").mkdir()
        (folder / "src" / f"{module}.py").write_text(textwrap.dedent(source))
        # The pickle of an instance that has no state, written so that even Python 3.8 without cloudpickle reads it.
        (folder / "model" / "model.cloudpickle").write_bytes(f"c{module}\nModel\n(tR.".encode())
        return order_of(
            {
                "bundle": str(folder),
                "runtime": {
                    "kind": "python", "serializer": "cloudpickle", "model": "model/model.cloudpickle", "trusted": [],
                    "method": "predict", "class_index": None, "input": "lists", "dtypes": {}, "categories": {},
                    "missing": {}, "code": ["src"], **runtime,
                },
                "contract": {"inputs": list(inputs), "outputs": list(outputs)},
            }
        )  # fmt: skip

    return make


class Hosts:
    """Parents and hosts of one test, ended with it."""

    def __init__(self, folder: Path, log: Path) -> None:
        self.folder = folder
        self.log = log
        self.exits: list[HostExit] = []
        self._stack = ExitStack()
        self._count = 0

    def parent(self, **options: Any) -> Parent:
        """A parent process in this interpreter's environment."""
        python = options.pop("python", Path(sys.executable))
        on_exit = options.pop("on_exit", self.exits.append)
        return self._stack.enter_context(Parent(python, "sha256:" + "0" * 64, self.log, on_exit, **options))

    def fork(self, parent: Parent, key: str, limits: Limits | None = None) -> tuple[str, int, Path]:
        """(host id, pid, socket) of a new host."""
        self._count += 1
        host = f"host-{self._count}"
        path = self.folder / f"{self._count}.sock"
        return host, parent.fork(key, host, path, limits=limits), path

    def channel(self, path: Path, timeout_s: float = 20.0) -> Channel:
        """A connection to a host."""
        return self._stack.enter_context(Channel(path, timeout_s))

    def host(self, order: LoadOrder, limits: Limits | None = None, **options: Any) -> Channel:
        """A connection to a fresh host of a bundle."""
        parent = self.parent(**options)
        parent.load("k", order)
        return self.channel(self.fork(parent, "k", limits)[2])

    def close(self) -> None:
        """End everything."""
        self._stack.close()


@pytest.fixture
def hosts(tmp_path: Path) -> Iterator[Hosts]:
    """Starts parents and hosts, and ends them with the test."""
    with tempfile.TemporaryDirectory(prefix="mt-", dir="/tmp") as folder:
        Path(folder).chmod(0o700)
        made = Hosts(Path(folder), tmp_path / "host.log")
        try:
            yield made
        finally:
            made.close()
