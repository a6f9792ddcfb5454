"""`muster try`: a bundle in its own environment, in a real host, without a factory."""

import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muster.cli.errors import ModelErred
from muster.client.rows import Row
from muster.environments.shelf import lab_shelf
from muster.packaging.columns import Column, Table, values_of
from muster.packaging.contract import ContractChecker
from muster.packaging.documents import Bundle
from muster.runtimes.host import running_host

_MOST_ROWS = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """What a bundle answered."""

    answers: tuple[dict[str, Any], ...]
    """One per row: each output."""
    environment: str
    compute_ms: float


def try_bundle(folder: Path, bundle: Bundle, rows: list[Row], progress: Callable[[str], None]) -> Trial:
    """Compute the answers to some rows.

    Args:
        folder: of the bundle.
        bundle: what it says of itself.
        rows: one dict per row.
        progress: told what is being done.

    Raises:
        ContractBroken: the rows do not keep the bundle's contract.
        EnvironmentFailed, BuildFailed, HostLoadFailed: it cannot be run; the message says why.
        ModelErred: the model raised an error, or answered something else than its contract says.
    """
    table = ContractChecker(bundle.contract, _MOST_ROWS).check_records(rows)
    progress("building its environment")
    environment = lab_shelf(os.environ).ensure(folder, bundle, progress)
    progress("loading the model")
    with tempfile.TemporaryDirectory(prefix="muster-try-") as scratch:
        log = Path(scratch) / "host.log"
        order = environment.order(folder.resolve(), bundle)
        with running_host(environment, folder, order, log) as channel:
            progress("computing")
            columns = [(column.data, column.nulls) for column in table.columns.values()]
            answer = channel.predict([table.rows], columns)
        if answer.errors:
            error = answer.errors[0]
            raise ModelErred(f"{error.code}: {error.message}", error=error.code)
    outputs = Table(
        answer.rows,
        {
            field.name: Column(field.datatype, field.shape, data, nulls)
            for field, (data, nulls) in zip(bundle.contract.outputs, answer.columns, strict=True)
        },
    )
    named = {name: values_of(column) for name, column in outputs.columns.items()}
    return Trial(
        answers=tuple(dict(zip(named, row, strict=True)) for row in zip(*named.values(), strict=True)),
        environment=environment.id,
        compute_ms=answer.compute_ns / 1e6,
    )
