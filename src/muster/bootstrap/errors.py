"""What can be wrong with a home."""

from muster.vocabulary.errors import Conflict, Damaged, NotFound, Unavailable


class HomeExists(Conflict):
    """There is something where the new home should be; nothing was changed."""

    code = "home.exists"
    advice = "Start it with `muster up --home HOME`, or name a folder that does not exist or is empty."


class HomeMissing(NotFound):
    """The folder is no home of a factory."""

    code = "home.missing"
    advice = "Make one with `muster init HOME`, or name it with --home or MUSTER_HOME."


class HomeDamaged(Damaged):
    """The folder is a home, but something in it cannot be read."""

    code = "home.damaged"
    advice = "Restore the file from a copy of the home; nothing in it has been changed."


class HomeUnusable(Unavailable):
    """The home cannot be written: rights are missing or the disk is full."""

    code = "home.unusable"
    advice = "See to the rights of the folder and the room on its disk, then start again."
