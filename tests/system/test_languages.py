"""The churn model in every language, side by side in one endpoint: trained by its own toolchain, assembled, certified, released, asked."""

import csv
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest
from running_factory import RunningFactory, wait_for

from muster.packaging.documents import Tolerance, read_description
from muster.packaging.runtimes import ProgramRuntime
from muster.supervision.state import running
from muster.vocabulary.states import ReleaseState

MAKE = Path(__file__).resolve().parents[2] / "examples" / "languages" / "make.py"
ENDPOINT = "churn"
OUTPUT = "churn_probability"
OK = 200
#: How far an answer may lie from that of the training program, where the bundle declares nothing: the order of a sum.
CLOSE = Tolerance(abs=1e-12, rel=1e-9)
#: Programs that are built from parts that a lock names, cheapest first: one of them is built again with the network cut.
REBUILT = ("go", "javascript", "rust", "java", "python")

pytestmark = pytest.mark.timeout(1500)


@dataclass(frozen=True)
class Spoken:
    """One language: its bundle and its version."""

    name: str
    bundle: Path
    version: str


class Side:
    """A factory in which all languages that are here answer at one endpoint."""

    def __init__(self, factory: RunningFactory, made: Path, told: list[dict[str, Any]]) -> None:
        self.factory = factory
        self.made = made
        self.told = told
        self.spoken = [
            Spoken(one["name"], Path(one["bundle"]), factory.accepted(Path(one["bundle"])))
            for one in told
            if one["bundle"]
        ]
        first, *others = self.spoken
        ana, ben = factory.as_("ana"), factory.as_("ben")
        proposed = ana.propose(
            ENDPOINT, champion=first.version, challengers=[one.version for one in others], deadline="10s", patience="9s",
            reason="all side by side",
        )  # fmt: skip
        approved = ben.approve(ENDPOINT, proposed.release, "go", patience_s=300.0)
        assert approved.state is ReleaseState.LIVE, approved
        token = factory.admin.add_user("analyst", "consumer", may=["override"]).token
        self.client = httpx.Client(base_url=factory.scoring, headers={"Authorization": f"Bearer {token}"}, timeout=30.0)

    def ask(self, rows: list[dict[str, Any]], version: str | None = None) -> httpx.Response:
        """Ask the endpoint; with a version, that one."""
        headers = {"Muster-Variant": version} if version else {}
        return self.client.post(f"/score/{ENDPOINT}", json={"rows": rows}, headers=headers)

    def probabilities(self, rows: list[dict[str, Any]], version: str) -> list[float]:
        """The answers of one version."""
        answer = self.ask(rows, version)
        assert answer.status_code == OK, answer.text
        answers = answer.json()["answers"]
        assert {one["variant"] for one in answers} == {version}
        return [float(one[OUTPUT]) for one in answers]

    def wait_until_it_answers(self, rows: list[dict[str, Any]], one: Spoken) -> None:
        """Return when a version answers again."""
        wait_for(lambda: self.ask(rows, one.version).status_code == OK, told=f"{one.name} answers again")

    def host(self, version: str) -> int:
        """The process that answers for a version."""

        def pids() -> list[int]:
            # Not the factory's own search by a part of the name: churn:1 is one of churn:10.
            found = running(self.factory.home / "run")
            return [entry.pid for entry in found if entry.kind == "host" and entry.of.endswith(f"/{version}")]

        return int(wait_for(pids, told=f"a host of {version}")[0])


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, list[dict[str, Any]]]:
    """All examples, trained and assembled.

    LANGUAGE_EXAMPLES names a folder in which they are kept between runs, LANGUAGE_NAMES those that are wanted.
    """
    kept = os.environ.get("LANGUAGE_EXAMPLES")
    names = os.environ.get("LANGUAGE_NAMES", "").split()
    folder = Path(kept) if kept else tmp_path_factory.mktemp("languages")
    done = subprocess.run(
        [sys.executable, str(MAKE), str(folder), *names, "--json"],
        stdout=subprocess.PIPE, text=True, check=False, timeout=1400,
    )  # fmt: skip
    return folder, json.loads(done.stdout)


