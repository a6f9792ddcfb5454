"""A PostgreSQL server of the tests' own: made in a temporary folder, reached over TCP with a password, gone at the end."""

import ctypes
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pg8000.dbapi

_STARTS_WITHIN_S = 60
_SETTINGS = {
    # The tests do not survive a power cut, and need not.
    "fsync": "off",
    "full_page_writes": "off",
    "synchronous_commit": "off",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "listen_addresses": "127.0.0.1",
}


def binaries() -> Path:
    """The folder of `initdb` and `postgres`; tools/test_deps.sh looks in the same places.

    Raises:
        FileNotFoundError: PostgreSQL is not installed.
    """
    folders = [Path(entry) for entry in os.environ.get("PATH", "").split(os.pathsep) if entry]
    folders += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    if initdb := shutil.which("initdb"):
        folders.append(Path(initdb).resolve().parent)  # some systems link initdb alone into the PATH
    for folder in folders:
        if os.access(folder / "initdb", os.X_OK) and os.access(folder / "postgres", os.X_OK):
            return folder
    raise FileNotFoundError(
        "The tests need PostgreSQL's programs initdb and postgres, in PATH or /usr/lib/postgresql/*/bin: run `make test-deps`."
    )


@contextmanager
def running_postgresql() -> Iterator[str]:
    """The URL of the database `postgres` on a server that lives as long as the block, or as this process if that is killed."""
    found = binaries()
    # Not below pytest's own folder: its parents are closed to the user that the server runs as.
    folder = Path(tempfile.mkdtemp(prefix="muster-postgresql-", dir="/tmp"))
    account = _account()
    try:
        if account is not None:
            os.chown(folder, account.pw_uid, account.pw_gid)
        password = secrets.token_hex(8)
        _make_cluster(found, folder, password, account)
        server, port = _start(found, folder, account)
        try:
            yield _wait_until_ready(server, folder, port, password)
        finally:
            server.send_signal(signal.SIGINT)  # fast shutdown
            try:
                server.wait(20)
            except subprocess.TimeoutExpired:
                server.kill()
                server.wait()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _account() -> pwd.struct_passwd | None:
    """Whom the server runs as: PostgreSQL refuses to run as root."""
    if os.geteuid() != 0:
        return None
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise RuntimeError("PostgreSQL does not run as root, and there is neither a user postgres nor nobody to run it as")


def _make_cluster(found: Path, folder: Path, password: str, account: pwd.struct_passwd | None) -> None:
    secret = folder / "password"
    secret.write_text(password)
    if account is not None:
        os.chown(secret, account.pw_uid, account.pw_gid)
    command: list[str | Path] = [
        found / "initdb",
        "-D",
        folder / "data",
        "-U",
        "muster",
        f"--pwfile={secret}",
        "--auth=scram-sha-256",
    ]
    command += ["--encoding=UTF8", "--locale=C", "--no-sync", "--no-instructions"]
    made = subprocess.run(command, capture_output=True, text=True, cwd=folder, check=False, **_as(account))
    if made.returncode:
        raise RuntimeError(f"initdb failed:\n{made.stdout}{made.stderr}")


def _start(found: Path, folder: Path, account: pwd.struct_passwd | None) -> tuple["subprocess.Popen[bytes]", int]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command: list[str | Path] = [found / "postgres", "-D", folder / "data", "-p", str(port), "-k", folder]
    for name, value in _SETTINGS.items():
        command += ["-c", f"{name}={value}"]
    libc = ctypes.CDLL(None)
    with (folder / "log").open("wb") as log:
        server = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            cwd=folder,
            # 1 = PR_SET_PDEATHSIG: a killed test run leaves no server behind.
            preexec_fn=lambda: libc.prctl(1, signal.SIGINT),  # noqa: PLW1509
            **_as(account),
        )
    return server, port


def _wait_until_ready(server: "subprocess.Popen[bytes]", folder: Path, port: int, password: str) -> str:
    until = time.monotonic() + _STARTS_WITHIN_S
    while True:
        try:
            connection = pg8000.dbapi.connect(
                user="muster", password=password, host="127.0.0.1", port=port, database="postgres"
            )
        except (pg8000.dbapi.Error, OSError) as error:
            if server.poll() is not None or time.monotonic() > until:
                raise RuntimeError(f"PostgreSQL did not start:\n{(folder / 'log').read_text()}") from error
            time.sleep(0.05)
            continue
        connection.close()
        return f"postgresql://muster:{password}@127.0.0.1:{port}/postgres"


def _as(account: pwd.struct_passwd | None) -> dict[str, Any]:
    return {} if account is None else {"user": account.pw_uid, "group": account.pw_gid, "extra_groups": []}
