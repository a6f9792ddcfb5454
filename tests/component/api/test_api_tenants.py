"""Projects sealed from each other over HTTP; groups, roles, scoped tokens and quotas at the same door."""

from collections.abc import Iterator
from typing import Any

import httpx
import pytest
from litestar.routes import HTTPRoute

from muster.api.app import PREFIX, routers
from running_control import PEOPLE, Control
from small_bundles import SmallBundles

API = "/api/v1"


@pytest.fixture(scope="module")
def tenants(control: Control) -> Control:
    """A project `risk` with an admin, a version and an endpoint's record, and nobody of `default` in it."""
    with control.http("admin") as http:
        control.tokens["rita"] = post(http, f"{API}/projects/default/users", name="rita", role="viewer")["token"]
        post(http, f"{API}/projects", name="risk", admin="rita", title="Risk")
        assert http.delete(f"{API}/projects/default/users/rita").status_code == 200
    return control


def post(http: httpx.Client, path: str, **order: Any) -> Any:
    answer = http.post(path, json=order)
    assert answer.is_success, answer.text
    return answer.json()


def addresses() -> Iterator[tuple[str, str]]:
    """Method and address of everything below a project."""
    for router in routers():
        for route in router.routes:
            if isinstance(route, HTTPRoute) and route.path.startswith(f"{PREFIX}/projects/{{project"):
                for method in sorted(route.methods - {"OPTIONS"}):
                    yield method, route.path


def filled(path: str, project: str) -> str:
    """The address with something in the place of each parameter."""
    values = {
        "project:str": project, "version:int": "1", "number:int": "1", "file:path": "muster.toml", "token:str": "tok_12ab",
        "request_id:str": "0" * 32, "session:str": "certify-1",
    }  # fmt: skip
    parts = [
        values.get(part[1:-1], "1" if ":int" in part else "thing") if part[:1] == "{" else part
        for part in path.split("/")
    ]
    return "/".join(parts)


def seen(answer: httpx.Response, project: str) -> tuple[int, dict[str, str], str]:
    """All that an outsider sees of an answer, but the name that was asked for."""
    headers = {name: value for name, value in answer.headers.items() if name not in {"date", "content-length"}}
    return answer.status_code, headers, answer.text.replace(project, "PROJECT")


def test_no_address_tells_whether_a_project_exists(tenants: Control) -> None:
    """Below every one of them a project of others and one that nobody has give the same answer, for every role but admins."""
    found = list(addresses())
    assert len(found) > 40
    with tenants.http("admin") as http:
        events = len(http.get(f"{API}/audit", params={"limit": 1000}).json()["events"])
    for name in [*PEOPLE, "front"]:
        if PEOPLE.get(name) == "admin":
            continue
        with tenants.http(name) as http:
            for method, path in found:
                there, nowhere = (http.request(method, filled(path, project)) for project in ("risk", "none"))
                assert there.status_code == 404, (name, method, path, there.text)
                assert there.json()["code"] == "access.project-not-found", (name, method, path, there.text)
                assert seen(there, "risk") == seen(nowhere, "none")
    with tenants.http("admin") as http:
        assert len(http.get(f"{API}/audit", params={"limit": 1000}).json()["events"]) == events


def test_an_admin_of_default_sees_that_there_is_a_project_and_nothing_of_it(tenants: Control) -> None:
    """Name, quotas and use; everything else takes a role there."""
    with tenants.http("admin") as http:
        assert http.get(f"{API}/projects/risk").json()["used"] == {"bytes": 0, "versions": 0, "live_variants": 0}
        for path in ("models", "endpoints", "users", "consumers", "roles", "packages", "vulnerabilities"):
            answer = http.get(f"{API}/projects/risk/{path}")
            assert (answer.status_code, answer.json()["code"]) == (403, "access.right-missing"), path
        assert http.get(f"{API}/projects/none").status_code == 404


