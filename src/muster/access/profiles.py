"""What is told of users, projects and groups: short lines of text, checked before they are kept."""

from collections.abc import Mapping

from muster.access.errors import ContactMalformed

LONGEST = 200
#: What can be told of a user.
TOLD = ("title", "contact", "channel")


def checked_line(text: str | None, *, of: str) -> str | None:
    """A line as it is kept; None for one that is empty.

    Args:
        text: what somebody wrote.
        of: what it is (`title`, `contact`, `channel`), for the message.

    Raises:
        ContactMalformed: it is longer than 200 characters, or not one line of text.
    """
    line = (text or "").strip()
    if len(line) > LONGEST:
        raise ContactMalformed(f"the {of} has {len(line)} characters; {LONGEST} can be kept", field=of, limit=LONGEST)
    if not line.isprintable():
        raise ContactMalformed(f"the {of} holds characters that cannot be kept in one line", field=of)
    return line or None


def checked_told(told: Mapping[str, str | None]) -> dict[str, str | None]:
    """Title, contact and channel as they are kept.

    Raises:
        ContactMalformed: something else is told, or one cannot be kept.
    """
    for name in told:
        if name not in TOLD:
            raise ContactMalformed(f"{name!r} is not told of a user", field=name, known=list(TOLD))
    return {name: checked_line(text, of=name) for name, text in told.items()}
