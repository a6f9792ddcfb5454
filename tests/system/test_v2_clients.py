"""The Open Inference Protocol V2 and the records form, judged by clients that nobody here wrote."""

import gzip
import io
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx
import models
import numpy as np
import pandas as pd
import pyarrow as pa
import pytest
import tritonclient.http as triton
from open_inference.openapi.client import OpenInferenceClient
from open_inference.openapi.core.api_error import ApiError
from open_inference.openapi.errors import BadRequestError
from open_inference.openapi.types import InferenceRequest, RequestInput, TensorData
from running_factory import RunningFactory, wait_for

from muster.packaging.save import save

KINDS: dict[str, list[Any]] = {
    "BOOL": [True, False, True],
    "UINT8": [0, 1, 255],
    "UINT16": [0, 1, 65535],
    "UINT32": [0, 1, 2**32 - 1],
    "UINT64": [0, 1, 2**53 - 1],
    "INT8": [-128, 0, 127],
    "INT16": [-(2**15), 0, 1],
    "INT32": [-(2**31), 0, 1],
    "INT64": [-(2**53) + 1, 0, 1],
    "FP16": [-0.5, 0.0, 1.5],
    "FP32": [-0.5, 0.0, 1.5],
    "FP64": [-0.1, 0.0, 1e300],
}
TEXTS = ["a", "größer", ""]
VECTORS = [[0.5, 1.5], [2.0, 3.0], [-1.0, 0.0]]


def triton_types() -> dict[str, Any]:
    return {
        "BOOL": np.bool_, "FP16": np.float16, "FP32": np.float32, "FP64": np.float64,
        **{f"{sign}INT{bits}": np.dtype(f"{sign.lower()}int{bits}") for sign in ("", "U") for bits in (8, 16, 32, 64)},
    }  # fmt: skip


@pytest.fixture(scope="module")
def echo(factory: RunningFactory) -> str:
    """Endpoint `echo`, which answers with what it is given: one column of every datatype, and one of vectors."""
    columns: dict[str, Any] = {
        datatype.lower(): np.array(values, dtype=triton_types()[datatype]) for datatype, values in KINDS.items()
    }
    columns["text"] = TEXTS
    columns["vector"] = [np.array(vector) for vector in VECTORS]
    folder = factory.home.parent / "echo"
    sample = pd.DataFrame(columns)
    save(models.Echoes(), folder, name="echo", sample=sample, golden=sample, method="predict",
         owner="ana", description="echoes", notes="first")  # fmt: skip
    factory.release("echo", factory.accepted(folder), deadline="5s", patience="4s")
    return "echo"


@pytest.fixture(scope="module")
def token(factory: RunningFactory) -> str:
    """Of an application that may name the version that shall answer."""
    made = str(factory.admin.add_user("tester", "consumer", may=["override"]).token)

    def is_known() -> bool:
        asked = httpx.get(f"{factory.scoring}/v2/models/stats", headers={"authorization": f"Bearer {made}"})
        return asked.status_code == 200

    wait_for(is_known, told="the token on the front's list")
    return made


@pytest.fixture
def headers(token: str) -> dict[str, str]:
    """Anew for each test: Triton's client writes its own into them."""
    return {"authorization": f"Bearer {token}"}


@pytest.fixture(scope="module")
def client(factory: RunningFactory) -> Iterator[triton.InferenceServerClient]:
    with triton.InferenceServerClient(factory.scoring.removeprefix("http://")) as opened:
        yield opened


def inputs_of(*, binary: Callable[[str], bool]) -> list[triton.InferInput]:
    """One tensor per field, each as raw bytes or as JSON."""
    given = []
    for datatype, values in KINDS.items():
        tensor = triton.InferInput(datatype.lower(), [3], datatype)
        if datatype == "FP16" and not binary(datatype):  # Triton's client has no FP16 in JSON
            tensor.set_data_from_numpy(np.array(values, np.float16), binary_data=True)
        else:
            tensor.set_data_from_numpy(np.array(values, triton_types()[datatype]), binary_data=binary(datatype))
        given.append(tensor)
    text = triton.InferInput("text", [3, 1], "BYTES")
    text.set_data_from_numpy(np.array([[one] for one in TEXTS], dtype=object), binary_data=binary("BYTES"))
    vector = triton.InferInput("vector", [3, 2], "FP64")
    vector.set_data_from_numpy(np.array(VECTORS), binary_data=binary("vector"))
    return [*given, text, vector]


