"""The questions that others bring: checks that travel in a bundle, and checks that were added to a project and that its standard names."""

import sys
import tempfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any, ClassVar

import msgspec

from muster.certification.checks import Bench, Finding
from muster.certification.errors import OwnCheckFailed
from muster.certification.own_programs import OWN_CHECK_FORMAT, Bounds, verdict_of
from muster.certification.records import Figure
from muster.packaging.contract import ContractChecker
from muster.packaging.errors import ContractBroken
from muster.packaging.runtimes import PythonRuntime
from muster.runtimes.conformance.tables import ask, outputs_of
from muster.runtimes.errors import HostGone, HostTimedOut, ProtocolBroken
from muster.vocabulary.digests import Digest
from muster.wire.contracts import as_document
from muster_host import confine

#: Before the name of a check that somebody else wrote.
OWN = "own:"
#: What stands for all of them among the checks that a standard may name.
ANY_OWN = f"{OWN}*"
_MOST_ROWS = 100_000


class OwnOptions(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a program may take, and what it is told."""

    seconds: float = 60.0
    """After that time it is ended, and the check has failed."""
    memory_mib: int = 2048
    """Private memory of each of its processes."""
    output_mib: int = 64
    """All that it may write to its standard output."""
    given: dict[str, Any] = {}
    """Handed to the program as it is, in its first line as `options`."""

    def problems(self) -> list[str]:
        """What the types cannot say."""
        told = [] if 0 < self.seconds <= 3600 else ["seconds is above 0 and at most 3600"]
        told += [] if 16 <= self.memory_mib <= 1 << 20 else ["memory_mib is 16 to 1,048,576"]
        return told if 1 <= self.output_mib <= 1024 else [*told, "output_mib is 1 to 1,024"]


class OwnCheck:
    """One of them.

    Args:
        name: with `own:` before it.
        run: path of its program in the bundle; None: it is the project's.
        program: digest of the project's program in the store.
        most: what the figure may be at most, by the author's word; None: the program decides alone.
    """

    asks: ClassVar[str] = "does a check of the author's own, or the project's, pass?"
    limit: ClassVar[Figure] = None
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = (
        "Look at what the check says; `muster own-check try DIR` runs the bundle's own checks in the lab."
    )
    Options: ClassVar[type[msgspec.Struct]] = OwnOptions

    def __init__(
        self, name: str, *, run: str | None = None, program: Digest | None = None, most: float | None = None
    ) -> None:
        self.name = f"{OWN}{name}"
        self._run = run
        self._program = program
        self._most = most

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - the program ends with its verdict
        """The figure that the program gives, against its limit."""
        options = bench.given(self, OwnOptions)
        assert bench.environment is not None
        with tempfile.TemporaryDirectory(prefix="own-", dir=bench.scratch) as scratch:
            command = self._command(bench, Path(scratch))
            verdict = verdict_of(
                command,
                _first(self.name.removeprefix(OWN), bench, self._most, options.given),
                _Asked(bench).answers,
                Path(scratch),
                Bounds(seconds=options.seconds, memory_mib=options.memory_mib, output_mib=options.output_mib),
                _reads(bench, command),
                bench.environment.confinement,
            )
        limits = [limit for limit in (self._most, verdict.limit) if limit is not None]
        limit = min(limits, default=None)
        is_above = limit is not None and verdict.figure > limit
        passed = verdict.passed and not is_above
        detail = verdict.detail or ("passed" if passed else "it did not pass, and does not say why")
        if verdict.passed and is_above:
            detail = f"{detail} (it says that it passed, but {verdict.figure:g} is above {limit:g})"
        return Finding(
            passed=passed, figure=verdict.figure, limit=limit if limit is not None else "its own", detail=detail,
            exhibits=verdict.exhibits,
        )  # fmt: skip

    def _command(self, bench: Bench, scratch: Path) -> list[str | Path]:
        """How the program is started: a Python file by the model's own interpreter where it has one, else by this one."""
        assert bench.bundle is not None
        assert bench.folder is not None
        assert bench.environment is not None
        if self._program is not None:
            program = scratch / "check.py"
            program.write_bytes(bench.blobs.read(self._program))
        else:
            assert self._run is not None
            program = (bench.folder / self._run).resolve()
            if not program.is_file() or not program.is_relative_to(bench.folder.resolve()):
                raise OwnCheckFailed(f"{self._run} is not in the bundle")
        if program.suffix == ".py":
            own = isinstance(bench.bundle.runtime, PythonRuntime)
            return [bench.environment.python if own else sys.executable, "-I", "-B", "-X", "utf8", program]
        if not program.stat().st_mode & 0o100:
            raise OwnCheckFailed(f"{self._run} is neither a Python file (.py) nor a program that may be executed")
        return [program]


def _reads(bench: Bench, command: list[str | Path]) -> list[str]:
    """What a program has to read: the bundle, and the interpreter with its packages."""
    assert bench.environment is not None
    interpreter = Path(command[0])
    program = {"environment": str(interpreter.parents[1]), "argv": [str(interpreter)]} if len(command) > 1 else None
    return confine.reads_of({"bundle": str(bench.folder), "program": program})


class _Asked:
    """Asks the model on behalf of a program."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._contract = bench.version.contract
        self._checker = ContractChecker(self._contract, max_rows=_MOST_ROWS)

    def answers(self, records: list[dict[str, Any]]) -> dict[str, Any]:
        """The answers to rows, each by itself: null where the model has none, and then why, by the row's number."""
        assert self._bench.channel is not None
        try:
            table = self._checker.check_records(records)
            answer = ask(self._bench.channel, table, [1] * table.rows)
        except ContractBroken as error:
            return {"error": {"code": error.code, "message": error.message}}
        except (HostGone, ProtocolBroken, HostTimedOut) as error:
            assert self._bench.hosts is not None
            self._bench.channel = self._bench.hosts.start()
            return {"error": {"code": error.code, "message": error.message}}
        outputs = iter(self._checker.records_of(outputs_of(answer, self._contract)))
        return {
            "answers": [None if row in answer.errors else next(outputs) for row in range(table.rows)],
            "errors": {str(row): {"code": why.code, "message": why.message} for row, why in answer.errors.items()},
        }


def _first(name: str, bench: Bench, limit: float | None, given: Mapping[str, Any]) -> dict[str, Any]:
    assert bench.golden is not None
    checker = ContractChecker(bench.version.contract, max_rows=_MOST_ROWS)
    golden = bench.golden
    return {
        "format": OWN_CHECK_FORMAT,
        "name": name,
        "model": str(bench.version.name),
        "contract": as_document(bench.version.contract),
        "golden": {"inputs": checker.records_of(golden.inputs), "expected": checker.records_of(golden.expected)},
        "bundle": str(bench.folder),
        "limit": limit,
        "options": dict(given),
    }


def own_checks(bench: Bench) -> Iterator[OwnCheck]:
    """The bundle's own checks, then the project's that its standard names; of two of one name, the standard's."""
    named = dict(bench.programs)
    for check in bench.bundle.checks if bench.bundle is not None else ():
        if OWN + check.name not in named:
            yield OwnCheck(check.name, run=check.run, most=check.limit)
    for name, program in named.items():
        yield OwnCheck(name.removeprefix(OWN), program=program)
