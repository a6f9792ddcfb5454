"""Prometheus' own checker of metrics and rules; without it the run fails, it never skips."""

import shutil
import subprocess
import sys
from pathlib import Path


def promtool(*arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    """Run promtool from the PATH, or from the folder into which `make test-deps` puts it."""
    beside_python = str(Path(sys.executable).parent)
    program = shutil.which("promtool") or shutil.which("promtool", path=beside_python)
    assert program is not None, "promtool is missing: `make test-deps` fetches it, or install Prometheus"
    return subprocess.run([program, *arguments], input=given, capture_output=True, check=False, timeout=120)
