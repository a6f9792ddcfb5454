"""How much a model leans on each of its inputs: permutation importance."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Order = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True)
class Importance:
    """Of one input."""

    name: str
    loss: float
    """By how much the primary metric is worse when the input's values are shuffled, mean over the repeats."""
    low: float
    """The least of the repeats."""
    high: float
    """The most of the repeats."""


def shuffles(names: Sequence[str], rows: int, repeats: int, seed: int) -> Iterator[tuple[str, Order]]:
    """For each input and repeat, the rows from which its values are taken."""
    for place, name in enumerate(names):
        for turn in range(repeats):
            yield name, np.random.default_rng((seed, place, turn)).permutation(rows)


def importances(
    names: Sequence[str], rows: int, repeats: int, seed: int, loses: Callable[[str, Order], float]
) -> tuple[Importance, ...]:
    """The importance of each input, the most important first.

    Args:
        names: of the inputs.
        rows: how many rows are shuffled.
        repeats: how often each.
        seed: of the shuffles.
        loses: by how much the metric is worse with the values of an input taken from other rows.

    Source: Breiman, Random forests, Machine Learning 45 (2001), section 10; Fisher, Rudin & Dominici, JMLR 20 (2019).
    """
    lost: dict[str, list[float]] = {name: [] for name in names}
    for name, order in shuffles(names, rows, repeats, seed):
        lost[name].append(loses(name, order))
    found = (
        Importance(name=name, loss=float(np.mean(values)), low=min(values), high=max(values))
        for name, values in lost.items()
    )
    return tuple(sorted(found, key=lambda one: (-one.loss, one.name)))
