"""Endpoint `mixed`, which answers each column under the name `out_…`: a number, a whole number, a truth, a text and a vector."""

import copy
import json
from typing import Any

import models
import numpy as np
import pandas as pd
from running_factory import RunningFactory

from muster.packaging.save import save

NAME = "mixed"
ROW: dict[str, Any] = {"x": 1.5, "n": 7, "flag": True, "text": "größer", "vector": [0.5, -1.0]}
OUTPUTS = {f"out_{name}": value for name, value in ROW.items()}
_DATATYPES = {"x": "FP64", "n": "INT64", "flag": "BOOL", "text": "BYTES", "vector": "FP64"}
_SAMPLE = {
    "x": [0.5, 1.5, 2.5],
    "n": np.array([1, 2, 3]),
    "flag": [True, False, True],
    "text": ["a", "b", "größer"],
    "vector": [np.array([0.0, 1.0])] * 3,
}


def release_mixed(factory: RunningFactory, **options: Any) -> None:
    """Serve it, with further options of the release."""
    sample = pd.DataFrame(_SAMPLE)
    folder = factory.home.parent / NAME
    save(
        models.Echoes(), folder, name=NAME, sample=sample, golden=sample, method="predict",
        owner="ana", description="answers with its inputs", notes="first",
    )  # fmt: skip
    factory.release(NAME, factory.accepted(folder), deadline="5s", **options)


def records(*rows: dict[str, Any], **more: Any) -> dict[str, Any]:
    """A request in the records form."""
    return {"rows": list(rows) or [ROW], **more}


def tensors(**more: Any) -> dict[str, Any]:
    """A V2 request for one row."""
    inputs = []
    for name, datatype in _DATATYPES.items():
        value = ROW[name]
        shape, data = ([1, len(value)], value) if isinstance(value, list) else ([1], [value])
        inputs.append({"name": name, "shape": shape, "datatype": datatype, "data": data})
    return copy.deepcopy({"inputs": inputs, **more})


def encoded(document: Any) -> bytes:
    """JSON."""
    return json.dumps(document, ensure_ascii=False).encode()
