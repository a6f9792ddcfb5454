"""Sessions: executions of long work."""

from litestar import get

from muster.api import convert
from muster.api.parameters import SessionId
from muster.api.services import Caller, Given
from muster.wire import control

TAG = "sessions"


@get("/sessions/{session:str}", sync_to_thread=True, operation_id="getSession", tags=[TAG])
def get_session(services: Given, call: Caller, session: SessionId) -> control.Session:
    """One session: how far it is, and what came of it."""
    return convert.session(services.sessions.session(call, session))


HANDLERS = (get_session,)
