"""What the exit code of a command says; docs/reference/cli.md lists the same."""

from muster.vocabulary.errors import (
    Conflict,
    Damaged,
    Invalid,
    MusterError,
    NotAllowed,
    NotFound,
    NotIdentified,
    Overloaded,
    Refused,
    TimedOut,
    Unavailable,
    family_of,
)

DONE = 0
#: It was done, and the verdict is no: a certification failed, a replay was not identical, the audit chain is broken.
VERDICT_NO = 1
INTERNAL = 70
INTERRUPTED = 130
BROKEN_PIPE = 141

EXIT_CODES: dict[type[MusterError], int] = {
    Invalid: 2,
    NotFound: 3,
    Conflict: 4,
    NotAllowed: 5,
    NotIdentified: 6,
    Refused: 7,
    Overloaded: 8,
    TimedOut: 9,
    Unavailable: 10,
    Damaged: 11,
    MusterError: INTERNAL,
}

MEANINGS: dict[int, str] = {
    DONE: "done",
    VERDICT_NO: "done, and the verdict is no: a certification failed, a release failed on a front, a replay was not "
    "identical, the audit chain is broken, a bundle has findings",
    EXIT_CODES[Invalid]: "what was given is malformed, or the command was not used as it is meant",
    EXIT_CODES[NotFound]: "there is no such thing",
    EXIT_CODES[Conflict]: "the present state does not permit it",
    EXIT_CODES[NotAllowed]: "you may not do this: the right is missing, or it is your own work",
    EXIT_CODES[NotIdentified]: "you are not identified: no token, or one that is unknown, expired or revoked",
    EXIT_CODES[Refused]: "it was judged and turned down",
    EXIT_CODES[Overloaded]: "too much at once; come back later",
    EXIT_CODES[TimedOut]: "nothing could be given in time",
    EXIT_CODES[Unavailable]: "something that is needed does not run or cannot be reached",
    EXIT_CODES[Damaged]: "stored bytes are not what was stored",
    INTERNAL: "a fault inside Muster",
    INTERRUPTED: "interrupted with Ctrl-C",
    BROKEN_PIPE: "nobody reads the output any more",
}


def exit_code_of(error: MusterError) -> int:
    """The exit code of an error's family."""
    return EXIT_CODES[family_of(error)]
