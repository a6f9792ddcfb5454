"""Which packages a saved model needs, apart from those that its libraries import only because they happen to be there.

A lab has much installed, and libraries try what they can use: scikit-learn imports pytest, pandas imports PyArrow. None of
that should get into the environment of a model by chance. What the model's file and code name is needed, with all that
those packages declare to need; the rest is left out if a second rehearsal, in which it cannot be imported, gives the
very same answers, bit for bit. Otherwise it stays.
"""

import ast
import json
import pickletools
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from muster.packaging.columns import Table
from muster.packaging.distributions import Installed
from muster.packaging.documents import Bundle
from muster.packaging.errors import ModelNotSavable
from muster.packaging.rehearsal import Rehearsal, rehearse
from muster.packaging.runtimes import PythonRuntime

#: The library of what the model is handed.
_LIBRARIES = {"pandas": "pandas", "polars": "polars", "arrow": "pyarrow", "numpy": "numpy", "columns": "numpy"}


def lean_rehearsal(folder: Path, bundle: Bundle, inputs: Table, full: Rehearsal, installed: Installed) -> Rehearsal:
    """The rehearsal that shows only what is needed; the full one where leaving something out changes an answer."""
    owners = {
        owner.name for name, file in full.modules.items() if (owner := installed.owner_of(name, file)) is not None
    }
    named = {
        owner.name
        for name in named_modules(folder, bundle, full.modules)
        if (owner := installed.owner_of(name, full.modules.get(name))) is not None
    }
    needed = {distribution.name for distribution in installed.closure(named)}
    by_chance = owners - needed
    blocked = installed.tops_of(by_chance) - installed.tops_of(needed)
    if not blocked:
        return full
    try:
        lean = rehearse(folder, bundle, inputs, blocked=sorted(blocked))
    except ModelNotSavable:
        return full
    return lean if lean.answers == full.answers else full


def named_modules(folder: Path, bundle: Bundle, loaded: Iterable[str]) -> set[str]:
    """Modules that the model's file, its code and its runtime name, of those that were loaded."""
    runtime = bundle.runtime
    if not isinstance(runtime, PythonRuntime):
        return set()
    words = {runtime.serializer, _LIBRARIES.get(runtime.input, "")}
    if runtime.serializer == "skops":
        words |= _words_of_skops(folder / runtime.model)
    else:
        words |= _words_of_pickle(folder / runtime.model)
    for code in runtime.code:
        for file in sorted((folder / code).rglob("*.py")):
            words |= _imports_of(file)
    return {name for name in loaded if name in words}


def _words_of_skops(path: Path) -> set[str]:
    with zipfile.ZipFile(path) as archive:
        schema = json.loads(archive.read("schema.json"))
    words: set[str] = set()
    open_ends: list[Any] = [schema]
    while open_ends:
        value = open_ends.pop()
        if isinstance(value, dict):
            module = value.get("__module__")
            if isinstance(module, str):
                words |= _with_parents(module)
            open_ends.extend(value.values())
        elif isinstance(value, list):
            open_ends.extend(value)
    return words


def _words_of_pickle(path: Path) -> set[str]:
    """Every text in a pickle: names of modules are among them, also those that a function imports when it is called."""
    words: set[str] = set()
    for _, argument, _ in pickletools.genops(path.read_bytes()):
        if isinstance(argument, str):
            words |= _with_parents(argument.partition(" ")[0])
    return words


def _imports_of(file: Path) -> set[str]:
    try:
        tree = ast.parse(file.read_bytes())
    except SyntaxError:
        return set()
    words: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                words |= _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            words |= _with_parents(node.module)
    return words


def _with_parents(module: str) -> set[str]:
    parts = module.split(".")
    return {".".join(parts[:end]) for end in range(1, len(parts) + 1)}
