"""What can end an executor."""

from muster.vocabulary.errors import Unavailable


class NurseryEnded(Unavailable):
    """The process that starts those of sessions has ended, by a signal or for want of memory; its executor ends with it."""

    code = "workflows.nursery-ended"
    advice = "Nothing: a new executor is started by itself, and goes on with the sessions. See the machine's log for what ended it."
