"""What other people wrote, on its way to a terminal."""

import io
import json
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.cli import harmless
from muster.cli.consoles import HarmlessConsole
from muster.cli.output import show_facts, show_table

_ACTS = {"Cc", "Cf", "Cs", "Zl", "Zp"}
_JOINERS = "\u200c\u200d"


def seen(text: str, *, but: str) -> bool:
    """Whether everything in a text can be seen, but what is named."""
    return not [one for one in text if unicodedata.category(one) in _ACTS and one not in but]


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        ("\x1b[2J\x1b[31mfine", r"\x1b[2J\x1b[31mfine"),
        ("\x9b2J", r"\x9b2J"),
        ("gnp.\u202eexe", r"gnp.\u202eexe"),
        ("a\u2066b\u2069", r"a\u2066b\u2069"),
        ("one\rtwo", r"one\rtwo"),
        ("a\u2028b\u2029c\x85d", r"a\u2028b\u2029c\x85d"),
        ("zero\u200bwidth\ufeff", r"zero\u200bwidth\ufeff"),
        ("\U000e0041", r"\U000e0041"),
        ("\ud800", r"\ud800"),
        ("Ünï → 数 👩\u200d🔬 C:\\new", "Ünï → 数 👩\u200d🔬 C:\\new"),
    ],
)
def test_what_acts_on_a_terminal_is_shown_by_its_number(written: str, shown: str) -> None:
    """Escape sequences of 7 and 8 bits, directions, line separators, what is invisible; letters of all scripts stay."""
    assert harmless.lines(written) == harmless.cell(written) == shown


def test_lines_stay_lines_and_a_cell_stays_one() -> None:
    """A line break is kept where lines may be, and shown where they may not."""
    assert harmless.lines("a\n\tb") == "a\n\tb"
    assert harmless.cell("a\n\tb") == r"a\n\tb"


@given(st.text(st.characters(exclude_categories=[])))
def test_nothing_unseen_is_left(text: str) -> None:
    """Whatever Unicode has: a cell holds no control or format character but the two joiners."""
    # Format characters that belong to letters of a script and move nothing are left to the terminal.
    assert seen(harmless.cell(text), but=_JOINERS + _LETTERS)
    assert seen(harmless.lines(text), but=_JOINERS + _LETTERS + "\n\t")


_LETTERS = "".join(
    chr(number)
    for first, last in (
        (0x600, 0x605), (0x6DD, 0x6DD), (0x70F, 0x70F), (0x890, 0x891), (0x8E2, 0x8E2), (0x110BD, 0x110BD),
        (0x110CD, 0x110CD), (0x13430, 0x1343F), (0x1BCA0, 0x1BCA3),
    )
    for number in range(first, last + 1)
)  # fmt: skip


@given(st.recursive(st.text() | st.integers(), lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_json_says_the_same(document: object) -> None:
    """A program reads what was written; a terminal that shows it acts on nothing."""
    text = json.dumps(document, ensure_ascii=False, indent=2)
    assert json.loads(harmless.json_text(text)) == document
    assert seen(harmless.json_text(text), but=_JOINERS + _LETTERS + "\n")


def printed(write: object, *arguments: object) -> str:
    """What a terminal is sent."""
    stream = io.StringIO()
    console = HarmlessConsole(file=stream, force_terminal=True, width=200, color_system=None, legacy_windows=False)
    write(console, *arguments)  # type: ignore[operator]
    return stream.getvalue()


HOSTILE = "x\x1b[2J\u202e\r\nforged:1  live  [red]sure[/red] [/nope]"


def test_a_row_is_one_line_whatever_stands_in_it() -> None:
    """Neither a line break makes a row, nor is anything taken for markup; the heads of columns are no better than cells."""
    told = printed(show_table, ("name", HOSTILE), [("a", HOSTILE), (HOSTILE, {"k": HOSTILE}), ([HOSTILE], None)])
    assert len(told.splitlines()) == 4
    assert seen(told, but="\n")
    assert "[red]sure[/red] [/nope]" in told


def test_a_fact_of_several_lines_forges_no_fact() -> None:
    """Its further lines stand under its first, where no name is."""
    told = printed(show_facts, [("reason", "good\nstate  live"), (HOSTILE, "x")])
    first, second, third = told.splitlines()
    assert first.startswith("reason")
    assert second.startswith("  ")
    assert third.startswith("x\\x1b[2J")
    assert seen(told, but="\n")


@pytest.mark.parametrize("style", [None, "bold red"])
def test_a_sentence_is_printed_as_it_is(style: str | None) -> None:
    """With a style, too: square brackets are square brackets, and mistakes in what looks like markup are none."""
    told = printed(lambda console: console.print(f"{HOSTILE} :smile:", style=style))
    assert seen(told, but="\n")
    assert "[red]sure[/red] [/nope] :smile:" in told
