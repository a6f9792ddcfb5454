"""Policies, ramps and simulations on the command line, against a real control plane."""

from collections.abc import Callable
from pathlib import Path

import msgspec
import pytest
from running_cli import Shell

from made_bundles import made_zip
from muster.wire.records import StoredColumn, VariantAnswer
from recorded_requests import column, record_request
from running_control import Control, FollowingFront

As = Callable[[str], Shell]


@pytest.fixture
def versions(control: Control, tmp_path: Path) -> list[str]:
    """Two accepted versions of a model that takes a number and a text."""
    return [
        control.accepted(made_zip(tmp_path / f"bundle-{number}", name="plans", notes=f"{tmp_path} {number}"))
        for number in (1, 2)
    ]


def propose(shell: Shell, endpoint: str, versions: list[str], *options: object, code: int = 0) -> object:
    arguments = ("release", "propose", endpoint, "--champion", versions[0], "--challenger", versions[1], *options)
    if code:
        return shell.problem(*arguments, "--reason", "better", code=code)
    return shell.json(*arguments, "--reason", "better")


def test_every_policy_is_proposed_and_told_in_words(control: Control, as_: As, versions: list[str]) -> None:
    """What was typed is in the plan, and `release show` says it to a person."""
    ana = as_("ana")
    one, two = versions
    propose(ana, "worded", versions, "--order", f"{one},{two}", "--patience-ms", f"{one}=30", "--archive-full", "drop")
    first = ana.json("release", "show", "worded", 1)
    assert first["policy"] == {"name": "first", "order": [one, two], "patience_ms": [30.0, 100.0]}
    assert (first["archive_full"], first["step"], first["patience_ms"]) == ("drop", None, [30.0, 100.0])
    told = ana.type("release", "show", "worded", 1).stdout
    assert f"waiting 30 ms for {one}, 100 ms for {two}" in told
    assert "dropped and counted" in told

    propose(
        ana, "worded", versions, "--policy", "weighted", "--weight", f"{one}=0.7", "--weight", f"{two}=0.3",
        "--average", "score", "--wait-ms", "40",
    )  # fmt: skip
    mean = ana.json("release", "show", "worded", 2)
    assert mean["policy"]["weights"] == [0.7, 0.3]
    assert (mean["policy"]["wait_ms"], mean["patience_ms"]) == (40.0, [])
    assert f"the mean of score with the weights {one} 0.7, {two} 0.3" in ana.type("release", "show", "worded", 2).stdout

    propose(
        ana, "worded", versions, "--policy", "split", "--by", "plan", "--step", f"{one}=0.95,{two}=0.05",
        "--step", f"{one}=0.5,{two}=0.5",
    )  # fmt: skip
    split = ana.json("release", "show", "worded", 3)
    assert [step["shares"] for step in split["policy"]["steps"]] == [[0.95, 0.05], [0.5, 0.5]]
    told = ana.type("release", "show", "worded", 3).stdout
    assert "each plan is answered by the version it is assigned to" in told
    assert f"0: {one} 95 %, {two} 5 % (it stands here)" in told

    problem = propose(ana, "worded", versions, "--policy", "vote", "--on", "score", "--wait-ms", "40", code=2)
    assert isinstance(problem, dict)
    assert problem["code"] == "release.proposal-malformed"
    assert "takes a single text, flag or whole number" in problem["detail"]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        (["--policy", "vote"], "the policy vote needs --on"),
        (["--on", "label"], "--on belongs to the policy vote, not to first"),
        (["--policy", "split", "--by", "plan"], "the policy split needs --step"),
        (["--policy", "weighted", "--average", "score"], "needs --weight"),
        (["--policy", "split", "--by", "plan", "--step", "churn:1"], "is not VERSION=NUMBER"),
        (["--policy", "split", "--by", "plan", "--step", "a:1=0.5,a:1=0.5"], "a:1 is named twice"),
        (["--policy", "weighted", "--weight", "a=1", "--average", "x"], "is not VERSION=NUMBER"),
        (["--policy", "weighted", "--weight", "a:1=1", "--average", "x", "--argmax", "y"], "OUTPUT=PROBABILITIES"),
        (["--patience", "30ms", "--patience-ms", "a:1=30"], "give one of the two"),
        (["--policy", "vote", "--on", "x", "--wait-ms", "0"], "--wait-ms"),
        (["--policy", "vote", "--on", "x", "--wait-ms", "nan"], "'nan' is not a finite number"),
        (["--policy", "vote", "--on", "x", "--wait-ms", "inf"], "'inf' is not a finite number"),
        (["--policy", "weighted", "--weight", "a:1=inf", "--average", "x"], "with a finite number"),
        (["--policy", "weighted", "--weight", "a:1=nan", "--average", "x"], "with a finite number"),
        (["--policy", "split", "--by", "plan", "--step", "a:1=nan"], "with a finite number"),
        (["--patience-ms", "a:1=nan"], "with a finite number"),
        (["--deadline", "nan"], "write it like 100ms"),
    ],
)
def test_options_that_do_not_go_together_are_a_usage_error(shell: Shell, options: list[str], said: str) -> None:
    """Nothing is sent; the message names the option."""
    done = shell.type("release", "propose", "churn", "--champion", "a:1", *options, "--reason", "x", code=2)
    assert said in done.stderr


