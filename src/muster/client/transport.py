"""How the client speaks HTTP: one place for tokens, repeats, limits of time, and errors.

An order that changes something carries an `Idempotency-Key`, the same in every repeat, so that it is carried out once
however often the connection breaks. Only broken connections are repeated; what the factory says is final.
"""

import os
import secrets
import ssl
import time
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

import httpx
import msgspec

import muster
from muster.client.errors import (
    AddressMalformed,
    AnswerLate,
    AnswerNotUnderstood,
    FactoryUnreachable,
    TokenMalformed,
    error_of_problem,
    shortened,
)

Document = TypeVar("Document")
_Content = Callable[[], Iterator[bytes] | bytes | None]
_LOOPBACK = frozenset({"localhost", "127.0.0.1", "::1"})
_PIECE_BYTES = 1 << 20
#: Pauses before each repeat, seconds: after nobody listened, and after a connection broke (it may be restarting).
_AFTER_REFUSAL_S = (0.1, 0.3, 0.6)
_AFTER_BREAK_S = (0.05, 0.2, 0.5, 1.0, 2.0)


@dataclass(frozen=True, slots=True, kw_only=True)
class FileBody:
    """A body that lies in a file, read anew for every repeat."""

    file: Path
    media_type: str = "application/zip"

    def pieces(self) -> Iterator[bytes]:
        """The file's bytes, piece by piece."""
        with self.file.open("rb") as stream:
            while piece := stream.read(_PIECE_BYTES):
                yield piece


def checked_url(url: str) -> str:
    """The address without a slash at its end.

    Raises:
        AddressMalformed: it is not an http(s) URL with a host.
    """
    try:
        parts = urlsplit(url)
        is_url = parts.scheme in {"http", "https"} and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        is_url = False
    if not is_url:
        raise AddressMalformed(f"{url!r} is not the address of a factory", url=url)
    return url.rstrip("/")


def is_loopback(url: str) -> bool:
    """Whether the address is this very machine."""
    return urlsplit(url).hostname in _LOOPBACK


