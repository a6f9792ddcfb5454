"""What the scoring door answers to what a caller can do right or wrong, case by case.

Every mistake is a 4xx that says what is wrong, in the one body that errors have, and the front goes on as if nothing had been.
"""

import gzip
import json
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import mixed_endpoint as mixed
import models
import pytest
from mixed_endpoint import OUTPUTS, ROW, encoded, records, tensors
from running_factory import RunningFactory, wait_for

SCORE, INFER = f"/score/{mixed.NAME}", f"/v2/models/{mixed.NAME}/infer"
#: A message is for people: nobody reads a page, and nobody is sent back what they sent.
LONGEST_MESSAGE = 1000


@pytest.fixture(scope="module")
def front(factory: RunningFactory) -> Iterator[httpx.Client]:
    """The scoring side as an operator has it, who may override."""
    mixed.release_mixed(factory)
    headers = {"authorization": f"Bearer {factory.tokens['olga']}"}
    with httpx.Client(base_url=factory.scoring, headers=headers, timeout=30) as client:
        yield client


def check_refusal(answer: httpx.Response, status: int, told: str = "") -> None:
    """An error as every error is."""
    assert answer.status_code == status, answer.text[:300]
    assert answer.headers["content-type"] == "application/json"
    assert list(answer.json()) == ["error"]
    message = answer.json()["error"]
    assert 0 < len(message) <= LONGEST_MESSAGE
    assert told.lower() in message.lower(), message


def check_alive(front: httpx.Client) -> None:
    """It answers, and rightly."""
    answer = front.post(SCORE, json=records())
    assert answer.status_code == 200, answer.text
    assert answer.json()["answers"][0].items() >= OUTPUTS.items()


# Bodies that are no requests; the same in both forms.

_OK = {SCORE: encoded(records()), INFER: encoded(tensors())}


def instead(old: str, new: str | bytes) -> Callable[[str], bytes]:
    """A good body in which a value is another."""
    replaced = new if isinstance(new, bytes) else new.encode()

    def body(path: str) -> bytes:
        assert old.encode() in _OK[path]
        return _OK[path].replace(old.encode(), replaced)

    return body


def member(text: str) -> Callable[[str], bytes]:
    """A good body with one more member."""
    return lambda path: _OK[path][:-1] + b"," + text.encode() + b"}"


