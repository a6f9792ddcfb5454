"""The audit journal over HTTP."""

import shutil
import sqlite3
from pathlib import Path

from muster.storage.transaction import Database
from running_control import Control, running_control


def test_events_are_paged_in_their_order(control: Control) -> None:
    """Page by page, every event is seen once and in order; without `after`, the last ones are shown."""
    with control.http("olga") as http:
        seen: list[int] = []
        after: int | None = 0
        while after is not None:
            page = http.get("/api/v1/audit", params={"after": after, "limit": 3}).json()
            seen += [event["sequence"] for event in page["events"]]
            after = page["next"]
        newest = http.get("/api/v1/audit", params={"limit": 2}).json()["events"]
    assert seen == list(range(1, len(seen) + 1))
    assert [event["sequence"] for event in newest] == seen[-2:]
    assert newest[0]["hash"] == newest[1]["previous"]


def test_events_about_one_subject(control: Control) -> None:
    """A subject shows its own history alone; one that there is not, none."""
    with control.http("olga") as http:
        found = http.get("/api/v1/audit", params={"subject": "user ana"}).json()["events"]
        assert http.get("/api/v1/audit", params={"subject": "user nobody"}).json()["events"] == []
        assert http.get("/api/v1/audit", params={"subject": "a\0b"}).status_code == 400
    assert [(event["action"], event["actor"]) for event in found] == [("user.added", "admin")]
    assert found[0]["details"]["role"] == "scientist"


def test_a_whole_chain_is_valid_and_an_edited_one_is_not(sqlite_template: Path, tmp_path: Path) -> None:
    """Verification names the event that somebody changed behind Muster's back."""
    shutil.copyfile(sqlite_template, tmp_path / "muster.db")
    database = Database(f"sqlite:///{tmp_path / 'muster.db'}")
    with running_control(database, tmp_path) as control, control.http("ben") as http:
        before = http.get("/api/v1/audit/verify").json()
        edited = sqlite3.connect(tmp_path / "muster.db")
        with edited:
            for (trigger,) in edited.execute("SELECT name FROM sqlite_master WHERE type = 'trigger'").fetchall():
                edited.execute(f'DROP TRIGGER "{trigger}"')
            edited.execute("UPDATE audit_events SET actor = 'nobody' WHERE sequence = 3")
        edited.close()
        after = http.get("/api/v1/audit/verify").json()
    database.close()
    assert (before["valid"], before["problem"]) == (True, None)
    assert before["head"].startswith("sha256:")
    assert (after["valid"], after["at_sequence"], after["events"]) == (False, 3, 2)
