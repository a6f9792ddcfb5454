"""From what is known of evaluation sets, measures and curves to the documents of the wire."""

from collections.abc import Sequence

from muster.certification.evaluated import SessionTable
from muster.certification.metrics import DerivedCurve
from muster.evaluation_sets.records import EvaluationSet
from muster.sessions.records import Measured
from muster.vocabulary.clock import rfc3339
from muster.vocabulary.names import VersionName
from muster.wire import evaluations


def evaluation_set(found: EvaluationSet) -> evaluations.EvaluationSet:
    """A sealed set, without its rows."""
    return evaluations.EvaluationSet(
        model=found.model,
        number=found.number,
        digest=found.digest,
        source=found.source,
        label=found.label,
        columns=found.columns,
        rows=found.rows,
        bytes=found.bytes,
        against=found.against,
        sealed_by=found.sealed_by,
        sealed_at=rfc3339(found.sealed_at),
        reason=found.reason,
    )


def measures(model: str, found: Sequence[Measured]) -> evaluations.Measures:
    """What was measured of a model."""
    return evaluations.Measures(
        model=model,
        measures=tuple(
            evaluations.MeasuredValue(
                metric=one.measure.name,
                definition=one.measure.version,
                value=one.measure.value,
                low=one.measure.low,
                high=one.measure.high,
                over=one.measure.over,
                slice=one.measure.slice,
                version=str(one.version),
                session=one.session,
                at=rfc3339(one.at),
            )
            for one in found
        ),
    )


def kept_tables(session: str, found: Sequence[SessionTable]) -> evaluations.KeptTables:
    """The tables of a session."""
    return evaluations.KeptTables(
        session=session,
        tables=tuple(
            evaluations.KeptTable(
                over=one.table.over,
                slice=one.table.slice,
                part=one.table.part,
                kind=one.table.kind,
                digest=one.table.digest,
            )
            for one in found
        ),
    )


def curve(found: DerivedCurve) -> evaluations.MetricCurve:
    """A derived curve."""
    source = found.source
    return evaluations.MetricCurve(
        session=source.session,
        version=str(VersionName(source.model, source.number)),
        over=source.table.over,
        slice=source.table.slice,
        part=source.table.part,
        kind=found.kind,
        cutoff=found.cutoff,
        coarse=found.is_coarse,
        columns=found.columns,
        rows=found.rows,
    )
