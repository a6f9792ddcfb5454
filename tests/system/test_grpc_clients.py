"""gRPC as clients meet it that nobody here wrote, and held against the REST form of the same endpoints."""

import math
import os
import random
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import grpc
import httpx
import models
import numpy as np
import pandas as pd
import pytest
import tritonclient.grpc as triton
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from running_factory import RunningFactory, wait_for
from tritonclient.utils import InferenceServerException

from muster.archive.reader import Reader
from muster.packaging.save import save
from muster.serving.front.grpc import open_inference_pb2 as pb

SERVICE = "/inference.GRPCInferenceService/"
MIXED = pd.DataFrame(
    {
        "x": [0.5, 1.5, None, -3.0, 8.25, 1e9],
        "n": [1, 2, 3, -4, 5, 6],
        "flag": [True, False, True, True, False, False],
        "name": ["ann", "bob", "", "dörte", "eve", "日本"],
    }
)
OPEN_INFERENCE = """
import sys
import grpc
from open_inference.grpc import protocol, service

address, token = sys.argv[1:]
stub = service.GRPCInferenceServiceStub(grpc.insecure_channel(address))
me = (("authorization", f"Bearer {token}"),)
assert stub.ServerLive(protocol.ServerLiveRequest()).live
assert stub.ServerReady(protocol.ServerReadyRequest()).ready
assert stub.ServerMetadata(protocol.ServerMetadataRequest()).name == "muster"
assert stub.ModelReady(protocol.ModelReadyRequest(name="plus"), metadata=me).ready
about = stub.ModelMetadata(protocol.ModelMetadataRequest(name="plus"), metadata=me)
assert [(one.name, one.datatype, list(one.shape)) for one in about.inputs] == [("x", "FP64", [-1])], about
Tensor = protocol.ModelInferRequest.InferInputTensor
request = protocol.ModelInferRequest(model_name="plus", id="mine", inputs=[
    Tensor(name="x", datatype="FP64", shape=[2], contents=protocol.InferTensorContents(fp64_contents=[1.5, -2.0]))])
answer = stub.ModelInfer(request, metadata=me)
assert (answer.id, answer.model_version) == ("mine", "1"), answer
assert list(answer.outputs[0].contents.fp64_contents) == [2.5, -1.0], answer
assert not answer.raw_output_contents
assert answer.parameters["reason"].string_param == "champion", answer
try:
    stub.ModelReady(protocol.ModelReadyRequest(name="nowhere"), metadata=me)
except grpc.RpcError as error:
    assert error.code() is grpc.StatusCode.NOT_FOUND, error
else:
    raise AssertionError("an endpoint that there is not")
"""


class Passes:
    """Answers in every kind of output."""

    def predict(self, columns: dict[str, Any]) -> dict[str, Any]:
        return {
            "number": np.nan_to_num(np.asarray(columns["x"], dtype=np.float64)) + 1,
            "whole": np.asarray(columns["n"], dtype=np.int64) * 2,
            "not_flag": ~np.asarray(columns["flag"], dtype=bool),
            "greeting": np.asarray([f"hello {name}" for name in columns["name"]], dtype=object),
        }


@pytest.fixture(scope="module")
def endpoint(factory: RunningFactory, adds: list[str]) -> str:
    """Endpoint `plus`: champion adds:1, challenger adds:2, no default."""
    factory.release("plus", adds[0], challengers=[adds[1]], deadline="2s", patience="1s")
    return "plus"


@pytest.fixture(scope="module")
def mixed(factory: RunningFactory, tmp_path_factory: pytest.TempPathFactory) -> str:
    """Endpoint `mixed`: every kind of input and output."""
    folder = tmp_path_factory.mktemp("mixed") / "passes"
    version = factory.accepted(save(Passes(), folder, name="passes", sample=MIXED, owner="ana", description="passes"))
    factory.release("mixed", version, deadline="2s")
    return "mixed"


