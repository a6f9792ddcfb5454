"""Starts the host program: `PYTHON -I -B -u -X utf8 DIRECTORY_OF_MUSTER_HOST --control FD …`.

Running a directory puts it on `sys.path`, where `frames` or `loading` would hide a model's own modules of that name. So
the first deed is to take it off again and to load these files as the package `muster_host`.
"""

import importlib.util
import os
import sys


def _load_package() -> None:
    folder = os.path.dirname(os.path.abspath(__file__))
    sys.path[:] = [entry for entry in sys.path if os.path.abspath(entry) != folder]
    spec = importlib.util.spec_from_file_location(
        "muster_host", os.path.join(folder, "__init__.py"), submodule_search_locations=[folder]
    )
    assert spec is not None
    assert spec.loader is not None
    package = importlib.util.module_from_spec(spec)
    sys.modules["muster_host"] = package
    spec.loader.exec_module(package)


if __name__ == "__main__":
    _load_package()
    from muster_host.program import main

    main(sys.argv[1:])
