"""How hosts are shut in: what the operator asks of this machine's kernel, and what one parent's models have to read.

The shutting in is done by the host program itself, before it runs a model's code: `muster_host.confine`.
"""

import json
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import muster_host
from muster.runtimes.order import LoadOrder, order_of
from muster_host.confine import BEST_EFFORT, Level, reads_of


@dataclass(frozen=True, slots=True, kw_only=True)
class Confinement:
    """How the hosts of one parent are shut in."""

    level: Level = BEST_EFFORT
    reads: tuple[str, ...] | None = None
    """What their parent may read while it loads models; None: whatever its user may. Each host reads what its own order names, no more."""
    network: bool = False
    """Their models are on other servers, which have to be dialled."""

    @classmethod
    def of(cls, order: LoadOrder | Mapping[str, Any], level: Level, also: Iterable[Path] = ()) -> Self:
        """For a parent that loads this order, and others of the same environment whose bundles lie in the folders that are named."""
        wanted = order_of(order)
        if wanted.remote is not None:
            return cls(level=level, network=True)
        return cls(level=level, reads=(*reads_of(wanted.document()), *map(str, also)))

    def document(self, scratch: Path) -> str:
        """As the host program is told, with the folder that it may write to."""
        return json.dumps({"level": self.level, "reads": self.reads, "scratch": str(scratch), "network": self.network})


def confined_command(scratch: Path, reads: Iterable[Path], level: Level = BEST_EFFORT) -> tuple[str, ...]:
    """What to put before a command of somebody else's, so that it is shut in as a host is: its first word has to be absolute.

    Args:
        scratch: the folder that it may write to, and that it is told to put temporary files into.
        reads: what it may read, beside the system's and the interpreter's files.
        level: what counts where this machine cannot.
    """
    told = Confinement(level=level, reads=tuple(map(str, reads))).document(scratch)
    return (sys.executable, "-I", "-B", str(Path(muster_host.__file__).with_name("confined.py")), told)