def check_echo(answer: triton.InferResult) -> None:
    for datatype, values in KINDS.items():
        echoed = answer.as_numpy(f"out_{datatype.lower()}")
        assert echoed.dtype == triton_types()[datatype]
        assert echoed.tolist() == values
    texts = [text.decode() if isinstance(text, bytes) else text for text in answer.as_numpy("out_text").tolist()]
    assert texts == TEXTS
    assert answer.as_numpy("out_vector").tolist() == VECTORS


class TestTriton:
    """tritonclient over HTTP, unmodified."""

    def test_what_it_asks_before(
        self, client: triton.InferenceServerClient, echo: str, headers: dict[str, str]
    ) -> None:
        """Liveness, readiness, metadata and configuration."""
        assert client.is_server_live()
        assert client.is_server_ready()
        assert client.is_model_ready(echo, headers=headers)
        assert client.is_model_ready(echo, "1", headers=headers)
        server = client.get_server_metadata()
        assert {"binary_tensor_data", "statistics", "model_repository", "model_configuration"} <= set(
            server["extensions"]
        )
        inputs = {tensor["name"]: tensor for tensor in client.get_model_metadata(echo, headers=headers)["inputs"]}
        assert inputs["vector"] == {"name": "vector", "datatype": "FP64", "shape": [-1, 2]}
        config = client.get_model_config(echo, headers=headers)
        assert {"name": "text", "data_type": "TYPE_STRING", "dims": [1]} in config["input"]
        assert config["max_batch_size"] >= 1

    @pytest.mark.parametrize("packing", [None, "gzip", "deflate"])
    def test_every_datatype_as_raw_bytes(
        self, client: triton.InferenceServerClient, echo: str, headers: dict[str, str], packing: str | None
    ) -> None:
        """The client's default: raw bytes both ways; packed or not."""
        answer = client.infer(
            echo, inputs_of(binary=lambda _: True), request_id="mine", headers=headers,
            request_compression_algorithm=packing, response_compression_algorithm=packing,
        )  # fmt: skip
        check_echo(answer)
        assert answer.get_response()["id"] == "mine"
        assert all("binary_data_size" in output["parameters"] for output in answer.get_response()["outputs"])

    def test_json(self, client: triton.InferenceServerClient, echo: str, headers: dict[str, str]) -> None:
        """JSON both ways."""
        names = [*(datatype.lower() for datatype in KINDS), "text", "vector"]
        wanted = [triton.InferRequestedOutput(f"out_{name}", binary_data=False) for name in names]
        answer = client.infer(echo, inputs_of(binary=lambda _: False), outputs=wanted, headers=headers)
        check_echo(answer)

    def test_mixed(self, client: triton.InferenceServerClient, echo: str, headers: dict[str, str]) -> None:
        """Some tensors in each form, in and out; outputs that were not asked for are left out."""
        wanted = [
            triton.InferRequestedOutput("out_text", binary_data=True),
            triton.InferRequestedOutput("out_int64", binary_data=False),
            triton.InferRequestedOutput("out_vector", binary_data=True),
        ]
        answer = client.infer(
            echo, inputs_of(binary=lambda kind: "INT" in kind or kind == "BYTES"), outputs=wanted, headers=headers
        )
        assert [text.decode() for text in answer.as_numpy("out_text").tolist()] == TEXTS
        assert answer.as_numpy("out_int64").tolist() == KINDS["INT64"]
        assert answer.as_numpy("out_vector").tolist() == VECTORS
        assert answer.as_numpy("out_bool") is None

    def test_a_named_version(self, client: triton.InferenceServerClient, echo: str, headers: dict[str, str]) -> None:
        """A version of the release is reached by its number, with the right to choose it."""
        check_echo(client.infer(echo, inputs_of(binary=lambda _: True), model_version="1", headers=headers))

    def test_its_deadline_and_priority(
        self, client: triton.InferenceServerClient, echo: str, headers: dict[str, str]
    ) -> None:
        """Parameters that the client sends by itself are read or passed over."""
        answer = client.infer(
            echo,
            inputs_of(binary=lambda _: True),
            headers=headers,
            priority=1,
            timeout=4_000_000,
            parameters={"mine": "x"},
        )
        check_echo(answer)

    def test_errors(self, client: triton.InferenceServerClient, echo: str, headers: dict[str, str]) -> None:
        """Mistakes are 400 with a message, unknown names 404."""
        inputs = inputs_of(binary=lambda _: True)
        wrong_type = triton.InferInput("int64", [3], "FP64")
        wrong_type.set_data_from_numpy(np.zeros(3))
        wrong_shape = triton.InferInput("int64", [1], "INT64")
        wrong_shape.set_data_from_numpy(np.zeros(1, np.int64))
        for given, options, status, told in (
            (inputs, {"outputs": [triton.InferRequestedOutput("other")]}, "400", "other"),
            (inputs, {"outputs": [triton.InferRequestedOutput("out_text", class_count=2)]}, "400", "classification"),
            ([wrong_type, *inputs], {}, "400", "int64"),
            ([*inputs, *inputs[:1]], {}, "400", "two tensors"),
            (inputs[1:], {}, "400", "'bool'"),
            ([one if one.name() != "int64" else wrong_shape for one in inputs], {}, "400", "rows"),
            ([one if one.name() != "int64" else wrong_type for one in inputs], {}, "400", "FP64"),
            (inputs, {"model_version": "99"}, "404", "99"),
        ):
            with pytest.raises(triton.InferenceServerException, match=told) as caught:
                client.infer(echo, given, headers=headers, **options)
            assert caught.value.status() == status
        with pytest.raises(triton.InferenceServerException) as caught:
            client.infer("nowhere", inputs, headers=headers)
        assert caught.value.status() == "404"

    def test_repository(self, client: triton.InferenceServerClient, echo: str, headers: dict[str, str]) -> None:
        """The index lists what the token may call; load has nothing to do, unload is refused."""
        (entry,) = [entry for entry in client.get_model_repository_index(headers=headers) if entry["name"] == echo]
        assert entry == {"name": echo, "version": "1", "state": "READY", "reason": ""}
        client.load_model(echo, headers=headers)
        with pytest.raises(triton.InferenceServerException, match="release") as caught:
            client.unload_model(echo, headers=headers)
        assert caught.value.status() == "400"
        with pytest.raises(triton.InferenceServerException, match="nowhere") as caught:
            client.load_model("nowhere", headers=headers)
        assert caught.value.status() == "404"

    def test_statistics(self, client: triton.InferenceServerClient, echo: str, headers: dict[str, str]) -> None:
        """Of all endpoints, of one, and of one version; what was asked is counted."""
        client.infer(echo, inputs_of(binary=lambda _: True), headers=headers)
        for said in (
            client.get_inference_statistics(headers=headers),
            client.get_inference_statistics(echo, headers=headers),
            client.get_inference_statistics(echo, "1", headers=headers),
        ):
            (model,) = [model for model in said["model_stats"] if model["name"] == echo]
            assert model["version"] == "1"
            assert model["inference_stats"]["success"]["count"] >= 1
            assert model["inference_count"] >= 3
            (outcomes,) = [one for one in said["muster"]["endpoints"] if one["name"] == echo]
            assert outcomes["requests"] >= outcomes["chosen"] >= 1


