"""MLflow folders, in a virtual environment of their own; MLflow never comes into Muster's.

`requirements.txt` of such a folder names `mlflow`, which brings a server, a database and a web page along. Whoever only
loads and calls a model needs `mlflow-skinny`, so for flavours that are known to work with it that is what is locked.
"""

import re
from pathlib import Path
from typing import ClassVar

from muster.environments.errors import LockUnresolved
from muster.environments.languages.python import Python, locked
from muster.environments.protocol import Say
from muster.packaging.documents import Bundle
from muster.packaging.runtimes import MlflowRuntime

MODEL_NAME = "MLmodel"
#: Modules that load a model and need no more of MLflow than `mlflow-skinny` brings, apart from pandas and NumPy.
SKINNY_LOADERS = frozenset(
    {
        "mlflow.sklearn",
        "mlflow.xgboost",
        "mlflow.lightgbm",
        "mlflow.catboost",
        "mlflow.onnx",
        "mlflow.statsmodels",
        "mlflow.pyfunc.model",
        "mlflow.pytorch",
    }
)
_LOADER = re.compile(r"^\s+loader_module:\s*['\"]?([\w.]+)['\"]?\s*$", re.MULTILINE)
_MLFLOW = re.compile(r"^mlflow(\[[^\]]*\])?(?=\s*(==|>=|<=|~=|<|>|;|$))", re.IGNORECASE)


class Mlflow(Python):
    """MLflow folders."""

    kind: ClassVar[str] = "mlflow"
    lock_name: ClassVar[str] = "requirements.lock"

    def lock(self, folder: Path, bundle: Bundle, scratch: Path, say: Say) -> bytes:
        """The lock of what the folder's requirements.txt names.

        Raises:
            LockUnresolved: it has none, it names something that is no package of an index, or a package does not exist.
        """
        assert isinstance(bundle.runtime, MlflowRuntime)
        inside = folder / bundle.runtime.folder
        names = requirements_of(inside)
        say(f"locking {', '.join(names)}")
        return locked(names, bundle.runtime.interpreter, scratch)


def loader_of(folder: Path) -> str:
    """The module that loads the model of an MLflow folder; empty: its MLmodel names none."""
    found = _LOADER.search((folder / MODEL_NAME).read_text(encoding="utf-8"))
    return "" if found is None else found[1]


def requirements_of(folder: Path) -> list[str]:
    """What has to be installed for an MLflow folder, `mlflow-skinny` in place of `mlflow` where that is enough.

    Raises:
        LockUnresolved: there is no requirements.txt, or a line of it is an option, a path or an address.
    """
    path = folder / "requirements.txt"
    if not path.is_file():
        raise LockUnresolved(
            f"{folder} has no requirements.txt; log the model again with MLflow, which writes it", path=str(path)
        )
    lines = [line.partition(" #")[0].strip() for line in path.read_text(encoding="utf-8").splitlines()]
    wanted = [line for line in lines if line and not line.startswith("#")]
    for line in wanted:
        if line.startswith(("-", "/", ".")) or "://" in line or " @ " in line:
            raise LockUnresolved(
                f"{path} says {line!r}, which nobody else can install again; name packages with their versions",
                path=str(path),
            )
    if loader_of(folder) not in SKINNY_LOADERS:
        return wanted
    skinny = [_MLFLOW.sub("mlflow-skinny", line) for line in wanted]
    # The whole of MLflow brings these along, and every flavour's loader uses them.
    brought = [name for name in ("pandas", "numpy") if not any(_is(line, name) for line in skinny)]
    return skinny if skinny == wanted else [*skinny, *brought]


def _is(line: str, name: str) -> bool:
    return re.match(rf"{name}(?![\w.-])", line, re.IGNORECASE) is not None
