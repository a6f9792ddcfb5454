"""Every language that Muster knows: the only list."""

from collections.abc import Iterator
from pathlib import Path

from muster.environments.languages.command import Command
from muster.environments.languages.cpp import Cpp
from muster.environments.languages.go import Go
from muster.environments.languages.java import Java
from muster.environments.languages.mlflow import Mlflow
from muster.environments.languages.node import Node
from muster.environments.languages.onnx import Onnx
from muster.environments.languages.pmml import Pmml
from muster.environments.languages.python import Python
from muster.environments.languages.r import R
from muster.environments.languages.remote import Remote
from muster.environments.languages.rust import Rust
from muster.environments.protocol import Language
from muster.packaging.documents import Bundle
from muster.packaging.findings import Finding
from muster.packaging.manifest import DESCRIPTION_NAME
from muster.vocabulary.errors import MusterError

#: Kind of `[runtime]` → language.
LANGUAGES: dict[str, Language] = {
    language.kind: language
    for language in (
        Python(),
        R(),
        Java(),
        Node(),
        Go(),
        Rust(),
        Cpp(),
        Command(),
        Onnx(),
        Pmml(),
        Mlflow(),
        Remote(),
    )
}

#: Their environment is a virtual environment of Python: lock, identity and tree are those of `packaging.environments`.
VENVS = frozenset({"python", "onnx", "mlflow"})

_ANEW = "Make the bundle anew: take its lock away and run `muster assemble`."
_LONGEST_PROBLEM = 500


def language_problems(folder: Path, bundle: Bundle) -> Iterator[Finding]:
    """What the language of a bundle finds to mend in it, without tools and without a network; `check_bundle` finds the rest."""
    try:
        yield from list(LANGUAGES[bundle.runtime.kind].problems(folder, bundle))
    except MusterError as error:
        yield Finding("error", bundle.runtime.lock or DESCRIPTION_NAME, error.message, error.advice or _ANEW)
    except Exception as error:  # noqa: BLE001 - whatever a stranger's files make a reader stumble over is a finding
        told = f"the files of its kind, {bundle.runtime.kind}, cannot be read: {type(error).__name__}: {error}"
        yield Finding("error", bundle.runtime.lock or DESCRIPTION_NAME, told[:_LONGEST_PROBLEM], _ANEW)
