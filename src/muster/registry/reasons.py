"""Why somebody did something: deeds at gates and at the end of a life are not done without it."""

from muster.audit.errors import DeedMalformed
from muster.registry.errors import ReasonMissing

LONGEST = 4000


def checked_reason(reason: str) -> str:
    """The reason, without space around it.

    Raises:
        ReasonMissing: there is none.
        DeedMalformed: it cannot be put on record.
    """
    told = reason.strip()
    if not told:
        raise ReasonMissing("a reason is missing")
    if len(told) > LONGEST:
        raise DeedMalformed(f"the reason has {len(told)} characters; {LONGEST} can be kept", field="reason")
    try:
        told.encode()
    except UnicodeEncodeError:
        told = "\0"
    if "\0" in told:
        raise DeedMalformed("the reason holds characters that cannot be kept", field="reason")
    return told
