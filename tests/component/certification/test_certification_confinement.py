"""The question whether code in the model's place is kept off, and the intruder that tries it."""

import os
import sys
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec
import pytest

from echo_subjects import python_subject
from muster.certification import intrusion
from muster.certification.checks import Bench, put
from muster.certification.confinement import Confined
from muster.certification.options import CertificationOptions
from muster.certification.records import Check
from muster.environments.shelf import Built
from muster.packaging.bundle import read_bundle
from muster.packaging.documents import load_order
from muster.runtimes.channel import Channel, Hello
from muster.runtimes.confinement import Confinement
from muster.runtimes.host import running_host
from muster.runtimes.parent import Limits
from muster.vocabulary.digests import Digest
from muster.wire.evidence import Grid
from muster_host import confine, landlock, syscalls

pytestmark = pytest.mark.skipif(
    landlock.abi() < 6 or syscalls.machine() is None, reason="this kernel cannot confine hosts"
)

#: Enough to see that nothing bounds them where nothing does.
CHILDREN = 64


@pytest.fixture(autouse=True)
def few_children(monkeypatch: pytest.MonkeyPatch) -> None:
    """An intruder that tries less, for tests where it succeeds."""
    monkeypatch.setattr(intrusion, "CHILDREN", CHILDREN)


@dataclass(frozen=True)
class Interpreter:
    """This interpreter, as an environment."""

    confinement: confine.Level
    id: str = "sha256:" + "0" * 64
    python: Path = Path(sys.executable)


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    """A bench with the echo model on it, in this interpreter's environment."""
    folder = tmp_path / "bundles" / "echo"
    python_subject(folder)
    scratch = tmp_path / "bundles" / "scratch"
    scratch.mkdir()
    token = tmp_path / "admin.token"
    token.write_text("secret")
    environment = Built(
        id=Digest("sha256:" + "0" * 64), python=Path(sys.executable), interpreter="cpython", platform="here",
        lock_digest=Digest("sha256:" + "1" * 64), folder=scratch, kind="python", toolchain="cpython",
    )  # fmt: skip
    return Bench(
        version=None,  # type: ignore[arg-type] # the question asks nothing of it
        blobs=None,  # type: ignore[arg-type]
        environments=None,  # type: ignore[arg-type]
        bundles=tmp_path / "bundles",
        log=tmp_path / "log",
        scratch=scratch,
        options=CertificationOptions(kept={"the admin's token": str(token)}),
        say=lambda _: None,
        folder=folder,
        bundle=read_bundle(folder),
        environment=environment,
    )


def intruded(tmp_path: Path, level: confine.Level, limits: Limits) -> dict[str, intrusion.Outcome]:
    """What came of every attempt, from the place of a model in Python."""
    bundle = tmp_path / "bundles" / "echo"
    python_subject(bundle)
    scratch, token, elsewhere = tmp_path / "bundles" / "scratch", tmp_path / "admin.token", tmp_path / "elsewhere"
    for folder in (scratch, elsewhere):
        folder.mkdir()
    token.write_text("secret")
    order = intrusion.order_for(load_order(bundle, read_bundle(bundle)))
    with (
        intrusion.attempts(scratch, {"the token": str(token)}, {"elsewhere": elsewhere}) as wanted,
        running_host(Interpreter(level), bundle, order, tmp_path / "log", limits=limits) as channel,
    ):
        return dict(zip([attempt.what for attempt in wanted], intrusion.tried(channel, wanted), strict=True))


def test_an_intruder_manages_nothing(tmp_path: Path) -> None:
    """Every attempt is refused, in the words of the kernel."""
    found = intruded(tmp_path, "require", Limits(processes=intrusion.INTRUDERS_BOUND))
    assert {what: outcome.said for what, outcome in found.items() if outcome.done} == {}
    refused = {"Permission denied", "Operation not permitted"}
    bounded = found.pop(f"start {CHILDREN} processes").said
    assert {what: outcome.said for what, outcome in found.items() if outcome.said not in refused} == {}
    assert bounded == f"Resource temporarily unavailable after {intrusion.INTRUDERS_BOUND - 1} children"


def test_an_intruder_that_nothing_confines_manages_it(tmp_path: Path) -> None:
    """The same attempts succeed where nothing is confined, so far as this user may: they are real ones."""
    found = intruded(tmp_path, "off", Limits())
    managed = {what for what, outcome in found.items() if outcome.done}
    of_root = {
        "open a raw socket", "read the network's packets", "read the machine's passwords", "mount a file system",
        "make namespaces of its own", "trace who started it",
    }  # fmt: skip
    assert managed | of_root == set(found)
    assert os.getuid() != 0 or managed == set(found)


def test_a_version_is_certified_with_what_an_intruder_tried(bench: Bench) -> None:
    """The check passes, and shows each attempt with what came of it."""
    found = put(Confined(), bench, ExitStack())
    assert (found.passed, found.figure, found.limit) == (True, 0, 0)
    assert found.detail == "27 attempts, none succeeded"
    (shown,) = bench.shown
    (grid,) = shown.exhibits
    assert isinstance(grid, Grid)
    assert [row[0] for row in grid.rows if row[2]] == []
    assert len(grid.rows) == 27


@pytest.mark.parametrize("level", ["best-effort", "off"])
def test_a_machine_that_does_not_confine_fails_or_says_so(
    bench: Bench, monkeypatch: pytest.MonkeyPatch, level: confine.Level
) -> None:
    """A hole that ought to be closed counts; where the operator switched it all off the check says just that."""
    assert bench.environment is not None
    open_document = Confinement(level="off").document(bench.scratch)
    monkeypatch.setattr(Confinement, "document", lambda *_: open_document)  # hosts that forget to shut themselves in
    bench.environment = replace(bench.environment, confinement=level)
    found = put(Confined(), bench, ExitStack())
    if level == "off":
        assert (found.passed, found.figure) == (True, None)
        assert "the setting `confinement` is off" in found.detail
        return
    assert not found.passed
    assert isinstance(found.figure, int)
    assert found.figure > 10
    assert "dial a server over TCP" in found.detail
    assert "Landlock" in found.remedy


def test_what_a_kernel_cannot_do_is_told_and_not_counted(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Attempts that a part lacking here was to prevent are in the evidence, and do not fail a version under best effort."""
    found = _limited(bench, monkeypatch)
    assert found.passed
    assert "network not confined: it is a test" in found.detail
    assert "attempts succeeded: dial a server over TCP" in found.detail


def _limited(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> Check:
    """The check with hosts that may dial, and say that nothing keeps them from it."""
    original = Channel._greeting

    def greeting(channel: Channel, until: float) -> Hello:
        return msgspec.structs.replace(original(channel, until), unconfined={"network": "it is a test"})

    monkeypatch.setattr(Channel, "_greeting", greeting)
    of = Confinement.of
    monkeypatch.setattr(Confinement, "of", lambda order, level, also=(): replace(of(order, level, also), network=True))
    return put(Confined(), bench, ExitStack())
