"""Evaluation sets, measures and curves as they are typed, and through the client that the commands speak with."""

from collections.abc import Callable, Mapping
from pathlib import Path

import msgspec
import numpy as np
import pytest
from running_cli import Shell

from muster.certification import store
from muster.certification.evaluated import KeptTable
from muster.evaluation import cutoffs, outcomes
from muster.evaluation.multiclass import ClassPredictions
from muster.evaluation.numbers import NumberPredictions
from muster.evaluation.tallies import BinaryPredictions
from muster.sessions.records import CERTIFICATION, Measure
from muster.vocabulary.clock import SystemClock, rfc3339
from muster.vocabulary.errors import Invalid, NotAllowed, NotFound
from muster.vocabulary.names import VersionName
from muster.wire.evaluations import StoredTable, encoded
from running_control import Control
from small_bundles import SmallBundles

NOT_ALLOWED, NOT_FOUND, MALFORMED, REFUSED = 5, 3, 2, 7
CSV = "x,came,region\n0.0,no,north\n1.0,yes,north\n2.5,yes,south\n"
SCORED = BinaryPredictions(labels=np.array([False, True, True, False]), scores=np.array([0.1, 0.9, 0.6, 0.7]))


def _measured(control: Control, version: str) -> str:
    """A session of a version that has measured something and kept a table; its id."""
    services, name = control.services, VersionName.parse(version)
    measures = (
        Measure(name="roc_auc", version=1, value=0.75, over="evaluation:1", low=0.5, high=1.0),
        Measure(name="roc_auc", version=1, value=0.25, over="evaluation:1", slice="region=south"),
        Measure(name="brier", version=1, value=0.1, over="evaluation:1"),
    )
    digest = services.registry.keep_document(encoded(cutoffs.table_of(SCORED.tally)))
    with services.database.write() as tx:
        session, _ = services.sessions.queue(tx, control.call("ana"), CERTIFICATION, version)
        services.sessions.keep_measures(tx, session, name, measures)
        kept = KeptTable(over="evaluation:1", slice="", part="", kind="cutoffs", digest=digest)
        store.add_tables(tx, session.id, "default", name, [kept])
    return session.id


def test_a_set_is_sealed_listed_shown_and_exported(
    control: Control, bundles: SmallBundles, as_: Callable[[str], Shell], tmp_path: Path
) -> None:
    """By an approver without a part in it; its author is refused, and so is a file that does not fit, each with a code."""
    control.as_("ana").register(bundles.new(name="judged"))
    file, target = tmp_path / "unseen.csv", tmp_path / "rows.parquet"
    file.write_text(CSV)
    words = ("evaluation", "add", "judged", str(file), "--reason", "unseen")
    assert as_("ana").problem(*words, "--label", "came", code=NOT_ALLOWED)["code"] == "access.right-missing"
    assert as_("ben").problem(*words, code=MALFORMED)["code"] == "evaluation_sets.label-unknown"
    refused = as_("ben").problem(*words, "--label", "went", code=REFUSED)
    assert refused["code"] == "evaluation_sets.unfit"
    assert as_("ben").problem(*words[:3], str(tmp_path / "none"), *words[4:], code=NOT_FOUND)
    sealed = as_("ben").json(*words, "--label", "came")
    assert (sealed["number"], sealed["rows"], sealed["label"], sealed["sealed_by"]) == (1, 3, "came", "ben")
    assert "columns" in as_("vera").type("evaluation", "show", "judged", "1").stdout
    assert as_("vera").json("evaluation", "list", "judged")["sets"] == [sealed]
    with pytest.raises(NotAllowed):
        control.as_("vera").evaluation_rows("judged", 1, target)
    assert not target.exists()
    assert "3 rows are in" in as_("ben").type("evaluation", "export", "judged", "1", "-o", str(target)).stdout
    assert target.read_bytes()[:4] == b"PAR1"
    for nowhere in (tmp_path, tmp_path / "none" / "rows.parquet"):
        refused = as_("ben").problem("evaluation", "export", "judged", "1", "-o", str(nowhere), code=REFUSED)
        assert refused["code"] == "cli.file-unwritable"
    events = control.as_("admin").audit_events(subject="evaluation judged:1").events
    assert [(event.action, event.actor) for event in events] == [
        ("evaluation.sealed", "ben"),
        *[("evaluation.read", "ben")] * 3,
    ]


def test_measures_are_asked_for_by_metric_version_slice_and_period(
    control: Control, bundles: SmallBundles, as_: Callable[[str], Shell]
) -> None:
    """Of the whole only, unless slices are wanted; what was measured before a moment or after it."""
    version = control.as_("ana").register(bundles.new(name="measured")).version
    session, vera = _measured(control, version), control.as_("vera")
    whole = vera.measures("measured").measures
    assert {one.metric for one in whole} == {"roc_auc", "brier"}
    assert {one.slice for one in whole} == {""}
    (found,) = vera.measures("measured", metric="roc_auc", version=1, session=session, over="evaluation:1").measures
    assert (found.value, found.low, found.high, found.definition, found.version) == (0.75, 0.5, 1.0, 1, version)
    assert len(vera.measures("measured", slices=True).measures) == 3
    (south,) = vera.measures("measured", of_slice="region=south").measures
    assert south.value == 0.25
    later = rfc3339(SystemClock().now().replace(year=2999))
    assert vera.measures("measured", since=later).measures == ()
    assert len(vera.measures("measured", until=later).measures) == 2
    typed = as_("vera").json("metrics", "list", "measured", "--metric", "roc_auc")
    assert typed["measures"][0]["session"] == session
    assert "0.75" in as_("vera").type("metrics", "measured", "--slices").stdout


