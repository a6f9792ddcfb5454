"""Writes docs/reference/standard-metrics.md: every standard metric with its definition, from the docstrings of the definitions."""

import inspect
from pathlib import Path

from muster.evaluation import definitions
from muster.evaluation.metric import Better, Metric, Task

PAGE = Path(__file__).parents[1] / "docs" / "reference" / "standard-metrics.md"
_HEAD = """# Standard metrics

<!-- Written by tools/standard_metrics_reference.py: change the docstrings in src/muster/evaluation, then `make docs`. -->

One definition of each figure, so that figures of different models, versions and years can be compared. They are computed by the factory
from predictions and labels ([evaluation](evaluation.md)), and held against scikit-learn in the tests where it has them. A definition
that would give other figures is another version, and measures say which version they are of. No metric is weighted by rows.

Where a metric has no value (one class only, nothing at or above the cut-off, labels that are all alike) it is refused with the reason,
and no number stands in for it. NaN is never a figure.
"""
_TASKS = {
    Task.BINARY: "Two classes, one score per row. Scores are counted per distinct score, so ties are one place.",
    Task.MULTICLASS: "Several classes, a probability for each or a class.",
    Task.REGRESSION: "A number.",
    Task.COUNTS: "A count, 0 or more, and its expectation.",
    Task.PROBABILISTIC: "Quantiles, or a normal distribution.",
    Task.RANKING: "Rows of a query, ordered by score.",
}
_WORDS = {Better.HIGHER: "higher", Better.LOWER: "lower", Better.NEAR_ZERO: "near zero"}


def text() -> str:
    """The whole page."""
    parts = [_HEAD]
    for task, told in _TASKS.items():
        parts.append(f"\n## {task}\n\n{told} Compared by `{definitions.PRIMARY[task]}`.\n")
        parts.append("\n| metric | version | better | definition |\n|---|---|---|---|\n")
        parts.extend(_row(metric) for metric in definitions.METRICS[task])
    return "".join(parts)


def _row(metric: Metric[object]) -> str:
    words = " ".join(inspect.cleandoc(metric.told).split()).replace("|", "\\|")
    return f"| `{metric.name}` | {metric.version} | {_WORDS[metric.better]} | {words} |\n"


def main() -> None:
    """Write the page."""
    PAGE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
