"""Whether people of different groups are treated alike: rates per group and the gaps between them."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from muster.evaluation.tallies import BinaryPredictions


@dataclass(frozen=True, slots=True, kw_only=True)
class GroupRates:
    """What is said of the rows of one group."""

    group: str
    rows: int
    selection: float
    """Share at or above the cut-off."""
    recall: float | None
    """Share of the positive rows that is; None: there are none."""
    false_alarms: float | None
    """Share of the negative rows that is; None: there are none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fairness:
    """Rates of all groups, and the gaps between them."""

    groups: tuple[GroupRates, ...]
    parity_difference: float
    """Demographic parity difference: the highest selection rate less the lowest."""
    parity_ratio: float | None
    """The lowest selection rate as a share of the highest: below four fifths is called adverse impact. None: nobody is selected."""
    odds_difference: float | None
    """Equalised odds difference: the larger of the gaps in recall and in false alarms. None: neither can be compared."""


def fairness(predictions: BinaryPredictions, groups: Sequence[str], min_rows: int = 1) -> Fairness | None:
    """How groups of rows are treated at the cut-off; None: fewer than two groups have enough rows.

    Args:
        predictions: of all rows.
        groups: of each row, its group.
        min_rows: groups with fewer rows are left out: a rate of a handful says nothing.

    Source: Hardt, Price & Srebro, Equality of opportunity in supervised learning, NIPS 2016 (equalised odds);
        Uniform guidelines on employee selection procedures, 29 CFR 1607.4 D (four fifths).
    """
    names = np.array(groups, dtype=object)
    chosen = predictions.scores >= predictions.cutoff
    found = []
    for name in sorted(set(groups)):
        here = names == name
        if here.sum() < min_rows:
            continue
        positive, negative = here & predictions.labels, here & ~predictions.labels
        found.append(
            GroupRates(
                group=name,
                rows=int(here.sum()),
                selection=float(chosen[here].mean()),
                recall=float(chosen[positive].mean()) if positive.any() else None,
                false_alarms=float(chosen[negative].mean()) if negative.any() else None,
            )
        )
    if len(found) < 2:
        return None
    selections = [one.selection for one in found]
    odds = [
        gap
        for gap in (_gap([one.recall for one in found]), _gap([one.false_alarms for one in found]))
        if gap is not None
    ]
    return Fairness(
        groups=tuple(found),
        parity_difference=max(selections) - min(selections),
        parity_ratio=min(selections) / max(selections) if max(selections) else None,
        odds_difference=max(odds) if odds else None,
    )


def _gap(rates: Sequence[float | None]) -> float | None:
    known = [rate for rate in rates if rate is not None]
    return max(known) - min(known) if len(known) > 1 else None
