"""SQL in every text that the API takes, on both databases: it is text, it comes back as it was written, and nothing else happens."""

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest
import sqlalchemy as sa

from muster.api.app import openapi
from muster.audit.verify import verify
from muster.migrations.whole_schema import whole_schema
from muster.storage.transaction import Database
from running_control import Control, running_control
from small_bundles import SmallBundles

API = "/api/v1"
PROJECT = f"{API}/projects/default"
#: Ends of texts, comments, joins, casts, sleeps (the client waits for 30 s), placeholders of the drivers, wildcards, words of both
#: full-text searches.
SQL = [
    "'; DROP TABLE users; --",
    "' OR '1'='1",
    '" OR ""="',
    "\\'; DELETE FROM audit_events; --",
    "x'); UPDATE grants SET role='admin' WHERE user_name='vera'; --",
    "' UNION SELECT sha256, 1, 2 FROM tokens --",
    "1; SELECT pg_sleep(60); --",
    "' || (SELECT pg_sleep(60)) || '",
    "' AND 1=CAST((SELECT hash FROM passwords LIMIT 1) AS INTEGER) --",
    "$$; DROP TABLE versions; $$",
    "%(name)s :name ? %s {0} $1 ${x}",
    "%_\\%",
    '" NEAR(* AND) ^ col:x (',
    "a & b | !c <-> 'd':*",
    "/* */ ; ROLLBACK; COMMIT; --",
]
_SEVEN = ("users", "grants", "tokens", "models", "versions", "audit_events", "projects", "endpoints", "releases")
_SAMPLES = {
    "role": "viewer", "user": "vera", "name": "newcomer", "admin": "ana", "endpoint": "thing", "rights": ["read"], "fitting": "3",
    "password": "twelve letters", "old": "twelve letters!", "new_password": "other twelve letters", "champion": "thing:1",
    "project": "default", "session": "certify-1", "token": "tok_12ab", "request_id": "0" * 32, "path": "muster.toml",
    "delegation": "delegation-1", "waiver": "waiver-1", "verdict": "approve",
}  # fmt: skip
#: When a token was used, and what the one project there is may be called.
_MAY_CHANGE = {"last_used_at", "title", "contact"}
#: What addresses name, so that texts reach what is kept; what comes of these two is not looked at.
_PLACES = {"model": "adds", "name": "shop"}


@pytest.fixture
def running(database: Database, tmp_path: Path, bundles: SmallBundles) -> Iterator[Control]:
    """A control plane with two models, on either database."""
    with running_control(database, tmp_path / "home") as control:
        for name in ("adds", "stays"):
            control.as_("ana").register(bundles.new(name=name))
        yield control


def kept(control: Control) -> dict[str, dict[Any, dict[str, Any]]]:
    """The rows of what must not be touched, by key; without the moments at which tokens were used."""
    found: dict[str, dict[Any, dict[str, Any]]] = {}
    with control.services.database.read() as tx:
        for name in _SEVEN:
            table = whole_schema().tables[name]
            keys = [column.name for column in table.primary_key]
            rows = [dict(row._mapping) for row in tx.execute(sa.select(table))]
            found[name] = {
                tuple(row[key] for key in keys): {key: row[key] for key in row if key not in _MAY_CHANGE}
                for row in rows
                if name == "audit_events" or not set(_PLACES.values()) & set(map(str, row.values()))
            }
    return found