NONSENSE: dict[str, tuple[bytes | Callable[[str], bytes], str]] = {
    "an empty body": (b"", ""),
    "blanks": (b" \r\n\t ", ""),
    "null": (b"null", "object"),
    "a list": (b"[]", "object"),
    "a number": (b"17", "object"),
    "a text": (b'"rows"', "object"),
    "an empty object": (b"{}", "missing"),
    "a byte order mark": (lambda path: b"\xef\xbb\xbf" + _OK[path], "malformed"),
    "UTF-16": (lambda path: _OK[path].decode().encode("utf-16"), "malformed"),
    "something behind it": (lambda path: _OK[path] + b"x", "trailing"),
    "two documents": (lambda path: _OK[path] * 2, "trailing"),
    "half a document": (lambda path: _OK[path][: len(_OK[path]) // 2], "truncated"),
    "single quotes": (lambda path: _OK[path].replace(b'"', b"'"), "malformed"),
    "a comment": (lambda path: b"/* good */" + _OK[path], "malformed"),
    "a comma too many": (lambda path: _OK[path][:-1] + b",}", "comma"),
    "10,000 lists that do not end": (b"[" * 10_000, ""),
    "10,000 lists": (b"[" * 10_000 + b"]" * 10_000, ""),
    "10,000 objects": (b'{"a":' * 10_000 + b"1" + b"}" * 10_000, ""),
    "a value 10,000 lists deep": (instead("1.5", b"[" * 10_000 + b"]" * 10_000), "recursion"),
    "a value 10,000 objects deep": (instead("1.5", b'{"a":' * 10_000 + b"1" + b"}" * 10_000), "recursion"),
    "a vector 100,000 lists deep": (instead("[0.5, -1.0]", b"[" * 100_000 + b"]" * 100_000), "recursion"),
    "an unknown member 50,000 lists deep": (member('"z":' + "[" * 50_000 + "]" * 50_000), ""),
    "5,000 digits": (instead("1.5", "9" * 5000), "out of range"),
    "400 digits": (instead("1.5", "9" * 400), "'x'"),
    "5,000 digits of a whole number": (instead("7", "9" * 5000), "out of range"),
    "400 digits of a whole number": (instead("7", "9" * 400), "'n'"),
    "2^63": (instead("7", str(2**63)), "'n'"),
    "-2^63-1": (instead("7", str(-(2**63) - 1)), "'n'"),
    "2^64": (instead("7", str(2**64)), "'n'"),
    "a fraction for a whole number": (instead("7", "7.5"), "'n'"),
    "1e999": (instead("1.5", "1e999"), "out of range"),
    "-1e400000": (instead("1.5", "-1e400000"), "out of range"),
    "NaN as a token": (instead("1.5", "NaN"), "malformed"),
    "Infinity as a token": (instead("1.5", "Infinity"), "malformed"),
    "-Infinity as a token": (instead("1.5", "-Infinity"), "malformed"),
    "a leading zero": (instead("7", "07"), "malformed"),
    "a leading plus": (instead("7", "+7"), "malformed"),
    "hexadecimal": (instead("7", "0x7"), "malformed"),
    "a truth of Python": (instead("true", "True"), "malformed"),
    "1 for true": (instead("true", "1"), "'flag'"),
    "true for a number": (instead("1.5", "true"), "'x'"),
    "a text for a number": (instead("1.5", '"1.5"'), "'x'"),
    "a number for a text": (instead('"größer"', "1"), "'text'"),
    "null where none may be": (instead("1.5", "null"), "null"),
    "an object for a number": (instead("1.5", "{}"), "'x'"),
    "a lone high surrogate": (instead("größer", "\\ud800!"), ""),
    "a lone low surrogate": (instead("größer", "\\udc00"), "surrogate"),
    "a surrogate in UTF-8": (instead("größer", b"\xed\xa0\x80"), "utf-8"),
    "invalid UTF-8": (instead("größer", b"\xff\xfe"), "utf-8"),
    "overlong UTF-8": (instead("größer", b"\xc0\xaf"), "utf-8"),
    "invalid UTF-8 in a name": (instead('"x"', b'"\xff"'), ""),
    "a raw control character": (instead("größer", b"\n"), "malformed"),
    "a raw NUL": (instead("größer", b"\0"), "malformed"),
    "an unknown escape": (instead("größer", "\\x41"), "escape"),
    "too short a vector": (instead("[0.5, -1.0]", "[0.5]"), "'vector'"),
    "too long a vector": (instead("[0.5, -1.0]", "[0.5, -1.0, 2.0]"), "'vector'"),
    "a ragged vector": (instead("[0.5, -1.0]", "[[0.5], -1.0]"), "'vector'"),
    "an id that is no text": (member('"id": 17'), "id"),
    "an id with a lone surrogate": (member('"id": "\\ud800"'), ""),
}  # fmt: skip


@pytest.mark.parametrize("path", [SCORE, INFER])
@pytest.mark.parametrize(("body", "told"), NONSENSE.values(), ids=NONSENSE)
def test_nonsense_is_a_400_that_says_what_is_wrong(
    front: httpx.Client, path: str, body: bytes | Callable[[str], bytes], told: str
) -> None:
    """Whatever the body is, the answer is a message, and the next request is answered."""
    check_refusal(front.post(path, content=body if isinstance(body, bytes) else body(path)), 400, told)
    check_alive(front)


@pytest.mark.parametrize("path", [SCORE, INFER])
@pytest.mark.parametrize("around", ["[]", '{"a":}'])
def test_nesting_at_the_edge_of_what_can_be_read(front: httpx.Client, path: str, around: str) -> None:
    """What can just be read can no longer be shown: it is a 400 at every depth."""
    for depth in range(880, 1010):
        value = around[:-1] * depth + "1" + around[-1] * depth
        check_refusal(front.post(path, content=instead("1.5", value)(path)), 400)
    check_alive(front)


@pytest.mark.parametrize(
    "request_",
    [
        (SCORE, records(ROW | {"y" * 100_000: 1}), 400),
        (SCORE, records(ROW | {"text": ["z" * 100_000]}), 400),
        (INFER, tensors(outputs=[{"name": "y" * 100_000}]), 400),
        (INFER, tensors(parameters={"timeout": "y" * 100_000}), 400),
        (INFER, tensors(parameters={"binary_data_output": "y" * 100_000}), 400),
        (INFER, {"inputs": [{"name": "y" * 100_000, "shape": [1], "datatype": "FP64"}]}, 400),
        (INFER, {"inputs": [{"name": "x", "shape": [1], "datatype": "F" * 100_000, "data": [1]}]}, 400),
    ],
)
def test_nobody_is_sent_back_pages_of_what_they_sent(
    front: httpx.Client, request_: tuple[str, dict[str, Any], int]
) -> None:
    """A message stays one that can be read."""
    path, document, status = request_
    check_refusal(front.post(path, json=document), status)


@pytest.mark.parametrize("path", [SCORE, INFER])
def test_the_unusual_is_answered(front: httpx.Client, path: str) -> None:
    """What JSON allows is no mistake: escapes, many digits, blanks, other names for JSON; of two equal names the last holds."""
    for body in (
        instead("größer", "\\u0000")(path),
        instead("größer", "\\ud83d\\ude00")(path),
        instead("1.5", "1.5" + "0" * 100_000)(path),
        instead("1.5", "15e-1")(path),
        instead("7", "7.0")(path),
        instead("7", str(-(2**63)))(path),
        b" \r\n" + _OK[path] + b"\t ",
        instead("1.5", "1.5")(path).replace(b'"n"', b'"\\u006e"'),
        member('"id": null')(path),
        member('"id": ""')(path),
        member('"id": "' + "x" * 1000 + '"')(path),
    ):
        answer = front.post(path, content=body)
        assert answer.status_code == 200, (body[:200], answer.text)
    for content_type in ("text/json", "application/json; charset=utf-8", "application/x-www-form-urlencoded", ""):
        assert front.post(path, content=_OK[path], headers={"content-type": content_type}).status_code == 200
    twice = front.post(SCORE, content=instead('"x": 1.5', '"x": 1.5, "x": 2.5')(SCORE))
    assert twice.json()["answers"][0]["out_x"] == 2.5


# Headers.

HEADERS: dict[str, tuple[dict[str, Any], int, str]] = {
    "another type": ({"content-type": "application/xml"}, 415, "application/xml"),
    "no type": ({"content-type": "nonsense"}, 415, "nonsense"),
    "another charset": ({"content-type": "application/json; charset=utf-16"}, 415, ""),
    "another packing": ({"content-encoding": "br"}, 415, "gzip"),
    "two packings": ({"content-encoding": "gzip, gzip"}, 415, "gzip"),
    "not packed": ({"content-encoding": "gzip"}, 400, "gzip"),
    "not deflated": ({"content-encoding": "deflate"}, 400, "deflate"),
    "a deadline of 0": ({"muster-deadline-ms": "0"}, 400, "above 0"),
    "a deadline below 0": ({"muster-deadline-ms": "-1"}, 400, "above 0"),
    "a deadline that is no number": ({"muster-deadline-ms": "soon"}, 400, "soon"),
    "no deadline": ({"muster-deadline-ms": ""}, 400, "Muster-Deadline-Ms"),
    "a deadline of 5,000 digits": ({"muster-deadline-ms": "9" * 5000}, 400, "Muster-Deadline-Ms"),
    "an infinite deadline": ({"muster-deadline-ms": "inf"}, 400, "inf"),
    "a deadline of NaN": ({"muster-deadline-ms": "nan"}, 400, "nan"),
    "an empty id": ({"muster-client-id": ""}, 400, "Muster-Client-Id"),
    "a long id": ({"muster-client-id": "x" * 257}, 400, "257"),
    "an id in Latin-1": ({"muster-client-id": b"gr\xfcn"}, 400, "UTF-8"),
    "an id with a tab": ({"muster-client-id": "a\tb"}, 400, "printable"),
    "an empty key": ({"idempotency-key": ""}, 400, "Idempotency-Key"),
    "a key with blanks": ({"idempotency-key": "a b"}, 400, "Idempotency-Key"),
    "a long key": ({"idempotency-key": "x" * 201}, 400, "200"),
    "an unknown variant": ({"muster-variant": "mixed:9"}, 404, "mixed:9"),
    "no variant": ({"muster-variant": ""}, 404, "version"),
    "a variant in Latin-1": ({"muster-variant": b"\xff"}, 404, "version"),
}


@pytest.mark.parametrize("path", [SCORE, INFER])
@pytest.mark.parametrize(("headers", "status", "told"), HEADERS.values(), ids=HEADERS)
def test_a_wrong_header_is_refused_by_name(
    front: httpx.Client, path: str, headers: dict[str, Any], status: int, told: str
) -> None:
    """The body is good; the message says which header is not."""
    check_refusal(front.post(path, content=_OK[path], headers=headers), status, told)
    check_alive(front)


@pytest.mark.parametrize(
    "accept", ["text/html", "*/*;q=0", "nonsense", "application/json;q=0", "application/json;q=nan"]
)
def test_a_form_of_answer_that_there_is_not_is_406(front: httpx.Client, accept: str) -> None:
    """It is refused before anything is computed, with the forms that there are."""
    check_refusal(front.post(SCORE, content=_OK[SCORE], headers={"accept": accept}), 406, "application/x-ndjson")


PACKED: dict[str, tuple[str, Callable[[bytes], bytes], int]] = {
    "cut off": ("gzip", lambda body: gzip.compress(body)[:-9], 400),
    "wrong checksum": ("gzip", lambda body: gzip.compress(body)[:-8] + bytes(8), 400),
    "something behind it": ("gzip", lambda body: gzip.compress(body) + b"xx", 400),
    "packed twice": ("gzip", lambda body: gzip.compress(gzip.compress(body)), 400),
    "nothing in it": ("gzip", lambda _: gzip.compress(b""), 400),
    "empty": ("gzip", lambda _: b"", 400),
    "a bomb": ("gzip", lambda _: gzip.compress(bytes(1 << 28)), 413),
    "a bomb of many members": ("gzip", lambda _: gzip.compress(bytes(1 << 24)) * 32, 413),
    "a thousand members": ("gzip", lambda _: gzip.compress(b" ") * 1000, 400),
    "a deflated bomb": ("deflate", lambda _: zlib.compress(bytes(1 << 28)), 413),
    "deflated and cut off": ("deflate", lambda body: zlib.compress(body)[:-5], 400),
}  # fmt: skip


@pytest.mark.parametrize("path", [SCORE, INFER])
@pytest.mark.parametrize(("packing", "pack", "status"), PACKED.values(), ids=PACKED)
def test_packed_bodies_that_are_not_what_they_say(
    front: httpx.Client, path: str, packing: str, pack: Callable[[bytes], bytes], status: int
) -> None:
    """400 where they cannot be unpacked, 413 where too much would come out."""
    check_refusal(front.post(path, content=pack(_OK[path]), headers={"content-encoding": packing}), status)
    check_alive(front)


@pytest.mark.parametrize("path", [SCORE, INFER])
def test_too_large_is_413(front: httpx.Client, path: str) -> None:
    """Whether the length is announced or not."""
    limit = int(front.get(f"/v2/models/{mixed.NAME}/config").json()["parameters"]["body_bytes"]["string_value"])
    check_refusal(front.post(path, content=_OK[path] + b" " * limit), 413, str(limit))
    parts = (b" " * 65536 for _ in range(limit // 65536 + 1))
    check_refusal(front.post(path, content=parts), 413, str(limit))
    check_alive(front)


def test_too_many_rows_are_a_400(front: httpx.Client) -> None:
    """The message says how many there may be."""
    check_refusal(front.post(SCORE, json=records(*[ROW] * 1001)), 400, "1000")
    check_refusal(front.post(SCORE, json={"rows": []}), 400, "row")


# The Open Inference Protocol V2.


def with_first(**changes: Any) -> Callable[[dict[str, Any]], Any]:
    """Changes the tensor `x`; None takes a member away."""

    def change(request: dict[str, Any]) -> None:
        for name, value in changes.items():
            if value is ...:
                del request["inputs"][0][name]
            else:
                request["inputs"][0][name] = value

    return change


def with_parameter(name: str, value: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda request: request.update(parameters={name: value})


def with_outputs(*outputs: Any) -> Callable[[dict[str, Any]], Any]:
    return lambda request: request.update(outputs=list(outputs))


V2_MISTAKES: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no inputs": (lambda request: request.update(inputs=[]), "'x'"),
    "inputs that are no list": (lambda request: request.update(inputs={}), "inputs"),
    "a missing input": (lambda request: request["inputs"].pop(), "'vector'"),
    "an input twice": (lambda request: request["inputs"].append(request["inputs"][0]), "two"),
    "an unknown input": (
        lambda request: request["inputs"].append({"name": "y", "shape": [1], "datatype": "FP64", "data": [1]}), "'y'",
    ),
    "an unknown datatype": (with_first(datatype="FP65"), "FP65"),
    "a datatype in lower case": (with_first(datatype="fp64"), "fp64"),
    "another datatype": (with_first(datatype="BYTES", data=["1.5"]), "BYTES"),
    "a datatype that would lose digits": (lambda request: request["inputs"][1].update(datatype="FP64"), "INT64"),
    "no shape": (with_first(shape=...), "shape"),
    "an empty shape": (with_first(shape=[]), "rows"),
    "a shape below 0": (with_first(shape=[-1]), "-1"),
    "no rows": (with_first(shape=[0], data=[]), "rows"),
    "other rows than the others": (with_first(shape=[2], data=[1.5, 2.5]), "rows"),
    "another shape": (with_first(shape=[1, 2], data=[1.5, 2.5]), "shape"),
    "a shape of text": (with_first(shape=["1"]), "shape"),
    "a shape of fractions": (with_first(shape=[1.5]), "shape"),
    "a shape beyond all memory": (with_first(shape=[2**62]), "rows"),
    "a shape beyond 64 bits": (with_first(shape=[2**70]), "rows"),
    "a shape that is a number": (with_first(shape=1), "shape"),
    "a shape of 1,000 dimensions": (with_first(shape=[1] * 1000), "shape"),
    "a vector of another shape": (lambda request: request["inputs"][4].update(shape=[1, 3]), "'vector'"),
    "too little data": (with_first(data=[]), "0 elements"),
    "too much data": (with_first(data=[1.5, 2.5]), "2 elements"),
    "no data": (with_first(data=...), "no data"),
    "data that are null": (with_first(data=None), "no list"),
    "data that are a number": (with_first(data=1.5), "no list"),
    "data that are a text": (with_first(data="1.5"), "no list"),
    "data that are an object": (with_first(data={"0": 1.5}), "no list"),
    "data and raw bytes": (with_first(parameters={"binary_data_size": 8}), "both"),
    "raw bytes without their header": (with_first(data=..., parameters={"binary_data_size": 8}), "header"),
    "shared memory": (with_first(data=..., parameters={"shared_memory_region": "r"}), "shared memory"),
    "a parameter that is null": (with_parameter("mine", None), "parameters"),
    "a parameter that is an object": (with_parameter("mine", {}), "parameters"),
    "a parameter that is a list": (with_parameter("mine", [1]), "parameters"),
    "parameters that are a list": (lambda request: request.update(parameters=[]), "parameters"),
    "a timeout below 0": (with_parameter("timeout", -1), "timeout"),
    "a timeout that is a text": (with_parameter("timeout", "5"), "timeout"),
    "a timeout that is true": (with_parameter("timeout", True), "timeout"),
    "a timeout beyond 64 bits": (with_parameter("timeout", 2**64), "timeout"),
    "binary_data_output that is a text": (with_parameter("binary_data_output", "yes"), "binary_data_output"),
    "an unknown output": (with_outputs({"name": "other"}), "'other'"),
    "an output twice": (with_outputs({"name": "out_x"}, {"name": "out_x"}), "twice"),
    "an output without a name": (with_outputs({}), "name"),
    "an output that is a text": (with_outputs("out_x"), "outputs"),
    "outputs that are an object": (lambda request: request.update(outputs={}), "outputs"),
    "a classification": (with_outputs({"name": "out_x", "parameters": {"classification": 3}}), "classification"),
    "an output to shared memory": (
        with_outputs({"name": "out_x", "parameters": {"shared_memory_region": "r"}}), "shared memory",
    ),
    "binary_data that is a text": (with_outputs({"name": "out_x", "parameters": {"binary_data": "no"}}), "binary_data"),
}  # fmt: skip


@pytest.mark.parametrize(("change", "told"), V2_MISTAKES.values(), ids=V2_MISTAKES)
def test_a_mistake_in_a_v2_request_is_a_400(
    front: httpx.Client, change: Callable[[dict[str, Any]], Any], told: str
) -> None:
    """Never a 422, never a 500, and never another tensor instead."""
    request = tensors()
    change(request)
    check_refusal(front.post(INFER, json=request), 400, told)
    check_alive(front)


@pytest.mark.parametrize("length", ["0", "-1", "1", "x", "", "1e3", "99999999", "9" * 20, "1.0", "0x10"])
def test_a_wrong_length_of_the_json_part_is_a_400(front: httpx.Client, length: str) -> None:
    """`Inference-Header-Content-Length` names a number of bytes that is there and is JSON."""
    check_refusal(front.post(INFER, content=_OK[INFER], headers={"inference-header-content-length": length}), 400)
    check_alive(front)


@pytest.mark.parametrize("given", ["mine", "", "größer", "\0", "x" * 10_000])
def test_an_id_comes_back_as_it_was_sent(front: httpx.Client, given: str) -> None:
    """Without one it is the request id."""
    assert front.post(INFER, json=tensors(id=given)).json()["id"] == given
    without = front.post(INFER, json=tensors()).json()
    assert without["id"] == without["parameters"]["request_id"]


def test_only_the_outputs_that_were_asked_for_come_back(front: httpx.Client) -> None:
    """In the order of the contract; all of them where none is named."""
    wanted = [{"name": "out_text"}, {"name": "out_x"}]
    some = front.post(INFER, json=tensors(outputs=wanted)).json()["outputs"]
    assert {output["name"]: output["data"] for output in some} == {"out_text": ["größer"], "out_x": [1.5]}
    for request in (tensors(), tensors(outputs=[]), tensors(outputs=None)):
        answer = front.post(INFER, json=request).json()
        assert [output["name"] for output in answer["outputs"]] == list(OUTPUTS)


@pytest.mark.parametrize(
    "parameters",
    [{"priority": 1}, {"priority": 0}, {"priority": "high"}, {"priority": 2**63}, {"sequence_id": 5}, {"mine": "x"}, {}, None,
     {"timeout": 0}, {"timeout": 4_000_000}, {"timeout": 4e6}],
)  # fmt: skip
def test_parameters_that_are_known_elsewhere_are_accepted(
    front: httpx.Client, parameters: dict[str, Any] | None
) -> None:
    """A priority, a sequence, one's own: they change nothing."""
    answer = front.post(INFER, json=tensors(parameters=parameters))
    assert answer.status_code == 200, answer.text
    assert answer.json()["parameters"]["reason"] == "champion"


# Deadlines.


@pytest.fixture(scope="module")
def slow(factory: RunningFactory, bundles: Callable[..., Path]) -> str:
    """Endpoint `slow`: a second for more than 10, at once below; with a default answer."""
    version = factory.accepted(bundles("second", models.SlowForSome(1, limit=10.0, sleep_s=1.0)))
    factory.release("slow", version, deadline="20s", default={"score": -1.0})
    return "slow"


@pytest.mark.parametrize("way", ["timeout", "deadline_ms", "header"])
def test_a_deadline_is_kept_and_the_answer_says_so(front: httpx.Client, slow: str, way: str) -> None:
    """200 ms, as microseconds of V2, in the body or in a header: the default answer comes, with its reason, and not after a second."""
    tensor = {"name": "x", "shape": [1], "datatype": "FP64", "data": [11.0]}
    asked_at = time.monotonic()
    if way == "timeout":
        answer = front.post(
            f"/v2/models/{slow}/infer", json={"inputs": [tensor], "parameters": {"timeout": 200_000}}
        ).json()
        said, score = answer["parameters"], answer["outputs"][0]["data"][0]
        assert answer["model_version"] == "default"
    else:
        in_body = {"deadline_ms": 200} if way == "deadline_ms" else {}
        in_head = {"muster-deadline-ms": "200"} if way == "header" else {}
        answer = front.post(f"/score/{slow}", json=records({"x": 11.0}, **in_body), headers=in_head).json()
        said, score = answer["answers"][0], answer["answers"][0]["score"]
    assert (said["reason"], said["variant"], score) == ("default", "default", -1.0)
    assert time.monotonic() - asked_at < 20, "the deadline of the release, not the caller's"


def test_the_earliest_deadline_holds(front: httpx.Client, slow: str) -> None:
    """That of the body or that of the header, whichever it is."""
    for in_body, in_head in ((200, "15000"), (15000, "200")):
        answer = front.post(
            f"/score/{slow}", json=records({"x": 11.0}, deadline_ms=in_body), headers={"muster-deadline-ms": in_head}
        )
        assert answer.json()["answers"][0]["reason"] == "default"


@pytest.mark.parametrize("deadline_ms", [1e300, 1e308, 2.0**63, 2.0**64, 1e20, 3.6e6 + 1])
def test_a_deadline_beyond_all_reckoning_harms_nobody(front: httpx.Client, deadline_ms: float) -> None:
    """It is as good as none: the answer comes, is recorded, and the hosts stay connected."""
    for answer in (
        front.post(SCORE, json=records(deadline_ms=deadline_ms)),
        front.post(SCORE, json=records(), headers={"muster-deadline-ms": repr(deadline_ms)}),
        front.post(SCORE, json=records(), headers={"muster-deadline-ms": repr(deadline_ms), "idempotency-key": repr(deadline_ms)}),
        front.post(INFER, json=tensors(parameters={"timeout": min(deadline_ms * 1000, 2.0**63)})),
    ):  # fmt: skip
        assert answer.status_code == 200, answer.text
    check_alive(front)


@pytest.mark.parametrize("deadline_ms", [5e-324, 1e-9, 0.001])
def test_a_deadline_before_any_answer_is_a_504_or_met(front: httpx.Client, deadline_ms: float) -> None:
    """There is no default: what cannot be is said."""
    answer = front.post(SCORE, json=records(deadline_ms=deadline_ms))
    assert answer.status_code in {200, 504}
    if answer.status_code == 504:
        check_refusal(answer, 504, "default")
        assert answer.headers["muster-request-id"]
    check_alive(front)


# Names.


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/score/nowhere", 404),
        ("POST", "/score/", 404),
        ("POST", "/score/" + "x" * 5000, 404),
        ("POST", "/score/%00", 404),
        ("POST", "/score/%FF", 404),
        ("POST", "/score/%E2%82%AC", 404),
        ("POST", "/score/mixed%2Finfer", 404),
        ("POST", "/score/MIXED", 404),
        ("POST", "/score/mixed/", 404),
        ("POST", "/v2/models/nowhere/infer", 404),
        ("POST", "/v2/models//infer", 404),
        ("POST", "/v2/models/mixed/versions/9/infer", 404),
        ("POST", "/v2/models/mixed/versions/x/infer", 404),
        ("POST", "/v2/models/mixed/versions/-1/infer", 404),
        ("POST", "/v2/models/mixed/versions//infer", 404),
        ("POST", "/v2/models/mixed/versions/" + "9" * 5000 + "/infer", 404),
        ("GET", "/v2/models/nowhere", 404),
        ("GET", "/v2/models/nowhere/ready", 404),
        ("GET", "/v2/models/nowhere/config", 404),
        ("GET", "/v2/models/nowhere/stats", 404),
        ("GET", "/v2/models/mixed/versions/9", 404),
        ("GET", "/v2/models/mixed/versions/9/ready", 404),
        ("GET", "/v2/models/mixed/versions/9/stats", 404),
        ("POST", "/v2/repository/models/nowhere/load", 404),
        ("POST", "/v2/repository/models/nowhere/unload", 404),
        ("POST", "/v2/repository/models/mixed/unload", 400),
        ("GET", "/", 404),
        ("GET", "/v3", 404),
        ("GET", "/v2/models", 404),
        ("GET", "/%2e%2e/etc/passwd", 404),
        ("GET", "/v2/%68ealth/nowhere", 404),
        ("GET", SCORE, 405),
        ("PUT", SCORE, 405),
        ("DELETE", INFER, 405),
        ("OPTIONS", INFER, 405),
        ("PATCH", "/v2", 405),
        ("POST", "/v2/health/ready", 405),
        ("TRACE", "/v2/health/live", 405),
        ("BREW", "/v2/health/live", 501),
    ],
)
def test_what_there_is_not_is_404_and_what_is_asked_in_another_way_405(
    front: httpx.Client, method: str, path: str, status: int
) -> None:
    """Exact statuses, one body."""
    content = _OK[INFER] if method in {"POST", "PUT"} and path.endswith("infer") else None
    answer = front.request(method, path, content=content)
    check_refusal(answer, status)
    if status == 405:
        assert answer.headers["allow"] in {"GET", "POST"}
    check_alive(front)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        (b"", 200),
        (b"  ", 200),
        (b"{}", 200),
        (b'{"ready": true}', 200),
        (b'{"ready": 1}', 400),
        (b"[]", 400),
        (b"nonsense", 400),
        (b"\xff", 400),
        (b"[" * 10_000, 400),
        (b" " * 70_000, 413),
    ],
)
def test_the_repository_index_takes_an_empty_body(front: httpx.Client, body: bytes, status: int) -> None:
    """As Triton's clients send it; what it cannot read it says."""
    answer = front.post("/v2/repository/index", content=body)
    if status == 200:
        entry = {"name": mixed.NAME, "version": "1", "state": "READY", "reason": ""}
        assert entry in answer.json()
    else:
        check_refusal(answer, status)
    check_alive(front)


