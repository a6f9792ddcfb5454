"""The servers that Muster is compared with, started as their own documentation says for production."""

import hashlib
import json
import os
import socket
import subprocess
from pathlib import Path

from harness.contenders import Contender, last_of_first_output, row_bodies
from harness.models import Trained
from harness.processes import Crew, wait_until

APPS = Path(__file__).resolve().parents[1] / "apps"
_UP_WITHIN_S = 90.0
_TOKEN = "mst_not-a-secret-of-anybody"
#: One thread per call of a model, as Muster's hosts have it; on few cores that is also the faster choice for the others.
_ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def free_port() -> int:
    """A port that nobody has."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        return int(sock.getsockname()[1])


class Fastapi:
    """FastAPI on uvicorn with uvloop and httptools.

    Args:
        crew: which the server joins.
        binaries: of the environment `bench`.
        folder: for what it reads and writes; `models` in it holds the models.
        workers: processes.
        has_duties: whether it checks tokens and contract and keeps records.
    """

    def __init__(self, crew: Crew, binaries: Path, folder: Path, *, workers: int, has_duties: bool = False) -> None:
        self._workers = workers
        self._has_duties = has_duties
        self._port = free_port()
        kind = "duties" if has_duties else "bare"
        archive = folder / f"fastapi-archive-{workers}"
        archive.mkdir(exist_ok=True)
        self.process = crew.start(
            f"fastapi-{workers}{'-duties' if has_duties else ''}",
            [
                *(str(binaries / "uvicorn"), f"fastapi_{kind}:app", "--app-dir", str(APPS), "--port", str(self._port)),
                *("--workers", str(workers), "--loop", "uvloop", "--http", "httptools"),
                *("--no-access-log", "--log-level", "warning"),
            ],
            environment={
                **os.environ,
                **_ONE_THREAD,
                "BENCH_MODELS": str(folder / "models"),
                "BENCH_TOKEN": hashlib.sha256(_TOKEN.encode()).hexdigest(),
                "BENCH_ARCHIVE": str(archive),
            },
        )

    def contender(self, trained: Trained, model: str = "linear") -> Contender:
        """How it is asked."""
        duties = ", equal duties" if self._has_duties else ""
        workers = "1 worker" if self._workers == 1 else f"{self._workers} workers"
        return Contender(
            key=f"fastapi-{self._workers}{'-duties' if self._has_duties else ''}",
            name=f"FastAPI, {workers}{duties}",
            port=self._port,
            path=f"/v2/models/{model}/infer",
            token=_TOKEN if self._has_duties else "",
            bodies=row_bodies(trained.rows),
            pid=self.process.pid,
            model=model,
            answers=last_of_first_output,
        )


class MlServer:
    """MLServer with its own scikit-learn runtime and one worker, its default.

    Args:
        crew: which the server joins.
        binaries: of the environment `bench-mlserver`.
        folder: for its settings; `models` in it holds the models.
        models: names of what it serves: `linear`, `boosted`, each also with `-adaptive`.
    """

    #: What gave it the most requests a second at 16 and 64 connections.
    BATCH_ROWS, BATCH_S = 32, 0.002

    def __init__(self, crew: Crew, binaries: Path, folder: Path, *, models: tuple[str, ...]) -> None:
        self._port = free_port()
        self._adaptive = "-adaptive"
        place = folder / f"mlserver-{self._port}"
        place.mkdir()
        settings = {"http_port": self._port, "grpc_port": free_port(), "metrics_port": free_port(), "debug": False}
        (place / "settings.json").write_text(json.dumps({"host": "127.0.0.1", **settings}))
        for name in models:
            kind = name.removesuffix(self._adaptive)
            batching = {"max_batch_size": self.BATCH_ROWS, "max_batch_time": self.BATCH_S} if kind != name else {}
            (place / name).mkdir()
            (place / name / "model-settings.json").write_text(
                json.dumps(
                    {
                        "name": name,
                        "implementation": "mlserver_sklearn.SKLearnModel",
                        "parameters": {"uri": str(folder / "models" / f"{kind}.joblib"), "version": "1"},
                        **batching,
                    }
                )
            )
        environment = {**os.environ, **_ONE_THREAD, "PATH": f"{binaries}:{os.environ['PATH']}"}
        self.process = crew.start(
            "mlserver", [str(binaries / "mlserver"), "start", str(place)], environment=environment, cwd=place
        )

    def contender(self, trained: Trained, model: str = "linear") -> Contender:
        """How it is asked."""
        is_adaptive = model.endswith(self._adaptive)
        return Contender(
            key="mlserver-adaptive" if is_adaptive else "mlserver",
            name="MLServer, adaptive batching" if is_adaptive else "MLServer",
            port=self._port,
            path=f"/v2/models/{model}/infer",
            # Without this its runtime calls `predict`, which is another thing than the others compute.
            bodies=row_bodies(trained.rows, outputs=[{"name": "predict_proba"}]),
            pid=self.process.pid,
            model=model.removesuffix(self._adaptive),
            answers=last_of_first_output,
        )


def start_echo(crew: Crew, binaries: Path, trained: Trained, *, server: str) -> Contender:
    """An echo server: what HTTP alone costs on `uvicorn` or `granian`, one worker."""
    port = free_port()
    if server == "uvicorn":
        command = [
            *(str(binaries / "uvicorn"), "echo_asgi:app", "--app-dir", str(APPS), "--port", str(port)),
            *("--loop", "uvloop", "--http", "httptools", "--no-access-log", "--log-level", "warning"),
        ]
    else:
        command = [
            *(str(binaries / "granian"), "--interface", "rsgi", "--loop", "uvloop", "--workers", "1"),
            *("--port", str(port), "--working-dir", str(APPS), "--no-access-log", "--log-level", "error"),
            "echo_rsgi:app",
        ]
    process = crew.start(f"echo-{server}", command)
    return Contender(
        key=f"echo-{server}",
        name=f"echo, {'ASGI on uvicorn' if server == 'uvicorn' else 'RSGI on granian'}",
        port=port,
        path="/echo",
        bodies=row_bodies(trained.rows),
        pid=process.pid,
    )


def wait_for(crew: Crew, process: "subprocess.Popen[bytes]", contender: Contender, log: str) -> None:
    """Until a contender answers.

    Raises:
        RuntimeError: it ended, or does not answer; with the end of its log.
    """

    def answers() -> bool:
        if process.poll() is not None:
            raise RuntimeError(f"{contender.name} ended with code {process.returncode}: {crew.log_of(log)}")
        return contender.answers_now()

    try:
        wait_until(answers, within_s=_UP_WITHIN_S, told=f"an answer of {contender.name}")
    except TimeoutError as error:
        raise RuntimeError(f"{error}\n{crew.log_of(log)}") from error