@pytest.fixture(scope="module")
def side(factory: RunningFactory, made: tuple[Path, list[dict[str, Any]]]) -> Iterator[Side]:
    """All languages in one endpoint."""
    by_side = Side(factory, *made)
    yield by_side
    by_side.client.close()


def golden(side: Side) -> tuple[list[dict[str, Any]], Path]:
    """The golden rows as JSON rows: numbers, text, and null where a cell is empty."""
    file = side.made / "data" / "rows.csv"
    contract = {field.name: field for field in read_description(side.spoken[0].bundle).contract.inputs}
    rows = []
    with file.open(newline="") as stream:
        for line in csv.DictReader(stream):
            row: dict[str, Any] = {}
            for name, cell in line.items():
                datatype = str(contract[name].datatype)
                value: Any = cell if datatype == "BYTES" else float(cell) if cell and datatype == "FP64" else None
                row[name] = int(cell) if datatype == "INT64" else value
            rows.append(row)
    return rows, file


def test_every_example_is_made_or_says_what_it_lacks(made: tuple[Path, list[dict[str, Any]]]) -> None:
    """Every language with a training program becomes a bundle; one whose tools are missing says which, and in CI none is."""
    told = made[1]
    assert [one["name"] for one in told if not one["bundle"] and not one["is_missing"]] == [], told
    lacking = {one["name"]: one["reason"] for one in told if one["is_missing"]}
    if lacking and not os.environ.get("CI"):
        pytest.skip(f"left out: {lacking}")
    assert lacking == {}


def test_each_answers_over_http_what_its_training_program_said(side: Side) -> None:
    """The answers of each version, asked over HTTP, are those that its training program wrote in its own language.

    Only a bundle that declares a tolerance may lie further off: the ONNX graph, which computes in floats of 32 bits.
    """
    rows, _ = golden(side)
    compared = []
    for one in side.spoken:
        file = side.made / "sources" / f"{one.name}.expected.csv"
        if not file.is_file():
            continue
        with file.open(newline="") as stream:
            expected = [float(line[OUTPUT]) for line in csv.DictReader(stream)]
        given = side.probabilities(rows, one.version)
        declared = read_description(one.bundle).golden.tolerance.get(OUTPUT, CLOSE)
        assert given == pytest.approx(expected, rel=declared.rel, abs=declared.abs), one.name
        compared.append(one.name)
    assert len(compared) >= len(side.spoken) - 3  # muster.save and MLflow keep their own golden answers


def test_a_consumer_cannot_tell_who_answers(side: Side) -> None:
    """Answers of all versions have the same fields, and none names a language."""
    rows, _ = golden(side)
    shapes = set()
    for one in side.spoken:
        answer = side.ask(rows[:1], one.version)
        assert answer.status_code == OK
        shapes.add(tuple(sorted(answer.json()["answers"][0])))
        assert "language" not in answer.text
        assert "toolchain" not in answer.text
    assert len(shapes) == 1


def test_one_request_meets_all_of_them_and_can_be_replayed(side: Side) -> None:
    """The record of one request holds an answer of every version, and computing it again gives the same bits in every language."""
    rows, _ = golden(side)
    request = side.ask(rows[:3]).json()["request_id"]
    olga = side.factory.as_("olga")

    def whole() -> Any:
        found = olga.request(request)
        return found if all(answer.outputs is not None for answer in found.answers) else None

    record = wait_for(whole, told="an answer of every version on record")
    assert {answer.version for answer in record.answers} == {one.version for one in side.spoken}
    replayed = olga.replay(request)
    assert replayed.identical, replayed.differences


