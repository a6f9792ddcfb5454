"""The OpenAPI document of the scoring door is valid, and has every address that the door has, and no other."""

import ast
import inspect
import json
from collections.abc import Iterator
from typing import Any

import pytest
from openapi_spec_validator import validate

from muster.serving.errors import RouteUnknown
from muster.serving.front import routes
from muster.serving.front.openapi import document
from muster.serving.front.replies import STATUS_OF_FAMILY
from muster.vocabulary.errors import Damaged

DOCUMENT: dict[str, Any] = json.loads(document())
OPERATIONS = {
    (path, method): operation for path, item in DOCUMENT["paths"].items() for method, operation in item.items()
}
#: The names that the cases give to parts of an address, and how the document calls them.
NAMED = {"endpoint": "{endpoint}", "model": "{endpoint}", "number": "{number}"}


def addresses_of_routes() -> Iterator[str]:
    """Every address in the tables of `routes` and among its cases, as the document writes it."""
    for parts in routes._OF_SERVER:
        if parts[-1]:  # with a slash behind it, the same is served
            yield "/" + "/".join(parts)
    cases = [node for node in ast.walk(ast.parse(inspect.getsource(routes))) if isinstance(node, ast.match_case)]
    assert cases
    for case in cases:
        assert isinstance(case.pattern, ast.MatchSequence)
        address = [""]
        tails: list[tuple[str, ...]] = [()]
        for part in case.pattern.patterns:
            if isinstance(part, ast.MatchValue):
                address.append(ast.literal_eval(part.value))
            elif isinstance(part, ast.MatchStar):
                assert part.name == "rest"
                tails = list(routes._OF_MODEL)
            else:
                assert isinstance(part, ast.MatchAs)
                assert part.name is not None
                if part.name == "order":
                    tails = [(order,) for order in routes._ORDERS]
                else:
                    address.append(NAMED[part.name])
        yield from ("/".join((*address, *tail)) for tail in tails)


def test_the_document_is_valid() -> None:
    """It keeps the OpenAPI specification, and names every operation once."""
    validate(DOCUMENT)
    ids = [operation["operationId"] for operation in OPERATIONS.values()]
    assert len(set(ids)) == len(ids)


def test_every_route_is_described_and_every_description_is_a_route() -> None:
    """The addresses are those of the code."""
    assert sorted(DOCUMENT["paths"]) == sorted(addresses_of_routes())


@pytest.mark.parametrize(("path", "method"), OPERATIONS)
def test_a_route_is_what_its_description_says(path: str, method: str) -> None:
    """The method is the one that is taken, what is in braces is read, and rows are taken where scores are given."""
    route = routes.route_of(path.replace("{endpoint}", "churn").replace("{number}", "3").encode())
    operation = OPERATIONS[path, method]
    assert route.method.decode().lower() == method
    assert (route.model == "churn", route.number == "3") == ("{endpoint}" in path, "{number}" in path)
    assert (route.form is not None) == (operation["tags"] == ["scoring"])


def test_every_way_to_fail_is_described() -> None:
    """Each status that an error of ours leads to is documented; 500, which none should, is not."""
    described = {int(status) for status in DOCUMENT["components"]["responses"]}
    assert {status for family, status in STATUS_OF_FAMILY.items() if family is not Damaged} <= described
    assert 500 not in described


def test_nothing_is_described_that_no_operation_names() -> None:
    """Every component is referred to."""
    text = document().decode()
    for kind in ("schemas", "parameters", "responses"):
        for name in DOCUMENT["components"][kind]:
            assert f'"#/components/{kind}/{name}"' in text, name


@pytest.mark.parametrize("path", ["/", "/v2/models", "/openapi", "/v2/models/churn/versions", "/score", "/score/a/b"])
def test_other_addresses_are_unknown(path: str) -> None:
    """What the document leaves out is not there."""
    with pytest.raises(RouteUnknown):
        routes.route_of(path.encode())
