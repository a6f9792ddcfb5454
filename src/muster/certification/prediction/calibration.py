"""Whether probabilities mean what they say."""

from contextlib import ExitStack
from typing import ClassVar

import msgspec

from muster.certification.checks import Bench, Finding
from muster.certification.prediction import exhibits, judging
from muster.certification.prediction.options import CalibrationOptions
from muster.certification.records import Figure
from muster.evaluation import coarse, curves, cutoffs
from muster.evaluation.tallies import BinaryPredictions
from muster.sessions.records import Measure
from muster.wire.evidence import Grid


class Calibrated:
    """Of the rows that were given a probability, that share comes true."""

    name: ClassVar[str] = "calibration"
    asks: ClassVar[str] = "do its probabilities mean what they say?"
    limit: ClassVar[Figure] = None
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = (
        "Calibrate the model on rows that it was not trained on (isotonic or Platt scaling); class weights and "
        "resampling spoil probabilities."
    )
    Options: ClassVar[type[msgspec.Struct]] = CalibrationOptions

    def is_asked(self, bench: Bench) -> bool:
        """Whether the version was judged, and gives probabilities of two classes."""
        if bench.judgement is None or not isinstance(bench.judgement.predictions, BinaryPredictions):
            return False
        found = bench.judgement.predictions
        return not found.is_hard and bool((found.scores >= 0).all() and (found.scores <= 1).all())

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """The expected calibration error."""
        limit = bench.given(self, CalibrationOptions).max_error
        predictions = judging.binary_of(bench, "calibration")
        over = judging.judged(bench).held.over
        table = cutoffs.table_of(predictions.tally)
        error = curves.calibration_error(table)
        bins = coarse.reliabilities(curves.calibration(table))
        worst = max(bins, key=lambda one: one.rows * abs(one.said - one.came))
        rows = tuple((f"{one.low:g} to {one.high:g}", one.rows, one.said, one.came) for one in bins)
        return Finding(
            passed=limit is None or error <= limit,
            figure=round(error, 6),
            limit=limit,
            detail=(
                f"expected calibration error {error:.4g}; of {worst.rows} rows with {worst.said:.3g} on average, "
                f"{worst.came:.3g} came true"
            ),
            exhibits=(
                exhibits.calibration_curve(bins),
                Grid(title="Tenths of the probability", columns=("probability", "rows", "said", "came"), rows=rows),
            ),
            measures=(Measure(name="ece", version=1, value=error, over=over),),
        )
