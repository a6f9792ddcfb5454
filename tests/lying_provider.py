"""An OpenID provider that says whatever a test has it say, and keeps what it is asked."""

import json
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from joserfc import jwt
from joserfc.jwk import RSAKey

KEY = RSAKey.generate_key(2048, {"kid": "one"})


@dataclass
class Said:
    """One answer."""

    status: int = 200
    body: bytes = b"{}"
    headers: Mapping[str, str] = field(default_factory=dict)
    pause_s: float = 0.0
    """Between any two bytes."""


@dataclass
class LyingProvider:
    """What it says, by path; what is not there is said truthfully."""

    origin: str
    says: dict[str, Said] = field(default_factory=dict)
    claims: dict[str, Any] = field(default_factory=dict)
    """Of the ID token, beside or instead of true ones; None takes one away."""
    keys: list[dict[str, Any]] = field(default_factory=lambda: [KEY.as_dict(private=False)])
    asked: list[tuple[str, str, bytes, dict[str, str]]] = field(default_factory=list)
    """Method, path, body and headers of all questions."""

    def discovery(self, **changed: Any) -> Said:
        """A discovery document that is true but for what is changed."""
        told = {
            "issuer": self.origin,
            "authorization_endpoint": f"{self.origin}/auth",
            "token_endpoint": f"{self.origin}/token",
            "jwks_uri": f"{self.origin}/jwks",
            "userinfo_endpoint": f"{self.origin}/me",
        }
        return said({name: value for name, value in (told | changed).items() if value is not None})

    def token(self, **changed: Any) -> Said:
        """An answer to a code."""
        now = int(time.time())
        told = {"iss": self.origin, "aud": "muster", "sub": "1", "nonce": "n", "iat": now, "exp": now + 60}
        told = {name: value for name, value in (told | self.claims).items() if value is not None}
        id_token = jwt.encode({"alg": "RS256", "kid": "one"}, told, KEY, algorithms=["RS256"])
        return said({"id_token": id_token, "access_token": "opaque", "token_type": "Bearer"} | changed)

    def answer(self, path: str) -> Said:
        """What is said at a path."""
        if path in self.says:
            return self.says[path]
        match path:
            case "/.well-known/openid-configuration":
                return self.discovery()
            case "/jwks":
                return said({"keys": self.keys})
            case "/token":
                return self.token()
            case "/me":
                return said({"sub": "1", "preferred_username": "ana"})
        return Said(404)


def said(document: Any) -> Said:
    """A document in JSON."""
    return Said(body=json.dumps(document).encode(), headers={"content-type": "application/json"})


@contextmanager
def lying_provider() -> Iterator[LyingProvider]:
    """One that listens on this machine."""

    class Door(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            provider.asked.append(
                (self.command, self.path, body, {name.lower(): value for name, value in self.headers.items()})
            )
            told = provider.answer(self.path)
            self.send_response(told.status)
            for name, value in told.headers.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(told.body)))
            self.end_headers()
            pieces = [told.body] if not told.pause_s else [told.body[at : at + 1] for at in range(len(told.body))]
            for piece in pieces:
                try:
                    self.wfile.write(piece)
                except OSError:  # nobody reads on
                    return
                time.sleep(told.pause_s)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Door)
    server.daemon_threads = True
    provider = LyingProvider(f"http://127.0.0.1:{server.server_address[1]}")
    thread = threading.Thread(target=server.serve_forever, args=(0.02,))
    thread.start()
    try:
        yield provider
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
