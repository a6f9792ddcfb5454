"""A model that answers its golden rows in an environment, held against what its author validated."""

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from muster.environments.shelf import Built
from muster.packaging.columns import Column, Table
from muster.packaging.documents import Bundle
from muster.packaging.golden import compare, read_golden
from muster.runtimes.host import running_host


@dataclass(frozen=True, slots=True, kw_only=True)
class Proof:
    """What came of it."""

    passed: bool
    values: int
    wrong: int
    """Outside the tolerance."""
    largest_deviation: float
    problem: str = ""
    """Why there are no answers; empty: there are."""

    def document(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "passed": self.passed,
            "values": self.values,
            "wrong": self.wrong,
            "largest_deviation": self.largest_deviation,
            "problem": self.problem,
        }

    def __str__(self) -> str:
        """In words."""
        if self.problem:
            return self.problem
        return f"{self.values - self.wrong} of {self.values} values as validated, largest deviation {self.largest_deviation:g}"


def prove(built: Built, folder: Path, bundle: Bundle, progress: Callable[[str], None]) -> Proof:
    """Let a model answer its golden rows in a fresh host.

    Raises:
        HostLoadFailed, HostNotStarted: it cannot be run there; the message says why.
        GoldenUnusable: the golden set cannot be read.
    """
    golden = read_golden(folder, bundle)
    progress("answering the golden rows")
    with (
        tempfile.TemporaryDirectory(prefix="muster-proof-") as scratch,
        running_host(built, folder, built.order(folder.resolve(), bundle), Path(scratch, "host.log")) as channel,
    ):
        columns = [(column.data, column.nulls) for column in golden.inputs.columns.values()]
        answer = channel.predict([golden.inputs.rows], columns)
    if answer.errors:
        error = answer.errors[0]
        return Proof(passed=False, values=0, wrong=0, largest_deviation=0.0, problem=f"{error.code}: {error.message}")
    outputs = {
        field.name: Column(field.datatype, field.shape, data, nulls)
        for field, (data, nulls) in zip(bundle.contract.outputs, answer.columns, strict=True)
    }
    found = compare(Table(answer.rows, outputs), golden.expected, golden.tolerance, golden.ranked)
    return Proof(
        passed=found.passed, values=found.compared, wrong=found.wrong, largest_deviation=found.largest_deviation
    )
