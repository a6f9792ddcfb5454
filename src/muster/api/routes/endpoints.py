"""Endpoints and their releases."""

import time
from collections.abc import Awaitable, Callable
from functools import partial
from typing import Annotated

from litestar import get, post
from litestar.params import JSONBody, QueryParameter

from muster.api import convert
from muster.api.errors import RequestMalformed
from muster.api.following import Following
from muster.api.parameters import AfterName, AfterNumber, EndpointName, Limit, ReleaseNumber
from muster.api.services import Caller, Given, Threads, Waiting
from muster.api.threads import in_thread
from muster.release.records import Release
from muster.vocabulary.pages import USUAL, paged
from muster.vocabulary.states import ReleaseState
from muster.wire import control

TAG = "releases"
_LONGEST_WAIT_S = 60.0
_ONE_LOOK_S = 1.0


@get("/endpoints", sync_to_thread=True, operation_id="listEndpoints", tags=[TAG])
def list_endpoints(services: Given, call: Caller, limit: Limit = USUAL, after: AfterName = None) -> control.Endpoints:
    """The endpoints of the project, by name, page by page."""
    page = paged(services.releases.endpoints(call, limit=limit + 1, after=after), limit, lambda found: found.name)
    return control.Endpoints(endpoints=tuple(convert.endpoint(found) for found in page.items), next=page.next)


@get("/endpoints/{endpoint:str}", sync_to_thread=True, operation_id="getEndpoint", tags=[TAG])
def get_endpoint(
    services: Given, call: Caller, endpoint: EndpointName, limit: Limit = USUAL, after: AfterNumber = None
) -> control.Endpoint:
    """One endpoint, and what was current when, page by page."""
    found = services.releases.endpoint(call, endpoint)
    history = services.releases.history(call, endpoint, limit=limit + 1, after=after)
    page = paged(history, limit, lambda pointer: pointer.sequence)
    return convert.endpoint_with_history(found, page.items, page.next)


@get("/endpoints/{endpoint:str}/releases", sync_to_thread=True, operation_id="listReleases", tags=[TAG])
def list_releases(
    services: Given, call: Caller, endpoint: EndpointName, limit: Limit = USUAL, after: AfterNumber = None
) -> control.Releases:
    """The releases of an endpoint, the newest first, page by page."""
    found = services.releases.releases(call, endpoint, limit=limit + 1, after=after)
    page = paged(found, limit, lambda release: release.number)
    return control.Releases(
        endpoint=endpoint,
        current=services.releases.current(call, endpoint),
        releases=tuple(convert.release(release, with_plan=False) for release in page.items),
        next=page.next,
    )


@post("/endpoints/{endpoint:str}/releases", sync_to_thread=True, operation_id="proposeRelease", tags=[TAG])
def propose(
    services: Given, call: Caller, endpoint: EndpointName, data: JSONBody[control.ProposalOrder]
) -> control.Release:
    """Propose who shall answer at an endpoint; the first proposal makes the endpoint."""
    return convert.release(services.releases.propose(call, endpoint, convert.proposal(data), data.reason))


@get("/endpoints/{endpoint:str}/releases/{number:int}", operation_id="getRelease", tags=[TAG])
async def get_release(
    services: Given,
    call: Caller,
    threads: Threads,
    following: Waiting,
    endpoint: EndpointName,
    number: ReleaseNumber,
    wait: Annotated[
        float, QueryParameter(ge=0, le=_LONGEST_WAIT_S, description="Seconds to wait while it is `approved`.")
    ] = 0.0,
) -> control.Release:
    """One release, with its serving plan; with `wait`, as soon as it is live or failed."""
    look = partial(threads.run, services.releases.awaited, call, endpoint, number)
    return convert.release(await _settled(look, following, wait))


