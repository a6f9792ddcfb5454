"""What has to be true before a host meets a request: sealed bytes, the exact environment, the golden answers, a warm model."""

import contextlib
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from muster.blobs.protocol import Blobs
from muster.environments.languages.known import VENVS
from muster.environments.shelf import Built, Shelf
from muster.packaging.bundle import read_bundle
from muster.packaging.columns import Column, Table
from muster.packaging.documents import Bundle
from muster.packaging.errors import EnvironmentDamaged, EnvironmentMissing
from muster.packaging.golden import Golden, compare, read_golden
from muster.packaging.sealed import materialise
from muster.runtimes.channel import Answer, Channel, Hello
from muster.runtimes.order import LoadOrder, order_of
from muster.serving.errors import GoldenMismatch
from muster.serving.workers.roster import WantedHost
from muster.vocabulary.digests import Digest, checked_digest

_WARM_UP_ROUNDS = 20
_GOLDEN_WITHIN_S = 60.0


@dataclass(frozen=True, slots=True, kw_only=True)
class PreparedBundle:
    """Everything that a host of one version needs."""

    bundle: Bundle
    environment: Built
    order: LoadOrder
    golden: Golden


class Preparer:
    """Fetches bundles and environments; blocking, for use in threads.

    Args:
        blobs: where bundles lie by digest.
        bundles: folder in which they are unpacked, read-only.
        environments: builds and verifies environments.
    """

    def __init__(self, blobs: Blobs, bundles: Path, environments: Shelf) -> None:
        self._blobs = blobs
        self._bundles = bundles
        self._environments = environments
        self._read: dict[Digest, tuple[Bundle, Golden]] = {}
        self._built: dict[Digest, Digest] = {}
        self._guard = threading.Lock()

    def prepare(self, wanted: WantedHost) -> PreparedBundle:
        """The bundle unpacked and verified, its environment built and verified, its golden rows read.

        Raises:
            BlobDamaged, BlobNotFound: the store does not have the bundle's bytes.
            EnvironmentFailed, BuildFailed, ToolchainMissing, …: the environment cannot be built here; the message says why.
            GoldenUnusable: the golden set cannot be read.
        """
        digest = checked_digest(wanted.manifest)
        # Every start anew: whoever edits the bundle or the environment on the disk gets nothing served by it.
        folder = materialise(digest, self._blobs, self._bundles)
        with self._guard:
            known = self._read.get(digest)
            if known is None:
                bundle = read_bundle(folder)
                known = self._read[digest] = (bundle, read_golden(folder, bundle))
        bundle, golden = known
        environment = self._environment(digest, folder, bundle)
        # What is not in the environment may have changed as well: programs of the machine, the operator's entry of a remote model.
        order = order_of(environment.order(folder, bundle))
        return PreparedBundle(bundle=bundle, environment=environment, order=order, golden=golden)

    def _environment(self, digest: Digest, folder: Path, bundle: Bundle) -> Built:
        known = self._built.get(digest)
        if (
            known is not None and bundle.runtime.kind in VENVS
        ):  # all of it lies in its folder, and its id is enough to find it
            with contextlib.suppress(EnvironmentDamaged, EnvironmentMissing):
                return self._environments.verify(known)
        environment = self._environments.ensure(folder, bundle)
        self._built[digest] = environment.id
        return environment

    def hold(self, environment: Digest) -> Callable[[], None]:
        """Keep an environment from being swept, for as long as hosts run in it; gives what lets it go."""
        return self._environments.hold(environment)


def prove(socket: Path, prepared: PreparedBundle) -> Hello:
    """Let a new host answer its golden rows, compare, and warm it up with single rows.

    Raises:
        GoldenMismatch: an answer lies outside the tolerance, or there is none.
        HostGone, HostTimedOut: the host ended or hangs.
    """
    golden = prepared.golden
    with Channel(socket, _GOLDEN_WITHIN_S) as channel:
        answered = table_of(channel.predict([golden.inputs.rows], _parts(golden.inputs)), prepared.bundle)
        verdict = compare(answered, golden.expected, golden.tolerance, golden.ranked)
        if not verdict.passed:
            raise GoldenMismatch(
                f"{verdict.wrong} of {verdict.compared} golden answers of {prepared.bundle.name} differ: {verdict.where}",
                wrong=verdict.wrong,
                compared=verdict.compared,
            )
        for _ in range(_WARM_UP_ROUNDS):
            channel.predict([golden.inputs.rows], _parts(golden.inputs))
        return channel.hello


def table_of(answer: Answer, bundle: Bundle) -> Table:
    """The outputs of one request that was a batch of its own.

    Raises:
        GoldenMismatch: the host has no answer.
    """
    if answer.errors:
        error = answer.errors[0]
        raise GoldenMismatch(f"{bundle.name} does not answer its golden rows: {error.code}: {error.message}")
    outputs = zip(bundle.contract.outputs, answer.columns, strict=True)
    return Table(
        answer.rows, {field.name: Column(field.datatype, field.shape, data, nulls) for field, (data, nulls) in outputs}
    )


def _parts(table: Table) -> list[tuple[bytes | bytearray | memoryview, bytes | bytearray | memoryview | None]]:
    return [(column.data, column.nulls) for column in table.columns.values()]
