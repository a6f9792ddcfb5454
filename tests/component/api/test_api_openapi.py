"""The OpenAPI document is valid, complete and true."""

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, given, settings
from hypothesis.errors import Unsatisfiable
from litestar.routes import HTTPRoute
from openapi_spec_validator import validate
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from muster.api.app import openapi, routers
from muster.storage.transaction import Database
from running_control import PEOPLE, Control, running_control

CHECKED = [not_a_server_error, content_type_conformance, response_schema_conformance, status_code_conformance]
#: Those that wait, and those that take a file, which no generator makes.
_LEFT_OUT = {"follow", "rollBack", "register", "sealEvaluation"}
#: Of tens of thousands of requests, the client of these tests leaves one socket or another to the garbage collector.
CLIENT_LEAVES_SOCKETS = pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")


@pytest.fixture(scope="module")
def document(control: Control) -> dict[str, Any]:
    """The document as it is served, to whoever asks."""
    with control.http() as http:
        answer = http.get("/api/v1/openapi.json")
    assert answer.headers["content-type"] == "application/json"
    found: dict[str, Any] = answer.json()
    return found


def operations(document: dict[str, Any]) -> list[dict[str, Any]]:
    """Every operation."""
    return [operation for item in document["paths"].values() for operation in item.values()]


def test_the_document_is_valid(document: dict[str, Any]) -> None:
    """It keeps the OpenAPI specification."""
    validate(document)


def test_every_address_is_described(document: dict[str, Any]) -> None:
    """Every route is in the document, with a description, a tag, a security rule and its problems."""
    routes = [route for router in routers() for route in router.routes if isinstance(route, HTTPRoute)]
    methods = sum(len(route.methods - {"OPTIONS"}) for route in routes)
    found = operations(document)
    assert len(found) == methods
    assert len({operation["operationId"] for operation in found}) == len(found)
    for operation in found:
        assert operation["description"], operation["operationId"]
        assert operation["tags"]
        assert "application/problem+json" in operation["responses"]["401"]["content"]


def test_orders_take_an_idempotency_key_and_questions_do_not(document: dict[str, Any]) -> None:
    """The header is described where something changes, and nowhere else."""
    for item in document["paths"].values():
        for method, operation in item.items():
            headers = [one["name"] for one in operation.get("parameters", []) if one["in"] == "header"]
            assert headers == ([] if method == "get" else ["Idempotency-Key"]), operation["operationId"]


@pytest.mark.timeout(1200)  # the drawing of requests takes a processor for a minute, and on a slow one for many
@CLIENT_LEAVES_SOCKETS
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_no_request_whatsoever_makes_control_fail(database: Database, tmp_path: Path, mode: GenerationMode) -> None:
    """Requests that the document allows, and ones that it does not, are answered as it says, and never with a fault."""
    with running_control(database, tmp_path) as control:
        for operation in tried_operations():
            _try(operation, control, mode, "admin", examples=15)


@pytest.mark.timeout(1200)
@CLIENT_LEAVES_SOCKETS
@pytest.mark.parametrize("name", [*PEOPLE, "front", "stranger", None], ids=str)
def test_nobody_makes_control_fail(database: Database, tmp_path: Path, name: str | None) -> None:
    """Whoever asks, people and programs of every role and those who have none: what they may not is refused, and nothing breaks."""
    with running_control(database, tmp_path) as control:
        control.tokens["stranger"] = "mst_nobody"
        with control.http() as http:
            for operation in tried_operations():
                for mode in GenerationMode:
                    _try(operation, control, mode, name, examples=2)
            assert http.get("/api/v1/health").status_code == 200


def tried_operations() -> Iterator[Any]:
    """The operations that are tried, as Schemathesis has them."""
    for result in schemathesis.openapi.from_dict(openapi()).get_all_operations():
        operation: Any = result.ok()  # type: ignore[union-attr]
        if operation.definition.raw["operationId"] not in _LEFT_OUT:
            yield operation


def _try(operation: Any, control: Control, mode: GenerationMode, name: str | None, *, examples: int) -> None:
    @settings(
        max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None, derandomize=True
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def every_case(case: Any) -> None:
        if "project" in (case.path_parameters or {}):
            case.path_parameters["project"] = "default"  # any other ends the request before it has begun
        headers = {} if name is None else {"Authorization": f"Bearer {control.tokens[name]}"}
        response = case.call(base_url=control.url, headers=headers, session=session)
        case.validate_response(response, checks=CHECKED)

    with requests.Session() as session, contextlib.suppress(Unsatisfiable):  # nothing is wrong about what takes nothing
        every_case()
