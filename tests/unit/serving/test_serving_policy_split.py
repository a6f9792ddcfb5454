"""The policy `split`: stable, uniform, and along a ramp only as many units move as have to."""

import json
import subprocess
import sys
from collections.abc import Sequence
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from muster.packaging.columns import Column
from muster.serving.decisions import DEFAULT, Decision, Outcome, WaitUntil
from muster.serving.policies.shares import LINE, NULL_UNIT, layouts, placing, units
from muster.serving.policies.split import Split
from muster.vocabulary.states import Reason
from muster.vocabulary.tensors import Datatype
from seen_requests import SeenRequest, column_from

PENDING, ANSWERED, FAILED, PASSED_OVER = Outcome
DEADLINE_S = 0.1

#: Where units stood when this was released; they stand there for ever.
KNOWN = [
    ("churn-2026", b"1", 4712433749127634),
    ("churn-2026", b"42", 6407777660429439),
    ("churn-2026", "Zoë".encode(), 2771010408812869),
    ("churn-2026", b"", 1387129907026123),
    ("churn-2026", b"true", 8510175926350760),
    ("churn-2026", NULL_UNIT, 1898574707860421),
    ("other", b"42", 6639673645079325),
]


def test_units_stand_where_they_always_stood() -> None:
    """The assignment is the same in every process and every version of this software."""
    assert [(salt, unit, placing(salt)(unit)) for salt, unit, _ in KNOWN] == KNOWN


