"""A load order becomes a model that can be called; it is never called here.

Two versions in one environment may both bring a `features.py`. So the modules that come from a bundle's own folders are
taken out of `sys.modules` again when it is loaded, and put back in the process that serves it.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import pickle
import sys
from typing import Any, Callable, List, Mapping, Optional, Protocol, Sequence

from muster_host.fields import Field
from muster_host.frames import Views
from muster_host.inputs import Builder, builder_of
from muster_host.outputs import Column, Reader, reader_of

#: Kinds that Python runs, each with the module whose `load(order)` makes a model of the order.
_HOSTED = {
    "onnx": "muster_host.onnx_model",
    "mlflow": "muster_host.mlflow_model",
    "remote": "muster_host.remote_model",
    "intruder": "muster_host.intruder",  # ours alone: no bundle can be of this kind
}


class OrderBroken(Exception):
    """A load order asks for something this host does not know or cannot find."""


class Served(Protocol):
    """What a host serves: a Python model, or something else behind the same face.

    It may also have `about`, a dict of texts for the hello, and `leave()`, which is called once the host has answered
    its last question.
    """

    inputs: List[Field]
    outputs: List[Field]

    def enter(self, limits: Optional[Mapping[str, Any]] = None) -> None:
        """Make this process the model's own; `limits` are those of the host."""
        ...

    def build(self, rows: int, columns: Sequence[Views]) -> Any:
        """What the model is handed of a table; raises `TableBroken` where that is not the contract's."""
        ...

    def predict(self, data: Any) -> Any:
        """Call the model."""
        ...

    def read(self, result: Any, rows: int) -> List[Column]:
        """The columns of what it gave back; raises `OutputBroken`."""
        ...


class Model:
    """A loaded Python model with all that is needed to call it.

    Args:
        bundle: the folder of the bundle.
        folders: folders of its own code.
        modules: modules that were imported from there.
        predict: calls the model.
        build: makes of columns what it is handed.
        read: makes columns of what it gives back.
        outputs: the contract's outputs.
        inputs: the contract's inputs.
    """

    def __init__(
        self,
        *,
        bundle: str,
        folders: list[str],
        modules: dict[str, Any],
        predict: Callable[[Any], Any],
        build: Builder,
        read: Reader,
        inputs: list[Field],
        outputs: list[Field],
    ) -> None:
        self._bundle = bundle
        self._folders = folders
        self._modules = modules
        self.predict = predict
        self.build = build
        self.read = read
        self.inputs = inputs
        self.outputs = outputs

    def enter(self, limits: Mapping[str, Any] | None = None) -> None:  # noqa: ARG002 - of use to other kinds
        """Make this process the model's own: its folder, its code, its modules."""
        os.chdir(self._bundle)
        sys.path[:0] = self._folders
        sys.modules.update(self._modules)


def load(order: Mapping[str, Any]) -> Served:
    """Load what an order describes.

    Raises:
        OrderBroken: the order is not one that this host can carry out.
        ProgramFailed: this machine cannot run the model's program.
        Exception: whatever the model's own code raises while it is loaded.
    """
    bundle, runtime, contract = _parts(order)
    kind = runtime["kind"]
    if kind == "python":
        return _load_python(bundle, runtime, contract)
    if kind in _HOSTED:
        hosted: Served = importlib.import_module(_HOSTED[kind]).load(order)
        return hosted
    if not isinstance(order.get("program"), dict):
        raise OrderBroken("runtime.kind is %r, and the order does not say how its program is started" % kind)
    try:
        program: Served = importlib.import_module("muster_host.program_model").ProgramModel(order)
    except (KeyError, ValueError, TypeError) as error:
        raise OrderBroken("the order of a program cannot be followed: %s" % _told(error)) from error
    return program


def _load_python(bundle: str, runtime: Mapping[str, Any], contract: Mapping[str, Any]) -> Model:
    folders = [_inside(bundle, folder) for folder in runtime.get("code") or ()]
    home = os.getcwd()
    before = set(sys.modules)
    os.chdir(bundle)
    sys.path[:0] = folders
    try:
        model = _read_model(_inside(bundle, runtime["model"]), runtime)
        predict = _method_of(model, runtime)
    finally:
        del sys.path[: len(folders)]
        os.chdir(home)
        own = {name: sys.modules.pop(name) for name in set(sys.modules) - before if _is_from(bundle, sys.modules[name])}
        for folder in folders:
            sys.path_importer_cache.pop(folder, None)
    try:
        inputs = [Field(field) for field in contract["inputs"]]
        outputs = [Field(field) for field in contract["outputs"]]
        return Model(
            bundle=bundle,
            folders=folders,
            modules=own,
            predict=predict,
            build=builder_of(inputs, runtime),
            read=reader_of(outputs),
            inputs=inputs,
            outputs=outputs,
        )
    except (KeyError, ValueError, TypeError) as error:
        raise OrderBroken("the contract or runtime.input cannot be followed: %s" % _told(error)) from error


def _parts(order: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], Mapping[str, Any]]:
    try:
        bundle, runtime, contract = order["bundle"], order["runtime"], order["contract"]
        _ = runtime["model"] if runtime["kind"] == "python" else contract["inputs"]
    except (KeyError, TypeError) as error:
        raise OrderBroken("the load order lacks %s" % error) from None
    bundle = os.path.realpath(bundle)
    if not os.path.isdir(bundle):
        raise OrderBroken("the bundle %s is not there" % bundle)
    return bundle, runtime, contract


def _inside(bundle: str, path: str) -> str:
    whole = os.path.realpath(os.path.join(bundle, path))
    if os.path.commonpath([bundle, whole]) != bundle:
        raise OrderBroken("%r leads out of the bundle" % path)
    if not os.path.exists(whole):
        raise OrderBroken("%r is not in the bundle" % path)
    return whole


def _read_model(path: str, runtime: Mapping[str, Any]) -> Any:
    serializer = runtime.get("serializer")
    if serializer == "skops":
        skops_io = importlib.import_module("skops.io")
        return skops_io.load(path, trusted=list(runtime.get("trusted") or ()))
    if serializer == "cloudpickle":
        with contextlib.suppress(ImportError):  # a pickle that names only importable things does not need it
            importlib.import_module("cloudpickle")
        with open(path, "rb") as stream:
            return pickle.load(stream)
    raise OrderBroken("runtime.serializer is %r; this host knows skops and cloudpickle" % serializer)


def _method_of(model: Any, runtime: Mapping[str, Any]) -> Callable[[Any], Any]:
    method = runtime.get("method")
    if method == "call":
        call: Any = model
    elif method in ("predict", "predict_proba"):
        call = getattr(model, method, None)
    else:
        raise OrderBroken("runtime.method is %r; this host knows predict_proba, predict and call" % method)
    if not callable(call):
        raise OrderBroken("the model is a %s and has no %s" % (type(model).__name__, method))
    class_index = runtime.get("class_index")
    if class_index is None:
        found: Callable[[Any], Any] = call
        return found
    if method != "predict_proba":
        raise OrderBroken("runtime.class_index is only for predict_proba")

    def one_class(data: Any) -> Any:
        return call(data)[:, class_index]

    return one_class


def _is_from(bundle: str, module: Any) -> bool:
    """Whether a module lies in the bundle."""
    places = [getattr(module, "__file__", None)]
    try:
        places.extend(getattr(module, "__path__", None) or ())
    except Exception:  # a module may be anything at all
        return False
    return any(isinstance(place, str) and os.path.realpath(place).startswith(bundle + os.sep) for place in places)


def _told(error: BaseException) -> str:
    return "%s: %s" % (type(error).__name__, error)
