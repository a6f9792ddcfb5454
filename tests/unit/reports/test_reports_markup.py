"""Markup that shows whatever it is given as text."""

from html.parser import HTMLParser

from hypothesis import given
from hypothesis import strategies as st

from muster.reports.markup import Html, escaped, joined, prose, tag, visible


class Read(HTMLParser):
    """What a reader of HTML finds."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)
        self.close()

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append((name, dict(attributes)))

    def handle_data(self, data: str) -> None:
        self.text += data


@given(st.text())
def test_any_text_is_shown_as_text(text: str) -> None:
    """Whatever it holds, no tag comes of it, and what can be seen of it is what was given."""
    read = Read(tag("p", text))
    assert read.tags == [("p", {})]
    assert read.text == visible(text)


@given(st.text())
def test_any_text_is_one_attribute(text: str) -> None:
    """No quote, blank or bracket ends it."""
    read = Read(tag("td", "x", title=text))
    assert read.tags == [("td", {"title": visible(text)})]
    assert read.text == "x"


@given(st.text())
def test_code_between_backticks_adds_no_other_element(text: str) -> None:
    """And no letter of it is lost but the backticks that pair."""
    read = Read(prose(text))
    assert {name for name, _ in read.tags} <= {"code"}
    assert read.text.replace("`", "") == visible(text).replace("`", "")


def test_what_cannot_be_seen_is_written_out() -> None:
    """A mark that turns the text round, a null and half a surrogate pair are told by number; joiners of scripts stay."""
    assert visible("a\u202eb\x00\ud800c\u200dd") == "a\\u202eb\\u0000\\ud800c\u200dd"
    assert escaped("\ud800").encode("utf-8")


def test_markup_is_not_escaped_twice() -> None:
    """Elements go into elements; texts beside them are escaped, nothing is left out but nothing."""
    assert joined(tag("b", "<"), None, ["&", Html("<i/>")]) == "<b>&lt;</b>&amp;<i/>"
    assert tag("rect", x=1, stroke_width=2, class_="bar", title=None) == '<rect x="1" stroke-width="2" class="bar"/>'
