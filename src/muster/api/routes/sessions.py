"""Sessions: executions of long work."""

from typing import Annotated

from litestar import get, post
from litestar.params import JSONBody, QueryParameter

from muster.api import convert
from muster.api.parameters import SessionId
from muster.api.services import Caller, Given
from muster.vocabulary.pages import MOST
from muster.wire import control

TAG = "sessions"
_USUAL = 20


@get("/sessions", sync_to_thread=True, operation_id="listSessions", tags=[TAG])
def list_sessions(
    services: Given,
    call: Caller,
    limit: Annotated[int, QueryParameter(ge=1, le=MOST, description="How many at most.")] = _USUAL,
    open_only: Annotated[  # noqa: FBT002 - a parameter of the query, which has a name
        bool, QueryParameter(name="open", description="Only those that will go on.")
    ] = False,
    about: Annotated[str, QueryParameter(max_length=200, description="Only those about it: `churn:3`.")] = "",
) -> control.Sessions:
    """The last sessions of the project, the newest first, without their progress."""
    found = services.sessions.sessions(call, limit, open_only=open_only, subject=about)
    return control.Sessions(sessions=tuple(convert.session(one) for one in found))


@get("/sessions/{session:str}", sync_to_thread=True, operation_id="getSession", tags=[TAG])
def get_session(
    services: Given,
    call: Caller,
    session: SessionId,
    after: Annotated[
        int, QueryParameter(ge=0, le=2**31, description="Only lines of progress after this one, counted from 1.")
    ] = 0,
) -> control.Session:
    """One session: how far it is, and what came of it."""
    return convert.session(services.sessions.session(call, session, after))


@post("/sessions/{session:str}/cancel", status_code=200, sync_to_thread=True, operation_id="cancelSession", tags=[TAG])
def cancel_session(
    services: Given, call: Caller, session: SessionId, data: JSONBody[control.ReasonOrder]
) -> control.Session:
    """End a session for good, wherever it is: whoever asked for it, or who has the right certify."""
    return convert.session(services.sessions.cancel(call, session, data.reason))


HANDLERS = (list_sessions, get_session, cancel_session)
