"""Settings of checks: from the standard, with defaults, refused where they are no settings of the check."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any, ClassVar

import msgspec
import pytest

from muster.certification.checks import Bench, Finding, option_problems
from muster.certification.questions import KNOWN, QUESTIONS
from muster.certification.records import Figure
from muster.standards.document import check_names, read_standard
from muster.standards.errors import StandardMalformed

STANDARD = 'format = 1\nname = "strict"\n[checks.one-row-latency]\nlimit = 5\n'


class Weighed:
    """A question with settings."""

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        least: float = 0.5

        def problems(self) -> list[str]:
            return [] if 0 <= self.least <= 1 else ["least is a share"]

    name: ClassVar[str] = "weighed"
    asks: ClassVar[str] = "how heavy is it?"
    limit: ClassVar[Figure] = None
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = "Eat less."

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("given", "told"),
    [({}, ""), ({"least": 0.7}, ""), ({"least": 2}, "share"), ({"leest": 0.7}, "leest"), ({"least": "a"}, "float")],
)  # fmt: skip
def test_settings_are_held_against_what_a_check_knows(given: dict[str, Any], told: str) -> None:
    """Unknown keys, wrong types and values that make no sense are told; what is left out has its default."""
    problems = option_problems(Weighed(), given)
    assert bool(problems) == bool(told)
    assert told in " ".join(problems)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), -1.0, 0.0])
@pytest.mark.parametrize(
    ("check", "option"),
    [
        ("load", "requests_per_s"), ("load", "p99_ms"), ("load", "seconds"), ("throughput", "rows_per_s"), ("throughput", "seconds"),
        ("memory", "memory_mib"), ("cold-start", "cold_start_s"), ("relations", "seconds"), ("robustness", "seconds"),
    ],
)  # fmt: skip
def test_what_is_no_number_above_nothing_is_refused(check: str, option: str, value: float) -> None:
    """A limit that is not a number would be kept by everything, or by nothing, for ever."""
    (question,) = (one for one in QUESTIONS if one.name == check)
    assert option in " ".join(option_problems(question, {option: value}))


def standards() -> Iterator[tuple[str, str]]:
    yield STANDARD + "options = { lest = 1 }\n", "checks.one-row-latency.options"
    yield (
        STANDARD + "[tiers.high.checks.golden-answers]\noptions = { a = 1 }\n",
        "tiers.high.checks.golden-answers.options",
    )
    yield 'format = 1\nname = "strict"\n[checks.no-such]\nrun = true\n', "no such check"


@pytest.mark.parametrize(("text", "told"), list(standards()), ids=["unknown", "tier", "no-check"])
def test_a_standard_with_settings_that_no_check_takes_is_refused(text: str, told: str) -> None:
    """When it is proposed, and not at the next certification."""
    with pytest.raises(StandardMalformed, match=told):
        check_names(read_standard(text), KNOWN)


def test_a_standard_says_which_checks_are_put() -> None:
    """`run` and `options` come through, for the tier, too."""
    text = STANDARD + "run = false\n[tiers.high.checks.one-row-latency]\nrun = true\n"
    read = read_standard(text)
    assert read.base.checks["one-row-latency"].run is False
    assert read.of_tier("high").checks["one-row-latency"].run is True
    check_names(read, KNOWN)
