"""What a report says of a session: the verdict and why."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

import made_dossiers as made
from muster.certification.questions import QUESTIONS
from muster.dossiers.carding import card_of
from muster.dossiers.records import Dossier, Examination
from muster.dossiers.reporting import report_of
from muster.dossiers.rubric import scored
from muster.packaging.claims import Prediction
from muster.registry.records import ModelFacts
from muster.vocabulary.states import Role, SessionState
from muster.wire.evidence import EVIDENCE_FORMAT, CheckEvidence, Curve, Evidence
from muster.wire.reports import CertificationReport, ModelCard, ReportedStandard

STANDARD = ReportedStandard(name="internal", number=2, digest=made.DIGEST)


def told(examination: Examination) -> CertificationReport:
    """The report of an examination."""
    certificate = made.certificate()
    return report_of(
        examination,
        made.version(),
        certificate,
        STANDARD,
        signatures=(),
        valid_until=None,
        solo=False,
    )


def ended(state: SessionState, checks: dict[str, bool], **result: Any) -> Examination:
    """A session in a state, with further results."""
    held = made.session(checks, state=state)
    return made.examination({}, session=replace(held, result={**(held.result or {}), **result}))


def test_all_passed() -> None:
    """The sentence counts them."""
    found = told(ended(SessionState.PASSED, {"bundle-complete": True, "golden-answers": True}))
    assert (found.verdict, found.why, found.is_complete) == ("certified", "All 2 checks passed.", True)


def test_what_failed_and_may_is_named() -> None:
    """It is certified, and nobody can miss that something failed."""
    found = told(ended(SessionState.PASSED, {"golden-answers": True, "fairness": False}, may_fail=["fairness"]))
    assert (found.verdict, found.why) == ("certified", "1 of 2 checks passed; what failed may: fairness.")
    assert [check.may_fail for check in found.checks] == [False, True]


def test_what_failed_is_named_and_what_may_fail_is_not_held_against_it() -> None:
    """Of two that failed, the one that counts is the reason."""
    found = told(ended(SessionState.FAILED, {"golden-answers": False, "fairness": False}, may_fail=["fairness"]))
    assert (found.verdict, found.why) == ("not-certified", "1 of 2 checks failed: golden-answers.")
    assert [check.may_fail for check in found.checks] == [False, True]


def test_an_examination_that_could_not_go_on_says_so() -> None:
    """After a check that others need, the rest was not made."""
    needed = next(question.name for question in QUESTIONS if question.is_needed)
    found = told(ended(SessionState.FAILED, {needed: False}))
    assert not found.is_complete
    assert found.why == f"1 of 1 check failed: {needed}. After that the remaining checks could not be made."


def test_many_failures_are_counted_not_listed() -> None:
    """One sentence stays one."""
    found = told(ended(SessionState.FAILED, {f"check-{number}": False for number in range(9)}))
    assert found.why == "9 of 9 checks failed: check-0, check-1, check-2, check-3 and 5 more."


def test_a_version_that_was_banned_meanwhile_has_no_failed_check() -> None:
    """All passed, and still it is not certified: the report says that, and does not call it passed."""
    found = told(ended(SessionState.FAILED, {"golden-answers": True}))
    assert found.verdict == "not-certified"
    assert "could not be certified any more" in found.why


def test_an_examination_that_was_broken_off_has_no_verdict_and_tells_why() -> None:
    """Whatever ended it: too much memory says nothing of the version, and no check is said to have been passed."""
    problem = {"code": "sessions.over-limit", "message": "session s-1 was ended: it took 2173 MiB", "advice": "Ask."}
    held = made.session({}, state=SessionState.FAILED, result={"error": problem})
    found = told(made.examination({}, session=held))
    assert (found.verdict, found.checks) == ("unfinished", ())
    assert found.why == (
        "The examination was broken off, so there is no verdict: session s-1 was ended: it took 2173 MiB."
    )


@pytest.mark.parametrize(
    "state", [SessionState.QUEUED, SessionState.RUNNING, SessionState.INTERRUPTED, SessionState.CANCELLED]
)
def test_without_an_end_there_is_no_verdict(state: SessionState) -> None:
    """A session that waits, runs or was interrupted."""
    held = made.session({}, state=state, result=None, finished_at=None)
    found = told(made.examination({}, session=held))
    assert found.verdict == "unfinished"
    assert str(state) in found.why
    assert found.checks == ()


def test_what_checks_showed_stands_with_them() -> None:
    """Each check has its own exhibits, as they were gathered for the reader; one that showed nothing has none."""
    curve = Curve(title="ROC", x="x", y="y", series=())
    evidence = Evidence(
        format=EVIDENCE_FORMAT, checks=(CheckEvidence(name="prediction-performance", exhibits=(curve,)),)
    )
    given = made.examination({"prediction-performance": True, "robustness": True}, evidence=evidence)
    assert [check.exhibits for check in told(given).checks] == [(curve,), ()]


def test_questions_are_told_in_words() -> None:
    """Those that certification knows; a check of one's own has none."""
    found = told(ended(SessionState.PASSED, {"golden-answers": True, "own:mine": True}))
    assert found.checks[0].asks == "does it answer the golden rows as its author did?"
    assert found.checks[1].asks == ""


