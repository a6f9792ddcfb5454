"""The question whether a project trusts what a version is made of."""

from contextlib import ExitStack
from typing import ClassVar

from muster.certification.checks import Bench, Finding
from muster.certification.records import Figure
from muster.environments.languages.known import LANGUAGES
from muster.environments.protocol import Package
from muster.environments.trust import ALLOW_ALL, distrusted

_SHOWN = 3


class PackagesTrusted:
    """The project's rules let every package of the lock pass."""

    name: ClassVar[str] = "packages-trusted"
    asks: ClassVar[str] = "does the project trust every package that it needs?"
    limit: ClassVar[Figure] = 0
    is_needed: ClassVar[bool] = True
    """Code of a package that is not trusted is not run."""
    remedy: ClassVar[str] = (
        "Do without the package, or ask who manages the project's packages for a rule that lets it pass."
    )

    def answer(self, bench: Bench, stack: ExitStack) -> Finding:  # noqa: ARG002 - nothing to end
        """How many packages are not trusted."""
        packages = packages_of(bench)
        found = distrusted(packages, bench.rules)
        told = "; ".join(one.why for one in found[:_SHOWN])
        if len(found) > _SHOWN:
            told += f"; and {len(found) - _SHOWN} more"
        rules = "the project has no rules" if bench.rules == ALLOW_ALL else f"{len(bench.rules.rule)} rules"
        return Finding(
            passed=not found, figure=len(found), limit=0, detail=told or f"{len(packages)} packages trusted, {rules}"
        )


def packages_of(bench: Bench) -> tuple[Package, ...]:
    """What the lock of the bundle names; empty where it has none."""
    assert bench.folder is not None
    assert bench.bundle is not None
    runtime = bench.bundle.runtime
    if not runtime.lock:
        return ()
    return LANGUAGES[runtime.kind].packages((bench.folder / runtime.lock).read_bytes())
