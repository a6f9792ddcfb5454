"""The threat model names tests that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/threat-model.md").read_text()
ROWS = [line for line in PAGE.splitlines() if line.startswith("| ") and "`tests/" in line]


def test_every_defence_names_a_test_that_is_there() -> None:
    """Each name stands in the file before it, and every row has one."""
    assert len(ROWS) > 12
    for row in ROWS:
        names = 0
        for file, told in re.findall(r"`(tests/[\w/]+\.py)`: ((?:`test_\w+`(?:, )?)+)", row):
            source = (ROOT / file).read_text()
            for name in re.findall(r"`(test_\w+)`", told):
                assert f"def {name}(" in source, (file, name)
                names += 1
        assert names == len(re.findall(r"`test_\w+`", row)) > 0, row