def test_whatever_is_killed_is_there_again_and_leaves_nothing(side: Side) -> None:
    """A killed host takes its program with it; another one gives the same answer; a killed program is replaced as well."""
    rows, _ = golden(side)
    for one in side.spoken:
        before = side.probabilities(rows, one.version)
        victim = psutil.Process(side.host(one.version))
        programs = victim.children(recursive=True)
        if isinstance(read_description(one.bundle).runtime, ProgramRuntime):
            assert programs, f"{one.name} runs no program"
            programs[0].kill()
        else:
            victim.kill()
        side.wait_until_it_answers(rows, one)
        # Linear algebra may round the last bit otherwise in another process, by where its buffers lie.
        assert side.probabilities(rows, one.version) == pytest.approx(before, rel=1e-12), one.name
        assert side.host(one.version) != victim.pid, one.name
        psutil.wait_procs([victim, *programs], timeout=10)
        assert not any(process.is_running() and process.status() != "zombie" for process in [victim, *programs])


def test_an_environment_is_built_again_with_the_network_cut(side: Side) -> None:
    """`muster env rebuild --offline` makes the environment of a version from the store alone, golden answers and all."""
    by_name = {one.name: one for one in side.spoken}
    one = next(by_name[name] for name in REBUILT if name in by_name)
    side.factory.muster("env", "rebuild", one.version, "--offline", "--home", str(side.factory.home))


def test_certificates_name_what_was_sealed(side: Side) -> None:
    """Every certificate names the environment and its seal, and no two languages share an environment."""
    ana = side.factory.as_("ana")
    certificates = {one.name: ana.version(one.version).certificate for one in side.spoken}
    assert all(certificate is not None and certificate.seal for certificate in certificates.values())
    environments = [certificate.environment for certificate in certificates.values() if certificate is not None]
    assert len(set(environments)) == len(environments)


def test_a_model_on_another_server_answers_at_an_endpoint_of_its_own(side: Side, tmp_path: Path) -> None:
    """A bundle that names an entry of remotes.toml is served like any other; here the other server is our own front."""
    factory = side.factory
    remotes = factory.home / "remotes.toml"
    remotes.write_text(
        f'[ourselves]\nurl = "{factory.scoring}"\ntoken = "{factory.tokens["shop"]}"\ntimeout_ms = 5000\n'
    )
    remotes.chmod(0o600)
    source = tmp_path / "source"
    source.mkdir()
    (source / "muster.toml").write_text(
        'name = "elsewhere"\nowners = ["ana"]\ndescription = "asks another server"\n'
        f'[runtime]\nkind = "remote"\nremote = "ourselves"\nmodel = "{ENDPOINT}"\n'
        f'[[contract.outputs]]\nname = "{OUTPUT}"\ndatatype = "FP64"\n'
    )
    rows, file = golden(side)
    command = ["assemble", str(source), "--rows", str(file), "-o", str(tmp_path / "bundle"), "--json"]
    done = subprocess.run(
        [sys.executable, "-m", "muster", *command], capture_output=True, check=False,
        env={**factory.environment, "MUSTER_HOME": str(factory.home)},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    version = factory.accepted(tmp_path / "bundle")
    factory.release("elsewhere", version, deadline="10s", patience="9s")
    answered = side.client.post("/score/elsewhere", json={"rows": rows})
    assert answered.status_code == OK, answered.text
    given = [float(one[OUTPUT]) for one in answered.json()["answers"]]
    assert given == pytest.approx(side.probabilities(rows, side.spoken[0].version), rel=1e-12)


def test_nothing_runs_once_the_factory_has_ended(side: Side) -> None:
    """When the factory ends, no host, no spare and no program of any language is left."""
    processes = [psutil.Process(pid) for pid in side.factory.processes("host") + side.factory.processes("spare")]
    family = [child for process in processes for child in [process, *process.children(recursive=True)]]
    assert family
    os.kill(side.factory.process.pid, signal.SIGTERM)
    side.factory.process.wait(60)
    _, alive = psutil.wait_procs(family, timeout=10)
    assert [process.name() for process in alive] == []
