"""An MLflow server with the same registry in it, and the questions that it has an answer to.

A version is a registered model's version with its tags, and a run with its figures: MLflow keeps figures with runs. Its tables are
filled in bulk, read from the schema that `mlflow db upgrade` made. It has no audit journal, no endpoints and no search by words.
"""

import hashlib
import os
import random
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import sqlalchemy as sa

from harness.registry_seed import AREAS, PEOPLE, TEAMS, Seeded

_API = "/api/2.0/mlflow"
_AT_ONCE = 5000
_UP_WITHIN_S = 120.0
Ask = Callable[[httpx.Client], httpx.Response]
Question = Callable[[], Ask]


@contextmanager
def running_mlflow(python: Path, folder: Path, seeded: Seeded) -> Iterator[httpx.Client]:
    """A server over a SQLite file, filled, and a client of it."""
    folder.mkdir()
    url = f"sqlite:///{folder / 'mlflow.db'}"
    environ = {**os.environ, "MLFLOW_DISABLE_TELEMETRY": "true", "DO_NOT_TRACK": "true"}
    upgrade = [python, "-m", "mlflow", "db", "upgrade", url]
    subprocess.run(upgrade, check=True, capture_output=True, cwd=folder, env=environ)
    fill(url, seeded)
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = int(probe.getsockname()[1])
    command = [
        python,
        "-m",
        "mlflow",
        "server",
        "--backend-store-uri",
        url,
        "--default-artifact-root",
        str(folder / "artifacts"),
    ]
    command += ["--host", "127.0.0.1", "--port", str(port), "--workers", "1"]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log, cwd=folder, env=environ, start_new_session=True)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=120, trust_env=False) as http:
            _wait(http, process, folder / "log")
            yield http
    finally:
        os.killpg(process.pid, 15)  # its own workers, in the group that was made for it
        process.wait(60)


def fill(url: str, seeded: Seeded) -> None:
    """The same models, versions, tags, people, figures and notes."""
    engine = sa.create_engine(url)
    schema = sa.MetaData()
    schema.reflect(engine)
    with engine.begin() as connection:

        def bulk(name: str, rows: Iterator[dict[str, Any]]) -> None:
            table = schema.tables[name]
            while some := list(islice(rows, _AT_ONCE)):
                given = [{**({"workspace": "default"} if "workspace" in table.columns else {}), **row} for row in some]
                connection.execute(sa.insert(table), given)

        now = int(time.time() * 1000)
        if connection.execute(sa.select(schema.tables["experiments"].c.experiment_id)).first() is None:
            experiment = {"experiment_id": 0, "name": "Default", "artifact_location": "x", "lifecycle_stage": "active"}
            bulk("experiments", iter([experiment | {"creation_time": now, "last_update_time": now}]))
        bulk(
            "registered_models",
            (
                {"name": name, "creation_time": now, "last_updated_time": now, "description": f"What {name} is for"}
                for name in seeded.models
            ),
        )
        bulk("runs", (_run(version) for version in seeded.versions))
        bulk(
            "latest_metrics",
            (
                {"key": "auc", "value": seeded.figures[version.name], "timestamp": now, "step": 0, "is_nan": False,
                 "run_uuid": _run_id(version)}
                for version in seeded.versions
            ),
        )  # fmt: skip
        bulk(
            "tags",
            (
                {"key": key, "value": value, "run_uuid": _run_id(version)}
                for version in seeded.versions
                for key, value in _tags(version).items()
            ),
        )
        bulk(
            "model_versions",
            (
                {"name": version.model, "version": version.number, "creation_time": _ms(version), "last_updated_time": _ms(version),
                 "description": version.description, "user_id": version.registered_by, "current_stage": "None",
                 "source": f"runs:/{_run_id(version)}/model", "run_id": _run_id(version), "status": "READY"}
                for version in seeded.versions
            ),
        )  # fmt: skip
        bulk(
            "model_version_tags",
            (
                {"name": version.model, "version": version.number, "key": key, "value": value}
                for version in seeded.versions
                for key, value in _tags(version).items()
            ),
        )
        newest = {version.model: version.number for version in seeded.versions}
        bulk(
            "registered_model_aliases",
            ({"name": name, "alias": "champion", "version": number} for name, number in newest.items()),
        )
    engine.dispose()


