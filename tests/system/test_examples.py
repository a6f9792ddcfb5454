"""Every example runs."""

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

EXAMPLES = sorted((Path(__file__).parents[2] / "examples").glob("*.py"))


@pytest.mark.parametrize("example", EXAMPLES, ids=lambda path: path.stem)
def test_the_example_runs(example: Path, tmp_path: Path) -> None:
    """The script ends without an error, from any folder, for a user who has no factory."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    # Sockets need a short path, which the folder of a test is not.
    own = {"TMPDIR": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path), "XDG_RUNTIME_DIR": tempfile.gettempdir()}
    ran = subprocess.run(
        [sys.executable, str(example)], cwd=tmp_path, env=kept | own, capture_output=True, text=True, check=False
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "FAILED" not in ran.stdout
