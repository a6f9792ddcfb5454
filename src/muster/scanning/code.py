"""Python files of a bundle: what code in them reaches beyond the model. Told and never refused: it runs confined, and people read it."""

import ast
from collections.abc import Iterator

from muster.scanning.found import Found

_MODULES = frozenset({
    "ctypes", "ftplib", "http", "httpx", "multiprocessing", "paramiko", "pty", "requests", "smtplib", "socket", "subprocess", "telnetlib",
    "urllib", "urllib3", "webbrowser",
})  # fmt: skip
_CALLS = frozenset({"eval", "exec", "__import__", "compile"})
_ATTRIBUTES = {
    "os": frozenset(
        {"system", "popen", "fork", "forkpty", "execl", "execv", "execve", "execvp", "posix_spawn", "spawnl", "spawnv"}
    ),
    "pickle": frozenset({"load", "loads", "Unpickler"}),
    "marshal": frozenset({"load", "loads"}),
    "joblib": frozenset({"load"}),
    "cloudpickle": frozenset({"load", "loads"}),
    "torch": frozenset({"load"}),
    "shutil": frozenset({"rmtree"}),
    "importlib": frozenset({"import_module"}),
}
_SHOWN = 5


def reaches_beyond(source: str, place: str) -> tuple[Found, ...]:
    """What a Python file imports and calls that people should know of; empty where it is no Python.

    Args:
        source: of the file.
        place: where it is, for what is told.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ()
    told = dict.fromkeys(_seen(tree))
    return tuple(
        Found(place=place, what="code", told=f"{place}, line {line}: {what}", refused=False)
        for line, what in list(told)[:_SHOWN]
    )


def _seen(tree: ast.AST) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (
                (node.lineno, f"imports {one.name}") for one in node.names if one.name.partition(".")[0] in _MODULES
            )
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] in _MODULES:
            yield node.lineno, f"imports from {node.module}"
        elif isinstance(node, ast.Call):
            if isinstance(node.func, ast.Name) and node.func.id in _CALLS:
                yield node.lineno, f"calls {node.func.id}"
            elif (
                isinstance(node.func, ast.Attribute)
                and isinstance(node.func.value, ast.Name)
                and node.func.attr in _ATTRIBUTES.get(node.func.value.id, ())
            ):
                yield node.lineno, f"calls {node.func.value.id}.{node.func.attr}"
