"""The one table that is kept of scores and labels: what each cut-off does; curves are derived from it and from nothing else."""

import numpy as np
import numpy.typing as npt

from muster.evaluation.tallies import Floats, Tally
from muster.wire.evaluations import CutoffTable

#: Of a kept table.
MOST_ROWS = 1000
#: Bins of calibration, of equal width; their edges are cut-offs that are always kept, so calibration is exact.
BINS = 10


def table_of(tally: Tally, most: int = MOST_ROWS) -> CutoffTable:
    """What every cut-off does; of more distinct scores than `most`, cut-offs at even ranks of the population.

    Each kept row is exact. Always kept: both ends, the tally's own cut-off, a half, and, of probabilities, the edges of calibration.
    """
    selected = np.cumsum(tally.positives + tally.negatives)
    kept = _kept(tally, selected, most)
    found, wrong = np.cumsum(tally.positives), np.cumsum(tally.negatives)
    mass = np.cumsum(tally.scores * (tally.positives + tally.negatives))
    return CutoffTable(
        population=int(tally.population),
        positives=int(tally.positive),
        distinct=len(tally.scores),
        cutoff=tally.cutoff,
        cutoffs=_told(tally.scores[kept]),
        true_positives=_whole(found[kept]),
        false_positives=_whole(wrong[kept]),
        false_negatives=_whole(tally.positive - found[kept]),
        true_negatives=_whole(tally.negative - wrong[kept]),
        score_sums=_told(mass[kept]),
    )


def _kept(tally: Tally, selected: Floats, most: int) -> npt.NDArray[np.intp]:
    size = len(tally.scores)
    if size <= most:
        return np.arange(size)
    edges = [tally.cutoff, 0.5, *(step / BINS for step in range(1, BINS))]
    # The lowest score at or above an edge: everything above the edge, and nothing below, is at or above it.
    at = [int(np.searchsorted(-tally.scores, -edge, side="right")) - 1 for edge in edges]
    forced = {0, size - 1, *(place for place in at if place >= 0)}
    ranks = np.linspace(1, tally.population, most - len(forced))
    even = np.searchsorted(selected, ranks, side="left")
    return np.array(sorted(forced | set(even.tolist())))


def _told(numbers: Floats) -> tuple[float, ...]:
    return tuple(float(number) for number in numbers)


def _whole(numbers: Floats) -> tuple[int, ...]:
    return tuple(round(number) for number in numbers.tolist())
