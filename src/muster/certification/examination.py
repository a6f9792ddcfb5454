"""The bench on which a version is examined: its bundle as a folder, its environment, a host of its own."""

import os
import platform
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

from muster.blobs.protocol import Blobs
from muster.certification import checks
from muster.certification.options import CertificationOptions
from muster.certification.records import Check, Examined
from muster.packaging.environments import Environments
from muster.registry.records import Version
from muster.vocabulary.digests import hex_of
from muster_host.machine import cpu_model


class Examination:
    """Examines versions on this machine.

    Args:
        blobs: where bundles are kept.
        environments: where they run.
        bundles: folder of the bundles on this machine.
        logs: folder where the hosts' logs go.
        options: the limits.
    """

    def __init__(
        self,
        *,
        blobs: Blobs,
        environments: Environments,
        bundles: Path,
        logs: Path,
        options: CertificationOptions | None = None,
    ) -> None:
        self._blobs = blobs
        self._environments = environments
        self._bundles = bundles
        self._logs = logs
        self._options = options or CertificationOptions()

    def examine(self, version: Version, say: Callable[[str], None]) -> Examined:
        """Put every question to the version, in order, until one makes the rest impossible."""
        bench = checks.Bench(
            version=version,
            blobs=self._blobs,
            environments=self._environments,
            bundles=self._bundles,
            log=self._log(version),
            options=self._options,
            say=say,
        )
        done: list[Check] = []
        with ExitStack() as stack:
            for question in checks.QUESTIONS:
                say(f"{question.name}: {question.asks}")
                check = checks.put(question, bench, stack)
                done.append(check)
                say(f"{check.name}: {'passed' if check.passed else 'FAILED'}, {check.detail}")
                if not check.passed and question.is_needed:
                    break
        return Examined(
            checks=tuple(done),
            environment=None if bench.environment is None else bench.environment.id,
            hardware=hardware(),
        )

    def _log(self, version: Version) -> Path:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self._logs / f"certification-{hex_of(version.digest)[:12]}.log"


def hardware() -> str:
    """This machine in words: `Intel(R) Xeon(R) …, 2 cores, Linux x86_64`."""
    return f"{cpu_model()}, {len(os.sched_getaffinity(0))} cores, {platform.system()} {platform.machine()}"
