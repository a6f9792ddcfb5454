"""The conformance kit: sound hosts pass it, and each mistake is caught by the case that is about it."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from _pytest.mark.structures import ParameterSet

from echo_program import FAULTS
from echo_subjects import language_subject, program_subject, python_subject
from muster.environments.shelf import Shelf
from muster.packaging.trees import remove_tree
from muster.runtimes.conformance.batch_cases import BigBatch
from muster.runtimes.conformance.cases import CASES
from muster.runtimes.conformance.differential import compared_cases
from muster.runtimes.conformance.kit import Case, Outcome, Report, conform
from muster.runtimes.conformance.value_cases import FloatBits
from muster.runtimes.parent import Limits
from toolchains import needs

#: Cases with less to do: nineteen programs are held against them.
_LESS: dict[str, Case] = {"float-bits": FloatBits(rows=400), "big-batch": BigBatch(rows=2_000)}
QUICK = tuple(_LESS.get(case.name, case) for case in CASES)
HELPERS = ("node", "go", "rust", "cpp", "java", "r")
#: Helpers that speak lines as well.
LINES = ("node", "go", "java")


def failed(report: Report) -> dict[str, str]:
    return {result.case: result.detail for result in report.failed}


def names(report: Report, outcome: Outcome) -> set[str]:
    return {result.case for result in report.results if result.outcome is outcome}


def test_a_python_object_conforms(tmp_path: Path) -> None:
    """Muster's own host of Python passes every case."""
    report = conform(python_subject(tmp_path / "echo"), CASES)
    assert failed(report) == {}
    assert names(report, Outcome.PASSED) == {case.name for case in CASES}


@pytest.mark.parametrize("wire", ["binary", "lines"])
def test_a_program_of_the_standard_library_conforms(tmp_path: Path, wire: str) -> None:
    """What the reference page asks for is enough, on either wire."""
    report = conform(program_subject(tmp_path / "echo", wire), CASES)
    assert failed(report) == {}
    assert names(report, Outcome.PASSED) == {case.name for case in CASES}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_mistake_is_caught_by_the_case_that_is_about_it(tmp_path: Path, fault: str) -> None:
    """And by no other, so that whoever wrote the helper knows where to look."""
    report = conform(program_subject(tmp_path / "echo", "binary", "--fault", fault), QUICK)
    assert list(failed(report)) == [FAULTS[fault][1]], failed(report)


@pytest.mark.parametrize("fault", ["prints-onto-wire", "errors-end", "no-empty-batch"])
def test_a_mistake_on_the_wire_of_lines_is_caught(tmp_path: Path, fault: str) -> None:
    """The same mistakes fail the same cases there."""
    report = conform(program_subject(tmp_path / "echo", "lines", "--fault", fault), QUICK)
    assert list(failed(report)) == [FAULTS[fault][1]], failed(report)


def test_a_program_that_does_not_start_fails_the_first_case(tmp_path: Path) -> None:
    """With what it said; no further case is put, as there is nothing to put it to."""
    report = conform(program_subject(tmp_path / "echo", "binary", "--fault", "no-such-fault"), CASES)
    assert list(failed(report)) == ["golden"]
    assert "no-such-fault" in failed(report)["golden"]
    assert not report.passed


def test_both_wires_of_a_program_agree(tmp_path: Path) -> None:
    """Bit for bit, but for what a NaN carries."""
    one, other = program_subject(tmp_path / "one"), program_subject(tmp_path / "other", "lines")
    with other.start(Limits()) as host:
        report = conform(one, compared_cases(one, host))
    assert failed(report) == {}
    assert len(report.results) == 9


@pytest.mark.parametrize(
    ("fault", "cases"),
    [
        ("last-bit-lost", {"differential-float-bits"}),
        ("through-double", {"differential-integers-64"}),
        ("no-empty-batch", {"differential-empty"}),
    ],
)
def test_wires_that_differ_are_told_apart(tmp_path: Path, fault: str, cases: set[str]) -> None:
    """By the table in which they do."""
    one, other = (
        program_subject(tmp_path / "one", "binary", "--fault", fault),
        program_subject(tmp_path / "other", "lines"),
    )
    with other.start(Limits()) as host:
        report = conform(one, compared_cases(one, host))
    assert set(failed(report)) == cases


@pytest.fixture(scope="module")
def shelf(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shelf]:
    """Parts are fetched once per user, environments built once per module."""
    root = tmp_path_factory.mktemp("shelf")
    yield Shelf(root / "environments", root / "uv-cache")
    remove_tree(root / "environments")


def _helper(kind: str, wires: tuple[str, ...]) -> list[ParameterSet]:
    return [pytest.param(kind, wire, marks=needs(kind), id=f"{kind}-{wire}") for wire in wires]


@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    ("kind", "wire"),
    [
        parameter
        for kind in HELPERS
        for parameter in _helper(kind, ("binary", "lines") if kind in LINES else ("binary",))
    ],
)
def test_a_helper_library_conforms(tmp_path: Path, shelf: Shelf, kind: str, wire: str) -> None:
    """Every helper that we ship passes every case, built by its language's own tools."""
    report = conform(language_subject(tmp_path / "echo", kind, wire, shelf), CASES)
    assert failed(report) == {}
    assert names(report, Outcome.PASSED) == {case.name for case in CASES}
