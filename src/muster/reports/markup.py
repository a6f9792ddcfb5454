"""HTML and SVG as text that is escaped unless it was made here.

Names, details and rows come from whoever wrote a model; nothing of theirs can become a tag, an attribute or a trick of writing
direction.
"""

import html
import re
from collections.abc import Iterable

#: What a reader does not see, or what turns the text around it: controls, marks of direction, lone surrogates. The two joiners stay,
#: which some scripts cannot do without.
_UNSEEN = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb"
    "\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e007f]"
)
#: Elements without content.
_VOID = frozenset({"meta", "br", "line", "rect", "path", "circle", "polyline", "col"})


class Html(str):
    """Text that is markup already."""

    __slots__ = ()


Child = str | Html | Iterable["Child"] | None


def visible(text: str) -> str:
    r"""The text with what cannot be seen written out.

    Example:
        >>> print(visible("pay\u202elol"))
        pay\u202elol
    """
    return _UNSEEN.sub(lambda found: f"\\u{ord(found.group()):04x}", text)


def escaped(text: str) -> Html:
    """Any text as markup that shows it.

    Example:
        >>> escaped("<b>")
        '&lt;b&gt;'
    """
    return Html(html.escape(visible(text)))


def joined(*children: Child) -> Html:
    """Children, one after the other; what is not markup is escaped."""
    parts: list[str] = []
    for child in children:
        if child is None:
            continue
        if isinstance(child, Html):
            parts.append(child)
        elif isinstance(child, str):
            parts.append(escaped(child))
        else:
            parts.append(joined(*child))
    return Html("".join(parts))


def prose(text: str) -> Html:
    """A text in which what stands between backticks is code.

    Example:
        >>> prose("see `muster try`")
        'see <code>muster try</code>'
    """
    parts = text.split("`")
    is_paired = len(parts) % 2 == 1
    told = [tag("code", part) if at % 2 and is_paired else escaped(part) for at, part in enumerate(parts)]
    return Html(("" if is_paired else "`").join(told))


def tag(name: str, /, *children: Child, **attributes: str | float | None) -> Html:
    """An element.

    Args:
        name: of the element, as it is written.
        children: what is in it; text is escaped.
        attributes: an underscore at the end is dropped (`class_`), others become hyphens (`stroke_width`); None: left out.

    Example:
        >>> tag("p", "1 < 2", class_="why")
        '<p class="why">1 &lt; 2</p>'
    """
    told = "".join(
        f' {key.rstrip("_").replace("_", "-")}="{escaped(str(value))}"'
        for key, value in attributes.items()
        if value is not None
    )
    if name in _VOID and not children:
        return Html(f"<{name}{told}/>")
    return Html(f"<{name}{told}>{joined(*children)}</{name}>")
