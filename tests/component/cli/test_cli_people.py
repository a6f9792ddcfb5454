"""Projects, groups, roles, tokens and consumers at the command line, and the way back in for who owns the home."""

import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from running_cli import Shell

from muster.access.service import Access
from muster.audit.journal import Journal
from muster.audit.verify import verify
from muster.bootstrap.creation import create_home
from muster.bootstrap.home import open_home
from muster.bootstrap.recovery import reissue_token
from muster.publishing.board import Board
from muster.storage.transaction import Database
from muster.vocabulary.clock import SystemClock
from running_control import Control

As = Callable[[str], Shell]


def test_a_project_with_people_of_its_own(as_: As, control: Control, tmp_path: Path) -> None:
    """Made, limited, described, given people by a group and a role of its own; closed to whoever has no part in it."""
    admin = as_("admin")
    control.tokens["rita"] = admin.json("user", "add", "rita", "--role", "viewer", "--contact", "rita@example.com")[
        "token"
    ]
    made = admin.json("project", "add", "risk", "--admin", "rita", "--title", "Risk", "--versions", 3)
    assert (made["name"], made["quotas"]["versions"]) == ("risk", 3)
    limited = admin.json("project", "quota", "risk", "--versions", "none", "--requests-per-s", 9)
    assert limited["quotas"] == {"bytes": None, "versions": None, "live_variants": None, "requests_per_s": 9}
    assert admin.problem("project", "quota", "risk", code=2)["code"] == "cli.usage"
    rita = as_("rita").where(MUSTER_PROJECT="risk")
    assert rita.json("project", "set", "--contact", "rita@example.com")["contact"] == "rita@example.com"
    assert rita.json("project", "show")["used"]["versions"] == 0
    assert [one["name"] for one in rita.json("project", "list")["projects"]] == ["default", "risk"]
    assert as_("ana").problem("project", "show", "risk", code=3)["code"] == "access.project-not-found"
    admin.json("group", "add", "team", "--title", "The team")
    assert admin.json("group", "join", "team", "vera")["members"] == ["vera"]
    file = tmp_path / "roles.toml"
    file.write_text('[roles.auditor]\nrights = ["read", "read-audit"]\n[roles.desk]\nrights = ["read", "propose"]\n')
    assert [role["name"] for role in rita.json("role", "set", "--file", file)["roles"]] == ["auditor", "desk"]
    assert rita.json("role", "set", "desk", "--right", "read")["roles"][0]["rights"] == ["read"]
    assert rita.json("role", "remove", "desk")["name"] == "desk"
    assert rita.json("group", "grant", "team", "auditor") == {
        "project": "risk", "role": "auditor", "endpoints": ["*"], "may": [],
    }  # fmt: skip
    assert as_("vera").json("whoami")["roles"] == {"default": ["viewer"], "risk": ["auditor"]}
    assert "auditor by team" in rita.type("user", "list").stdout
    assert rita.json("group", "show", "team")["members"] == ["vera"]
    assert "auditor in risk" in rita.type("group", "list").stdout
    assert rita.json("group", "revoke", "team")["role"] == "auditor"
    assert admin.json("group", "leave", "team", "vera")["members"] == []
    assert admin.json("group", "remove", "team")["name"] == "team"
    assert "auditor" in rita.type("role", "list").stdout


@pytest.mark.parametrize(
    "text", ["", "roles = 1", "[roles.x]\nright = []", "[roles.x]\nrights = [1]", "x = [", "[other]"]
)
def test_a_file_of_roles_that_is_none(as_: As, tmp_path: Path, text: str) -> None:
    """It is told what is wrong, and nothing is sent."""
    file = tmp_path / "roles.toml"
    file.write_text(text)
    assert as_("admin").problem("role", "set", "--file", file, code=2)["code"] == "cli.file-not-understood"
    assert as_("admin").problem("role", "set", "x", "--file", file, code=2)["code"] == "cli.usage"
    assert as_("admin").problem("role", "set", "--file", tmp_path / "none", code=3)["code"] == "cli.file-missing"


