"""The generated reference pages say what the code says."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
TOOLS = sorted((ROOT / "tools").glob("*_reference.py"))


def tool(path: Path) -> ModuleType:
    """A tool as a module."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.parametrize("path", TOOLS, ids=lambda path: path.stem)
def test_a_page_is_what_its_tool_writes(path: Path) -> None:
    """Whoever changes a command, a route, a document or an error runs `make docs`."""
    made = tool(path)
    assert made.PAGE.read_text(encoding="utf-8") == made.text(), f"run `make docs`: {made.PAGE.name} is out of date"


def test_every_command_says_what_its_json_is() -> None:
    """The reference names the document of every command, and of no other."""
    made = tool(ROOT / "tools" / "cli_reference.py")
    assert made.leaf_names() == set(made.DOCUMENTS)