class TestOpenInference:
    """The client that is generated from the protocol's OpenAPI document."""

    @pytest.fixture
    def client(self, factory: RunningFactory, headers: dict[str, str]) -> Iterator[OpenInferenceClient]:
        with httpx.Client(headers=headers) as http:
            yield OpenInferenceClient(base_url=factory.scoring, httpx_client=http)

    def test_its_story(self, client: OpenInferenceClient, echo: str) -> None:
        """Health, metadata, inference with and without a version."""
        client.check_server_liveness()
        client.check_server_readiness()
        client.check_model_readiness(echo)
        client.check_model_version_readiness(echo, "1")
        assert client.read_server_metadata().name == "muster"
        assert client.read_model_metadata(echo).name == echo
        assert client.read_model_version_metadata(echo, "1").platform == "muster"
        request = self.request("mine", [self.tensor(*told) for told in self.tensors()])
        for answer in (
            client.model_infer(echo, request=request),
            client.model_version_infer(echo, "1", request=request),
        ):
            assert answer.id == "mine"
            outputs = {output.name: output for output in answer.outputs}
            assert outputs["out_int64"].data.dict()["__root__"] == KINDS["INT64"]
            assert outputs["out_vector"].shape == [3, 2]

    def test_its_errors(self, client: OpenInferenceClient, echo: str) -> None:
        """400 and 404, each with a message."""
        with pytest.raises(BadRequestError) as caught:
            client.model_infer(echo, request=self.request(None, []))
        assert list(caught.value.body) == ["error"]
        with pytest.raises(ApiError) as unknown:
            client.read_model_metadata("nowhere")
        assert (unknown.value.status_code, list(unknown.value.body)) == (404, ["error"])

    def request(self, given: str | None, inputs: list[RequestInput]) -> InferenceRequest:
        return InferenceRequest.parse_obj({"inputs": inputs} | ({} if given is None else {"id": given}))

    def tensors(self) -> Iterator[tuple[str, str, list[int], list[Any]]]:
        for datatype, values in KINDS.items():
            yield datatype.lower(), datatype, [3], values
        yield "text", "BYTES", [3], TEXTS
        yield "vector", "FP64", [3, 2], VECTORS

    def tensor(self, name: str, datatype: str, shape: list[int], data: list[Any]) -> RequestInput:
        # The client's own reading of a list makes 1.0 of true, which no BOOL is.
        tensor = {"name": name, "datatype": datatype, "shape": shape, "data": TensorData.construct(__root__=data)}
        return RequestInput.parse_obj(tensor)


