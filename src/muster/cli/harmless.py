"""Text of other people, made harmless for a terminal: what moves a cursor, hides, or turns letters round is shown by its number.

Reasons, notes, titles and labels are kept as they were written. Whoever reads them in a terminal must see what stands there: an
escape sequence could paint over the line above, U+202E shows `gnp.exe` as `exe.png`, and a line break in a table's cell would be a
row that nobody wrote.
"""

import re

#: Control characters, half surrogates, and those that are invisible or change the direction of what follows. The two joiners
#: (U+200C, U+200D) stay, which some scripts cannot do without; so do line break and tab, which are looked at for themselves.
_UNSEEN = (
    r"\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    r"\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e007f"
)
_IN_LINES = re.compile(f"[{_UNSEEN}]")
_IN_A_CELL = re.compile(f"[{_UNSEEN}\t\n]")


def lines(text: str) -> str:
    """The text with its line breaks and tabs, and nothing else that a terminal would act on."""
    return _IN_LINES.sub(_named, text)


def cell(text: str) -> str:
    """The text in one line."""
    return _IN_A_CELL.sub(_named, text)


def json_text(text: str) -> str:
    """A JSON document that says the same in characters that can be seen.

    Args:
        text: JSON; what lies outside its strings holds none of those characters.
    """
    return _IN_LINES.sub(_escaped, text)


def _named(found: re.Match[str]) -> str:
    character = found[0]
    if character in "\n\r\t":
        return {"\n": "\\n", "\r": "\\r", "\t": "\\t"}[character]
    number = ord(character)
    if number < 0x100:
        return f"\\x{number:02x}"
    return f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[place]:02x}{units[place + 1]:02x}" for place in range(0, len(units), 2))