@pytest.fixture(scope="module")
def sleepy(factory: RunningFactory, bundles: Callable[..., Path]) -> str:
    """Endpoint `sleepy`: sleeps a second where x is above 10; no default."""
    version = factory.accepted(bundles("slow-grpc", models.SlowForSome(1, 10, 1.0), name="slow"))
    factory.release("sleepy", version, deadline="3s")
    return "sleepy"


@pytest.fixture
def client(factory: RunningFactory) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(factory.grpc) as opened:
        yield opened


@pytest.fixture(scope="module")
def channel(factory: RunningFactory) -> Iterator[grpc.Channel]:
    with grpc.insecure_channel(factory.grpc, options=[("grpc.max_receive_message_length", -1)]) as opened:
        yield opened


def me(factory: RunningFactory, name: str = "shop") -> dict[str, str]:
    return {"authorization": f"Bearer {factory.tokens[name]}"}


def tensor(name: str, array: np.ndarray, datatype: str) -> triton.InferInput:
    made = triton.InferInput(name, list(array.shape), datatype)
    made.set_data_from_numpy(array)
    return made


def column(*values: float) -> triton.InferInput:
    return tensor("x", np.array(values), "FP64")


def code_of(error: pytest.ExceptionInfo[InferenceServerException]) -> str:
    return str(error.value.status())


def test_tritonclient_is_told_of_health_and_endpoints(
    factory: RunningFactory, endpoint: str, client: triton.InferenceServerClient
) -> None:
    """Live, ready, metadata, configuration, index and statistics are what the REST form says."""
    assert client.is_server_live()
    assert client.is_server_ready()
    server = client.get_server_metadata()
    assert server.name == "muster"
    assert "binary_tensor_data" in server.extensions
    assert client.is_model_ready(endpoint, headers=me(factory))
    assert client.is_model_ready(endpoint, "1", headers=me(factory))
    about = client.get_model_metadata(endpoint, headers=me(factory))
    assert (about.name, list(about.versions), about.platform) == (endpoint, ["1", "2"], "muster")
    assert [(one.name, one.datatype, list(one.shape)) for one in about.inputs] == [("x", "FP64", [-1])]
    config = client.get_model_config(endpoint, headers=me(factory)).config
    assert (config.name, config.max_batch_size, config.input[0].name) == (endpoint, 1000, "x")
    assert config.parameters["policy"].string_value == "first"
    index = client.get_model_repository_index(headers=me(factory))
    assert {(one.name, one.version, one.state) for one in index.models} >= {(endpoint, "1", "READY")}
    client.infer(endpoint, [column(1.0)], headers=me(factory))
    counted = client.get_inference_statistics(endpoint, headers=me(factory))
    assert {one.version for one in counted.model_stats} == {"1", "2"}
    assert max(one.inference_count for one in counted.model_stats) >= 1


def test_tritonclient_scores_raw_tensors(
    factory: RunningFactory, endpoint: str, client: triton.InferenceServerClient
) -> None:
    """Its default form: raw in, raw out, the facts in the parameters, the caller's own id back."""
    result = client.infer(endpoint, [column(1.5, -2.0)], request_id="mine", headers=me(factory))
    assert result.as_numpy("score").tolist() == [2.5, -1.0]
    answer = result.get_response()
    assert (answer.id, answer.model_name, answer.model_version) == ("mine", endpoint, "1")
    assert len(answer.raw_output_contents) == 1
    said = answer.parameters
    assert said["release"].int64_param == 1
    assert (said["variant"].string_param, said["role"].string_param) == ("adds:1", "champion")
    record = wait_for(lambda: Reader(factory.home / "archive").find(said["request_id"].string_param))
    assert record.decided.consumer == "shop"
    assert record.decided.client_id == "mine"