@pytest.mark.parametrize(("body", "status"), [(b"", 200), (b"{}", 200), (b'{"parameters": {"config": "{}"}}', 400), (b"[]", 400), (b"{", 400)])  # fmt: skip
def test_a_load_is_done_already(front: httpx.Client, body: bytes, status: int) -> None:
    """With a configuration of one's own it is refused."""
    answer = front.post(f"/v2/repository/models/{mixed.NAME}/load", content=body)
    assert answer.status_code == status, answer.text
    assert answer.json() == {} or list(answer.json()) == ["error"]


# What KServe's own client insists on (kserve 0.21, InferenceRESTClient): health bodies are JSON, `is_server_live` reads the member
# `live`, `is_server_ready` the member `ready`; `is_model_ready` is the status; metadata are JSON objects.


def test_health_as_kserves_client_reads_it(front: httpx.Client) -> None:
    """Bodies with both members, without a token."""
    for path in ("/v2/health/live", "/v2/health/ready"):
        answer = httpx.get(str(front.base_url.join(path)))
        assert answer.status_code == 200
        assert answer.json().items() >= {"live": True, "ready": True}.items()
    for path in (f"/v2/models/{mixed.NAME}/ready", f"/v2/models/{mixed.NAME}/versions/1/ready"):
        answer = front.get(path)
        assert (answer.status_code, answer.json()) == (200, {"name": mixed.NAME, "ready": True})


