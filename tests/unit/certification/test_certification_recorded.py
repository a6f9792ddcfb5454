"""Rows of past requests, as a version takes them."""

from collections.abc import Iterator
from types import SimpleNamespace
from typing import cast

import msgspec

from muster.archive.reader import Reader
from muster.archive.records import Record
from muster.certification.recorded import PastRows
from muster.packaging.columns import array_of, nulls_of
from muster.registry.records import Version
from muster.vocabulary.names import VersionName
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Contract, Field
from past_requests import floats, record, texts, wholes


class Records:
    """An archive of two endpoints."""

    def __init__(self, **records: list[Record]) -> None:
        self._records = records

    def newest(self, endpoint: str) -> Iterator[Record]:
        """The records of one."""
        return iter(self._records[endpoint])


def version(*inputs: Field) -> Version:
    """A version that takes these fields; of the rest nothing is asked."""
    contract = Contract(inputs=inputs, outputs=(Field("y", Datatype.FP64),))
    return cast("Version", SimpleNamespace(name=VersionName("churn", 3), project="bank", contract=contract))


def past(asked: list[tuple[str, str]] | None = None, **records: list[Record]) -> PastRows:
    """The past rows of a model that was released to these endpoints."""

    def endpoints(project: str, model: str) -> list[str]:
        if asked is not None:
            asked.append((project, model))
        return list(records)

    return PastRows(reader=cast("Reader", Records(**records)), endpoints=endpoints)


X = Field("x", Datatype.FP64)


def test_the_newest_rows_of_all_endpoints_are_taken_up_to_so_many() -> None:
    """Of each endpoint that the model was released to, request by request, cut where there are enough."""
    asked: list[tuple[str, str]] = []
    one = [record(inputs=[floats("x", 1.0, 2.0)], rows=2), record(inputs=[floats("x", 3.0)])]
    other = [record(inputs=[floats("x", 4.0, 5.0)], rows=2)]
    found = past(asked, one=one, other=other).newest(version(X), 4)
    assert asked == [("bank", "churn")]
    assert found is not None
    assert array_of(found.columns["x"]).tolist() == [1.0, 2.0, 3.0, 4.0]


def test_requests_that_the_version_could_not_have_been_asked_are_passed_over() -> None:
    """Another datatype, a field that is missing, a null where none may be: none of their rows; unknown fields do no harm."""
    gone = msgspec.structs.replace(floats("x", 1.0), nulls=b"\x01")
    records = [
        record(inputs=[wholes("x", 1)]),
        record(inputs=[floats("z", 1.0)]),
        record(inputs=[gone]),
        record(inputs=[texts("note", "kept"), floats("x", 7.0)]),
    ]
    found = past(one=records).newest(version(X), 10)
    assert found is not None
    assert list(found.columns) == ["x"]
    assert array_of(found.columns["x"]).tolist() == [7.0]
    assert past(one=records[:3]).newest(version(X), 10) is None


def test_a_field_that_may_be_null_may_be_missing() -> None:
    """A request of before the field was there counts, with nulls in it."""
    new = Field("since", Datatype.INT64, nullable=True)
    found = past(one=[record(inputs=[floats("x", 7.0)])]).newest(version(X, new), 10)
    assert found is not None
    nulls = nulls_of(found.columns["since"])
    assert nulls is not None
    assert nulls.tolist() == [True]


def test_a_model_that_nobody_asked_has_none() -> None:
    """No endpoint, or no request: None, and not a table without rows."""
    assert past().newest(version(X), 10) is None
    assert past(one=[]).newest(version(X), 10) is None
