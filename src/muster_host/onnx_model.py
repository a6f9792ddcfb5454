"""An ONNX file as a model: columns become its tensors, and its tensors the outputs of the contract.

Which field goes into which tensor is what `[runtime.inputs]` says; a field that is not named there goes into the tensor of
its own name. A null is NaN in a tensor of floats and the empty text in one of text; no other tensor has room for it.
"""

from __future__ import annotations

import os
from typing import Any, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from muster_host.fields import FLOATS, INTEGER_RANGES, NUMPY_NAMES, Field, TableBroken
from muster_host.frames import Views
from muster_host.outputs import reader_of

#: What onnxruntime calls the types of tensors, and what NumPy does.
_TYPES = {
    "tensor(bool)": "|b1", "tensor(uint8)": "|u1", "tensor(int8)": "|i1", "tensor(uint16)": "<u2", "tensor(int16)": "<i2",
    "tensor(uint32)": "<u4", "tensor(int32)": "<i4", "tensor(uint64)": "<u8", "tensor(int64)": "<i8",
    "tensor(float16)": "<f2", "tensor(float)": "<f4", "tensor(double)": "<f8", "tensor(string)": "object",
}  # fmt: skip

#: Rows, and what the session is given by name of the tensor.
Fed = Tuple[int, Dict[str, Any]]


class GraphMismatch(Exception):
    """The graph in the file and the contract of the bundle do not fit together."""


class _Member:
    """A field on its way into a tensor."""

    __slots__ = ("column", "field", "place", "wire")

    def __init__(self, field: Field, place: int, column: Optional[int]) -> None:
        self.field = field
        self.place = place
        self.column = column
        self.wire = np.dtype(NUMPY_NAMES[field.datatype]) if field.item_bytes else None


class _Feed:
    """One tensor that the graph takes, made of one field or of several as its columns."""

    def __init__(self, tensor: Any, members: Sequence[_Member]) -> None:
        self.name: str = tensor.name
        self._dtype = np.dtype(_TYPES[tensor.type])
        self._members = members
        self._tail = tuple(tensor.shape[1:])
        self._width = len(members)
        self._is_matrix = members[0].column is not None

    def array(self, rows: int, columns: Sequence[Views]) -> Any:
        """The tensor `(rows, …)` of a batch."""
        if not self._is_matrix:
            member = self._members[0]
            values = self._values(member, rows, columns[member.place])
            return values.reshape(
                (rows, *member.field.shape) if member.field.shape else (rows, *(1 for _ in self._tail))
            )
        matrix = np.empty((rows, self._width), self._dtype)
        for member in self._members:
            matrix[:, member.column] = self._values(member, rows, columns[member.place])
        return matrix

    def _values(self, member: _Member, rows: int, views: Views) -> Any:
        data, nulls = views
        if member.wire is None:
            texts = np.empty(rows * member.field.elements, object)
            texts[:] = member.field.texts(data, rows * member.field.elements)  # a null's place holds the empty text
            return texts
        values = np.frombuffer(data, member.wire)
        if self._dtype != member.wire:
            values = values.astype(self._dtype)
        if nulls is not None and self._dtype.kind == "f":
            gone = np.repeat(np.frombuffer(nulls, np.bool_), member.field.elements)
            if gone.any():
                values = np.where(gone, self._dtype.type(np.nan), values)
        return values