def test_metadata_as_kserves_client_reads_them(front: httpx.Client) -> None:
    """Server: name, version, extensions. Model: name, versions, platform, inputs and outputs with name, datatype and shape."""
    server = front.get("/v2").json()
    assert isinstance(server["name"], str)
    assert isinstance(server["version"], str)
    assert all(isinstance(name, str) for name in server["extensions"])
    for path in (f"/v2/models/{mixed.NAME}", f"/v2/models/{mixed.NAME}/versions/1"):
        model = front.get(path).json()
        assert (model["name"], model["versions"], model["platform"]) == (mixed.NAME, ["1"], "muster")
        assert [tensor["name"] for tensor in model["inputs"]] == list(ROW)
        assert [tensor["name"] for tensor in model["outputs"]] == list(OUTPUTS)
        vector = model["inputs"][-1]
        assert (vector["datatype"], vector["shape"]) == ("FP64", [-1, 2])


def test_heads_are_answered_without_bodies(front: httpx.Client) -> None:
    """As probes of load balancers ask."""
    for path in ("/v2/health/live", "/v2/health/ready", "/v2", "/openapi.json"):
        answer = front.head(path)
        assert (answer.status_code, answer.content) == (200, b"")
        assert int(answer.headers["content-length"]) == len(front.get(path).content)


