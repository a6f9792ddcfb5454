"""The question whether code in the model's place is kept off, and the intruder that tries it."""

import os
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest
from echo_subjects import program_subject, python_subject

from muster.certification import intrusion
from muster.packaging.bundle import read_bundle
from muster.packaging.documents import load_order
from muster.runtimes.host import running_host
from muster.runtimes.parent import Limits
from muster_host import confine, landlock, syscalls

pytestmark = pytest.mark.skipif(
    landlock.abi() < 6 or syscalls.machine() is None, reason="this kernel cannot confine hosts"
)


@dataclass(frozen=True)
class Interpreter:
    """This interpreter, as an environment."""

    confinement: confine.Level
    id: str = "sha256:" + "0" * 64
    python: Path = Path(sys.executable)


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
        intrusion.attempts(scratch, {"the token": token}, {"elsewhere": elsewhere}) as wanted,
        running_host(Interpreter(level), bundle, order, tmp_path / "log", limits=limits) as channel,
    ):
        return dict(zip([attempt.what for attempt in wanted], intrusion.tried(channel, wanted), strict=True))


def test_an_intruder_manages_nothing(tmp_path: Path) -> None:
    """Every attempt is refused, and each with the words of the kernel."""
    found = intruded(tmp_path, "require", Limits(processes=intrusion.INTRUDERS_BOUND))
    assert {what: outcome.said for what, outcome in found.items() if outcome.done} == {}
    assert found["read the token"].said == "Permission denied"
    assert found["dial a server over TCP"].said == "Permission denied"
    print({k:v.said for k,v in found.items()})


def test_an_intruder_that_is_not_confined_manages_it(tmp_path: Path) -> None:
    """The same attempts succeed where nothing confines it: they are real ones."""
    found = intruded(tmp_path, "off", Limits())
    print({k:v.said for k,v in found.items() if not v.done})
    assert 0
