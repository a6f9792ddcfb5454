"""What sessions have measured, and the curves that are derived from the tables that they kept."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from muster.access.actor import Call
from muster.access.roles import Right
from muster.blobs.protocol import Blobs
from muster.certification import store
from muster.certification.errors import CurveNotFound, CurveUnfit, CurveWithheld
from muster.certification.evaluated import SessionTable
from muster.evaluation import coarse, curves
from muster.evaluation.errors import MetricUndefined
from muster.evaluation_sets.service import EvaluationSets
from muster.sessions.records import Measured, MeasuresAsked
from muster.sessions.service import Sessions
from muster.storage.transaction import Database
from muster.wire.evaluations import ClassTable, CutoffTable, OutcomeTable, StoredTable, decoded
from muster.wire.evidence import Cell

Lines = tuple[tuple[str, ...], tuple[tuple[Cell, ...], ...]]
"""Names of columns, and rows."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DerivedCurve:
    """A curve or matrix, as lines of a table."""

    source: SessionTable
    kind: str
    cutoff: float | None
    """At which a confusion matrix is; None elsewhere."""
    columns: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]
    is_coarse: bool = False
    """Whether it is what an author may see: steps of many rows, and no score."""


class Metrics:
    """Measures and curves of sessions.

    Whoever may read the rows of a model's evaluation sets gets exact curves. All others, the authors among them, get coarse ones: a
    score may spell the inputs of its row, and each step of an exact curve tells a label.

    Args:
        database: where sessions tell what they kept.
        sessions: the executions.
        blobs: where tables lie.
        evaluations: tells who may see rows.
    """

    def __init__(self, *, database: Database, sessions: Sessions, blobs: Blobs, evaluations: EvaluationSets) -> None:
        self._evaluations = evaluations
        self._database = database
        self._sessions = sessions
        self._blobs = blobs

    def measures(self, call: Call, asked: MeasuresAsked, limit: int = 1000) -> tuple[Measured, ...]:
        """What was measured of a model, across versions, sessions and periods, the newest first."""
        return self._sessions.measures(call, asked, limit)

    def tables(self, call: Call, session: str) -> tuple[SessionTable, ...]:
        """The tables that a session kept; their digests only for whoever may read the rows, as a bundle may name blobs by digest.

        Raises:
            SessionNotFound: there is no such session.
        """
        kept = self._tables(call, session)
        if kept and self._evaluations.may_read(call, kept[0].model):
            return kept
        return tuple(replace(one, table=replace(one.table, digest=None)) for one in kept)

    def curve(
        self, call: Call, session: str, kind: str, *, of_slice: str = "", part: str = "", cutoff: float | None = None
    ) -> DerivedCurve:
        """A curve of a session, derived from the table that it kept.

        Args:
            call: who, and in which project.
            session: its id.
            kind: `roc`, `pr`, `lift`, `gains`, `accuracy`, `confusion`, `calibration` or `outcomes`.
            of_slice: `region=north`; empty: all rows.
            part: of several classes, which one against the rest; empty: all of them.
            cutoff: of a confusion matrix; None: the one that the metrics were computed at.

        Raises:
            SessionNotFound: there is no such session.
            CurveNotFound: it has kept no such table.
            CurveUnfit: the curve cannot be derived from it.
            CurveWithheld: the caller may not read the rows, and it would tell of few of them.
        """
        if cutoff is not None and not math.isfinite(cutoff):
            raise CurveUnfit(f"a cut-off is a finite number, and not {cutoff}", kind=kind)
        kept = [one for one in self._tables(call, session) if (one.table.slice, one.table.part) == (of_slice, part)]
        if not kept:
            of_what = " ".join(word for word in (of_slice, part) if word) or "the whole"
            raise CurveNotFound(f"{session} has kept no table of {of_what}", session=session, slice=of_slice, part=part)
        source = kept[-1]  # of several sets the newest
        assert source.table.digest is not None
        table = decoded(self._blobs.read(source.table.digest))
        is_exact = self._evaluations.may_read(call, source.model)
        try:
            columns, rows, at = (_derived if is_exact else _coarse)(table, kind, cutoff, is_part=bool(of_slice or part))
        except MetricUndefined as error:
            raise CurveUnfit(error.message, kind=kind) from error
        if not is_exact:
            source = replace(source, table=replace(source.table, digest=None))
        return DerivedCurve(source=source, kind=kind, cutoff=at, columns=columns, rows=rows, is_coarse=not is_exact)

    def _tables(self, call: Call, session: str) -> tuple[SessionTable, ...]:
        call.require(Right.READ)
        self._sessions.session(call, session)
        with self._database.read() as tx:
            return store.tables_of_session(tx, call.project, session)