class OnnxModel:
    """A loaded graph with all that is needed to call it: the face of `loading.Model`.

    Args:
        bundle: the folder of the bundle.
        session: onnxruntime's, which starts no thread when it may use one only.
        feeds: the tensors it takes.
        taken: per output of the contract, the tensor and, where it is one column of it, which.
        inputs: the contract's inputs.
        outputs: the contract's outputs.
    """

    def __init__(
        self,
        *,
        bundle: str,
        session: Any,
        feeds: List[_Feed],
        taken: Mapping[str, Tuple[str, Optional[int]]],
        inputs: List[Field],
        outputs: List[Field],
    ) -> None:
        self._bundle = bundle
        self._session = session
        self._feeds = feeds
        self._wanted = list(dict.fromkeys(tensor for tensor, _ in taken.values()))
        self._taken = [(name, self._wanted.index(tensor), column) for name, (tensor, column) in taken.items()]
        self._empty = {
            field.name: np.empty((0, *field.shape), NUMPY_NAMES.get(field.datatype, "object")) for field in outputs
        }
        self.inputs = inputs
        self.outputs = outputs
        self.read = reader_of(outputs)

    def enter(self, limits: Optional[Mapping[str, Any]] = None) -> None:  # noqa: ARG002 - the face of every model
        """Make this process the model's own."""
        os.chdir(self._bundle)

    def build(self, rows: int, columns: Sequence[Views]) -> Fed:
        """The tensors of a batch.

        Raises:
            TableBroken: the columns are not the contract's inputs.
        """
        if len(columns) != len(self.inputs):
            raise TableBroken("the model takes %d columns, the table has %d" % (len(self.inputs), len(columns)))
        for field, (data, nulls) in zip(self.inputs, columns):
            field.check(rows, data, nulls)
        return rows, {feed.name: feed.array(rows, columns) for feed in self._feeds}

    def predict(self, fed: Fed) -> Dict[str, Any]:
        """What the graph gives for a batch, by name of the output."""
        rows, tensors = fed
        if not rows:  # many operators cannot work on nothing
            return self._empty
        found = self._session.run(self._wanted, tensors)
        return {
            name: found[place] if column is None else found[place][:, column] for name, place, column in self._taken
        }


def load(order: Mapping[str, Any]) -> OnnxModel:
    """Load the graph that an order names.

    Raises:
        GraphMismatch: the contract does not fit the graph, or the file is not in the bundle.
        Exception: whatever onnxruntime says of a file that is no graph it can run.
    """
    import onnxruntime  # noqa: PLC0415 - only in environments that have it

    bundle = os.path.realpath(order["bundle"])
    runtime, contract = order["runtime"], order["contract"]
    path = os.path.realpath(os.path.join(bundle, runtime["model"]))
    if os.path.commonpath([bundle, path]) != bundle or not os.path.isfile(path):
        raise GraphMismatch("%r is not a file of the bundle" % runtime["model"])
    session = onnxruntime.InferenceSession(
        path, _options(onnxruntime, int(order.get("threads") or 1)), providers=["CPUExecutionProvider"]
    )
    inputs = [Field(field) for field in contract["inputs"]]
    outputs = [Field(field) for field in contract["outputs"]]
    return OnnxModel(
        bundle=bundle,
        session=session,
        feeds=_feeds(session.get_inputs(), inputs, runtime.get("inputs") or {}),
        taken=_taken(session.get_outputs(), outputs, runtime.get("outputs") or {}),
        inputs=inputs,
        outputs=outputs,
    )


def _options(onnxruntime: Any, threads: int) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.use_deterministic_compute = True
    options.log_severity_level = 3
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")  # idle threads leave the processor alone
    return options


def _places(
    fields: Sequence[Field], tensors: Mapping[str, Any], named: Mapping[str, Any], what: str
) -> Dict[str, Tuple[str, Optional[int]]]:
    """Per field its tensor, and which column of it."""
    told = ", ".join("%s %s %s" % (tensor.name, tensor.type, tensor.shape) for tensor in tensors.values())
    places = {}
    for field in fields:
        place = named.get(field.name) or {"tensor": field.name}
        if place["tensor"] not in tensors:
            raise GraphMismatch(
                'the %s %r has no tensor %r in the graph, which has %s; write [runtime.%ss] %s = { tensor = "…", column = 0 }'
                % (what, field.name, place["tensor"], told, what, field.name)
            )
        places[field.name] = (place["tensor"], place.get("column"))
    return places


def _feeds(tensors: Sequence[Any], fields: Sequence[Field], named: Mapping[str, Any]) -> List[_Feed]:
    by_name = {tensor.name: tensor for tensor in tensors}
    places = _places(fields, by_name, named, "input")
    members: Dict[str, List[_Member]] = {tensor.name: [] for tensor in tensors}
    for place, field in enumerate(fields):
        tensor, column = places[field.name]
        _check_type(field, by_name[tensor])
        members[tensor].append(_Member(field, place, column))
    for tensor in tensors:
        _check_members(tensor, members[tensor.name])
    return [_Feed(tensor, members[tensor.name]) for tensor in tensors]


