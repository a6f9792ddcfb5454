"""The door itself: who is let in, what is refused before any service sees it, and how that is told."""

import sqlite3
from typing import Any

import httpx
import pytest

from muster.wire.problems import MEDIA_TYPE
from running_control import Control

MODELS = "/api/v1/projects/default/models"


def problem(answer: httpx.Response, status: int) -> dict[str, Any]:
    """The problem document of an answer."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == MEDIA_TYPE
    document: dict[str, Any] = answer.json()
    assert document["status"] == status
    assert document["type"] == f"urn:muster:problem:{document['code']}"
    return document


def test_health_takes_no_token(control: Control) -> None:
    """Whoever asks for health is told that control runs, and which factory it is."""
    with control.http() as http:
        assert http.get("/api/v1/health").json() == {
            "status": "ok", "factory": "f-test", "version": "0.1.0", "scoring_url": None,
        }  # fmt: skip


@pytest.mark.parametrize(
    "authorization", ["", "Bearer", "Basic YW5hOmFuYQ==", "Bearer mst_nobody", "Bearer mst_" + "x" * 43]
)
def test_nobody_is_let_in_without_a_good_token(control: Control, authorization: str) -> None:
    """A missing, malformed or unknown token is answered with 401 and what to do."""
    with control.http(**({"Authorization": authorization} if authorization else {})) as http:
        answer = http.get(MODELS)
    assert problem(answer, 401)["family"] == "not-identified"
    assert answer.headers["www-authenticate"].startswith("Bearer")


def test_the_token_is_looked_at_before_the_body(control: Control) -> None:
    """Nobody learns from a malformed body what an address takes, unless identified."""
    with control.http() as http:
        problem(http.post(f"{MODELS}/adds/versions/1/retire", content=b"{"), 401)


def test_whoami_names_the_caller_and_the_roles(control: Control) -> None:
    """The token's owner is told name and roles, and the token's id instead of its text."""
    with control.http("olga") as http:
        found = http.get("/api/v1/whoami").json()
    assert (found["name"], found["roles"]) == ("olga", {"default": ["operator"]})
    assert found["token_id"].startswith("tok_")


def test_an_unknown_address_is_a_problem(control: Control) -> None:
    """There is a problem document for addresses that do not exist, too."""
    with control.http("ana") as http:
        for path in ("/", "/api", "/api/v1/nothing", f"{MODELS}/adds/nothing", "/api/v1/projects/default/nothing"):
            assert problem(http.get(path), 404)["code"] == "api.route-unknown"


def test_a_wrong_method_names_the_right_ones(control: Control) -> None:
    """405 says which methods the address takes, in the problem and in Allow."""
    with control.http("ana") as http:
        answer = http.patch(MODELS)
        both = http.put("/api/v1/projects/default/users")
    assert problem(answer, 405)["code"] == "api.method-unknown"
    assert answer.headers["allow"] == "GET"
    assert both.headers["allow"] == "GET, POST"


@pytest.mark.parametrize(
    ("body", "told"),
    [
        (b"", "body in JSON is missing"),
        (b"null", "Expected `object`, got `null`"),
        (b"{", "truncated"),
        (b'{"reason": "\xff"}', "not UTF-8"),
        (b"[]", "Expected `object`"),
        (b"{}", "reason"),
        (b'{"reason": 3}', "reason: Expected `str`, got `int`"),
        (b'{"reason": ""}', "reason"),
        (b'{"reason": "a\\u0000b"}', "reason"),
        (b'{"reason": "yes", "reasn": "no"}', "unknown field `reasn`"),
        (b'{"reason": ' + b"[" * 5000 + b"]" * 5000 + b"}", "nested too deeply"),
    ],
)
def test_a_malformed_body_is_a_mistake_of_the_caller(control: Control, body: bytes, told: str) -> None:
    """Whatever is wrong with a body, the answer is 400 and says where."""
    with control.http("ben") as http:
        answer = http.post(f"{MODELS}/adds/versions/1/retire", content=body)
    document = problem(answer, 400)
    assert document["code"] == "api.request-malformed"
    assert told in document["detail"]


@pytest.mark.parametrize("number", ["0", "1000000000", "99999999999999999999999", "-1"])
def test_numbers_out_of_range_are_mistakes_of_the_caller(control: Control, number: str) -> None:
    """A number that no version can have never reaches the database."""
    with control.http("ana") as http:
        assert http.get(f"{MODELS}/adds/versions/{number}").status_code in {400, 404}


@pytest.mark.parametrize("name", ["NO", "a b", "a%00b", "%F0%9F%92%A5", "x" * 64])
def test_names_that_none_can_be_are_mistakes_of_the_caller(control: Control, name: str) -> None:
    """A name that breaks the rule is refused before anything is looked up."""
    with control.http("ana") as http:
        assert http.get(f"{MODELS}/{name}").status_code in {400, 404}
        assert http.get(f"/api/v1/projects/{name}/models").status_code in {400, 404}


def test_orders_have_a_limit(control: Control) -> None:
    """A body far above what orders need is refused with 413."""
    with control.http("ana") as http:
        document = problem(http.post("/api/v1/projects/default/users", content=b" " * 2_000_000), 413)
    assert document["code"] == "api.body-too-large"


def test_a_project_of_which_one_is_no_member_is_closed(control: Control) -> None:
    """A role in one project is none in another, and nobody is told whether there is one."""
    with control.http("admin") as http:
        document = problem(http.get("/api/v1/projects/elsewhere/models"), 404)
    assert document["code"] == "access.project-not-found"
    assert document["facts"] == {"project": "elsewhere"}


@pytest.mark.parametrize("key", ["x" * 201, "with space", "üml"])
def test_idempotency_keys_have_a_form(control: Control, key: str) -> None:
    """A key that could not be kept is refused, not cut."""
    with control.http("ben") as http:
        answer = http.post(
            f"{MODELS}/adds/versions/1/retire",
            json={"reason": "x"},
            headers={b"Idempotency-Key": key.encode("latin-1")},
        )
    problem(answer, 400)


def test_a_fault_inside_is_told_without_its_inside(control: Control) -> None:
    """An unexpected exception gives 500 and an id that the log knows, and nothing of what was inside."""
    database = sqlite3.connect(control.home / "muster.db")
    with database:
        database.execute("UPDATE grants SET endpoints = 'no JSON' WHERE user_name = 'vera'")
    try:
        with control.http("admin") as http:
            answer = http.get("/api/v1/projects/default/users")
    finally:
        with database:
            database.execute("UPDATE grants SET endpoints = '[\"*\"]' WHERE user_name = 'vera'")
        database.close()
    document = problem(answer, 500)
    assert (document["code"], document["family"]) == ("api.internal", "internal")
    assert document["facts"]["fault"]
    assert "Expecting value" not in answer.text
