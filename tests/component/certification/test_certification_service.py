"""Certification on real hosts in a real environment, and what is kept of it."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from governed_factory import GovernedFactory
from made_bundles import CONTRACT, LOCK, SCORES
from muster.access.errors import RightMissing
from muster.certification.checks import Optional
from muster.certification.confinement import Confined
from muster.certification.errors import VersionNotExaminable
from muster.certification.examination import Examination
from muster.certification.licences import LicencesAllowed
from muster.certification.options import CertificationOptions
from muster.certification.questions import QUESTIONS
from muster.certification.robustness import Robustness
from muster.certification.sealing import RebuildsOffline
from muster.environments.shelf import Shelf
from muster.packaging.trees import remove_tree
from muster.registry.errors import BundleRefused, VersionNotFound
from muster.registry.records import Version
from muster.sessions.errors import SessionInterrupted
from muster.sessions.records import Session
from muster.storage.transaction import Database
from muster.vocabulary.clock import FixedClock
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import SessionState, VersionState
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Declared, Field

#: What is put to every version; the others are put where there is something to ask about.
NAMES = [
    question.name
    for question in QUESTIONS
    if not isinstance(question, Optional)
    or isinstance(question, (LicencesAllowed, Confined, Robustness, RebuildsOffline))
]


@pytest.fixture
def factory(database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    return GovernedFactory(database, tmp_path, clock)


@pytest.fixture
def quick_factory(sqlite_database: Database, tmp_path: Path, clock: FixedClock) -> GovernedFactory:
    """For tests to which the kind of database does not matter."""
    return GovernedFactory(sqlite_database, tmp_path, clock)


@pytest.fixture(scope="module")
def environments(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the environments of all tests of this module lie."""
    root = tmp_path_factory.mktemp("environments")
    yield root
    remove_tree(root / "environments")


class Laboratory:
    """An executor's bench, without the executor."""

    def __init__(self, factory: GovernedFactory, environments: Path) -> None:
        self.factory = factory
        self.environments = Shelf(environments / "environments", environments / "uv-cache", factory.blobs)
        self.lines: list[str] = []

    def examine(self, version: Version, **options: float) -> Session:
        """Ask for a certification, claim it and run it."""
        factory = self.factory
        asked = factory.certification.certify(factory.call("ana"), version.name)
        claimed = factory.sessions.claim("e1", ["certification"])
        assert claimed is not None
        assert claimed.id == asked.id
        return self.run(claimed, None, **options)

    def run(self, claimed: Session, say: Callable[[str], None] | None = None, **options: float) -> Session:
        bench = Examination(
            blobs=self.factory.blobs,
            environments=self.environments,
            bundles=self.factory.folder / "bundles",
            logs=self.factory.folder / "logs",
            options=CertificationOptions(**{"latency_calls": 30, "prove_rebuild": False, **options}),  # type: ignore[arg-type]
        )
        return self.factory.certification.run(claimed, say or self.lines.append, bench)


def failed(session: Session) -> dict[str, str]:
    """The checks that were not passed, with what they said."""
    assert session.result is not None
    return {check["name"]: check["detail"] for check in session.result["checks"] if not check["passed"]}


def certificate_seal(factory: GovernedFactory, version: Version) -> str | None:
    """The seal that a version's newest certificate names."""
    certificate = factory.certification.certificate(factory.call("vic"), version.name)
    assert certificate is not None
    return certificate.seal


def test_a_sound_version_is_certified(factory: GovernedFactory, environments: Path) -> None:
    """Every check gives a figure and, where something is asked, a limit; certificate, state and result are kept together."""
    laboratory = Laboratory(factory, environments)
    version = factory.register()
    done = laboratory.examine(version, prove_rebuild=True)
    assert failed(done) == {}
    assert done.state is SessionState.PASSED
    assert done.result is not None
    assert [check["name"] for check in done.result["checks"]] == NAMES
    assert all(check["figure"] is not None for check in done.result["checks"])
    # Nobody asks for rows per second here.
    assert [check["name"] for check in done.result["checks"] if check["limit"] is None] == ["throughput"]
    assert certificate_seal(factory, version) == done.result["seal"]
    assert (done.result["version"], done.result["passed"], done.result["state"]) == ("churn:1", True, "certified")
    assert factory.state(version) is VersionState.CERTIFIED
    (certificate,) = factory.certification.certificates(factory.call("vic"), version.name)
    assert (certificate.session, certificate.digest, certificate.requested_by) == (done.id, version.digest, "ana")
    assert laboratory.environments.find(certificate.environment).lock_digest == version.lock_digest
    assert [check.name for check in certificate.checks] == NAMES
    assert factory.events("churn:1")[-2:] == [("ana", "certification.requested"), ("muster", "version.certified")]
    assert any("golden-answers: passed" in line for line in laboratory.lines)


