"""FastAPI with the model in line, as one would write it in an afternoon: no token, no contract, no record.

BENCH_MODELS is the folder with the models. The handler computes on the event loop: handing 0.2 ms of work to FastAPI's thread
pool (a plain `def`) was measured to be slower at every load.
"""

import os
from pathlib import Path
from typing import Any

import joblib
import numpy as np
from fastapi import FastAPI  # type: ignore[import-not-found, unused-ignore]
from pydantic import BaseModel

MODELS = {file.stem: joblib.load(file) for file in Path(os.environ["BENCH_MODELS"]).glob("*.joblib")}


class Tensor(BaseModel):
    """A tensor of the Open Inference Protocol V2."""

    name: str
    shape: list[int]
    datatype: str
    data: list[float]


class InferRequest(BaseModel):
    """What comes in."""

    id: str = ""
    inputs: list[Tensor]


app = FastAPI()


async def infer(model: str, request: InferRequest) -> dict[str, Any]:
    """The probability of the second class, row by row."""
    tensor = request.inputs[0]
    one_value_each = len(request.inputs) > 1
    data = [one.data[0] for one in request.inputs] if one_value_each else tensor.data
    rows = np.array(data).reshape((1, -1) if one_value_each else tensor.shape)
    answers = MODELS[model].predict_proba(rows)[:, 1].tolist()
    return {
        "model_name": model,
        "id": request.id,
        "outputs": [{"name": "probability", "shape": [len(answers)], "datatype": "FP64", "data": answers}],
    }


app.add_api_route("/v2/models/{model}/infer", infer, methods=["POST"])
