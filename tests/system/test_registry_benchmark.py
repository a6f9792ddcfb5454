"""The benchmark of a large registry, with a small one: everything that it asks is answered, and the chain that it makes is valid."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from real_postgresql import running_postgresql

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.timeout(300)
@pytest.mark.parametrize("kind", ["sqlite", "postgresql"])
def test_every_question_is_answered(tmp_path: Path, kind: str) -> None:
    """Filled past the services, a factory starts, lists, shows, searches and verifies as any other."""
    if kind == "sqlite":
        figures = measured(tmp_path)
    else:
        with running_postgresql() as url:
            figures = measured(tmp_path, "--database", url)
    assert figures["database"] == kind
    assert figures["audit_events"] > 1500
    assert len(figures["muster"]) > 30
    assert all(0 < found["p50_ms"] <= found["p95_ms"] for found in figures["muster"].values())


def measured(folder: Path, *arguments: str) -> dict[str, Any]:
    """The figures of a small run."""
    target = folder / "figures.json"
    sizes = ("--versions", "400", "--models", "25", "--endpoints", "12", "--events", "1500", "--asks", "3")
    command = [
        sys.executable,
        "benchmarks/registry.py",
        *sizes,
        "--verify",
        "--folder",
        str(folder),
        "--json",
        str(target),
        *arguments,
    ]
    done = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, env=dict(os.environ), check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "| search: phrase |" in done.stdout
    figures: dict[str, Any] = json.loads(target.read_text())
    return figures
