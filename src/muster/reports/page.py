"""The frame of a page: one file, no script, nothing fetched; light and dark, on screen and on paper."""

from functools import cache
from importlib.resources import files

from muster.reports.markup import Child, Html, joined, tag

#: Nothing may be fetched, run or sent; the style stands in the page.
POLICY = "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'"


def page(title: str, *body: Child) -> str:
    """A whole document.

    Args:
        title: of the window.
        body: its sections.
    """
    head = tag(
        "head",
        tag("meta", charset="utf-8"),
        Html(f'<meta http-equiv="Content-Security-Policy" content="{POLICY}"/>'),
        tag("meta", name="viewport", content="width=device-width, initial-scale=1"),
        tag("meta", name="referrer", content="no-referrer"),
        tag("meta", name="color-scheme", content="light dark"),
        tag("title", title),
        tag("style", Html(_style())),
    )
    return f"<!doctype html>\n{tag('html', head, tag('body', tag('main', *body)), lang='en')}\n"


def section(title: str, *content: Child, id_: str | None = None) -> Html:
    """A part of the page under a heading of the second level."""
    return tag("section", tag("h2", title), joined(*content), id=id_)


def facts(pairs: list[tuple[str, Child]]) -> Html:
    """Names with what they stand for; what is empty is left out."""
    return tag("dl", [tag("div", tag("dt", name), tag("dd", value)) for name, value in pairs if value], class_="facts")


@cache
def _style() -> str:
    text = files("muster.reports").joinpath("style.css").read_text(encoding="utf-8")
    return " ".join(text.split())
