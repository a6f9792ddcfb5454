"""The host program on every Python that is at hand, and on none of Muster's packages."""

import ast
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
from hosts_by_hand import BundleMaker, Hosts, floats, fp64

import muster_host

pytest_plugins = ["hosts_by_hand"]

_OLDEST = (3, 8)
_SOURCES = sorted(Path(muster_host.__file__).parent.glob("*.py"))


def _interpreters() -> list[Path]:
    """Every CPython from 3.8 on that is found by name or under pyenv, one of each minor version."""
    named = [Path(found) for minor in range(8, 20) if (found := shutil.which(f"python3.{minor}"))]
    kept = sorted(Path.home().glob(".pyenv/versions/3.*/bin/python"))
    by_version: dict[str, Path] = {}
    for python in [*named, *kept]:
        asked = subprocess.run(
            [str(python), "-I", "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        version = asked.stdout.strip()
        if version and tuple(map(int, version.split("."))) >= _OLDEST:
            by_version.setdefault(version, python)
    return [by_version[version] for version in sorted(by_version, key=lambda text: int(text.split(".")[1]))]


@pytest.mark.parametrize("source", _SOURCES, ids=lambda path: path.name)
def test_every_file_of_the_host_is_python_3_8(source: Path) -> None:
    """No syntax that Python 3.8 lacks, and no import beyond the standard library at the top of a module."""
    tree = ast.parse(source.read_text(), feature_version=_OLDEST)
    if source.name in {"pandas_inputs.py", "onnx_model.py", "mlflow_model.py", "twin_maker.py"}:
        return  # imported only in environments whose lock holds what they need
    tops = {
        name.partition(".")[0]
        for node in tree.body
        if isinstance(node, ast.Import | ast.ImportFrom)
        for name in ([node.module or ""] if isinstance(node, ast.ImportFrom) else [alias.name for alias in node.names])
    }
    assert not tops & {"numpy", "pandas", "polars", "pyarrow", "muster", "cloudpickle", "skops"}


@pytest.mark.parametrize("python", _interpreters(), ids=str)
def test_the_host_runs_on_every_python_at_hand(python: Path, make_bundle: BundleMaker, hosts: Hosts) -> None:
    """Load, fork, answer, fail one request, stop: with the standard library of that Python alone."""
    source = """
    import sys
    class Model:
        def predict(self, columns):
            if any(x < 0 for x in columns["x"]):
                raise ValueError("negative")
            assert "muster" not in sys.modules and "numpy" not in sys.modules
            return {"y": [x + 1 for x in columns["x"]], "s": [None if x > 5 else str(x) for x in columns["x"]]}
    """
    outputs: list[dict[str, Any]] = [
        {"name": "y", "datatype": "FP64"},
        {"name": "s", "datatype": "BYTES", "nullable": True},
    ]
    parent = hosts.parent(python=python)
    assert parent.load("k", make_bundle(source, outputs=outputs)).fork_unsafe is None
    _, pid, path = hosts.fork(parent, "k")
    channel = hosts.channel(path)
    answer = channel.predict([2, 1, 1], [fp64(1, 2, -3, 9)])
    assert answer.statuses == b"\0\1\0"
    assert floats(answer.columns[0]) == [2, 3, 10]
    assert bytes(answer.columns[1][1] or b"") == b"\0\0\1"
    assert channel.hello.pid == pid
    assert channel.stop().requests == 3
