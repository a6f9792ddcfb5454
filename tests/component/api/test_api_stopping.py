"""Control stops when it is told to, whoever waits."""

import shutil
import threading
import time
from pathlib import Path
from typing import Any

from muster.storage.transaction import Database
from running_control import running_control


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
