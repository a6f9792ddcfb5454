"""What a reader of HTML finds on a page, for tests."""

from dataclasses import dataclass, field
from html.parser import HTMLParser

#: What may fetch, run, send or frame something.
FORBIDDEN = {"script", "link", "img", "iframe", "object", "embed", "form", "base", "audio", "video", "use", "image"}


@dataclass
class Seen(HTMLParser):
    """Elements, attributes and text of a page, as a browser would take them."""

    page: str
    tags: list[str] = field(default_factory=list)
    attributes: list[tuple[str, str]] = field(default_factory=list)
    text: str = ""

    def __post_init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.feed(self.page)
        self.close()

    def handle_starttag(self, name: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(name)
        self.attributes += [(key, value or "") for key, value in attributes]

    def handle_data(self, data: str) -> None:
        self.text += data
