"""The ML Test Score: each test is met by its fact and by nothing else."""

from dataclasses import replace
from datetime import timedelta

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

import made_dossiers as made
from muster.dossiers.records import Dossier
from muster.dossiers.rubric import RUBRIC, meaning_of, scored
from muster.gates.records import Verdict
from muster.packaging.documents import Source
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import Role, VersionState
from muster.wire import reports
from muster.wire.plans import SplitPolicy, SplitStep

SERVED = (made.serving(made.release(2, ("churn:3", Role.CHAMPION)), made.release(1, ("churn:2", Role.CHAMPION))),)
ALONE = (made.serving(made.release(1, ("churn:3", Role.CHAMPION))),)


def important(**losses: float) -> Dossier:
    """One of whose inputs it was measured what shuffling them costs."""
    found = [made.measured("importance:roc_auc", loss, slice_=f"input={name}") for name, loss in losses.items()]
    return made.dossier(examination=made.examination({}, measures=tuple(found)))


#: What checks that had something to judge say of it.
FULL = {
    "slices-hold": {"slices": 4.0},
    "fairness": {"compared": 1.0},
    "prediction-performance": {"limits": 1.0, "roc_auc": 0.8},
    "data-referenced": {"references": 2.0, "held_to_digest": 2.0},
}


def checked(**checks: bool) -> Dossier:
    """A version whose newest examination made these checks."""
    passed = {name.replace("_", "-"): passed for name, passed in checks.items()}
    return made.dossier(examination=made.examination({}, session=made.session(passed, FULL)))


def empty(name: str, **figures: float) -> Dossier:
    """One check that passed and says these numbers, whatever it would say otherwise; sealed packages besides."""
    return made.dossier(
        examination=made.examination(
            {}, session=made.session({name: True, "environment-sealed": True}, {name: figures})
        )
    )


def served(**checks: bool) -> Dossier:
    """The same, answering as champion after another."""
    return replace(checked(**checks), servings=SERVED)


def ramped() -> Dossier:
    """One that answered more and more units."""
    release = made.release(2, ("churn:3", Role.CHAMPION), ("churn:2", Role.CHALLENGER))
    policy = SplitPolicy(
        order=("churn:3", "churn:2"), patience_ms=(60.0, 60.0), field="tenure", salt="a",
        steps=(SplitStep(shares=(0.1, 0.9)), SplitStep(shares=(1.0, 0.0))),
    )  # fmt: skip
    plan = msgspec.structs.replace(release.plan, policy=policy)
    return made.dossier(servings=(made.serving(replace(release, plan=plan)),))


def baseline(metric: str, own: float, other: float) -> Dossier:
    """One that stands beside a version with the tag of a baseline."""
    simple = made.version(name=VersionName("churn", 1), tags={"baseline": "true"})
    measures = (made.measured(metric, own), made.measured(metric, other, number=1))
    return made.dossier(versions=(made.version(), simple), measures=measures)


REVIEWED = made.dossier(version=made.version(), bundle=made.bundle(), review=made.review(made.vote("ben")))

