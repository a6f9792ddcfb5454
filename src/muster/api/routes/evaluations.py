"""Evaluation sets, what was measured on them, and curves."""

from dataclasses import replace
from typing import Annotated, Any, Literal

from litestar import Request, Response, get, post
from litestar.datastructures import ResponseHeader
from litestar.openapi import ResponseSpec
from litestar.params import PathParameter, QueryParameter

from muster.access.actor import Actor
from muster.access.roles import Right
from muster.api import convert
from muster.api import convert_evaluations as convert_own
from muster.api.identity import request_digest
from muster.api.origins import TAKES_FILE
from muster.api.parameters import Limit, ModelName, SessionId
from muster.api.services import Caller, Given
from muster.api.threads import in_thread
from muster.api.uploads import uploaded
from muster.sessions.records import MeasuresAsked
from muster.vocabulary.pages import MOST
from muster.wire import evaluations

TAG = "evaluation"
_SETS = "/models/{model:str}/evaluations"
_MOMENT = r"^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?(Z|[+-]\d\d:\d\d)$"
_TEXT = r"^[^\x00-\x08\x0b\x0c\x0e-\x1f\x7f]*$"
_MEDIA = "application/octet-stream"

SetNumber = Annotated[int, PathParameter(ge=1, le=999_999_999, description="Number of the evaluation set.")]
Slice = Annotated[
    str | None,
    QueryParameter(name="slice", max_length=200, pattern=_TEXT, description="Like `region=north`; empty: all rows."),
]
Moment = Annotated[str | None, QueryParameter(pattern=_MOMENT, max_length=40, description="RFC 3339.")]


@post(_SETS, request_max_body_size=None, opt={TAKES_FILE: True}, operation_id="sealEvaluation", tags=[TAG])
async def seal(
    services: Given,
    call: Caller,
    request: Request[Actor, Any, Any],
    model: ModelName,
    reason: Annotated[str, QueryParameter(min_length=1, max_length=4000, pattern=_TEXT, description="Why.")],
    label: Annotated[
        str | None,
        QueryParameter(
            min_length=1,
            max_length=256,
            pattern=_TEXT,
            description="The column of what really happened; without it, the one that the newest version's `[prediction]` names.",
        ),
    ] = None,
) -> evaluations.EvaluationSet:
    """Seal an evaluation set for a model: the body is a Parquet file, or CSV with a header (`application/octet-stream`).

    Takes the right seal-evaluation, and is refused to whoever has part in a version of the model.
    """
    services.access.require(call, Right.SEAL_EVALUATION)  # before a gigabyte is taken
    async with uploaded(request, services.uploads, services.upload_bytes) as upload:
        if call.idempotency_key is not None:
            call = replace(call, request_digest=request_digest(request, upload.sha256))
        sealed = await in_thread(services.evaluations.add, call, model, upload.file, reason, label)
        return convert_own.evaluation_set(sealed)


@get(_SETS, sync_to_thread=True, operation_id="listEvaluations", tags=[TAG])
def list_sets(services: Given, call: Caller, model: ModelName) -> evaluations.EvaluationSets:
    """The evaluation sets of a model, the newest first; the newest counts."""
    found = services.evaluations.sets(call, model)
    return evaluations.EvaluationSets(sets=tuple(convert_own.evaluation_set(one) for one in found))


@get(f"{_SETS}/{{number:int}}", sync_to_thread=True, operation_id="getEvaluation", tags=[TAG])
def get_set(services: Given, call: Caller, model: ModelName, number: SetNumber) -> evaluations.EvaluationSet:
    """An evaluation set: who sealed which rows, when and why; not the rows."""
    return convert_own.evaluation_set(services.evaluations.one(call, model, number))