class TestRecords:
    """The records form by header, over a plain HTTP client."""

    def frame(self) -> pd.DataFrame:
        return pd.DataFrame(
            {datatype.lower(): np.array(values, triton_types()[datatype]) for datatype, values in KINDS.items()}
            | {"text": TEXTS, "vector": VECTORS}
        )

    def post(self, factory: RunningFactory, body: bytes, **headers: str) -> httpx.Response:
        authorization = f"Bearer {factory.tokens['shop']}"
        return httpx.post(
            f"{factory.scoring}/score/echo",
            content=body,
            headers={"authorization": authorization}
            | {name.replace("_", "-"): value for name, value in headers.items()},
        )

    def bodies(self) -> dict[str, bytes]:
        frame = self.frame()
        rows = json.loads(frame.to_json(orient="records", double_precision=15))
        for row, value in zip(rows, KINDS["FP64"], strict=True):
            row["fp64"] = value
        frame["vector"] = [json.dumps(vector) for vector in VECTORS]
        text = frame.to_csv(index=False)
        arrow = pa.Table.from_pandas(self.frame(), preserve_index=False)
        sink = io.BytesIO()
        with pa.ipc.new_stream(sink, arrow.schema) as writer:
            writer.write_table(arrow)
        return {
            "application/json": json.dumps({"rows": rows}).encode(),
            "application/x-ndjson": "\n".join(map(json.dumps, rows)).encode(),
            "text/csv": text.encode(),
            "application/vnd.apache.arrow.stream": sink.getvalue(),
        }

    @pytest.mark.parametrize(
        "form", ["application/json", "application/x-ndjson", "text/csv", "application/vnd.apache.arrow.stream"]
    )
    def test_every_form_in_and_out(self, factory: RunningFactory, echo: str, form: str) -> None:
        """The same rows in four forms are answered alike in three, packed or not."""
        body = self.bodies()[form]
        for sent, packing in ((body, {}), (gzip.compress(body), {"content_encoding": "gzip"})):
            answer = self.post(
                factory, sent, content_type=form, muster_deadline_ms="4000", muster_client_id="mine", **packing
            )
            assert answer.status_code == 200, answer.text
            self.check(answer.json()["answers"])
        answer = self.post(factory, body, content_type=form, accept="application/x-ndjson")
        assert answer.headers["content-type"] == "application/x-ndjson"
        self.check([json.loads(line) for line in answer.text.splitlines()])
        answer = self.post(factory, body, content_type=form, accept="application/vnd.apache.arrow.stream")
        table = pa.ipc.open_stream(answer.content).read_all()
        assert table.schema.metadata[b"muster.request_id"].decode() == answer.headers["muster-request-id"]
        self.check(table.to_pylist())

    def check(self, rows: list[dict[str, Any]]) -> None:
        for datatype, values in KINDS.items():
            assert [row[f"out_{datatype.lower()}"] for row in rows] == values
        assert [row["out_text"] for row in rows] == TEXTS
        assert [row["out_vector"] for row in rows] == VECTORS
        assert {row["variant"] for row in rows} == {"echo:1"}

    def test_other_forms(self, factory: RunningFactory, echo: str) -> None:
        """415 for a body, 406 for an answer, 400 for a body that is not what it says, 413 for one that unpacks too far."""
        body = self.bodies()["application/json"]
        for headers, sent, status in (
            ({"content_type": "application/xml"}, body, 415),
            ({"content_encoding": "br"}, body, 415),
            ({"accept": "text/html"}, body, 406),
            ({"content_type": "text/csv"}, body, 400),
            ({"content_type": "application/vnd.apache.arrow.stream"}, body, 400),
            ({"content_encoding": "gzip"}, body, 400),
            ({"content_encoding": "gzip"}, gzip.compress(bytes(200_000_000)), 413),
        ):
            answer = self.post(factory, sent, **headers)
            assert (answer.status_code, list(answer.json())) == (status, ["error"]), answer.text
