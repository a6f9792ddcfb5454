"""PMML documents, computed on the JVM by pmml4s: Java's jars and compiler, with a main class of our own.

Nothing of the bundle's is compiled: its document is read where the bundle lies. So all documents with one lock and one JDK share an
environment.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import ClassVar
from xml.etree import ElementTree as ET

from muster.environments.languages.java import (
    compile_java,
    fetch_jars,
    helper_sources,
    jars_of,
    java_toolchain,
    link_jars,
    lock_jars,
    program_of,
)
from muster.environments.protocol import BuildJob, Package, Program, Say, Toolchain
from muster.environments.sources import source_files
from muster.packaging.documents import Bundle
from muster.packaging.errors import BundleMalformed
from muster.packaging.findings import Finding
from muster.packaging.runtimes import PmmlRuntime

MAIN_CLASS = "muster.host.pmml.Main"
#: Computes PMML, and its version. Apache-2.0, and so is everything that it brings.
LIBRARY, VERSION = "org.pmml4s:pmml4s_3", "1.5.6"

_MAIN_SOURCE = ("java/pmml/src/main/java/muster/host/pmml/Main.java", "muster_host/muster/host/pmml/Main.java")
_PROLOGUE_BYTES = 4096
_ASSEMBLE = "Delete it and run `muster assemble`, which locks anew."


class Pmml:
    """A PMML document; what it answers are the fields of its `Output`."""

    kind: ClassVar[str] = "pmml"
    lock_name: ClassVar[str] = "maven.lock"

    def problems(self, folder: Path, bundle: Bundle) -> Iterator[Finding]:
        """What is wrong with a bundle as far as it can be seen without tools: a document that is none, a lock without pmml4s."""
        runtime = _runtime(bundle)
        document, lock = folder / runtime.model, folder / runtime.lock
        if document.is_file() and document.stat().st_size:
            problem = _problem_of(document)
            if problem is not None:
                yield Finding("error", runtime.model, problem, "Export the model once more, as PMML 4.")
        if not lock.is_file() or not lock.stat().st_size:
            return
        try:
            names = {package.name for package in self.packages(lock.read_bytes())}
        except BundleMalformed as error:
            yield Finding("error", runtime.lock, error.message, _ASSEMBLE)
            return
        if LIBRARY not in names:
            yield Finding("error", runtime.lock, f"it does not name {LIBRARY}, which computes the document", _ASSEMBLE)

    def toolchain(self, bundle: Bundle) -> Toolchain:
        """The JDK on this machine.

        Raises:
            ToolchainMissing: there is none of the major version that the bundle names.
        """
        return java_toolchain(bundle)

    def packages(self, lock: bytes) -> tuple[Package, ...]:
        """The jars that maven.lock names; see `java.jars_of`."""
        return jars_of(lock)

    def lock(self, folder: Path, bundle: Bundle, scratch: Path, say: Say) -> bytes:
        """The maven.lock of pmml4s.

        Raises:
            LockUnresolved: no repository answers.
            ToolchainMissing: there is no Maven.
        """
        del folder
        group, artifact = LIBRARY.split(":")
        pom = (
            '<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>'
            "<groupId>muster</groupId><artifactId>pmml</artifactId><version>1</version><dependencies><dependency>"
            f"<groupId>{group}</groupId><artifactId>{artifact}</artifactId><version>{VERSION}</version>"
            "</dependency></dependencies></project>"
        )
        return lock_jars(pom.encode(), java_toolchain(bundle), scratch, say)

    def fetch(
        self, packages: Sequence[Package], toolchain: Toolchain, scratch: Path, say: Say
    ) -> Iterator[tuple[Package, str, Path]]:
        """The jars of packages, by Maven; see `java.fetch_jars`."""
        yield from fetch_jars(packages, toolchain, scratch, say)

    def build(self, job: BuildJob) -> None:
        """Link the jars and compile the helper that travels in the bundle.

        Raises:
            BuildFailed: the helper is missing, or javac said no.
            PartUnsafe: a jar's name leads out of the tree.
        """
        link_jars(job)
        paths = source_files(job.folder, job.bundle)
        compile_java(job, job.folder, [path for path in paths if path.endswith(".java")])

    def program(self, environment: Path, folder: Path, bundle: Bundle) -> Program | None:
        """How the document is served."""
        del folder
        return program_of(environment, java_toolchain(bundle), MAIN_CLASS, _runtime(bundle).model)

    def helper(self) -> Mapping[str, str]:
        """Java's helper, and the main class that computes PMML."""
        return {**helper_sources(), _MAIN_SOURCE[0]: _MAIN_SOURCE[1]}


def _runtime(bundle: Bundle) -> PmmlRuntime:
    assert isinstance(bundle.runtime, PmmlRuntime)
    return bundle.runtime


def _problem_of(document: Path) -> str | None:
    """What keeps a file from being a PMML document, as far as its beginning shows; None where nothing does."""
    with document.open("rb") as stream:
        if b"<!DOCTYPE" in stream.read(_PROLOGUE_BYTES):
            return "it has a document type declaration, which may name other files"
        stream.seek(0)
        try:
            _, root = next(iter(ET.iterparse(stream, events=("start",))))  # noqa: S314 - it ends at the root, and nothing is declared
        except (ET.ParseError, StopIteration) as error:
            return f"it is no XML: {error}"
    name = root.tag.rpartition("}")[2]
    if name != "PMML":
        return f"it is no PMML document: its root is <{name}>"
    if not root.get("version", "").startswith("4."):
        return f"it is PMML {root.get('version', 'of no version')}; versions 4.0 to 4.4 are known"
    return None
