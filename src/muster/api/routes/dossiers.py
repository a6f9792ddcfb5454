"""What is on record of a version: the report of its certification, its model card, the ML Test Score of its model."""

from litestar import Response, get, post
from litestar.datastructures import ResponseHeader
from litestar.openapi import ResponseSpec
from litestar.params import JSONBody

from muster.api.parameters import ModelName, SessionId, VersionNumber
from muster.api.services import Caller, Given
from muster.reports.card_markdown import card_markdown
from muster.reports.cards import card_page
from muster.reports.certification import certification_report
from muster.reports.page import POLICY
from muster.vocabulary.names import VersionName
from muster.wire import reports

TAG = "dossiers"
_VERSION = "/models/{model:str}/versions/{number:int}"
_SCORE = "/models/{model:str}/test-score"
_HTML, _MARKDOWN = "text/html", "text/markdown"
#: A page is shown as what it is, in a browser that would run nothing even if something could be smuggled in.
_GUARDED = {"content-security-policy": POLICY, "x-content-type-options": "nosniff", "referrer-policy": "no-referrer"}
_TOLD = [ResponseHeader(name="X-Content-Type-Options", value="nosniff", documentation_only=True)]


def _described(media_type: str, what: str) -> dict[int, ResponseSpec]:
    return {200: ResponseSpec(data_container=str, media_type=media_type, description=what)}


def _page(text: str, media_type: str = _HTML) -> Response[bytes]:
    return Response(text.encode("utf-8"), media_type=media_type, headers=_GUARDED)


@get("/sessions/{session:str}/report", sync_to_thread=True, operation_id="getSessionReport", tags=[TAG])
def get_session_report(services: Given, call: Caller, session: SessionId) -> reports.CertificationReport:
    """All that one certification found, passed or not: every check with figure, limit and what it showed.

    Single rows of a sealed evaluation set are in it for those alone who may accept versions and have no part in the model.
    """
    return services.dossiers.report(call, session)


@get(
    "/sessions/{session:str}/report.html",
    sync_to_thread=True,
    operation_id="getSessionReportPage",
    tags=[TAG],
    media_type=_HTML,
    response_headers=_TOLD,
    responses=_described(_HTML, "The page."),
)
def get_session_report_page(services: Given, call: Caller, session: SessionId) -> Response[bytes]:
    """The same as one HTML page, which needs nothing beside it."""
    return _page(certification_report(services.dossiers.report(call, session)))


@get(f"{_VERSION}/report", sync_to_thread=True, operation_id="getVersionReport", tags=[TAG])
def get_version_report(
    services: Given, call: Caller, model: ModelName, number: VersionNumber
) -> reports.CertificationReport:
    """The report of the newest certification of a version that came to a verdict."""
    return services.dossiers.report_of(call, VersionName(model, number))


@get(
    f"{_VERSION}/report.html",
    sync_to_thread=True,
    operation_id="getVersionReportPage",
    tags=[TAG],
    media_type=_HTML,
    response_headers=_TOLD,
    responses=_described(_HTML, "The page."),
)
def get_version_report_page(services: Given, call: Caller, model: ModelName, number: VersionNumber) -> Response[bytes]:
    """The same as one HTML page, which needs nothing beside it."""
    return _page(certification_report(services.dossiers.report_of(call, VersionName(model, number))))


@get(f"{_VERSION}/card", sync_to_thread=True, operation_id="getCard", tags=[TAG])
def get_card(services: Given, call: Caller, model: ModelName, number: VersionNumber) -> reports.ModelCard:
    """The model card of a version, made of what is on record, with what nobody said or measured named as gaps."""
    return services.dossiers.card(call, VersionName(model, number))


@get(
    f"{_VERSION}/card.html",
    sync_to_thread=True,
    operation_id="getCardPage",
    tags=[TAG],
    media_type=_HTML,
    response_headers=_TOLD,
    responses=_described(_HTML, "The page."),
)
def get_card_page(services: Given, call: Caller, model: ModelName, number: VersionNumber) -> Response[bytes]:
    """The model card as one HTML page, which needs nothing beside it."""
    return _page(card_page(services.dossiers.card(call, VersionName(model, number))))


@get(
    f"{_VERSION}/card.md",
    sync_to_thread=True,
    operation_id="getCardMarkdown",
    tags=[TAG],
    media_type=_MARKDOWN,
    response_headers=_TOLD,
    responses=_described(_MARKDOWN, "The text."),
)
def get_card_markdown(services: Given, call: Caller, model: ModelName, number: VersionNumber) -> Response[bytes]:
    """The model card as Markdown."""
    return _page(card_markdown(services.dossiers.card(call, VersionName(model, number))), _MARKDOWN)


@get(_SCORE, sync_to_thread=True, operation_id="getTestScore", tags=[TAG])
def get_test_score(services: Given, call: Caller, model: ModelName) -> reports.TestScore:
    """The ML Test Score of a model: 28 tests, each with the fact that meets it or with what is missing."""
    return services.dossiers.test_score(call, model)


@post(f"{_SCORE}/declarations", status_code=200, sync_to_thread=True, operation_id="declareTest", tags=[TAG])
def declare_test(
    services: Given, call: Caller, model: ModelName, data: JSONBody[reports.DeclarationOrder]
) -> reports.TestScore:
    """Say that people did by hand what a test asks, and where its results can be read; counts half, for a year.

    The model's owner may, and whoever has the right manage-models.
    """
    return services.dossiers.declare(call, model, data.test, data.where, data.reason)


@post(f"{_SCORE}/declarations/withdraw", status_code=200, sync_to_thread=True, operation_id="withdrawTest", tags=[TAG])
def withdraw_test(
    services: Given, call: Caller, model: ModelName, data: JSONBody[reports.DeclarationWithdrawal]
) -> reports.TestScore:
    """Take back what was declared. The model's owner may, and whoever has the right manage-models."""
    return services.dossiers.withdraw(call, model, data.test, data.reason)


HANDLERS = (
    get_session_report,
    get_session_report_page,
    get_version_report,
    get_version_report_page,
    get_card,
    get_card_page,
    get_card_markdown,
    get_test_score,
    declare_test,
    withdraw_test,
)
