"""Control stops when it is told to, whoever waits."""

import contextlib
import shutil
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from muster.client.errors import FactoryUnreachable
from muster.storage.transaction import Database
from muster.vocabulary.states import ReleaseState
from running_control import running_control, wait_for
from small_bundles import SmallBundles


def test_waiting_fronts_do_not_hold_up_the_end(sqlite_template: Path, tmp_path: Path) -> None:
    """A server that is told to stop while fronts wait answers them, and has ended within two seconds."""
    shutil.copyfile(sqlite_template, tmp_path / "muster.db")
    database = Database(f"sqlite:///{tmp_path / 'muster.db'}")
    answers: list[Any] = []
    with running_control(database, tmp_path) as control:

        def wait() -> None:
            with control.http("front") as http:
                number = http.get("/api/v1/follow", params={"front": "front-0"}).json()["number"]
                waits = {"front": "front-0", "after": number, "wait": 5}
                answers.append(http.get("/api/v1/follow", params=waits))

        threads = [threading.Thread(target=wait) for _ in range(5)]
        for thread in threads:
            thread.start()
        time.sleep(0.7)
        assert answers == []
        began = time.monotonic()
        control.server.should_exit = True
        for thread in threads:
            thread.join(10)
        took_s = time.monotonic() - began
    database.close()
    assert [answer.status_code for answer in answers] == [200] * 5
    assert took_s < 2


def test_a_waiting_approval_does_not_hold_up_the_end(
    sqlite_template: Path, tmp_path: Path, bundles: SmallBundles
) -> None:
    """An approver who waits for a release to be live is told how far it is when control stops."""
    shutil.copyfile(sqlite_template, tmp_path / "muster.db")
    database = Database(f"sqlite:///{tmp_path / 'muster.db'}")
    with running_control(database, tmp_path) as control, ThreadPoolExecutor(1) as pool:
        version = control.accepted(bundles.new())
        control.as_("ana").propose("waited", champion=version, reason="nobody will serve it")
        with control.as_("ben") as ben:
            waiting = pool.submit(ben.approve, "waited", 1, "go", patience_s=20)
            wait_for(lambda: control.as_("ben").release("waited", 1).state is ReleaseState.APPROVED)
            began = time.monotonic()
            control.server.should_exit = True
            wait_for(lambda: not control.server.started or waiting.done())
            with contextlib.suppress(FactoryUnreachable):  # the client asks once more, and nobody is there
                assert waiting.result(20).state is ReleaseState.APPROVED
            took_s = time.monotonic() - began
    database.close()
    assert took_s < 6
