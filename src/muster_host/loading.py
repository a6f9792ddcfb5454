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
from typing import Any, Callable, Mapping

from muster_host.fields import Field
from muster_host.inputs import Builder, builder_of
from muster_host.outputs import Reader, reader_of


class OrderBroken(Exception):
    """A load order asks for something this host does not know or cannot find."""


class Model:
    """A loaded model with all that is needed to call it.

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

    def enter(self) -> None:
        """Make this process the model's own: its folder, its code, its modules."""
        os.chdir(self._bundle)
        sys.path[:0] = self._folders
        sys.modules.update(self._modules)


def load(order: Mapping[str, Any]) -> Model:
    """Load what an order describes.

    Raises:
        OrderBroken: the order is not one that this host can carry out.
        Exception: whatever the model's own code raises while it is loaded.
    """
    bundle, runtime, contract = _parts(order)
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
        kind, _ = runtime["kind"], runtime["model"]
    except (KeyError, TypeError) as error:
        raise OrderBroken("the load order lacks %s" % error) from None
    if kind != "python":
        raise OrderBroken("runtime.kind is %r; this host runs only python" % kind)
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
