"""Shuts itself in and becomes another program: `PYTHON -I -B …/confined.py '{"reads": […], "scratch": "/…"}' PROGRAM ARGUMENT…`.

For programs of others that are no hosts, such as checks that a bundle brings along. What it is told is what `confine.wish_of` reads.
"""

from __future__ import annotations

import json
import os
import sys

#: Exit status where this kernel cannot do what is required, or there is no such program.
NOT_STARTED = 74


def main(arguments: list[str]) -> None:
    """Become the program."""
    whole = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    sys.path.insert(0, whole)
    from muster_host import confine  # noqa: PLC0415 - it is found only now

    sys.path.remove(whole)
    try:
        wish = confine.wish_of(json.loads(arguments[0]))._replace(is_host=True)
        confine.shut_in(wish)
        if wish.level != confine.OFF and wish.scratch:
            confine.use_scratch(wish.scratch)
        os.execv(arguments[1], arguments[1:])  # noqa: S606 - it is told which
    except (confine.NotConfinable, OSError) as error:
        print("it cannot be started confined: %s" % error, file=sys.stderr)  # noqa: T201 - to whoever started it
        sys.exit(NOT_STARTED)


if __name__ == "__main__":
    main(sys.argv[1:])