#: For each test that the factory can see: records that meet it.
MET: dict[str, list[Dossier]] = {
    "data-1": [checked(contract_holds=True)],
    "data-2": [important(tenure=0.1, gender=0.02)],
    "data-7": [checked(golden_answers=True, robustness=True)],
    "model-1": [REVIEWED],
    "model-4": [
        made.dossier(measures=(made.measured("roc_auc", 0.8), made.measured("roc_auc", 0.7, over="evaluation:1")))
    ],
    "model-5": [baseline("roc_auc", 0.8, 0.7), baseline("rmse", 1.0, 2.0)],
    "model-6": [checked(slices_hold=True)],
    "model-7": [checked(fairness=True)],
    "infrastructure-2": [checked(relations=True), made.dossier(examination=made.examination({"own:monotone": True}))],
    "infrastructure-4": [checked(prediction_performance=True)],
    "infrastructure-5": [made.dossier(replayed="s-9")],
    "infrastructure-6": [
        made.dossier(tried="live-test:churn, session s-1"),
        made.dossier(
            servings=(made.serving(made.release(2, ("churn:2", Role.CHAMPION), ("churn:3", Role.CHALLENGER))),)
        ),
        ramped(),
    ],
    "infrastructure-7": [served()],
    "monitoring-1": [checked(environment_sealed=True, data_referenced=True)],
    "monitoring-2": [served()],
    "monitoring-3": [served(golden_answers=True)],
    "monitoring-4": [made.dossier(valid_until=made.NOW + timedelta(days=1))],
    "monitoring-5": [checked(robustness=True)],
    "monitoring-6": [served(one_row_latency=True)],
}
#: And records that come close and do not.
UNMET: dict[str, list[Dossier]] = {
    "data-1": [checked(contract_holds=False)],
    "data-2": [important(tenure=0.1, gender=0.0), important(tenure=0.1)],
    "data-7": [checked(golden_answers=True), checked(golden_answers=True, robustness=False)],
    "model-1": [
        replace(REVIEWED, bundle=made.bundle(source=Source(commit="0123", dirty=True))),
        replace(REVIEWED, bundle=made.bundle(source=None)),
        replace(REVIEWED, version=made.version(state=VersionState.CERTIFIED)),
        replace(REVIEWED, review=made.review(made.vote("ana"))),
        replace(REVIEWED, review=made.review(made.vote("ben", Verdict.REQUEST_CHANGES))),
    ],
    "model-4": [
        made.dossier(measures=(made.measured("roc_auc", 0.8), made.measured("brier", 0.1))),
        made.dossier(measures=(made.measured("a", 0.8), made.measured("a", 0.7, over="evaluation:1", slice_="x=1"))),
    ],
    "model-5": [
        baseline("roc_auc", 0.7, 0.8),
        baseline("rmse", 2.0, 1.0),
        made.dossier(measures=(made.measured("roc_auc", 0.9),), versions=(made.version(tags={"baseline": "true"}),)),
    ],
    "model-6": [checked(slices_hold=False), empty("slices-hold", slices=0.0), empty("slices-hold")],
    "model-7": [checked(fairness=False), empty("fairness", compared=0.0), empty("fairness")],
    "infrastructure-2": [made.dossier(examination=made.examination({"own:a": True, "relations": False}))],
    "infrastructure-4": [
        checked(prediction_performance=False),
        empty("prediction-performance", roc_auc=0.8, limits=0.0),
        empty("prediction-performance", roc_auc=0.8),
    ],
    "infrastructure-6": [
        served(),
        made.dossier(measures=(made.measured("late", 0.0, over="live-test:churn"),)),
        made.dossier(
            servings=(
                made.serving(made.release(2, ("churn:2", Role.CHAMPION), ("churn:3", Role.CHALLENGER), live_at=None)),
            )
        ),
    ],
    "infrastructure-7": [made.dossier(servings=ALONE)],
    "monitoring-1": [
        checked(environment_sealed=True),
        checked(environment_sealed=False, data_referenced=True),
        empty("data-referenced", references=2.0, held_to_digest=1.0),
        empty("data-referenced", references=1.0, held_to_digest=0.0),
        empty("data-referenced"),
    ],
    "monitoring-2": [made.dossier(servings=(made.serving(made.release(3, ("churn:4", Role.CHAMPION))),))],
    "monitoring-3": [checked(golden_answers=True), served(golden_answers=False)],
    "monitoring-4": [made.dossier(valid_until=made.NOW - timedelta(days=1))],
    "monitoring-5": [checked(robustness=False)],
    "monitoring-6": [checked(one_row_latency=True), served(one_row_latency=False)],
}


def found_in(score: reports.TestScore) -> dict[str, reports.ScoredTest]:
    """All 28, by name."""
    return {test.test: test for section in score.sections for test in section.tests}


def test_there_are_twenty_eight_tests_in_four_sections() -> None:
    """Seven in each, none named twice, as the paper has them."""
    assert [len(tests) for tests in RUBRIC.values()] == [7, 7, 7, 7]
    assert len({test.title for tests in RUBRIC.values() for test in tests}) == 28


def test_of_a_version_that_was_only_registered_nothing_is_met() -> None:
    """And each of the 28 says what is missing."""
    found = found_in(scored(made.dossier(), solo=False))
    assert {test.how for test in found.values()} == {"missing"}
    assert all(test.told for test in found.values())


MEETING = [(name, number) for name, records in MET.items() for number in range(len(records))]
MISSING = [(name, number) for name, records in UNMET.items() for number in range(len(records))]