def test_every_kind_of_value_comes_through(
    factory: RunningFactory, mixed: str, client: triton.InferenceServerClient
) -> None:
    """Numbers, whole numbers, flags, text and nulls, raw, as one answer of four outputs."""
    inputs = [
        tensor("x", MIXED["x"].to_numpy(), "FP64"),
        tensor("n", MIXED["n"].to_numpy(), "INT64"),
        tensor("flag", MIXED["flag"].to_numpy(), "BOOL"),
        tensor("name", MIXED["name"].to_numpy().astype(object), "BYTES"),
    ]
    result = client.infer(mixed, inputs, headers=me(factory))
    assert result.as_numpy("number").tolist() == [1.5, 2.5, 1.0, -2.0, 9.25, 1e9 + 1]
    assert result.as_numpy("whole").tolist() == [2, 4, 6, -8, 10, 12]
    assert result.as_numpy("not_flag").tolist() == [False, True, False, False, True, True]
    assert [text.decode() for text in result.as_numpy("greeting")] == [f"hello {name}" for name in MIXED["name"]]
    some = client.infer(mixed, inputs, outputs=[triton.InferRequestedOutput("whole")], headers=me(factory))
    assert [output.name for output in some.get_response().outputs] == ["whole"]


def test_a_client_of_the_plain_protocol_is_content(factory: RunningFactory, endpoint: str) -> None:
    """open_inference.grpc, in a process of its own: its messages have the same names as tritonclient's."""
    subprocess.run([sys.executable, "-c", OPEN_INFERENCE, factory.grpc, factory.tokens["shop"]], check=True, timeout=60)


def test_refusals_have_the_codes_that_grpc_knows(
    factory: RunningFactory, endpoint: str, client: triton.InferenceServerClient
) -> None:
    """Unknown endpoint, output and version, no token, a wrong one, wrong name, type, shape and value."""
    cases: list[tuple[str, Callable[[], Any]]] = [
        ("UNAUTHENTICATED", lambda: client.infer(endpoint, [column(1.0)])),
        ("UNAUTHENTICATED", lambda: client.infer(endpoint, [column(1.0)], headers={"authorization": "Bearer no"})),
        ("UNAUTHENTICATED", lambda: client.get_model_metadata(endpoint)),
        ("NOT_FOUND", lambda: client.infer("nowhere", [column(1.0)], headers=me(factory))),
        ("NOT_FOUND", lambda: client.get_model_metadata("nowhere", headers=me(factory))),
        ("NOT_FOUND", lambda: client.is_model_ready("nowhere", headers=me(factory))),
        ("NOT_FOUND", lambda: client.infer(endpoint, [column(1.0)], model_version="9", headers=me(factory))),
        ("PERMISSION_DENIED", lambda: client.infer(endpoint, [column(1.0)], model_version="2", headers=me(factory))),
        (
            "INVALID_ARGUMENT",
            lambda: client.infer(
                endpoint, [column(1.0)], outputs=[triton.InferRequestedOutput("no")], headers=me(factory)
            ),
        ),
        ("INVALID_ARGUMENT", lambda: client.infer(endpoint, [tensor("y", np.ones(1), "FP64")], headers=me(factory))),
        (
            "INVALID_ARGUMENT",
            lambda: client.infer(endpoint, [tensor("x", np.array([True]), "BOOL")], headers=me(factory)),
        ),
        (
            "INVALID_ARGUMENT",
            lambda: client.infer(endpoint, [tensor("x", np.ones((2, 2)), "FP64")], headers=me(factory)),
        ),
        ("INVALID_ARGUMENT", lambda: client.infer(endpoint, [], headers=me(factory))),
        ("INVALID_ARGUMENT", lambda: client.load_model(endpoint, config="{}", headers=me(factory))),
        ("INVALID_ARGUMENT", lambda: client.unload_model(endpoint, headers=me(factory))),
    ]
    for code, ask in cases:
        with pytest.raises(InferenceServerException) as error:
            ask()
        assert code_of(error) == f"StatusCode.{code}", error.value
        assert error.value.message()
    client.load_model(endpoint, headers=me(factory))