def test_names_of_another_project_are_nothing_here(tenants: Control, bundles: SmallBundles) -> None:
    """A model, a version, an endpoint and an audit event of `default` are not to be had through `risk`."""
    version = tenants.accepted(bundles.new())
    model, number = version.split(":")
    with tenants.http("ana") as http:
        post(http, f"{API}/projects/default/endpoints/sealed/releases", champion=version, reason="try")
    with tenants.http("rita") as http:
        assert http.get(f"{API}/projects/risk/models").json()["models"] == []
        for path in (
            f"models/{model}", f"models/{model}/versions/{number}", "endpoints/sealed", "endpoints/sealed/releases",
            "endpoints/sealed/releases/1",
        ):  # fmt: skip
            assert http.get(f"{API}/projects/risk/{path}").status_code == 404, path
        assert http.get(f"{API}/projects/risk/archive/verify", params={"endpoint": "sealed"}).status_code == 404
        assert http.get(f"{API}/projects/default/models").status_code == 404
        told = http.get(f"{API}/audit", params={"limit": 1000}).json()["events"]
    assert {event["project"] for event in told} == {"risk"}
    with tenants.http("olga") as http:
        told = http.get(f"{API}/audit", params={"limit": 1000}).json()["events"]
    assert {event["project"] for event in told} == {"default"}


def test_groups_and_roles_through_the_door(tenants: Control) -> None:
    """An admin of `default` makes a group, rita gives it a role of her project's own, and its member may do just that."""
    with tenants.http("admin") as admin, tenants.http("rita") as rita, tenants.http("vera") as vera:
        post(admin, f"{API}/groups", name="watchers", title="Those who watch")
        assert post(admin, f"{API}/groups/watchers/members", user="vera")["members"] == ["vera"]
        made = post(rita, f"{API}/projects/risk/roles/auditor", rights=["read", "read-audit"])
        assert (made["name"], made["rights"], made["built_in"]) == ("auditor", ["read", "read-audit"], False)
        assert vera.get(f"{API}/projects/risk/models").status_code == 404
        post(rita, f"{API}/projects/risk/groups/watchers/role", role="auditor")
        assert vera.get(f"{API}/whoami").json()["roles"] == {"default": ["viewer"], "risk": ["auditor"]}
        assert vera.get(f"{API}/projects/risk/models").status_code == 200
        assert vera.get(f"{API}/audit").status_code == 200
        assert vera.get(f"{API}/projects/risk/users").status_code == 403
        assert rita.delete(f"{API}/projects/risk/roles/auditor").json()["code"] == "access.role-in-use"
        assert rita.delete(f"{API}/projects/risk/users/vera").json()["code"] == "access.user-in-group"
        assert rita.post(f"{API}/groups/watchers/members", json={"user": "rita"}).status_code == 403
        users = {user["name"]: user for user in rita.get(f"{API}/projects/risk/users").json()["users"]}
        assert (users["vera"]["role"], users["vera"]["groups"]) == (None, {"watchers": "auditor"})
        assert rita.delete(f"{API}/projects/risk/groups/watchers/role").status_code == 200
        assert vera.get(f"{API}/projects/risk/models").status_code == 404
        assert rita.delete(f"{API}/projects/risk/roles/auditor").status_code == 200
        assert admin.delete(f"{API}/groups/watchers/members/vera").json()["members"] == []
        assert admin.delete(f"{API}/groups/watchers").status_code == 200
        assert admin.get(f"{API}/projects/default/groups").json()["groups"] == []
        assert {role["name"] for role in rita.get(f"{API}/projects/risk/roles").json()["roles"]} >= {"viewer", "front"}