def test_another_process_assigns_the_same() -> None:
    """No seed of the interpreter and no order of a set is in it."""
    program = (
        "import json; from muster.serving.policies.shares import placing; place = placing('salt');"
        "print(json.dumps([place(b'%d' % number) for number in range(1000)]))"
    )
    said = [
        subprocess.run(
            [sys.executable, "-c", program], env={"PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True
        ).stdout
        for seed in ("1", "2")
    ]
    place = placing("salt")
    assert json.loads(said[0]) == json.loads(said[1]) == [place(b"%d" % number) for number in range(1000)]


def test_a_million_keys_are_uniform() -> None:
    """Over 1,000 bins their counts vary as chance has it, and two salts have nothing to do with each other."""
    keys = [b"%d" % number for number in range(1_000_000)]
    place, other = placing("churn-2026"), placing("another")
    at = np.fromiter(map(place, keys), np.int64, len(keys))
    counts = np.bincount(at // (LINE // 1000 + 1), minlength=1000)
    chi2 = float(((counts - 1000.0) ** 2 / 1000.0).sum())
    assert len(counts) == 1000
    assert 850 < chi2 < 1150, "999 degrees of freedom: mean 999, standard deviation 44.7"
    few = np.fromiter(map(other, keys[:100_000]), np.int64, 100_000)
    assert abs(float(np.corrcoef(at[:100_000], few)[0, 1])) < 0.015


@pytest.mark.parametrize(
    ("datatype", "values", "expected"),
    [
        (Datatype.BYTES, ["a", "", "Zoë", None], [b"a", b"", "Zoë".encode(), NULL_UNIT]),
        (Datatype.INT64, [42, -1, 2**63 - 1, None], [b"42", b"-1", b"9223372036854775807", NULL_UNIT]),
        (Datatype.UINT8, [42, 0], [b"42", b"0"]),
        (Datatype.BOOL, [True, False, None], [b"true", b"false", NULL_UNIT]),
    ],
)
def test_a_unit_is_the_value_and_not_its_datatype(datatype: Datatype, values: list[Any], expected: list[bytes]) -> None:
    """42 is the same unit as INT64, as UINT8 and as text; null is a unit of its own."""
    assert units(column_from(datatype, values)) == expected


Ramp = tuple[tuple[float, ...], ...]


@st.composite
def ramps(draw: st.DrawFn) -> Ramp:
    """Any steps over two to five versions."""
    versions = draw(st.integers(2, 5))
    parts = st.lists(st.integers(0, 20), min_size=versions, max_size=versions).filter(any)
    steps = draw(st.lists(parts, min_size=1, max_size=6))
    return tuple(tuple(part / sum(step) for part in step) for step in steps)


def lengths(pieces: Sequence[tuple[int, int, int]], versions: int) -> list[int]:
    """How much of the line each version has."""
    return [sum(end - begin for begin, end, owner in pieces if owner == version) for version in range(versions)]


@given(ramps())
def test_every_layout_gives_each_version_its_share(steps: Ramp) -> None:
    """The pieces cover the line without a gap, and their lengths are the shares to the fifteenth decimal."""
    for shares, layout in zip(steps, layouts(steps), strict=True):
        ends = [end for _, end, _ in layout.pieces]
        assert [begin for begin, _, _ in layout.pieces] == [0, *ends[:-1]]
        assert ends[-1] == LINE
        for share, length in zip(shares, lengths(layout.pieces, len(shares)), strict=True):
            assert length / LINE == pytest.approx(share, abs=1e-15)
        for begin, end, owner in layout.pieces:
            assert layout.owner(begin) == layout.owner(end - 1) == owner


@given(ramps())
def test_a_unit_moves_only_from_a_share_that_falls_to_one_that_grows(steps: Ramp) -> None:
    """From step to step as few units move as can, and none for nothing."""
    made = layouts(steps)
    for before, after in pairwise(made):
        had, has = lengths(before.pieces, len(steps[0])), lengths(after.pieces, len(steps[0]))
        cuts = sorted({begin for begin, _, _ in (*before.pieces, *after.pieces)} | {LINE})
        moved = 0
        for begin, end in pairwise(cuts):
            giver, taker = before.owner(begin), after.owner(begin)
            if giver != taker:
                assert has[giver] < had[giver]
                assert has[taker] > had[taker]
                moved += end - begin
        assert moved == sum(max(now - then, 0) for then, now in zip(had, has, strict=True))


@given(ramps())
def test_a_step_depends_on_no_later_one(steps: Ramp) -> None:
    """A ramp that is made longer leaves every unit where it is."""
    for count in range(1, len(steps)):
        assert [layout.pieces for layout in layouts(steps[:count])] == [
            layout.pieces for layout in layouts(steps)[:count]
        ]


def test_a_growing_challenger_keeps_its_units() -> None:
    """Along 1, 10, 50, 100 % whoever has met the challenger never meets the champion again."""
    steps = ((0.99, 0.01), (0.9, 0.1), (0.5, 0.5), (0.0, 1.0))
    place = placing("ramp")
    made = layouts(steps)
    met: set[int] = set()
    for shares, layout in zip(steps, made, strict=True):
        has = {number for number in range(20_000) if layout.owner(place(b"%d" % number)) == 1}
        assert met <= has
        assert len(has) / 20_000 == pytest.approx(shares[1], abs=0.01)
        met = has


def about(probability: float) -> Any:
    """A probability to the last bits."""
    return pytest.approx(probability)


def customer_of(owner: int, shares: tuple[float, ...]) -> str:
    """A customer whom this place of the order has at the first step."""
    layout, place = layouts((shares,))[0], placing("salt")
    return next(f"c{number}" for number in range(10_000) if layout.owner(place(b"c%d" % number)) == owner)


def said(
    outcomes: list[Outcome],
    owners: list[int],
    elapsed_s: float = 0.001,
    shares: tuple[float, ...] = (0.7, 0.2, 0.1),
    step: int = 0,
) -> Decision | WaitUntil:
    """What a split says about a request whose rows belong to these places of the order."""
    customers: Column = column_from(Datatype.BYTES, [customer_of(owner, shares) for owner in owners])
    patience = [0.06] * len(shares)
    policy = Split(range(len(shares)), patience, "customer", "salt", [shares], DEADLINE_S)
    return policy.choose(SeenRequest(outcomes, len(owners), step, inputs={"customer": customers}), elapsed_s)


def test_a_unit_is_answered_by_its_own_variant() -> None:
    """Others that have answered before do not matter; the probability is its share."""
    assert said([PENDING, ANSWERED, PENDING], [1]) == Decision(1, Reason.SPLIT, 0.2)
    assert said([ANSWERED, PENDING, ANSWERED], [1]) == WaitUntil(0.06)
    assert said([ANSWERED, ANSWERED, ANSWERED], [0]) == Decision(0, Reason.SPLIT, 0.7)


def test_a_unit_whose_variant_is_late_or_fails_is_answered_along_the_order() -> None:
    """The reasons are those of `first`; the probability counts all whose units would be given this answer now."""
    late = said([ANSWERED, PENDING, PENDING], [1], 0.06)
    assert late == Decision(0, Reason.FALLBACK_LATE, about(1.0))
    failed = said([PENDING, FAILED, ANSWERED], [1], 0.06)
    assert failed == Decision(2, Reason.FALLBACK_LATE, about(1.0))
    assert said([ANSWERED, FAILED, ANSWERED], [1]) == Decision(0, Reason.FALLBACK_ERROR, about(0.9))
    assert said([ANSWERED, PASSED_OVER, PENDING], [1]) == Decision(0, Reason.FALLBACK_LATE, about(0.9))
    assert said([FAILED, FAILED, FAILED], [1]) == Decision(DEFAULT, Reason.DEFAULT, about(1.0))


def test_rows_of_one_request_have_variants_of_their_own() -> None:
    """The request is decided when all its rows are; its reason is that of those that fared worst."""
    rows = [1, 0, 1, 2]
    assert said([ANSWERED, ANSWERED, PENDING], rows) == WaitUntil(0.06)
    assert said([ANSWERED, ANSWERED, ANSWERED], rows) == Decision(1, Reason.SPLIT, 0.2, chosen=(1, 0, 1, 2))
    assert said([ANSWERED, ANSWERED, FAILED], rows) == Decision(1, Reason.FALLBACK_ERROR, 0.2, chosen=(1, 0, 1, 0))
    assert said([ANSWERED, FAILED, PENDING], rows, 0.06) == Decision(0, Reason.FALLBACK_LATE, about(1.0))


def test_a_version_without_a_share_still_stands_in() -> None:
    """It has no units of its own, but is in the order."""
    assert said([FAILED, ANSWERED], [0], shares=(1.0, 0.0)) == Decision(1, Reason.FALLBACK_ERROR, 1.0)


def test_a_step_beyond_the_ramp_is_its_last() -> None:
    """A front that is told of a step before it has the plan does not stumble."""
    assert said([ANSWERED, ANSWERED, ANSWERED], [2], step=7) == Decision(2, Reason.SPLIT, 0.1)


@given(ramps(), st.integers(0, 5), st.text(max_size=5))
def test_what_a_unit_is_given_follows_the_layout(steps: Ramp, step: int, customer: str) -> None:
    """With everybody in, the policy says whom the layout of the step names."""
    assume(step < len(steps))
    count = len(steps[0])
    policy = Split(range(count), [0.06] * count, "customer", "salt", steps, DEADLINE_S)
    customers = {"customer": column_from(Datatype.BYTES, [customer])}
    decision = policy.choose(SeenRequest([ANSWERED] * count, 1, step, inputs=customers), 0.0)
    owner = layouts(steps)[step].owner(placing("salt")(customer.encode()))
    assert decision == Decision(owner, Reason.SPLIT, about(steps[step][owner]))