def test_an_operator_steps_and_everybody_else_is_told_who_may(control: Control, as_: As, versions: list[str]) -> None:
    """Ordered on the command line, the fronts are told at once; the release shows where it stands."""
    ana, ben, olga = as_("ana"), as_("ben"), as_("olga")
    one, two = versions
    propose(
        ana, "ramped", versions, "--policy", "split", "--by", "plan", "--step", f"{one}=1", "--step", f"{two}=1",
    )  # fmt: skip
    early = olga.problem("release", "step", "ramped", 1, 1, "--reason", "now", code=4)
    assert early["code"] == "release.step-unfit"
    with FollowingFront(control):
        assert ben.json("release", "approve", "ramped", 1, "--reason", "go")["state"] == "live"
    assert ana.problem("release", "step", "ramped", 1, 1, "--reason", "now", code=5)["code"] == "access.right-missing"
    assert olga.json("release", "step", "ramped", 1, 1, "--reason", "all is well")["step"] == 1
    assert f"1: {two} 100 % (it stands here)" in olga.type("release", "show", "ramped", 1).stdout
    assert olga.problem("release", "step", "ramped", 1, 2, "--reason", "more", code=4)["code"] == "release.step-unfit"


def test_a_release_is_simulated_on_past_requests(control: Control, as_: As, versions: list[str]) -> None:
    """Before it is approved; the figures are one document, or a table for people that says what is missing."""
    ana, olga = as_("ana"), as_("olga")
    one, two = versions
    propose(ana, "simulated", versions)
    told = olga.type("release", "simulate", "simulated", 1, "--on", "last:10").stdout
    assert "simulated on 0 requests" in told

    def said(version: str, score: float) -> VariantAnswer:
        outputs: tuple[StoredColumn, ...] = (column("score", [score]),)
        return VariantAnswer(
            version=version, role="champion", status="answered", outputs=outputs, latency_ns=4_000_000, host="h"
        )

    late = msgspec.structs.replace(said(one, 0.5), latency_ns=90_000_000)
    record_request(control.home / "archive", "simulated", [said(one, 0.5)], [1.0])
    record_request(
        control.home / "archive", "simulated", [VariantAnswer(version=one, role="champion", status="pending")], [1.0],
        late=late,
    )  # fmt: skip
    found = olga.json("release", "simulate", "simulated", 1, "--on", "last:10000")
    assert (found["records"], found["used"], found["never_seen"]) == (2, 2, [two])
    assert (found["champion_share"], found["on_time_share"], found["agreement"]) == (1.0, 1.0, 1.0)
    assert found["p99_ms"] == 90.0
    assert olga.json("release", "simulate", "simulated", 1, "--on", "today")["release"] == 1
    assert olga.json("release", "simulate", "simulated", 1, "--to", "2020-01-01T00:00:00Z")["used"] == 0
    told = olga.type("release", "simulate", "simulated", 1).stdout
    assert f"{two} is in none of these records: simulated as if it were not there" in told
    assert "champion" in told
    assert ana.problem("release", "simulate", "simulated", 1, code=5)["code"] == "access.right-missing"
    for wrong in ("last", "last:-1", "yesterday"):
        assert "neither last:N" in olga.type("release", "simulate", "simulated", 1, "--on", wrong, code=2).stderr
    olga.type("release", "simulate", "simulated", 1, "--on", "today", "--from", "2020-01-01T00:00:00Z", code=2)


