"""A model that is a program of its own behind this host: it answers rows; sockets, turns, limits and counts stay here.

The parent only looks at the order and whether the program can run on this machine. The program is started when a host
has been forked, so every host, spare ones too, has its own that has loaded the model.
"""

from __future__ import annotations

import contextlib
import os
import stat
import sys
import tempfile
import threading
from typing import Any, Mapping, NoReturn, Sequence

from muster_host import executables, machine
from muster_host.fields import Field, TableBroken
from muster_host.frames import Views
from muster_host.kept_columns import kept_columns
from muster_host.lines import LinesProgram
from muster_host.outputs import Column, reader_of
from muster_host.programs import BinaryProgram, Process, ProgramEnded, ProgramGone
from muster_host.raised import ProgramFailed

#: Exit status of a host whose program has ended or talks nonsense.
PROGRAM_GONE = 72
_LOAD_S = 60.0
_TAIL_BYTES = 4000
_MIB = 1 << 20
#: Heap of a virtual machine where nothing limits the host, and the most that it takes unasked, MiB.
_HEAP_WITHOUT_LIMIT, _MOST_HEAP = 512, 1024
_ENDING_WITHIN_S = 2.0


class ProgramModel:
    """A program behind the face of a loaded model.

    Args:
        order: the load order; its `program` says what is started.

    Raises:
        ProgramFailed: this machine cannot run the program.
        KeyError, TypeError, ValueError: the order cannot be followed.
    """

    def __init__(self, order: Mapping[str, Any]) -> None:
        runtime, program = order["runtime"], order["program"]
        self._bundle = os.path.realpath(order["bundle"])
        self._argv: list[str] = [str(word) for word in program["argv"]]
        self._variables: dict[str, str] = dict(program.get("variables") or {})
        self._environment = str(program.get("environment") or "")
        self._wire: str = program.get("wire") or runtime.get("wire") or "binary"
        self._entry: str = runtime.get("entry") or runtime.get("model") or ""
        self._threads = int(order.get("threads") or 1)
        self._memory_mib: int | None = runtime.get("memory_mib")
        contract = order["contract"]
        self.inputs = [Field(field) for field in contract["inputs"]]
        self.outputs = [Field(field) for field in contract["outputs"]]
        self.about = {"language": str(runtime["kind"]), "toolchain": str(runtime.get("toolchain") or "")}
        if self._wire not in ("binary", "lines"):
            raise ValueError("program.wire is %r; this host knows binary and lines" % self._wire)
        reason = executables.why_not_runnable(self._argv[0])
        if reason is not None:
            raise ProgramFailed(reason)
        _import_numpy()
        self._program: BinaryProgram | LinesProgram
        self._process: Process
        self._is_leaving = False
        self._ending = threading.Lock()

    def enter(self, limits: Mapping[str, Any] | None = None) -> None:
        """Start the program and have it load the model.

        Args:
            limits: what this host has to keep to: `memory_bytes`, `frame_bytes`; and `scratch`, a folder for the program's
                temporary files, which whoever ends the host takes away.

        Raises:
            ProgramFailed: it does not start, cannot load the model, or does not say so within 60 s.
        """
        given = limits or {}
        os.chdir(self._bundle)
        memory_bytes = int(given.get("memory_bytes") or 0)
        memory_mib = self._heap_mib(memory_bytes)
        scratch = str(given.get("scratch") or tempfile.gettempdir())
        argv = [
            word.replace("{memory_mib}", str(memory_mib))
            .replace("{threads}", str(self._threads))
            .replace("{scratch}", scratch)
            for word in self._argv
        ]
        log_begin = _log_bytes()
        lines = self._wire == "lines"
        frame_bytes = int(given.get("frame_bytes") or 1 << 28)
        variables = self._all_variables(memory_bytes)
        if given.get("scratch"):
            variables["TMPDIR"] = str(given["scratch"])
            os.makedirs(variables["TMPDIR"], mode=0o700, exist_ok=True)
        self._process = Process(argv, self._bundle, variables, on_standard=lines)
        try:
            if lines:
                self._program = LinesProgram(
                    self._process, self._document(), _LOAD_S, self.inputs, self.outputs, frame_bytes
                )
            else:
                self._program = BinaryProgram(self._process, self._document(), _LOAD_S, frame_bytes)
        except ProgramFailed as error:
            self._process.kill()
            raise ProgramFailed("the model's program %s: %s%s" % (argv[0], error, _log_tail(log_begin))) from error
        if self.about["language"] == "command":
            self.about["language"] = str(self._program.about.get("language") or "command")
        self._read = reader_of(self.outputs)
        threading.Thread(target=self._watch, name="program-end", daemon=True).start()

    def build(self, rows: int, columns: Sequence[Views]) -> tuple[int, Sequence[Views]]:
        """The table as it came, once it is what the contract says; raises `TableBroken` otherwise."""
        if len(columns) != len(self.inputs):
            raise TableBroken("the table has %d columns; the contract has %d inputs" % (len(columns), len(self.inputs)))
        for field, (data, nulls) in zip(self.inputs, columns):
            field.check(rows, data, nulls)
            if not field.item_bytes:
                field.texts(data, rows * field.elements)
        return rows, columns

    def predict(self, data: tuple[int, Sequence[Views]]) -> Any:
        """What the program answers; `ModelRaised` when it says that the model failed.

        A program that has ended or talks nonsense takes this host with it: whoever asked asks the next one.
        """
        try:
            return self._program.ask(*data)
        except ProgramEnded as error:
            self._end("%s (%s)" % (error, self._process.ending(_ENDING_WITHIN_S)))
        except ProgramGone as error:
            self._end(str(error))

    def read(self, result: Any, rows: int) -> list[Column]:
        """The columns of the contract's outputs; raises `OutputBroken` where they are not that."""
        if self._wire == "lines":
            return self._read(result, rows)
        return kept_columns(self.outputs, rows, result)

    def leave(self) -> None:
        """Tell the program that it may end, and see to it that it does."""
        self._is_leaving = True
        self._program.stop()

    # What the program is told.

    def _document(self) -> dict[str, Any]:
        return {
            "protocol": 1,
            "bundle": self._bundle,
            "environment": self._environment,
            "entry": self._entry,
            "threads": self._threads,
            "inputs": [_described(field) for field in self.inputs],
            "outputs": [_described(field) for field in self.outputs],
        }

    def _all_variables(self, memory_bytes: int) -> dict[str, str]:
        threads = {name: str(self._threads) for name in machine.THREAD_VARIABLES}
        return {
            **os.environ,
            **threads,
            "GOMAXPROCS": str(self._threads),
            **({"GOMEMLIMIT": "%dMiB" % (memory_bytes * 8 // 10 // _MIB)} if memory_bytes else {}),
            "MUSTER_BUNDLE": self._bundle,
            "MUSTER_ENVIRONMENT": self._environment,
            "MUSTER_THREADS": str(self._threads),
            "MUSTER_WIRE": self._wire,
            **self._variables,
        }

    def _heap_mib(self, memory_bytes: int) -> int:
        """What a virtual machine may fill: it needs some of the limit beside its heap."""
        if self._memory_mib:
            return self._memory_mib
        if not memory_bytes:
            return _HEAP_WITHOUT_LIMIT
        return max(16, min(_MOST_HEAP, memory_bytes * 6 // 10 // _MIB))

    # Its end.

    def _watch(self) -> None:
        ending = self._process.ending(None)
        if not self._is_leaving:
            self._end("it ended unasked (%s)" % ending)

    def _end(self, why: str) -> NoReturn:
        """End this host, whatever its threads do; the kernel ends the program with it."""
        with self._ending:  # two threads may notice
            with contextlib.suppress(Exception):  # the log may be full
                print("the model's program is of no use any more: %s" % why, file=sys.stderr, flush=True)  # noqa: T201 - the host's log
            os._exit(PROGRAM_GONE)


def _described(field: Field) -> dict[str, Any]:
    return {
        "name": field.name,
        "datatype": field.datatype,
        "shape": list(field.shape),
        "nullable": field.nullable,
    }


def _import_numpy() -> None:
    """For big answers, in the parent, whose memory all hosts share; with one thread, for a fork does not carry them over."""
    before = {name: os.environ.get(name) for name in machine.THREAD_VARIABLES}
    os.environ.update(dict.fromkeys(before, "1"))
    try:
        with contextlib.suppress(ImportError):
            __import__("numpy")
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _log_bytes() -> int:
    """Length of the log that this process writes to; -1 where that is no file."""
    try:
        status = os.fstat(2)
    except OSError:
        return -1
    return status.st_size if stat.S_ISREG(status.st_mode) else -1


def _log_tail(begin: int) -> str:
    """What has come into the log since then, its end, to be put behind a message."""
    if begin < 0:
        return ""
    try:
        with open("/proc/self/fd/2", "rb") as stream:
            size = os.fstat(stream.fileno()).st_size
            stream.seek(max(min(begin, size), size - _TAIL_BYTES))
            text = stream.read(_TAIL_BYTES).decode("utf-8", "replace").strip()
    except OSError:
        return ""
    return "; its log ends:\n%s" % text if text else ""
