"""Runs a saved model once in a fresh process, the way a host would, and tells what it imported and answered.

A script and not a module: `PYTHON -I probe.py TASK.json`. It imports the standard library and the host program's
own files only, so that whatever else is in `sys.modules` afterwards was wanted by the model.
"""

import importlib.util
import json
import os
import sys
import traceback
from pathlib import Path
from typing import Any


def _load_host_package(folder: str) -> None:
    """Load the host program as the package `muster_host` without putting the folder around it on `sys.path`."""
    place = Path(folder) / "__init__.py"
    spec = importlib.util.spec_from_file_location("muster_host", place, submodule_search_locations=[folder])
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["muster_host"] = package
    spec.loader.exec_module(package)


class _Blocker:
    """Makes packages unimportable, as if they were not installed."""

    def __init__(self, tops: list[str]) -> None:
        self._tops = frozenset(tops)

    def find_spec(self, name: str, path: object = None, target: object = None) -> None:  # noqa: ARG002  # the protocol's
        """Refuse the blocked packages and leave all others to the finders behind this one."""
        if name.partition(".")[0] in self._tops:
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _answers(task: dict[str, Any]) -> None:
    """Load the model, answer the golden rows and a single row, write the answers as a table."""
    from muster_host import frames, loading, machine  # noqa: PLC0415  # found only after _load_host_package

    machine.limit_threads(1)
    content = Path(task["table"]).read_bytes()
    model = loading.load(task["order"])
    model.enter()
    rows, columns = frames.read_table(memoryview(content))
    one_row, one_row_columns = frames.read_table(memoryview(Path(task["one_row"]).read_bytes()))
    model.read(model.predict(model.build(one_row, one_row_columns)), one_row)
    answered = model.read(model.predict(model.build(rows, columns)), rows)
    with Path(task["answers"]).open("wb") as stream:
        stream.writelines(frames.table_buffers(rows, answered))


def main(task_file: str) -> None:
    """Carry out a task and write its report; the exit status is 0 whatever the model does."""
    task = json.loads(Path(task_file).read_text(encoding="utf-8"))
    sys.path.extend(entry for entry in task["sites"] if entry not in sys.path)
    before = set(sys.modules)
    _load_host_package(task["host"])
    if task["blocked"]:
        sys.meta_path.insert(0, _Blocker(task["blocked"]))
    report: dict[str, Any] = {"error": None}
    try:
        _answers(task)
    except BaseException as error:  # noqa: BLE001  # a model may raise anything, SystemExit too
        report["error"] = f"{type(error).__name__}: {error}"
        report["traceback"] = traceback.format_exc()[-4000:]
    bundle = os.path.realpath(task["order"]["bundle"]) + os.sep
    modules = {}
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        own = isinstance(file, str) and os.path.realpath(file).startswith(bundle)
        # multiprocessing names this very script a second time.
        if name not in before and name.partition(".")[0] not in {"muster_host", "__mp_main__"} and not own:
            modules[name] = file if isinstance(file, str) else None
    report["modules"] = modules
    Path(task["report"]).write_text(json.dumps(report), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1])
