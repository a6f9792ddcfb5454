"""Whether labels are such as the task is judged by: a set that is sealed stays for ever, so what makes no sense is refused before."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

from muster.evaluation_sets.errors import EvaluationSetUnfit
from muster.evaluation_sets.rows import EvaluationRows
from muster.packaging.claims import Prediction
from muster.vocabulary.tensors import FLOATS
from muster.wire.contracts import Contract, Field

_TWO = 2
_SHOWN = 5


def require_sensible(rows: EvaluationRows, claim: Prediction, contract: Contract) -> None:
    """Refuses labels by which no answer of the version could be judged.

    Args:
        rows: that are to be sealed.
        claim: what the newest version says that it predicts, of this very label.
        contract: of that version.

    Raises:
        EvaluationSetUnfit: one class where there are two, an unknown class, no number, a negative count.
    """
    for problem in _problems(rows, claim, contract):
        told = f"the label {rows.label_name[:80]!r} {problem}; [prediction] says task = {claim.task!r}"
        raise EvaluationSetUnfit(told, column=rows.label_name)
    if claim.group:
        rows.values(claim.group)


def word_of(value: Any) -> str:
    """A value as classes, groups and slices are named: `1` for 1, 1.0; `true` for True."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, float) and value.is_integer() and abs(value) < 2**53:
        return str(int(value))
    return str(value)


def _problems(rows: EvaluationRows, claim: Prediction, contract: Contract) -> Iterator[str]:
    labels = rows.labels
    output = contract.output(claim.output) if claim.output else contract.outputs[0]
    broken = next((row for row, label in enumerate(labels) if _is_no_number(label)), None)
    if broken is not None:
        yield f"is {labels[broken]} in row {broken}, and no finite number"
    if claim.task == "binary":
        yield from _binary(claim, labels)
    elif claim.task == "multiclass":
        yield from _classes(output, labels)
    else:
        yield from _numbers(claim, labels)


def _is_no_number(label: Any) -> bool:
    return isinstance(label, float) and not math.isfinite(label)


def _binary(claim: Prediction, labels: Sequence[Any]) -> Iterator[str]:
    different = set(labels)
    if len(different) != _TWO:
        yield f"has {_counted(different)}, and two are needed"
    elif claim.positive is not None and claim.positive not in different:
        yield f"has {_counted(different)}, and none is the positive one, {claim.positive!r}"


def _classes(output: Field | None, labels: Sequence[Any]) -> Iterator[str]:
    words = {word_of(label) for label in labels}
    if len(words) < _TWO:
        yield f"has {_counted(words)}, and two are needed at least"
    if output is None:
        return
    known = output.labels or (None if output.declared is None else output.declared.categories)
    unknown = sorted(words - {word_of(one) for one in known}) if known else []
    if unknown:
        yield f"is {unknown[0][:80]!r} in a row, which is none of the classes of {output.name!r}"
    scores = output.shape[0] if len(output.shape) == 1 and output.datatype in FLOATS else None
    if not known and scores is not None and len(words) != scores:
        yield f"has {_counted(words)}, and {output.name!r} has {scores} places, whose classes nobody names"


def _numbers(claim: Prediction, labels: Sequence[Any]) -> Iterator[str]:
    text = next((row for row, label in enumerate(labels) if isinstance(label, str)), None)
    if text is not None:
        yield f"is text in row {text}, and a number is needed"
        return
    negative = next((row for row, label in enumerate(labels) if label < 0), None)
    if claim.task in ("counts", "ranking") and negative is not None:
        yield f"is {labels[negative]} in row {negative}, and 0 or more is needed"
    if claim.task == "ranking" and not any(labels):
        yield "is 0 in every row, so that no order is better than another"


def _counted(different: set[Any]) -> str:
    shown = ", ".join(sorted(word_of(one)[:40] for one in different)[:_SHOWN])
    more = ", …" if len(different) > _SHOWN else ""
    return f"{len(different)} value{'' if len(different) == 1 else 's'} ({shown}{more})"
