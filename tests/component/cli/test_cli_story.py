"""The story by hand: every verb through a subprocess, as a person types it and as a program reads it."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from running_cli import Shell

from recorded_requests import answer_of, record_request
from running_control import Control, FollowingFront
from small_bundles import SmallBundles

As = Callable[[str], Shell]


@pytest.fixture(scope="module")
def bundle(bundles: SmallBundles) -> Path:
    """A bundle of a model of this module's own."""
    return bundles.new(name="story", description="first of its kind")


@pytest.mark.timeout(240)
def test_the_story_by_hand(control: Control, as_: As, bundle: Path, bundles: SmallBundles, tmp_path: Path) -> None:
    """From a folder to live, replaced, rolled back, looked at and audited; each verb answers what is documented."""
    ana, ben, olga = as_("ana"), as_("ben"), as_("olga")

    packed = ana.json("pack", bundle, "-o", tmp_path / "story.zip")
    first = ana.json("register", bundle)
    assert {"model", "version", "digest", "state"} <= first.keys()
    assert (first["model"], first["version"], first["state"]) == ("story", "story:1", "registered")
    assert first["digest"] == packed["digest"]
    assert ana.json("register", tmp_path / "story.zip")["version"] == "story:1"
    second = bundles.new(name="story", description="second of its kind")
    assert ana.json("register", second, "--model", "story")["version"] == "story:2"

    with control.working():
        certified = ana.json("certify", "story:1")
        assert ana.json("certify", "story:2")["passed"]
    assert (certified["version"], certified["passed"]) == ("story:1", True)
    assert {"name", "passed", "figure", "limit"} <= certified["checks"][0].keys()
    assert certified["session"]

    assert ana.problem("accept", "story:1", "--reason", "mine", code=5)["family"] == "not-allowed"
    assert ben.json("accept", "story:1", "--reason", "looks right")["state"] == "accepted"
    assert "accepted" in ben.type("accept", "story:2", "--reason", "looks right").stdout

    proposed = ana.json(
        "release", "propose", "tale", "--champion", "story:1", "--challenger", "story:2", "--deadline", "80ms",
        "--patience", "50ms", "--default", '{"score": 0.5}', "--reason", "the first",
    )  # fmt: skip
    assert (proposed["endpoint"], proposed["release"], proposed["state"]) == ("tale", 1, "proposed")
    assert (proposed["deadline_ms"], proposed["patience_ms"], proposed["default"]) == (80.0, [80.0], {"score": 0.5})
    assert ana.problem("release", "approve", "tale", 1, "--reason", "mine", code=5)
    late = ben.problem("release", "approve", "tale", 1, "--within", "300ms", "--reason", "go", code=9)
    assert late["code"] == "cli.not-live-yet"
    with FollowingFront(control):
        ana.json("release", "propose", "other", "--champion", "story:1", "--reason", "to be live")
        assert ben.json("release", "approve", "other", 1, "--reason", "go")["state"] == "live"
        ana.json(
            "release", "propose", "tale", "--champion", "story:2", "--canary", "story:1", "--order", "story:2,story:1",
            "--reason", "better",
        )  # fmt: skip
        assert "live" in ben.type("release", "approve", "tale", 2, "--reason", "go").stdout
        back = olga.json("rollback", "tale", "--reason", "slow")
        assert (back["endpoint"], back["from"], back["to"]) == ("tale", 2, 1)
        assert back["effective_ms"] > 0
        assert olga.json("rollback", "tale", "--to", 2, "--reason", "it was not that")["to"] == 2

    ana.json("release", "propose", "tale", "--champion", "story:1", "--reason", "again")
    assert ana.json("withdraw", "tale", 3, "--reason", "no need")["state"] == "withdrawn"
    ana.json("release", "propose", "tale", "--champion", "story:1", "--reason", "again")
    assert ben.json("release", "reject", "tale", 4, "--reason", "no need")["state"] == "rejected"
    assert ben.problem("release", "approve", "tale", 4, "--reason", "or yes", code=4)["family"] == "conflict"
    releases = olga.json("releases", "tale")
    assert [one["state"] for one in releases["releases"]] == ["rejected", "withdrawn", "live", "superseded"]
    assert releases["current"] == 2
    assert ana.json("release", "show", "tale", 2)["plan"]["release"] == 2
    assert {one["name"] for one in ana.json("endpoints")["endpoints"]} == {"tale", "other"}

    assert ana.json("models")["models"][0]["name"] == "story"
    assert ana.json("show", "story")["versions"][0]["version"] == "story:2"
    assert ana.json("show", "story:1")["certificate"]["session"] == certified["session"]
    assert ana.json("diff", "story:1", "story:2")["declared"][0]["what"] == "description"
    assert ben.problem("retire", "story:1", "--reason", "served", code=4)["code"] == "registry.version-in-use"
    third = bundles.new(name="story", description="third of its kind")
    ana.json("register", third)
    assert ben.json("ban", "story:3", "--reason", "leaks")["state"] == "banned"

    events = olga.json("audit", "list", "--subject", "story:1")["events"]
    assert events[0]["action"] == "version.registered"
    verdict = olga.json("audit", "verify")
    assert (verdict["valid"], verdict["problem"]) == (True, None)
    assert verdict["events"] > 0
    assert verdict["head"].startswith("sha256:")

    for command in (
        ("models",), ("show", "story"), ("show", "story:1"), ("diff", "story:1", "story:2"), ("releases", "tale"),
        ("endpoints",), ("release", "show", "tale", 2), ("audit", "list"), ("audit", "verify"), ("whoami",),
    ):  # fmt: skip
        told = olga.type(*command).stdout
        assert told.strip(), command
        assert "Traceback" not in told