def test_requests_in_which_a_version_was_not_asked_are_told(control: Control, as_: As, versions: list[str]) -> None:
    """Nothing is known of what a version on probation would have said; what the figures owe to that has a line of its own."""
    one, _ = versions
    propose(as_("ana"), "probed", versions)
    outputs: tuple[StoredColumn, ...] = (column("score", [0.5]),)
    answered = VariantAnswer(
        version=one, role="champion", status="answered", outputs=outputs, latency_ns=4_000_000, host="h"
    )
    passed_over = VariantAnswer(version=one, role="champion", status="unsent", error="on probation: it was late")
    for answer in (answered, passed_over, passed_over):
        record_request(control.home / "archive", "probed", [answer], [1.0])
    olga = as_("olga")
    found = olga.json("release", "simulate", "probed", 1)
    assert (found["used"], found["unasked"], found["unasked_and_none"]) == (3, 2, 2)
    assert found["reasons"]["none"] == pytest.approx(2 / 3)
    told = olga.type("release", "simulate", "probed", 1).stdout
    assert "a version of the order in 2 requests: on probation" in told
    assert "2 of them count as none" in told


def test_a_request_of_many_rows_is_shown_by_its_first(control: Control, as_: As) -> None:
    """In a pipe, too, no line is as long as the request has rows; what is left out is counted, and --json has it."""
    rows = 900
    answers = [
        VariantAnswer(
            version=version,
            role="champion",
            status="answered",
            outputs=(column("score", [0.25] * rows),),
            latency_ns=10**6,
            host="h",
        )
        for version in ("plans:1", "plans:2")
    ]
    chosen = [number % 2 for number in range(rows)]
    split = record_request(control.home / "archive", "wide", answers, [1.0] * rows, chosen=chosen)
    alike = record_request(control.home / "archive", "wide", answers, [1.0] * rows)
    olga = as_("olga")
    told = olga.type("request", split).stdout
    assert max(map(len, told.splitlines())) < 500
    assert "… and for 880 rows more" in told
    assert "… and 880 rows more; --json shows all" in told
    assert "score = 0.25, 0.25, 0.25, … 900 in all" in told
    assert len(olga.json("request", split)["chosen"]) == rows
    told = olga.type("request", alike).stdout
    assert max(map(len, told.splitlines())) < 200
    assert told.count("plans:1") == 2, "once as what was chosen, once with its answer"


def test_a_consumer_is_given_the_right_to_override(control: Control, as_: As) -> None:
    """Said when the token is made, shown in the list, on record."""
    admin = as_("admin")
    admin.json("user", "add", "tester", "--role", "consumer", "--may", "override")
    users = {user["name"]: user for user in admin.json("user", "list")["users"]}
    assert users["tester"]["may"] == ["override"]
    assert "may" not in users["shop"] or users["shop"]["may"] == []
    events = admin.json("audit", "list", "--subject", "user tester")["events"]
    assert events[0]["details"]["may"] == ["override"]
    assert admin.problem("user", "add", "eve", "--role", "viewer", "--may", "override", code=2)["code"] == (
        "access.right-not-grantable"
    )
    assert admin.json("user", "role", "tester", "consumer").get("may", []) == []
