"""Makes an ONNX graph of a fitted model: `PYTHON -I -B -X utf8 twin_maker.py ORDER.json FOLDER`.

Runs in an environment of its own, made of the version's locked packages with skl2onnx, onnxmltools and onnxruntime beside
them, and so stands alone: standard library and what is there. It writes `model.onnx` and `twin.json` into the folder:

    {"inputs": {field: {"tensor", "column"}}, "outputs": {…}, "numbers": "double", "converters": {"skl2onnx": "1.20.0", …}}
    {"refused": "cannot be converted: …"}

Numbers are doubles wherever the converters can: that is what scikit-learn computes in. Where a graph in double cannot be
made or loaded, floats are tried; whether the answers are then near enough is for certification to judge, not for this.
"""

from __future__ import annotations

import importlib
import json
import os
import pickle
import sys
from typing import Any, Dict, Iterator, List, Mapping, Tuple

#: Versions of the operators that graphs are written in: known to onnxruntime for years, trees in double among them.
_OPSETS = {"": 18, "ai.onnx.ml": 3}
_ASKED = ("skl2onnx", "onnxmltools", "onnx", "onnxruntime")


class CannotConvert(Exception):
    """This model has no twin; the message says why."""


def main(arguments: List[str]) -> None:
    """Make the twin of one bundle."""
    with open(arguments[0], encoding="utf-8") as stream:
        order = json.load(stream)
    folder = arguments[1]
    try:
        content, told = make(order)
        with open(os.path.join(folder, "model.onnx"), "wb") as stream:
            stream.write(content)
    except CannotConvert as error:
        told = {"refused": "cannot be converted: %s" % error}
    with open(os.path.join(folder, "twin.json"), "w", encoding="utf-8") as stream:
        json.dump(told, stream)


def make(order: Mapping[str, Any]) -> Tuple[bytes, Dict[str, Any]]:
    """The graph of a load order's model, and where its fields are in it.

    Raises:
        CannotConvert: it is of no kind that converters know, or none of their graphs can be loaded.
    """
    runtime, contract = order["runtime"], order["contract"]
    model = _read_model(order["bundle"], runtime)
    outputs = _outputs(model, runtime, contract["outputs"])
    _plain_attributes()
    reasons = []
    for numbers in ("double", "float"):
        try:
            _teach_converters(numbers)
            types, inputs = _inputs(model, runtime, contract["inputs"], numbers)
            content = _loadable(_converted(model, types))
        except CannotConvert:
            raise
        except Exception as error:  # converters and onnxruntime raise whatever they like
            reasons.append("in %s: %s" % (numbers, _told(error)))
            continue
        return content, {"inputs": inputs, "outputs": outputs, "numbers": numbers, "converters": _versions()}
    raise CannotConvert("; ".join(reasons))


def _read_model(bundle: str, runtime: Mapping[str, Any]) -> Any:
    sys.path[:0] = [os.path.join(bundle, folder) for folder in runtime.get("code") or ()]
    path = os.path.join(bundle, runtime["model"])
    if runtime["serializer"] == "skops":
        return importlib.import_module("skops.io").load(path, trusted=list(runtime.get("trusted") or ()))
    with open(path, "rb") as stream:
        return pickle.load(stream)


def _steps(model: Any) -> List[Any]:
    """The steps of a pipeline, pipelines in it opened; a lone estimator is its own only step."""
    if not hasattr(model, "steps"):
        return [model]
    return [inner for _, step in model.steps if step not in (None, "passthrough") for inner in _steps(step)]


def _outputs(model: Any, runtime: Mapping[str, Any], fields: List[Mapping[str, Any]]) -> Dict[str, Dict[str, Any]]:
    from sklearn.base import is_classifier  # noqa: PLC0415 - only in environments that have it

    method, index = runtime["method"], runtime.get("class_index")
    if method not in ("predict", "predict_proba") or len(fields) != 1:
        raise CannotConvert(
            "its answers come from %r and have %d outputs; a twin is made of predict or predict_proba with one"
            % (method, len(fields))
        )
    if method == "predict_proba":
        place: Dict[str, Any] = {"tensor": "probabilities"}
        if index is not None:
            place["column"] = index
    elif is_classifier(model):
        place = {"tensor": "label"}
    else:
        place = {"tensor": "variable"}
    return {fields[0]["name"]: place}


