"""Tools: what they are told of their surroundings, and that they end in time."""

import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from muster.environments.errors import BuildFailed, ToolchainMissing
from muster.environments.offline import run_tool, tool_variables


def test_a_tool_that_fetches_gets_no_key_of_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Proxies, registries and their tokens reach it; what opens Muster, its store, a database or a cloud does not."""
    kept = {"HTTPS_PROXY", "no_proxy", "npm_config_registry", "NPM_TOKEN", "GOPROXY", "PIP_INDEX_URL", "SSL_CERT_FILE"}
    kept |= {"CARGO_REGISTRIES_OWN_TOKEN", "MAVEN_OPTS", "UV_INDEX", "NODE_EXTRA_CA_CERTS"}
    kept_back = {"MUSTER_TOKEN", "MUSTER_S3_SECRET", "AWS_SECRET_ACCESS_KEY", "AZURE_CLIENT_SECRET", "PGPASSWORD"}
    kept_back |= {"GOOGLE_APPLICATION_CREDENTIALS", "KUBECONFIG", "DATABASE_URL", "VIRTUAL_ENV"}
    for name in kept | kept_back:
        monkeypatch.setenv(name, "x")
    told = tool_variables(tmp_path, network=True)
    assert kept <= told.keys()
    assert not kept_back & told.keys()
    assert told["HOME"] != str(tmp_path / "home"), "settings files of registries lie in the user's own"
    assert told["PATH"]


LOOPS = "while :; do echo and on; done"
SILENT = "sleep 300"
#: Leaves somebody behind, in a session of his own, who keeps the output open.
LEAVES_BEHIND = "setsid sleep 8 & echo gone"


@pytest.mark.parametrize("script", [LOOPS, SILENT, LEAVES_BEHIND])
@pytest.mark.parametrize("is_told", [True, False])
def test_a_tool_that_does_not_end_is_a_failed_build(tmp_path: Path, script: str, *, is_told: bool) -> None:
    """The deadline holds for one that writes for ever, one that says nothing, and one whose children keep its output open."""
    say = (lambda _: None) if is_told else None
    begun = time.monotonic()
    with pytest.raises(BuildFailed, match="did not end within"):
        run_tool(["/bin/sh", "-c", script], folder=tmp_path, scratch=tmp_path, say=say, deadline_s=1.0)
    assert time.monotonic() - begun < 6


def test_a_tool_is_told_line_by_line(tmp_path: Path) -> None:
    """Lines come whole, letters that were cut in two as well, and the last needs no end; the status is the tool's."""
    lines: list[str] = []
    script = r"printf 'a\n\ngr\303'; sleep 0.2; printf '\274n\nlast'; exit 3"
    done = run_tool(["/bin/sh", "-c", script], folder=tmp_path, scratch=tmp_path, say=lines.append)
    assert (done.returncode, lines, done.stdout) == (3, ["a", "grün", "last"], "a\n\ngrün\nlast")
    quiet = run_tool(["/bin/sh", "-c", "echo out; echo err >&2; exit 4"], folder=tmp_path, scratch=tmp_path)
    assert (quiet.returncode, quiet.stdout, quiet.stderr) == (4, "out\n", "err\n")


def test_a_tool_that_is_not_there_is_told(tmp_path: Path) -> None:
    """With and without a network: the program is named."""
    for network in (True, False):
        with pytest.raises(ToolchainMissing, match="/no/such cannot be started"):
            run_tool(["/no/such"], folder=tmp_path, scratch=tmp_path, network=network)


@pytest.mark.parametrize("network", [True, False])
def test_whoever_kills_muster_ends_a_build_with_all_that_it_started(tmp_path: Path, *, network: bool) -> None:
    """SIGKILL in a build ends the tool and the tool's own children: cargo's compilers do not go on."""
    script = f"sleep 300 & echo $! > {tmp_path}/child; sleep 300"
    code = (
        "from pathlib import Path; from muster.environments.offline import run_tool;"
        f"run_tool(['/bin/sh', '-c', {script!r}], folder=Path('/'), scratch=Path({str(tmp_path)!r}), network={network})"
    )
    muster = subprocess.Popen([sys.executable, "-c", code])
    child = tmp_path / "child"
    _wait(lambda: child.is_file() and child.read_text().endswith("\n"))
    muster.send_signal(signal.SIGKILL)
    muster.wait()
    _wait(lambda: not _is_alive(int(child.read_text())))


def _is_alive(pid: int) -> bool:
    try:
        return "Z" not in Path("/proc", str(pid), "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def _wait(until: Callable[[], bool], within_s: float = 20.0) -> None:
    ends = time.monotonic() + within_s
    while not until():
        assert time.monotonic() < ends
        time.sleep(0.02)
