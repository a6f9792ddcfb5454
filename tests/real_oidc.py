"""A real OpenID provider in a process of its own, and a browser's part in signing in there."""

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import httpx
from joserfc.jwk import RSAKey

_FOLDER = Path(__file__).parent / "oidc_provider"
_FILES = ("package.json", "package-lock.json", "provider.mjs")
SECRET = "a secret with: and & and %"


@dataclass
class OidcProvider:
    """A provider that can be stopped and started again with other keys."""

    issuer: str
    folder: Path
    callbacks: Sequence[str]
    conform: bool = False
    names: Mapping[str, str] = field(default_factory=dict)
    groups: Mapping[str, Sequence[str]] = field(default_factory=dict)
    process: "subprocess.Popen[str] | None" = None
    key: RSAKey | None = None

    def start(self, *, kid: str = "first", algorithm: str = "RS256", same_key: bool = False) -> None:
        """Serve, with a new key of this name, or with the one before."""
        if self.key is None or not same_key:
            self.key = RSAKey.generate_key(2048, {"kid": kid, "use": "sig"})
        common = {"redirect_uris": list(self.callbacks), "id_token_signed_response_alg": algorithm}
        clients: list[dict[str, Any]] = [
            {"client_id": "muster", "client_secret": SECRET, **common},
            {"client_id": "other", "client_secret": SECRET, **common},
            {
                "client_id": "posting",
                "client_secret": SECRET,
                "token_endpoint_auth_method": "client_secret_post",
                **common,
            },
            {"client_id": "public", "token_endpoint_auth_method": "none", **common},
        ]
        configuration = {
            "issuer": self.issuer,
            "conform": self.conform,
            "clients": clients,
            "names": self.names,
            "groups": self.groups,
            "jwks": {"keys": [self.key.as_dict(private=True)]},
        }
        file = self.folder / "configuration.json"
        file.write_text(json.dumps(configuration))
        with (self.folder / "provider.log").open("a") as log:
            self.process = subprocess.Popen(
                ["node", "provider.mjs", str(file)], cwd=installed(), stdout=subprocess.PIPE, stderr=log, text=True
            )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == "listening\n", (self.folder / "provider.log").read_text()

    def stop(self) -> None:
        """End it; whoever asks it then is told nothing."""
        if self.process is not None:
            self.process.kill()
            self.process.wait()
            assert self.process.stdout is not None
            self.process.stdout.close()
            self.process = None


@contextmanager
def running_oidc_provider(folder: Path, callbacks: Sequence[str], **options: Any) -> Iterator[OidcProvider]:
    """A provider at a free port, for clients whose browsers come back at one of the addresses."""
    folder.mkdir(parents=True, exist_ok=True)
    provider = OidcProvider(f"http://127.0.0.1:{free_port()}", folder, callbacks, **options)
    provider.start()
    try:
        yield provider
    finally:
        provider.stop()


def installed() -> Path:
    """A folder with the provider's program and its packages, as the lock names them; made once for a user and a lock."""
    digest = hashlib.sha256(b"".join((_FOLDER / name).read_bytes() for name in _FILES)).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "muster" / "tests"
    folder = cache / f"oidc-provider-{digest}"
    if folder.exists():
        return folder
    cache.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(dir=cache))
    for name in _FILES:
        shutil.copy(_FOLDER / name, building)
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    done = subprocess.run(command, cwd=building, capture_output=True, text=True, check=False, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
    try:
        building.rename(folder)
    except OSError:  # another run was quicker
        shutil.rmtree(building)
    return folder


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return int(listener.getsockname()[1])


class Browser:
    """A browser with cookies of its own, as far as signing in takes one."""

    def __init__(self) -> None:
        self._http = httpx.Client(timeout=30, trust_env=False)

    def get(self, url: str) -> httpx.Response:
        """A page, without following where it leads."""
        return self._http.get(url)

    def sign_in(self, url: str, login: str) -> str:
        """Go to a provider and sign in there as somebody; gives the address that the provider then leads back to."""
        answer = self.get(url)
        for _ in range(12):
            if answer.is_redirect:
                target = str(answer.url.join(answer.headers["location"]))
                if "/sign-in/oidc/callback" in urlsplit(target).path:
                    return target
                answer = self.get(target)
                continue
            form = re.search(r'<form[^>]* action="([^"]+)"', answer.text)
            assert form is not None, answer.text
            prompt = re.search(r'name="prompt" value="(\w+)"', answer.text)
            assert prompt is not None, answer.text
            filled = {"prompt": prompt[1], "login": login, "password": "any"}
            answer = self._http.post(str(answer.url.join(form[1])), data=filled)
        raise AssertionError("the provider leads nowhere")

    def come_back(self, url: str, login: str) -> httpx.Response:
        """The whole way, to the factory's own page at its end."""
        return self.get(self.sign_in(url, login))

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()


def code_on(page: httpx.Response) -> str:
    """The code that the factory's page shows."""
    found = re.search(r"<code>([0-9A-Z]{4}-[0-9A-Z]{4})</code>", page.text)
    assert found is not None, page.text
    return found[1]
