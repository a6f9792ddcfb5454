"""What the import contracts cannot say about the rooms, and the contracts themselves."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src"
ROOMS = sorted(path.parent for path in (SOURCE / "muster").glob("*/__init__.py"))
BANNED_NAMES = {"utils", "util", "helpers", "helper", "common", "misc"}


def modules(folder: Path) -> Iterator[tuple[str, Path]]:
    """Every module below a package folder, as dotted name and file."""
    for path in sorted(folder.rglob("*.py")):
        parts = list(path.relative_to(SOURCE).with_suffix("").parts)
        if parts[-1] == "__init__":
            parts.pop()
        yield ".".join(parts), path


def imported(path: Path) -> Iterator[tuple[str, ast.stmt]]:
    """What a file imports, as dotted names: of `from a import b` both `a` and `a.b`, since `b` may be a module."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module, node
            yield from ((f"{node.module}.{alias.name}", node) for alias in node.names)


def test_import_contracts_hold() -> None:
    """Every contract of the import linter in pyproject.toml is kept."""
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_a_store_is_used_by_its_own_room_alone() -> None:
    """Nobody but its own room, and bootstrap that joins the rooms, imports a store."""
    strangers = [
        f"{name} imports {target}"
        for name, path in modules(SOURCE / "muster")
        for target, _ in imported(path)
        if target.startswith("muster.") and target.split(".")[-1] == "store"
        if not name.startswith((target.removesuffix("store"), "muster.bootstrap"))
        and name != target.removesuffix(".store")
    ]
    assert strangers == []


@pytest.mark.parametrize("room", ROOMS, ids=lambda path: path.name)
def test_a_room_has_its_paragraph(room: Path) -> None:
    """The `__init__` of a room says what it is, in more than one line, and re-exports nothing."""
    tree = ast.parse((room / "__init__.py").read_text())
    paragraph = ast.get_docstring(tree) or ""
    assert len(paragraph.splitlines()) > 1, f"{room.name}/__init__.py says too little about the room"
    assert not [node for node in tree.body if isinstance(node, ast.Import | ast.ImportFrom)], "re-exports"


def test_modules_are_named_by_what_they_are() -> None:
    """No module has a name under which anything could stand."""
    found = [name for package in ("muster", "muster_host") for name, _ in modules(SOURCE / package)]
    assert [name for name in found if BANNED_NAMES & set(name.split("."))] == []


def top_imports(path: Path) -> set[str]:
    """What importing a file imports: whole names of the host's own modules, first names of everything else."""
    tree = ast.parse(path.read_text(), feature_version=(3, 8))
    found = set()
    for node in tree.body:
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {node.module or "", *(f"{node.module}.{alias.name}" for alias in node.names)}
    return {name if name.startswith("muster_host") else name.split(".")[0] for name in found}


def test_the_host_starts_with_the_standard_library_alone() -> None:
    """Every file of the host parses as Python 3.8, and what is loaded at its start imports nothing but the library and itself."""
    files = dict(modules(SOURCE / "muster_host"))
    imports = {name: top_imports(path) for name, path in files.items()}
    ahead, loaded = ["muster_host.__main__", "muster_host.program"], set[str]()
    while ahead:
        name = ahead.pop()
        loaded.add(name)
        ahead.extend((imports[name] & set(files)) - loaded)
    foreign = {name: sorted(imports[name] - sys.stdlib_module_names - {"__future__"}) for name in loaded}
    foreign = {name: [f for f in found if not f.startswith("muster_host")] for name, found in foreign.items()}
    assert {name: found for name, found in foreign.items() if found} == {}
    assert "muster_host.server" in loaded
