"""What can go wrong with sessions."""

from muster.vocabulary.errors import Conflict, NotFound


class SessionNotFound(NotFound):
    """The project has no session of this id."""

    code = "sessions.not-found"


class SessionInterrupted(Conflict):
    """The session was ended from outside while it was being worked on: its executor stops, or was thought dead."""

    code = "sessions.interrupted"
    advice = "Ask for the work again; nothing of it was kept."