def test_a_certified_version_can_be_examined_again(quick_factory: GovernedFactory, environments: Path) -> None:
    """It gets a further certificate and keeps its state."""
    laboratory = Laboratory(quick_factory, environments)
    version = quick_factory.register()
    laboratory.examine(version)
    quick_factory.clock.at = quick_factory.clock.at.replace(hour=20)
    again = laboratory.examine(version)
    assert quick_factory.state(version) is VersionState.CERTIFIED
    found = quick_factory.certification.certificates(quick_factory.call("vic"), version.name)
    assert len(found) == 2
    assert found[0].session == again.id
    assert quick_factory.certification.certificate(quick_factory.call("vic"), version.name) == found[0]


def test_golden_answers_that_do_not_match_are_refused(factory: GovernedFactory, environments: Path) -> None:
    """The version stays registered, and the check says how far off and where."""
    version = factory.register(scores=(*SCORES[:2], SCORES[2] + 0.5, SCORES[3]))
    done = Laboratory(factory, environments).examine(version)
    assert done.state is SessionState.FAILED
    assert list(failed(done)) == ["golden-answers"]
    assert "1 of 4 values" in failed(done)["golden-answers"]
    assert "largest deviation 0.5 (score, row 2" in failed(done)["golden-answers"]
    assert factory.state(version) is VersionState.REGISTERED
    assert factory.certification.certificate(factory.call("vic"), version.name) is None
    assert factory.events("churn:1")[-1] == ("muster", "certification.failed")


SICK = {
    "raises": ("golden-answers", 'class Model:\n    def predict(self, columns):\n        raise ValueError("no such plan")\n', "no such plan"),
    "wrong output": ("golden-answers", 'class Model:\n    def predict(self, columns):\n        return {"other": columns["tenure"]}\n', "score"),
    "too few rows": ("golden-answers", 'class Model:\n    def predict(self, columns):\n        return {"score": columns["tenure"][:1]}\n', "rows"),
    "does not load": ("model-loads", 'raise RuntimeError("weights are missing")\n', "weights are missing"),
    "needs what is not locked": ("model-loads", "import numpy\nclass Model:\n    pass\n", "numpy"),
    "ends its process": ("model-loads", "import os\nos._exit(3)\n", "ended the process"),
    "dies of its rows": ("golden-answers", "import os\nclass Model:\n    def predict(self, columns):\n        os._exit(4)\n", "gone"),
}  # fmt: skip


@pytest.mark.parametrize(("check", "source", "said"), SICK.values(), ids=SICK)
def test_a_sick_model_fails_its_check(
    quick_factory: GovernedFactory, environments: Path, check: str, source: str, said: str
) -> None:
    """Whatever it does, the examination ends with a word on why, and the version stays registered."""
    version = quick_factory.register(source=source)
    done = Laboratory(quick_factory, environments).examine(version)
    assert done.state is SessionState.FAILED
    assert said in failed(done)[check]
    assert quick_factory.state(version) is VersionState.REGISTERED


def test_a_slow_model_fails_by_its_figure(quick_factory: GovernedFactory, environments: Path) -> None:
    """Latency is measured on the real host, one row at a time; the limit is the factory's."""
    slow = """
        import time
        class Model:
            def predict(self, columns):
                if len(columns["tenure"]) == 1:
                    time.sleep(0.02)
                return {"score": [t / 100 + len(p) for t, p in zip(columns["tenure"], columns["plan"])]}
    """
    version = quick_factory.register(source=slow)
    done = Laboratory(quick_factory, environments).examine(version, latency_limit_ms=15.0)
    assert list(failed(done)) == ["one-row-latency"]
    assert done.result is not None
    (latency,) = [check for check in done.result["checks"] if check["name"] == "one-row-latency"]
    assert latency["figure"] > latency["limit"] == 15.0


