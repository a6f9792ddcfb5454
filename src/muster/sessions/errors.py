"""What can go wrong with sessions."""

from muster.vocabulary.errors import Conflict, NotFound, Refused, Unavailable


class SessionNotFound(NotFound):
    """The project has no session of this id."""

    code = "sessions.not-found"


class SessionInterrupted(Conflict):
    """The session was ended from outside while it was being worked on: its executor stops, or was thought dead."""

    code = "sessions.interrupted"
    advice = "It starts again by itself, and makes no check twice that it has kept; `muster session show` tells how far it is."


class SessionStopped(SessionInterrupted):
    """The executor was asked to end while it worked on the session; the work goes on when there is an executor again."""

    code = "sessions.stopped"
    advice = "Start the factory again, if it is not running: the work goes on by itself."


class SessionCancelled(SessionInterrupted):
    """Somebody cancelled the session while it was being worked on."""

    code = "sessions.cancelled"
    advice = "Ask for the work again, if it was cancelled by mistake."


class SessionOver(Conflict):
    """A session that has come to its end cannot be cancelled."""

    code = "sessions.over"
    advice = "Nothing is left to do; `muster session show` tells what came of it."


class SessionGivenUp(Unavailable):
    """Its process ended three times before the work was done; the factory does not try a fourth time."""

    code = "sessions.given-up"
    advice = "Read the executor's log (`muster logs executor`): memory may be short. Then ask for the work again."


class SessionOverLimit(Refused):
    """The work took more memory or more time than sessions may take; its processes were ended."""

    code = "sessions.over-limit"
    advice = "Make the model smaller or faster, or have the operator raise the limits: docs/reference/settings.md, [certification]."