@post(
    "/endpoints/{endpoint:str}/releases/{number:int}/approve",
    status_code=200,
    operation_id="approveRelease",
    tags=[TAG],
)
async def approve(
    services: Given,
    call: Caller,
    threads: Threads,
    following: Waiting,
    endpoint: EndpointName,
    number: ReleaseNumber,
    data: JSONBody[control.ApprovalOrder],
) -> control.Release:
    """Say yes to a release at the go-live gate; with the last approval that is needed it passes. Never one's own work.

    With `wait_s` the answer comes when every connected front serves it, when one of them cannot (then it is `failed`), or
    after so long.
    """
    if data.break_glass:
        if data.at is not None or data.for_person is not None:
            raise RequestMalformed("what breaks the glass goes live at once, and in nobody's place")
        found = await in_thread(services.releases.break_glass, call, endpoint, number, data.reason)
    else:
        at = convert.moment_of(data.at)
        found = await in_thread(
            partial(services.releases.approve, at=at, for_person=data.for_person), call, endpoint, number, data.reason
        )
    look = partial(threads.run, services.releases.awaited, call, endpoint, number)
    wait_s = 0.0 if found.live_from is not None else min(data.wait_s, _LONGEST_WAIT_S)
    return convert.release(await _settled(look, following, wait_s))


@post(
    "/endpoints/{endpoint:str}/releases/{number:int}/reject",
    status_code=200,
    sync_to_thread=True,
    operation_id="rejectRelease",
    tags=[TAG],
)
def reject(
    services: Given, call: Caller, endpoint: EndpointName, number: ReleaseNumber, data: JSONBody[control.ReasonOrder]
) -> control.Release:
    """Turn a proposed release down."""
    return convert.release(services.releases.reject(call, endpoint, number, data.reason))


@post(
    "/endpoints/{endpoint:str}/releases/{number:int}/withdraw",
    status_code=200,
    sync_to_thread=True,
    operation_id="withdrawRelease",
    tags=[TAG],
)
def withdraw(
    services: Given, call: Caller, endpoint: EndpointName, number: ReleaseNumber, data: JSONBody[control.ReasonOrder]
) -> control.Release:
    """Take a release back that is not live yet."""
    return convert.release(services.releases.withdraw(call, endpoint, number, data.reason))


@post(
    "/endpoints/{endpoint:str}/releases/{number:int}/step",
    status_code=200,
    sync_to_thread=True,
    operation_id="stepRelease",
    tags=[TAG],
)
def step(
    services: Given, call: Caller, endpoint: EndpointName, number: ReleaseNumber, data: JSONBody[control.StepOrder]
) -> control.Release:
    """Move the current release to a step of the ramp that was approved with it."""
    return convert.release(services.releases.step(call, endpoint, number, data.step, data.reason))


@post(
    "/endpoints/{endpoint:str}/releases/{number:int}/simulate",
    status_code=200,
    operation_id="simulateRelease",
    tags=[TAG],
)
async def simulate(
    services: Given,
    call: Caller,
    threads: Threads,
    endpoint: EndpointName,
    number: ReleaseNumber,
    data: JSONBody[control.SimulationOrder],
) -> control.Simulation:
    """Let the policy of a release, proposed or not, decide again about past requests, on paper. Takes the right read-requests."""
    window = convert.window(data)
    found = await threads.run(services.simulations.simulate, call, endpoint, number, window, step=data.step)
    return convert.simulation(found)


@post("/endpoints/{endpoint:str}/rollback", status_code=200, operation_id="rollBack", tags=[TAG])
async def roll_back(
    services: Given, call: Caller, threads: Threads, endpoint: EndpointName, data: JSONBody[control.RollbackOrder]
) -> control.RolledBack:
    """Make an earlier release current again, at once; answered when every connected front serves it."""
    done = await threads.run(services.releases.rollback, call, endpoint, data.reason, to=data.to)
    return control.RolledBack(
        endpoint=done.endpoint, from_release=done.from_, to=done.to, effective_ms=done.effective_ms, fronts=done.fronts
    )


async def _settled(look: Callable[[float], Awaitable[Release]], following: Following, wait_s: float) -> Release:
    """The release once it is not `approved`, or after so long; looked at again and again, so that control can stop."""
    deadline = time.monotonic() + wait_s
    found = await look(0.0)
    while (
        found.state is ReleaseState.APPROVED
        and (left_s := deadline - time.monotonic()) > 0
        and not following.is_closing
    ):
        found = await look(min(left_s, _ONE_LOOK_S))
    return found


HANDLERS = (
    list_endpoints,
    get_endpoint,
    list_releases,
    propose,
    get_release,
    approve,
    reject,
    withdraw,
    step,
    simulate,
    roll_back,
)
