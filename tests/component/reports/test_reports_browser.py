"""The pages in a real browser: nothing leaves them, nothing is wrong in the console, all of it can be read."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request

from browser_program import running_browser
from made_cards import card
from made_reports import certified, largest, refused, wordy
from muster.reports.cards import card_page
from muster.reports.certification import certification_report

#: Every text that can be seen with less contrast than people with weak eyes need: WCAG 2.2, 1.4.3 (4.5 to 1, 3 to 1 for large).
_FAINT = """() => {
  const parse = (text) => { const [r, g, b, a = 1] = text.match(/[\\d.]+/g).map(Number); return {rgb: [r, g, b], a}; };
  const light = (rgb) => { const [r, g, b] = rgb.map((one) => { const c = one / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4; }); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
  const behind = (node) => { for (let at = node; at; at = at.parentElement) {
    const found = parse(getComputedStyle(at).backgroundColor); if (found.a === 1) return found.rgb; } return [255, 255, 255]; };
  const faint = [], walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let seen = 0;
  while (walker.nextNode()) {
    const node = walker.currentNode, holder = node.parentElement, box = holder.getBoundingClientRect();
    if (!node.textContent.trim() || !box.width || ["TITLE", "STYLE"].includes(holder.tagName)) continue;
    if (holder.tagName === "CAPTION") continue;
    seen += 1;
    const style = getComputedStyle(holder), isDrawn = holder instanceof SVGElement;
    const ink = light(parse(isDrawn ? style.fill : style.color).rgb), paper = light(behind(isDrawn ? holder.closest("figure") : holder));
    const contrast = (Math.max(ink, paper) + 0.05) / (Math.min(ink, paper) + 0.05);
    const size = parseFloat(style.fontSize), isLarge = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    if (contrast < (isLarge ? 3 : 4.5)) faint.push([node.textContent.trim().slice(0, 40), Math.round(contrast * 100) / 100]);
  }
  return {seen, faint};
}"""
#: Texts of tables and paragraphs that are cut off or lie outside of the window, which cannot be scrolled to.
_OUTSIDE = """() => [...document.querySelectorAll("p, h1, h2, h3, dt, dd, li, figcaption, figure > svg")].filter((one) => {
  const box = one.getBoundingClientRect();
  return box.width && (box.left < -1 || box.right > innerWidth + 1) && !one.closest(".wide");
}).map((one) => one.textContent.slice(0, 40))"""


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with running_browser() as found:
        yield found


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Addresses of the pages, as files, as they are sent to people."""
    folder = tmp_path_factory.mktemp("pages")
    made = {
        "certified": certification_report(certified()),
        "refused": certification_report(refused()),
        "largest": certification_report(largest()),
        "wordy": certification_report(wordy()),
        "card": card_page(card()),
    }
    addresses = {}
    for name, text in made.items():
        path: Path = folder / f"{name}.html"
        path.write_text(text, encoding="utf-8")
        addresses[name] = path.as_uri()
    return addresses


NAMES = ["certified", "refused", "card"]
LOOKS = {"wide": (1280, "light"), "narrow": (400, "light"), "wide-dark": (1280, "dark"), "narrow-dark": (400, "dark")}


@pytest.fixture
def opened(browser: Browser) -> Iterator[list[Page]]:
    """Pages that are closed after the test."""
    found: list[Page] = []
    yield found
    for page in found:
        page.context.close()


def shown(
    browser: Browser, opened: list[Page], address: str, look: tuple[int, str]
) -> tuple[Page, list[str], list[str]]:
    """A page, all that it asked for, and all that the console said."""
    width, scheme = look
    context = browser.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme)  # type: ignore[arg-type]
    page = context.new_page()
    opened.append(page)
    asked: list[str] = []
    said: list[str] = []

    def note(request: Request) -> None:
        asked.append(request.url)

    def hear(message: ConsoleMessage) -> None:
        said.append(message.text)

    page.on("request", note)
    page.on("console", hear)
    page.on("pageerror", lambda error: said.append(str(error)))
    page.goto(address)
    return page, asked, said


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("name", NAMES)
def test_a_page_can_be_read_and_asks_for_nothing(
    browser: Browser, pages: dict[str, str], opened: list[Page], name: str, look: tuple[int, str]
) -> None:
    """On a wide and a narrow screen, light and dark: it is the only request, the console is silent, no text is faint, none is cut off."""
    page, asked, said = shown(browser, opened, pages[name], look)
    assert asked == [pages[name]]
    assert said == []
    found = page.evaluate(_FAINT)
    assert found["seen"] > 50
    assert found["faint"] == []
    assert page.evaluate(_OUTSIDE) == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_the_verdict_is_seen_without_scrolling(browser: Browser, pages: dict[str, str], opened: list[Page]) -> None:
    """On a telephone as well: whether it is certified, and why not."""
    for name, mark in (("certified", "✓ Certified"), ("refused", "✗ Not certified")):
        page, _, _ = shown(browser, opened, pages[name], (400, "light"))
        verdict, why = page.locator(".verdict .mark").bounding_box(), page.locator(".verdict .why").bounding_box()
        assert page.locator(".verdict .mark").inner_text() == mark
        assert verdict is not None
        assert why is not None
        assert why["y"] + why["height"] < 450