def test_a_model_that_remembers_is_found_out(quick_factory: GovernedFactory, environments: Path) -> None:
    """The same golden rows are asked again after the wrong inputs; other answers fail the check."""
    remembers = """
        calls = []
        class Model:
            def predict(self, columns):
                calls.append(1)
                return {"score": [t / 100 + len(p) + 1e-13 * len(calls) for t, p in zip(columns["tenure"], columns["plan"])]}
    """
    version = quick_factory.register(source=remembers)
    done = Laboratory(quick_factory, environments).examine(version)
    assert "answered otherwise afterwards" in failed(done)["wrong-inputs"]


def test_a_golden_row_outside_the_declared_limits_never_gets_in(quick_factory: GovernedFactory) -> None:
    """The bundle is refused at registration already: its golden set does not keep its own contract."""
    narrow = Contract(
        inputs=(Field("tenure", Datatype.FP64, declared=Declared(maximum=10)), CONTRACT.inputs[1]),
        outputs=CONTRACT.outputs,
    )
    with pytest.raises(BundleRefused, match="tenure"):
        quick_factory.register(contract=narrow)


def test_a_lock_that_cannot_be_built_fails_the_environment(quick_factory: GovernedFactory, environments: Path) -> None:
    """No later question is put, as there is nothing to put it to."""
    unknown = b"muster-no-such-package==1.0 --hash=sha256:" + b"0" * 64 + b"\n"
    version = quick_factory.register(lock=LOCK + unknown)
    done = Laboratory(quick_factory, environments).examine(version)
    assert list(failed(done)) == ["environment-builds"]
    assert done.result is not None
    assert [check["name"] for check in done.result["checks"]] == NAMES[: NAMES.index("environment-builds") + 1]
    assert done.result["environment"] is None


def test_bytes_that_changed_in_the_store_fail_the_bundle(quick_factory: GovernedFactory, environments: Path) -> None:
    """What was registered is examined, or nothing is."""
    version = quick_factory.register()
    manifest = quick_factory.registry.manifest(quick_factory.call("vic"), version.name)
    digest = manifest.files[0].digest.removeprefix("sha256:")
    blob = quick_factory.folder / "store" / "sha256" / digest[:2] / digest
    blob.chmod(0o644)
    blob.write_bytes(b"forged")
    done = Laboratory(quick_factory, environments).examine(version)
    assert list(failed(done)) == ["bundle-complete"]


def test_a_version_is_examined_once_at_a_time(factory: GovernedFactory) -> None:
    """Whoever asks while it is queued or running is given the same session, and a repeated request its own."""
    version = factory.register()
    keyed = factory.call("ana", idempotency_key="k", request_digest="d")
    first = factory.certification.certify(keyed, version.name)
    assert factory.certification.certify(factory.call("sam"), version.name).id == first.id
    assert factory.certification.certify(keyed, version.name).id == first.id
    with pytest.raises(RightMissing):
        factory.certification.certify(factory.call("olga"), version.name)
    with pytest.raises(VersionNotFound):
        factory.certification.certify(factory.call("ana"), VersionName("churn", 9))


def test_a_version_that_ended_is_not_certified(quick_factory: GovernedFactory, environments: Path) -> None:
    """Neither asked for nor, when it was banned while it was examined, kept."""
    version = quick_factory.register()
    quick_factory.certification.certify(quick_factory.call("ana"), version.name)
    claimed = quick_factory.sessions.claim("e1", ["certification"])
    assert claimed is not None
    quick_factory.registry.ban(quick_factory.call("paul"), version.name, "wrong data")
    done = Laboratory(quick_factory, environments).run(claimed)
    assert done.state is SessionState.FAILED
    assert quick_factory.state(version) is VersionState.BANNED
    assert quick_factory.certification.certificate(quick_factory.call("vic"), version.name) is None
    with pytest.raises(VersionNotExaminable, match="banned"):
        quick_factory.certification.certify(quick_factory.call("ana"), version.name)


def test_an_interrupted_examination_keeps_nothing(quick_factory: GovernedFactory, environments: Path) -> None:
    """Its executor was thought dead: the version stays as it was."""
    version = quick_factory.register()
    quick_factory.certification.certify(quick_factory.call("ana"), version.name)
    claimed = quick_factory.sessions.claim("e1", ["certification"])
    assert claimed is not None
    quick_factory.sessions.interrupt_left("e1")
    with pytest.raises(SessionInterrupted):
        Laboratory(quick_factory, environments).run(claimed)
    assert quick_factory.state(version) is VersionState.REGISTERED
    assert quick_factory.certification.certificate(quick_factory.call("vic"), version.name) is None