def mlflow_questions(seeded: Seeded, chance: random.Random) -> dict[str, Question]:
    """What is asked of MLflow: the same as of Muster, where it has an answer."""
    versions, models = seeded.versions, seeded.models

    def get(path: str, **query: Callable[[], Any]) -> Question:
        def ask() -> Ask:
            values = {name: value() for name, value in query.items()}
            return lambda http: http.get(f"{_API}/{path}", params=values)

        return ask

    def of_versions(condition: Callable[[], str]) -> Question:
        return get("model-versions/search", filter=condition, max_results=lambda: 100)

    def of_runs(condition: Callable[[], str]) -> Question:
        def ask() -> Ask:
            body = {"experiment_ids": ["0"], "filter": condition(), "max_results": 100}
            return lambda http: http.post(f"{_API}/runs/search", json=body)

        return ask

    def one_version() -> Ask:
        version = chance.choice(versions)
        query = {"name": version.model, "version": str(version.number)}
        return lambda http: http.get(f"{_API}/model-versions/get", params=query)

    def day() -> str:
        begin = chance.choice(versions).registered_at
        first = int(begin.timestamp() * 1000)
        return f"attributes.start_time >= {first} AND attributes.start_time < {first + 86_400_000}"

    team = lambda: chance.choice(TEAMS[:-1])  # noqa: E731 - asked again and again
    return {
        "models, first page": get("registered-models/search", max_results=lambda: 100),
        "versions of the largest model": of_versions(lambda: f"name='{seeded.largest}'"),
        "show a model": get("registered-models/get", name=lambda: chance.choice(models)),
        "show a version": one_version,
        "search: newest": of_versions(lambda: ""),
        "search: name": of_versions(lambda: f"name='{chance.choice(models)}'"),
        "search: name begins": of_versions(lambda: f"name LIKE '{team()}-{chance.choice(AREAS)}-1%'"),
        "search: frequent tag": of_versions(lambda: f"tags.team='{team()}'"),
        "search: rare tag": of_versions(lambda: "tags.team='rare'"),
        "search: owner": of_versions(lambda: f"tags.owner='{chance.choice(PEOPLE)}'"),
        "search: state": of_versions(lambda: f"tags.state='{chance.choice(('accepted', 'retired', 'banned'))}'"),
        "search: digest": of_versions(lambda: f"tags.digest='{chance.choice(versions).digest}'"),
        "search: metric, frequent": of_runs(lambda: f"metrics.auc > {chance.uniform(0.6, 0.9):.3f}"),
        "search: metric, rare": of_runs(lambda: f"metrics.auc > {chance.uniform(0.995, 0.999):.4f}"),
        "search: time": of_runs(day),
        "search: five terms": of_runs(
            lambda: f"tags.state='accepted' AND tags.team='{team()}' AND metrics.auc > {chance.uniform(0.6, 0.9):.2f}"
        ),
    }


def mlflow_references(seeded: Seeded, chance: random.Random) -> Question:
    """A hundred references, one call each, as MLflow resolves them."""

    def ask() -> Ask:
        names = chance.choices(seeded.models, k=100)

        def every(http: httpx.Client) -> httpx.Response:
            for name in names:
                answer = http.get(f"{_API}/registered-models/alias", params={"name": name, "alias": "champion"})
            return answer

        return every

    return ask


def _run(version: Any) -> dict[str, Any]:
    return {
        "run_uuid": _run_id(version), "name": str(version.name), "source_type": "LOCAL", "source_name": "", "entry_point_name": "",
        "user_id": version.registered_by, "status": "FINISHED", "start_time": _ms(version), "end_time": _ms(version),
        "source_version": "", "lifecycle_stage": "active", "artifact_uri": "x", "experiment_id": 0,
    }  # fmt: skip


def _tags(version: Any) -> dict[str, str]:
    return {**version.tags, "owner": version.owners[0], "state": str(version.state), "digest": str(version.digest)}


def _run_id(version: Any) -> str:
    return hashlib.sha256(str(version.name).encode()).hexdigest()[:32]


def _ms(version: Any) -> int:
    return int(version.registered_at.timestamp() * 1000)


def _wait(http: httpx.Client, process: "subprocess.Popen[bytes]", log: Path) -> None:
    until = time.monotonic() + _UP_WITHIN_S
    while True:
        try:
            if http.get("/health").status_code == 200:
                return
        except httpx.TransportError:
            pass
        if process.poll() is not None or time.monotonic() > until:
            raise SystemExit(f"MLflow did not start:\n{log.read_text()[-2000:]}")
        time.sleep(0.2)
