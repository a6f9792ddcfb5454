"""What can keep a factory from starting."""

from muster.vocabulary.errors import Conflict, NotFound, Unavailable


class PortInUse(Conflict):
    """Another program listens on a port that this factory wants."""

    code = "supervision.port-in-use"
    advice = "Name another with --port, --scoring-port or --grpc-port, or end the other program."


class AddressUnusable(Unavailable):
    """The address cannot be listened on: it is not this machine's, or the right is missing (ports below 1024)."""

    code = "supervision.address-unusable"


class AlreadyUp(Conflict):
    """A factory runs on this home already."""

    code = "supervision.already-up"
    advice = "See it with `muster ps`, end it with `muster down`."


class NotUp(NotFound):
    """No factory runs on this home."""

    code = "supervision.not-up"
    advice = "Start it with `muster up`."


class PartKeepsEnding(Unavailable):
    """A part of the factory ends again and again as soon as it is started."""

    code = "supervision.part-keeps-ending"
    advice = "The end of its log is above; all of it: `muster logs`."


class PartRefuses(Unavailable):
    """A part of the factory cannot start with the home, the settings or the database as they are."""

    code = "supervision.part-refuses"
    advice = "Mend what the message names, then start again; all of the part's log: `muster logs`."


class StillRunning(Unavailable):
    """The factory was asked to end, and has not within the time given."""

    code = "supervision.still-running"
    advice = "See what is left with `muster ps`."
