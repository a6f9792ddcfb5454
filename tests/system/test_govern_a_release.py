"""The how-to `docs/how-to/govern-a-release.md`, done: every command by the person whose token it carries, then the gates over REST."""

import json
import re
from pathlib import Path

import pytest
from typed_pages import done, environment_of_a_user

PAGE = Path(__file__).parents[2] / "docs" / "how-to" / "govern-a-release.md"


@pytest.fixture(scope="module")
def said(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What every command of the page printed."""
    folder = tmp_path_factory.mktemp("governed")
    # That an environment can be made again is proved in the tests that are about it.
    variables = environment_of_a_user(folder) | {"MUSTER_CERTIFICATION_PROVE_REBUILD": "false", "COLUMNS": "200"}
    return done(PAGE, folder / "work", variables)


def of(said: dict[str, str], *words: str) -> str:
    """What the first command said that holds all words."""
    return next(text for command, text in said.items() if all(word in command for word in words))


@pytest.mark.timeout(600)
def test_every_command_of_the_page_works(said: dict[str, str]) -> None:
    """Exit codes are those of the page, refusals included, and each stage has led where the page says."""
    assert "notebook" in of(said, "standard check", "risk-1")
    assert "carries everything" in of(said, "standard check", "risk-2")
    review = of(said, "review show risk:1")
    assert re.search(r"^ *ben +request-changes +counts", review, re.MULTILINE), review
    assert re.search(r"^ *bea +approve +counts", review, re.MULTILINE), review
    assert "Companies, as the card says" in review
    assert "accepted" in of(said, "muster show risk:1")
    assert "approved" in of(said, "CLEO", "release show")
    assert "risk:1" in of(said, "muster score")
    assert "months" in of(said, "release breaks", "# refused")
    assert "shop" in of(said, "release approve risk 2", "# refused")
    assert "open" in of(said, "release show risk 3")
    assert "confirmed" in of(said, "confirm risk 3", "BO")


@pytest.mark.timeout(600)
def test_the_record_tells_all_of_it(said: dict[str, str]) -> None:
    """What was done out of the ordinary is on record, and the chain is whole."""
    about = of(said, 'audit list --subject "risk release 3"')
    for action in ("release.proposed", "release.glass-broken", "release.glass-confirmed", "release.live"):
        assert action in about
    assert re.search(r"^valid: \d+ events", of(said, "audit verify"), re.MULTILINE)


@pytest.mark.timeout(600)
def test_the_same_gates_over_rest(said: dict[str, str]) -> None:
    """Request, comment and vote are seen in the review; the refusal names own work; the same key gives one outcome."""
    review = json.loads(of(said, "curl", "/review").strip())
    assert [(one["voter"], one["verdict"], one["counts"]) for one in review["opinions"]] == [
        ("bo", "request-changes", True)
    ]
    assert [one["author"] for one in review["comments"]] == ["ana"]
    assert "part in it" in of(said, "key-4") or "own-work" in of(said, "key-4")
    approved = json.loads(of(said, "key-5"))
    assert (approved["state"], approved["current"]) == ("live", True)
    confirmed = json.loads(of(said, "key-8"))
    assert confirmed["glass"]["state"] == "confirmed"


def test_each_deed_at_a_gate_is_on_the_page() -> None:
    """The page leaves no command of the gates out."""
    page = PAGE.read_text()
    for command in (
        "standard check", "standard propose", "standard approve", "waive ask", "waive grant", "review request-changes",
        "review comment", "review show", "accept", "delegate add", "release propose", "release approve", "release breaks",
        "release acknowledge", "release confirm", "rollback", "audit list", "audit verify",
    ):  # fmt: skip
        assert re.search(rf"^\$ .*muster (--project \S+ )?{command}\b", page, re.MULTILINE), command
