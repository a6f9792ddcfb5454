"""Environments of a home as whoever sits at the machine sees them: those of versions, by their seals."""

from dataclasses import dataclass
from pathlib import Path
from typing import Self

from muster.bootstrap.factory import Factory, factory_of
from muster.bootstrap.home import Home
from muster.certification import store
from muster.environments.errors import EnvironmentUnsealed
from muster.environments.sealing import Seal
from muster.packaging.bundle import read_bundle
from muster.packaging.documents import Bundle
from muster.packaging.sealed import materialise
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import VersionState

_ENDED = (VersionState.RETIRED, VersionState.BANNED)


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedVersion:
    """A version with what its environment is made of."""

    name: VersionName
    version: Digest
    """Of its manifest: the version's identity."""
    folder: Path
    """Its bundle on this machine."""
    bundle: Bundle
    seal: Seal
    digest: Digest
    """Of the seal."""


class SealedVersions:
    """The versions of a home, for deeds on its machine; used as a context manager.

    Args:
        home: the home, whose factory may run or not.
    """

    def __init__(self, home: Home) -> None:
        self.factory: Factory = factory_of(home)
        self._home = home

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.factory.database.close()

    def sealed(self, project: str, name: VersionName) -> SealedVersion:
        """A version with the seal that its newest certificate names, its bundle unpacked and verified.

        Raises:
            VersionNotFound: there is none.
            EnvironmentUnsealed: it has no certificate, or one that names no seal.
            BlobDamaged, BlobNotFound: the store does not have the bundle's bytes.
        """
        with self.factory.database.read() as tx:
            version = self.factory.registry.version_in(tx, project, name)
            certificate = self.factory.certification.certificate_in(tx, project, name)
        if certificate is None or certificate.seal is None:
            why = "it was never certified" if certificate is None else "its newest certificate names no seal"
            raise EnvironmentUnsealed(f"the environment of {name} is not sealed: {why}", version=str(name))
        seal = self.factory.environments.seal_of(certificate.seal)
        folder = materialise(version.digest, self.factory.blobs, self._home.bundles)
        return SealedVersion(
            name=name,
            version=version.digest,
            folder=folder,
            bundle=read_bundle(folder),
            seal=seal,
            digest=certificate.seal,
        )

    def wanted(self) -> frozenset[Digest]:
        """Environments that a version which is neither retired nor banned was certified in, and those of its twins."""
        with self.factory.database.read() as tx:
            return store.environments_in_use(tx, _ENDED)