def test_the_earliest_deadline_wins(factory: RunningFactory, sleepy: str, client: triton.InferenceServerClient) -> None:
    """A timeout among the parameters is answered with DEADLINE_EXCEEDED long before the release's deadline, and recorded."""
    begun = time.monotonic()
    with pytest.raises(InferenceServerException) as error:
        client.infer(sleepy, [column(11.0)], timeout=100_000, headers=me(factory))
    assert code_of(error) == "StatusCode.DEADLINE_EXCEEDED"
    assert "of 100 ms" in str(error.value.message())
    assert time.monotonic() - begun < 1.0
    with pytest.raises(InferenceServerException) as error:
        client.infer(sleepy, [column(12.0)], client_timeout=0.2, headers=me(factory))
    assert "Deadline Exceeded" in str(error.value) or code_of(error) == "StatusCode.DEADLINE_EXCEEDED"

    def granted() -> bool:
        newest = Reader(factory.home / "archive").last(sleepy, 2)
        # gRPC sends the time that is left rounded up, and what is left is measured when the message is there.
        return len(newest) == 2 and all(record.decided.deadline_ns <= 300_000_000 for record in newest)

    assert wait_for(granted)


def test_who_hangs_up_disturbs_nobody(factory: RunningFactory, sleepy: str, channel: grpc.Channel) -> None:
    """Calls that are cancelled half-way are recorded as decided, and their neighbours in the batch are answered."""
    infer = channel.unary_unary(SERVICE + "ModelInfer", request_serializer=None, response_deserializer=None)
    metadata = tuple(me(factory).items())
    calls = [infer.future(_asking(sleepy, 20.0 + number), metadata=metadata, timeout=20) for number in range(8)]
    for call in calls[::2]:
        call.cancel()
    answers = [pb.ModelInferResponse.FromString(call.result()) for call in calls[1::2]]
    found = [answer.outputs[0].contents.fp64_contents[0] for answer in answers]
    assert found == [22.0, 24.0, 26.0, 28.0]


def test_rest_and_grpc_give_the_same(factory: RunningFactory, mixed: str, channel: grpc.Channel) -> None:
    """The same rows get the same outputs, or the same refusal, whichever way they come; typed and raw."""
    infer = channel.unary_unary(SERVICE + "ModelInfer", request_serializer=None, response_deserializer=None)
    metadata = tuple(me(factory).items())
    numbers = st.floats(allow_nan=False, allow_infinity=False)
    rows = st.lists(
        st.tuples(numbers, st.integers(-(2**62), 2**62), st.booleans(), st.text(max_size=8)), min_size=1, max_size=5
    )

    @settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
    @given(rows=rows, raw=st.booleans(), wrong=st.sampled_from(["", "shape", "datatype", "name", "short"]))
    def compare(rows: list[tuple[float, int, bool, str]], raw: bool, wrong: str) -> None:
        document = _document(rows, wrong)
        rest = http.post(f"{factory.scoring}/v2/models/{mixed}/infer", json=document, headers=me(factory))
        call = infer.future(_message(mixed, document, raw=raw), metadata=metadata, timeout=20)
        if rest.status_code != 200:
            assert (rest.status_code, call.code()) == (400, grpc.StatusCode.INVALID_ARGUMENT), rest.text
            assert _subject(call.details()) == _subject(rest.json()["error"])
            return
        assert call.code() is grpc.StatusCode.OK, call
        answer = pb.ModelInferResponse.FromString(call.result())
        said = rest.json()
        assert [output["name"] for output in said["outputs"]] == [output.name for output in answer.outputs]
        for position, output in enumerate(said["outputs"]):
            assert list(answer.outputs[position].shape) == output["shape"]
            assert answer.outputs[position].datatype == output["datatype"]
            assert _values(answer, position) == output["data"]
        facts = {name: _plain(value) for name, value in answer.parameters.items()}
        assert facts | {"request_id": ""} == said["parameters"] | {"request_id": ""}

    with httpx.Client() as http:
        compare()


