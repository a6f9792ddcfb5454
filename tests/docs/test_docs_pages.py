"""The pages hang together: links lead somewhere, words are explained, and what is named exists."""

import re
import subprocess
import tomllib
from enum import StrEnum
from pathlib import Path

import pytest

from muster.vocabulary import states

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"
PAGES = sorted([*ROOT.glob("*.md"), *DOCS.rglob("*.md")])
ADRS = sorted((DOCS / "adr").glob("[0-9]*.md"))
GLOSSARY = (DOCS / "glossary.md").read_text()
LINK = re.compile(r"(?<!!)\[[^\]]*\]\(([^)\s]+)\)")
FENCED = re.compile(r"^(```|~~~).*?^\1", re.MULTILINE | re.DOTALL)

#: Words that would tell about how or where this was made, or name where packages are fetched; written in two pieces so
#: that this file does not hold them.
UNWANTED = [
    "sub" + "agent", "before-" + "stop", r"\." + "library/", "house-" + "style", r"\.\./" + "shared", "/wo" + "rk/",
    r"\bissue" + r" #?\d", "py" + r"pi\.org", "python" + r"hosted\.org", "registry" + r"\.npmjs", "conda" + r"\.anaconda\.org",
    "proxy" + r"\.golang\.org", "crates" + r"\.io", "repo" + r"\.maven",
]  # fmt: skip


def tracked() -> list[Path]:
    """Every file that belongs to the project."""
    listing = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    return [path for name in listing.stdout.decode().split("\0") if name and (path := ROOT / name).is_file()]


def anchors(page: Path) -> set[str]:
    """The fragments by which a page's headings are reached."""
    headings = re.findall(r"^#+ +(.+?) *$", FENCED.sub("", page.read_text()), re.MULTILINE)
    return {
        re.sub(r"[^\w\- ]", "", re.sub(r"[`*]|\]\([^)]*\)|\[", "", text)).lower().replace(" ", "-") for text in headings
    }


def links(page: Path) -> list[str]:
    """What a page links to, code aside."""
    return LINK.findall(re.sub(r"`[^`\n]*`", "", FENCED.sub("", page.read_text())))


@pytest.mark.parametrize("page", PAGES, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    """Every link inside the project leads to a file that is there, and to a heading of it where it names one."""
    broken = []
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue
        name, _, fragment = link.partition("#")
        target = (page.parent / name).resolve() if name else page
        if not target.exists() or (fragment and target.suffix == ".md" and fragment not in anchors(target)):
            broken.append(link)
    assert broken == []


def test_every_page_is_linked() -> None:
    """Every page under docs/ can be reached by links from the README."""
    reached, ahead = set[Path](), [ROOT / "README.md"]
    while ahead:
        page = ahead.pop()
        if page in reached or page.suffix != ".md" or not page.is_file():
            continue
        reached.add(page)
        targets = (link.partition("#")[0] for link in links(page) if not re.match(r"[a-z]+:", link))
        ahead.extend((page.parent / name).resolve() for name in targets if name)
    assert [str(page.relative_to(ROOT)) for page in PAGES if page.is_relative_to(DOCS) and page not in reached] == []


def test_glossary_entries_are_unique_and_sorted() -> None:
    """The glossary explains each word once, in alphabetical order."""
    words = [word.lower() for word in re.findall(r"^\*\*(.+?)\*\*", GLOSSARY, re.MULTILINE)]
    assert words == sorted(set(words))


@pytest.mark.parametrize(
    "kind", [states.VersionState, states.ReleaseState, states.SessionState, states.Role, states.Reason]
)
def test_glossary_knows_the_values_of_the_vocabulary(kind: type[StrEnum]) -> None:
    """Every state, role and reason that users meet stands in the glossary."""
    assert [value for value in kind if f"`{value}`" not in GLOSSARY] == []


def test_decision_records_are_numbered_and_listed() -> None:
    """Decision records are numbered without a gap, and each is in the list with its title."""
    index = (DOCS / "adr" / "README.md").read_text()
    assert [int(path.name[:4]) for path in ADRS] == list(range(1, len(ADRS) + 1))
    for path in ADRS:
        assert f"]({path.name}) |" in index, path.name


@pytest.mark.parametrize("path", ADRS, ids=lambda path: path.name[:4])
def test_a_decision_record_says_what_follows(path: Path) -> None:
    """A decision record has its four parts, in order."""
    headings = re.findall(r"^## (.+)$", path.read_text(), re.MULTILINE)
    assert headings == ["Context", "Decision", "Consequences", "Turned down"]


def test_the_architecture_page_has_a_paragraph_for_each_room() -> None:
    """Every room of the source is described on the architecture page, and no room that is not there."""
    page = (DOCS / "architecture.md").read_text()
    described = set(re.findall(r"^- \*\*`(\w+)`\*\*", page, re.MULTILINE))
    there = {
        path.stem
        for path in (ROOT / "src/muster").iterdir()
        if (path / "__init__.py").is_file() or (path.suffix == ".py" and not path.stem.startswith("__"))
    }
    assert described == there | {"muster_host"}


def test_the_architecture_page_shows_the_order_that_is_checked() -> None:
    """The order of rooms on the page is the one that the import linter keeps."""
    block = re.search(r"^```rooms\n(.*?)^```", (DOCS / "architecture.md").read_text(), re.MULTILINE | re.DOTALL)
    contracts = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    assert block is not None
    assert block[1].splitlines() == contracts[0]["layers"]


def test_the_project_speaks_of_itself_only() -> None:
    """No file tells how or where the project was made, nor names where packages are fetched from."""
    pattern = re.compile("|".join(UNWANTED), re.IGNORECASE)
    found: list[str] = []
    for path in tracked():
        try:
            text = path.read_text()
        except UnicodeDecodeError:
            continue
        found.extend(f"{path.relative_to(ROOT)}: {match.group()}" for match in pattern.finditer(text))
    assert found == []
