"""The addresses of the scoring door."""

from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from urllib.parse import unquote

import httptools

from muster.serving.errors import RouteUnknown
from muster.serving.front.about import About
from muster.serving.front.messages import Reply, Request

#: Answers (front, request, model, number).
Answering = Callable[[About, Request, str, str | None], Reply]


class Form(Enum):
    """In what form a request for scores comes."""

    V2 = "v2"
    RECORDS = "records"


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """An address, taken apart."""

    path: str
    method: bytes = b"GET"
    form: Form | None = None
    """Set where the address scores."""
    answering: Answering | None = None
    """Set where it does not."""
    model: str = ""
    number: str | None = None


#: By what comes before and after the names in an address.
_OF_SERVER: dict[tuple[str, ...], Answering] = {
    ("v2",): About.server,
    ("v2", ""): About.server,
    ("v2", "health", "live"): About.live,
    ("v2", "health", "ready"): About.ready,
    ("v2", "models", "stats"): About.statistics,
    ("metrics",): About.metrics,
    ("openapi.json",): About.openapi,
}
_OF_MODEL: dict[tuple[str, ...], Answering] = {
    (): About.metadata,
    ("ready",): About.model_ready,
    ("config",): About.configuration,
    ("stats",): About.statistics,
}
_ORDERS: dict[str, Answering] = {"load": About.load, "unload": About.unload}


def route_of(target: bytes) -> Route:
    """What a request target stands for.

    Raises:
        RouteUnknown: nothing.
    """
    path = _path_of(target)
    parts = tuple(unquote(part) for part in path.split("/")[1:])
    answering = _OF_SERVER.get(parts)
    if answering is not None:
        return Route(path=path, answering=answering)
    route = _scoring_route(path, parts) or _route_of_model(path, parts)
    if route is None:
        raise RouteUnknown(f"there is no {path[:200]!r} here; see /v2 and POST /score/ENDPOINT", path=path[:200])
    return route


def _scoring_route(path: str, parts: tuple[str, ...]) -> Route | None:
    match parts:
        case ("score", endpoint):
            return Route(path=path, method=b"POST", form=Form.RECORDS, model=endpoint)
        case ("v2", "models", model, "versions", number, "infer"):
            return Route(path=path, method=b"POST", form=Form.V2, model=model, number=number)
        case ("v2", "models", model, "infer"):
            return Route(path=path, method=b"POST", form=Form.V2, model=model)
    return None


def _route_of_model(path: str, parts: tuple[str, ...]) -> Route | None:
    match parts:
        case ("v2", "models", model, "versions", number, *rest) if tuple(rest) in _OF_MODEL:
            return Route(path=path, answering=_OF_MODEL[tuple(rest)], model=model, number=number)
        case ("v2", "models", model, *rest) if tuple(rest) in _OF_MODEL:
            return Route(path=path, answering=_OF_MODEL[tuple(rest)], model=model)
        case ("v2", "repository", "index"):
            return Route(path=path, method=b"POST", answering=About.index)
        case ("v2", "repository", "models", model, order) if order in _ORDERS:
            return Route(path=path, method=b"POST", answering=_ORDERS[order], model=model)
    return None


def _path_of(target: bytes) -> str:
    """The path of a request target; RFC 9112, section 3.2.2 has servers take the absolute form too."""
    try:
        if not target.startswith(b"/"):
            target = httptools.parse_url(target).path or b"/"
        return target.partition(b"?")[0].decode("ascii")
    except (httptools.HttpParserInvalidURLError, UnicodeDecodeError) as error:
        raise RouteUnknown("the address cannot be read") from error