def _check_type(field: Field, tensor: Any) -> None:
    """A field goes into a tensor that can hold its values; floats may become shorter ones, for such the graph was made."""
    wanted = np.dtype(_TYPES.get(tensor.type, "V"))
    where = "the input %r is %s, and the tensor %r takes %s" % (field.name, field.datatype, tensor.name, tensor.type)
    if wanted.kind == "V" or (wanted.kind == "O") != (field.datatype == "BYTES"):
        raise GraphMismatch(where)
    if wanted.kind == "b" and field.datatype != "BOOL":
        raise GraphMismatch(where)
    if wanted.kind in "iu":
        low, high = INTEGER_RANGES.get(field.datatype, (0, 1))
        limits = np.iinfo(wanted)
        if field.datatype in FLOATS or low < limits.min or high > limits.max:
            raise GraphMismatch(where + ", which cannot hold all of its values")
    if field.nullable and wanted.kind not in "fO":
        raise GraphMismatch(
            "%s: the field may be null, and only floats (as NaN) and text (as the empty text) have room for that"
            % where
        )


def _check_members(tensor: Any, members: Sequence[_Member]) -> None:
    name, shape = tensor.name, list(tensor.shape)
    if not members:
        raise GraphMismatch("the graph takes the tensor %r, and no input goes into it" % name)
    if not shape or isinstance(shape[0], int):
        raise GraphMismatch(
            "the tensor %r has the shape %s; export the graph with a first dimension that is free (the rows)"
            % (name, shape)
        )
    columns = [member.column for member in members]
    if columns == [None]:
        _check_shape(tensor, members[0].field)
        return
    width = shape[1] if len(shape) == 2 and isinstance(shape[1], int) else len(members)
    if len(shape) != 2 or sorted(column for column in columns if column is not None) != list(range(width)):
        raise GraphMismatch(
            "the tensor %r has the shape %s, so its columns 0 to %d take one input each; named are %s"
            % (name, shape, width - 1, ", ".join("%s → %s" % (member.field.name, member.column) for member in members))
        )
    unfit = next((member.field.name for member in members if member.field.shape), None)
    if unfit is not None:
        raise GraphMismatch("the input %r is a tensor and cannot be one column of %r" % (unfit, name))


def _check_shape(tensor: Any, field: Field) -> None:
    tail = list(tensor.shape[1:])
    wanted = list(field.shape) or [1] * len(tail)
    if len(tail) != len(wanted) or any(isinstance(has, int) and has != want for has, want in zip(tail, wanted)):
        raise GraphMismatch(
            "the input %r has the shape %s per row, and the tensor %r takes %s"
            % (field.name, list(field.shape), tensor.name, tail)
        )


def _taken(
    tensors: Sequence[Any], fields: Sequence[Field], named: Mapping[str, Any]
) -> Dict[str, Tuple[str, Optional[int]]]:
    by_name = {tensor.name: tensor for tensor in tensors}
    places = _places(fields, by_name, named, "output")
    for field in fields:
        tensor, column = by_name[places[field.name][0]], places[field.name][1]
        if tensor.type not in _TYPES:
            raise GraphMismatch(
                "the output %r is to come from %r, which is %s and no tensor; export classifiers without ZipMap "
                "(skl2onnx: options={id(model): {'zipmap': False}})" % (field.name, tensor.name, tensor.type)
            )
        if (tensor.type == "tensor(string)") != (field.datatype == "BYTES"):
            raise GraphMismatch(
                "the output %r is %s, and %r gives %s" % (field.name, field.datatype, tensor.name, tensor.type)
            )
        if column is not None and len(tensor.shape) != 2:
            raise GraphMismatch("the tensor %r has the shape %s and no column %d" % (tensor.name, tensor.shape, column))
        if column is not None and isinstance(tensor.shape[1], int) and not 0 <= column < tensor.shape[1]:
            raise GraphMismatch(
                "the tensor %r has the columns 0 to %d and no %d" % (tensor.name, tensor.shape[1] - 1, column)
            )
    return places
