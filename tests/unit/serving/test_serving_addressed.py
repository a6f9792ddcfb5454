"""What a caller names at the scoring door, and what of other projects is as if it were not there."""

from types import SimpleNamespace

import pytest

from decided_requests import plan_of
from muster.serving.endpoint import Endpoints
from muster.serving.errors import EndpointNotAllowed, EndpointUnknown, VersionUnreachable
from muster.serving.front.addressed import named
from muster.serving.front.tokens import Tokens
from muster.vocabulary.errors import MusterError
from muster.wire.plans import AccessEntry


def serving(*places: tuple[str, str]) -> Endpoints:
    """Endpoints of these projects and names, each with churn:2, churn:3 and churn:4."""
    endpoints: Endpoints = Endpoints.__new__(Endpoints)
    endpoints._served = {
        name: SimpleNamespace(serving=plan_of(endpoint=name, project=project))  # type: ignore[misc]
        for project, name in places
    }
    return endpoints


ENDPOINTS = serving(("risk", "aaa"), ("wine", "bbb"), ("wine", "ccc"))


def entry(*endpoints: str) -> AccessEntry:
    return AccessEntry(token_id="tok_1", sha256="0" * 64, name="shop", endpoints=endpoints)


def told(of: AccessEntry, model: str, number: str | None = None, variant: str | None = None) -> tuple[type, str]:
    """The error that a caller sees, and its words without the name that was asked for."""
    with pytest.raises(MusterError) as refused:
        named(ENDPOINTS, Tokens(), of, model, number, variant)
    return type(refused.value), str(refused.value).replace(model, "X")


@pytest.mark.parametrize(
    ("number", "variant"), [(None, None), (None, "churn:3"), (None, "other:9"), ("3", None), ("9", None)]
)
def test_an_endpoint_of_another_project_is_told_as_one_that_is_not_there(
    number: str | None, variant: str | None
) -> None:
    """Whatever is asked of it: type and words are the same."""
    shop = entry("wine/*")
    assert told(shop, "aaa", number, variant) == told(shop, "zzz", number, variant)


def test_an_endpoint_of_ones_own_project_is_forbidden_rather_than_hidden() -> None:
    """Whoever may ask one endpoint of a project learns which others there are, and nothing of them."""
    few = entry("wine/bbb")
    assert told(few, "ccc")[0] is EndpointNotAllowed
    assert told(few, "ccc", None, "other:9")[0] is EndpointNotAllowed
    assert told(few, "aaa")[0] is EndpointUnknown


def test_a_models_version_is_found_in_ones_own_project() -> None:
    """Another project may have a model of the same name, and an endpoint that comes first."""
    plan, index = named(ENDPOINTS, Tokens(), entry("wine/ccc"), "churn", "3", None)
    assert (plan.project, plan.endpoint, index) == ("wine", "ccc", 1)
    plan, _ = named(ENDPOINTS, Tokens(), entry("risk/*"), "churn", "3", None)
    assert plan.endpoint == "aaa"
    assert told(entry("other/*"), "churn", "3")[0] is VersionUnreachable


def test_what_one_may_ask_is_found() -> None:
    """An endpoint, a version of it by number, and one by name."""
    shop = entry("risk/*")
    assert named(ENDPOINTS, Tokens(), shop, "aaa", None, None)[1] is None
    assert named(ENDPOINTS, Tokens(), shop, "aaa", "4", None)[1] == 2
    assert named(ENDPOINTS, Tokens(), shop, "aaa", None, "churn:2")[1] == 0
    assert told(shop, "aaa", "9")[1].startswith("release 7")
