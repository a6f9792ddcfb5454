"""Replay with real hosts: the same batch gives the same bits, and everything else is said."""

import platform
import struct
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import cloudpickle
import numpy as np
import pytest
from msgspec.structs import replace

from muster.archive.compaction import Compactor
from muster.archive.layout import encode
from muster.archive.reader import Reader
from muster.archive.records import Record
from muster.archive.segments import SegmentWriter
from muster.certification.replay import ReplayResult, SealedBundle, replay
from muster.environments.shelf import Built
from muster.packaging.documents import Bundle, GoldenDescription, load_order
from muster.packaging.runtimes import PythonRuntime
from muster.runtimes.host import running_host
from muster.vocabulary.clock import wall_ns
from muster.vocabulary.digests import Digest
from muster.vocabulary.request_ids import RequestIds
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field
from muster.wire.records import RECORD_FORMAT, AnsweredLate, Decided, StoredColumn, VariantAnswer

WIDTH = 300
ENVIRONMENT = Built(
    id=Digest("sha256:" + "1" * 64),
    python=Path(sys.executable),
    interpreter=f"cpython-{platform.python_version()}",
    platform="here",
    lock_digest=Digest("sha256:" + "2" * 64),
    folder=Path(sys.prefix),
    kind="python",
    toolchain=f"cpython-{platform.python_version()}",
)


class Linear:
    """A linear model: its last bits depend on how many rows are computed together."""

    def predict(self, rows: object) -> object:
        """One number per row; refuses rows that begin with -1."""
        x = np.asarray(rows)
        if (x[:, 0] == -1.0).any():
            raise ValueError("cannot score -1")
        weights = np.random.default_rng(5).normal(size=(x.shape[1], 3))
        return (x @ weights)[:, 0]


@pytest.fixture(scope="module")
def sealed(tmp_path_factory: pytest.TempPathFactory) -> SealedBundle:
    """A bundle with the linear model, and this interpreter as its environment."""
    folder = tmp_path_factory.mktemp("bundle")
    (folder / "model").mkdir()
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    (folder / "model" / "model.pkl").write_bytes(cloudpickle.dumps(Linear()))
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])
    bundle = Bundle(
        format=1,
        name="linear",
        runtime=PythonRuntime(
            python=platform.python_version(),
            serializer="cloudpickle",
            model="model/model.pkl",
            method="predict",
            input="numpy",
            dtypes={"input": "float64"},
        ),
        contract=Contract(inputs=(Field("input", Datatype.FP64, (WIDTH,)),), outputs=(Field("score", Datatype.FP64),)),
        golden=GoldenDescription(rows=1),
    )
    return SealedBundle(folder=folder, bundle=bundle, environment=ENVIRONMENT)


Batch = list[Record]
Batches = Callable[[Sequence[np.ndarray]], Batch]


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    return tmp_path / "archive"


def inputs_of(rows: np.ndarray) -> tuple[StoredColumn, ...]:
    return (StoredColumn("input", "FP64", (WIDTH,), rows.tobytes()),)


def computed(sealed: SealedBundle, requests: Sequence[np.ndarray], log: Path, late: Sequence[int] = ()) -> Batch:
    """Records of requests that a real host computed in one batch, with what the front would have noted."""
    order = load_order(sealed.folder, sealed.bundle)
    rows = [len(request) for request in requests]
    with running_host(sealed.environment, sealed.folder, order, log) as channel:
        answer = channel.predict(rows, [(np.concatenate(requests).tobytes(), None)])
        hello = channel.hello
    ids, records, start, taken = RequestIds(0), [], 0, 0
    for index, request in enumerate(requests):
        count = rows[index]
        failed = answer.errors.get(index)
        outputs = None
        if failed is None:
            data = bytes(answer.columns[0][0][8 * taken : 8 * (taken + count)])
            outputs = (StoredColumn("score", "FP64", (), data),)
            taken += count
        said = VariantAnswer(
            version="linear:1",
            role="champion",
            status="answered" if failed is None else "failed",
            outputs=outputs,
            error=None if failed is None else f"{failed.code}: {failed.message}",
            environment=sealed.environment.id,
            host="0-1-1",
            batch=7,
            position=start,
            batch_rows=count if answer.alone else sum(rows),
            alone=answer.alone,
            threads=hello.threads,
            cpu=hello.cpu,
        )
        start += count
        decided = decided_with(ids.next(1), request, said)
        if index in late:
            pending = replace(said, status="pending", outputs=None)
            later = AnsweredLate(RECORD_FORMAT, decided.request_id, "linear", wall_ns(), said)
            records.append(Record(decided=replace(decided, answers=(pending,)), late=(later,)))
        else:
            records.append(Record(decided=decided))
    return records


def decided_with(request_id: bytes, rows: np.ndarray, answer: VariantAnswer) -> Decided:
    return Decided(
        format=RECORD_FORMAT,
        request_id=request_id,
        client_id=None,
        idempotency_key=None,
        consumer="shop",
        project="default",
        endpoint="linear",
        release=1,
        plan="",
        contract="",
        received_ns=wall_ns(),
        decided_ns=wall_ns(),
        elapsed_ns=1,
        deadline_ns=1,
        rows=len(rows),
        body_sha256=b"",
        inputs=inputs_of(rows),
        answers=(answer,),
        chosen=(0,),
        reason="champion",
        probability=1.0,
        forced=False,
    )