def test_not_ready_is_a_503_with_its_reason(
    factory: RunningFactory, front: httpx.Client, bundles: Callable[..., Path]
) -> None:
    """An endpoint whose only version was banned cannot answer: the front, the endpoint and its scores say so, until it can again."""
    first, second = (factory.accepted(bundles(f"adds-{step}", models.Adds(step))) for step in (1, 2))
    factory.release("gone", first, deadline="5s")
    factory.as_("ben").ban(first, "for a test")
    wait_for(lambda: front.get("/v2/models/gone/ready").status_code == 503)
    for answer in (
        front.get("/v2/health/ready"),
        front.get("/v2/models/gone/ready"),
        front.post("/score/gone", json=records({"x": 1.0})),
    ):
        check_refusal(answer, 503)
        assert int(answer.headers["retry-after"]) >= 1
    assert front.get("/v2/health/live").json() == {"live": True, "ready": False}
    index = {entry["name"]: entry for entry in front.post("/v2/repository/index").json()}
    assert (index["gone"]["state"], index[mixed.NAME]["state"]) == ("UNAVAILABLE", "READY")
    assert "gone" not in {entry["name"] for entry in front.post("/v2/repository/index", json={"ready": True}).json()}
    check_alive(front)
    factory.release("gone", second, deadline="5s")
    wait_for(lambda: front.get("/v2/health/ready").status_code == 200)


