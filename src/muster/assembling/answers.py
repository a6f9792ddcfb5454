"""The answers of a bundle to some rows, from a fresh host in the environment that was built for it."""

import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from muster.assembling.errors import ModelErred
from muster.packaging.columns import Column, Table
from muster.packaging.documents import Bundle
from muster.runtimes.host import Interpreter, running_host

_LOG_LINES = 12


class Startable(Interpreter, Protocol):
    """What is needed of a built environment; `environments.shelf.Built` is one."""

    def order(self, folder: Path, bundle: Bundle, threads: int = 1) -> Mapping[str, Any]:
        """The load order of a bundle in it."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Tried:
    """What a host answered."""

    answers: Table
    compute_ms: float


def answers_of(folder: Path, bundle: Bundle, built: Startable, inputs: Table) -> Tried:
    """Compute the answers to rows in a fresh host.

    Raises:
        HostLoadFailed: the model does not load; the message says why.
        ModelErred: it raised an error, or answered something else than its contract says.
    """
    with tempfile.TemporaryDirectory(prefix="muster-assemble-") as scratch:
        log = Path(scratch) / "host.log"
        with running_host(built, folder, built.order(folder.resolve(), bundle), log) as channel:
            columns = [(column.data, column.nulls) for column in inputs.columns.values()]
            answer = channel.predict([inputs.rows], columns)
        if answer.errors:
            error = next(iter(answer.errors.values()))
            raise ModelErred(f"{error.code}: {error.message}{_said(log)}", error=error.code)
    fields = bundle.contract.outputs
    outputs = {
        field.name: Column(field.datatype, field.shape, bytes(data), None if nulls is None else bytes(nulls))
        for field, (data, nulls) in zip(fields, answer.columns, strict=True)
    }
    return Tried(answers=Table(answer.rows, outputs), compute_ms=answer.compute_ns / 1e6)


def _said(log: Path) -> str:
    """The last lines of what the model printed, if it printed anything."""
    try:
        lines = log.read_text(encoding="utf-8", errors="replace").splitlines()[-_LOG_LINES:]
    except OSError:
        return ""
    return "\nit printed:\n  " + "\n  ".join(lines) if lines else ""
