"""The hunt for rows on which a model fails: Hypothesis makes batches, the host answers, each answer is judged by the contract.

What fails is made smaller by Hypothesis until the simplest row of its kind is left. The same seed hunts the same way.
"""

import time
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, field
from itertools import count

from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis import strategies as st

from muster.certification.generated import Row
from muster.certification.reaches import Reach
from muster.packaging.columns import Table, array_of
from muster.packaging.field_checks import FieldBroken, FieldCheck
from muster.runtimes.channel import Answer
from muster.runtimes.conformance.tables import outputs_of
from muster.vocabulary.tensors import FLOATS
from muster.wire.contracts import Contract

#: Kinds of failure that are told; a model that fails in more ways is not served by a longer list.
MOST_KINDS = 5
#: What a host says of a row that it has no answer to; docs/reference/host-protocol.md.
CLEAN = frozenset({"model-raised", "output-broken"})
HOST_DIED, NO_ANSWER = "host-died", "no-answer"
_SHOWN = 200
_NAME = 60
#: Rows that are asked in one batch while none is drawn.
_AT_ONCE = 50
#: The least that is put to every model, however slow it is: single rows, and batches that are drawn.
LEAST_SINGLES, LEAST_BATCHES = 300, 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Ended:
    """There was no answer at all."""

    kind: str
    """`HOST_DIED` or `NO_ANSWER`."""
    told: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """A row on which the model failed."""

    kind: str
    """Two failures of one kind are one: `model-raised, KeyError, unseen`."""
    told: str
    row: Row

    @property
    def cause(self) -> str:
        """What went wrong, wherever: `model-raised, KeyError`."""
        return self.kind.removesuffix(f", {self.row.farthest}")


@dataclass(slots=True)
class Haul:
    """What a hunt has come to."""

    batches: int = 0
    asked: Counter[Reach] = field(default_factory=Counter)
    """Rows, by how far they reach."""
    refused: Counter[Reach] = field(default_factory=Counter)
    """Rows that got a clean error where one is an answer, too."""
    found: dict[str, Failure] = field(default_factory=dict)
    """The simplest failure of each kind."""
    was_cut: bool = False
    """The time was up before all batches were put."""
    is_short: bool = False
    """The longest time was up before the least was put, and nothing was found: it has not been tried."""

    @property
    def failures(self) -> tuple[Failure, ...]:
        """The simplest of each kind, in the order in which the kinds were found.

        A row that fails for a field that fails in the same way by itself is no failure of its own.
        """
        found = list(self.found.values())
        return tuple(one for one in found if not any(_is_part_of(other, one) for other in found if other is not one))

    @property
    def rows(self) -> int:
        """How many rows were asked."""
        return self.asked.total()

    def keep(self, failure: Failure) -> bool:
        """Remember a failure if it is the simplest of its kind; whether its kind is one of those that are told."""
        known = self.found.get(failure.kind)
        causes = {one.cause for one in self.found.values()}
        if failure.cause not in causes and len(causes) >= MOST_KINDS:
            return False
        if known is None or failure.row.size < known.row.size:
            self.found[failure.kind] = failure
        return True


def _is_part_of(one: Failure, other: Failure) -> bool:
    """Whether one fails as the other does, and by a simpler change of the same fields or of fewer."""
    if one.cause != other.cause or not one.row.changes.keys() <= other.row.changes.keys():
        return False
    is_same = one.row.changes == other.row.changes
    return len(one.row.changes) < len(other.row.changes) or (is_same and one.kind < other.kind)


#: Asks a host about rows, each a request of its own.
Asks = Callable[[Sequence[Row]], Answer | Ended]


def hunt(
    singles: Sequence[Row],
    batches: st.SearchStrategy[tuple[Row, ...]],
    asks: Asks,
    contract: Contract,
    *,
    must_answer: Collection[Reach],
    number: int,
    examples: int,
    seconds: float,
    longest: float,
) -> Haul:
    """Put generated batches to a host, and make what fails smaller.

    Args:
        singles: rows that are asked before any is drawn; the first `LEAST_SINGLES` of them are put to every model.
        batches: what is drawn from.
        asks: the host.
        contract: of the model.
        must_answer: reaches in which an error is a failure.
        number: seed of what is drawn.
        examples: how many batches are put, beside those that make a failure smaller.
        seconds: after that time no more are put than the least.
        longest: after that time none are put. A model that takes so long has not been tried.
    """
    haul = Haul()
    begun = time.monotonic()
    signals: dict[str, type[Exception]] = {}

    def kept(batch: Sequence[Row], *, is_needed: bool) -> list[Failure]:
        is_needed = is_needed and not haul.found  # it has failed already, and what is left makes it clearer at most
        if time.monotonic() - begun > (max(seconds, longest) if is_needed else seconds):
            haul.was_cut = True
            haul.is_short = haul.is_short or is_needed
            return []
        haul.batches += 1
        haul.asked.update(row.farthest for row in batch)
        found = _tried(batch, asks, contract, must_answer, haul)
        return [failure for failure in found if haul.keep(failure)]

    for start in range(0, len(singles), _AT_ONCE):
        kept(singles[start : start + _AT_ONCE], is_needed=start < LEAST_SINGLES)
    drawn = count()

    @settings(
        max_examples=examples,
        database=None,
        deadline=None,
        derandomize=False,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
        verbosity=Verbosity.quiet,
        print_blob=False,
    )
    @seed(number)
    @given(batches)
    def put(batch: tuple[Row, ...]) -> None:
        found = kept(batch, is_needed=next(drawn) < LEAST_BATCHES)
        if found:  # an exception of its own class per kind: Hypothesis makes each kind smaller by itself
            raise signals.setdefault(found[0].kind, type("Failed", (Exception,), {}))(found[0].kind)

    try:
        put()
    except Exception:
        # What was raised, and whether it could be raised again, is known already: a model that answers by chance, or a
        # hunt whose time is up, is `Flaky` to Hypothesis and a failure here all the same.
        if not haul.found:
            raise
    if not haul.was_cut:
        trimmed = {kind: _trimmed(failure, asks, contract, must_answer) for kind, failure in haul.found.items()}
        haul.found = trimmed
    return haul