def test_a_failed_certification_ends_with_one(control: Control, as_: As, bundles: SmallBundles) -> None:
    """The document is on stdout, the verdict is the exit code."""
    ana = as_("ana")
    version = ana.json("register", bundles.new(spoilt=True))["version"]
    with control.working():
        found = ana.json("certify", version, code=1)
        assert not found["passed"]
        told = ana.type("certify", version, code=1)
    assert "FAILED" in told.stdout
    assert "golden-answers" in told.stdout


def test_requests_and_their_replay(control: Control, as_: As, bundle: Path, bundles: SmallBundles) -> None:
    """A past request is listed, shown and replayed; a replay that is not identical ends with 1."""
    ana, olga = as_("ana"), as_("olga")
    version = ana.json("register", bundles.new(name="replayed"))["version"]
    with control.working():
        environment = control.as_("ana").certify(version)
        assert environment.passed
        shown = ana.json("show", version)["certificate"]["environment"]
        same = record_request(control.home / "archive", "again", [answer_of(version, "champion", [2.0], shown)], [1.0])
        other = record_request(control.home / "archive", "again", [answer_of(version, "champion", [9.0], shown)], [1.0])
        assert [one["request_id"] for one in olga.json("requests", "again", "--last", 5)["requests"]] == [other, same]
        assert olga.json("request", same)["answers"][0]["outputs"] == {"score": [2.0]}
        identical = olga.json("replay", same)
        different = olga.json("replay", other, code=1)
    assert (identical["request_id"], identical["identical"], identical["differences"]) == (same, True, [])
    assert (different["identical"], len(different["differences"])) == (False, 1)
    assert same in olga.type("requests", "again").stdout
    assert "champion" in olga.type("request", same).stdout
    assert olga.problem("request", "01935d3c-8a40-8000-8000-00000000002a", code=3)["family"] == "not-found"
    assert olga.problem("request", "not-an-id", code=2)["code"] == "requests.id-malformed"


def test_people_and_tokens(control: Control, as_: As, shell: Shell) -> None:
    """A user is added, logs in, is given another role and token, and loses both."""
    admin = as_("admin")
    added = admin.json("user", "add", "mia", "--role", "scientist")
    assert {"name", "role", "token"} <= added.keys()
    assert admin.problem("user", "add", "mia", "--role", "viewer", code=4)["code"] == "access.user-exists"

    login = shell.json("login", control.url, "--token", added["token"])
    assert login["name"] == "mia"
    assert shell.json("whoami")["roles"] == {"default": ["scientist"]}
    assert "mia" in shell.type("whoami").stdout
    saved = shell.folder / "config" / "muster" / "login.json"
    assert saved.stat().st_mode & 0o777 == 0o600
    assert json.loads(saved.read_text())["name"] == "mia"

    assert admin.json("user", "role", "mia", "operator")["role"] == "operator"
    second = admin.json("token", "new", "mia")
    assert admin.json("token", "revoke", second["token_id"])["token_ids"] == [second["token_id"]]
    listed = next(user for user in admin.json("user", "list")["users"] if user["name"] == "mia")
    assert [token["token_id"] for token in listed["tokens"]] == [added["token_id"]]
    plain = admin.type("token", "new", "mia").stdout.strip()
    assert plain.startswith("mst_")
    shell.type("login", control.url, stdin=plain + "\n")
    assert admin.json("user", "remove", "mia")["user"] == "mia"
    assert shell.problem("models", code=6)["family"] == "not-identified"
    assert shell.json("logout") == {"forgotten": True}
    assert shell.problem("login", control.url, "--token", "mst_wrong", code=6)["code"] == "access.token-unknown"
    assert not saved.exists()
    assert as_("vera").problem("user", "add", "eve", "--role", "admin", code=5)["code"] == "access.right-missing"
