"""ONNX files, computed by onnxruntime in a virtual environment of its own.

Lock, parts and tree are those of Python; what is different is who writes the lock: nothing was imported in a lab, so it is
resolved from what `requirements.in` asks for, or from onnxruntime alone.
"""

from pathlib import Path
from typing import ClassVar

from muster.environments.languages.python import WANTED_NAME, Python, locked
from muster.environments.protocol import Say
from muster.packaging.documents import Bundle


class Onnx(Python):
    """ONNX files, computed by onnxruntime."""

    kind: ClassVar[str] = "onnx"
    lock_name: ClassVar[str] = "requirements.lock"

    def lock(self, folder: Path, bundle: Bundle, scratch: Path, say: Say) -> bytes:
        """The lock of what `requirements.in` names, or of onnxruntime.

        Raises:
            LockUnresolved: a package does not exist, or no index answers.
        """
        wanted = folder / WANTED_NAME
        names = wanted.read_text(encoding="utf-8").splitlines() if wanted.is_file() else ["onnxruntime"]
        say(f"locking {', '.join(names)}")
        return locked(names, bundle.runtime.interpreter, scratch)
