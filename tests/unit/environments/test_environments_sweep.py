"""What is swept: no environment that anybody runs in, and none that somebody has just used."""

import os
import time
from contextlib import ExitStack
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import msgspec
import pytest

from muster.certification.checks import Bench, EnvironmentBuilds
from muster.certification.options import CertificationOptions
from muster.environments.recipe import Recipe
from muster.environments.shelf import Shelf, Standing
from muster.packaging.errors import EnvironmentMissing
from muster.packaging.standing import StandingTrees
from muster.packaging.trees import listing_of
from muster.runtimes.errors import HostNotStarted
from muster.runtimes.host import running_host
from muster.vocabulary.digests import Digest, digest_of

ID = digest_of(b"environment")
MONTH = timedelta(days=30)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """A folder in which one environment stands that nobody has used for two months."""
    root = tmp_path / "environments"
    root.mkdir()
    trees = StandingTrees(root)
    recipe = Recipe(
        format=2,
        id=ID,
        builder="muster-go/1",
        kind="go",
        toolchain="go-1.26.8",
        platform="manylinux",
        lock=digest_of(b"lock"),
        sources=digest_of(b"sources"),
        packages=0,
    )
    with trees.scratch(ID) as scratch:
        (scratch / "tree" / "bin").mkdir(parents=True)
        (scratch / "tree" / "bin" / "model").write_text("model")
        trees.settle(ID, scratch, scratch / "tree", listing_of(scratch / "tree"), msgspec.json.encode(recipe))
    long_ago = time.time() - 60 * 86_400
    os.utime(trees.beside(ID, ".json"), (long_ago, long_ago))
    return root


def shelf_of(root: Path) -> Shelf:
    return Shelf(root, root / "uv-cache", parts=root / "parts")


def swept(root: Path, older_than: timedelta = MONTH) -> list[Digest]:
    return [one.id for one in shelf_of(root).sweep(frozenset(), older_than)]


def test_what_nobody_uses_goes_and_a_look_is_no_use(root: Path) -> None:
    """A sweep that only says what it would take does not make it younger."""
    assert [one.id for one in shelf_of(root).sweep(frozenset(), MONTH, dry_run=True)] == [ID]
    assert [one.id for one in shelf_of(root).sweep(frozenset(), MONTH, dry_run=True)] == [ID]
    assert swept(root) == [ID]
    assert shelf_of(root).all() == ()


def test_what_was_used_since_it_was_listed_stays(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever verifies it between the list and the lock keeps it: its age is read again."""
    listed = shelf_of(root).all()

    def used_meanwhile(self: Shelf) -> tuple[Standing, ...]:
        shelf_of(root).verify(ID)
        return listed

    monkeypatch.setattr(Shelf, "all", used_meanwhile)
    assert swept(root) == []


def test_an_environment_in_hand_is_kept_until_it_is_let_go(root: Path) -> None:
    """As long as one holds it nothing is taken; what was swept before can not be held."""
    built = shelf_of(root).find(ID)
    with built.held():
        assert swept(root, timedelta(0)) == []
    assert swept(root, timedelta(0)) == [ID]
    with pytest.raises(EnvironmentMissing, match="taken away just now"), built.held():
        pass


def test_a_host_is_started_in_an_environment_that_is_held(root: Path, tmp_path: Path) -> None:
    """Before the first process starts nobody else can have it alone; afterwards it is free."""
    used = StandingTrees(root).beside(ID, ".used")
    interpreter = tmp_path / "python"
    interpreter.write_text(f"#!/bin/sh\nflock -n -x {used} true\necho $? > {tmp_path}/said\nexit 1\n")
    interpreter.chmod(0o755)
    environment = replace(shelf_of(root).find(ID), python=interpreter)
    field = {"name": "x", "datatype": "FP64"}
    order = {"runtime": {"kind": "go"}, "contract": {"inputs": [field], "outputs": [field]}}
    with pytest.raises(HostNotStarted), running_host(environment, tmp_path, order, tmp_path / "log"):
        pass
    assert (tmp_path / "said").read_text() == "1\n"
    assert swept(root, timedelta(0)) == [ID]


def test_an_examination_keeps_its_environment_to_its_end(root: Path, tmp_path: Path) -> None:
    """A first certification is named by nothing yet: it holds what it examines between its hosts, too."""
    built = shelf_of(root).find(ID)
    bench = SimpleNamespace(
        folder=tmp_path,
        bundle=object(),
        environments=SimpleNamespace(ensure=lambda *_: built),
        say=lambda _: None,
        options=CertificationOptions(),
    )
    with ExitStack() as stack:
        assert EnvironmentBuilds().answer(cast("Bench", bench), stack).passed
        assert swept(root, timedelta(0)) == []
    assert swept(root, timedelta(0)) == [ID]
