"""Files that run something when they are loaded, or hide something: each harmless, as all that they run is `os.getpid` and its like.

None of them is ever loaded here; they are written by the serialisers themselves where that is possible.
"""

import gzip
import io
import os
import pickle
import subprocess
import tarfile
import zipfile
import zlib
from collections.abc import Callable
from typing import Any

import cloudpickle
import numpy as np


class Calls:
    """A pickle of it is a call of `function`."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self.function = function
        self.arguments = arguments

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return self.function, self.arguments


def pickle_that_calls(function: Callable[..., Any] = os.system, *arguments: Any, protocol: int = 4) -> bytes:
    """A pickle whose loading calls a function."""
    return pickle.dumps({"weights": [0.5] * 50, "hook": Calls(function, *(arguments or ("true",)))}, protocol=protocol)


def zip_of(files: dict[str, bytes], compression: int = zipfile.ZIP_DEFLATED) -> bytes:
    """A zip of files."""
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", compression) as archive:
        for name, content in files.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tar_of(name: str, content: bytes = b"x", kind: bytes = tarfile.REGTYPE, link: str = "") -> bytes:
    """A tar with one member."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w") as archive:
        member = tarfile.TarInfo(name)
        member.type, member.linkname = kind, link
        member.size = len(content) if kind == tarfile.REGTYPE else 0
        archive.addfile(member, io.BytesIO(content) if kind == tarfile.REGTYPE else None)
    return stream.getvalue()


def array_of_objects() -> bytes:
    """A file of NumPy that is a pickle inside."""
    stream = io.BytesIO()
    np.save(stream, np.array([Calls(os.system, "true")], dtype=object), allow_pickle=True)
    return stream.getvalue()


def code_that_runs_when_loaded() -> bytes:
    """A class that travels by value, whose `__setstate__` starts a program."""

    class Restores:
        def __init__(self) -> None:
            self.kept = 1

        def __setstate__(self, state: dict[str, Any]) -> None:
            subprocess.run(["true"], check=False)
            self.__dict__.update(state)

    return bytes(cloudpickle.dumps(Restores()))


def call_of_carried_code() -> bytes:
    """A function that travels by value and is called while it is loaded."""

    def hook() -> int:
        return os.getpid()

    class Hooked:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            return hook, ()

    return bytes(cloudpickle.dumps(Hooked()))


def class_made_by_carried_code() -> bytes:
    """A class whose metaclass is a function that travels by value: to make the class is to call it."""

    def makes(*_: Any) -> int:
        return os.getpid()

    class Class:
        def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
            return cloudpickle.cloudpickle._make_skeleton_class, (makes, "X", (), {}, None, None)

    return bytes(cloudpickle.dumps(Class()))


def tar_that_is_a_pickle(name: str = "cos\ngetpid\n)R.") -> bytes:
    """A tar whose first member's name is a pickle, which ends before the rest begins."""
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        archive.addfile(tarfile.TarInfo(name))
    return stream.getvalue()


def array_of(descr: str, content: bytes) -> bytes:
    """A file of NumPy whose type is spelled as given."""
    header = f"{{'descr': {descr!r}, 'fortran_order': False, 'shape': (1,), }}".encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header + content


#: What it is → the name of a file and its bytes; each is refused by `no-malicious-code` and by nothing else.
MALICIOUS: dict[str, tuple[str, Callable[[], bytes]]] = {
    "a pickle that calls os.system": ("model/scaler.pkl", pickle_that_calls),
    "a pickle under a name that says nothing": ("model/weights.bin", lambda: pickle_that_calls(eval, "1")),
    "a pickle in a zip in a zip": (
        "model/data.zip",
        lambda: zip_of({"inner.zip": zip_of({"deep/weights": pickle_that_calls(exec, "1")})}),
    ),
    "an array of objects": ("model/edges.npy", array_of_objects),
    "a tar that leads out of its folder": ("data/more.tar", lambda: tar_of("../../outside")),
    "a tar that is a pickle, too": ("model/scaler2.pkl", tar_that_is_a_pickle),
    "a pickle that begins with a value": ("model/first.bin", lambda: b"\x88cos\ngetpid\n)R."),
    "a pickle in zlib under a name that says nothing": (
        "model/more.bin",
        lambda: zlib.compress(pickle_that_calls(), 3),
    ),
    "an array of objects in another spelling": ("model/more.npy", lambda: array_of("i4,O", pickle_that_calls())),
    "a zip behind other bytes": ("model/m.zip", lambda: b"PAR1" + zip_of({"x": pickle_that_calls()})),
    "a zip bomb": ("data/zeros.zip", lambda: zip_of({"zeros": b"\0" * (80 << 20)})),
    "code that runs when it is loaded": ("model/extra.cloudpickle", code_that_runs_when_loaded),
    "a compressed pickle": ("model/more.joblib", lambda: gzip.compress(pickle_that_calls(subprocess.call, ["true"]))),
}
