"""FastAPI with the model in line and three of Muster's duties: token, contract, a record of every answer.

Written as a careful team would do it with the same means: tokens compared by their SHA-256, the row's contract as a pydantic
type, one line of JSON per request written before the reply leaves, and an fsync every 50 ms in a thread of its own.

BENCH_MODELS is the folder with the models, BENCH_TOKEN the SHA-256 of the token that may score, BENCH_ARCHIVE the folder of
the records.
"""

import hashlib
import json
import os
import threading
import time
import uuid
from pathlib import Path
from typing import Annotated, Any, Literal

import joblib
import numpy as np
from fastapi import FastAPI, Request  # type: ignore[import-not-found, unused-ignore]
from fastapi.responses import JSONResponse  # type: ignore[import-not-found, unused-ignore]
from pydantic import BaseModel, Field

MODELS = {file.stem: joblib.load(file) for file in Path(os.environ["BENCH_MODELS"]).glob("*.joblib")}
TOKENS = {os.environ["BENCH_TOKEN"]: "shop"}
FSYNC_EVERY_S = 0.05

Figure = Annotated[float, Field(ge=0, le=10_000, allow_inf_nan=False)]


class Tensor(BaseModel):
    """The one input, by its contract."""

    name: Literal["input"]
    shape: Annotated[list[int], Field(min_length=2, max_length=2)]
    datatype: Literal["FP64"]
    data: Annotated[list[Figure], Field(min_length=30, max_length=30)]


class InferRequest(BaseModel):
    """What comes in."""

    id: str = ""
    inputs: Annotated[list[Tensor], Field(min_length=1, max_length=1)]


class Archive:
    """One file per worker; what is written is on disk 50 ms later."""

    def __init__(self, folder: Path) -> None:
        self._file = os.open(folder / f"{os.getpid()}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        self._dirty = False
        threading.Thread(target=self._sync_for_ever, name="archive", daemon=True).start()

    def write(self, record: dict[str, Any]) -> None:
        """Write a record; returns when the kernel has it."""
        os.write(self._file, json.dumps(record, separators=(",", ":")).encode() + b"\n")
        self._dirty = True

    def _sync_for_ever(self) -> None:
        while True:
            time.sleep(FSYNC_EVERY_S)
            if self._dirty:
                self._dirty = False
                os.fsync(self._file)


app = FastAPI()
archive = Archive(Path(os.environ["BENCH_ARCHIVE"]))


async def infer(model: str, asked: InferRequest, request: Request) -> Any:
    """The probability of the second class, row by row."""
    began = time.perf_counter()
    _, _, token = request.headers.get("authorization", "").partition(" ")
    consumer = TOKENS.get(hashlib.sha256(token.encode()).hexdigest())
    if consumer is None:
        return JSONResponse({"error": "this token is not known"}, 401)
    tensor = asked.inputs[0]
    answers = MODELS[model].predict_proba(np.array(tensor.data).reshape(tensor.shape))[:, 1].tolist()
    request_id = uuid.uuid4().hex
    archive.write(
        {
            "request_id": request_id,
            "at": time.time_ns(),
            "consumer": consumer,
            "model": model,
            "inputs": tensor.data,
            "outputs": answers,
            "took_us": round((time.perf_counter() - began) * 1e6),
        }
    )
    return {
        "model_name": model,
        "id": asked.id,
        "parameters": {"request_id": request_id},
        "outputs": [{"name": "probability", "shape": [len(answers)], "datatype": "FP64", "data": answers}],
    }


app.add_api_route("/v2/models/{model}/infer", infer, methods=["POST"], response_model=None)
