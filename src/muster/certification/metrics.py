"""What sessions have measured, and the curves that are derived from the tables that they kept."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from muster.access.actor import Call
from muster.access.roles import Right
from muster.blobs.protocol import Blobs
from muster.certification import store
from muster.certification.errors import CurveNotFound, CurveUnfit
from muster.certification.evaluated import SessionTable
from muster.evaluation import curves
from muster.evaluation.errors import MetricUndefined
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


class Metrics:
    """Measures and curves of sessions.

    Args:
        database: where sessions tell what they kept.
        sessions: the executions.
        blobs: where tables lie.
    """

    def __init__(self, *, database: Database, sessions: Sessions, blobs: Blobs) -> None:
        self._database = database
        self._sessions = sessions
        self._blobs = blobs

    def measures(self, call: Call, asked: MeasuresAsked, limit: int = 1000) -> tuple[Measured, ...]:
        """What was measured of a model, across versions, sessions and periods, the newest first."""
        return self._sessions.measures(call, asked, limit)

    def tables(self, call: Call, session: str) -> tuple[SessionTable, ...]:
        """The tables that a session kept.

        Raises:
            SessionNotFound: there is no such session.
        """
        call.require(Right.READ)
        self._sessions.session(call, session)
        with self._database.read() as tx:
            return store.tables_of_session(tx, call.project, session)

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
        """
        kept = [one for one in self.tables(call, session) if (one.table.slice, one.table.part) == (of_slice, part)]
        if not kept:
            of_what = " ".join(word for word in (of_slice, part) if word) or "the whole"
            raise CurveNotFound(f"{session} has kept no table of {of_what}", session=session, slice=of_slice, part=part)
        source = kept[-1]  # of several sets the newest
        table = decoded(self._blobs.read(source.table.digest))
        try:
            columns, rows, at = _derived(table, kind, cutoff)
        except MetricUndefined as error:
            raise CurveUnfit(error.message, kind=kind) from error
        return DerivedCurve(source=source, kind=kind, cutoff=at, columns=columns, rows=rows)


def _derived(
    table: StoredTable, kind: str, cutoff: float | None
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
    rows = tuple((one.low, one.high, one.rows, one.said, one.came) for one in curves.calibration(table))
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
