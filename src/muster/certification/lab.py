"""The bench in a lab: a bundle that nobody has registered yet, in its own environment, on a host of its own."""

from collections.abc import Callable
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path

from muster.blobs.protocol import Blobs
from muster.certification.checks import Bench, GoldenAnswers, ModelLoads
from muster.certification.options import CertificationOptions
from muster.environments.shelf import Shelf
from muster.packaging.contract import contract_digest
from muster.packaging.documents import Bundle
from muster.packaging.golden import read_golden
from muster.packaging.manifest import manifest_of
from muster.registry.records import Version
from muster.vocabulary.digests import digest_of
from muster.vocabulary.names import DEFAULT_PROJECT, VersionName
from muster.vocabulary.states import VersionState


def lab_bench(
    folder: Path,
    bundle: Bundle,
    shelf: Shelf,
    blobs: Blobs,
    scratch: Path,
    say: Callable[[str], None],
    stack: ExitStack,
) -> Bench:
    """A bench on which the model is loaded and has answered its golden rows.

    Args:
        folder: of the bundle.
        bundle: what its muster.toml says.
        shelf: where its environment is built.
        blobs: a store for what questions take from one.
        scratch: an empty folder.
        say: told what is being done.
        stack: ends the host.

    Raises:
        EnvironmentFailed, HostLoadFailed, HostGone: there is no host; the message says why.
    """
    manifest = manifest_of(folder)
    version = Version(
        name=VersionName(bundle.name, 1),
        project=DEFAULT_PROJECT,
        digest=manifest.digest,
        state=VersionState.REGISTERED,
        registered_by="lab",
        registered_at=datetime.now(UTC),
        description=bundle.description,
        owners=bundle.owners,
        authors=bundle.authors,
        tags=bundle.tags,
        contract=bundle.contract,
        contract_digest=contract_digest(bundle.contract),
        lock_digest=digest_of((folder / bundle.runtime.lock).read_bytes()),
        python=bundle.runtime.interpreter,
        files=len(manifest.files),
        size=sum(entry.size for entry in manifest.files),
    )
    bench = Bench(
        version=version,
        blobs=blobs,
        environments=shelf,
        bundles=scratch / "bundles",
        log=scratch / "host.log",
        scratch=scratch,
        options=CertificationOptions(),
        say=say,
        folder=folder,
        bundle=bundle,
        golden=read_golden(folder, bundle),
    )
    say("building its environment")
    bench.environment = shelf.ensure(folder, bundle, say)
    for question in (ModelLoads(), GoldenAnswers()):
        question.answer(bench, stack)
    return bench