@pytest.mark.parametrize("width", [1280, 1100, 1000, 400])
def test_no_detail_makes_the_table_of_checks_wider_than_the_page(
    browser: Browser, pages: dict[str, str], opened: list[Page], width: int
) -> None:
    """A digest breaks where it must; words and names keep room enough to be read, and every cell ends within the window."""
    page, _, _ = shown(browser, opened, pages["wordy"], (width, "light"))
    box = page.evaluate(
        """() => { const table = document.querySelector("table.checks"), around = table.parentElement;
        return {hidden: around.scrollWidth - around.clientWidth,
          ends: Math.max(...[...table.querySelectorAll("tbody td")].map((one) => one.getBoundingClientRect().right)),
          words: Math.min(...[...table.querySelectorAll("tbody td:last-child")].map((one) => one.clientWidth)),
          broken: [...table.querySelectorAll("tbody td > span")].filter((one) => one.getClientRects().length > 1).length}; }"""
    )
    assert box["hidden"] <= 0
    assert box["ends"] <= width
    assert box["words"] >= 250
    assert box["broken"] == 0


def test_a_link_leads_from_a_check_to_what_it_showed(
    browser: Browser, pages: dict[str, str], opened: list[Page]
) -> None:
    """Without a script, and without leaving the page."""
    page, asked, _ = shown(browser, opened, pages["refused"], (1280, "light"))
    page.get_by_role("link", name="What it showed").first.click()
    target = page.locator("#check-robustness").bounding_box()
    assert target is not None
    assert 0 <= target["y"] < 900
    assert asked == [pages["refused"]]


def test_drawings_and_tables_have_names_for_those_who_hear_the_page(
    browser: Browser, pages: dict[str, str], opened: list[Page]
) -> None:
    """Every drawing is an image with a name, every wide table a region that the keyboard reaches."""
    page, _, _ = shown(browser, opened, pages["certified"], (1280, "light"))
    assert page.get_by_role("img", name="ROC", exact=True).count() == 1
    assert page.get_by_role("region", name="All checks, in their order").count() == 1
    unnamed = page.evaluate(
        "[...document.querySelectorAll('figure > svg')].filter((one) => !one.getAttribute('aria-label')).length"
    )
    assert unnamed == 0
    assert page.evaluate("[...document.querySelectorAll('.wide')].every((one) => one.tabIndex === 0)")


def test_it_prints_dark_letters_on_white_paper(browser: Browser, pages: dict[str, str], opened: list[Page]) -> None:
    """Also of a reader whose screen is dark, and on more than one sheet."""
    page, _, _ = shown(browser, opened, pages["certified"], (1280, "dark"))
    page.emulate_media(media="print", color_scheme="dark")
    colours = page.evaluate(
        "[getComputedStyle(document.documentElement).backgroundColor, getComputedStyle(document.body).color]"
    )
    assert colours == ["rgb(255, 255, 255)", "rgb(0, 0, 0)"]
    assert page.evaluate(_FAINT)["faint"] == []
    assert page.pdf(format="A4").startswith(b"%PDF")


def test_the_largest_page_opens_as_any_other(browser: Browser, pages: dict[str, str], opened: list[Page]) -> None:
    """With all that thirty checks may show."""
    page, asked, said = shown(browser, opened, pages["largest"], (1280, "light"))
    assert (asked, said) == ([pages["largest"]], [])
    assert page.locator("figure").count() > 60


def test_nothing_smuggled_in_would_run(browser: Browser, tmp_path: Path, opened: list[Page]) -> None:
    """The policy of the page stops a script, a picture from elsewhere and a form, even if one came onto it."""
    smuggled = (
        '<script>document.title = "ran"</script><img src="http://127.0.0.1:9/x.png" onerror="document.title = \'ran\'">'
        '<form action="http://127.0.0.1:9/"><button>go</button></form></main>'
    )
    path = tmp_path / "smuggled.html"
    path.write_text(certification_report(refused()).replace("</main>", smuggled), encoding="utf-8")
    page, _, said = shown(browser, opened, path.as_uri(), (1280, "light"))
    assert page.title() == "Certification of churn:3"
    assert sum("Content Security Policy" in one for one in said) >= 2
    with page.expect_console_message(lambda message: "form-action" in message.text):
        page.evaluate("document.querySelector('button').click()")
    assert page.url == path.as_uri()
