"""Exhibits that name single rows of a sealed set are taken out of what everybody reads, and found again by those who may."""

import msgspec

from muster.certification.sealed_exhibits import parted, read, stored, whole
from muster.wire.evidence import EVIDENCE_FORMAT, CheckEvidence, Curve, Evidence, Exhibit, Grid, Rows

CURVE = Curve(title="ROC", x="x", y="y", series=())
WORST = Grid(title="Worst", columns=("row", "came"), rows=((417, "left"), (98, "stayed")), sealed=True)
ROWS = Rows(title="Rows", rows=({"tenure": 417},))


def evidence(**checks: tuple[Exhibit, ...]) -> Evidence:
    """What checks show; `_` of a name for `-`."""
    told = tuple(CheckEvidence(name=name.replace("_", "-"), exhibits=shown) for name, shown in checks.items())
    return Evidence(format=EVIDENCE_FORMAT, checks=told)


def test_what_is_marked_is_taken_out_and_put_back() -> None:
    """Everybody reads how many rows there are; with the rest it is the same evidence again, exhibit by exhibit."""
    given = evidence(prediction_performance=(CURVE, WORST, CURVE, WORST), fairness=(CURVE,), slices_hold=(WORST,))
    for_all, apart = parted(given)
    assert apart is not None
    content = msgspec.json.encode(for_all)
    assert b"417" not in content
    assert b"stayed" not in content
    assert [check.name for check in for_all.checks] == [check.name for check in given.checks]
    place = for_all.checks[0].exhibits[1]
    assert isinstance(place, Grid)
    assert (place.title, place.sealed, place.rows[0][0]) == ("Worst", True, 2)
    assert for_all.checks[0].exhibits[0] == CURVE
    assert whole(for_all, read(stored(apart))) == given


def test_input_rows_of_a_check_on_a_sealed_set_are_sealed_whatever_they_say() -> None:
    """Of any other check they are for everybody."""
    for_all, apart = parted(evidence(slices_hold=(ROWS,), robustness=(ROWS,)))
    assert apart == evidence(slices_hold=(ROWS,))
    assert for_all.checks[1].exhibits == (ROWS,)
    assert b"417" not in msgspec.json.encode(for_all.checks[0])


def test_evidence_without_anything_sealed_stays_as_it_is() -> None:
    """There is nothing to be kept apart."""
    given = evidence(fairness=(CURVE,), robustness=(ROWS,))
    assert parted(given) == (given, None)


def test_the_digest_of_what_is_apart_cannot_be_computed_from_it() -> None:
    """Twice the same is stored as different bytes: who guesses the rows does not find the blob."""
    _, apart = parted(evidence(slices_hold=(WORST,)))
    assert apart is not None
    assert stored(apart) != stored(apart)
