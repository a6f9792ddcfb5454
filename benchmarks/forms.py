"""How long a request takes from body to checked columns, and from decided columns to body, in each form.

    .venv/bin/python benchmarks/forms.py

Prints microseconds, the best of several runs, of: the general way (every body, exact messages), the way that a request takes
(the typed decoder of its contract, else the general one), and the answer.
"""

import csv
import io
import json
import sys
import timeit
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from decided_requests import plan_of, scored
from muster.packaging.columns import Column, column_of
from muster.serving.front import compiled, records, records_answers, v2, v2_answers
from muster.serving.front.forms import ARROW, CSV, JSON, NDJSON, Asked
from muster.serving.plan import Plan
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Declared, Field

D = Datatype


def microseconds(work: Callable[[], Any]) -> float:
    """Of one call, the best of seven runs."""
    work()
    timer = timeit.Timer(work)
    number, _ = timer.autorange()
    number = max(1, number // 4)
    return min(timer.repeat(7, number)) / number * 1e6


def generally(plan: Plan, read: Callable[[], Any]) -> float:
    """The same without the typed decoders."""
    known = compiled.compiled(plan)
    kept = known.__dict__.copy()
    known.__dict__.update(_requests=[], _records=None, _lines=None)
    try:
        return microseconds(read)
    finally:
        known.__dict__.update(kept)


def show(what: str, general: float | None, usual: float, answer: float | None = None) -> None:
    """One line of the table."""
    columns = [f"{value:12.1f}" if value is not None else " " * 12 for value in (general, usual, answer)]
    print(f"{what:46}{''.join(columns)}", flush=True)


def v2_body(plan: Plan, rows: list[list[Any]], *, parameters: dict[str, Any] | None = None) -> bytes:
    """A V2 request in JSON: `rows` holds the values of each field."""
    inputs = [
        {
            "name": field.name,
            "shape": [len(values) if not field.shape else 1, *field.shape],
            "datatype": field.datatype,
            "data": values,
        }
        for field, values in zip(plan.contract.inputs, rows, strict=True)
    ]
    return json.dumps({"inputs": inputs, **({"parameters": parameters} if parameters else {})}).encode()


def small() -> None:
    """The requests that most callers send."""
    numbers = [round(place * 1.2345678, 6) for place in range(30)]
    one = Column(D.FP64, (), np.array([0.123456789]).tobytes())
    for what, plan, body in (
        ("V2 JSON, one tensor [1, 30]", *_one_tensor(numbers)),
        ("V2 JSON, 30 tensors [1]", *_thirty(numbers)),
    ):
        done = scored(plan, {"score": one}, 1)
        asked = v2.read(plan, body)
        show(
            what,
            generally(plan, partial(v2.read, plan, body)),
            microseconds(partial(v2.read, plan, body)),
            microseconds(partial(v2_answers.answer, done, asked)),
        )
    plan, row = mixed()
    done = scored(plan, {"score": one}, 1)
    for rows in (1, 100):
        body = json.dumps({"rows": [row] * rows}).encode()
        done = scored(plan, {"score": column_of(D.FP64, np.linspace(0, 1, rows))}, rows)
        for form, content in (
            (JSON, body),
            (NDJSON, b"\n".join([json.dumps(row).encode()] * rows)),
            (CSV, as_csv([row] * rows)),
            (ARROW, as_arrow([row] * rows)),
        ):
            read = partial(records.read, plan, content, form)
            show(
                f"records, {rows} x 20 fields, {form.decode().rpartition('/')[2]}",
                generally(plan, read),
                microseconds(read),
                microseconds(partial(records_answers.answer, done, form)) if form != CSV else None,
            )


def _one_tensor(numbers: list[float]) -> tuple[Plan, bytes]:
    plan = plan_of(Field("input", D.FP64, (30,)))
    return plan, v2_body(plan, [numbers])


def _thirty(numbers: list[float]) -> tuple[Plan, bytes]:
    plan = plan_of(*(Field(f"feature_{place}", D.FP64) for place in range(30)))
    return plan, v2_body(plan, [[number] for number in numbers])


def mixed() -> tuple[Plan, dict[str, Any]]:
    """Twenty fields of five kinds, and a row of them."""
    kinds: list[tuple[Field, Any]] = []
    for place in range(4):
        kinds += [
            (Field(f"amount_{place}", D.FP64), 12.75 + place),
            (Field(f"months_{place}", D.INT64, declared=Declared(minimum=0, maximum=1000)), 12 + place),
            (Field(f"contract_{place}", D.BYTES), "month-to-month"),
            (Field(f"paperless_{place}", D.BOOL), True),
            (Field(f"total_{place}", D.FP64, nullable=True), None if place % 2 else 1023.5),
        ]
    return plan_of(*(field for field, _ in kinds)), {field.name: value for field, value in kinds}


def as_csv(rows: list[dict[str, Any]]) -> bytes:
    """Rows as CSV."""
    text = io.StringIO()
    writer = csv.DictWriter(text, list(rows[0]))
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


def as_arrow(rows: list[dict[str, Any]]) -> bytes:
    """Rows as an Arrow stream."""
    table = pa.Table.from_pylist(rows)
    table = table.cast(
        pa.schema(
            [
                pa.field(field.name, pa.float64() if pa.types.is_null(field.type) else field.type)
                for field in table.schema
            ]
        )
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()  # type: ignore[no-any-return]


def million() -> None:
    """A million floats as raw bytes behind the JSON, in and out."""
    for name, datatype, rows, shape, nullable, declared in (
        ("FP32 [1, 1000000]", D.FP32, 1, (1_000_000,), False, None),
        ("FP64 [1000, 1000]", D.FP64, 1000, (1000,), False, None),
        ("FP64 [1000, 1000] nullable, limits", D.FP64, 1000, (1000,), True, Declared(minimum=-10, maximum=10)),
        ("FP32 [1000, 1000] for an FP64 field", D.FP64, 1000, (1000,), False, None),
    ):
        plan = plan_of(
            Field("input", datatype, shape, nullable=nullable, declared=declared),
            outputs=(Field("output", datatype, shape),),
        )
        sent = D.FP32 if name.startswith("FP32") else D.FP64
        data = np.random.default_rng(1).normal(size=(rows, *shape)).astype("<f4" if sent is D.FP32 else "<f8").tobytes()
        head = json.dumps(
            {"inputs": [{"name": "input", "shape": [rows, *shape], "datatype": sent, "parameters": {"binary_data_size": len(data)}}],
             "parameters": {"binary_data_output": True}}
        ).encode()  # fmt: skip
        body = head + data
        out = np.zeros((rows, *shape), "<f4" if datatype is D.FP32 else "<f8")
        done = scored(plan, {"output": Column(datatype, shape, memoryview(out.tobytes()))}, rows)
        asked: Asked = v2.read(plan, body, len(head))
        show(
            f"V2 binary, {name}",
            None,
            microseconds(partial(v2.read, plan, body, len(head))),
            microseconds(partial(v2_answers.answer, done, asked)),
        )


if __name__ == "__main__":
    print(f"{'microseconds':46}{'general':>12}{'usual':>12}{'answer':>12}")
    small()
    million()
