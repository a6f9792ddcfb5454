"""The tutorial `docs/how-to/first-model-in-production.md`, done: every file is written and every command typed, in order."""

import re
from pathlib import Path

import pytest
from typed_pages import done, environment_of_a_user

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "first-model-in-production.md"


@pytest.mark.timeout(600)
def test_every_step_of_the_tutorial_works(tmp_path: Path) -> None:
    """Every command of the page exits 0, or with the code that the page says, and the last ones say what they should."""
    said = done(PAGE, tmp_path / "work", environment_of_a_user(tmp_path))
    answered = next(text for command, text in said.items() if "ask.py" in command)
    assert len(re.findall(r"^[01]\.\d{4}  tumour:1  champion$", answered, re.MULTILINE)) == 5
    replayed = next(text for command, text in said.items() if "muster replay" in command)
    assert "identical, bit for bit" in replayed
    assert '"reason":"champion"' in next(text for command, text in said.items() if command.startswith("curl"))
