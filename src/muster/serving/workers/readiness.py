"""What has to be true before a host meets a request: sealed bytes, the exact environment, the golden answers, a warm model."""

import contextlib
import threading
from dataclasses import dataclass
from pathlib import Path

from muster.blobs.protocol import Blobs
from muster.packaging.bundle import read_bundle
from muster.packaging.columns import Column, Table
from muster.packaging.documents import WHEELS_NAME, Bundle, load_order
from muster.packaging.environments import Environment, Environments
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
    environment: Environment
    order: LoadOrder
    golden: Golden


class Preparer:
    """Fetches bundles and environments; blocking, for use in threads. What has been prepared once stays prepared.

    Args:
        blobs: where bundles lie by digest.
        bundles: folder in which they are unpacked, read-only.
        environments: builds and verifies environments.
    """

    def __init__(self, blobs: Blobs, bundles: Path, environments: Environments) -> None:
        self._blobs = blobs
        self._bundles = bundles
        self._environments = environments
        self._prepared: dict[Digest, PreparedBundle] = {}
        self._guard = threading.Lock()

    def prepare(self, wanted: WantedHost) -> PreparedBundle:
        """The bundle unpacked and verified, its environment built and verified, its golden rows read.

        Raises:
            BlobDamaged, BlobNotFound: the store does not have the bundle's bytes.
            EnvironmentFailed, InterpreterMissing: the environment cannot be built here.
            GoldenUnusable: the golden set cannot be read.
        """
        digest = checked_digest(wanted.manifest)
        known = self._prepared.get(digest)
        if known is not None:
            # Every start anew: whoever edits the bundle or the environment on the disk gets nothing served by it.
            materialise(digest, self._blobs, self._bundles)
            with contextlib.suppress(EnvironmentDamaged, EnvironmentMissing):
                self._environments.verify(known.environment.id)
                return known
        with self._guard:
            folder = materialise(digest, self._blobs, self._bundles)
            bundle = read_bundle(folder)
            wheels = folder / WHEELS_NAME
            environment = self._environments.ensure(
                (folder / bundle.runtime.lock).read_bytes(), bundle.runtime.python, wheels if wheels.is_dir() else None
            )
            prepared = PreparedBundle(
                bundle=bundle,
                environment=environment,
                order=order_of(load_order(folder, bundle)),
                golden=read_golden(folder, bundle),
            )
            self._prepared[digest] = prepared
        return prepared


def prove(socket: Path, prepared: PreparedBundle) -> Hello:
    """Let a new host answer its golden rows, compare, and warm it up with single rows.

    Raises:
        GoldenMismatch: an answer lies outside the tolerance, or there is none.
        HostGone, HostTimedOut: the host ended or hangs.
    """
    golden = prepared.golden
    with Channel(socket, _GOLDEN_WITHIN_S) as channel:
        answered = table_of(channel.predict([golden.inputs.rows], _parts(golden.inputs)), prepared.bundle)
        verdict = compare(answered, golden.expected, golden.tolerance)
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
