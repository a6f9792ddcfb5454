"""Models of another V2 server: nothing to lock, to fetch or to build here.

What answers lies in somebody else's hands; a bundle names an entry of `remotes.toml`, never an address.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from muster.environments.protocol import BuildJob, Package, Program, Say, Toolchain
from muster.packaging.documents import Bundle
from muster.packaging.findings import Finding


class Remote:
    """Models of another V2 server."""

    kind: ClassVar[str] = "remote"
    lock_name: ClassVar[str] = ""

    def problems(self, folder: Path, bundle: Bundle) -> Iterator[Finding]:  # noqa: ARG002 - one signature for all
        """Nothing can be seen without asking the server."""
        yield from ()

    def toolchain(self, bundle: Bundle) -> Toolchain:  # noqa: ARG002 - one signature for all
        """None is needed."""
        return Toolchain(name="remote", programs={})

    def packages(self, lock: bytes) -> tuple[Package, ...]:  # noqa: ARG002 - one signature for all
        """None that anybody here knows of."""
        return ()

    def lock(self, folder: Path, bundle: Bundle, scratch: Path, say: Say) -> bytes:  # noqa: ARG002
        """There is none."""
        return b""

    def fetch(
        self,
        packages: Sequence[Package],  # noqa: ARG002 - one signature for all
        toolchain: Toolchain,  # noqa: ARG002
        scratch: Path,  # noqa: ARG002
        say: Say,  # noqa: ARG002
    ) -> Iterator[tuple[Package, str, Path]]:
        """Nothing is fetched."""
        yield from ()

    def build(self, job: BuildJob) -> None:
        """The tree stays empty."""

    def program(self, environment: Path, folder: Path, bundle: Bundle) -> Program | None:  # noqa: ARG002
        """Muster's own host asks the server."""
        return None

    def helper(self) -> Mapping[str, str]:
        """No file travels in the bundle."""
        return {}