def kept(archive: Path, records: Batch) -> Reader:
    with SegmentWriter(archive / "spool", 0) as writer:
        for record in records:
            writer.write([encode(record.decided), *(encode(event) for event in record.late)])
    return Reader(archive)


def some_rows(seed: int, rows: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(rows, WIDTH))


def replayed(record: Record, reader: Reader, sealed: SealedBundle, tmp_path: Path) -> ReplayResult:
    found = reader.find(record.request_id)
    assert found is not None
    return replay(found, reader, lambda _: sealed, tmp_path / "replay.log")


REQUESTS = (some_rows(1, 1), some_rows(2, 6), some_rows(3, 1), some_rows(4, 3))


def test_a_batch_computed_again_gives_the_same_bits(sealed: SealedBundle, archive: Path, tmp_path: Path) -> None:
    """Every member of a batch replays identical, from segments and from Parquet, late answers included."""
    batch = computed(sealed, REQUESTS, tmp_path / "host.log", late=[3])
    reader = kept(archive, batch)
    for compacted in (False, True):
        for record in batch[1:3] if compacted else batch:
            found = replayed(record, reader, sealed, tmp_path)
            assert found.identical, found
            assert found.differences == ()
            (variant,) = found.variants
            assert (variant.batch_complete, variant.batch_requests, variant.batch_rows) == (True, 4, 11)
            assert variant.largest_deviation == 0.0
        Compactor(archive / "spool", archive / "parquet", now_ns=lambda: wall_ns() + 10**12).compact()


def test_the_batch_matters(sealed: SealedBundle, archive: Path, tmp_path: Path) -> None:
    """Without the other members the batch is called incomplete, and the answer is compared within tolerance only."""
    batch = computed(sealed, REQUESTS, tmp_path / "host.log")
    found = replayed(batch[0], kept(archive, batch[:1]), sealed, tmp_path)
    assert not found.identical
    assert any("batch incomplete" in text and "10 of 11 rows" in text for text in found.differences)
    (variant,) = found.variants
    assert not variant.batch_complete
    assert variant.within_tolerance
    assert variant.rows_missing == 10


def test_another_answer_is_told_with_its_deviation(sealed: SealedBundle, archive: Path, tmp_path: Path) -> None:
    """A record whose answer is not what the bundle computes is found, and by how much it differs."""
    batch = computed(sealed, REQUESTS, tmp_path / "host.log")
    (answer,) = batch[1].decided.answers
    assert answer.outputs is not None
    values = list(struct.unpack("<6d", answer.outputs[0].data))
    values[2] += 0.5
    outputs = (replace(answer.outputs[0], data=struct.pack("<6d", *values)),)
    wrong = replace(batch[1].decided, answers=(replace(answer, outputs=outputs, cpu="another"),))
    batch[1] = Record(decided=wrong)
    found = replayed(batch[1], kept(archive, batch), sealed, tmp_path)
    (variant,) = found.variants
    assert not found.identical
    assert not variant.within_tolerance
    assert variant.largest_deviation == pytest.approx(0.5)
    assert "row 2" in found.differences[0]
    assert any("hardware: another then" in text for text in found.differences)
    assert found.document()["variants"][0]["largest_deviation"] == pytest.approx(0.5)


def test_one_bit_is_enough(sealed: SealedBundle, archive: Path, tmp_path: Path) -> None:
    """The last bit of one value is a difference, within the tolerance."""
    batch = computed(sealed, REQUESTS, tmp_path / "host.log")
    (answer,) = batch[0].decided.answers
    assert answer.outputs is not None
    data = bytearray(answer.outputs[0].data)
    data[0] ^= 1
    outputs = (replace(answer.outputs[0], data=bytes(data)),)
    batch[0] = Record(decided=replace(batch[0].decided, answers=(replace(answer, outputs=outputs),)))
    found = replayed(batch[0], kept(archive, batch), sealed, tmp_path)
    assert not found.identical
    assert found.variants[0].within_tolerance


def test_requests_computed_alone_are_replayed_alone(sealed: SealedBundle, archive: Path, tmp_path: Path) -> None:
    """After a batch failed, answers and the failure itself replay one by one."""
    bad = some_rows(9, 1)
    bad[0, 0] = -1.0
    batch = computed(sealed, [REQUESTS[1], bad, REQUESTS[3]], tmp_path / "host.log")
    assert all(record.decided.answers[0].alone for record in batch)
    reader = kept(archive, batch)
    for record in batch:
        found = replayed(record, reader, sealed, tmp_path)
        assert found.identical, found
        assert found.variants[0].batch_requests == 1


def test_nothing_computed_is_nothing_to_replay(sealed: SealedBundle, archive: Path, tmp_path: Path) -> None:
    """A request that no variant answered is not called identical."""
    unsent = VariantAnswer("linear:1", "champion", "unsent")
    batch = [Record(decided=decided_with(RequestIds(0).next(1), REQUESTS[0], unsent))]
    found = replayed(batch[0], kept(archive, batch), sealed, tmp_path)
    assert not found.identical
    assert found.variants == ()
    assert len(found.differences) == 1
