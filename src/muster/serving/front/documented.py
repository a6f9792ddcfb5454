"""What the answers of the scoring door hold, as structs for its OpenAPI document alone.

Most answers are put together as bytes or dicts, because that is faster. The fuzz tests hold every answer against these.
"""

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from muster.wire.inference import InferenceError, ModelMetadata, RepositoryModel

_Is = Annotated[bool, Meta(extra_json_schema={"const": True})]


class Health(msgspec.Struct):
    """How the front is."""

    live: _Is
    ready: Annotated[bool, Meta(description="Every endpoint can be answered by its champion or a fallback, now.")]


class Readiness(msgspec.Struct):
    """The front is ready."""

    live: _Is
    ready: _Is
    degraded: Annotated[int, Meta(description="How many endpoints lack a variant; absent: none.", ge=1)] | UnsetType = (
        UNSET
    )


class EndpointReadiness(msgspec.Struct):
    """The endpoint, or the version of it that was asked about, can answer now."""

    name: str
    ready: _Is
    degraded: (
        Annotated[
            dict[str, str],
            Meta(description="What the endpoint lacks: `down` or `on probation`, by version; absent: nothing."),
        ]
        | UnsetType
    ) = UNSET


class ServerMetadata(msgspec.Struct):
    """What serves, and the extensions of the protocol that it has."""

    name: str
    version: str
    extensions: list[str]


class VersionChoice(msgspec.Struct):
    """Which versions are served: those of the current release."""

    specific: dict[str, list[int]]


class ConfiguredTensor(msgspec.Struct):
    """An input or output in Triton's form; rows are not in `dims`."""

    name: str
    data_type: Annotated[str, Meta(pattern="^TYPE_")]
    dims: list[int]
    optional: _Is | UnsetType = UNSET


class ConfiguredParameter(msgspec.Struct):
    """The value of a parameter in Triton's form."""

    string_value: str


class EndpointConfiguration(msgspec.Struct):
    """An endpoint's configuration in Triton's form."""

    name: str
    platform: str
    backend: str
    version_policy: VersionChoice
    max_batch_size: Annotated[int, Meta(description="Most rows of a request.", ge=1)]
    input: list[ConfiguredTensor]
    output: list[ConfiguredTensor]
    parameters: Annotated[
        dict[str, ConfiguredParameter],
        Meta(description="Among them `release`, `policy`, `deadline_ms`, `variants` and `body_bytes`."),
    ]


class Spent(msgspec.Struct):
    """How often, and how long together."""

    count: int
    ns: int


class TimesSpent(msgspec.Struct):
    """Triton's durations; those that have no meaning here are 0."""

    success: Spent
    fail: Spent
    queue: Spent
    compute_input: Spent
    compute_infer: Spent
    compute_output: Spent
    cache_hit: Spent
    cache_miss: Spent


class VariantOutcomes(msgspec.Struct):
    """What became of a variant's answers."""

    version: str
    role: str
    chosen: int
    in_time: int
    late: int
    failed: int
    unsent: int
    passed_over: int
    on_probation: bool


class VariantStatistics(msgspec.Struct):
    """What this front counted of one version, since it started."""

    name: str
    version: str
    last_inference: Annotated[int, Meta(description="Milliseconds since 1970; 0: never.")]
    inference_count: Annotated[int, Meta(description="Rows.")]
    execution_count: Annotated[int, Meta(description="Batches.")]
    inference_stats: TimesSpent
    batch_stats: list[Any]
    muster: VariantOutcomes


class EndpointOutcomes(msgspec.Struct):
    """What became of the requests to an endpoint."""

    name: str
    release: int
    requests: int
    rows: int
    chosen: int
    fallback: int
    default: int
    failed: int
    late: int
    refused: int
    by_reason: dict[str, int]


class RendezvousStatistics(msgspec.Struct):
    """What a rendezvous adds to Triton's statistics."""

    endpoints: list[EndpointOutcomes]


class Statistics(msgspec.Struct):
    """What this front counted, in Triton's form."""

    model_stats: list[VariantStatistics]
    muster: RendezvousStatistics


class OutputTensor(msgspec.Struct):
    """One output: `data` flat and row-major, or as many raw bytes behind the JSON as `parameters.binary_data_size` says."""

    name: str
    datatype: str
    shape: list[int]
    data: list[Any] | UnsetType = UNSET
    parameters: dict[str, int] | UnsetType = UNSET


class InferAnswer(msgspec.Struct):
    """A V2 inference answer."""

    model_name: str
    model_version: Annotated[
        str, Meta(description="The number of the version that answered, `default`, or `combined`.")
    ]
    id: Annotated[str, Meta(description="As it was sent; without one, the request id.")]
    parameters: Annotated[
        dict[str, str | int],
        Meta(
            description="`request_id`, `release`, `variant`, `role`, `reason`; also `weights` (combined), `variants` (where rows differ)."
        ),
    ]
    outputs: list[OutputTensor]


class ScoreAnswer(msgspec.Struct):
    """The answer in the records form."""

    request_id: Annotated[str, Meta(description="Names the decision record.")]
    release: int
    answers: Annotated[
        list[dict[str, Any]],
        Meta(description="One per row: each output by its name, and `variant`, `role` and `reason`."),
    ]
    weights: (
        Annotated[
            dict[str, float], Meta(description="Of a combined answer: the weight of each version; otherwise absent.")
        ]
        | UnsetType
    ) = UNSET


class Nothing(msgspec.Struct):
    """An empty object."""


#: All that answers hold in JSON.
ANSWERS: tuple[Any, ...] = (
    InferenceError, Health, Readiness, EndpointReadiness, ServerMetadata, ModelMetadata, EndpointConfiguration, Statistics,
    RepositoryModel, InferAnswer, ScoreAnswer, Nothing,
)  # fmt: skip
