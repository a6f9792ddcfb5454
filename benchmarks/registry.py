"""How quickly a large registry answers: every list, search and show over HTTP, on SQLite or PostgreSQL, beside MLflow.

    .venv/bin/python benchmarks/registry.py [--versions 100000] [--models 2000] [--endpoints 1000] [--events 1000000]
        [--asks 200] [--database URL] [--mlflow PYTHON] [--mlflow-asks 20] [--verify] [--folder DIR] [--json FILE]

A factory is made with `muster init`, its database is filled in bulk (the audit chain is a valid one), and `muster up` is asked as any
client asks it: one question after another over one connection, each time about something else. Without `--database` it is
SQLite; `postgresql://…` has to name an empty database. An MLflow server is filled and asked alike where the Python that `--mlflow`
names has MLflow (`pip install mlflow`); without the option, where this one has it.

Beside the time that each question takes stands the processor time that it costs: that of the process which answers (Muster's control
plane; SQLite works within it), and that of PostgreSQL's processes where they run on this machine. Where a question takes much longer
than the two together, the machine had other work, or the disk was waited for; figures of two runs are compared by processor time first.
"""

import argparse
import importlib.util
import json
import os
import random
import shutil
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psutil
import sqlalchemy as sa
from harness.registry_mlflow import mlflow_questions, mlflow_references, running_mlflow
from harness.registry_seed import AREAS, PEOPLE, PROJECT, TEAMS, Seeded, Sizes, seed

from muster.storage.transaction import Database
from muster.supervision import state

LIMIT_MS = 50.0
_API = f"/api/v1/projects/{PROJECT}"
Ask = Callable[[httpx.Client], httpx.Response]
Question = Callable[[], Ask]


def main() -> None:
    """Fill, ask, print."""
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("--models", type=int, default=2000)
    arguments.add_argument("--versions", type=int, default=100_000)
    arguments.add_argument("--endpoints", type=int, default=1000)
    arguments.add_argument("--events", type=int, default=1_000_000, help="audit events")
    arguments.add_argument("--asks", type=int, default=200, help="how often each question is asked")
    arguments.add_argument("--database", help="postgresql://user:password@host/name, empty; else SQLite in the home")
    arguments.add_argument("--mlflow", type=Path, help="a Python that has MLflow")
    arguments.add_argument("--mlflow-asks", type=int, default=20, help="how often each question is asked of MLflow")
    arguments.add_argument("--verify", action="store_true", help="have the audit chain verified as well")
    arguments.add_argument("--folder", type=Path, help="where; a temporary folder otherwise")
    arguments.add_argument("--json", type=Path, help="write the figures here, too")
    given = arguments.parse_args()
    sizes = Sizes(models=given.models, versions=given.versions, endpoints=given.endpoints, events=given.events)
    folder = Path(tempfile.mkdtemp(prefix="muster-registry-", dir=given.folder))
    try:
        figures = measure(folder, sizes, given)
    finally:
        shutil.rmtree(folder)
    if given.json:
        given.json.write_text(json.dumps(figures, indent=2) + "\n")


