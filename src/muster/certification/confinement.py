"""The question whether this machine keeps a model's code to itself, answered by an intruder in the model's place."""

import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import ClassVar

from muster.certification import intrusion
from muster.certification.checks import Bench, Finding
from muster.certification.records import Figure
from muster.packaging.runtimes import RemoteRuntime
from muster.runtimes.host import running_host
from muster.runtimes.parent import Limits
from muster.wire.evidence import Grid
from muster_host.confine import NETWORK, OFF

_COLUMNS = ("attempt", "kept off by", "managed it", "what came of it")
_TOLD = 3


class Confined:
    """Code in the model's place cannot dial, read what is not the model's, reach other processes or fork without end.

    What tries it is a probe of Muster's, in the same environment, with the same rights, shut in by the same code. Where this machine's
    kernel cannot do a part, that is told; whether it counts is the operator's word, the setting `confinement`.
    """

    name: ClassVar[str] = "confined"
    asks: ClassVar[str] = "is code in the model's place kept from files, network and other processes?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = False
    remedy: ClassVar[str] = (
        "This is about the machine, not the model: use a kernel with Landlock and seccomp (Linux 6.12 has all of it), "
        "or have an admin set `confinement`; docs/reference/confinement.md says which part needs what."
    )

    def is_asked(self, bench: Bench) -> bool:
        """Whether code of the bundle's runs here at all: of a model on another server none does."""
        return bench.bundle is not None and not isinstance(bench.bundle.runtime, RemoteRuntime)

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - ended here, its sockets with it
        """How many attempts succeeded that this machine is to prevent."""
        assert bench.folder is not None
        assert bench.bundle is not None
        assert bench.environment is not None
        if bench.environment.confinement == OFF:
            return Finding(
                passed=True, figure=None, limit=None, detail="nothing is confined: the setting `confinement` is off"
            )
        order = intrusion.order_for(bench.environment.order(bench.folder, bench.bundle))
        temporary = Path(tempfile.gettempdir())
        folders = {
            "its bundle": bench.folder,
            "its environment": bench.environment.folder,
            "the machine's temporary folder": temporary,
        }
        limits = Limits(processes=intrusion.INTRUDERS_BOUND)
        with (
            intrusion.attempts(bench.scratch, bench.options.kept, folders) as wanted,
            running_host(bench.environment, bench.folder, order, bench.log, limits=limits) as channel,
        ):
            outcomes = intrusion.tried(channel, wanted)
            lacking = dict(channel.hello.unconfined)
        if order.remote is not None:
            lacking[NETWORK] = "the model is on another server, which has to be dialled"
        pairs = list(zip(wanted, outcomes, strict=True))
        managed = [attempt for attempt, outcome in pairs if outcome.done]
        counted = [attempt for attempt in managed if attempt.part not in lacking]
        grid = Grid(
            "What an intruder tried in the model's place",
            _COLUMNS,
            tuple((attempt.what, attempt.part, outcome.done, outcome.said) for attempt, outcome in pairs),
        )
        return Finding(
            passed=not counted,
            figure=len(counted),
            limit=0,
            detail=_told(len(wanted), [attempt.what for attempt in managed], lacking),
            exhibits=(grid,),
        )


def _told(tried: int, managed: list[str], lacking: dict[str, str]) -> str:
    said = f"{tried} attempts, none succeeded"
    if managed:
        more = f" and {len(managed) - _TOLD} more" if len(managed) > _TOLD else ""
        said = f"{len(managed)} of {tried} attempts succeeded: {', '.join(managed[:_TOLD])}{more}"
    return "; ".join([said, *(f"{part} not confined: {why}" for part, why in sorted(lacking.items()))])
