"""A bundle takes the place of an earlier one in one step, whenever its maker is killed or an error comes between."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from muster.assembling import places
from muster.assembling.places import clear_leavings, folder_beside, put_in_place

#: Puts a bundle in place and is killed at the rename of that number; what cannot be exchanged is renamed.
MAKER = """
import os, signal, sys
from pathlib import Path
from muster.assembling import places

target, at, exchanges = Path(sys.argv[1]), int(sys.argv[2]), sys.argv[3] == "exchanges"
if not exchanges:
    places._exchanged = lambda one, other: False
renames, settle = [], places._settle
def rename(one, other, real=os.rename):
    renames.append(other)
    if len(renames) == at:
        os.kill(os.getpid(), signal.SIGKILL)
    real(one, other)
def settled(scratch, target):
    if at == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    settle(scratch, target)
os.rename, places._settle = rename, settled
with places.folder_beside(target) as scratch:
    (scratch / "bundle").mkdir()
    (scratch / "bundle" / "is").write_text("new")
    places.put_in_place(scratch / "bundle", target)
"""


@pytest.fixture
def target(tmp_path: Path) -> Path:
    """A place with a bundle."""
    place = tmp_path / "here" / "bundle"
    place.mkdir(parents=True)
    (place / "is").write_text("earlier")
    return place


def made(target: Path) -> None:
    with folder_beside(target) as scratch:
        (scratch / "bundle").mkdir()
        (scratch / "bundle" / "is").write_text("new")
        put_in_place(scratch / "bundle", target)


def beside(target: Path) -> list[str]:
    return [path.name for path in target.parent.iterdir() if path != target]


@pytest.mark.parametrize("exchanges", [True, False])
def test_a_bundle_replaces_an_earlier_one(target: Path, monkeypatch: pytest.MonkeyPatch, exchanges: bool) -> None:
    """And nothing lies beside it afterwards, whether or not the file system can exchange folders."""
    if not exchanges:
        monkeypatch.setattr(places, "_exchanged", lambda *_: False)
    made(target)
    assert ((target / "is").read_text(), beside(target)) == ("new", [])


@pytest.mark.parametrize(
    ("at", "how", "there_at_once", "in_the_end"),
    [
        (1, "renames", "earlier", "earlier"),
        (2, "renames", None, "earlier"),
        (0, "renames", "new", "new"),
        (0, "exchanges", "new", "new"),
    ],
)
def test_a_maker_that_is_killed_costs_no_bundle(
    target: Path, at: int, how: str, there_at_once: str | None, in_the_end: str
) -> None:
    """Before, between and after the renames; the next maker puts back and clears away."""
    killed = subprocess.run([sys.executable, "-c", MAKER, target, str(at), how], check=False, env={**os.environ})
    assert killed.returncode == -signal.SIGKILL
    assert ((target / "is").read_text() if target.exists() else None) == there_at_once
    assert len(beside(target)) == 1
    clear_leavings(target)
    assert ((target / "is").read_text(), beside(target)) == (in_the_end, [])


def test_a_bundle_that_cannot_come_to_its_place_leaves_the_earlier_one(
    target: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the second of two renames fails."""
    monkeypatch.setattr(places, "_exchanged", lambda *_: False)
    rename = os.rename

    def refusing(one: str, other: str) -> None:
        if Path(one).name == "bundle" and Path(one) != target:
            raise OSError(28, "No space left on device")
        rename(one, other)

    monkeypatch.setattr(os, "rename", refusing)
    with pytest.raises(OSError, match="No space left"):
        made(target)
    assert ((target / "is").read_text(), beside(target)) == ("earlier", [])


def test_a_maker_at_work_is_left_alone(target: Path) -> None:
    """Its folder is no leaving; nor is anything of another name."""
    other = target.parent / ".bundle-2.x.assembling"
    other.mkdir()
    with folder_beside(target) as scratch:
        clear_leavings(target)
        assert scratch.is_dir()
    assert beside(target) == [other.name]
