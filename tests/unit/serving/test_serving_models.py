"""What V2 clients ask about endpoints apart from scores."""

import json
from typing import Any

import pytest

from decided_requests import plan_of
from muster.serving.counts import FrontCounts
from muster.serving.decisions import Decision
from muster.serving.errors import ModelNotOrdered, RequestMalformed
from muster.serving.front import models
from muster.serving.front.statistics import statistics
from muster.vocabulary.states import Reason
from muster.vocabulary.tensors import Datatype
from muster.wire.contracts import Field

D = Datatype
PLAN = plan_of(
    Field("x", D.FP64),
    Field("t", D.BYTES, nullable=True, required=False),
    Field("v", D.FP32, (2, 3)),
    outputs=(Field("score", D.FP64), Field("proba", D.FP32, (2,), labels=("no", "yes"))),
)


def test_configuration() -> None:
    """The form that Triton's clients read: types with their prefix, rows as the batch dimension."""
    said = models.configuration(PLAN)
    assert (said["name"], said["max_batch_size"]) == ("churn", 1000)
    assert said["input"] == [
        {"name": "x", "data_type": "TYPE_FP64", "dims": [1]},
        {"name": "t", "data_type": "TYPE_STRING", "dims": [1], "optional": True},
        {"name": "v", "data_type": "TYPE_FP32", "dims": [2, 3]},
    ]
    assert said["output"][1] == {"name": "proba", "data_type": "TYPE_FP32", "dims": [2]}
    assert said["parameters"]["policy"] == {"string_value": "first"}
    assert said["version_policy"] == {"specific": {"versions": [2, 3, 4]}}
    json.dumps(said)


class TestRepository:
    """Index, load and unload."""

    OTHER = plan_of(Field("x", D.FP64), endpoint="fraud")

    def index(self, body: bytes) -> list[tuple[str, str, str, str]]:
        entries = models.index(body, [(PLAN, None), (self.OTHER, "no variant runs")])
        return [(entry.name, entry.version, entry.state, entry.reason) for entry in entries]

    def test_index(self) -> None:
        """One line per endpoint and version; an empty body asks for all."""
        assert self.index(b"") == self.index(b"{}") == self.index(b'{"ready": false, "x": 1}')
        assert self.index(b"")[0] == ("churn", "2", "READY", "")
        assert self.index(b"")[3] == ("fraud", "2", "UNAVAILABLE", "no variant runs")
        assert {name for name, *_ in self.index(b'{"ready": true}')} == {"churn"}

    @pytest.mark.parametrize("body", [b"[]", b"x", b'{"ready": 1}', b"\xff", b"null"])
    def test_bodies_that_are_none(self, body: bytes) -> None:
        """They are refused as malformed."""
        with pytest.raises(RequestMalformed):
            self.index(body)

    def test_load(self) -> None:
        """An endpoint that is served is loaded; configuration and files come with a release alone."""
        for body in (b"", b"{}", b'{"parameters": {}}'):
            models.load(PLAN, body)
        with pytest.raises(ModelNotOrdered, match="a release says"):
            models.load(PLAN, b'{"parameters": {"config": "{}"}}')
        with pytest.raises(RequestMalformed):
            models.load(PLAN, b"[]")
        assert "not unloaded by order" in models.unload(PLAN).message


class TestStatistics:
    """Counts in Triton's form, and what a rendezvous adds."""

    def counted(self) -> FrontCounts:
        counts = FrontCounts()
        endpoint = counts.endpoint("churn")
        variants = endpoint.serves(7, [(one.version, one.planned.role) for one in PLAN.variants])
        for decision, elapsed_ns in (
            (Decision(0, Reason.CHAMPION), 1_000_000),
            (Decision(1, Reason.FALLBACK_LATE), 49_000_000),
            (Decision(-1, Reason.DEFAULT), 60_000_000),
            (Decision(-1, Reason.NONE), 60_000_000),
        ):
            endpoint.decided(variants, decision, elapsed_ns, 50_000_000, 2)
        variants[0].computed(4, 2, 1000)
        variants[0].answered(5000, False)
        variants[0].answered(7000, True)
        variants[1].failed(3000)
        endpoint.refused(400, "contract.broken")
        return counts

    def model(self, said: dict[str, Any], version: str) -> dict[str, Any]:
        found: dict[str, Any] = next(model for model in said["model_stats"] if model["version"] == version)
        return found

    def test_variants(self) -> None:
        """Successes, failures, waiting and computing of each variant, in time or late."""
        said = statistics(self.counted(), [(PLAN, None)])
        champion = self.model(said, "2")
        assert (champion["name"], champion["inference_count"], champion["execution_count"]) == ("churn", 4, 1)
        assert champion["last_inference"] > 1_600_000_000_000
        assert champion["inference_stats"]["success"] == {"count": 2, "ns": 12_000}
        assert champion["inference_stats"]["compute_infer"] == {"count": 2, "ns": 2000}
        assert champion["inference_stats"]["queue"] == {"count": 2, "ns": 10_000}
        assert (champion["muster"]["chosen"], champion["muster"]["in_time"], champion["muster"]["late"]) == (1, 1, 1)
        assert self.model(said, "3")["inference_stats"]["fail"] == {"count": 1, "ns": 3000}
        assert self.model(said, "3")["muster"]["failed"] == 1

    def test_outcomes(self) -> None:
        """Chosen, fallback, default, failed and late of each endpoint."""
        (churn,) = statistics(self.counted(), [(PLAN, None)])["muster"]["endpoints"]
        outcomes = {
            key: churn[key]
            for key in ("requests", "chosen", "fallback", "default", "failed", "late", "refused", "rows")
        }
        assert outcomes == {
            "requests": 4, "chosen": 1, "fallback": 1, "default": 1, "failed": 1, "late": 2, "refused": 1, "rows": 8,
        }  # fmt: skip
        assert sum(churn["by_reason"].values()) == churn["requests"]

    def test_one_version(self) -> None:
        """Only the version that was asked about; one that was never counted has zeros."""
        said = statistics(FrontCounts(), [(PLAN, 2)])
        assert [model["version"] for model in said["model_stats"]] == ["4"]
        assert said["model_stats"][0]["inference_stats"]["success"] == {"count": 0, "ns": 0}