def _inputs(
    model: Any, runtime: Mapping[str, Any], fields: List[Mapping[str, Any]], numbers: str
) -> Tuple[List[Tuple[str, Any]], Dict[str, Dict[str, Any]]]:
    """The tensors that the graph shall take, as skl2onnx wants them described, and which field goes where."""
    from skl2onnx.common.data_types import DoubleTensorType, FloatTensorType, StringTensorType  # noqa: PLC0415

    number = DoubleTensorType if numbers == "double" else FloatTensorType
    kind = runtime["input"]
    texts = [field["name"] for field in fields if field["datatype"] == "BYTES"]
    if kind == "numpy" and len(fields[0].get("shape") or ()) == 1 and not texts:
        name = fields[0]["name"]
        return [(name, number([None, fields[0]["shape"][0]]))], {name: {"tensor": name}}
    if kind not in ("pandas", "polars") or any(field.get("shape") for field in fields):
        raise CannotConvert("it is handed %s, and a twin is made of models that take a table or one matrix" % kind)
    if hasattr(_steps(model)[0], "transformers"):  # it picks its columns by name
        types = [
            (field["name"], (StringTensorType if field["name"] in texts else number)([None, 1])) for field in fields
        ]
        return types, {field["name"]: {"tensor": field["name"]} for field in fields}
    if texts:
        raise CannotConvert("it takes the texts %s and does not say by name what it does with which" % ", ".join(texts))
    places = {field["name"]: {"tensor": "columns", "column": at} for at, field in enumerate(fields)}
    return [("columns", number([None, len(fields)]))], places


def _converted(model: Any, types: List[Tuple[str, Any]]) -> Any:
    import skl2onnx  # noqa: PLC0415 - only in environments that have it
    from sklearn.base import is_classifier  # noqa: PLC0415

    options = {id(model): {"zipmap": False}} if is_classifier(model) else None
    return skl2onnx.to_onnx(model, initial_types=types, options=options, target_opset=_OPSETS)


def _loadable(graph: Any) -> bytes:
    """The graph as bytes that onnxruntime loads: not everything that can be written can be computed.

    Converters announce the type of probabilities before they know that of the column they are made of, so where it does
    not load, the other type of number is announced.
    """
    from onnx import TensorProto  # noqa: PLC0415 - only in environments that have it

    other = {TensorProto.FLOAT: TensorProto.DOUBLE, TensorProto.DOUBLE: TensorProto.FLOAT}
    content: bytes = graph.SerializeToString()
    try:
        _check_loads(content)
    except Exception:
        for output in graph.graph.output:
            number = output.type.tensor_type
            number.elem_type = other.get(number.elem_type, number.elem_type)
        content = graph.SerializeToString()
        _check_loads(content)
    return content


def _check_loads(content: bytes) -> None:
    import onnxruntime  # noqa: PLC0415 - only in environments that have it

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def _versions() -> Dict[str, str]:
    from importlib.metadata import PackageNotFoundError, version  # noqa: PLC0415 - not in Python 3.7

    found = {}
    for name in _ASKED:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _told(error: BaseException) -> str:
    """An error in one line; converters like to print whole models."""
    said = " ".join(str(error).split())
    return "%s: %s" % (type(error).__name__, said if len(said) <= 300 else said[:200] + " … " + said[-100:])


# What the converters do not do, or not in double.


def _teach_converters(numbers: str) -> None:
    _teach_boosters()
    _teach_trees(numbers)
    if numbers == "double":
        _teach_encoders()


def _plain_attributes() -> None:
    """Attributes of nodes as plain lists and numbers: histogram trees hold unsigned NumPy integers, which onnx refuses."""
    import numpy as np  # noqa: PLC0415 - only in environments that have it
    from skl2onnx.common import _container  # noqa: PLC0415

    make_node = _container.make_node

    def plain(value: Any) -> Any:
        if isinstance(value, (np.ndarray, np.generic)):
            return value.tolist()
        if isinstance(value, list):
            plain_ones = [item.item() if isinstance(item, np.generic) else item for item in value]
            return [int(item) if isinstance(item, bool) else item for item in plain_ones]
        return value

    def with_plain(*arguments: Any, **attributes: Any) -> Any:
        return make_node(*arguments, **{name: plain(value) for name, value in attributes.items()})

    _container.make_node = with_plain


class _Redirected:
    """An operator that takes its values from elsewhere, or gives its result elsewhere."""

    def __init__(self, operator: Any, given: Any = None, result: Any = None) -> None:
        self._operator = operator
        if given is not None:
            self.inputs = [given]
            self.input_full_names = [given.full_name]
        if result is not None:
            self.outputs = [result]
            self.output_full_names = [result.full_name]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._operator, name)


