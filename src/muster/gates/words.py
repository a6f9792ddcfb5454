"""What people say at gates, as it is kept."""

from muster.gates.errors import WordsMalformed

LONGEST = 4000


def checked_words(text: str) -> str:
    """The text, without space around it.

    Raises:
        WordsMalformed: there is none, it is too long, or it holds characters that cannot be kept.
    """
    told = text.strip()
    if not told:
        raise WordsMalformed("nothing is said: whatever is done here is kept with its reason")
    if len(told) > LONGEST:
        raise WordsMalformed(f"the text has {len(told)} characters; {LONGEST} can be kept", limit=LONGEST)
    try:
        told.encode()
    except UnicodeEncodeError:
        told = "\0"
    if "\0" in told:
        raise WordsMalformed("the text holds characters that cannot be kept")
    return told
