"""Retention: whole files go when everything in them is too old, and the archive can still be proved complete."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from archive_workshop import DAY_NS, HOUR_NS, Workshop

from muster.access.actor import Actor, Call
from muster.access.errors import RightMissing
from muster.access.roles import AccessRole
from muster.archive.depot import FolderStore
from muster.archive.errors import RetentionMalformed
from muster.archive.retention import Remover, Retention
from muster.audit.entries import Entry
from muster.audit.journal import Journal
from muster.audit.verify import verify
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock, wall_ns
from muster.vocabulary.request_ids import request_id_text


def call(role: AccessRole = AccessRole.ADMIN, key: str | None = None) -> Call:
    actor = Actor(name="adele", roles={"default": role}, token_id="t")
    return Call(actor=actor, idempotency_key=key, request_digest=None if key is None else "sha256:" + "0" * 64)


class Rules:
    """The rules and the journal of a factory."""

    def __init__(self, database: Database, clock: FixedClock, root: Path) -> None:
        self.database = database
        self.root = root
        self.journal = Journal(None, clock)
        self.retention = Retention(database, self.journal, clock, require_endpoint=lambda _call, _endpoint: None)

    def remover(self, *, default_days: int = 0, ahead_ns: int = 0, passed_ns: int = 0) -> Remover:
        times = iter([wall_ns()])
        passing = iter([0])
        return Remover(
            self.database, self.journal, FolderStore(self.root / "parquet"), default_days=default_days,
            now_ns=lambda: next(times, None) or wall_ns() + ahead_ns,
            monotonic_ns=lambda: next(passing, passed_ns),
        )  # fmt: skip

    def events(self) -> list[Entry]:
        with self.database.read() as tx:
            return self.journal.newest(tx)


@pytest.fixture
def rules(tmp_path: Path, sqlite_database: Database, clock: FixedClock) -> Rules:
    return Rules(sqlite_database, clock, tmp_path / "archive")


def old_and_new(root: Path) -> Workshop:
    """Records of ten days ago, of yesterday's hour and of now, with a late answer beside an old one."""
    made = Workshop(root)
    now = wall_ns()
    old = made.answer(4, at_ns=now - 10 * DAY_NS)
    made.answer(2, at_ns=now - 10 * DAY_NS, endpoint="credit")
    made.rotate()
    made.compact()
    made.answer_late(old[0])
    made.answer(3, at_ns=now - 2 * HOUR_NS)
    made.rotate()
    made.compact()
    made.answer(1)
    made.close()
    return made


def test_what_is_older_than_the_rule_goes_and_is_still_accounted_for(rules: Rules) -> None:
    """Old files of that endpoint go, others stay; verify proves that nothing else is missing."""
    made = old_and_new(rules.root)
    rules.retention.retain(call(), "churn", 5, "the law")
    (removed,) = rules.remover().remove()
    ids = [request_id_text(event.request_id) for event in made.decided]
    assert (removed.endpoint, removed.files, removed.records) == ("churn", 1, 4)
    assert (removed.first, removed.last) == (ids[0], ids[3])
    found = [made.reader.find(one) is not None for one in ids]
    assert found == [False] * 4 + [True] * 6
    verdict = made.verify()
    assert verdict.problems == []
    assert verdict.endpoints["churn"].removed == 4
    assert verdict.endpoints["churn"].received == verdict.endpoints["churn"].recorded == 8
    assert rules.remover().remove() == []


def test_a_rule_and_what_it_removed_are_in_the_journal(rules: Rules) -> None:
    """Who set it, why, what it was before; then each removal, with how much it took."""
    old_and_new(rules.root)
    rules.retention.retain(call(), "churn", 30, "for a month")
    rules.retention.retain(call(), "churn", 5, "the law")
    rules.remover().remove()
    first, second, third = rules.events()
    assert (first.action, first.actor, first.subject, first.reason) == (
        "archive.retention-set", "adele", "endpoint churn", "for a month",
    )  # fmt: skip
    assert second.details == '{"before":30,"days":5}'
    assert (third.action, third.actor) == ("archive.removed", "muster")
    assert '"records":4' in third.details
    assert verify(rules.database, None).valid


def test_a_side_file_of_late_answers_goes_with_its_time(rules: Rules) -> None:
    """Late answers beside the rows are as old as they came."""
    made = old_and_new(rules.root)
    (beside,) = (rules.root / "parquet" / "_late").rglob("*.parquet")
    rules.remover(default_days=1).remove()
    assert beside.exists()
    rules.remover(default_days=1, ahead_ns=3 * DAY_NS, passed_ns=3 * DAY_NS).remove()
    assert not beside.exists()
    assert made.verify().problems == []


def test_the_setting_counts_where_there_is_no_rule(rules: Rules) -> None:
    """For ever is a rule, too."""
    made = old_and_new(rules.root)
    rules.retention.retain(call(), "churn", None, "evidence")
    assert [one.endpoint for one in rules.remover(default_days=5).remove()] == ["credit"]
    assert made.verify().problems == []


def test_without_rules_and_setting_everything_stays(rules: Rules) -> None:
    """Records are kept for ever unless somebody says otherwise."""
    old_and_new(rules.root)
    assert rules.remover().remove() == []


def test_a_clock_that_was_set_forward_removes_nothing(rules: Rules) -> None:
    """Years on the clock in a moment of life are no years."""
    old_and_new(rules.root)
    rules.retention.retain(call(), "churn", 5, "the law")
    assert rules.remover(ahead_ns=400 * DAY_NS, passed_ns=1).remove() == []
    assert len(rules.remover(ahead_ns=400 * DAY_NS, passed_ns=400 * DAY_NS).remove()) == 1


def test_a_removal_that_was_killed_is_finished(rules: Rules, monkeypatch: pytest.MonkeyPatch) -> None:
    """Noted but not yet gone: the next round takes the files, and nothing is noted twice."""
    made = old_and_new(rules.root)
    rules.retention.retain(call(), "churn", 5, "the law")

    class Killed(BaseException):
        pass

    def die(_self: FolderStore, _place: str) -> None:
        raise Killed

    with monkeypatch.context() as patched:
        patched.setattr(FolderStore, "remove", die)
        with pytest.raises(Killed):
            rules.remover().remove()
    assert made.verify().problems == []
    assert [one.records for one in rules.remover().remove()] == [4]
    verdict = made.verify()
    assert verdict.problems == []
    assert verdict.endpoints["churn"].removed == 4


@pytest.mark.parametrize("role", [role for role in AccessRole if role is not AccessRole.ADMIN])
def test_only_admins_say_how_long_records_are_kept(rules: Rules, role: AccessRole) -> None:
    """Nobody else may have evidence removed."""
    with pytest.raises(RightMissing):
        rules.retention.retain(call(role), "churn", 5, "mine")


@pytest.mark.parametrize(("days", "reason"), [(0, "x"), (-1, "x"), (36_501, "x"), (5, " ")])
def test_malformed_rules_are_refused(rules: Rules, days: int, reason: str) -> None:
    """Neither no days nor no reason."""
    with pytest.raises(RetentionMalformed):
        rules.retention.retain(call(), "churn", days, reason)


def test_a_repeated_order_is_carried_out_once(rules: Rules, clock: FixedClock) -> None:
    """The same key gives the same rule and one event."""
    first = rules.retention.retain(call(key="k"), "churn", 5, "the law")
    clock.at = datetime(2030, 1, 1, tzinfo=UTC)
    assert rules.retention.retain(call(key="k"), "churn", 5, "the law") == first
    assert len(rules.events()) == 1
    assert rules.retention.rules(call()) == [first]