def _teach_encoders() -> None:
    """Encoders that give doubles where numbers are doubles, and a median for what is missing among doubles."""
    from skl2onnx import update_registered_converter  # noqa: PLC0415 - only in environments that have it
    from skl2onnx.common._registration import get_converter, get_shape_calculator  # noqa: PLC0415
    from sklearn.impute import SimpleImputer  # noqa: PLC0415
    from sklearn.preprocessing import OneHotEncoder, OrdinalEncoder  # noqa: PLC0415

    for kind, alias in ((OneHotEncoder, "SklearnOneHotEncoder"), (OrdinalEncoder, "SklearnOrdinalEncoder")):
        shape, convert = _in_double(get_shape_calculator(alias), get_converter(alias))
        update_registered_converter(kind, "Muster" + alias, shape, convert, overwrite=True, options=None)
    shape, convert = _imputer(get_shape_calculator("SklearnSimpleImputer"), get_converter("SklearnSimpleImputer"))
    update_registered_converter(SimpleImputer, "MusterSimpleImputer", shape, convert, overwrite=True)


def _in_double(shape: Any, convert: Any) -> Tuple[Any, Any]:
    """An encoder's functions, its result cast to double."""
    from onnx import TensorProto  # noqa: PLC0415 - only in environments that have it
    from skl2onnx.common._apply_operation import apply_cast  # noqa: PLC0415
    from skl2onnx.common.data_types import DoubleTensorType  # noqa: PLC0415

    def of_shape(operator: Any) -> None:
        shape(operator)
        operator.outputs[0].type = DoubleTensorType(operator.outputs[0].type.shape)

    def of_graph(scope: Any, operator: Any, container: Any) -> None:
        shape(operator)
        encoded = scope.declare_local_variable("encoded", operator.outputs[0].type)
        operator.outputs[0].type = DoubleTensorType(encoded.type.shape)
        convert(scope, _Redirected(operator, result=encoded), container)
        apply_cast(scope, encoded.full_name, operator.outputs[0].full_name, container, to=TensorProto.DOUBLE)

    return of_shape, of_graph


def _imputer(shape: Any, convert: Any) -> Tuple[Any, Any]:
    """For NaN among doubles: where it is NaN, the column's statistic; everything else as the converters have it."""
    import numpy as np  # noqa: PLC0415 - only in environments that have it
    from onnx import TensorProto  # noqa: PLC0415
    from skl2onnx.common._apply_operation import apply_concat  # noqa: PLC0415
    from skl2onnx.common.data_types import DoubleTensorType  # noqa: PLC0415

    def is_ours(operator: Any) -> bool:
        imputer = operator.raw_operator
        statistics = np.asarray(imputer.statistics_)
        return (
            all(isinstance(given.type, DoubleTensorType) for given in operator.inputs)
            and statistics.dtype.kind == "f"
            and np.isfinite(statistics).all()
            and isinstance(imputer.missing_values, float)
            and bool(np.isnan(imputer.missing_values))
            and not imputer.add_indicator
        )

    def of_shape(operator: Any) -> None:
        if not is_ours(operator):
            shape(operator)
            return
        rows = operator.inputs[0].get_first_dimension()
        operator.outputs[0].type = DoubleTensorType([rows, len(operator.raw_operator.statistics_)])

    def of_graph(scope: Any, operator: Any, container: Any) -> None:
        if not is_ours(operator):
            convert(scope, operator, container)
            return
        names = [given.full_name for given in operator.inputs]
        whole = names[0]
        if len(names) > 1:
            whole = scope.get_unique_variable_name("gathered")
            apply_concat(scope, names, whole, container, axis=1)
        statistics = scope.get_unique_variable_name("statistics")
        values = [float(value) for value in operator.raw_operator.statistics_]
        container.add_initializer(statistics, TensorProto.DOUBLE, [1, len(values)], values)
        missing = scope.get_unique_variable_name("missing")
        container.add_node("IsNaN", [whole], [missing], name=scope.get_unique_operator_name("IsNaN"), op_version=13)
        container.add_node(
            "Where",
            [missing, statistics, whole],
            [operator.outputs[0].full_name],
            name=scope.get_unique_operator_name("Where"),
            op_version=16,
        )

    return of_shape, of_graph


