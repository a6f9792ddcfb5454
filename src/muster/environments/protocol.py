"""What a language has to offer so that its models can be locked, fetched, built, sealed and run."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, Protocol, runtime_checkable
from urllib.parse import quote

from muster.packaging.documents import Bundle
from muster.packaging.findings import Finding
from muster.vocabulary.digests import Digest

#: Told what is being done, a line at a time.
Say = Callable[[str], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Package:
    """One entry of a lock."""

    ecosystem: str
    """`pypi`, `maven`, `npm`, `golang`, `cargo`, `cran`, `deb`, `system`: the type of its package URL."""
    name: str
    """As the ecosystem writes it: `org.tribuo:tribuo-core`, `gonum.org/v1/gonum`, `@types/node`."""
    version: str
    hashes: frozenset[str]
    """`sha256:<hex>`, `sha512:<hex>` or `h1:<base64>` (Go), any of which its artefact may have; empty: it belongs to the toolchain."""
    marker: str | None = None
    """On which machines it is wanted, as the lock writes it; None: on all."""
    licence: str | None = None
    """SPDX expression, where it is known."""

    @property
    def purl(self) -> str:
        """Its package URL: `pkg:maven/org.tribuo/tribuo-core@4.3.2`."""
        path = self.name.replace(":", "/") if self.ecosystem == "maven" else self.name
        kind = "generic" if self.ecosystem == "system" else self.ecosystem
        return f"pkg:{kind}/{quote(path, safe='/')}@{quote(self.version, safe='')}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Part:
    """An artefact on this machine, verified against the lock."""

    package: Package
    file: str
    """Its own name, `/` for folders: `numpy-2.4.6-cp311-cp311-manylinux_2_28_x86_64.whl`, `gonum.org/v1/gonum/@v/v0.17.0.zip`."""
    digest: Digest
    """SHA-256 of its bytes."""
    path: Path
    """Where its bytes are, under a name that says nothing; read-only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Toolchain:
    """The tools of a language on this machine."""

    name: str
    """Name and exact version: `go-1.26.8`, `jdk-17.0.15`, `r-4.2.2`, `node-20.20.2`, `rust-1.95.0`, `g++-12.2.0`, `cpython-3.11.7`."""
    programs: Mapping[str, Path]
    """`{"go": Path("/usr/local/go/bin/go")}`; absolute."""
    system: Mapping[str, str] = field(default_factory=dict)
    """What else decides: `{"libc": "glibc-2.36", "blas": "libblas3 3.11.0-2"}`; recorded in the seal, no part of the identity."""


@dataclass(frozen=True, slots=True, kw_only=True)
class BuildJob:
    """One environment to be built."""

    folder: Path
    """The bundle, read-only."""
    bundle: Bundle
    toolchain: Toolchain
    parts: tuple[Part, ...]
    """Everything that the lock names and this machine wants."""
    tree: Path
    """Empty; what is left here is the environment."""
    scratch: Path
    """Empty, taken away afterwards; caches and homes of the tools go here."""
    say: Say


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """How a model that is no Python is started."""

    argv: tuple[str, ...]
    """The first word is an absolute path; `{memory_mib}`, `{threads}` and `{scratch}` are replaced when it is started."""
    variables: Mapping[str, str] = field(default_factory=dict)


class Language(Protocol):
    """A way to write models. One object per kind of `[runtime]`; without state."""

    kind: ClassVar[str]
    lock_name: ClassVar[str]
    """The lock's usual name; empty: the kind has none."""

    def problems(self, folder: Path, bundle: Bundle) -> Iterator[Finding]:
        """What is wrong with a bundle as far as it can be seen without tools and without a network."""
        ...

    def toolchain(self, bundle: Bundle) -> Toolchain:
        """The tools that build and run this bundle.

        Raises:
            ToolchainMissing: they are not on this machine; the message names the Debian package.
        """
        ...

    def packages(self, lock: bytes) -> tuple[Package, ...]:
        """What a lock names; pure.

        Raises:
            BundleMalformed: it is no lock; the message names line and remedy.
        """
        ...

    def lock(self, folder: Path, bundle: Bundle, scratch: Path, say: Say) -> bytes:
        """A lock made in the lab, with the network, by the ecosystem's own client.

        Raises:
            LockUnresolved: a package or a version does not exist.
            ToolchainMissing: the client is not there.
        """
        ...

    def fetch(
        self, packages: Sequence[Package], toolchain: Toolchain, scratch: Path, say: Say
    ) -> Iterator[tuple[Package, str, Path]]:
        """Bring the artefacts of packages: (package, file, path). The caller verifies each against the lock and keeps it.

        Only packages with hashes are asked for; one package may have several artefacts, one that this machine does not want has none.

        Raises:
            LockUnresolved: a package or a version does not exist, or no registry answers.
        """
        ...

    def build(self, job: BuildJob) -> None:
        """Make the environment from parts and bundle alone; the network is cut, or there is none.

        Raises:
            BuildFailed: the compiler or installer said no; the message holds its last lines.
            PartUnsafe: an archive holds names that lead out of it.
        """
        ...

    def program(self, environment: Path, folder: Path, bundle: Bundle) -> Program | None:
        """How the model is started; None: by Muster's own host, in Python."""
        ...

    def helper(self) -> Mapping[str, str]:
        """Files of hosts/<language> that travel in the bundle: path there (`java/src/…`) → path in the bundle."""
        ...


@runtime_checkable
class HeldAgainstMachine(Protocol):
    """A language whose packages or programs are the machine's own: no tree holds them, so the lock says what they have to be."""

    def differing(self, folder: Path, bundle: Bundle) -> tuple[str, ...]:
        """What on this machine is not what the bundle's lock says: `rpart 4.1.19: other files than the lock names`."""
        ...
