"""Profiles of training data, kept with the version that was trained on it: the reference for watching it later."""

from muster.access.actor import Call
from muster.access.roles import Right
from muster.packaging.documents import PROFILE_NAME
from muster.profiles.whole import read_profile
from muster.registry.service import Registry
from muster.storage.transaction import Database, Transaction
from muster.training import store
from muster.training.errors import ProfileNotFound
from muster.training.records import Kept, VersionProfile
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName


class VersionProfiles:
    """What is known of the data that versions were trained on.

    Args:
        database: where it is kept which profile is whose.
        registry: keeps the documents, and has the bundles.
    """

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry

    def of(self, call: Call, name: VersionName) -> VersionProfile:
        """The profile of a version: what the factory computed last, else what the author declared in the bundle.

        Raises:
            VersionNotFound: there is no such version.
            ProfileNotFound: it has neither.
            ProfileMalformed: what the bundle holds is no profile.
        """
        call.require(Right.READ)
        with self._database.read() as tx:
            version = self._registry.version_in(tx, call.project, name)
            kept = store.kept(tx, call.project, name)
        if kept is not None:
            return VersionProfile(
                version=name,
                origin="factory",
                data=kept.data,
                data_digest=kept.data_digest,
                at=kept.at,
                profile=read_profile(self._registry.document(kept.digest)),
            )
        entry = self._registry.manifest_of(version.digest).file(PROFILE_NAME)
        if entry is None:
            raise ProfileNotFound(f"{name} has no profile of its training data", version=str(name))
        return VersionProfile(
            version=name,
            origin="declared",
            data="",
            data_digest="",
            at=None,
            profile=read_profile(self._registry.document(Digest(entry.digest))),
        )

    def keep(self, tx: Transaction, kept: Kept) -> None:
        """Note where the profile of a version lies; its document is in the store."""
        store.keep(tx, kept)
