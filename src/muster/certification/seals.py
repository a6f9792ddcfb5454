"""Whether a version is sealed: what acceptance asks, answered from certificates and the store."""

from muster.blobs.protocol import Blobs
from muster.certification import store
from muster.certification.records import Certificate
from muster.environments.errors import EnvironmentUnsealed
from muster.environments.sealing import Seal, read_seal, require_in_store
from muster.storage.transaction import Database
from muster.vocabulary.errors import MusterError
from muster.vocabulary.names import VersionName


class Seals:
    """The seals of versions.

    Args:
        database: where certificates are kept.
        blobs: the store.
    """

    def __init__(self, database: Database, blobs: Blobs) -> None:
        self._database = database
        self._blobs = blobs

    def unsealed(self, project: str, version: VersionName) -> EnvironmentUnsealed | None:
        """Why a certified version could not be rebuilt from the store alone; None: it could, or it is not certified.

        The parts are asked for, not read: what a disk does to them later, `muster env verify` and a rebuild tell.
        """
        certificate = self._certificate(project, version)
        if certificate is None:
            return None
        try:
            require_in_store(self.seal(version, certificate), self._blobs)
        except EnvironmentUnsealed as error:
            return error
        except MusterError as error:
            return EnvironmentUnsealed(
                f"the environment of {version} is not sealed: {error.message}", version=str(version)
            )
        return None

    def seal(self, version: VersionName, certificate: Certificate) -> Seal:
        """The seal that a certificate names.

        Raises:
            EnvironmentUnsealed: it names none.
            BlobNotFound, BlobDamaged, SealMalformed: the store does not have it.
        """
        if certificate.seal is None:
            raise EnvironmentUnsealed(
                f"the environment of {version} is not sealed: its newest certificate names no seal",
                version=str(version),
            )
        return read_seal(self._blobs.read(certificate.seal))

    def _certificate(self, project: str, version: VersionName) -> Certificate | None:
        with self._database.read() as tx:
            return next(iter(store.certificates_of(tx, project, version)), None)