def test_a_scoped_token_at_the_door(tenants: Control, bundles: SmallBundles) -> None:
    """It may what its scope says, at the endpoints that it names; rotated, the new one is like it."""
    version = tenants.accepted(bundles.new())
    with tenants.http("ana") as http:
        post(http, f"{API}/projects/default/endpoints/wide/releases", champion=version, reason="try")
        post(http, f"{API}/projects/default/endpoints/narrow/releases", champion=version, reason="try")
    with tenants.http("admin") as admin:
        order = {"label": "ci", "rights": ["read"], "endpoints": ["narrow"], "this_project": True}
        made = post(admin, f"{API}/projects/default/users/olga/tokens", **order)
        assert admin.post(f"{API}/projects/default/users/olga/tokens", json={"rights": ["fly"]}).status_code == 400
    with tenants.http(Authorization=f"Bearer {made['token']}") as http:
        assert http.get(f"{API}/whoami").json()["rights"] == {"default": ["read"]}
        assert http.get(f"{API}/projects/default/endpoints/narrow").status_code == 200
        refused = http.get(f"{API}/projects/default/endpoints/wide")
        assert (refused.status_code, refused.json()["code"]) == (403, "access.endpoint-out-of-scope")
        assert http.get(f"{API}/audit").status_code == 403
        again = post(http, f"{API}/projects/default/tokens/{made['token_id']}/rotate", grace_s=0)
        assert http.get(f"{API}/whoami").json()["code"] == "access.token-revoked"
    with tenants.http(Authorization=f"Bearer {again['token']}") as http:
        listed = {token["token_id"]: token for token in http.get(f"{API}/projects/default/tokens").json()["tokens"]}
        assert {token["user"] for token in listed.values()} == {"olga"}
        assert http.get(f"{API}/projects/default/tokens", params={"user": "ana"}).status_code == 403
    told = listed[again["token_id"]]
    assert (told["label"], told["rights"], told["endpoints"], told["project"]) == (
        "ci",
        ["read"],
        ["narrow"],
        "default",
    )
    assert (told["replaces"], told["last_used_at"] is not None) == (made["token_id"], True)


def test_a_quota_is_refused_with_its_figures(tenants: Control, bundles: SmallBundles) -> None:
    """422, with what is used, asked and allowed; a null takes the limit away."""
    with tenants.http("admin") as http:
        limited = post(http, f"{API}/projects/risk/quotas", bytes=1, requests_per_s=5)
        assert limited["quotas"] == {"bytes": 1, "versions": None, "live_variants": None, "requests_per_s": 5}
        assert http.post(f"{API}/projects/risk/quotas", json={"bytes": -1}).status_code == 400
        assert http.post(f"{API}/projects/risk/quotas", json={"beans": 1}).status_code == 400
    with tenants.as_("rita") as rita:
        rita._project = f"{API}/projects/risk"
        with pytest.raises(Exception, match="bytes of bundles of 1 allowed") as refused:
            rita.register(bundles.new())
        assert refused.value.code == "access.quota-exceeded"  # type: ignore[attr-defined]
        with tenants.as_("admin") as admin:
            admin._project = f"{API}/projects/risk"
            admin.limit_project(bytes=None)
        assert rita.register(bundles.new()).version.endswith(":1")
        assert rita.project().used["versions"] == 1
        assert rita.describe_project(title="Risk models", contact="rita@example.com").title == "Risk models"
        assert rita.consumers().consumers == ()


def test_how_to_be_reached_through_the_door(tenants: Control) -> None:
    """Of oneself without any right; the kind takes one."""
    with tenants.http("shop") as http:
        told = post(http, f"{API}/projects/default/users/shop/profile", contact="shop@example.com", channel="#shop")
        assert told == {
            "name": "shop", "kind": "service", "title": None, "contact": "shop@example.com", "channel": "#shop",
        }  # fmt: skip
        path = f"{API}/projects/default/users"
        assert http.post(f"{path}/shop/profile", json={"kind": "person"}).status_code == 403
        assert http.post(f"{path}/ana/profile", json={"title": "x"}).status_code == 403
        assert http.post(f"{path}/shop/profile", json={"title": "a\u0000b"}).status_code == 400
