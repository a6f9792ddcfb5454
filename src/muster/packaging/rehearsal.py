"""The saved model, rehearsed: loaded and asked in a fresh process of the lab's interpreter, as a host will do it."""

import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import muster_host
from muster.packaging import probe
from muster.packaging.columns import Column, Table, rows_between
from muster.packaging.documents import Bundle, load_order
from muster.packaging.errors import ModelNotSavable
from muster_host import frames

_DEADLINE_S = 900


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What the saved model did."""

    answers: Table
    modules: dict[str, str | None]
    """Name → file of every module it imported."""


def rehearse(folder: Path, bundle: Bundle, inputs: Table, blocked: Sequence[str] = ()) -> Rehearsal:
    """Load the model of a bundle in a fresh process, ask it for all rows and for one row alone.

    Args:
        folder: of the bundle.
        bundle: its description.
        inputs: the rows.
        blocked: top-level names of packages that cannot be imported there, as if they were not installed.

    Raises:
        ModelNotSavable: it does not load or does not answer there.
    """
    with tempfile.TemporaryDirectory(prefix="muster-rehearsal-") as scratch:
        files = {name: Path(scratch, name) for name in ("task.json", "table", "one_row", "answers", "report")}
        _write_table(files["table"], inputs)
        _write_table(files["one_row"], rows_between(inputs, 0, 1))
        task = {
            "order": load_order(folder.resolve(), bundle),
            "host": str(Path(muster_host.__file__).parent),
            "sites": _sites(),
            "blocked": list(blocked),
            **{name: str(files[name]) for name in ("table", "one_row", "answers", "report")},
        }
        files["task.json"].write_text(json.dumps(task), encoding="utf-8")
        _run(files["task.json"], files["report"])
        report = json.loads(files["report"].read_text(encoding="utf-8"))
        if report["error"] is not None:
            raise ModelNotSavable(
                f"the saved model fails in a fresh process: {report['error']}\n{report['traceback']}",
                error=report["error"],
            )
        rows, columns = frames.read_table(files["answers"].read_bytes())
    answers = {
        field.name: Column(field.datatype, field.shape, bytes(data), None if nulls is None else bytes(nulls))
        for field, (data, nulls) in zip(bundle.contract.outputs, columns, strict=True)
    }
    return Rehearsal(answers=Table(rows, answers), modules=report["modules"])


def _write_table(path: Path, table: Table) -> None:
    columns = [(bytes(column.data), column.nulls) for column in table.columns.values()]
    with path.open("wb") as stream:
        stream.writelines(frames.table_buffers(table.rows, columns))


def _sites() -> list[str]:
    """Folders with installed distributions, also those (like the user's own) that an isolated Python leaves out."""
    return [entry for entry in sys.path if entry and any(Path(entry).glob("*.dist-info"))]


def _bytecode() -> list[str]:
    """Whether bytecode is written is the lab's choice, which an isolated Python would not know of."""
    return ["-B"] if sys.dont_write_bytecode else []


def _run(task: Path, report: Path) -> None:
    try:
        ended = subprocess.run(
            [sys.executable, "-I", *_bytecode(), "-X", "utf8", str(Path(probe.__file__)), str(task)],
            capture_output=True,
            timeout=_DEADLINE_S,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    except subprocess.TimeoutExpired as error:
        raise ModelNotSavable(f"the saved model did not answer within {_DEADLINE_S} s in a fresh process") from error
    if ended.returncode != 0 or not report.exists():
        said = ended.stderr.decode("utf-8", "replace")[-2000:].strip()
        raise ModelNotSavable(
            f"the fresh process that loaded the saved model ended with status {ended.returncode}: {said or 'no message'}"
        )
