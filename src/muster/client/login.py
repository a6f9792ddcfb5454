"""Which factory is meant, and who asks: found in this order, the first that is there.

    the address    the argument · MUSTER_URL · the saved login · what runs in the home · http://127.0.0.1:8600
    the token      the argument · MUSTER_TOKEN · the saved login, if it is for this address
                   · the admin token in the home, if the address is this machine

The home is MUSTER_HOME, or `./.muster`. The saved login is `~/.config/muster/login.json` (XDG_CONFIG_HOME is
respected), readable by its owner alone; `muster login` writes it.
"""

import contextlib
import os
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from muster.client.errors import LoginUnreadable
from muster.client.transport import checked_token, checked_url, is_loopback

DEFAULT_URL = "http://127.0.0.1:8600"
DEFAULT_SCORING_URL = "http://127.0.0.1:8601"
LOGIN_FORMAT = 1
#: In a home, written by `muster up` while it runs: its processes, and where its doors are.
ADDRESSES_FILE = "run/supervisor.json"


class SavedLogin(msgspec.Struct, frozen=True, kw_only=True):
    """`login.json`, format 1."""

    format: int = LOGIN_FORMAT
    url: str
    token: str
    name: str = ""
    """Who the token belongs to, for people who read the file."""


class Addresses(msgspec.Struct, frozen=True, kw_only=True):
    """Of `HOME/run/supervisor.json`: where the doors of the factory that runs in the home are."""

    control: str
    scoring: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Login:
    """A factory's address and the token to use there."""

    url: str
    token: str | None
    scoring_url: str | None
    """Where to score, as far as it is known without asking control."""
    source: str
    """Where the token comes from, for messages."""


def find_login(
    url: str | None = None, token: str | None = None, *, environment: Mapping[str, str] | None = None
) -> Login:
    """The factory that is meant and the token to use.

    Raises:
        AddressMalformed: the address that was found is no URL.
        LoginUnreadable: the saved login is there but cannot be read.
    """
    variables = os.environ if environment is None else environment
    saved = read_login(variables)
    home = home_of(variables)
    addresses = read_addresses(home)
    meant = checked_url(
        url or variables.get("MUSTER_URL") or (saved and saved.url) or (addresses and addresses.control) or DEFAULT_URL
    )
    is_of_home = is_loopback(meant) and (addresses is None or _same(meant, addresses.control))
    found, source = _token_for(meant, token, variables, saved, home if is_of_home else None)
    scoring = variables.get("MUSTER_SCORING_URL") or (addresses.scoring if addresses and is_of_home else "")
    return Login(
        url=meant,
        token=None if found is None else checked_token(found),
        scoring_url=checked_url(scoring) if scoring else None,
        source=source,
    )


def _token_for(
    url: str, token: str | None, variables: Mapping[str, str], saved: SavedLogin | None, home: Path | None
) -> tuple[str | None, str]:
    if token is not None:
        return token, "the argument"
    if variables.get("MUSTER_TOKEN"):
        return variables["MUSTER_TOKEN"], "MUSTER_TOKEN"
    if saved is not None and _same(saved.url, url):
        return saved.token, f"the saved login of {saved.name or 'somebody'}"
    if home is not None:  # never sent elsewhere: it opens this home
        with contextlib.suppress(OSError, UnicodeDecodeError):
            return (home / "admin.token").read_text(encoding="ascii"), f"the admin token of {home}"
    return None, "nowhere"


def home_of(environment: Mapping[str, str]) -> Path:
    """The home that is meant when none is named."""
    return Path(environment.get("MUSTER_HOME") or ".muster")


def login_file(environment: Mapping[str, str]) -> Path:
    """Where the login is saved."""
    config = environment.get("XDG_CONFIG_HOME") or str(Path(environment.get("HOME") or "~").expanduser() / ".config")
    return Path(config) / "muster" / "login.json"


def read_login(environment: Mapping[str, str]) -> SavedLogin | None:
    """The saved login, if there is one.

    Raises:
        LoginUnreadable: it cannot be read.
    """
    file = login_file(environment)
    try:
        return msgspec.json.decode(file.read_bytes(), type=SavedLogin)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, msgspec.MsgspecError) as error:
        raise LoginUnreadable(f"{file} cannot be read: {error}", file=str(file)) from error


def save_login(login: SavedLogin, environment: Mapping[str, str]) -> Path:
    """Keep a login for later calls, readable by its owner alone; it replaces an earlier one."""
    file = login_file(environment)
    try:
        file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle, name = tempfile.mkstemp(dir=file.parent, prefix=".login-")  # mode 0600
        with os.fdopen(handle, "wb") as stream:
            stream.write(msgspec.json.format(msgspec.json.encode(login), indent=2) + b"\n")
            stream.flush()
            os.fsync(stream.fileno())
        Path(name).replace(file)
    except OSError as error:
        raise LoginUnreadable(f"{file} cannot be written: {error}", file=str(file)) from error
    return file


def forget_login(environment: Mapping[str, str]) -> bool:
    """Take the saved login away; whether there was one."""
    file = login_file(environment)
    if not file.exists():
        return False
    file.unlink()
    return True


def read_addresses(home: Path) -> Addresses | None:
    """Where the doors of the factory in a home are, if it runs."""
    try:
        found = msgspec.json.decode((home / ADDRESSES_FILE).read_bytes(), type=Addresses)
    except (OSError, msgspec.MsgspecError):
        return None
    return found if found.control else None


def _same(one: str, other: str) -> bool:
    """Whether two addresses are one; the names of this machine are alike."""
    return _plain(one) == _plain(other)


def _plain(url: str) -> str:
    plain = url.rstrip("/").lower()
    return plain.replace("://localhost", "://127.0.0.1").replace("://[::1]", "://127.0.0.1")
