"""`muster up`, `ps`, `logs`, `down`: the processes of a factory on this machine."""

import os
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import click
import msgspec

from muster.bootstrap.creation import create_home
from muster.bootstrap.errors import HomeMissing
from muster.bootstrap.home import Home, open_home
from muster.bootstrap.metrics import metrics_address
from muster.bootstrap.up import Addresses, bring_up
from muster.cli import harmless
from muster.cli.output import Output, answering, show_table
from muster.supervision import state
from muster.supervision.errors import NotUp, StillRunning

DEFAULT_HOME = Path(".muster")
_END_WITHIN_S = 60.0
_LAST_PORT = 65535
_FOLLOW_EVERY_S = 0.2
#: The field of a log line that holds several lines.
_TRACE = "exception"

home_option = click.option(
    "--home",
    type=click.Path(path_type=Path, file_okay=False),
    envvar="MUSTER_HOME",
    default=DEFAULT_HOME,
    show_default=True,
    help="The factory's home.",
)


@click.command("up")
@home_option
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=click.IntRange(0, 65535), default=8600, show_default=True, help="Control API; 0: any.")
@click.option("--scoring-port", type=click.IntRange(0, 65535), default=8601, show_default=True, help="Scoring; 0: any.")
@click.option(
    "--grpc-port",
    type=click.IntRange(0, 65535),
    show_default="the one after --scoring-port",
    help="Scoring over gRPC; 0: any.",
)
@answering
def up(output: Output, *, home: Path, host: str, port: int, scoring_port: int, grpc_port: int | None) -> int:
    """Start the factory and stay until it is told to stop (Ctrl-C, SIGTERM or `muster down`).

    Without a home one is made, with an admin whose token is printed once. With --json, one document is printed when the
    factory answers.
    """
    token = None
    try:
        opened = open_home(home)
    except HomeMissing:
        created = create_home(home, solo=False)
        opened, token = open_home(created.home), created.admin_token
        if not output.as_json:
            click.echo(f"Made a home at {opened.path}. The token of its admin, shown once:\n\n    {token}\n")

    def on_ready(addresses: Addresses) -> None:
        document: dict[str, Any] = {
            "home": str(opened.path),
            "control": addresses.control,
            "scoring": addresses.scoring,
        }
        if opened.settings.serving.grpc:
            document["grpc"] = addresses.grpc
        if token is not None:
            document["admin_token"] = token
        if opened.factory.solo:
            document["solo"] = True
        output.document(document, lambda console: console.print(_greeting(opened, addresses), highlight=False))
        sys.stdout.flush()

    if grpc_port is None:
        grpc_port = scoring_port + 1 if 0 < scoring_port < _LAST_PORT else 0
    return bring_up(opened, Addresses(host=host, port=port, scoring_port=scoring_port, grpc_port=grpc_port), on_ready)


@click.command("ps")
@home_option
@answering
def ps(output: Output, *, home: Path) -> None:
    """Show the processes of the factory; none when it does not run."""
    opened = open_home(home)
    entries = state.running(opened.state)
    output.document(
        [_entry_document(opened, entry) for entry in entries],
        lambda console: show_table(
            console,
            ("pid", "kind", "of"),
            [(str(entry.pid), entry.kind, entry.of) for entry in entries],
            none="The factory does not run.",
        ),
    )


@click.command("logs")
@home_option
@click.argument("process", required=False)
@click.option("-n", "--last", type=click.IntRange(0), default=50, show_default=True, help="Lines of each log.")
@click.option("-f", "--follow", is_flag=True, help="Go on as new lines come, until Ctrl-C.")
@answering
def logs(output: Output, *, home: Path, process: str | None, last: int, follow: bool) -> None:
    """Show what the processes log; PROCESS is control, executor, keeper, front-0, supervisor or the beginning of a name."""
    folder = open_home(home).logs
    files = sorted(file for file in folder.glob("*.log") if file.stem.startswith(process or ""))
    lines = sorted(
        (line for file in files for line in _last_lines(file, last)), key=lambda line: str(line.get("at", ""))
    )
    if output.as_json:
        output.document(lines, lambda _: None)
        return
    for line in lines:
        click.echo(_shown(line))
    if follow:
        for line in _new_lines(files):
            click.echo(_shown(line))


