"""A control plane to talk to, shells of people who talk to it, and bundles to talk about."""

from collections.abc import Callable
from pathlib import Path

import pytest
from running_cli import Shell

from rights_matrix import world
from running_control import Control, bundles, control

__all__ = ["bundles", "control", "world"]


@pytest.fixture
def shell(tmp_path: Path) -> Shell:
    """A shell of somebody who has no factory."""
    return Shell(tmp_path, {})


@pytest.fixture
def as_(control: Control, tmp_path: Path) -> Callable[[str], Shell]:
    """Shells of people: `as_("ana")`."""
    return lambda name: Shell(tmp_path, {"MUSTER_URL": control.url, "MUSTER_TOKEN": control.tokens[name]})
