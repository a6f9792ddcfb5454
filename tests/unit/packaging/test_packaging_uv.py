"""uv as it is run: a uv that hangs is ended, and said to be."""

from pathlib import Path

import pytest

from muster.packaging import uv


@pytest.mark.parametrize("progress", [None, lambda _line: None], ids=["at the end", "line by line"])
def test_a_uv_that_does_not_end_is_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, progress: uv.Progress | None
) -> None:
    """Whether its lines are told as they come or not; what it had said is kept, and the status is none of success."""
    hanging = tmp_path / "uv"
    hanging.write_text("#!/bin/sh\necho 'Resolving' >&2\nexec sleep 600\n")
    hanging.chmod(0o755)
    monkeypatch.setattr(uv, "find_uv_bin", lambda: str(hanging))
    monkeypatch.setattr(uv, "_DEADLINE_S", 0.5)
    said = uv.run_uv("pip", "compile", progress=progress)
    assert said.returncode != 0
    assert said.stderr.startswith("Resolving\n")
    assert "had not ended after 0.5 s" in said.stderr