def card(dossier: Dossier) -> ModelCard:
    """The card of what is on record."""
    return card_of(dossier, scored(dossier, solo=False), solo=False)


def test_a_card_of_a_bare_version_names_every_gap() -> None:
    """What nobody said and what nobody measured, each with how it gets in."""
    found = card(made.dossier(version=made.version(description="")))
    gaps = " ".join(gap.what for gap in found.gaps)
    for word in ("what the model is", "meant for", "not fit for", "risk tier", "licences", "business", "made of", "commit",
                 "stands in", "no certificate", "predicts", "has measured it", "leans on", "2 of 2 inputs"):  # fmt: skip
        assert word in gaps
    assert all(gap.remedy for gap in found.gaps)


def test_a_gap_that_is_closed_is_not_named() -> None:
    """What is said stands in its place."""
    full = made.dossier(
        version=made.version(),
        bundle=made.bundle(
            prediction=Prediction(task="binary", label="left", slices=("gender",), protected=("gender",))
        ),
        facts=ModelFacts(owner="ana", deputy="li"),
        certificate=made.certificate(),
        valid_until=made.NOW + timedelta(days=9),
        measures=(made.measured("roc_auc", 0.8), made.measured("roc_auc", 0.7, slice_="gender=f")),
        servings=(made.serving(made.release(2, ("churn:3", Role.CHAMPION))),),
    )
    found = card(full)
    assert {gap.what for gap in found.gaps} == {"which inputs it leans on", "what 2 of 2 inputs mean"}
    assert [(one.name, one.slice, one.value) for one in found.measures] == [
        ("roc_auc", "", 0.8),
        ("roc_auc", "gender=f", 0.7),
    ]
    assert [(use.endpoint, use.release, use.role) for use in found.uses] == [("churn", 2, "champion")]
    assert found.inputs[0].expected == "declared 0 to 120"
    assert found.inputs[1].personal


def test_a_card_shows_the_newest_measures_of_its_own_version() -> None:
    """Not those of another version, nor older ones over the same set."""
    newest = made.measured("roc_auc", 0.8)
    older = replace(made.measured("roc_auc", 0.6), session="s-old")
    other = made.measured("roc_auc", 0.9, number=4)
    found = card(made.dossier(measures=(other, newest, older)))
    assert [one.value for one in found.measures] == [0.8]


def test_a_lapsed_certificate_is_a_gap() -> None:
    """It is there, and says nothing any more."""
    found = card(made.dossier(certificate=made.certificate(), valid_until=made.NOW - timedelta(days=1)))
    assert "its certificate has lapsed" in " ".join(gap.what for gap in found.gaps)
