"""Evaluation sets, measures and curves, as `muster.connect` asks about them."""

from datetime import datetime
from pathlib import Path
from typing import Literal
from urllib.parse import quote

from muster.client.orders import moment
from muster.client.transport import FileBody, Transport
from muster.vocabulary.names import checked_name
from muster.wire import evaluations

CurveKind = Literal["roc", "pr", "lift", "gains", "accuracy", "calibration", "confusion", "outcomes"]


class Evaluations:
    """The part of `Factory` about how well versions predict."""

    _transport: Transport
    _project: str

    def seal_evaluation(
        self, model: str, file: str | Path, reason: str, *, label: str | None = None
    ) -> evaluations.EvaluationSet:
        """Seal an evaluation set for a model that you have no part in.

        Args:
            model: whose.
            file: Parquet, or CSV with a header.
            reason: why.
            label: the column of what really happened; None: the one that the newest version's `[prediction]` names.
        """
        body = FileBody(file=Path(file), media_type="application/octet-stream")
        return self._transport.post(
            self._sets(model), evaluations.EvaluationSet, body, wait_s=600.0, reason=reason, label=label
        )

    def evaluation_sets(self, model: str) -> evaluations.EvaluationSets:
        """The evaluation sets of a model, the newest first."""
        return self._transport.get(self._sets(model), evaluations.EvaluationSets)

    def evaluation_set(self, model: str, number: int) -> evaluations.EvaluationSet:
        """One evaluation set: who sealed which rows, when and why."""
        return self._transport.get(f"{self._sets(model)}/{int(number)}", evaluations.EvaluationSet)

    def evaluation_rows(self, model: str, number: int, target: str | Path) -> Path:
        """Write the rows of a set into a Parquet file; for whoever may seal sets and has no part in the model."""
        path = Path(target)
        self._transport.download(f"{self._sets(model)}/{int(number)}/rows", path, wait_s=600.0)
        return path

    def measures(
        self,
        model: str,
        *,
        metric: str | None = None,
        version: int | None = None,
        over: str | None = None,
        of_slice: str | None = None,
        slices: bool = False,
        session: str | None = None,
        since: datetime | str | None = None,
        until: datetime | str | None = None,
    ) -> evaluations.Measures:
        """What was measured of a model by standard definitions, the newest first.

        Args:
            model: whose.
            metric: only this one: `roc_auc`.
            version: of this number.
            over: computed on this: `evaluation:2`.
            of_slice: of this slice: `region=north`.
            slices: slices as well as the whole.
            session: of this one.
            since: measured then or later.
            until: measured before.
        """
        query: dict[str, str | float | None] = {"slice": of_slice, "slices": "true" if slices else None}
        query |= {"from": moment(since), "to": moment(until)}
        path = f"{self._project}/models/{checked_name(model, of='model')}/metrics"
        query |= {"metric": metric, "version": version, "over": over, "session": session}
        return self._transport.get(path, evaluations.Measures, wait_s=0.0, **query)

    def kept_tables(self, session: str) -> evaluations.KeptTables:
        """The tables that a session has kept, from which curves are derived."""
        return self._transport.get(f"{self._of_session(session)}/tables", evaluations.KeptTables)

    def curve(
        self,
        session: str,
        kind: CurveKind,
        *,
        of_slice: str | None = None,
        part: str | None = None,
        cutoff: float | None = None,
    ) -> evaluations.MetricCurve:
        """A curve of a session: exact for whoever may read the rows of the set, in steps of many rows for all others.

        Args:
            session: its id.
            kind: which curve.
            of_slice: `region=north`; None: all rows.
            part: of several classes, which one against the rest.
            cutoff: of a confusion matrix.
        """
        path = f"{self._of_session(session)}/curves/{quote(kind, safe='')}"
        return self._transport.get(path, evaluations.MetricCurve, part=part, cutoff=cutoff, slice=of_slice)

    def _sets(self, model: str) -> str:
        return f"{self._project}/models/{checked_name(model, of='model')}/evaluations"

    def _of_session(self, session: str) -> str:
        return f"{self._project}/sessions/{quote(session, safe='')}"