def test_nothing_of_all_this_was_an_error_of_the_front(factory: RunningFactory, front: httpx.Client) -> None:
    """No exception in its log, and it is the process that was started."""
    check_alive(front)
    (log,) = (factory.home / "logs").glob("front-*.log")
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [line for line in lines if line["level"] == "error"] == []
    assert [line["event"] for line in lines].count("front.started") == 1


@pytest.mark.parametrize("path", [SCORE, INFER])
def test_a_token_asks_as_often_as_the_project_lets_it(factory: RunningFactory, front: httpx.Client, path: str) -> None:
    """The same request over and over is counted every time; who is refused is told when to come back, and may then."""
    factory.admin.limit_project(requests_per_s=2)
    try:

        def refused() -> httpx.Response | None:
            answers = [front.post(path, content=_OK[path]) for _ in range(6)]
            return next((answer for answer in answers if answer.status_code == 429), None)

        answer = wait_for(refused, told="a request beyond the quota that is refused")
        check_refusal(answer, 429, "more than 2 times a second")
        time.sleep(int(answer.headers["retry-after"]))
        assert front.post(path, content=_OK[path]).status_code == 200
    finally:
        factory.admin.limit_project(requests_per_s=None)
    wait_for(lambda: refused() is None, told="no request that is refused once the quota is gone")
