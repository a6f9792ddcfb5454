"""The scoring door against machines that think of what people do not: no request whatsoever makes it fail.

Schemathesis reads the OpenAPI document that the front serves, and tries what it allows and what it does not. Hypothesis makes
documents, and breaks good requests. Both try the same in every run.
"""

import io
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import mixed_endpoint as mixed
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mixed_endpoint import OUTPUTS, ROW, encoded, records, tensors
from raw_http import Conversation, Response, request
from running_factory import RunningFactory, wait_for

SCORE, INFER = f"/score/{mixed.NAME}", f"/v2/models/{mixed.NAME}/infer"
DEFAULT = {"out_x": 0.0, "out_n": 0, "out_flag": False, "out_text": "", "out_vector": [0.0, 0.0]}
TRIED = settings(
    max_examples=250, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from([*ROW, *OUTPUTS, "rows", "inputs", "NaN", "Infinity", "FP64", "BYTES", "1.5"])
    | st.text(),
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.dictionaries(
            st.sampled_from([*ROW, "rows", "inputs", "id", "name", "shape", "datatype", "data", "parameters", "outputs"])
            | st.text(max_size=5),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)  # fmt: skip


@pytest.fixture(scope="module")
def served(factory: RunningFactory) -> RunningFactory:
    """A factory with an endpoint that always has an answer, and with a token for each kind of caller."""
    mixed.release_mixed(factory, default=DEFAULT)
    made = {
        "elsewhere": factory.admin.add_user("elsewhere", "consumer", endpoints=["other"]),
        "overrider": factory.admin.add_user("overrider", "consumer", may=["override"]),
    }
    factory.tokens |= {name: str(user.token) for name, user in made.items()}
    factory.tokens["stranger"] = "mst_nobody"

    def is_known(name: str) -> bool:
        headers = {"authorization": f"Bearer {factory.tokens[name]}"}
        return httpx.get(factory.scoring + "/v2/models/stats", headers=headers).status_code == 200

    wait_for(lambda: all(map(is_known, made)), told="the tokens on the front's list")
    return factory


@pytest.fixture(scope="module")
def front(served: RunningFactory) -> Iterator[httpx.Client]:
    """The scoring side as an application has it that may override."""
    headers = {"authorization": f"Bearer {served.tokens['overrider']}"}
    with httpx.Client(base_url=served.scoring, headers=headers, timeout=30) as client:
        yield client


@pytest.fixture(scope="module")
def document(front: httpx.Client) -> dict[str, Any]:
    """The document as it is served to whoever asks, narrowed to what this factory has, so that much of what is tried is answered."""
    answer = httpx.get(str(front.base_url.join("/openapi.json")))
    assert answer.headers["content-type"] == "application/json"
    narrowed: dict[str, Any] = answer.json()
    parameters, schemas = narrowed["components"]["parameters"], narrowed["components"]["schemas"]
    parameters["endpoint"]["schema"] = {"enum": [mixed.NAME]}
    parameters["number"]["schema"] = {"enum": ["1"]}
    parameters["variant"]["schema"] = {"enum": [f"{mixed.NAME}:1"]}
    kinds: dict[str, Any] = {
        "x": {"type": "number"}, "n": {"type": "integer"}, "flag": {"type": "boolean"}, "text": {"type": "string"},
        "vector": {"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2},
    }  # fmt: skip
    row = {"type": "object", "properties": kinds, "required": list(kinds), "additionalProperties": False}
    schemas["ScoreRequest"]["properties"]["rows"] |= {"items": row, "minItems": 1}
    tensor = schemas["InferTensor"]["properties"]
    tensor["name"] |= {"enum": list(kinds)}
    tensor["datatype"] |= {"enum": ["FP64", "INT64", "BOOL", "BYTES"]}
    tensor["data"] = {"type": "array", "items": {"type": ["number", "string", "boolean", "null", "array"]}}
    schemas["RequestedOutput"]["properties"]["name"] |= {"enum": list(OUTPUTS)}
    return narrowed


def check(answer: httpx.Response, *statuses: int) -> None:
    """One of these statuses; an error as every error is."""
    assert answer.status_code in statuses, (answer.status_code, answer.text[:300])
    if answer.status_code != 200:
        assert answer.headers["content-type"] == "application/json"
        (message,) = answer.json().values()
        assert list(answer.json()) == ["error"]
        assert isinstance(message, str)
        assert 0 < len(message) <= 1000


def check_alive(front: httpx.Client) -> None:
    """It answers, and rightly."""
    answer = front.post(SCORE, json=records())
    assert answer.status_code == 200, answer.text
    assert answer.json()["answers"][0].items() >= OUTPUTS.items()


# Schemathesis.


@pytest.mark.parametrize(("name", "examples"), [("overrider", 25), ("shop", 5), ("elsewhere", 5), ("stranger", 5), ("ana", 5)])  # fmt: skip
def test_no_request_whatsoever_makes_scoring_fail(
    served: RunningFactory, front: httpx.Client, document: dict[str, Any], tmp_path: Path, name: str, examples: int
) -> None:
    """Whoever asks: every status, content type, header and body is as the document says, and none is above 499.

    All checks of Schemathesis but two: that all that a schema allows is accepted, which cannot say that shapes fit data; and that
    nothing else is, for headers that nobody knows pass.
    """
    written = tmp_path / "openapi.json"
    written.write_text(json.dumps(document))
    done = subprocess.run(
        [
            sys.executable, "-m", "schemathesis.cli", "run", str(written), "--url", served.scoring, "--no-color",
            "--phases", "coverage,fuzzing", "--max-examples", str(examples), "--generation-deterministic",
            "--checks", "all", "--exclude-checks", "positive_data_acceptance,negative_data_rejection", "--continue-on-failure",
            "-H", f"Authorization: Bearer {served.tokens[name]}",
        ],
        cwd=tmp_path, capture_output=True, text=True, timeout=240, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    check_alive(front)


def test_what_schemathesis_tried_was_answered_as_well_as_refused(served: RunningFactory, front: httpx.Client) -> None:
    """Of what the applications asked above, much reached the models."""
    answer = front.get("/v2/models/stats").json()
    (outcomes,) = answer["muster"]["endpoints"]
    assert outcomes["chosen"] > 20
    assert outcomes["failed"] == 0


# Hypothesis.


def ways_into(value: Any, way: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The way to every value within a document."""
    yield way
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, one in inner:
        yield from ways_into(one, (*way, key))


def changed(document: Any, way: tuple[Any, ...], change: Callable[[Any], Any]) -> Any:
    """The document with the value at the end of the way changed."""
    if not way:
        return change(document)
    copied = dict(document) if isinstance(document, dict) else list(document)
    copied[way[0]] = changed(copied[way[0]], way[1:], change)
    return copied


@st.composite
def spoilt(draw: st.DrawFn, good: dict[str, Any]) -> bytes:
    """A good request of which one to three values are others, gone, or there twice."""
    document: Any = good
    for _ in range(draw(st.integers(1, 3))):
        way = draw(st.sampled_from(list(ways_into(document))))
        how = draw(st.sampled_from(["other", "other", "more", "wrapped", "doubled", "gone"]))
        if way and how == "gone":
            document = changed(document, way[:-1], partial(without, way[-1]))
        elif how == "wrapped":
            document = changed(document, way, wrapped)
        elif how == "doubled":
            document = changed(document, way, doubled)
        elif how == "more":
            document = changed(document, way, partial(more, draw(st.text(max_size=10)), draw(JSON)))
        else:
            other = draw(JSON)
            document = changed(document, way, partial(instead, other))
    return encoded(document) if draw(st.booleans()) else json.dumps(document).encode()


def instead(other: Any, _: Any) -> Any:
    """Another value."""
    return other


def wrapped(value: Any) -> Any:
    """The value in a list."""
    return [value]


def doubled(value: Any) -> Any:
    """A list or text twice over."""
    return value * 2 if isinstance(value, list | str) else value


def more(name: str, other: Any, value: Any) -> Any:
    """An object with one more member; for what is no object, the other value."""
    return value | {name: other} if isinstance(value, dict) else other


def without(key: Any, value: Any) -> Any:
    """A list or object without one of its values."""
    if isinstance(value, dict):
        return {name: one for name, one in value.items() if name != key}
    return [one for index, one in enumerate(value) if index != key]


@st.composite
def broken(draw: st.DrawFn, good: bytes) -> bytes:
    """Good bytes of which some are others, gone, or more."""
    body = good
    for _ in range(draw(st.integers(1, 3))):
        at = draw(st.integers(0, len(body)))
        upto = draw(st.integers(at, min(len(body), at + 8)))
        body = (
            body[:at]
            + draw(st.binary(max_size=8) | st.sampled_from([b"", body[at:upto] * 2, b"9" * 400]))
            + body[upto:]
        )
    return body  # fmt: skip


def arrow() -> bytes:
    """The row as an Arrow stream."""
    table = pa.Table.from_pylist([ROW])
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue()


GOOD: dict[str, tuple[str, dict[str, str], bytes]] = {
    "records": (SCORE, {}, encoded(records(ROW, ROW, id="mine", deadline_ms=4000))),
    "v2": (
        INFER, {}, encoded(tensors(id="mine", parameters={"timeout": 4_000_000}, outputs=[{"name": "out_x"}])),
    ),
    "ndjson": (SCORE, {"content-type": "application/x-ndjson"}, encoded(ROW) + b"\n" + encoded(ROW)),
    "csv": (SCORE, {"content-type": "text/csv"}, 'x,n,flag,text,vector\n1.5,7,true,größer,"[0.5, -1.0]"\n'.encode()),
    "arrow": (SCORE, {"content-type": "application/vnd.apache.arrow.stream"}, arrow()),
}  # fmt: skip


@pytest.mark.parametrize("form", GOOD)
def test_the_good_requests_are_good(front: httpx.Client, form: str) -> None:
    """What is broken below is answered when it is not."""
    path, headers, body = GOOD[form]
    check(front.post(path, content=body, headers=headers), 200)


@pytest.mark.parametrize("path", [SCORE, INFER])
def test_any_document_is_refused_or_answered(front: httpx.Client, path: str) -> None:
    """Random JSON."""

    @TRIED
    @given(JSON)
    def tried(given_document: Any) -> None:
        check(front.post(path, content=json.dumps(given_document).encode()), 200, 400)

    tried()
    check_alive(front)


@pytest.mark.parametrize("good", [records(ROW, ROW, id="mine", deadline_ms=4000), tensors(id="mine", parameters={"timeout": 4_000_000}, outputs=[{"name": "out_x", "parameters": {"binary_data": True}}])], ids=["records", "v2"])  # fmt: skip
def test_a_good_request_with_other_values_is_refused_or_answered(front: httpx.Client, good: dict[str, Any]) -> None:
    """Values within it are others, gone, doubled, or wrapped."""

    @TRIED
    @given(spoilt(good))
    def tried(body: bytes) -> None:
        check(front.post(SCORE if "rows" in good else INFER, content=body), 200, 400)

    tried()
    check_alive(front)


@pytest.mark.parametrize("form", GOOD)
def test_a_good_request_with_other_bytes_is_refused_or_answered(front: httpx.Client, form: str) -> None:
    """In every form: bytes within it are others, gone, or more."""
    path, headers, good = GOOD[form]

    @TRIED
    @given(broken(good))
    def tried(body: bytes) -> None:
        check(front.post(path, content=body, headers=headers), 200, 400, 413)

    tried()
    check_alive(front)


def test_raw_tensors_with_other_bytes_are_refused_or_answered(front: httpx.Client) -> None:
    """The binary extension: bytes of the JSON, of the tensors, and the length that tells them apart."""
    document = tensors(parameters={"binary_data_output": True})
    raw = {0: b"\0" * 8, 1: b"\1" * 8, 2: b"\1", 3: b"\3\0\0\0abc", 4: b"\0" * 16}
    for place, data in raw.items():
        del document["inputs"][place]["data"]
        document["inputs"][place]["parameters"] = {"binary_data_size": len(data)}
    head = encoded(document)
    good = head + b"".join(raw.values())
    header = "inference-header-content-length"
    check(front.post(INFER, content=good, headers={header: str(len(head))}), 200)

    @TRIED
    @given(broken(good), st.just(len(head)) | st.integers(-1, len(good) + 1))
    def tried(body: bytes, length: int) -> None:
        check(front.post(INFER, content=body, headers={header: str(length)}), 200, 400)

    tried()
    check_alive(front)


#: What a client would never let through is sent as well.
_VALUES = st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=40)
_SENSIBLE = st.sampled_from(
    ["gzip", "deflate", "identity", "application/json", "text/csv", "application/x-ndjson", "*/*", "1", "1e3", "250",
     "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01", "mixed:1", "application/json;q=0.5, */*;q=x", "1_0", "nan"],
)  # fmt: skip
_NAMES = st.sampled_from(
    ["content-type", "content-encoding", "accept", "accept-encoding", "muster-deadline-ms", "muster-variant", "muster-client-id",
     "idempotency-key", "traceparent", "tracestate", "inference-header-content-length", "expect", "cookie", "x-other"],
)  # fmt: skip


def check_response(response: Response, *statuses: int) -> None:
    """One of these statuses; an error as every error is."""
    assert response.status in statuses, response
    if response.status != 200:
        assert response.header("content-type") == "application/json"
        assert list(response.json()) == ["error"]


@pytest.mark.parametrize("form", ["records", "v2"])
def test_any_headers_are_refused_or_obeyed(served: RunningFactory, front: httpx.Client, form: str) -> None:
    """Random values, and good values of other headers."""
    path, _, good = GOOD[form]
    token = ("authorization", f"Bearer {served.tokens['overrider']}")

    @TRIED
    @given(st.dictionaries(_NAMES, _VALUES | _SENSIBLE, min_size=1, max_size=4))
    def tried(headers: dict[str, str]) -> None:
        with Conversation(served.scoring) as conversation:
            conversation.send(request("POST", path, [token, *headers.items()], good))
            check_response(conversation.response(), 200, 400, 404, 406, 409, 415, 417)

    tried()
    check_alive(front)


def test_any_address_is_known_or_not(served: RunningFactory, front: httpx.Client) -> None:
    """Random addresses, and ones that look like ours."""
    token = ("authorization", f"Bearer {served.tokens['overrider']}")
    ours = st.sampled_from(
        [
            "v2",
            "models",
            mixed.NAME,
            "versions",
            "1",
            "infer",
            "ready",
            "config",
            "stats",
            "health",
            "live",
            "score",
            "",
            "%6d",
        ]
    )
    part = ours | st.text(st.characters(max_codepoint=255, exclude_characters="\r\n"), max_size=8)
    methods = st.sampled_from(["GET", "POST", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"])

    @TRIED
    @given(st.lists(part, max_size=7), methods, st.booleans())
    def tried(parts: list[str], method: str, is_absolute: bool) -> None:
        target = ("http://x/" if is_absolute else "/") + "/".join(parts)
        with Conversation(served.scoring) as conversation:
            conversation.send(request(method, target, [token]))
            response = conversation.response(has_body=method != "HEAD")
        assert response.status in {200, 400, 404, 405}, response
        if method != "HEAD":
            check_response(response, 200, 400, 404, 405)

    tried()
    check_alive(front)


def test_nothing_of_all_this_was_an_error_of_the_front(served: RunningFactory, front: httpx.Client) -> None:
    """No exception in its log, and it is the process that was started."""
    check_alive(front)
    (log,) = (served.home / "logs").glob("front-*.log")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line for line in lines if line["level"] == "error"] == []
    assert [line["event"] for line in lines].count("front.started") == 1
