"""The echo model: gives back what it was given, and does what its first input says.

Every helper library has it as `hosts/<language>/echo`. Its contract has, for each of the 13 datatypes, a scalar that is never null
(`x_int64`), a scalar that may be null (`n_int64`) and a tensor of two elements that may be null (`t_int64`), and before them the
text `act`. Each output is the input with `y_` before its name, in the same order: `y_act`, `y_x_bool`, `y_n_bool`, `y_t_bool`, ...

What a row's `act` asks for is done row after row, before anything is answered:

    ""             nothing
    raise          the model raises an error; its message holds "asked to"
    print          writes a line to standard output (on the wire of lines: one that does not begin with "{")
    sleep:MS       waits so many milliseconds
    exit           ends its process with status 3, at once
    allocate:MIB   takes that much memory, writes to it and holds it until the process ends

Any other text means nothing. So an echo model is: look at `act`, then rename the columns. It is best written over whatever list of
fields LOAD names, so that it takes contracts of fewer fields, too.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import tomli_w

from muster.packaging.columns import Column, Table, column_of, encode_text
from muster.packaging.documents import BUNDLE_FORMAT
from muster.packaging.golden import write_golden
from muster.vocabulary.tensors import FLOATS, INTEGER_RANGES, Datatype
from muster.wire.contracts import Contract, Field, as_document

ACT = "act"
ANSWERED = "y_"
RAISE, PRINT, EXIT = "raise", "print", "exit"
#: What the message of the error holds that `raise` asks for.
ASKED_TO = "asked to"
#: Exit status after `exit`.
EXIT_STATUS = 3
#: Elements of each tensor.
ELEMENTS = 2
GOLDEN_ROWS = 6


def sleep(milliseconds: int) -> str:
    """The `act` that waits."""
    return f"sleep:{milliseconds}"


def allocate(mebibytes: int) -> str:
    """The `act` that takes memory."""
    return f"allocate:{mebibytes}"


def contract() -> Contract:
    """The contract of the echo model: 40 inputs and as many outputs."""
    inputs = [Field(name=ACT, datatype=Datatype.BYTES)]
    for datatype in Datatype:
        name = datatype.lower()
        inputs.append(Field(name=f"x_{name}", datatype=datatype))
        inputs.append(Field(name=f"n_{name}", datatype=datatype, nullable=True))
        inputs.append(Field(name=f"t_{name}", datatype=datatype, shape=(ELEMENTS,), nullable=True))
    outputs = [
        Field(name=ANSWERED + field.name, datatype=field.datatype, shape=field.shape, nullable=field.nullable)
        for field in inputs
    ]
    return Contract(inputs=tuple(inputs), outputs=tuple(outputs))


def is_echo(found: Contract) -> bool:
    """Whether a contract is the echo model's."""
    return found == contract()


def answered(inputs: Table) -> Table:
    """What the echo model has to answer: the same columns under other names."""
    return Table(inputs.rows, {ANSWERED + name: column for name, column in inputs.columns.items()})


def plain(rows: int) -> Table:
    """Rows without anything difficult: small positive numbers, short ASCII texts, no nulls, every row another. `act` is empty."""
    number = np.arange(rows)
    found = {ACT: Column(Datatype.BYTES, (), encode_text([b""] * rows))}
    for field in contract().inputs[1:]:
        places = [_plain(field.datatype, number, place) for place in range(ELEMENTS if field.shape else 1)]
        found[field.name] = column_of(field.datatype, np.stack(places, axis=1).reshape(rows, *field.shape))
    return Table(rows, found)


def _plain(datatype: Datatype, row: npt.NDArray[Any], place: int) -> npt.NDArray[Any]:
    if datatype is Datatype.BYTES:
        return np.array([f"row {at}.{place}" for at in row.tolist()], dtype=object)
    if datatype is Datatype.BOOL:
        return (row + place) % 2
    if datatype in FLOATS:
        return row % (500 if datatype is Datatype.FP16 else 1 << 20) + 0.5 * (place + 1)
    return row % min(INTEGER_RANGES[datatype][1] - 20, 1 << 20) + 1 + place


def described(runtime: Mapping[str, Any], name: str = "echo") -> dict[str, Any]:
    """`muster.toml` of an echo model with that `[runtime]`."""
    return {
        "format": BUNDLE_FORMAT,
        "name": name,
        "description": "Gives back what it was given.",
        "owners": ["conformance"],
        "runtime": dict(runtime),
        "contract": as_document(contract()),
        "golden": {
            "rows": GOLDEN_ROWS,
            "tolerance": {
                field.name: {"abs": 0.0, "rel": 0.0} for field in contract().outputs if field.datatype in FLOATS
            },
        },
    }


def write_bundle(folder: Path, runtime: Mapping[str, Any], name: str = "echo") -> None:
    """Make a bundle of an echo model's sources: writes `muster.toml`, `golden.parquet`, `README.md` and `NOTES.md`.

    Args:
        folder: holds the sources, the lock and whatever else `[runtime]` names.
        runtime: `[runtime]` of `muster.toml`, with `kind`.
        name: of the model.
    """
    inputs = plain(GOLDEN_ROWS)
    document = described(runtime, name)
    (folder / "muster.toml").write_text(tomli_w.dumps(document), encoding="utf-8")
    write_golden(folder / "golden.parquet", inputs, answered(inputs))
    for page in ("README.md", "NOTES.md"):
        if not (folder / page).exists():
            (folder / page).write_text(f"# {name}\n\nGives back what it was given.\n", encoding="utf-8")
