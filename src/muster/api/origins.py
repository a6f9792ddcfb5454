"""What a web page could have a browser send here, unasked: refused before anybody is identified.

Nothing here acts on a browser's own authority: there are no cookies, and a token is sent by whoever has it. What takes no token is
left: a page of another origin could use up the attempts to sign in of whoever looks at it, or of somebody it names. Browsers let
pages send forms and plain text anywhere, and say where such a request comes from.
"""

import re
from typing import Any
from urllib.parse import urlsplit

from litestar.enums import ScopeType
from litestar.middleware import ASGIMiddleware
from litestar.types import ASGIApp, Receive, Scope, Send

from muster.api.errors import ContentTypeUnfit, CrossOrigin

#: Set in `opt` of a route that takes a file.
TAKES_FILE = "takes_file"
_SAFE = frozenset({"GET", "HEAD", "OPTIONS"})
_OF_ORDERS = re.compile(rb"application/json(\s*;\s*charset=\"?utf-8\"?)?", re.IGNORECASE)
_OF_FILES = re.compile(rb"application/(zip|octet-stream)", re.IGNORECASE)
_OWN_SITES = frozenset({b"same-origin", b"none"})


class Origins(ASGIMiddleware):
    """Lets pass what comes from a program, or from a page of this origin, and is what it says to be."""

    scopes = (ScopeType.HTTP,)

    async def handle(self, scope: Scope, receive: Receive, send: Send, next_app: ASGIApp) -> None:
        """Look at the headers of one request.

        Raises:
            CrossOrigin: it changes something, and a browser sends it for a page of another origin.
            ContentTypeUnfit: its body is said to be something else than what the address takes.
        """
        if scope.get("method") not in _SAFE:
            headers = scope["headers"]
            _check_origin(headers)
            _check_content_type(headers, takes_file=bool(_opt(scope).get(TAKES_FILE)))
        await next_app(scope, receive, send)


def takes_file(scope: Scope) -> bool:
    """Whether the address takes a file, which is too large to be looked at as a whole."""
    return bool(_opt(scope).get(TAKES_FILE))


def _opt(scope: Scope) -> dict[str, Any]:
    return dict(scope["route_handler"].opt)


def _check_origin(headers: Any) -> None:
    sites = {value.strip().lower() for name, value in headers if name == b"sec-fetch-site"}
    if sites:  # no page can write this header
        if sites <= _OWN_SITES:
            return
        raise CrossOrigin("a page of another origin sends this")
    hosts = {value.strip().lower() for name, value in headers if name == b"host"}
    for origin in (value.strip().lower() for name, value in headers if name == b"origin"):
        if _place(origin) not in hosts:
            raise CrossOrigin("a page of another origin sends this")


def _place(origin: bytes) -> bytes | None:
    """What stands in the header Host of a request to an origin."""
    try:
        return urlsplit(origin).netloc or None
    except ValueError:
        return None


def _check_content_type(headers: Any, *, takes_file: bool) -> None:
    fits = _OF_FILES if takes_file else _OF_ORDERS
    for told in (value.strip() for name, value in headers if name == b"content-type"):
        if fits.fullmatch(told) is None:
            shown = told[:100].decode("latin-1")
            wanted = "application/zip" if takes_file else "application/json in UTF-8"
            raise ContentTypeUnfit(f"the body is said to be {shown!r}; this address takes {wanted}", content_type=shown)