def test_no_bytes_bring_the_server_down(factory: RunningFactory, mixed: str, channel: grpc.Channel) -> None:
    """Garbage, and whole messages with bytes changed, are answered with INVALID_ARGUMENT or the like, never INTERNAL or UNKNOWN."""
    metadata = tuple(me(factory).items())
    methods = [
        "ServerLive", "ServerReady", "ServerMetadata", "ModelReady", "ModelMetadata", "ModelInfer", "ModelConfig",
        "ModelStatistics", "RepositoryIndex", "RepositoryModelLoad", "RepositoryModelUnload",
    ]  # fmt: skip
    asks = {
        name: channel.unary_unary(SERVICE + name, request_serializer=None, response_deserializer=None)
        for name in methods
    }
    whole = [_message(mixed, _document([(1.0, 2, True, "é")], ""), raw=raw) for raw in (True, False)]
    dice = random.Random(20261121)
    seen: set[grpc.StatusCode] = set()
    for number in range(1500):
        message = bytearray(dice.randbytes(dice.randrange(40)) if number % 4 == 0 else dice.choice(whole))
        for _ in range(dice.randrange(1, 5) if message else 0):
            match dice.randrange(3):
                case 0:
                    message[dice.randrange(len(message))] = dice.randrange(256)
                case 1:
                    message.insert(dice.randrange(len(message) + 1), dice.randrange(256))
                case _:
                    del message[dice.randrange(len(message)) :]
            if not message:
                break
        name = "ModelInfer" if number % 3 else dice.choice(methods)
        call = asks[name].future(bytes(message), metadata=metadata, timeout=20)
        code = call.code()
        assert code in {grpc.StatusCode.OK, *_USUAL}, (name, bytes(message), call)
        seen.add(code)
    assert grpc.StatusCode.INVALID_ARGUMENT in seen


def test_large_messages_are_bounded(factory: RunningFactory, endpoint: str, channel: grpc.Channel) -> None:
    """Beyond the release's limit a message is refused, with or without a token; the server goes on."""
    infer = channel.unary_unary(SERVICE + "ModelInfer", request_serializer=None, response_deserializer=None)
    message = pb.ModelInferRequest(model_name=endpoint, raw_input_contents=[os.urandom(17 * 1024 * 1024)])
    for metadata, code in (
        (tuple(me(factory).items()), grpc.StatusCode.RESOURCE_EXHAUSTED),
        ((), grpc.StatusCode.UNAUTHENTICATED),
    ):
        with pytest.raises(grpc.RpcError) as error:
            infer(message.SerializeToString(), metadata=metadata, timeout=20)
        assert error.value.code() is code
    answer = infer(_asking(endpoint, 1.0), metadata=tuple(me(factory).items()), timeout=20)
    assert pb.ModelInferResponse.FromString(answer).outputs[0].contents.fp64_contents[0] == 2.0


def test_a_key_is_answered_once_whichever_way_it_comes(
    factory: RunningFactory, endpoint: str, client: triton.InferenceServerClient
) -> None:
    """Asked over REST, repeated over gRPC: the recorded answer; with other rows: FAILED_PRECONDITION."""
    key = {"idempotency-key": "one-and-the-same"}
    first = httpx.post(
        f"{factory.scoring}/score/{endpoint}", json={"rows": [{"x": 4.0}]}, headers=me(factory) | key
    ).json()
    again = client.infer(endpoint, [column(4.0)], headers=me(factory) | key).get_response()
    assert again.parameters["request_id"].string_param == first["request_id"]
    assert again.parameters["replayed"].bool_param
    with pytest.raises(InferenceServerException) as error:
        client.infer(endpoint, [column(5.0)], headers=me(factory) | key)
    assert code_of(error) == "StatusCode.FAILED_PRECONDITION"


def test_a_front_that_ends_answers_what_is_under_way(
    factory: RunningFactory, sleepy: str, client: triton.InferenceServerClient
) -> None:
    """A front that is told to end finishes the calls that it has, and the next one takes new ones on the same port."""
    answers: list[Any] = []
    asking = threading.Thread(
        target=lambda: answers.append(client.infer(sleepy, [column(30.0)], headers=me(factory)).as_numpy("score"))
    )
    (front,) = factory.processes("front")
    asking.start()
    time.sleep(0.3)  # the call is at the model, which sleeps for a second
    os.kill(front, 15)
    asking.join(20)
    assert [answer.tolist() for answer in answers] == [[31.0]]
    wait_for(lambda: factory.processes("front") not in ([], [front]))

    def served() -> bool:
        try:
            return bool(client.infer(sleepy, [column(1.0)], headers=me(factory)).as_numpy("score") == [2.0])
        except InferenceServerException:
            return False

    assert wait_for(served)