def measure(folder: Path, sizes: Sizes, given: argparse.Namespace) -> dict[str, Any]:
    """All figures."""
    home = folder / "home"
    environ = environment(folder, given.database)
    subprocess.run([*muster(), "init", str(home)], check=True, env=environ, capture_output=True)
    database = Database(given.database or f"sqlite:///{home / 'muster.db'}")
    begun = time.monotonic()
    seeded = seed(database, home, sizes)
    kind = database.engine.dialect.name
    database.close()
    say(
        f"{kind}: {sizes.versions:,} versions, {sizes.models:,} models, {sizes.endpoints:,} endpoints, {sizes.events:,} audit events, "
        f"filled in {time.monotonic() - begun:.0f} s"
    )
    figures: dict[str, Any] = {"database": kind, "sizes": asdict(sizes)}
    with running_muster(home, environ) as http:
        say(f"{'':44}{'p50':>9}   {'p95':>9}   {'control':>9}   {'PostgreSQL':>9}")
        figures["load_before"] = os.getloadavg()[0]
        processors = processors_of(home, given.database)
        figures["muster"] = asked(http, questions(seeded, random.Random(7)), given.asks, processors)
        figures["load_after"] = os.getloadavg()[0]
        say(f"load average: {figures['load_before']:.1f} at the beginning, {figures['load_after']:.1f} at the end")
        if given.verify:
            verdict = http.get("/api/v1/audit/verify", timeout=600).json()
            say(f"audit chain: valid {verdict['valid']}, {verdict['events']:,} events")
            if not verdict["valid"]:
                raise SystemExit(f"the chain that was made is not valid: {verdict['problem']}")
            figures["audit_events"] = verdict["events"]
    python = mlflow_python(given.mlflow)
    if python is None:
        say("MLflow: not installed for any Python that was named, so not measured")
    else:
        with running_mlflow(python, folder / "mlflow", seeded) as other:
            say("MLflow:")
            figures["mlflow"] = asked(other, mlflow_questions(seeded, random.Random(7)), given.mlflow_asks)
            references = {"resolve 100 references": mlflow_references(seeded, random.Random(7))}
            figures["mlflow"] |= asked(other, references, min(given.mlflow_asks, 5))  # a hundred calls each
    say(table(figures))
    return figures


def questions(seeded: Seeded, chance: random.Random) -> dict[str, Question]:
    """What is asked of Muster, by name: each gives the next ask."""
    versions, shown, models, endpoints = seeded.versions, seeded.shown, seeded.models, seeded.endpoints
    largest = max(version.number for version in versions if version.model == seeded.largest)
    last = len(versions)

    def get(path: Callable[[], str], **query: Callable[[], Any]) -> Question:
        def ask() -> Ask:
            address, values = path(), {name: value() for name, value in query.items()}
            return lambda http: http.get(address, params=values)

        return ask

    def search(query: Callable[[], str], **more: Callable[[], Any]) -> Question:
        return get(lambda: f"{_API}/search", q=query, **more)

    def of(version: Any) -> str:
        return f"{_API}/models/{version.model}/versions/{version.number}"

    return {
        "models, first page": get(lambda: f"{_API}/models"),
        "models, some page": get(lambda: f"{_API}/models", after=lambda: chance.choice(models)),
        "versions of the largest model": get(lambda: f"{_API}/models/{seeded.largest}/versions"),
        "versions of it, some page": get(
            lambda: f"{_API}/models/{seeded.largest}/versions", after=lambda: chance.randint(2, max(2, largest))
        ),
        "endpoints, first page": get(lambda: f"{_API}/endpoints"),
        "endpoints, some page": get(lambda: f"{_API}/endpoints", after=lambda: chance.choice(endpoints)),
        "releases of the busiest endpoint": get(lambda: f"{_API}/endpoints/{seeded.busiest}/releases"),
        "audit, newest": get(lambda: "/api/v1/audit"),
        "audit, some page": get(lambda: "/api/v1/audit", after=lambda: chance.randint(1, max(1, last))),
        "audit of one version": get(lambda: "/api/v1/audit", subject=lambda: str(chance.choice(versions).name)),
        "users, first page": get(lambda: f"{_API}/users"),
        "users, some page": get(lambda: f"{_API}/users", after=lambda: chance.choice(seeded.users)),
        "tokens, first page": get(lambda: f"{_API}/tokens"),
        "show the project": get(lambda: f"{_API}/"),
        "show a model": get(lambda: f"{_API}/models/{chance.choice(models)}"),
        "show a version": get(lambda: of(chance.choice(shown))),
        "show an endpoint": get(lambda: f"{_API}/endpoints/{chance.choice(endpoints)}"),
        "show a release": get(lambda: f"{_API}/endpoints/{chance.choice(endpoints)}/releases/1"),
        "search: newest": search(lambda: ""),
        "search: name": search(lambda: f"name:{chance.choice(models)}"),
        "search: name begins": search(lambda: f"name:{chance.choice(TEAMS[:-1])}-{chance.choice(AREAS)}-1*"),
        "search: frequent tag": search(lambda: f"tag:team={chance.choice(TEAMS[:-1])}"),
        "search: rare tag": search(lambda: "tag:team=rare"),
        "search: owner": search(lambda: f"owner:{chance.choice(PEOPLE)}"),
        "search: state": search(lambda: f"state:{chance.choice(('accepted', 'retired', 'registered', 'banned'))}"),
        "search: metric, frequent": search(lambda: f"metric:auc>{chance.uniform(0.6, 0.9):.3f}"),
        "search: metric, rare": search(lambda: f"metric:auc>{chance.uniform(0.995, 0.999):.4f}"),
        "search: digest": search(lambda: f"digest:{chance.choice(versions).digest[7:19]}"),
        "search: time": search(lambda: f"registered:2024-{chance.randint(1, 12):02}-{chance.randint(1, 28):02}"),
        "search: common word": search(lambda: chance.choice(("model", "churn", "customers", "trained"))),
        "search: rare word": search(lambda: chance.choice(("whistleblower", "embargo", "syndicated"))),
        "search: phrase": search(lambda: chance.choice(('"churn model"', '"trained again"', '"model churn"'))),
        "search: five terms": search(
            lambda: (
                f"kind:version state:accepted tag:team={chance.choice(TEAMS[:-1])} metric:auc>{chance.uniform(0.6, 0.9):.2f} "
                f"{chance.choice(('customers', 'features', 'portfolio'))}"
            )
        ),
        "search: frequent terms that seldom meet": search(
            lambda: f"metric:auc<0.62 state:accepted tag:team={chance.choice(TEAMS[:-1])} tag:season=spring portfolio"
        ),
        "search: some page": search(lambda: "state:retired", after=lambda: chance.randint(1, last)),
        "resolve 100 references": lambda: resolve(seeded, chance),
    }


