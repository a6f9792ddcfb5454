"""The ML Test Score: 28 tests in four sections, each judged by what is on record.

A test counts 1 where the factory runs it by itself, time and again, and it came out well for the version; 0.5 where people have
declared that they did it by hand, and where its results can be read; 0 otherwise. A section is worth the sum of its seven tests, the
model the least of its four sections. What a test asks and what the factory can see of it are told apart: where it sees nothing, no
fact stands in for it.

Source: Breck, Cai, Nielsen, Salib, Sculley, "The ML Test Score: A Rubric for ML Production Readiness and Technical Debt Reduction",
IEEE International Conference on Big Data (2017): tables I to IV, section VI.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal, NamedTuple

from muster.certification.prediction.fairness import COMPARED
from muster.certification.prediction.slices import JUDGED
from muster.dossiers import rubric_facts as facts
from muster.dossiers.records import Dossier
from muster.vocabulary.clock import rfc3339
from muster.wire.reports import SCORE_FORMAT, ScoredSection, ScoredTest, TestScore

SectionName = Literal["data", "model", "infrastructure", "monitoring"]
_AUTOMATIC, _DECLARED = 1.0, 0.5


class Found(NamedTuple):
    """What the records say of a test."""

    is_met: bool
    told: str
    """The fact that meets it, or what is missing."""


@dataclass(frozen=True, slots=True)
class Test:
    """One of the tests."""

    title: str
    judge: Callable[[Dossier], Found]


def _nothing(missing: str) -> Callable[[Dossier], Found]:
    """A test of which the factory sees nothing; people can declare it."""
    return lambda _dossier: Found(is_met=False, told=missing)


def _check(name: str, met: str, missing: str, *, counted: str, none: str) -> Callable[[Dossier], Found]:
    """A test that a check of certification is, where it had something to judge: the figure that counts that is above 0."""

    def judge(dossier: Dossier) -> Found:
        if dossier.passed(name):
            is_met = dossier.figures(name).get(counted, 0) > 0
            return Found(is_met=is_met, told=f"{met if is_met else none} (check {name})")
        if name in dossier.checks:
            return Found(is_met=False, told=f"the check {name} failed")
        return Found(is_met=False, told=missing)

    return judge


def _of(fact: Callable[[Dossier], tuple[bool, str]]) -> Callable[[Dossier], Found]:
    return lambda dossier: Found(*fact(dossier))


RUBRIC: dict[SectionName, tuple[Test, ...]] = {
    "data": (
        Test("Feature expectations are captured in a schema", _of(facts.schema)),
        Test("All features are beneficial", _of(facts.beneficial)),
        Test(
            "No feature's cost is too much",
            _nothing("the factory sees what a row costs, not what each feature costs to bring; declare what you found"),
        ),
        Test(
            "Features adhere to meta-level requirements",
            _nothing("no rule says which features are allowed; declare who has looked, and by which rules"),
        ),
        Test("The data pipeline has appropriate privacy controls", _of(facts.privacy)),
        Test(
            "New features can be added quickly",
            _nothing(
                "the factory sees a version from its registration on, not the work before; declare how long it takes"
            ),
        ),
        Test("All input feature code is tested", _of(facts.feature_code)),
    ),
    "model": (
        Test("Model specs are reviewed and submitted", _of(facts.reviewed)),
        Test(
            "Offline and online metrics correlate",
            _nothing(
                "no live outcome comes back to the factory to hold its metrics against; declare the study that does"
            ),
        ),
        Test(
            "All hyperparameters have been tuned",
            _nothing("tuning happens in the lab; declare how it was done, with its results"),
        ),
        Test("The impact of model staleness is known", _of(facts.staleness)),
        Test("A simpler model is not better", _of(facts.simpler)),
        Test(
            "Model quality is sufficient on important data slices",
            _check(
                "slices-hold",
                "every declared slice with enough rows holds its limit",
                "no slice is declared, or none was measured: name [prediction] slices and add an evaluation set",
                counted=JUDGED,
                none="no slice is known to have had enough rows to be judged",
            ),
        ),
        Test(
            "The model is tested for considerations of inclusion",
            _check(
                "fairness",
                "no gap between the values of a protected field is above its limit",
                "no protected field is declared, or none was measured: name [prediction] protected and add an evaluation set",
                counted=COMPARED,
                none="of no protected field two groups are known to have had enough rows to be compared",
            ),
        ),
    ),
    "infrastructure": (
        Test(
            "Training is reproducible",
            _nothing("environments are rebuilt here, training is not run here; declare a run that gave the same model"),
        ),
        Test("Model specs are unit tested", _of(facts.unit_tested)),
        Test(
            "The ML pipeline is integration tested",
            _nothing(
                "from bundle to answer everything is tested here, training is not; declare the test of the whole pipeline"
            ),
        ),
        Test("Model quality is validated before serving", _of(facts.validated)),
        Test("The model is debuggable", _of(facts.debuggable)),
        Test("Models are canaried before serving", _of(facts.canaried)),
        Test("Serving models can be rolled back", _of(facts.can_go_back)),
    ),
    "monitoring": (
        Test("Dependency changes result in notification", _of(facts.dependencies)),
        Test("Data invariants hold for inputs", _of(facts.invariants)),
        Test("Training and serving are not skewed", _of(facts.skew)),
        Test("Models are not too stale", _of(facts.age)),
        Test("Models are numerically stable", _of(facts.stable)),
        Test("Computing performance has not regressed", _of(facts.speed)),
        Test(
            "Prediction quality has not regressed on served data",
            _nothing("no outcome of served requests comes back to the factory; declare who looks at it, and where"),
        ),
    ),
}

#: Below and at which score what is said of it; section VI of the paper.
_MEANINGS = (
    (0.0, "More of a research project than a productionised system."),
    (1.0, "Not totally untested, but there may be serious holes in reliability."),
    (2.0, "A first pass at basic productionisation; more investment may be needed."),
    (3.0, "Reasonably tested; more of the tests and procedures may be automated."),
    (5.0, "Strong levels of automated testing and monitoring, fit for mission-critical systems."),
)
_BEST = "Exceptional levels of automated testing and monitoring."


def meaning_of(score: float) -> str:
    """What a score says.

    Example:
        >>> meaning_of(1.5)
        'A first pass at basic productionisation; more investment may be needed.'
    """
    return next((said for most, said in _MEANINGS if score <= most), _BEST)


def scored(dossier: Dossier, *, solo: bool) -> TestScore:
    """The score of a model, by what is on record of the version that is looked at.

    Args:
        dossier: what is on record.
        solo: whether the factory is for one person.
    """
    sections = tuple(_section(name, tests, dossier) for name, tests in RUBRIC.items())
    score = min(section.points for section in sections)
    return TestScore(
        format=SCORE_FORMAT,
        model=dossier.version.model,
        project=dossier.version.project,
        version=str(dossier.version.name),
        score=score,
        meaning=meaning_of(score),
        sections=sections,
        solo=solo,
    )


def _section(name: SectionName, tests: tuple[Test, ...], dossier: Dossier) -> ScoredSection:
    found = tuple(_scored(f"{name}-{place}", test, dossier) for place, test in enumerate(tests, 1))
    return ScoredSection(name=name, points=sum(one.points for one in found), tests=found)


def _scored(test_id: str, test: Test, dossier: Dossier) -> ScoredTest:
    found = test.judge(dossier)
    declared = dossier.declarations.get(test_id)
    if found.is_met or declared is None or not declared.holds(dossier.now):
        return ScoredTest(
            test=test_id,
            title=test.title,
            points=_AUTOMATIC if found.is_met else 0.0,
            how="automatic" if found.is_met else "missing",
            told=found.told,
        )
    return ScoredTest(
        test=test_id,
        title=test.title,
        points=_DECLARED,
        how="declared",
        told=declared.reason,
        declared_by=declared.by,
        declared_at=rfc3339(declared.at),
        where=declared.where,
    )
