"""What there is: what models carry, searches, references."""

from typing import Annotated

from litestar import get, post
from litestar.params import JSONBody, QueryParameter

from muster.api import convert, convert_catalogue
from muster.api.parameters import AfterNumber, Limit, ModelName
from muster.api.services import Caller, Given
from muster.vocabulary.pages import USUAL, paged
from muster.wire import catalogue, control

TAG = "catalogue"


@post("/models/{model:str}", status_code=200, sync_to_thread=True, operation_id="setModel", tags=[TAG])
def set_model(services: Given, call: Caller, model: ModelName, data: JSONBody[catalogue.ModelOrder]) -> control.Model:
    """Change what a model carries: owner, deputy, description, business metric, tags.

    Its owner may, and whoever has the right manage-models.
    """
    changed = services.registry.set_model(call, model, convert_catalogue.changes(data), data.reason)
    page = paged(changed.versions, USUAL, lambda version: version.number)
    return convert.model(changed, page.next)


@get("/search", sync_to_thread=True, operation_id="search", tags=[TAG])
def search(
    services: Given,
    call: Caller,
    q: Annotated[
        str,
        QueryParameter(
            max_length=1000,
            description='Terms that must all hold: `state:accepted tag:team=risk metric:auc>0.8 "free text"`; empty: everything.',
        ),
    ] = "",
    limit: Limit = USUAL,
    after: AfterNumber = None,
) -> catalogue.Search:
    """Models, versions and endpoints of the project that a query fits, what came last first, page by page."""
    return convert_catalogue.search(q, services.catalogue.search(call, q, limit=limit, after=after))


@post("/resolve", status_code=200, sync_to_thread=True, operation_id="resolve", tags=[TAG])
def resolve(services: Given, call: Caller, data: JSONBody[catalogue.ResolveOrder]) -> catalogue.Resolution:
    """What up to a hundred references stand for; one that stands for nothing says why, and is no error."""
    return convert_catalogue.resolution(services.references.resolve(call, data.references))


HANDLERS = (set_model, search, resolve)
