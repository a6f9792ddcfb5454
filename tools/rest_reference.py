"""Writes docs/reference/rest.md: every address and document of the control API, from the routes and structs themselves.

.venv/bin/python tools/rest_reference.py
"""

import ast
import inspect
from enum import StrEnum
from pathlib import Path
from types import NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from muster.api.app import openapi
from muster.wire import (
    advisories,
    catalogue,
    certificates,
    contracts,
    control,
    evaluations,
    evidence,
    evolution,
    governance,
    livetests,
    people,
    plans,
    profiles,
    reports,
    sign_in,
    training,
)

PAGE = Path(__file__).resolve().parents[1] / "docs" / "reference" / "rest.md"
_WORDS = {str: "text", int: "whole number", float: "number", bool: "true or false", NoneType: "null", Any: "anything"}
_METHODS = ("get", "post", "put", "patch", "delete")
_MODULES = (
    control, people, sign_in, catalogue, evaluations, evolution, certificates, governance, training, profiles, livetests, reports,
    advisories, evidence, plans, contracts,
)  # fmt: skip

_HEAD = """\
# REST API

Generated from the code by `tools/rest_reference.py`; `make docs` writes it again. The same as OpenAPI is served by every
factory at `/api/v1/openapi.json`. Scoring has addresses of its own, on another port: `POST /score/ENDPOINT`, and the Open
Inference Protocol V2 under `/v2`.

- **Who asks**: the header `Authorization: Bearer TOKEN`, on everything but `GET /api/v1/health` and [signing
  in](sign-in.md). What each role may do: [roles](roles.md).
- **Once**: orders take a header `Idempotency-Key` of 1 to 200 characters. Repeated by the same caller with the same key and
  the same body, an order is carried out once, and answered as things stand now; with another body it is a conflict.
- **Errors** are problem details (RFC 9457, `application/problem+json`), listed in [errors](errors.md). A mistake of the
  caller never gives a status of 500 or above.
- **Long work** (certification, replay) answers 202 with a session; ask for the session until it is `passed`, `failed` or `interrupted`.
- **Names** of projects, models, endpoints and users are 1 to 63 lower-case letters, digits and hyphens, and begin with a
  letter. Times are RFC 3339 in UTC with microseconds, durations milliseconds.
- In a **factory for one person** every answer has the header `Muster-Solo: true`, and every object holds `"solo": true`.
- Unknown fields in an order are refused; answers may get further fields at any time.

```console
$ curl -H "Authorization: Bearer $MUSTER_TOKEN" http://localhost:8600/api/v1/projects/default/models
```
"""


def text() -> str:
    """The page."""
    document = openapi()
    by_tag: dict[str, list[str]] = {}
    for path, item in document["paths"].items():
        for method in _METHODS:
            if method in item:
                by_tag.setdefault(item[method]["tags"][0], []).append(_operation(method, path, item[method]))
    parts = [_HEAD]
    for tag, operations in by_tag.items():
        parts.append(f"\n## {tag.capitalize()}\n")
        parts.extend(operations)
    parts.append(
        "\n## Documents\n\nA field with a default may be left out of an order. In answers every field is there.\n"
    )
    named = _named_in(document)
    parts.extend(_struct(kind) for kind in _structs() if kind.__name__ in named)
    return "".join(parts)


def _operation(method: str, path: str, operation: dict[str, Any]) -> str:
    lines = [f"\n### {method.upper()} {path.removeprefix('/api/v1')}\n\n", operation["description"].strip(), "\n"]
    for one in operation.get("parameters", []):
        if one["in"] == "query":
            default = one["schema"].get("default")
            told = f" Default: {default}." if default is not None else " Required." if one.get("required") else ""
            lines.append(f"\n- `?{one['name']}=` {one.get('description', '')}{told}")
    if lines[-1].startswith("\n-"):
        lines.append("\n")
    takes = _document_of(operation.get("requestBody", {}).get("content", {}))
    gives = {
        status: _document_of(response.get("content", {}))
        for status, response in operation["responses"].items()
        if status.startswith("2")
    }
    said = [
        f"Takes {takes}." if takes else "",
        *(f"Answers {status} {given}".rstrip() + "." for status, given in gives.items()),
    ]
    lines.append(f"\n{' '.join(part for part in said if part)}\n")
    return "".join(lines)


def _document_of(content: dict[str, Any]) -> str:
    for media_type, body in content.items():
        name = body["schema"].get("$ref", "").rpartition("/")[2]
        return f"[{name}](#{name.lower()})" if name else f"`{media_type}`"
    return ""


def _named_in(document: dict[str, Any]) -> set[str]:
    return {name.rpartition(".")[2].rpartition("_")[2] for name in document["components"]["schemas"]}


def _structs() -> list[type[msgspec.Struct]]:
    return [
        kind
        for module in _MODULES
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct) and kind.__module__ == module.__name__
    ]


def _struct(kind: type[msgspec.Struct]) -> str:
    meanings = _meanings(kind)
    lines = [f"\n### {kind.__name__}\n\n{inspect.cleandoc(kind.__doc__ or '')}\n"]
    fields = [field for field in msgspec.structs.fields(kind) if field.encode_name != "solo"]
    if fields:
        lines.append("\n| field | type | |\n|---|---|---|\n")
    for field in fields:
        is_unsaid = field.required or field.default is msgspec.UNSET
        default = "" if is_unsaid else f", default {_plain(field)}"
        lines.append(f"| `{field.encode_name}` | {_type(field.type)}{default} | {meanings.get(field.name, '')} |\n")
    return "".join(lines)


def _plain(field: msgspec.structs.FieldInfo) -> str:
    value = field.default if field.default is not msgspec.NODEFAULT else field.default_factory()
    return f"`{msgspec.json.encode(value).decode()}`"


def _type(annotation: Any) -> str:  # noqa: PLR0911 - one case for each kind of type
    """What a value is in JSON, in words."""
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return _type(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{msgspec.json.encode(value).decode()}`" for value in arguments)
    if origin in {Union, UnionType}:
        said = (one for one in arguments if one is not msgspec.UnsetType)
        return " or ".join(dict.fromkeys(_type(one) for one in said))
    if origin in {tuple, list}:
        return f"list of {_type(arguments[0])}"
    if origin is dict:
        return "object" if arguments[1] is Any else f"object of {_type(arguments[1])}"
    if isinstance(annotation, type) and issubclass(annotation, msgspec.Struct):
        return f"[{annotation.__name__}](#{annotation.__name__.lower()})"
    if isinstance(annotation, type) and issubclass(annotation, StrEnum):
        return " or ".join(f'`"{member}"`' for member in annotation)
    return _WORDS[annotation]


def _meanings(kind: type[msgspec.Struct]) -> dict[str, str]:
    """The text under each field in the source."""
    meanings: dict[str, str] = {}
    for ancestor in reversed(kind.__mro__):
        if ancestor.__module__.startswith("muster."):
            body = ast.parse(inspect.cleandoc("\n" + inspect.getsource(ancestor))).body[0]
            assert isinstance(body, ast.ClassDef)
            field = ""
            for statement in body.body:
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                    field = statement.target.id
                elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant) and field:
                    meanings[field] = " ".join(str(statement.value.value).split()).replace("|", "\\|")
    return meanings


def main() -> None:
    """Write the page."""
    PAGE.write_text(text(), encoding="utf-8")


if __name__ == "__main__":
    main()
