"""The one bridge to the data plane: fronts follow the publications here and report what they have done."""

from typing import Annotated

from litestar import Response, get, post
from litestar.params import JSONBody, QueryParameter

from muster.access.roles import Right
from muster.api import convert
from muster.api.following import MAX_WAIT_S
from muster.api.services import Caller, Given, Waiting
from muster.api.threads import in_thread
from muster.wire import control
from muster.wire.plans import PROCESS_HEADER, FrontReport, Publications

TAG = "fronts"


@get("/follow", operation_id="follow", tags=[TAG])
async def follow(
    services: Given,
    call: Caller,
    following: Waiting,
    front: Annotated[str, QueryParameter(max_length=63, description="The front's name.")],
    after: Annotated[int, QueryParameter(ge=0, le=2**53, description="Highest number that the front has.")] = 0,
    wait: Annotated[
        float,
        QueryParameter(ge=0, le=60, description=f"Seconds to wait for news; no more than {MAX_WAIT_S:g} are granted."),
    ] = 0.0,
) -> Response[Publications]:
    """What was published above a number, of each subject the newest; waits until there is something."""
    services.access.require(call, Right.FOLLOW)
    await in_thread(services.releases.front_seen, call, front, after)
    news = await following.after(after, wait)
    await in_thread(services.releases.front_seen, call, front, after)
    return Response(news, headers={PROCESS_HEADER: following.process})


@get("/fronts", sync_to_thread=True, operation_id="listFronts", tags=[TAG])
def list_fronts(services: Given, call: Caller) -> control.Fronts:
    """The fronts that are connected now, by name."""
    return control.Fronts(fronts=tuple(convert.front(front) for front in services.releases.fronts(call)))


@post("/fronts/reports", status_code=204, sync_to_thread=True, operation_id="report", tags=[TAG])
def report(services: Given, call: Caller, data: JSONBody[FrontReport]) -> None:
    """What a front has done about a plan."""
    services.releases.reported(call, data)


HANDLERS = (follow, list_fronts, report)