def test_a_token_for_a_pipeline(as_: As, control: Control) -> None:
    """Limited, labelled, listed, rotated and revoked; its text is in no list."""
    admin = as_("admin")
    made = admin.json(
        "token", "new", "olga", "--label", "nightly", "--right", "read", "--right", "score", "--endpoint", "churn",
        "--this-project",
    )  # fmt: skip
    control.tokens["nightly"] = made["token"]
    assert as_("nightly").json("whoami")["rights"] == {"default": ["read", "score"]}
    listed = admin.type("token", "list", "olga")
    assert "nightly" in listed.stdout
    assert "read, score, endpoint churn, project default" in listed.stdout
    assert made["token"] not in listed.stdout
    again = as_("nightly").json("token", "rotate", made["token_id"], "--grace", "0")
    assert as_("nightly").problem("whoami", code=6)["code"] == "access.token-revoked"
    told = {token["token_id"]: token for token in admin.json("token", "list", "olga")["tokens"]}[again["token_id"]]
    assert (told["label"], told["replaces"]) == ("nightly", made["token_id"])
    assert admin.json("token", "revoke", again["token_id"])["token_ids"] == [again["token_id"]]


def test_consumers_are_listed_with_how_to_reach_them(as_: As) -> None:
    """Who may ask an endpoint by name is there before the first request."""
    admin = as_("admin")
    admin.json("user", "add", "kiosk", "--role", "consumer", "--endpoint", "churn", "--channel", "#kiosk")
    assert (
        admin.json("user", "set", "kiosk", "--contact", "kiosk@example.com", "--title", "The kiosk")["kind"]
        == "service"
    )
    (kiosk,) = admin.json("consumers", "churn", "--days", 30)["consumers"]
    assert (kiosk["consumer"], kiosk["contact"], kiosk["channel"]) == ("kiosk", "kiosk@example.com", "#kiosk")
    assert (kiosk["requests"], kiosk["last_at"], kiosk["versions"]) == (0, None, [])
    admin.json("user", "remove", "kiosk", "--everywhere")
    assert admin.json("consumers", "churn")["consumers"] == []


def test_the_owner_of_the_home_comes_in_again(shell: Shell, tmp_path: Path) -> None:
    """The old token is worthless, the new one is printed and in the file that only the owner reads, and it is on record."""
    home = create_home(tmp_path / "home", solo=False)
    told = shell.json("token", "reissue", "--home", home.home)
    file = home.home / "admin.token"
    assert file.read_text().strip() == told["token"] != home.admin_token
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    database = Database(f"sqlite:///{home.home / 'muster.db'}")
    clock = SystemClock()
    journal = Journal(None, clock)
    access = Access(database, journal, Board(database, clock), clock)
    assert access.identify(told["token"]).roles == {"default": {"admin"}}
    with pytest.raises(Exception, match="was revoked"):
        access.identify(home.admin_token)
    with database.read() as tx:
        (last,) = journal.newest(tx, 1)
    assert (last.actor, last.action, last.subject) == ("muster", "token.replaced", "user admin")
    assert verify(database, home.home / "audit" / "head.jsonl").valid
    database.close()
    assert shell.problem("token", "reissue", "nobody", "--home", home.home, code=3)["code"] == "access.user-not-found"
    assert shell.problem("token", "reissue", "--home", tmp_path / "none", code=3)["code"] == "home.missing"


def test_a_recovery_that_was_cut_off_is_done_again(tmp_path: Path) -> None:
    """What a killed one left beside the file is not in the way, and the file never holds a part of a token."""
    home = open_home(create_home(tmp_path / "home", solo=False).home)
    (home.path / ".admin.token.new").write_text("mst_half")
    made, file = reissue_token(home, "admin")
    assert file == home.admin_token
    assert file.read_text() == f"{made.token}\n"
    assert not (home.path / ".admin.token.new").exists()