#: Trees of scikit-learn. Most shorten what they are given to a float before they compare it with thresholds in double;
#: in a graph thresholds are floats, so the values of all of them have to be.
_SHORTENING = (
    ("sklearn.tree", "DecisionTreeClassifier"), ("sklearn.tree", "DecisionTreeRegressor"),
    ("sklearn.tree", "ExtraTreeClassifier"), ("sklearn.tree", "ExtraTreeRegressor"),
    ("sklearn.ensemble", "RandomForestClassifier"), ("sklearn.ensemble", "RandomForestRegressor"),
    ("sklearn.ensemble", "ExtraTreesClassifier"), ("sklearn.ensemble", "ExtraTreesRegressor"),
    ("sklearn.ensemble", "GradientBoostingClassifier"), ("sklearn.ensemble", "GradientBoostingRegressor"),
    ("sklearn.ensemble", "HistGradientBoostingClassifier"), ("sklearn.ensemble", "HistGradientBoostingRegressor"),
)  # fmt: skip
#: The converters' own functions, kept from before the first of ours was put over them.
_OWN: Dict[str, Tuple[Any, Any]] = {}


def _teach_trees(numbers: str) -> None:
    """Doubles are shortened to floats before they are compared, so that a value on a threshold falls on its own side."""
    from skl2onnx import update_registered_converter  # noqa: PLC0415 - only in environments that have it
    from skl2onnx.common._registration import get_converter, get_shape_calculator  # noqa: PLC0415

    for module, name in _SHORTENING:
        kind = getattr(importlib.import_module(module), name)
        shape, convert = _OWN.setdefault(
            name, (get_shape_calculator("Sklearn" + name), get_converter("Sklearn" + name))
        )
        ours = _shortened(convert) if numbers == "double" else convert
        options = {
            "zipmap": [True, False, "columns"], "nocl": [True, False], "output_class_labels": [False, True],
            "raw_scores": [True, False], "decision_path": [True, False], "decision_leaf": [True, False],
        } if name.endswith("Classifier") else {"decision_path": [True, False], "decision_leaf": [True, False]}  # fmt: skip
        update_registered_converter(kind, "Muster" + name, shape, ours, overwrite=True, options=options)


def _shortened(convert: Any) -> Any:
    from onnx import TensorProto  # noqa: PLC0415 - only in environments that have it
    from skl2onnx.common._apply_operation import apply_cast  # noqa: PLC0415
    from skl2onnx.common.data_types import DoubleTensorType  # noqa: PLC0415

    def of_graph(scope: Any, operator: Any, container: Any) -> None:
        given = operator.inputs[0]
        if not isinstance(given.type, DoubleTensorType):
            convert(scope, operator, container)
            return
        short = scope.get_unique_variable_name("short")
        apply_cast(scope, given.full_name, short, container, to=TensorProto.FLOAT)
        long = scope.declare_local_variable("long", DoubleTensorType(given.type.shape))
        apply_cast(scope, short, long.full_name, container, to=TensorProto.DOUBLE)
        convert(scope, _Redirected(operator, given=long), container)

    return of_graph


def _teach_boosters() -> None:
    """Converters of onnxmltools for xgboost and lightgbm, where they are installed."""
    for module, converters, names in _boosters():
        from skl2onnx import update_registered_converter  # noqa: PLC0415 - only in environments that have it
        from skl2onnx.common.shape_calculator import (  # noqa: PLC0415
            calculate_linear_classifier_output_shapes,
            calculate_linear_regressor_output_shapes,
        )

        for name, is_classifier in names:
            options = {"nocl": [True, False], "zipmap": [True, False, "columns"]} if is_classifier else None
            update_registered_converter(
                getattr(module, name),
                "Muster" + name,
                calculate_linear_classifier_output_shapes
                if is_classifier
                else calculate_linear_regressor_output_shapes,
                converters,
                overwrite=True,
                options=options,
            )


def _boosters() -> Iterator[Tuple[Any, Any, Tuple[Tuple[str, bool], ...]]]:
    known = (
        ("xgboost", "onnxmltools.convert.xgboost.operator_converters.XGBoost", "convert_xgboost", "XGB"),
        ("lightgbm", "onnxmltools.convert.lightgbm.operator_converters.LightGbm", "convert_lightgbm", "LGBM"),
    )
    for package, place, function, prefix in known:
        try:
            module, converters = importlib.import_module(package), importlib.import_module(place)
        except ImportError:
            continue  # a model that needs it could not have been loaded
        yield module, getattr(converters, function), ((prefix + "Classifier", True), (prefix + "Regressor", False))


if __name__ == "__main__":
    main(sys.argv[1:])