@get(
    f"{_SETS}/{{number:int}}/rows",
    sync_to_thread=True,
    operation_id="getEvaluationRows",
    tags=[TAG],
    media_type=_MEDIA,
    response_headers=[ResponseHeader(name="X-Content-Type-Options", value="nosniff", documentation_only=True)],
    responses={200: ResponseSpec(data_container=bytes, media_type=_MEDIA, description="The rows as Parquet.")},
)
def get_rows(services: Given, call: Caller, model: ModelName, number: SetNumber) -> Response[bytes]:
    """The rows of an evaluation set as Parquet, for whoever may seal sets and has no part in the model; on record."""
    content = services.evaluations.content(call, model, number)
    headers = {
        "content-disposition": f'attachment; filename="{model}-evaluation-{number}.parquet"',
        "x-content-type-options": "nosniff",
    }
    return Response(content, media_type=_MEDIA, headers=headers)


@get("/models/{model:str}/metrics", sync_to_thread=True, operation_id="listMeasures", tags=[TAG])
def list_measures(
    services: Given,
    call: Caller,
    model: ModelName,
    metric: Annotated[str | None, QueryParameter(max_length=100, pattern=_TEXT, description="Only this one.")] = None,
    version: Annotated[int | None, QueryParameter(ge=1, le=999_999_999, description="Of this version.")] = None,
    over: Annotated[
        str | None, QueryParameter(max_length=100, pattern=_TEXT, description="Like `evaluation:2`.")
    ] = None,
    of_slice: Slice = None,
    slices: Annotated[bool, QueryParameter(description="Slices as well as the whole.")] = False,  # noqa: FBT002 - of a query
    session: Annotated[str | None, QueryParameter(pattern=r"^[a-z0-9-]{1,80}$", description="Of this session.")] = None,
    from_: Annotated[
        str | None, QueryParameter(name="from", pattern=_MOMENT, max_length=40, description="Measured then or later.")
    ] = None,
    to: Annotated[str | None, QueryParameter(pattern=_MOMENT, max_length=40, description="Measured before.")] = None,
    limit: Limit = MOST,
) -> evaluations.Measures:
    """What was measured of a model by standard definitions, across versions, sessions and periods, the newest first."""
    asked = MeasuresAsked(
        model=model,
        number=version,
        name=metric or "",
        over=over or "",
        slice=None if slices and not of_slice else of_slice or "",
        since=convert.moment_of(from_),
        until=convert.moment_of(to),
        session=session or "",
    )
    return convert_own.measures(model, services.metrics.measures(call, asked, limit))


@get("/sessions/{session:str}/tables", sync_to_thread=True, operation_id="listTables", tags=[TAG])
def list_tables(services: Given, call: Caller, session: SessionId) -> evaluations.KeptTables:
    """The tables that a session has kept, from which curves are derived; digests for whoever may read the rows of the set."""
    return convert_own.kept_tables(session, services.metrics.tables(call, session))


@get("/sessions/{session:str}/curves/{kind:str}", sync_to_thread=True, operation_id="getCurve", tags=[TAG])
def get_curve(
    services: Given,
    call: Caller,
    session: SessionId,
    kind: Annotated[
        Literal["roc", "pr", "lift", "gains", "accuracy", "calibration", "confusion", "outcomes"],
        PathParameter(description="Which curve."),
    ],
    of_slice: Slice = None,
    part: Annotated[
        str | None,
        QueryParameter(max_length=120, pattern=_TEXT, description="Of several classes, which one against the rest."),
    ] = None,
    cutoff: Annotated[float | None, QueryParameter(description="Of `confusion`; without it, the standard's.")] = None,
) -> evaluations.MetricCurve:
    """A curve of a session: ROC, precision and recall, lift, gains, accuracy, calibration, confusion at any cut-off, outcomes.

    Exact for whoever may seal sets and has no part in the model; in steps of many rows and without scores for all others.
    """
    found = services.metrics.curve(call, session, kind, of_slice=of_slice or "", part=part or "", cutoff=cutoff)
    return convert_own.curve(found)


HANDLERS = (seal, list_sets, get_set, get_rows, list_measures, list_tables, get_curve)
