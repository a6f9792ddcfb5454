"""Metrics of rankings: rows of one query, ordered by score."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from muster.evaluation.errors import MetricUndefined, PredictionsUnusable
from muster.evaluation.metric import Better, metric
from muster.evaluation.tallies import Floats, Whole, require_alike, require_finite

#: How many places of a ranking are looked at.
DEPTH = 10


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedPredictions:
    """Rows of queries with how relevant each is and how it was scored."""

    relevance: Floats
    """0: not relevant; the higher, the more."""
    scores: Floats
    groups: Whole
    """Of each row, the number of its query."""

    def __post_init__(self) -> None:
        """Refuses what is no number.

        Raises:
            PredictionsUnusable: one is NaN, infinite or a relevance below zero, or the numbers of rows differ.
        """
        require_alike(self.relevance, self.scores)
        require_alike(self.relevance, self.groups)
        require_finite("labels", self.relevance)
        require_finite("scores", self.scores)
        if self.relevance.min() < 0:
            raise PredictionsUnusable(f"a relevance is {self.relevance.min():g}; it is 0 or more")

    @property
    def rows(self) -> int:
        """How many rows there are."""
        return len(self.relevance)

    def taken(self, rows: npt.NDArray[Any]) -> "RankedPredictions":
        """The rows at these places, or under this mask."""
        return RankedPredictions(relevance=self.relevance[rows], scores=self.scores[rows], groups=self.groups[rows])

    def queries(self) -> list[tuple[Floats, Floats]]:
        """Relevance and scores of each query that has a relevant row; of the others no ranking is better than another."""
        order = np.argsort(self.groups, kind="stable")
        starts = np.flatnonzero(np.diff(self.groups[order])) + 1
        parts = np.split(order, starts)
        return [(self.relevance[part], self.scores[part]) for part in parts if self.relevance[part].any()]


@metric(f"ndcg@{DEPTH}", Better.HIGHER)
def ndcg(judged: RankedPredictions) -> float:
    """Mean over queries of the discounted relevance of the first ten rows, as a share of the best possible.

    The discount of place i is 1 / log2(i + 1), the gain the relevance itself; rows of one score share their places' discounts.

    Source: Järvelin & Kekäläinen, Cumulated gain-based evaluation of IR techniques, TOIS 20 (2002); ties as McSherry & Najork, ECIR 2008.
    """
    return _mean(f"ndcg@{DEPTH}", judged, _ndcg_of)


@metric(f"map@{DEPTH}", Better.HIGHER)
def mean_average_precision(judged: RankedPredictions) -> float:
    """Mean over queries of the average precision within the first ten rows; of rows of one score the irrelevant come first.

    Source: Manning, Raghavan & Schütze, Introduction to information retrieval (2008), section 8.4, cut at ten places.
    """
    return _mean(f"map@{DEPTH}", judged, _average_precision_of)


@metric("mrr", Better.HIGHER)
def mrr(judged: RankedPredictions) -> float:
    """Mean over queries of 1 / the place of the first relevant row; of rows of one score the irrelevant come first.

    Source: Voorhees, The TREC-8 question answering track report (1999).
    """
    return _mean("mrr", judged, _reciprocal_rank_of)


def _mean(name: str, judged: RankedPredictions, of_query: Callable[[Floats, Floats], float]) -> float:
    found = per_query(judged, of_query)
    if not len(found):
        raise MetricUndefined(f"{name} is not defined: no query has a relevant row", metric=name)
    return float(found.mean())


def per_query(judged: RankedPredictions, of_query: Callable[[Floats, Floats], float]) -> Floats:
    """A figure of each query that has a relevant row."""
    return np.array([of_query(relevance, scores) for relevance, scores in judged.queries()])


def _ndcg_of(relevance: Floats, scores: Floats) -> float:
    discounts = 1 / np.log2(np.arange(len(relevance)) + 2)
    discounts[DEPTH:] = 0
    _, places, counts = np.unique(-scores, return_inverse=True, return_counts=True)
    gains = np.bincount(places.reshape(-1), weights=relevance) / counts  # mean relevance of each score
    ends = np.concatenate([[0.0], np.cumsum(discounts)])
    upto = np.cumsum(counts)
    shared = ends[upto] - ends[upto - counts]
    best = float((np.sort(relevance)[::-1] * discounts).sum())
    return float((gains * shared).sum()) / best


def _hits(relevance: Floats, scores: Floats) -> Floats:
    """Which places are relevant, the first first; of one score the irrelevant stand before the relevant."""
    return (relevance[np.lexsort((relevance > 0, -scores))] > 0).astype(np.float64)


def _average_precision_of(relevance: Floats, scores: Floats) -> float:
    hits = _hits(relevance, scores)
    most = min(DEPTH, int(hits.sum()))
    hits = hits[:DEPTH]
    precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
    return float((precision * hits).sum()) / most


def _reciprocal_rank_of(relevance: Floats, scores: Floats) -> float:
    return 1 / (int(_hits(relevance, scores).argmax()) + 1)


METRICS = (ndcg, mean_average_precision, mrr)
