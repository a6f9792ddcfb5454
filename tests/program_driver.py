"""A model's program in any language, asked over its wire without any Muster process around it: to try a helper library.

with driven(["node", "host.mjs"], contract, folder=bundle, entry="model.mjs") as ask:
    columns = ask(2, [(data, nulls), …])      # as `muster_host.frames` has them, in the contract's order
"""

import os
import sys
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from muster.wire.contracts import Contract, as_document
from muster_host.fields import Field
from muster_host.frames import Parts
from muster_host.kept_columns import kept_columns
from muster_host.lines import LinesProgram
from muster_host.outputs import Column, reader_of
from muster_host.programs import BinaryProgram, Process

Ask = Callable[[int, Sequence[Parts]], list[Column]]
"""(rows, data and nulls of each input) -> data and nulls of each output; raises ModelRaised, ProgramGone, OutputBroken."""


def load_document(
    contract: Contract, folder: Path, environment: Path, entry: str = "", threads: int = 1
) -> dict[str, Any]:
    """What a program is told to load: the payload of LOAD."""
    written = as_document(contract)

    def fields(key: str) -> list[dict[str, Any]]:
        return [
            {
                "name": field["name"],
                "datatype": field["datatype"],
                "shape": list(field.get("shape", ())),
                "nullable": bool(field.get("nullable", False)),
            }
            for field in written[key]
        ]

    return {
        "protocol": 1, "bundle": str(folder), "environment": str(environment), "entry": entry, "threads": threads,
        "inputs": fields("inputs"), "outputs": fields("outputs"),
    }  # fmt: skip


@contextmanager
def driven(
    argv: Sequence[str],
    contract: Contract,
    variables: Mapping[str, str] | None = None,
    wire: str = "binary",
    *,
    folder: Path | None = None,
    environment: Path | None = None,
    entry: str = "",
    load_s: float = 60.0,
) -> Iterator[Ask]:
    """Start a program, have it load, ask it, end it.

    Args:
        argv: the program and its arguments; `{memory_mib}`, `{threads}` and `{scratch}` are replaced.
        contract: what it answers.
        variables: environment variables beyond this process's own.
        wire: `binary` or `lines`.
        folder: the bundle; the working directory. Default: the present one.
        environment: the tree of its environment; default: the folder.
        entry: what `[runtime]` calls it.
        load_s: how long it may take to load.

    Raises:
        ProgramFailed: it does not start or cannot load; the reason is in its message and on standard error.
    """
    folder = (folder or Path.cwd()).resolve()
    environment = (environment or folder).resolve()
    written = as_document(contract)
    inputs = [Field(field) for field in written["inputs"]]
    outputs = [Field(field) for field in written["outputs"]]
    document = load_document(contract, folder, environment, entry)
    told = {
        "MUSTER_BUNDLE": str(folder), "MUSTER_ENVIRONMENT": str(environment), "MUSTER_WIRE": wire, "MUSTER_THREADS": "1",
    }  # fmt: skip
    words = [
        word.replace("{memory_mib}", "512").replace("{threads}", "1").replace("{scratch}", tempfile.gettempdir())
        for word in argv
    ]
    sys.stderr.flush()
    process = Process(words, str(folder), {**os.environ, **told, **(variables or {})}, on_standard=wire == "lines")
    try:
        program = (
            LinesProgram(process, document, load_s, inputs, outputs)
            if wire == "lines"
            else BinaryProgram(process, document, load_s)
        )
    except BaseException:
        process.kill()
        raise
    read = reader_of(outputs)

    def ask(rows: int, columns: Sequence[Parts]) -> list[Column]:
        views = [(memoryview(data), None if nulls is None else memoryview(nulls)) for data, nulls in columns]
        if isinstance(program, LinesProgram):
            return read(program.ask(rows, views), rows)
        return kept_columns(outputs, rows, program.ask(rows, views))

    try:
        yield ask
    finally:
        program.stop()