@pytest.mark.parametrize(("name", "number"), MEETING)
def test_a_fact_meets_its_test(name: str, number: int) -> None:
    """It counts one, by itself, and says which fact it is."""
    found = found_in(scored(MET[name][number], solo=False))[name]
    assert (found.how, found.points) == ("automatic", 1.0), found.told


@pytest.mark.parametrize(("name", "number"), MISSING)
def test_what_comes_close_does_not_meet_it(name: str, number: int) -> None:
    """A check that failed, another's measure, one's own vote."""
    found = found_in(scored(UNMET[name][number], solo=False))[name]
    assert (found.how, found.points) == ("missing", 0.0), found.told


def test_what_was_not_looked_at_is_said() -> None:
    """A metric without a limit and data that nobody fetched are named as what is missing, not as a fact."""
    unlimited = scored(empty("prediction-performance", roc_auc=0.8, limits=0.0), solo=False)
    assert "against no limit" in found_in(unlimited)["infrastructure-4"].told
    unfetched = scored(empty("data-referenced", references=3.0, held_to_digest=1.0), solo=False)
    assert "2 of 3 references to data are recorded as declared" in found_in(unfetched)["monitoring-1"].told


def test_what_the_factory_cannot_see_is_never_met_by_it() -> None:
    """Whatever is on record, nine tests are people's to declare."""
    everything = replace(
        served(**dict.fromkeys(("contract_holds", "golden_answers", "robustness", "slices_hold", "fairness", "relations", "prediction_performance", "environment_sealed", "data_referenced", "one_row_latency"), True)),
        replayed="s-9",
    )  # fmt: skip
    found = found_in(scored(everything, solo=False))
    unseen = set(found) - set(MET)
    assert len(unseen) == 9
    assert all(found[name].points == 0 for name in unseen)


def test_what_people_declare_counts_half_with_who_when_and_where() -> None:
    """And never as if the factory had seen it."""
    found = found_in(scored(made.dossier(declarations={"data-3": made.declaration("data-3")}), solo=False))["data-3"]
    assert (found.how, found.points, found.declared_by, found.where) == ("declared", 0.5, "ana", "wiki/churn")
    assert found.declared_at == "2026-11-20T09:30:00.000000Z"


def test_a_declaration_of_more_than_a_year_counts_no_more() -> None:
    """What was looked at once is not looked at for ever."""
    old = made.declaration("data-3", at=made.NOW - timedelta(days=365))
    young = made.declaration("data-3", at=made.NOW - timedelta(days=364))
    for one, points in ((old, 0.0), (young, 0.5)):
        assert found_in(scored(made.dossier(declarations={"data-3": one}), solo=False))["data-3"].points == points


def test_a_fact_outweighs_a_declaration() -> None:
    """A test is not counted twice."""
    both = replace(checked(fairness=True), declarations={"model-7": made.declaration("model-7")})
    found = found_in(scored(both, solo=False))["model-7"]
    assert (found.how, found.points, found.declared_by) == ("automatic", 1.0, None)


@given(st.sets(st.sampled_from([f"{name}-{at}" for name in RUBRIC for at in range(1, 8)])))
def test_the_score_is_the_least_of_the_sums(declared: set[str]) -> None:
    """Of four sections, each the sum of its tests; a strong section makes up for no weak one."""
    found = scored(made.dossier(declarations={name: made.declaration(name) for name in declared}), solo=False)
    sums = {name: sum(0.5 for one in declared if one.startswith(f"{name}-")) for name in RUBRIC}
    assert {section.name: section.points for section in found.sections} == sums
    assert found.score == min(sums.values())
    assert found.meaning == meaning_of(found.score)


@pytest.mark.parametrize(
    ("score", "said"),
    [(0, "research project"), (0.5, "serious holes"), (1, "serious holes"), (1.5, "first pass"), (2, "first pass"),
     (2.5, "Reasonably"), (3, "Reasonably"), (3.5, "Strong"), (5, "Strong"), (5.5, "Exceptional"), (7, "Exceptional")],
)  # fmt: skip
def test_a_score_says_what_the_paper_says_of_it(score: float, said: str) -> None:
    """Each range with its upper end."""
    assert said in meaning_of(score)