def _trimmed(failure: Failure, asks: Asks, contract: Contract, must_answer: Collection[Reach]) -> Failure:
    """The failure without the changes that it does not need: Hypothesis makes values simple, but does not know that fields are apart."""
    for name in failure.row.changes if len(failure.row.changes) > 1 else ():
        fewer = _tried([failure.row.without(name)], asks, contract, must_answer, Haul())
        failure = next((one for one in fewer if one.cause == failure.cause), failure)
    return failure


def _tried(
    batch: Sequence[Row], asks: Asks, contract: Contract, must_answer: Collection[Reach], haul: Haul
) -> list[Failure]:
    """The failures of one batch; where the host ended, of its rows one by one, up to the first that it hangs over."""
    answer = asks(batch)
    if isinstance(answer, Answer):
        return _judged(answer, batch, contract, must_answer, haul)
    found: list[Failure] = []
    for row in batch if len(batch) > 1 else ():
        alone = asks([row])
        if isinstance(alone, Answer):
            found += _judged(alone, [row], contract, must_answer, haul)
            continue
        found.append(Failure(kind=alone.kind, told=alone.told, row=row))
        if alone.kind == NO_ANSWER:  # each costs the time of an answer
            return found
    is_known = any(failure.kind == answer.kind for failure in found)
    return found if is_known else [*found, Failure(kind=answer.kind, told=answer.told, row=batch[0])]


def _judged(
    answer: Answer, batch: Sequence[Row], contract: Contract, must_answer: Collection[Reach], haul: Haul
) -> list[Failure]:
    found = []
    for at, error in answer.errors.items():
        row = batch[at]
        if error.code in CLEAN and not row.reaches <= set(must_answer):
            haul.refused[row.farthest] += 1
            continue
        name = error.message.partition(":")[0] if error.code == "model-raised" else ""
        kind = ", ".join(part for part in (error.code, name[:_NAME], row.farthest) if part)
        found.append(Failure(kind=kind, told=f"{error.code}: {error.message[:_SHOWN]}", row=row))
    answered = [row for at, row in enumerate(batch) if at not in answer.errors]
    broken = beyond_contract(answer, contract)
    if broken is not None:
        at, told = broken
        found.append(Failure(kind=f"answer-broken, {told.partition(':')[0]}", told=told, row=answered[at]))
    return found


def beyond_contract(answer: Answer, contract: Contract) -> tuple[int, str] | None:
    """The first answered row whose answer the contract does not allow, and why; None where all are allowed.

    A host holds its model to the contract already; this holds the host to it.
    """
    try:
        outputs = outputs_of(answer, contract)
        for output in contract.outputs:
            FieldCheck(output).check_column(outputs.columns[output.name])
            _require_finite(outputs, output.name, nullable=output.nullable)
    except FieldBroken as broken:
        return broken.row or 0, f"output {output.name!r}: {broken.value!r}, expected {broken.expected}"
    except ValueError as error:  # text that is no UTF-8, a column with too few bytes
        return 0, f"the answer cannot be read: {error}"
    return None


def _require_finite(outputs: Table, name: str, *, nullable: bool) -> None:
    column = outputs.columns[name]
    values = array_of(column)
    if len(values) != outputs.rows:
        raise ValueError(f"output {name!r} has {len(values)} rows of {outputs.rows}")
    if column.datatype not in FLOATS:
        return
    for row, value in enumerate(values.reshape(len(values), -1).tolist() if len(values) else ()):
        for one in value:
            is_nan = one != one  # noqa: PLR0124  # NaN is the only value that differs from itself
            if one in {float("inf"), float("-inf")} or (is_nan and not nullable):
                raise FieldBroken(row, one, "a finite number")
