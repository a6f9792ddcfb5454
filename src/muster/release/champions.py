"""Which version of a model is in front now; certification compares new ones with it."""

from muster.registry.records import Version
from muster.registry.service import Registry
from muster.release import store
from muster.storage.transaction import Database
from muster.vocabulary.names import VersionName
from muster.vocabulary.states import Role, VersionState


class LiveChampions:
    """The champions of live releases.

    Args:
        database: where releases are kept.
        registry: the versions.
    """

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry

    def of_model(self, project: str, model: str) -> Version | None:
        """The champion of a current release that is a version of the model; of several endpoints, what went live last.

        None: no version of the model is a champion, or it is banned.
        """
        with self._database.read() as tx:
            for pointer in sorted(store.newest_pointers(tx), key=lambda one: (one.at, one.endpoint), reverse=True):
                release = store.release(tx, pointer.endpoint, pointer.release)
                if release is None or release.project != project:
                    continue
                for variant in release.plan.variants:
                    name = VersionName.parse(variant.version)
                    if variant.role is Role.CHAMPION and name.model == model:
                        version = self._registry.version_in(tx, project, name)
                        if version.state is not VersionState.BANNED:
                            return version
        return None