def resolve(seeded: Seeded, chance: random.Random) -> Ask:
    """A hundred references of every kind in one call."""
    references = [
        *(str(version.name) for version in chance.choices(seeded.versions, k=40)),
        *(str(version.digest) for version in chance.choices(seeded.versions, k=20)),
        *(f"{name}@champion" for name in chance.choices(seeded.endpoints, k=30)),
        *(f"{name}:latest" for name in chance.choices(seeded.models, k=10)),
    ]

    def ask(http: httpx.Client) -> httpx.Response:
        answer = http.post(f"{_API}/resolve", json={"references": references})
        unresolved = [one for one in answer.json()["resolved"] if one["problem"] is not None]
        if unresolved:
            raise SystemExit(f"not resolved: {unresolved[:3]}")
        return answer

    return ask


Processors = dict[str, Callable[[], float]]
"""Seconds of processor time that have been used so far, by whose."""


def processors_of(home: Path, database: str | None) -> Processors:
    """Whose processor time is read: that of the process that answers, and that of PostgreSQL's processes if they are here."""
    control = next(entry.pid for entry in state.running(home / "run") if entry.kind == "control")
    found: Processors = {"control": partial(used_s, psutil.Process(control))}
    server = None if database is None else postgresql_here(database)
    if server is not None:
        found["postgresql"] = lambda: used_s(server) + sum(used_s(child) for child in server.children())
    return found


def postgresql_here(url: str) -> psutil.Process | None:
    """The first process of a PostgreSQL server, the parent of all others; None: it runs on another machine."""
    database = Database(url)
    try:
        with database.read() as tx:
            backend = int(tx.execute(sa.text("SELECT pg_backend_pid()")).scalar_one())
            try:
                server = psutil.Process(backend).parent()
            except psutil.NoSuchProcess:
                return None
    finally:
        database.close()
    return server if server is not None and server.name().startswith("postgres") else None


