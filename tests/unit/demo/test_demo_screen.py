"""Claims of the demo are checked, shown and kept."""

import io

import pytest
from rich.console import Console

from muster.demo.customers import NEW_CUSTOMERS, SEALED_CUSTOMERS, is_slow, read_customers
from muster.demo.errors import ClaimDoesNotHold
from muster.demo.governance import refusal_of
from muster.demo.screen import Screen
from muster.vocabulary.errors import NotAllowed, NotFound


def test_a_claim_that_does_not_hold_ends_the_step() -> None:
    """What does not hold is raised with the step it belongs to; what was claimed before is kept."""
    shown = io.StringIO()
    screen = Screen(Console(file=shown, width=100))

    def told() -> None:
        with screen.step(4, "Colours") as step:
            step.measured(moons=1)
            step.claim("grass is [green]", holds=True)
            step.claim("the moon is green", holds=False)

    with pytest.raises(ClaimDoesNotHold, match="step 4: not so: the moon is green"):
        told()
    (step,) = screen.steps
    assert (step.claims, step.figures, step.passed) == (["grass is [green]"], {"moons": 1}, False)
    assert "✓ grass is [green]" in shown.getvalue()
    assert "✗ the moon is green" in shown.getvalue()


def test_a_refusal_is_what_was_refused() -> None:
    """A deed must end with an error of the given families: being done is a broken claim, another error is passed on."""

    def refused() -> None:
        raise NotAllowed("not you")

    assert refusal_of(refused, NotFound, NotAllowed).message == "not you"
    with pytest.raises(NotAllowed):
        refusal_of(refused, NotFound)
    with pytest.raises(ClaimDoesNotHold):
        refusal_of(lambda: "done", NotAllowed)


def test_customers_are_split_once_and_for_all() -> None:
    """4,043 customers teach, 1,000 are sealed, 2,000 others are scored, some of those are slow, and no golden row is."""
    customers, again = read_customers(), read_customers()
    parts = (customers.training, customers.sealed, customers.new)
    assert [part.shape for part in parts] == [(4043, 19), (SEALED_CUSTOMERS, 19), (NEW_CUSTOMERS, 19)]
    assert customers.new.equals(again.new)
    assert sum(part["total_charges"].isna().sum() for part in parts) == 11
    assert 10 <= is_slow(customers.new).sum() <= 40
    assert not is_slow(customers.golden(50)).any()
    assert len(customers.golden(50)) == 50
