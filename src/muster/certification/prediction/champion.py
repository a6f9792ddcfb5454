"""Whether a version is worse than the one in front, beyond doubt."""

from contextlib import ExitStack
from typing import ClassVar

import msgspec
import numpy as np

from muster.certification.checks import Bench, Finding
from muster.certification.confidential import log_apart, told_by_code
from muster.certification.judgement import Judgement, judgement_of
from muster.certification.prediction import asking, exhibits, judging
from muster.certification.prediction.options import ChampionOptions
from muster.certification.records import Figure
from muster.evaluation import bootstrap, coarse, curves, cutoffs, definitions
from muster.evaluation.errors import MetricUndefined
from muster.evaluation.tallies import BinaryPredictions
from muster.packaging.bundle import read_bundle
from muster.packaging.sealed import materialise
from muster.registry.records import Version
from muster.runtimes.host import running_host
from muster.sessions.records import Measure
from muster.wire.evidence import Curve, Exhibit


class AgainstChampion:
    """The version is not worse than the model's champion: of the difference, the whole 95 % interval would have to say so."""

    name: ClassVar[str] = "against-champion"
    asks: ClassVar[str] = "is it worse than the version in front?"
    limit: ClassVar[Figure] = 0.0
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = (
        "Find out on which slices it is worse than the champion, and improve it there; or have the loss accepted with a margin in the "
        "standard, or a waiver."
    )
    Options: ClassVar[type[msgspec.Struct]] = ChampionOptions

    def is_asked(self, bench: Bench) -> bool:
        """Whether the version can be judged, and another version of the model is in front."""
        return judging.can_be_judged(bench) and _other(bench) is not None

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - the champion's host ends here
        """By how much it is worse at least: the end of the interval that is kindest to it, below zero where it may be better."""
        margin = bench.given(self, ChampionOptions).margin
        judging.claimed(bench)  # with a champion or without: what cannot be judged cannot be said to be as good
        champion = _other(bench)
        if champion is None:
            return Finding(passed=True, figure=0.0, limit=margin, detail="there is no champion to be compared with")
        found = judging.judged(bench)
        other = _answers_of(bench, champion, found)
        metric = judging.primary(bench, found)
        both = np.intersect1d(found.places, other.places)
        mine, theirs = _common(found, both), _common(other, both)
        seed = bootstrap.seed_of(bench.version.digest, champion.digest, found.held.digest)
        gain = bootstrap.paired(metric, mine, theirs, seed)
        ours, its = definitions.value(metric, mine), definitions.value(metric, theirs)
        loss = -gain.high
        detail = (
            f"{metric.name} is {ours:.4g}, of {champion.name} {its:.4g}: better by {gain.value:.4g} "
            f"({gain.low:.4g} to {gain.high:.4g}, {gain.resamples} resamples of {len(both)} rows)"
        )
        return Finding(
            passed=loss <= margin,
            figure=round(loss, 6),
            limit=margin,
            detail=detail,
            figures={"gain": gain.value, "gain_low": gain.low, "gain_high": gain.high, "rows": float(len(both))},
            exhibits=_exhibits(metric.name, champion, (ours, its), mine, theirs),
            measures=(
                Measure(
                    name=f"gain:{metric.name}", version=metric.version, value=gain.value, low=gain.low, high=gain.high,
                    over=found.held.over,
                ),
            ),
        )  # fmt: skip


def _other(bench: Bench) -> Version | None:
    champion = bench.champion
    return None if champion is None or champion.digest == bench.version.digest else champion


def _answers_of(bench: Bench, champion: Version, found: Judgement) -> Judgement:
    """The champion, judged as the version is: by its kept answers, or asked on a host of its own."""
    evaluation, claim = judging.claimed(bench)
    rows = evaluation.rows(champion.contract)
    folder = materialise(champion.digest, bench.blobs, bench.bundles)
    bundle = read_bundle(folder)
    environment = bench.environments.ensure(folder, bundle, bench.say)
    kept = evaluation.sets.answers(champion.digest, found.held, environment.id)
    if kept is not None:
        answers = asking.read(kept, champion.contract)
    else:
        bench.say(f"{found.held.rows} rows are asked of {champion.name}, the champion")
        with (
            environment.held(),
            log_apart(bench.scratch) as log,
            running_host(
                environment,
                folder,
                environment.order(folder, bundle),
                log,
                limits=bench.host_limits,
                load_timeout_s=bench.options.load_limit_s,
                answer_timeout_s=bench.options.answer_limit_s,
            ) as channel,
            told_by_code(),
        ):
            answers = asking.answers_of(channel, champion.contract, rows.inputs)
        judging.keep_answers(evaluation, champion.digest, environment.id, answers)
    said = champion.contract.output(claim.output) if claim.output else None
    its = claim if said is not None or bundle.prediction is None else bundle.prediction
    return judgement_of(
        msgspec.structs.replace(claim, output=its.output),
        champion.contract,
        found.held,
        rows,
        answers,
        judging.options_of(bench).cutoff,
    )


def _common(found: Judgement, places: np.ndarray) -> definitions.Predictions:
    return found.predictions.taken(np.isin(found.places, places))


def _exhibits(
    name: str,
    champion: Version,
    values: tuple[float, float],
    mine: definitions.Predictions,
    theirs: definitions.Predictions,
) -> tuple[Exhibit, ...]:
    labels = ("version", f"champion {champion.name}")
    shown: list[Exhibit] = [
        exhibits.bars(
            "Version and champion",
            name,
            [(label, value, value, value) for label, value in zip(labels, values, strict=True)],
        )
    ]
    if isinstance(mine, BinaryPredictions) and isinstance(theirs, BinaryPredictions):
        try:
            lines = tuple(
                exhibits.series(label, curves.roc(coarse.cutoffs(cutoffs.table_of(one.tally))))
                for label, one in zip(labels, (mine, theirs), strict=True)
            )
        except MetricUndefined:
            return tuple(shown)
        shown.append(
            Curve(
                title="ROC curves",
                x="false alarms (share of negatives)",
                y="recall (share of positives)",
                series=lines,
                diagonal=True,
            )
        )
    return tuple(shown)