class Transport:
    """A connection pool to one address, with one token.

    Args:
        url: what every path is added to.
        token: sent as `Authorization: Bearer …`; None: nothing is sent.
        timeout_s: how long one answer may take.
        transport: httpx's own, for tests and proxies; None: the network.
        tls: whom to trust and which certificate to show; None: nothing is shown, and trusted are those that everybody trusts, or
            whom SSL_CERT_FILE or SSL_CERT_DIR names.
    """

    def __init__(
        self,
        url: str,
        token: str | None,
        *,
        timeout_s: float = 30.0,
        transport: httpx.BaseTransport | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.url = checked_url(url)
        self._timeout_s = timeout_s
        headers = {"user-agent": f"muster/{muster.__version__}"}
        if token is not None:
            headers["authorization"] = f"Bearer {checked_token(token)}"
        self._http = httpx.Client(
            base_url=self.url,
            headers=headers,
            timeout=httpx.Timeout(timeout_s, connect=5.0),
            transport=transport,
            verify=_trusted(self.url) if tls is None else tls,
            trust_env=not is_loopback(self.url),  # a proxy of the environment has no business on this machine
        )
        weakref.finalize(self, self._http.close)  # in notebooks nobody closes

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def get(self, path: str, kind: type[Document], *, wait_s: float = 0.0, **query: str | float | None) -> Document:
        """Ask for a document.

        Args:
            path: below the address.
            kind: what is to come back.
            wait_s: how much longer than usual the answer may take.
            query: parameters of the query; None is left out.
        """
        answer = self._send("GET", path, query=_given(query), wait_s=wait_s)
        return _decoded(answer, kind)

    def text(self, path: str) -> str:
        """Ask for a page, as it is."""
        return self._send("GET", path).text

    def post(
        self,
        path: str,
        kind: type[Document],
        body: msgspec.Struct | FileBody | None = None,
        *,
        wait_s: float = 0.0,
        **query: str | float | None,
    ) -> Document:
        """Give an order; it is carried out once, however often the connection breaks."""
        answer = self._send("POST", path, query=_given(query), body=body, key=secrets.token_urlsafe(18), wait_s=wait_s)
        return _decoded(answer, kind)

    def delete(self, path: str, kind: type[Document]) -> Document:
        """Order something to be taken away."""
        return _decoded(self._send("DELETE", path, key=secrets.token_urlsafe(18)), kind)

    def download(
        self, path: str, target: Path, *, wait_s: float = 0.0, **query: str | float | None
    ) -> Mapping[str, str]:
        """Write what lies at a path into a file; the file is there whole or not at all.

        Returns:
            The headers of the answer.
        """
        partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}")
        timeout = httpx.Timeout(self._timeout_s + wait_s, connect=5.0)
        try:
            with self._http.stream("GET", path, params=_given(query), timeout=timeout) as answer:
                if answer.is_error:
                    raise error_of_problem(answer.read(), answer.status_code)
                with partial.open("wb") as stream:
                    for piece in answer.iter_bytes(_PIECE_BYTES):
                        stream.write(piece)
                headers = dict(answer.headers)
            partial.replace(target)
        except httpx.TransportError as error:
            raise self._unreachable(error) from error
        finally:
            partial.unlink(missing_ok=True)
        return headers

    def exchange(self, method: str, path: str, content: bytes | None = None) -> httpx.Response:
        """The answer, whatever its status; for a body that is JSON already."""
        headers: dict[str, str] = {}
        if content is not None:
            headers = {"content-type": "application/json", "idempotency-key": secrets.token_urlsafe(18)}
        return self._repeated(method, path, lambda: content, headers=headers)

    def _send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str | float] | None = None,
        body: msgspec.Struct | FileBody | None = None,
        key: str | None = None,
        wait_s: float = 0.0,
    ) -> httpx.Response:
        headers: dict[str, str] = {} if key is None else {"idempotency-key": key}
        content: _Content = lambda: None  # noqa: E731 - one of three
        if isinstance(body, FileBody):
            headers |= {"content-type": body.media_type, "content-length": str(body.file.stat().st_size)}
            content = body.pieces
        elif body is not None:
            headers["content-type"] = "application/json"
            encoded = msgspec.json.encode(body)
            content = lambda: encoded  # noqa: E731
        answer = self._repeated(method, path, content, headers=headers, query=query, wait_s=wait_s)
        if answer.is_error:
            raise error_of_problem(answer.content, answer.status_code)
        return answer

    def _repeated(
        self,
        method: str,
        path: str,
        content: _Content,
        *,
        headers: Mapping[str, str],
        query: Mapping[str, str | float] | None = None,
        wait_s: float = 0.0,
    ) -> httpx.Response:
        """The answer, after as many attempts as it takes and as are allowed."""
        pauses = {True: iter(_AFTER_REFUSAL_S), False: iter(_AFTER_BREAK_S)}
        limit_s = self._timeout_s + wait_s
        timeout = httpx.Timeout(limit_s, connect=5.0)
        while True:
            try:
                return self._http.request(
                    method, path, params=query, content=content(), headers=headers, timeout=timeout
                )
            except (httpx.ReadTimeout, httpx.WriteTimeout) as error:
                late = f"{self.url} did not answer {method} {path} within {limit_s:g} s"
                raise AnswerLate(late, url=self.url) from error
            except httpx.TransportError as error:
                pause = next(pauses[isinstance(error, httpx.ConnectError | httpx.ConnectTimeout)], None)
                if pause is None:
                    raise self._unreachable(error) from error
            time.sleep(pause)

    def _unreachable(self, error: httpx.TransportError) -> FactoryUnreachable:
        why = str(error) or type(error).__name__
        return FactoryUnreachable(f"{self.url} cannot be reached: {why}", url=self.url)


def _trusted(url: str) -> ssl.SSLContext | bool:
    """Whom to trust: httpx asks the environment about that and about proxies together, and on this machine about neither."""
    is_told = url.startswith("https:") and any(os.environ.get(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR"))
    return ssl.create_default_context() if is_told else True


def checked_token(token: str) -> str:
    """The token without the line break that a file or a paste may bring.

    Raises:
        TokenMalformed: it holds characters that no token has.
    """
    stripped = token.strip()
    if not stripped or not stripped.isascii() or not stripped.isprintable() or " " in stripped:
        raise TokenMalformed("the token is empty or holds characters that no token has")
    return stripped


def _given(query: Mapping[str, str | float | None]) -> dict[str, str | float]:
    return {name: value for name, value in query.items() if value is not None}


def _decoded(answer: httpx.Response, kind: type[Document]) -> Document:
    try:
        return msgspec.json.decode(answer.content, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise AnswerNotUnderstood(
            f"{answer.url} answered something else than Muster: {error}; it begins {shortened(answer.content)}",
            url=str(answer.url),
        ) from error
