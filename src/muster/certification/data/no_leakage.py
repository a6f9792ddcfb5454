"""Whether the answers leaked into what the model was given: hints from its training data and from what it is judged on."""

from collections.abc import Iterator
from contextlib import ExitStack
from typing import ClassVar

import msgspec

from muster.certification import checks
from muster.certification.data.leakage import Hint, Thresholds, are_comparable, label_hints, shared_hint
from muster.certification.records import Figure
from muster.packaging.columns import Table
from muster.packaging.documents import Bundle
from muster.training.addresses import BUNDLE, SOURCE
from muster.training.reading import DataFile, table_of
from muster.wire.evidence import Grid

_SHOWN = 50


class NoLeakage:
    """Nothing that the model is given tells the answer by itself, and what it is judged on was not in its training."""

    name: ClassVar[str] = "no-leakage"
    asks: ClassVar[str] = "did the answers leak into what it was given?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = (
        "Look at each field that is named: is it known at the moment of scoring, before the answer is? Take out what is not, and take "
        "rows of the evaluation out of the training data. A field that is innocent is named in the standard's option `ignore`."
    )

    class Options(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
        """From where on something is a hint."""

        max_auc: float = 0.999
        """How well a single field may rank or tell a class: area under the ROC curve, or balanced accuracy."""
        max_correlation: float = 0.9995
        """How well a single field may go with a quantity."""
        max_shared: float = 0.01
        """Share of the rows judged on that may be in the training data, beyond the share of training rows that repeat themselves."""
        min_rows: int = 50
        """With fewer rows nothing is said about fields."""
        ignore: tuple[str, ...] = ()
        """Fields that were looked at and found innocent."""

        def problems(self) -> list[str]:
            """What is wrong beyond types."""
            shares = {"max_auc": self.max_auc, "max_correlation": self.max_correlation, "max_shared": self.max_shared}
            wrong = [
                f"{name} is {value:g}; it lies between 0 and 1" for name, value in shares.items() if not 0 <= value <= 1
            ]
            return wrong if self.min_rows >= 1 else [*wrong, "min_rows is at least 1"]

    def is_asked(self, bench: checks.Bench) -> bool:
        """Whether the bundle names data that the factory may read."""
        if bench.bundle is None:
            return False
        roots = (SOURCE, BUNDLE, *(source.uri for source in bench.at_hand.sources))
        return any(one.uri.startswith(roots) for one in bench.bundle.data)

    def answer(self, bench: checks.Bench, stack: ExitStack) -> checks.Finding:  # noqa: ARG002 - nothing to end
        """How many hints there are."""
        assert bench.bundle is not None
        options = bench.given(self, self.Options)
        thresholds = Thresholds(
            auc=options.max_auc,
            correlation=options.max_correlation,
            shared=options.max_shared,
            min_rows=options.min_rows,
            ignore=options.ignore,
        )
        if not bench.at_hand.training:
            return checks.Finding(
                passed=False,
                figure="no data",
                limit=0,
                detail="the factory could read no training data of this version",
                remedy="Name the training data below a registered source: `muster source list`, [[data]] in muster.toml.",
            )
        looked: list[str] = []
        hints = [hint for found in _hints(bench, bench.bundle, thresholds, looked) for hint in found]
        detail = "; ".join(hint.told for hint in hints[:3]) or f"no hint in {', '.join(looked)}"
        rows = tuple((one.kind, one.field[:80], one.figure, one.limit, one.told) for one in hints[:_SHOWN])
        grid = Grid(
            title="Hints of leakage", columns=("kind", "field or data", "figure", "limit", "what was found"), rows=rows
        )
        return checks.Finding(
            passed=not hints,
            figure=len(hints),
            limit=0,
            detail=detail,
            exhibits=(grid,) if hints else (),
        )


def _hints(bench: checks.Bench, bundle: Bundle, thresholds: Thresholds, looked: list[str]) -> Iterator[list[Hint]]:
    inputs = [field.name for field in bundle.contract.inputs]
    label = "" if bundle.prediction is None else bundle.prediction.label
    sealed = None if bench.at_hand.sealed is None else bench.at_hand.sealed(bench.version)
    for name, file in bench.at_hand.training.items():
        others = (label,) if label and label not in inputs else ()
        table = table_of(file, bundle.contract, *others)
        if others and label in table.columns:
            looked.append(f"{len(table.columns) - 1} fields of {name} against {label}")
            yield label_hints(table, label, thresholds)
        judged: list[tuple[str, Table]] = [
            (other, _inputs_of(held, bundle)) for other, held in bench.at_hand.held_out.items()
        ]
        if sealed is not None:
            judged.append((sealed.name, sealed.table))
        for other, rows in judged:
            if are_comparable(table, rows, inputs):
                looked.append(f"the rows of {other} against those of {name}")
                hint = shared_hint(other, table, rows, inputs, thresholds)
                yield [] if hint is None else [hint]
        if not looked:
            looked.append(f"{name}, of which neither label nor evaluation rows are known")


def _inputs_of(file: DataFile, bundle: Bundle) -> Table:
    return table_of(file, bundle.contract)