def test_an_examination_goes_on_where_it_was_interrupted(quick_factory: GovernedFactory, environments: Path) -> None:
    """Whatever line it was at: what later checks need is set up again, what is kept is not measured twice, the verdict is the same."""
    laboratory = Laboratory(quick_factory, environments)
    version = quick_factory.register()
    session = quick_factory.certification.certify(quick_factory.call("ana"), version.name)
    stops = ["environment-builds: can", "golden-answers: passed", "host-conforms: does", "host-conforms: passed"]
    for stop in [*stops, "never"]:
        claimed = quick_factory.sessions.claim("e1", ["certification"])
        assert claimed is not None
        assert claimed.id == session.id

        def say(line: str, stop: str = stop, claimed: Session = claimed) -> None:
            quick_factory.sessions.say(claimed, line)
            if line.startswith(stop):
                raise SessionInterrupted("killed here")

        laboratory.lines.clear()
        try:
            laboratory.run(claimed, say)
        except SessionInterrupted:
            quick_factory.sessions.interrupt(claimed, "killed here", is_death=False)
            names = [done.name for done in quick_factory.sessions.session(quick_factory.call("vic"), session.id).kept]
            assert names[-1] == stop.partition(":")[0] or stop.endswith((": can", ": does"))
    done = quick_factory.sessions.session(quick_factory.call("vic"), session.id)
    assert (done.state, done.attempt, failed(done)) == (SessionState.PASSED, 5, {})
    assert done.result is not None
    assert [check["name"] for check in done.result["checks"]] == [name for name in NAMES if name != "rebuilds-offline"]
    last = done.progress[done.progress.index("begun again: attempt 5") :]
    kept = [line.partition(":")[0] for line in last if "made before the interruption" in line]
    assert kept == ["environments-alike", "contract-holds", "robustness", "one-row-latency", "host-conforms"]
    figures = [line for line in done.progress if line.startswith("one-row-latency: passed")]
    assert len(set(figures)) == 1, "it was measured once"


def test_a_kept_check_of_something_else_is_made_again(quick_factory: GovernedFactory, environments: Path) -> None:
    """Another limit, another figure: what was made from it is of no use."""
    laboratory = Laboratory(quick_factory, environments)
    version = quick_factory.register()
    quick_factory.certification.certify(quick_factory.call("ana"), version.name)
    for limit, stop in ((1000.0, "host-conforms: does"), (500.0, "never")):
        claimed = quick_factory.sessions.claim("e1", ["certification"])
        assert claimed is not None

        def say(line: str, stop: str = stop, claimed: Session = claimed) -> None:
            quick_factory.sessions.say(claimed, line)
            if line.startswith(stop):
                quick_factory.sessions.interrupt_left("e1")

        try:
            done = laboratory.run(claimed, say, latency_limit_ms=limit)
        except SessionInterrupted:
            continue
    assert done.result is not None
    assert [check["limit"] for check in done.result["checks"] if check["name"] == "one-row-latency"] == [500.0]
    assert not any("one-row-latency: made before" in line for line in done.progress)


def test_an_interruption_in_the_middle_of_a_check_is_no_failed_check(
    quick_factory: GovernedFactory, tmp_path: Path
) -> None:
    """The session ends while its environment is being built: nothing is concluded about the version."""
    version = quick_factory.register()
    session = quick_factory.certification.certify(quick_factory.call("ana"), version.name)
    claimed = quick_factory.sessions.claim("e1", ["certification"])
    assert claimed is not None
    said: list[str] = []

    def say(line: str) -> None:
        said.append(line)
        if not line.startswith(tuple(NAMES)):  # uv's own progress, from within the check
            quick_factory.sessions.interrupt_left("e1")
        quick_factory.sessions.say(claimed, line)

    bench = Examination(
        blobs=quick_factory.blobs,
        environments=Shelf(tmp_path / "environments", tmp_path / "uv-cache", quick_factory.blobs),
        bundles=tmp_path / "bundles",
        logs=tmp_path / "logs",
    )
    with pytest.raises(SessionInterrupted):
        quick_factory.certification.run(claimed, say, bench)
    assert said[-1] not in NAMES
    found = quick_factory.sessions.session(quick_factory.call("vic"), session.id)
    assert found.state is SessionState.INTERRUPTED
    assert ("muster", "certification.failed") not in quick_factory.events("churn:1")