def resolved(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema that a reference stands for, or the first of several."""
    while True:
        if "$ref" in schema:
            schema = openapi()["components"]["schemas"][schema["$ref"].rsplit("/", 1)[1]]
        elif "oneOf" in schema:
            schema = {**schema["oneOf"][0]}
        else:
            return schema


def sample(name: str, schema: dict[str, Any]) -> Any:
    """A value that an order may have."""
    if name in _SAMPLES:
        return _SAMPLES[name]
    schema = resolved(schema)
    if "enum" in schema:
        return next(value for value in schema["enum"] if value is not None)
    if "const" in schema:
        return schema["const"]
    match schema.get("type"):
        case "object":
            properties = schema.get("properties", {})
            return {field: sample(field, properties[field]) for field in schema.get("required", ())}
        case "array":
            return []
        case "integer" | "number":
            return schema.get("minimum", 1)
        case "boolean":
            return False
    return "2030-01-01T00:00:00Z" if "\\d{4}" in schema.get("pattern", "") else "thing"


def leaves(schema: dict[str, Any], place: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every place of an order where a text may stand: a field, an item of a list (`[]`), a value of a mapping (`{}`)."""
    schema = resolved(schema)
    if len(place) > 3:
        return
    kinds = schema.get("type")
    if "properties" in schema:
        for field, inner in schema["properties"].items():
            yield from leaves(inner, (*place, field))
    elif kinds == "array":
        yield from leaves(schema.get("items", {}), (*place, "[]"))
    elif kinds == "object":
        yield (*place, "{}")
    elif kinds == "string" or (isinstance(kinds, list) and "string" in kinds) or not kinds:
        yield place


def laid(order: Any, place: tuple[str, ...], text: str) -> Any:
    """The order with a text at a place."""
    if not place:
        return text
    head, *rest = place
    if head == "[]":
        return [laid({}, tuple(rest), text)]
    if head == "{}":
        return {text: text}
    inner = order.get(head, {}) if isinstance(order, dict) else {}
    return {**(order if isinstance(order, dict) else {}), head: laid(inner, tuple(rest), text)}


def attempts() -> Iterator[tuple[str, str, dict[str, str], Any]]:
    """Method, path, query and order of a request for every text that any address takes, each with some SQL in that one place."""
    texts = itertools.cycle(SQL)
    for path, operations in openapi()["paths"].items():
        for method, operation in operations.items():
            parameters = [one for one in operation.get("parameters", ()) if one["in"] in {"path", "query"}]
            body = operation.get("requestBody", {}).get("content", {}).get("application/json", {}).get("schema")
            order = None if body is None else sample("", body)
            named = [one for one in parameters if one["in"] == "path"]
            in_path = {one["name"]: _PLACES.get(one["name"], str(sample(one["name"], one["schema"]))) for one in named}
            for one in parameters:
                text = next(texts)
                values = {**in_path, one["name"]: text} if one["in"] == "path" else in_path
                query = {one["name"]: text} if one["in"] == "query" else {}
                yield method, filled(path, values), query, order
            for place in () if body is None else leaves(body):
                yield method, filled(path, in_path), {}, laid(order, place, next(texts))


def filled(path: str, values: dict[str, str]) -> str:
    """The address with its parameters."""
    for name, value in values.items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    return path


def test_sql_in_every_text_of_every_address(running: Control) -> None:
    """Refused or kept, never a fault inside, never a wait; and whatever was there before is there as it was."""
    before = kept(running)
    with running.services.database.read() as tx:
        tables = set(sa.inspect(tx.execute(sa.select(1)).connection.engine).get_table_names())
    tried = list(attempts())
    assert len(tried) > 300
    statuses: dict[int, int] = {}
    with running.http("admin") as http:
        for method, path, query, order in tried:
            if path.endswith("/follow"):  # waits for news, whatever it is asked
                continue
            answer = http.request(method, path, params=query, json=order)
            assert answer.status_code < 500, (method, path, query, order, answer.text)
            statuses[answer.status_code] = statuses.get(answer.status_code, 0) + 1
        assert http.get(f"{API}/whoami").json()["roles"] == {"default": ["admin"]}
    assert statuses[400] > 100
    assert statuses.get(200, 0) + statuses.get(201, 0) > 10  # where any text may stand, it may
    after = kept(running)
    for name, rows in before.items():
        assert {key: after[name].get(key) for key in rows} == rows, name
    with running.services.database.read() as tx:
        assert set(sa.inspect(tx.execute(sa.select(1)).connection.engine).get_table_names()) == tables
    assert verify(running.services.database, running.home / "audit" / "head.jsonl").valid


def posted(http: httpx.Client, path: str, **order: Any) -> Any:
    answer = http.post(path, json=order)
    assert answer.is_success, answer.text
    return answer.json()


def test_what_is_kept_comes_back_as_it_was_written(running: Control) -> None:
    """Reasons, titles, contacts, labels, descriptions, tags, notes: each text letter for letter, where it is shown and on record."""
    with running.http("admin") as admin, running.http("ana") as ana, running.http("ben") as ben:
        posted(admin, f"{API}/groups", name="crew", title="x")
        for number, text in enumerate(SQL):
            assert posted(admin, f"{PROJECT}/description", title=text, contact=text)["title"] == text
            told = posted(admin, f"{PROJECT}/users/vera/profile", title=text, contact=text, channel=text)
            assert (told["title"], told["contact"], told["channel"]) == (text, text, text)
            token = posted(admin, f"{PROJECT}/users/vera/tokens", label=text)["token_id"]
            labels = {one["token_id"]: one["label"] for one in admin.get(f"{PROJECT}/tokens").json()["tokens"]}
            assert labels[token] == text
            changed = posted(
                ana, f"{PROJECT}/models/adds", reason=text, description=text, business_metric=text, tags={"note": text}
            )
            assert (changed["description"], changed["business_metric"], changed["tags"]) == (text, text, {"note": text})
            posted(ben, f"{PROJECT}/models/adds/versions/1/review/comments", text=text)
            comments = ben.get(f"{PROJECT}/models/adds/versions/1/review").json()["comments"]
            assert [one["text"] for one in comments] == SQL[: number + 1]
            events = admin.get(f"{API}/audit", params={"limit": 20}).json()["events"]
            assert text in json.dumps([event["details"] for event in events], ensure_ascii=False).replace(
                '\\"', '"'
            ).replace("\\\\", "\\")
    assert verify(running.services.database, running.home / "audit" / "head.jsonl").valid


def test_a_search_finds_words_and_runs_nothing(running: Control) -> None:
    """What is searched for is compared with what is kept; wildcards and operators of either database are letters."""
    with running.http("ana") as http:
        for text in [*SQL, *(f'"{text}"' for text in SQL), *(f"tag:note={text}" for text in SQL)]:
            answer = http.get(f"{PROJECT}/search", params={"q": text})
            assert answer.status_code in {200, 400}, answer.text
        assert http.get(f"{PROJECT}/search", params={"q": "name:%"}).json().get("found", []) == []
        posted(http, f"{PROJECT}/models/adds", reason="x", tags={"note": "100%_sure"})
        for query, fits in (("tag:note=100%_sure", True), ("tag:note=100%", False), ("tag:note=1000_sure", False)):
            assert ("adds" in http.get(f"{PROJECT}/search", params={"q": query}).text) is fits, query


def test_subjects_of_the_record_are_compared_and_not_run(running: Control) -> None:
    """`?subject=` shows that subject's events; SQL is the name of none."""
    with running.http("admin") as http:
        whole = http.get(f"{API}/audit", params={"limit": 1000}).json()["events"]
        assert len(whole) > 5
        for text in (*SQL, "%", "_", "user %", f"{whole[0]['subject']}' OR '1'='1"):
            assert http.get(f"{API}/audit", params={"subject": text}).json()["events"] == [], text
