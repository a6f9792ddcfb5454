"""Past requests: their decision records, and computing them again."""

from typing import Annotated

from litestar import get, post
from litestar.params import QueryParameter

from muster.api import convert
from muster.api.parameters import EndpointName, RequestId
from muster.api.services import Caller, Given
from muster.wire import control

TAG = "requests"


@get("/endpoints/{endpoint:str}/requests", sync_to_thread=True, operation_id="listRequests", tags=[TAG])
def list_requests(
    services: Given,
    call: Caller,
    endpoint: EndpointName,
    last: Annotated[int, QueryParameter(ge=1, le=1000, description="How many at most.")] = 20,
) -> control.Requests:
    """The last requests of an endpoint, the newest first; a scientist sees those that own models took part in."""
    found = services.requests.last(call, endpoint, last)
    return control.Requests(endpoint=endpoint, requests=tuple(convert.request_summary(record) for record in found))


@get("/requests/{request_id:str}", sync_to_thread=True, operation_id="getRequest", tags=[TAG])
def get_request(services: Given, call: Caller, request_id: RequestId) -> control.Request:
    """The decision record of a request: what came, what every variant answered, who was chosen and why."""
    return convert.request(services.requests.request(call, request_id))


@post(
    "/requests/{request_id:str}/replay", status_code=202, sync_to_thread=True, operation_id="replayRequest", tags=[TAG]
)
def replay(services: Given, call: Caller, request_id: RequestId) -> control.Session:
    """Compute a past request again on the sealed bundles; the answer names the session to look at."""
    return convert.session(services.replays.replay(call, request_id))


HANDLERS = (list_requests, get_request, replay)
