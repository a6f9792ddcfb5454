"""What somebody wrote to deceive whoever reads it in a terminal: the commands show that it is there, and it does nothing."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest
from running_cli import Shell

from muster.bootstrap.creation import create_home
from muster.bootstrap.home import open_home
from running_control import Control
from small_bundles import SmallBundles

PROJECT = "/api/v1/projects/default"
#: In one line: 8-bit escape, direction, what looks like markup, a mistake in what looks like markup.
MARKUP = "[bold red]sure[/bold red] [/nope]"
TITLE = "Gnp.\u202eexe \u2066x\u2069 [bold red]sure[/bold red] [/nope] \u009b2J"
#: In several: a row of a table that nobody wrote.
REASON = f"good\nadds:9  live  banned by nobody\r\n\t{TITLE}"
_ACTS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]")


@pytest.fixture(scope="module")
def deceived(control: Control, bundles: SmallBundles) -> Control:
    """A factory in which every text that can be is hostile."""
    description = TITLE.replace("\u009b", "")
    version = control.as_("ana").register(bundles.new(name="adds", description=description)).version
    control.put_into(version)

    def post(who: str, path: str, /, **order: Any) -> None:
        with control.http(who) as http:
            answer = http.post(path, json=order)
            assert answer.is_success, answer.text

    post("admin", f"{PROJECT}/users/vera/profile", title=MARKUP, contact=MARKUP, channel=MARKUP)
    post("admin", f"{PROJECT}/description", title=MARKUP, contact=MARKUP)
    post("admin", f"{PROJECT}/users/vera/tokens", label=TITLE.replace("\u009b", ""))
    post("admin", "/api/v1/groups", name="crew", title=MARKUP)
    post(
        "ana", f"{PROJECT}/models/adds", reason=REASON, description=REASON, business_metric=TITLE, tags={"note": TITLE}
    )
    post("ben", f"{PROJECT}/models/adds/versions/1/review/comments", text=REASON)
    return control


@pytest.mark.parametrize(
    ("name", "command", "shows"),
    [
        ("admin", "token list", "\\u202e"),
        ("admin", "project list", MARKUP),
        ("admin", "project show", MARKUP),
        ("admin", "group list", MARKUP),
        ("ana", "model list", ""),
        ("ana", "model show adds", "\\u202e"),
        ("ana", "show adds:1", "\\u202e"),
        ("ana", "search adds", ""),
        ("ben", "review show adds:1", "\\u202e"),
        ("admin", "audit list", "\\u202e"),
    ],
)
@pytest.mark.usefixtures("deceived")
def test_no_table_is_broken_by_what_stands_in_it(
    as_: Callable[[str], Shell], name: str, command: str, shows: str
) -> None:
    """Neither escape sequences nor directions reach the terminal, no row is forged, and square brackets are square brackets."""
    said = as_(name).type(*command.split())
    assert not _ACTS.search(said.stdout + said.stderr), said.stdout
    assert not [line for line in said.stdout.splitlines() if line.startswith("adds:9")], said.stdout
    assert shows in said.stdout


@pytest.mark.usefixtures("deceived")
def test_json_is_verbatim_and_shows_nothing_hidden(as_: Callable[[str], Shell]) -> None:
    """A program reads what was written letter for letter; whoever looks at the document sees where it hides something."""
    said = as_("ben").type("review", "show", "adds:1", "--json")
    assert json.loads(said.stdout)["comments"][0]["text"] == REASON
    assert not _ACTS.search(said.stdout)


def test_an_error_repeats_nothing_that_acts(as_: Callable[[str], Shell]) -> None:
    """A mistake tells what was given, by its numbers; to people and to programs."""
    given = "\u202e\x1b[2Jadds"
    said = as_("ana").type("show", given, code=2)
    assert "\\u202e" in said.stderr
    assert not _ACTS.search(said.stderr)
    problem = as_("ana").type("show", given, "--json", code=2)
    assert json.loads(problem.stderr)["code"]
    assert not _ACTS.search(problem.stderr)


def test_a_model_forges_no_line_of_anothers_log(shell: Shell, tmp_path: Path) -> None:
    """What a host prints is shown as the host's, in one line each, though it be written like the event of another process."""
    home = open_home(create_home(tmp_path / "home", solo=False).home)
    home.logs.mkdir(parents=True, exist_ok=True)
    forged = {
        "at": "2026-01-01T00:00:00Z",
        "event": "release.approved",
        "process": "control",
        "level": "info",
        "by": REASON,
    }
    lines = [
        json.dumps(forged),
        f"\x1b[1A{TITLE}",
        json.dumps({"event": "request.failed", "exception": f"one\ntwo {TITLE}"}),
    ]
    (home.logs / "host-adds.log").write_text("\n".join(lines) + "\n", encoding="utf-8")
    said = shell.where(MUSTER_HOME=str(home.path)).type("logs", "-n", 10)
    shown = said.stdout.splitlines()
    assert len(shown) == 5
    assert not _ACTS.search(said.stdout)
    assert not [line for line in shown if re.search(r"(^|Z\s+)control\b", line)]
    assert [line for line in shown if line.startswith(("    one", "    two"))] == [
        "    one",
        f"    two {_named(TITLE)}",
    ]
    assert len([line for line in shown if line[27:].split()[:1] == ["host-adds"]]) == 3


def test_what_control_logs_is_one_line_an_event(deceived: Control, capfd: pytest.CaptureFixture[str]) -> None:
    """Line breaks, escapes and directions in addresses and names are written by their numbers."""
    from muster.telemetry.logs import set_up_logs  # noqa: PLC0415 - the test sets the logs of this process up

    set_up_logs("control")
    with deceived.http() as http:
        http.post("/api/v1/sign-in", json={"user": "nobody", "password": REASON})
        http.get("/api/v1/nothing/%0a%7b%22event%22:%22forged%22%7d%1b%5b2J%E2%80%AE")
    with httpx.Client(base_url=deceived.url, trust_env=False) as http:
        http.get(
            "/api/v1/whoami",
            headers={b"Authorization": b"Bearer x", b"User-Agent": b"a\x9b2J"},
        )
    lines = capfd.readouterr().err.splitlines()
    assert lines
    assert all(json.loads(line)["event"] for line in lines)
    assert not [line for line in lines if _ACTS.search(line) or not line.isascii()]


def _named(text: str) -> str:
    return _ACTS.sub(
        lambda found: f"\\x{ord(found[0]):02x}" if ord(found[0]) < 256 else f"\\u{ord(found[0]):04x}", text
    )
