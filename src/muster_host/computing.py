"""One batch of requests through one model: together, and request by request where that goes wrong."""

from __future__ import annotations

import contextlib
import sys
import time
import traceback
from typing import Sequence

from muster_host.fields import TableBroken
from muster_host.frames import Errors, Views
from muster_host.loading import Served
from muster_host.outputs import Column, join
from muster_host.promises import OutputBroken
from muster_host.raised import ModelRaised

_LONGEST_MESSAGE = 2000
_TRACEBACKS_PER_MINUTE = 6


class Computed:
    """What came of a batch, ready for an ANSWER frame."""

    __slots__ = ("alone", "columns", "compute_ns", "errors", "rows", "statuses")

    def __init__(
        self, *, statuses: bytes, compute_ns: int, errors: Errors, rows: int, columns: list[Column], alone: bool
    ) -> None:
        self.statuses = statuses
        self.compute_ns = compute_ns
        self.errors = errors
        self.rows = rows
        self.columns = columns
        self.alone = alone


class Computer:
    """Calls one model; every failure of the model is an answer about its request, never the end of the host.

    Args:
        model: what to call.
    """

    def __init__(self, model: Served) -> None:
        self._model = model
        self._traceback_minute = 0
        self._tracebacks = 0
        #: The model has met a MemoryError; whoever acts upon it takes the mark away.
        self.ran_out_of_memory = False
        self.batches = 0
        self.rows = 0
        self.requests = 0
        self.failed_requests = 0
        self.compute_ns = 0

    def compute(self, request_rows: Sequence[int], rows: int, columns: Sequence[Views]) -> Computed:
        """Compute a batch.

        Raises:
            TableBroken: the columns are not the contract's inputs.
        """
        begun = time.perf_counter_ns()
        try:
            computed = Computed(
                statuses=bytes(len(request_rows)),
                compute_ns=0,
                errors={},
                rows=rows,
                columns=self._call(rows, columns),
                alone=False,
            )
        except TableBroken:
            raise
        except BaseException as error:  # a model may call sys.exit, too
            is_alone = len(request_rows) == 1
            computed = self._failed(self._explained(error)) if is_alone else self._one_by_one(request_rows, columns)
        computed.compute_ns = time.perf_counter_ns() - begun
        self.batches += 1
        self.requests += len(request_rows)
        self.rows += rows
        self.failed_requests += len(computed.errors)
        self.compute_ns += computed.compute_ns
        return computed

    def _call(self, rows: int, columns: Sequence[Views]) -> list[Column]:
        model = self._model
        return model.read(model.predict(model.build(rows, columns)), rows)

    def _failed(self, error: dict[str, str]) -> Computed:
        nothing: list[Column] = [(b"", None)] * len(self._model.outputs)
        return Computed(statuses=b"\1", compute_ns=0, errors={0: error}, rows=0, columns=nothing, alone=False)

    def _one_by_one(self, request_rows: Sequence[int], columns: Sequence[Views]) -> Computed:
        statuses = bytearray(len(request_rows))
        errors: Errors = {}
        answered: list[list[Column]] = []
        counts: list[int] = []
        begin = 0
        offsets = [0] * len(columns)
        for index, count in enumerate(request_rows):
            try:
                part = self._cut(columns, offsets, begin, count)
                answered.append(self._call(count, part))
                counts.append(count)
            except BaseException as error:  # a model may call sys.exit, too
                statuses[index] = 1
                errors[index] = self._explained(error)
            begin += count
        joined = [
            join([of_request[place] for of_request in answered], counts) for place in range(len(self._model.outputs))
        ]
        return Computed(
            statuses=bytes(statuses), compute_ns=0, errors=errors, rows=sum(counts), columns=joined, alone=True
        )

    def _cut(self, columns: Sequence[Views], offsets: list[int], begin: int, rows: int) -> list[Views]:
        """One request's part of every column; `offsets` remembers where the next one begins."""
        part: list[Views] = []
        for place, (field, (data, nulls)) in enumerate(zip(self._model.inputs, columns)):
            end = field.end_of_rows(data, offsets[place], rows)
            part.append((data[offsets[place] : end], None if nulls is None else nulls[begin : begin + rows]))
            offsets[place] = end
        return part

    def _explained(self, error: BaseException) -> dict[str, str]:
        if isinstance(error, MemoryError):
            self.ran_out_of_memory = True
        if isinstance(error, OutputBroken):
            return {"code": "output-broken", "message": str(error)[:_LONGEST_MESSAGE]}
        self._log(error)
        if isinstance(error, ModelRaised):
            return {"code": "model-raised", "message": str(error)[:_LONGEST_MESSAGE]}
        try:
            said = str(error)
        except Exception:  # even this is the model's own code
            said = ""
        name = type(error).__name__
        return {"code": "model-raised", "message": ("%s: %s" % (name, said) if said else name)[:_LONGEST_MESSAGE]}

    def _log(self, error: BaseException) -> None:
        """Print where it happened, but not for every request of a model that always fails."""
        minute = int(time.monotonic() // 60)
        if minute != self._traceback_minute:
            self._traceback_minute, self._tracebacks = minute, 0
        self._tracebacks += 1
        if self._tracebacks <= _TRACEBACKS_PER_MINUTE:
            with contextlib.suppress(Exception):  # printing calls the model's code, and the log may be full
                if isinstance(error, ModelRaised):  # where it happened is not to be found on this side
                    print("the model failed: %s" % error, file=sys.stderr)  # noqa: T201 - the host's log
                else:
                    traceback.print_exception(type(error), error, error.__traceback__)
                if self._tracebacks == _TRACEBACKS_PER_MINUTE:
                    print("further tracebacks of this minute are left out", file=sys.stderr)  # noqa: T201 - the host's log