def test_curves_are_derived_from_the_kept_table(
    control: Control, bundles: SmallBundles, as_: Callable[[str], Shell]
) -> None:
    """ROC and the confusion at any cut-off; a slice that was not kept is not found, a curve that does not fit is refused."""
    version = control.as_("ana").register(bundles.new(name="curved")).version
    session, vera, ben = _measured(control, version), control.as_("vera"), control.as_("ben")
    assert [one.kind for one in vera.kept_tables(session).tables] == ["cutoffs"]
    roc = ben.curve(session, "roc")
    assert not roc.coarse
    assert roc.columns == ("cutoff", "false_positive_rate", "true_positive_rate")
    assert roc.rows == ((None, 0.0, 0.0), (0.9, 0.0, 0.5), (0.7, 0.5, 0.5), (0.6, 0.5, 1.0), (0.1, 1.0, 1.0))
    assert (roc.version, roc.over) == (version, "evaluation:1")
    typed = as_("ben").json("metrics", "curve", session, "confusion", "--cutoff", "0.65")
    assert typed["rows"] == [[0.7, 1, 1, 1, 1, 0.5, True]]
    assert "true_positives" in as_("vera").type("metrics", "curve", session, "confusion").stdout
    assert "(all rows)" in as_("vera").type("metrics", "tables", session).stdout
    for cutoff in ("nan", "inf"):
        refused = as_("ben").problem("metrics", "curve", session, "confusion", "--cutoff", cutoff, code=MALFORMED)
        assert refused["code"] == "certification.curve-unfit"
    with pytest.raises(NotFound) as unknown:
        vera.curve(session, "roc", of_slice="region=east")
    assert unknown.value.code == "certification.curve-not-found"
    with pytest.raises(Invalid) as unfit:
        vera.curve(session, "outcomes")
    assert unfit.value.code == "certification.curve-unfit"
    with pytest.raises(NotAllowed):
        control.as_("shop").curve(session, "roc")
    with pytest.raises(NotFound):
        vera.kept_tables("s-none")


@pytest.mark.parametrize("name", ["ana", "vera"])
def test_who_may_not_read_the_rows_sees_steps_and_no_score(
    control: Control, bundles: SmallBundles, as_: Callable[[str], Shell], name: str
) -> None:
    """Four rows are one step; the confusion is at the standard's cut-off alone; no digest names the table; it is said so."""
    version = control.as_("ana").register(bundles.new(name="seen")).version
    session, asks = _measured(control, version), control.as_(name)
    roc = asks.curve(session, "roc")
    assert roc.coarse
    assert (roc.columns, roc.rows) == (
        ("population", "false_positive_rate", "true_positive_rate"),
        ((0.0, 0.0, 0.0), (1.0, 1.0, 1.0)),
    )
    (usual,) = asks.curve(session, "confusion").rows
    assert usual[:5] == (0.5, 2, 1, 0, 1)
    told = as_(name).problem("metrics", "curve", session, "confusion", "--cutoff", "0.65", code=NOT_ALLOWED)
    assert told["code"] == "certification.curve-withheld"
    assert "steps of many rows" in as_(name).type("metrics", "curve", session, "gains").stdout
    (hidden,) = asks.kept_tables(session).tables
    (shown,) = control.as_("ben").kept_tables(session).tables
    assert hidden.digest is None
    assert shown.digest is not None


def test_numbers_and_classes_are_told_in_steps_too(control: Control, bundles: SmallBundles) -> None:
    """Bins of at least twenty rows without their ends, invented classes as one; of a class against the rest nothing of few rows."""
    ana, ben = control.as_("ana"), control.as_("ben")
    numbers = NumberPredictions(actual=np.arange(50) / 7, predicted=np.arange(50) / 9)
    session = _kept(control, ana.register(bundles.new(name="numbers")).version, {"": outcomes.table_of(numbers)})
    exact, told = (one.curve(session, "outcomes") for one in (ben, ana))
    assert (len(exact.rows), exact.columns[:2]) == (50, ("low", "high"))
    assert told.columns == ("rows", "predicted", "actual", "mae", "rmse")
    assert [row[:3] for row in told.rows] == [(20, 1.06, 1.36), (30, 3.83, 4.93)]
    classes = ClassPredictions(
        classes=("cat", "dog", "income 31000"), labels=np.array([0, 0, 1]), predicted=np.array([0, 2, 1])
    )
    said: dict[str, StoredTable] = {"": outcomes.classes_of(classes), "cat": cutoffs.table_of(SCORED.tally)}
    session = _kept(control, ana.register(bundles.new(name="classes")).version, said)
    exact, told = (one.curve(session, "confusion") for one in (ben, ana))
    assert exact.columns == ("is", "said cat", "said dog", "said income 31000")
    assert told.columns == ("is", "said cat", "said dog", "said others")
    assert told.rows == (("cat", 1, 0, 1), ("dog", 0, 1, 0))
    assert ben.curve(session, "roc", part="cat").rows
    with pytest.raises(NotAllowed) as withheld:
        ana.curve(session, "roc", part="cat")
    assert withheld.value.code == "certification.curve-withheld"


def _kept(control: Control, version: str, said: Mapping[str, StoredTable]) -> str:
    """A session of a version that has kept tables of all rows, by class; its id."""
    services, name = control.services, VersionName.parse(version)
    kept = [
        KeptTable(
            over="evaluation:1",
            slice="",
            part=part,
            kind=msgspec.to_builtins(table)["kind"],
            digest=services.registry.keep_document(encoded(table)),
        )
        for part, table in said.items()
    ]
    with services.database.write() as tx:
        session, _ = services.sessions.queue(tx, control.call("ana"), CERTIFICATION, version)
        store.add_tables(tx, session.id, "default", name, kept)
    return session.id
