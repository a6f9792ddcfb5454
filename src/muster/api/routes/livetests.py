"""Live-tests: versions on trial beside releases."""

from litestar import get, post
from litestar.params import JSONBody

from muster.api import convert_livetests
from muster.api.parameters import AfterNumber, EndpointName, Limit, LiveTestNumber
from muster.api.services import Caller, Given
from muster.vocabulary.names import VersionName
from muster.vocabulary.pages import USUAL, paged
from muster.wire import control, livetests

TAG = "live-tests"
_LIVE_TESTS = "/endpoints/{endpoint:str}/livetests"
_LIVE_TEST = f"{_LIVE_TESTS}/{{number:int}}"


@get(_LIVE_TESTS, sync_to_thread=True, operation_id="listLiveTests", tags=[TAG])
def list_live_tests(
    services: Given, call: Caller, endpoint: EndpointName, limit: Limit = USUAL, after: AfterNumber = None
) -> livetests.LiveTests:
    """The live-tests of an endpoint, the newest first, page by page."""
    found = services.live_tests.live_tests(call, endpoint, limit=limit + 1, after=after)
    page = paged(found, limit, lambda one: one.number)
    return livetests.LiveTests(live_tests=tuple(map(convert_livetests.live_test, page.items)), next=page.next)


@get("/livetests", sync_to_thread=True, operation_id="listOpenLiveTests", tags=[TAG])
def list_open_live_tests(services: Given, call: Caller) -> livetests.LiveTests:
    """The live-tests of the project that have not come to their end, by endpoint."""
    found = services.live_tests.open_live_tests(call)
    return livetests.LiveTests(live_tests=tuple(map(convert_livetests.live_test, found)))


@post(_LIVE_TESTS, sync_to_thread=True, operation_id="startLiveTest", tags=[TAG])
def start(
    services: Given, call: Caller, endpoint: EndpointName, data: JSONBody[livetests.LiveTestOrder]
) -> livetests.LiveTest:
    """Put an accepted version on trial: it sees requests beside the release, its answers are recorded and given to nobody."""
    started = services.live_tests.start(
        call,
        endpoint,
        VersionName.parse(data.version),
        data.reason,
        requests=data.requests,
        hours=data.hours,
        share=data.share,
    )
    return convert_livetests.live_test(started)


@get(_LIVE_TEST, sync_to_thread=True, operation_id="getLiveTest", tags=[TAG])
def get_live_test(services: Given, call: Caller, endpoint: EndpointName, number: LiveTestNumber) -> livetests.LiveTest:
    """One live-test, with its figures as far as they are counted."""
    return convert_livetests.live_test(services.live_tests.live_test(call, endpoint, number))


@get(f"{_LIVE_TEST}/report", sync_to_thread=True, operation_id="reportLiveTest", tags=[TAG])
def get_report(
    services: Given, call: Caller, endpoint: EndpointName, number: LiveTestNumber
) -> livetests.LiveTestReport:
    """One live-test with what it shows: how outputs spread, latencies, errors; and by what it falls short of the standard."""
    found = services.live_tests.live_test(call, endpoint, number)
    return convert_livetests.report(found, services.live_tests.shortfalls(call, found))


@post(f"{_LIVE_TEST}/stop", status_code=200, sync_to_thread=True, operation_id="stopLiveTest", tags=[TAG])
def stop(
    services: Given, call: Caller, endpoint: EndpointName, number: LiveTestNumber, data: JSONBody[control.ReasonOrder]
) -> livetests.LiveTest:
    """End a live-test before its time; it counts for nothing."""
    return convert_livetests.live_test(services.live_tests.stop(call, endpoint, number, data.reason))


HANDLERS = (list_live_tests, list_open_live_tests, start, get_live_test, get_report, stop)
