"""All cases of the kit, in the order in which they are put."""

from muster.runtimes.conformance.batch_cases import BatchIsSingles, BigBatch, EmptyBatch, Neighbours
from muster.runtimes.conformance.behaviour_cases import (
    AnswersInTime,
    Exits,
    MemoryLimit,
    Prints,
    Raises,
    StopsWhileBusy,
    SurvivesPeer,
    WrongTables,
)
from muster.runtimes.conformance.kit import Case
from muster.runtimes.conformance.value_cases import Datatypes, FloatBits, GoldenRows, Integers64, Nulls, Unicode

CASES: tuple[Case, ...] = (
    GoldenRows(), Datatypes(), Nulls(), Unicode(), Integers64(), FloatBits(), EmptyBatch(), BatchIsSingles(), Neighbours(),
    BigBatch(), WrongTables(), Raises(), Prints(), AnswersInTime(), SurvivesPeer(), MemoryLimit(), Exits(), StopsWhileBusy(),
)  # fmt: skip
#: What certification asks besides its own questions: nothing that draws values or takes minutes, and what stops the host last.
CERTIFIED: tuple[Case, ...] = (EmptyBatch(), BatchIsSingles(), SurvivesPeer(), StopsWhileBusy())
