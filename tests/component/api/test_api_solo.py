"""A factory for one person says so in every answer, and waives one rule."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from muster.storage.transaction import Database
from muster.vocabulary.states import VersionState
from running_control import Control, running_control
from small_bundles import SmallBundles

PROJECT = "/api/v1/projects/default"


@pytest.fixture(scope="module")
def solo(sqlite_template: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Control]:
    """A factory for one person."""
    home = tmp_path_factory.mktemp("solo")
    shutil.copyfile(sqlite_template, home / "muster.db")
    database = Database(f"sqlite:///{home / 'muster.db'}")
    with running_control(database, home, solo=True) as running:
        yield running
    database.close()


def test_every_answer_says_that_it_is_solo(solo: Control) -> None:
    """Objects hold `"solo": true`, problems too, and the header is on everything, whoever asks."""
    with solo.http("admin") as http, solo.http() as nobody, solo.http("front") as front:
        answers = [
            http.get("/api/v1/health"), http.get("/api/v1/whoami"), http.get(f"{PROJECT}/models"),
            http.get(f"{PROJECT}/models/none"), http.get("/nothing"), http.patch("/api/v1/health"),
            nobody.get(f"{PROJECT}/models"), http.get("/api/v1/audit/verify"), http.post(f"{PROJECT}/users", json={}),
        ]  # fmt: skip
        follow = front.get("/api/v1/follow", params={"front": "front-0"})
    for answer in answers:
        assert answer.json()["solo"] is True, answer.text
        assert answer.headers["muster-solo"] == "true"
    assert follow.headers["muster-solo"] == "true"


def test_one_person_passes_own_work_and_the_journal_says_so(solo: Control, bundles: SmallBundles) -> None:
    """The admin registers and accepts alone; the event holds `solo`."""
    with solo.as_("admin") as admin:
        version = admin.register(bundles.new()).version
        solo.put_into(version, VersionState.CERTIFIED)
        accepted = admin.accept(version, "there is only me")
        events = admin.audit_events(subject=version).events
    assert (accepted.state, accepted.solo) == ("accepted", True)
    assert events[-1].details["solo"] is True


def test_an_ordinary_factory_does_not_speak_of_it(control: Control) -> None:
    """Where gates take two people, `solo` is nowhere."""
    with control.http("admin") as http:
        answer = http.get("/api/v1/whoami")
    assert "solo" not in answer.json()
    assert "muster-solo" not in answer.headers