def used_s(process: psutil.Process) -> float:
    """Processor time of a process and of those of its children that have ended, seconds."""
    try:
        return sum(process.cpu_times()[:4])
    except psutil.NoSuchProcess:
        return 0.0


def asked(
    http: httpx.Client, every: dict[str, Question], asks: int, processors: Processors | None = None
) -> dict[str, dict[str, float]]:
    """How long each question takes, and what it costs, milliseconds; a few asks first that do not count."""
    found = {}
    for name, question in every.items():
        taken = []
        for number in range(asks + 3):
            ask = question()
            if number == 3:
                before = read(processors)
            begun = time.perf_counter()
            answer = ask(http)
            if number >= 3:
                taken.append((time.perf_counter() - begun) * 1000)
            if answer.status_code != 200:
                raise SystemExit(f"{name}: {answer.status_code} {answer.text[:300]}")
        taken.sort()
        told = {"p50_ms": statistics.median(taken), "p95_ms": taken[min(len(taken) - 1, int(len(taken) * 0.95))]}
        told |= {f"{whose}_ms": 1000 * (now - before[whose]) / asks for whose, now in read(processors).items()}
        say(f"{name:44}" + "".join(f"{figure:9.1f} ms" for figure in told.values()))
        found[name] = told
    return found


def read(processors: Processors | None) -> dict[str, float]:
    """Processor time so far, seconds, by whose."""
    return {whose: seconds() for whose, seconds in (processors or {}).items()}


def table(figures: dict[str, Any]) -> str:
    """The figures as a table in Markdown."""
    others = figures.get("mlflow", {})
    lines = [
        f"| p50 / p95 in ms | Muster on {figures['database']} | of a processor | MLflow on sqlite |",
        "|---|---:|---:|---:|",
    ]
    for name, found in figures["muster"].items():
        other = others.get(name)
        told = "" if other is None else f"{other['p50_ms']:.1f} / {other['p95_ms']:.1f}"
        spent = " + ".join(f"{found[key]:.1f}" for key in ("control_ms", "postgresql_ms") if key in found)
        lines.append(f"| {name} | {found['p50_ms']:.1f} / {found['p95_ms']:.1f} | {spent} | {told} |")
    slow = [name for name, found in figures["muster"].items() if found["p95_ms"] >= LIMIT_MS]
    lines += ["", f"Over {LIMIT_MS:g} ms at the 95th percentile: {', '.join(slow) or 'none'}."]
    return "\n".join(lines)


@contextmanager
def running_muster(home: Path, environ: dict[str, str]) -> Iterator[httpx.Client]:
    """The factory, and a client of its admin."""
    process = subprocess.Popen(
        [*muster(), "up", "--home", str(home), "--port", "0", "--scoring-port", "0", "--grpc-port", "0", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=environ,
    )
    try:
        assert process.stdout is not None
        said = b""
        while not said.endswith(b"}\n"):
            line = process.stdout.readline()
            if not line:
                raise SystemExit("muster up failed")
            said += line
        token = (home / "admin.token").read_text().strip()
        headers = {"authorization": f"Bearer {token}"}
        with httpx.Client(base_url=json.loads(said)["control"], headers=headers, timeout=60, trust_env=False) as http:
            yield http
    finally:
        process.send_signal(signal.SIGTERM)
        process.wait(60)


def environment(folder: Path, database: str | None) -> dict[str, str]:
    """What the factory's processes are told, and nothing of the caller's own factory."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith("MUSTER_")}
    named = {} if database is None else {"MUSTER_DATABASE": database}
    return {**kept, **named, "MUSTER_SERVING_FRONTS": "1", "XDG_CONFIG_HOME": str(folder / "config")}


def mlflow_python(named: Path | None) -> Path | None:
    """A Python that has MLflow; None: there is none."""
    if named is not None:
        return named
    return Path(sys.executable) if importlib.util.find_spec("mlflow") is not None else None


def muster() -> tuple[str, ...]:
    """The command."""
    return (sys.executable, "-m", "muster")


def say(line: str) -> None:
    """To the terminal, at once."""
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