@click.command("down")
@home_option
@answering
def down(output: Output, *, home: Path) -> None:
    """Stop the factory: answer what is under way, write what is open, end every process."""
    opened = open_home(home)
    folder = opened.state
    supervisor = next((entry.pid for entry in state.running(folder) if entry.kind == "supervisor"), None)
    if supervisor is None:
        raise NotUp(f"no factory runs on {home}", home=str(home))
    os.kill(supervisor, signal.SIGTERM)
    until = time.monotonic() + _END_WITHIN_S
    with output.progress("stopping"):
        while state.is_locked(folder):
            if time.monotonic() > until:
                raise StillRunning(f"the factory on {home} has not ended within {_END_WITHIN_S:.0f} s", home=str(home))
            time.sleep(0.05)
    document = {"stopped": True, **({"solo": True} if opened.factory.solo else {})}
    output.document(document, lambda console: console.print("The factory has stopped."))


def _entry_document(home: Home, entry: state.ProcessEntry) -> dict[str, Any]:
    document: dict[str, Any] = {"pid": entry.pid, "kind": entry.kind, "of": entry.of}
    if entry.kind not in {"parent", "host", "spare", "shadow"}:
        url = metrics_address(home, entry.of if entry.kind == "front" else entry.kind).url
        document |= {"metrics": url} if url else {}
    return document


def _greeting(home: Home, addresses: Addresses) -> str:
    lines = [
        f"The factory at {home.path} is up.",
        f"  control   {addresses.control}/api/v1",
        f"  scoring   {addresses.scoring}/v2 and {addresses.scoring}/score/ENDPOINT",
        *([f"  gRPC      {addresses.grpc}"] if home.settings.serving.grpc else []),
        f"  admin     whoever can read {home.admin_token}",
        "Stop it with Ctrl-C or `muster down`.",
    ]
    if home.factory.solo:
        lines.insert(1, "  solo      a factory for one person: gates are passed without a second one")
    return "\n".join(lines)


def _last_lines(file: Path, count: int) -> list[dict[str, Any]]:
    with file.open("rb") as stream:
        stream.seek(0, os.SEEK_END)
        stream.seek(max(0, stream.tell() - 1000 * max(count, 1)))
        lines = stream.read().splitlines()
    return [_parsed(line, file) for line in lines[-count:]] if count else []


def _new_lines(files: list[Path]) -> Iterator[dict[str, Any]]:
    with ExitStack() as stack:
        streams = [(file, stack.enter_context(file.open("rb"))) for file in files]
        for _, stream in streams:
            stream.seek(0, os.SEEK_END)
        while True:
            for file, stream in streams:
                for line in stream:
                    yield _parsed(line, file)
            time.sleep(_FOLLOW_EVERY_S)


def _parsed(line: bytes, file: Path) -> dict[str, Any]:
    """A line as facts; what a model or a library printed is kept as it is."""
    try:
        facts = msgspec.json.decode(line)
    except msgspec.DecodeError:
        facts = None
    if not isinstance(facts, dict):
        return {"process": file.stem, "text": line.decode("utf-8", "replace").rstrip("\n")}
    return facts | {"process": file.stem}  # the file tells who wrote: a model prints what it likes into its own


def _shown(line: dict[str, Any]) -> str:
    rest = {key: value for key, value in line.items() if key not in {"at", "level", "event", "process", "text", _TRACE}}
    facts = " ".join(f"{key}={value}" for key, value in rest.items())
    said = line.get("event", line.get("text", ""))
    shown = f"{line.get('at', ''):<27} {line['process']:<10} {line.get('level', ''):<8} {said} {facts}".rstrip()
    # One line, whatever a model printed; only where a fault was in the code is shown beneath, and indented.
    trace = harmless.lines(str(line.get(_TRACE, "")))
    return harmless.cell(shown) + "".join(f"\n    {part}" for part in trace.splitlines())