_USUAL = {
    grpc.StatusCode.INVALID_ARGUMENT,
    grpc.StatusCode.NOT_FOUND,
    grpc.StatusCode.PERMISSION_DENIED,
    grpc.StatusCode.DEADLINE_EXCEEDED,
}
_LISTS = {"FP64": "fp64_contents", "INT64": "int64_contents", "BOOL": "bool_contents", "BYTES": "bytes_contents"}
_NUMPY = {"FP64": "<f8", "INT64": "<i8", "BOOL": "|b1"}


def _asking(endpoint: str, x: float) -> bytes:
    document = {"inputs": [{"name": "x", "shape": [1], "datatype": "FP64", "data": [x]}]}
    return _message(endpoint, document, raw=False)


def _document(rows: list[tuple[float, int, bool, str]], wrong: str) -> dict[str, Any]:
    """A REST request of these rows, with one thing wrong."""
    columns = list(zip(*rows, strict=True))
    inputs: list[dict[str, Any]] = [
        {"name": name, "shape": [len(rows)], "datatype": datatype, "data": list(values)}
        for name, datatype, values in zip(
            ("x", "n", "flag", "name"), ("FP64", "INT64", "BOOL", "BYTES"), columns, strict=True
        )
    ]
    match wrong:
        case "shape":
            inputs[0]["shape"] = [len(rows), 2]
        case "datatype":
            inputs[2] |= {"datatype": "INT64", "data": [int(value) for value in inputs[2]["data"]]}
        case "name":
            inputs[3]["name"] = "nobody"
        case "short":
            inputs[1]["data"] = inputs[1]["data"][:-1]
    return {"inputs": inputs}


def _message(endpoint: str, document: dict[str, Any], *, raw: bool) -> bytes:
    """The same request as a message."""
    request = pb.ModelInferRequest(model_name=endpoint)
    for given_tensor in document["inputs"]:
        datatype, data = given_tensor["datatype"], given_tensor["data"]
        made = request.inputs.add(name=given_tensor["name"], datatype=datatype, shape=given_tensor["shape"])
        if datatype == "BYTES":
            data = [text.encode() for text in data]
        if not raw:
            getattr(made.contents, _LISTS[datatype]).extend(data)
        elif datatype == "BYTES":
            request.raw_input_contents.append(b"".join(len(text).to_bytes(4, "little") + text for text in data))
        else:
            request.raw_input_contents.append(np.array(data, dtype=_NUMPY[datatype]).tobytes())
    message: bytes = request.SerializeToString()
    return message


def _values(answer: Any, position: int) -> list[Any]:
    """An output as REST writes it."""
    output = answer.outputs[position]
    if not answer.raw_output_contents:
        values = list(getattr(output.contents, _LISTS[output.datatype]))
        return [value.decode() for value in values] if output.datatype == "BYTES" else values
    data = answer.raw_output_contents[position]
    if output.datatype == "BYTES":
        texts, at = [], 0
        while at < len(data):
            end = at + 4 + int.from_bytes(data[at : at + 4], "little")
            texts.append(data[at + 4 : end].decode())
            at = end
        return texts
    return [
        value if not isinstance(value, float) or math.isfinite(value) else str(value)
        for value in np.frombuffer(data, dtype=_NUMPY[output.datatype]).tolist()
    ]


def _plain(parameter: Any) -> Any:
    return getattr(parameter, parameter.WhichOneof("parameter_choice"))


def _subject(message: str | None) -> str:
    """What a refusal is about; the rest differs, as bytes are counted otherwise than elements."""
    return (message or "").partition(":")[0]
