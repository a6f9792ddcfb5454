"""Reports, cards and scores of real certifications, over HTTP, through the client and the command line."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import httpx
import msgspec
import pytest
import sqlalchemy as sa

from html_seen import FORBIDDEN, Seen
from muster.api.app import openapi
from muster.client.control import Factory
from muster.client.errors import OrderMalformed
from muster.dossiers.errors import NoCertification, NotDeclared, NotExamined
from muster.registry.errors import ModelNotFound, NotYourModel, VersionNotFound
from muster.sessions.errors import SessionNotFound
from muster.vocabulary.errors import Conflict, MusterError, NotAllowed, NotFound
from muster.vocabulary.states import SessionState
from muster.wire.reports import CertificationReport, ModelCard, ScoredTest
from muster.wire.reports import TestScore as Score
from running_control import Control
from small_bundles import SmallBundles

API = "/api/v1/projects/default"


@dataclass
class Story:
    """A factory with one version that passed, one that did not, and one that nobody examined."""

    control: Control
    good: str
    spoilt: str
    idle: str
    passed: str
    """Session."""
    failed: str


@pytest.fixture(scope="module")
def story(control: Control, bundles: SmallBundles) -> Story:
    """Both are examined on real hosts, once for all tests."""
    with control.as_("ana") as ana:
        good = ana.register(bundles.new(description="adds <one> & \u202eno more")).version
        spoilt = ana.register(bundles.new(spoilt=True)).version
        idle = ana.register(bundles.new()).version
        sessions = [ana.certify(version, wait=False).session for version in (good, spoilt)]
        control.work_off()
        return Story(control, good, spoilt, idle, *sessions)


def answered(story: Story, path: str, name: str = "vera") -> httpx.Response:
    """What somebody is answered below the project."""
    with story.control.http(name) as http:
        return http.get(f"{API}{path}")


def of(version: str) -> str:
    """The path of a version."""
    model, _, number = version.partition(":")
    return f"/models/{model}/versions/{number}"


def test_the_report_of_a_version_that_passed(story: Story) -> None:
    """Verdict, every check in its order with figure and limit, and what it stands on; by version it is the same session."""
    with story.control.as_("vera") as vera:
        found = vera.certification_report(story.good)
        assert found == vera.certification_report(story.passed)
        session = vera.session(story.passed)
    assert (found.verdict, found.version, found.session) == ("certified", story.good, story.passed)
    assert session.result is not None
    told = [(check["name"], check["figure"], check["limit"]) for check in session.result["checks"]]
    assert [(check.name, check.figure, check.limit) for check in found.checks] == told
    assert all(check.asks for check in found.checks)
    assert found.environment == session.result["environment"]
    assert found.standard.name == "exploration"
    assert found.standard.number is None
    assert found.requested_by == "ana"
    assert [one.by for one in found.signatures] == ["the factory"]


def test_the_report_of_one_that_did_not_pass(story: Story) -> None:
    """It is there as well: what failed, against which limit, and what can be done about it."""
    with story.control.as_("vera") as vera:
        found = vera.certification_report(story.failed)
    failed = [check for check in found.checks if not check.passed]
    assert (found.verdict, found.valid_until) == ("not-certified", None)
    assert [check.name for check in failed] == ["golden-answers"]
    assert failed[0].remedy
    assert not failed[0].may_fail
    assert "golden-answers" in found.why


def test_the_page_is_the_report_and_runs_nothing(story: Story) -> None:
    """Both addresses give it, guarded by headers; what its author wrote is text, and what turns text round is written out."""
    pages = [
        answered(story, path) for path in (f"/sessions/{story.passed}/report.html", f"{of(story.good)}/report.html")
    ]
    assert pages[0].text == pages[1].text
    for header, value in (("content-type", "text/html; charset=utf-8"), ("x-content-type-options", "nosniff")):
        assert pages[0].headers[header] == value
    assert "default-src 'none'" in pages[0].headers["content-security-policy"]
    seen = Seen(pages[0].text)
    assert not FORBIDDEN & set(seen.tags)
    assert "adds <one> & \\u202eno more" in seen.text
    with story.control.as_("vera") as vera:
        report = vera.certification_report(story.good)
        assert vera.certification_page(story.good) == pages[0].text
    for check in report.checks:
        assert check.name in seen.text
        assert check.asks in seen.text


def test_a_card_is_the_same_in_three_forms(story: Story) -> None:
    """As JSON, page and Markdown: whose it is, where it stands, and what nobody said."""
    with story.control.as_("vera") as vera:
        card, page, text = vera.card(story.good), vera.card_page(story.good), vera.card_markdown(story.good)
    assert (card.version, card.state, card.owner, card.certified_in) == (story.good, "certified", "ana", story.passed)
    assert card.latency["p99_ms"] > 0
    gaps = {gap.what for gap in card.gaps}
    assert "what it is not fit for" in gaps
    assert all(gap in Seen(page).text for gap in gaps)
    assert text.startswith(f"# Model card of {story.good}\n")
    assert answered(story, f"{of(story.good)}/card.md").headers["content-type"] == "text/markdown; charset=utf-8"
    assert "\u202e" not in page + text


def test_an_altered_certificate_is_shown_by_no_door(story: Story) -> None:
    """Who reads a report or a card relies upon it: neither says "certified" of what is not what was signed."""
    database = story.control.services.database
    doors = [f"/sessions/{story.passed}/report", f"{of(story.good)}/report", f"{of(story.good)}/card"]
    assert [answered(story, door).status_code for door in doors] == [200, 200, 200]

    def change(hardware: str) -> None:
        statement = sa.text("UPDATE certificates SET hardware = :it WHERE session = :session")
        with database.write() as tx:
            tx.execute(statement.bindparams(it=hardware, session=story.passed))

    before = answered(story, doors[0]).json()["hardware"]
    change("a larger machine")
    try:
        found = [answered(story, door) for door in doors]
    finally:
        change(before)
    assert [answer.json().get("code") for answer in found] == ["certificates.altered"] * 3


def test_a_card_of_what_failed_says_so(story: Story) -> None:
    """It has no certificate, and the check that failed is named."""
    with story.control.as_("vera") as vera:
        card = vera.card(story.spoilt)
    assert card.certified_in is None
    assert card.failed == ("golden-answers",)
    assert any("no certificate" in gap.what for gap in card.gaps)


def found_in(score: Score) -> dict[str, ScoredTest]:
    """All of them, by name."""
    return {test.test: test for section in score.sections for test in section.tests}


def test_the_score_is_computed_from_what_the_factory_did(story: Story, bundles: SmallBundles) -> None:
    """Of a model that was certified the checks that passed count; of one that was only registered nothing does."""
    control = story.control
    with control.as_("ana") as ana:
        fresh = ana.register(bundles.new(name="fresh")).version
        before = ana.test_score("fresh")
        assert {test.how for test in found_in(before).values()} == {"missing"}
        ana.certify(fresh, wait=False)
        control.work_off()
        after = ana.test_score("fresh")
    met = {name for name, test in found_in(after).items() if test.how == "automatic"}
    assert "data-1" in met
    assert "monitoring-2" not in met  # it is served nowhere
    assert (after.version, after.score) == (fresh, 0.0)
    assert "research project" in after.meaning


def test_what_is_declared_is_kept_with_who_and_when_and_can_be_taken_back(story: Story) -> None:
    """It counts half; each is one event of the chain, and the same order sent twice is one."""
    control, model = story.control, story.good.partition(":")[0]
    with control.as_("ana") as ana, control.as_("admin") as admin:
        before = len(admin.audit_events().events)
        score = ana.declare_test(
            model, "data-4", "https://wiki.example/rules", "checked against the list of banned fields"
        )
        found = found_in(score)["data-4"]
        assert (found.how, found.points, found.declared_by, found.where) == (
            "declared",
            0.5,
            "ana",
            "https://wiki.example/rules",
        )
        event = admin.audit_events().events[-1]
        assert (event.action, event.subject, event.actor) == ("test-score.declared", f"model {model}", "ana")
        assert event.details == {"test": "data-4", "where": "https://wiki.example/rules"}
        assert found_in(ana.withdraw_test(model, "data-4", "the list is another now"))["data-4"].how == "missing"
        with pytest.raises(Conflict) as refused:
            ana.withdraw_test(model, "data-4", "again")
        assert refused.value.code == NotDeclared.code
        assert len(admin.audit_events().events) == before + 2
    order = {"test": "data-6", "where": "wiki", "reason": "two weeks"}
    with control.http("ana", **{"Idempotency-Key": "declared-once"}) as http:
        answers = [http.post(f"{API}/models/{model}/test-score/declarations", json=order) for _ in range(2)]
    assert answers[0].json() == answers[1].json()
    with control.as_("admin") as admin:
        assert len(admin.audit_events().events) == before + 3


def test_only_the_owner_declares(story: Story) -> None:
    """Or who may manage models; an approver is told whom to ask."""
    model = story.good.partition(":")[0]
    with story.control.as_("ben") as ben, pytest.raises(NotAllowed) as refused:
        ben.declare_test(model, "data-4", "wiki", "so")
    assert refused.value.code == NotYourModel.code
    assert refused.value.facts["owner"] == "ana"
    with story.control.as_("admin") as admin:
        assert found_in(admin.declare_test(model, "model-3", "wiki", "grid search"))["model-3"].declared_by == "admin"


WRONG: dict[str, tuple[Callable[[Factory, Story], object], str]] = {
    "no session": (lambda one, _: one.certification_report("s-none"), SessionNotFound.code),
    "no version": (lambda one, _: one.certification_report("adds:99"), VersionNotFound.code),
    "not examined": (lambda one, story: one.certification_report(story.idle), NotExamined.code),
    "no card": (lambda one, _: one.card("adds:99"), VersionNotFound.code),
    "no model": (lambda one, _: one.test_score("nobody"), ModelNotFound.code),
    "no such test": (lambda one, _: one.declare_test("adds", "data-9", "wiki", "so"), OrderMalformed.code),
    "no place": (lambda one, _: one.declare_test("adds", "data-3", "", "so"), OrderMalformed.code),
    "no reason": (lambda one, _: one.declare_test("adds", "data-3", "wiki", ""), OrderMalformed.code),
}


@pytest.mark.parametrize("wrong", WRONG)
def test_what_is_wrong_is_named(story: Story, wrong: str) -> None:
    """With the code of what is missing, through every door alike."""
    ask, code = WRONG[wrong]
    with story.control.as_("ana") as ana, pytest.raises(MusterError) as refused:
        ask(ana, story)
    assert refused.value.code == code


def test_a_replay_has_no_report(story: Story) -> None:
    """Only certifications have."""
    services = story.control.services
    with services.database.write() as tx:
        session, _ = services.sessions.queue(tx, story.control.call("ana"), "simulation", "churn")
    with story.control.as_("ana") as ana, pytest.raises(NotFound) as refused:
        ana.certification_report(session.id)
    assert refused.value.code == NoCertification.code


def test_a_session_that_waits_is_told_as_such(story: Story, bundles: SmallBundles) -> None:
    """A report can be asked for at any time; of a version that was certified before it stays that of the verdict."""
    control = story.control
    with control.as_("ana") as ana:
        version = ana.register(bundles.new(name="waits")).version
        session = ana.certify(version, wait=False).session
        found = ana.certification_report(version)
        assert (found.session, found.verdict, found.checks) == (session, "unfinished", ())
        again = ana.certify(story.good, wait=False).session
        assert ana.certification_report(story.good).session == story.passed
        assert ana.certification_report(again).verdict == "unfinished"
        control.work_off()
        assert ana.certification_report(story.good).session == again


def test_a_session_that_was_broken_off_takes_no_verdict_away(story: Story) -> None:
    """Its own report says why it ended; of the version, report and card stay those of the examination that found something."""
    services = story.control.services
    with story.control.as_("ana") as ana:
        before = ana.certification_report(story.failed)
        version, card = before.version, ana.card(before.version)
        session = ana.certify(version, wait=False).session
        claimed = services.sessions.claim("e1", ["certification"])
        assert claimed is not None
        problem = {"code": "sessions.over-limit", "message": "it took 2173 MiB, and may take 2000", "advice": "Ask."}
        with services.database.write() as tx:
            services.sessions.finish(tx, claimed, SessionState.FAILED, {"error": problem})
        found = ana.certification_report(session)
        assert (found.verdict, found.checks) == ("unfinished", ())
        assert found.why.endswith("broken off, so there is no verdict: it took 2173 MiB, and may take 2000.")
        after = ana.certification_report(version)
        assert (after.session, after.verdict) == (story.failed, "not-certified")
        assert ana.card(version).failed == card.failed != ()


@pytest.mark.parametrize("kind", [CertificationReport, ModelCard, Score], ids=["report", "card", "score"])
def test_the_documents_are_what_openapi_says(story: Story, kind: type[msgspec.Struct]) -> None:
    """Of a real certification, field by field; nothing in them is more than JSON can say."""
    paths = {
        CertificationReport: f"/sessions/{story.failed}/report",
        ModelCard: f"{of(story.good)}/card",
        Score: "/models/adds/test-score",
    }
    found = answered(story, paths[kind])
    assert found.status_code == 200
    described = openapi()["components"]["schemas"][kind.__name__]
    assert set(described["required"]) <= set(found.json()) <= set(described["properties"])
    assert isinstance(msgspec.convert(found.json(), kind), kind)


def muster(story: Story, *words: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """The command line, as ana."""
    environment = {
        **os.environ, "MUSTER_URL": story.control.url, "MUSTER_TOKEN": story.control.tokens["ana"], "XDG_CONFIG_HOME": str(folder),
    }  # fmt: skip
    given = [sys.executable, "-m", "muster", *words]
    return subprocess.run(given, capture_output=True, text=True, check=False, timeout=60, env=environment, cwd=folder)


def test_the_command_line_writes_the_page_and_tells_the_same(story: Story, tmp_path: Path) -> None:
    """`certificate report` with -o and with --json, and what it says to a person."""
    done = muster(story, "certificate", "report", story.failed, "-o", "r.html", "--json", folder=tmp_path)
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["verdict"] == "not-certified"
    assert "✗ Not certified" in (tmp_path / "r.html").read_text(encoding="utf-8")
    told = muster(story, "certificate", "report", story.good, folder=tmp_path)
    assert f"{story.good}: certified" in told.stdout
    assert "golden-answers" in told.stdout
    refused = muster(story, "certificate", "report", story.good, "-o", "nowhere/r.html", folder=tmp_path)
    assert refused.returncode == 7
    assert "nowhere/r.html cannot be written" in refused.stderr


def test_the_command_line_shows_cards_and_scores(story: Story, tmp_path: Path) -> None:
    """A card as Markdown on the terminal and as a page in a file; a score section by section."""
    shown = muster(story, "card", story.good, folder=tmp_path)
    assert shown.stdout.startswith(f"# Model card of {story.good}\n")
    for name, beginning in (("c.html", "<!doctype html>"), ("c.md", "# Model card")):
        assert muster(story, "card", story.good, "-o", name, folder=tmp_path).returncode == 0
        assert (tmp_path / name).read_text(encoding="utf-8").startswith(beginning)
    score = muster(story, "test-score", "show", "adds", folder=tmp_path)
    assert "infrastructure:" in score.stdout
    assert "Feature expectations are captured in a schema" in score.stdout
