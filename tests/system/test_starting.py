"""Starting and not starting: what an operator is told, and that nothing is left behind."""

import json
import os
import signal
import socket
import subprocess
from collections.abc import Callable
from pathlib import Path

import models
import pytest
from running_factory import MUSTER, RunningFactory, wait_for

from muster.supervision.state import running


def muster(*arguments: str, cwd: Path | None = None, **variables: str) -> subprocess.CompletedProcess[str]:
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    return subprocess.run(
        [*MUSTER, *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        cwd=cwd,
        env=environment | variables,
    )


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A home that was made and never started."""
    assert muster("init", str(tmp_path / "home")).returncode == 0
    return tmp_path / "home"


def up(home: Path, *more: str) -> subprocess.CompletedProcess[str]:
    return muster("up", "--home", str(home), "--port", "0", "--scoring-port", "0", "--json", *more)


def problem(done: subprocess.CompletedProcess[str]) -> str:
    assert done.stdout == ""
    return str(json.loads(done.stderr)["code"])


def test_a_port_in_use_is_named(home: Path) -> None:
    """Exit code 4, the port, and what to do."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = up(home, "--scoring-port", str(taken.getsockname()[1]))
    assert (done.returncode, problem(done)) == (4, "supervision.port-in-use")
    assert running(home / "run") == []


@pytest.mark.parametrize(
    ("file", "content", "code", "told"),
    [
        ("factory.json", b"{", 11, "home.damaged"),
        ("factory.json", b'{"format":9,"factory":"f","solo":false,"created":""}', 11, "home.damaged"),
        ("settings.toml", b"colour = 1", 2, "settings.malformed"),
        ("muster.db", b"nonsense" * 1000, 10, "supervision.part-refuses"),
    ],
)
def test_a_damaged_home_is_told_apart_and_left_alone(
    home: Path, file: str, content: bytes, code: int, told: str
) -> None:
    """The message names the file; its bytes are untouched; nothing runs."""
    (home / file).write_bytes(content)
    for more in home.glob("muster.db-*"):
        more.unlink()
    done = up(home)
    assert (done.returncode, problem(done)) == (code, told), done.stderr
    assert (home / file).read_bytes() == content
    assert running(home / "run") == []


def test_init_on_a_home_changes_nothing(home: Path) -> None:
    """The second `init` exits non-zero, and every file is as it was."""
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}
    assert muster("init", str(home)).returncode == 4
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before


def test_up_without_a_home_makes_one_and_shows_its_token_once(tmp_path: Path) -> None:
    """`./.muster`, an admin, a token that works; a second start does not show it again."""
    command = [*MUSTER, "up", "--port", "0", "--scoring-port", "0", "--json"]
    environment = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    for is_first in (True, False):
        process = subprocess.Popen(command, cwd=tmp_path, stdout=subprocess.PIPE, env=environment)
        assert process.stdout is not None
        lines = []
        while (line := process.stdout.readline()) != b"}\n":
            lines.append(line)
        said = json.loads(b"".join([*lines, line]))
        assert Path(said["home"]) == tmp_path / ".muster"
        assert ("admin_token" in said) is is_first
        if is_first:
            token = said["admin_token"]
            assert token == (tmp_path / ".muster" / "admin.token").read_text().strip()
            assert (tmp_path / ".muster" / "admin.token").stat().st_mode & 0o777 == 0o600
            asked = muster("whoami", "--json", MUSTER_URL=said["control"], MUSTER_TOKEN=token)
            assert json.loads(asked.stdout)["name"] == "admin"
        process.send_signal(signal.SIGTERM)
        process.wait(60)
        process.stdout.close()
        assert process.returncode == 0


def test_what_goes_wrong_beside_the_start_is_logged_and_not_printed(home: Path) -> None:
    """A port for metrics that is taken: stdout holds the one document, stderr nothing, and `muster logs` tells."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        variables = os.environ | {
            "MUSTER_METRICS_PORT": str(taken.getsockname()[1] - 3)
        }  # the supervisor's is the third after
        process = subprocess.Popen(
            [*MUSTER, "up", "--home", str(home), "--port", "0", "--scoring-port", "0", "--grpc-port", "0", "--json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=variables,
        )  # fmt: skip
        wait_for(lambda: len(running(home / "run")) >= 5)
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        while lines[-1] != b"}\n":
            lines.append(process.stdout.readline())
        process.send_signal(signal.SIGTERM)
        rest, errors = process.communicate(timeout=60)
    assert json.loads(b"".join(lines))["home"] == str(home)
    assert (rest, errors) == (b"", b"")
    logged = json.loads(muster("logs", "supervisor", "--home", str(home), "--json").stdout)
    assert [line["event"] for line in logged] == ["metrics.not_shown"]


def test_one_home_runs_once_and_ps_logs_and_down_tell_the_truth(factory: RunningFactory) -> None:
    """A second `up` is refused; `ps` lists every kind; `down` ends all of it; then `down` says that nothing runs."""
    home = str(factory.home)
    again = muster("up", "--home", home, "--port", "0", "--scoring-port", "0", "--json")
    assert (again.returncode, problem(again)) == (4, "supervision.already-up")
    listed = json.loads(muster("ps", "--home", home, "--json").stdout)
    assert {entry["kind"] for entry in listed} == {"supervisor", "control", "executor", "keeper", "front"}
    assert all(set(entry) == {"pid", "kind", "of"} for entry in listed)
    logged = json.loads(muster("logs", "control", "--home", home, "--json").stdout)
    assert "control.started" in {line.get("event") for line in logged}
    assert json.loads(muster("down", "--home", home, "--json").stdout) == {"stopped": True}
    wait_for(lambda: factory.process.poll() is not None)
    assert json.loads(muster("ps", "--home", home, "--json").stdout) == []
    assert problem(muster("down", "--home", home, "--json")) == "supervision.not-up"


def test_a_solo_factory_says_so_and_lets_one_person_pass_their_own_work(
    tmp_path: Path, bundles: Callable[..., Path]
) -> None:
    """Every answer of the CLI and the API says solo; the audit events do, too."""
    solo = RunningFactory(tmp_path / "home", solo=True)
    try:
        version = solo.admin.register(bundles("adds-1", models.Adds(1))).version
        assert solo.admin.certify(version).solo
        assert solo.admin.accept(version, "mine").solo
        proposed = solo.admin.propose("plus", champion=version, reason="mine")
        assert solo.admin.approve("plus", proposed.release, "mine").state == "live"
        document = solo.muster("show", version, token=(solo.home / "admin.token").read_text().strip(), url=True)
        assert document["solo"] is True
        waived = [event for event in solo.admin.audit_events().events if event.action == "version.accepted"]
        assert waived[0].details["solo"] is True
    finally:
        solo.close()
