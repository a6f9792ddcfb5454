"""The reference pages of this room say what the code does."""

import re
import textwrap
from pathlib import Path

import msgspec
import pytest

from muster.certification.questions import QUESTIONS
from muster.packaging.contract import contract_digest
from muster.release.planner import DEFAULT_DEADLINE, MAX_VARIANTS
from muster.release.policies import PATIENCE_SHARE
from muster.serving.plan import Plan
from muster.vocabulary.states import RELEASE_MOVES, SESSION_MOVES, VERSION_MOVES
from muster.wire.plans import AccessEntry, EndpointPlans, FrontReport, PlannedVariant, RequestLimits, ServingPlan

PAGES = Path(__file__).resolve().parents[3] / "docs" / "reference"


def section(page: str, title: str) -> str:
    """A section of a page, without its title."""
    text = (PAGES / page).read_text(encoding="utf-8")
    return text.split(f"\n## {title}\n", 1)[1].split("\n## ", 1)[0]


def table(text: str) -> list[list[str]]:
    """The cells of all tables in a text, backticks kept."""
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in text.splitlines() if line.startswith("|")]


@pytest.mark.parametrize(
    ("title", "moves"), [("Version", VERSION_MOVES), ("Release", RELEASE_MOVES), ("Session", SESSION_MOVES)]
)
def test_the_page_of_states_has_every_move(title: str, moves: dict[str, frozenset[str]]) -> None:
    """Those and no others, in the tables of `from` and `to`."""
    told = set()
    for before, after, *_ in table(section("states.md", title)):
        for one in re.findall(r"`([a-z]+)`", before):
            told |= {(one, other) for other in re.findall(r"`([a-z]+)`", after)}
    assert told == {(str(before), str(after)) for before, afters in moves.items() for after in afters}


def test_the_example_of_a_plan_is_one() -> None:
    """A front can serve by it, and its contract's digest is right."""
    page = (PAGES / "serving-plan.md").read_text(encoding="utf-8")
    found = re.search(r"\n((?:    .*\n)+)", page)
    assert found is not None
    plan = msgspec.json.decode(textwrap.dedent(found[1]), type=ServingPlan)
    assert plan.contract_digest == contract_digest(plan.contract)
    assert Plan(plan).order == (0, 1)
    assert set(msgspec.json.decode(textwrap.dedent(found[1]))) == {
        field.name for field in msgspec.structs.fields(ServingPlan)
    }


@pytest.mark.parametrize(
    "kind",
    [ServingPlan, PlannedVariant, RequestLimits, EndpointPlans, AccessEntry, FrontReport],
    ids=lambda kind: kind.__name__,
)
def test_the_page_of_the_plan_explains_every_field(kind: type[msgspec.Struct]) -> None:
    """No field of a document that reaches a front is left out."""
    page = (PAGES / "serving-plan.md").read_text(encoding="utf-8")
    missing = [field.name for field in msgspec.structs.fields(kind) if f"`{field.name}`" not in page]
    assert missing == []


def test_the_page_of_the_plan_tells_the_defaults() -> None:
    """As the planner has them."""
    told = section("serving-plan.md", "How a proposal becomes a plan")
    assert f"{DEFAULT_DEADLINE.total_seconds() * 1000:g} ms; possible" in told
    assert f"{PATIENCE_SHARE:.0%}".replace("%", " %") in told
    assert f"more than {MAX_VARIANTS}" in told
    assert f"{RequestLimits().rows} rows, {RequestLimits().body_bytes >> 20} MiB" in told


def test_the_page_of_certification_lists_every_check() -> None:
    """In their order, and which of them the later ones need."""
    rows = [row for row in table((PAGES / "certification.md").read_text(encoding="utf-8")) if row[0].startswith("`")]
    rows = [row for row in rows if row[0] != "`own:NAME`"]  # those that others bring have names of their own
    assert [(row[0].strip("`"), row[1] == "yes") for row in rows] == [
        (question.name, question.is_needed) for question in QUESTIONS
    ]