def _coarse(
    table: StoredTable, kind: str, cutoff: float | None, *, is_part: bool
) -> tuple[tuple[str, ...], tuple[tuple[Cell, ...], ...], float | None]:
    """What whoever may not read the rows sees of a curve."""
    if is_part and table.population < coarse.LEAST_PART:
        raise CurveWithheld(
            f"there are {table.population} rows of it; of fewer than {coarse.LEAST_PART} a curve tells of single rows",
            kind=kind,
        )
    least = coarse.LEAST_ROWS_OF_A_PART if is_part else coarse.LEAST_ROWS
    if isinstance(table, CutoffTable):
        if kind == "confusion":
            if cutoff not in (None, table.cutoff):
                raise CurveWithheld("at cut-offs of one's own choice the confusion tells of single rows", kind=kind)
            columns, ((_, *counts),) = _confusion(curves.confusion(table))
            return columns, ((table.cutoff, *counts),), table.cutoff
        if kind == "calibration":
            return *_reliabilities(coarse.reliabilities(curves.calibration(table), least)), None
        if kind in _OF_CUTOFFS:
            few = coarse.cutoffs(table, least)
            (_, *names), rows = _OF_CUTOFFS[kind](few)
            return *_by_share(few, tuple(names), rows), None
    if isinstance(table, ClassTable) and kind == "confusion":
        came, said, often = coarse.classes(table)
        told: tuple[tuple[Cell, ...], ...] = tuple((name, *row) for name, row in zip(came, often, strict=True))
        return ("is", *(f"said {name}" for name in said)), told, None
    if isinstance(table, OutcomeTable) and kind == "outcomes":
        steps = coarse.outcomes(table, least)
        lines = tuple((one.rows, one.predicted, one.actual, one.mae, one.rmse) for one in steps)
        return ("rows", "predicted", "actual", "mae", "rmse"), lines, None
    return _derived(table, kind, cutoff, is_part=is_part)


def _by_share(few: CutoffTable, names: tuple[str, ...], rows: tuple[tuple[Cell, ...], ...]) -> Lines:
    """Points by the share of the population that is selected, in place of the cut-off; what is a cut-off itself is left out."""
    counts = zip(few.true_positives, few.false_positives, strict=True)
    shares = [(right + wrong) / few.population for right, wrong in counts]
    if len(rows) > len(shares):  # a curve that begins where nothing is selected
        shares.insert(0, 0.0)
    kept = [place for place, name in enumerate(names) if name not in ("at", "population")]
    columns = ("population", *(names[place] for place in kept))
    return columns, tuple((share, *(row[1 + place] for place in kept)) for share, row in zip(shares, rows, strict=True))


def _derived(
    table: StoredTable,
    kind: str,
    cutoff: float | None,
    *,
    is_part: bool,  # noqa: ARG001 - as the coarse one is asked
) -> tuple[tuple[str, ...], tuple[tuple[Cell, ...], ...], float | None]:
    if isinstance(table, CutoffTable):
        if kind == "confusion":
            found = curves.confusion(table, cutoff)
            return *_confusion(found), table.cutoff if cutoff is None else cutoff
        if kind in _OF_CUTOFFS:
            return *_OF_CUTOFFS[kind](table), None
    if isinstance(table, ClassTable) and kind == "confusion":
        rows: tuple[tuple[Cell, ...], ...] = tuple(
            (name, *counts) for name, counts in zip(table.classes, table.counts, strict=True)
        )
        return ("is", *(f"said {name}" for name in table.classes)), rows, None
    if isinstance(table, OutcomeTable) and kind == "outcomes":
        return *_outcomes(table), None
    raise CurveUnfit(f"there is no curve {kind!r} of a table of {_WORDS[type(table)]}", kind=kind)


_WORDS: Mapping[type, str] = {CutoffTable: "cut-offs", OutcomeTable: "predicted numbers", ClassTable: "classes"}


def _confusion(found: curves.Confusion) -> Lines:
    columns = ("cutoff", "true_positives", "false_positives", "false_negatives", "true_negatives", "accuracy", "exact")
    row = (
        found.cutoff, found.true_positives, found.false_positives, found.false_negatives, found.true_negatives,
        found.accuracy, found.is_exact,
    )  # fmt: skip
    return columns, (row,)


def _points(x: str, y: str, derive: Callable[[CutoffTable], curves.Points]) -> Callable[[CutoffTable], Lines]:
    def lines(table: CutoffTable) -> Lines:
        found = derive(table)
        return ("cutoff", x, y), tuple(zip(found.cutoffs, found.x, found.y, strict=True))

    return lines


def _calibration(table: CutoffTable) -> Lines:
    return _reliabilities(curves.calibration(table))


def _reliabilities(bins: tuple[curves.Reliability, ...]) -> Lines:
    rows = tuple((one.low, one.high, one.rows, one.said, one.came) for one in bins)
    return ("low", "high", "rows", "said", "came"), rows


_OF_CUTOFFS: Mapping[str, Callable[[CutoffTable], Lines]] = {
    "roc": _points("false_positive_rate", "true_positive_rate", curves.roc),
    "pr": _points("recall", "precision", curves.precision_recall),
    "lift": _points("population", "lift", curves.lift),
    "gains": _points("population", "recall", curves.gains),
    "accuracy": _points("at", "accuracy", curves.accuracies),
    "calibration": _calibration,
}
#: All that can be asked for.
KINDS: tuple[str, ...] = (*_OF_CUTOFFS, "confusion", "outcomes")


def _outcomes(table: OutcomeTable) -> Lines:
    columns = ("low", "high", "rows", "predicted", "actual", "mae", "rmse")
    rows = tuple(
        (low, high, count, said / count, came / count, absolute / count, (squared / count) ** 0.5)
        for low, high, count, said, came, absolute, squared in zip(
            table.low,
            table.high,
            table.rows,
            table.predicted_sums,
            table.actual_sums,
            table.absolute_errors,
            table.squared_errors,
            strict=True,
        )
    )
    return columns, rows
