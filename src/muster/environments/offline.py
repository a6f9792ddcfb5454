"""Tools of other languages, started in one place: nothing of the caller's own configuration decides, and the network can be cut.

A build never has a network: what it needs has been fetched and verified before. The network is cut by the kernel where this user may have a
network namespace of its own (`unshare --net`), and besides by a proxy that nobody listens at and homes of the tools in the scratch folder;
without the namespace it is the latter that keeps a tool from fetching, which holds for all that respect a proxy.
"""

import codecs
import ctypes
import os
import re
import selectors
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

from muster.environments.errors import BuildFailed, ToolchainMissing
from muster.environments.protocol import Say
from muster.packaging.network import CUT, network_cut

_LIBC = ctypes.CDLL(None)
_SET_PARENT_DEATH_SIGNAL = 1
_CHUNK_BYTES = 1 << 16
#: Before a command: the shell stands at the head of a group of processes, and when Muster dies it ends the whole group. A compiler
#: starts others, which the death of the first would not reach.
_GUARD = ("/bin/sh", "-c", 'trap "kill -9 0" TERM; "$@" & wait $!', "sh")
#: A first build of a large crate on a small machine; beyond it, something hangs.
DEADLINE_S = 1800.0

#: What a tool is told of its surroundings when it builds; what lies on the PATH decides nothing, toolchains name their programs whole.
_KEPT = ("PATH", "LANG", "LC_ALL", "LD_LIBRARY_PATH", "JAVA_HOME", "RUSTUP_HOME", "RUSTUP_TOOLCHAIN")
#: What a tool gets besides when it fetches: where its registry is and what opens that, proxies, authorities, the user's settings files.
#: Nothing else: what opens the store, a database or a cloud is no tool's affair, and a hostile lock shall not be able to send it away.
_FETCHES = re.compile(
    r"HOME|USER|LOGNAME|NETRC|XDG_\w+|SSL_CERT_(FILE|DIR)|CURL_CA_BUNDLE|REQUESTS_CA_BUNDLE|SSL_NO_VERIFY"
    r"|(https?|ftp|all|no)_proxy"
    r"|(npm|NODE|PIP|UV|CARGO|GO|MAVEN|MVN|M2|JAVA|JDK)_\w+"
    r"|GO(PROXY|PRIVATE|NOPROXY|NOSUMDB|SUMDB|INSECURE|AUTH|VCS|FLAGS)",
    re.IGNORECASE,
)


def run_tool(
    arguments: Sequence[str | Path],
    *,
    folder: Path,
    scratch: Path,
    variables: Mapping[str, str] | None = None,
    say: Say | None = None,
    network: bool = False,
    deadline_s: float = DEADLINE_S,
) -> subprocess.CompletedProcess[str]:
    """Run a tool to its end and give what it said; its exit status is for the caller to judge.

    Args:
        arguments: the program, absolute, and its arguments.
        folder: where it runs.
        scratch: its home and its temporary files lie in there.
        variables: more of its environment; wins over everything else.
        say: told each line that it writes, as it comes.
        network: whether it may have one. With it, it also gets those of the caller's variables that fetching needs: proxies, registries
            and their tokens; none of Muster's, of a store or of a cloud.
        deadline_s: after so many seconds it is killed, with all that it started.

    Raises:
        ToolchainMissing: the program cannot be started.
        BuildFailed: it did not end in time.
    """
    environment = tool_variables(scratch, network=network) | dict(variables or {})
    command = [str(argument) for argument in arguments]
    if not os.access(command[0], os.X_OK):
        raise ToolchainMissing(f"{command[0]} cannot be started: it is no program", program=command[0])
    if not network:
        command = [*network_cut(), *command]
    try:
        process = subprocess.Popen(
            [*_GUARD, *command],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT if say is not None else subprocess.PIPE,
            text=True,
            errors="replace",
            start_new_session=True,
            # Whoever kills Muster in a build does not want a compiler to go on.
            preexec_fn=end_with_parent,  # noqa: PLW1509 - one system call, and no lock is taken
        )
    except OSError as error:
        raise ToolchainMissing(f"{arguments[0]} cannot be started: {error}", program=str(arguments[0])) from error
    with process:
        try:
            if say is None:
                output, errors = process.communicate(timeout=deadline_s)
            else:
                output, errors = _told(process, say, deadline_s), ""
        except subprocess.TimeoutExpired as error:
            _end_family(process)
            raise BuildFailed(
                f"{Path(arguments[0]).name} did not end within {deadline_s:g} s and was killed",
                program=str(arguments[0]),
            ) from error
        except BaseException:
            _end_family(process)
            raise
    return subprocess.CompletedProcess(command, process.returncode, output, errors)


def tool_variables(scratch: Path, *, network: bool) -> dict[str, str]:
    """The environment variables of a tool: a home and temporary files in scratch, and a network or none."""
    home, temporary = scratch / "home", scratch / "tmp"
    home.mkdir(parents=True, exist_ok=True)
    temporary.mkdir(parents=True, exist_ok=True)
    own = {"TMPDIR": str(temporary), "NO_COLOR": "1", "SOURCE_DATE_EPOCH": "315532800", "TZ": "UTC"}
    if network:
        told = {name: value for name, value in os.environ.items() if name in _KEPT or _FETCHES.fullmatch(name)}
        return {"LANG": "C.UTF-8", **told, **own}
    kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
    # rustup finds its toolchains beside the user's home unless it is told.
    rustup = Path(os.environ.get("RUSTUP_HOME") or Path("~/.rustup").expanduser())
    rust = {"RUSTUP_HOME": str(rustup)} if rustup.is_dir() else {}
    return {"LANG": "C.UTF-8", **kept, **rust, **CUT, "HOME": str(home), **own}


def _told(process: "subprocess.Popen[str]", say: Say, deadline_s: float) -> str:
    """What a tool writes, told line by line; it is waited for no longer than the deadline, whether it writes for ever or nothing at all."""
    assert process.stdout is not None
    ends = time.monotonic() + deadline_s
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    text, rest = [], ""
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        chunk = b"begin"
        while chunk:
            left = ends - time.monotonic()
            if left <= 0 or not selector.select(left):
                raise subprocess.TimeoutExpired(process.args, deadline_s)
            chunk = os.read(process.stdout.fileno(), _CHUNK_BYTES)
            text.append(decoder.decode(chunk, final=not chunk))
            *lines, rest = (rest + text[-1]).split("\n")
            for line in lines if chunk else (*lines, rest):
                if line.strip():
                    say(line.rstrip())
    process.wait(max(0.0, ends - time.monotonic()))
    return "".join(text)


def end_with_parent() -> None:
    """Have the kernel end a guarded command when whoever started it dies; called in the child, before its program."""
    _LIBC.prctl(_SET_PARENT_DEATH_SIGNAL, signal.SIGTERM)  # the guard's, which ends the others


def _end_family(process: "subprocess.Popen[str]") -> None:
    """End a tool and whatever it started: it leads a session of its own."""
    try:
        os.killpg(process.pid, 9)
    except ProcessLookupError:
        process.kill()
