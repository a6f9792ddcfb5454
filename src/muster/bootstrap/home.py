"""A factory's home: the folder, what lies where in it, and how it is made and opened."""

import contextlib
import os
import secrets
import shutil
import tempfile
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import msgspec

from muster.bootstrap.errors import HomeDamaged, HomeExists, HomeMissing, HomeUnusable
from muster.settings import Settings, read_settings
from muster.vocabulary.clock import SystemClock, rfc3339

HOME_FORMAT = 1


class FactoryFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`factory.json`, format 1: what a home is."""

    format: int
    factory: str
    """Id of the factory, for ever."""
    solo: bool
    created: str


@dataclass(frozen=True, slots=True)
class Home:
    """A home and where things lie in it."""

    path: Path
    factory: FactoryFile
    settings: Settings

    @property
    def database_url(self) -> str:
        """The database's address."""
        return self.settings.database or f"sqlite:///{self.path / 'muster.db'}"

    @property
    def store(self) -> str:
        """Where blobs lie: a folder or an `s3://` address."""
        return self.settings.store or str(self.path / "store")

    @property
    def admin_token(self) -> Path:
        """File with the first admin's token, mode 0600."""
        return self.path / "admin.token"

    @property
    def front_token(self) -> Path:
        """File with the fronts' service token, mode 0600."""
        return self.path / "front.token"

    @property
    def keys(self) -> Path:
        """The private keys that sign certificates; mode 0700."""
        return self.path / "keys"

    @property
    def bundles(self) -> Path:
        """Materialised bundles, by manifest digest."""
        return self.path / "bundles"

    @property
    def environments(self) -> Path:
        """Environments, by id."""
        return self.path / "environments"

    @property
    def uv_cache(self) -> Path:
        """What uv has downloaded; on the same disk as the environments, for hard links."""
        return self.path / "uv-cache"

    @property
    def remotes(self) -> Path:
        """The servers that remote models run on, mode 0600; written by the operator, absent where there are none."""
        return self.path / "remotes.toml"

    @property
    def scratch(self) -> Path:
        """For what is being received or unpacked; on the home's disk, emptied when control starts."""
        return self.path / "scratch"

    @property
    def archive(self) -> Path:
        """Decision records: `spool` and `parquet`."""
        return self.path / "archive"

    @property
    def audit_head(self) -> Path:
        """The chain's head, outside the database."""
        return self.path / "audit" / "head.jsonl"

    @property
    def publications(self) -> Path:
        """The fronts' cache of plans and access list."""
        return self.path / "publications.json"

    @property
    def logs(self) -> Path:
        """One log file per process."""
        return self.path / "logs"

    @property
    def state(self) -> Path:
        """What runs now: process lists and the lock."""
        return self.path / "run"

    @property
    def sockets(self) -> Path:
        """Short folder for Unix sockets (their paths may have 107 bytes at most), one per home and user."""
        base = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir())
        name = sha256(str(self.path.resolve()).encode()).hexdigest()[:12]
        return base / f"muster-{os.getuid()}-{name}"

    @property
    def keeper_socket(self) -> Path:
        """Where the keeper listens for fronts."""
        return self.sockets / "keeper.sock"


def open_home(path: Path) -> Home:
    """The home in a folder.

    Raises:
        HomeMissing: there is none.
        HomeDamaged: `factory.json` cannot be read.
        SettingsMalformed: a setting is wrong.
    """
    file = path / "factory.json"
    try:
        factory = msgspec.json.decode(file.read_bytes(), type=FactoryFile)
    except (FileNotFoundError, NotADirectoryError) as error:
        raise HomeMissing(f"{path} is no home of a factory", home=str(path)) from error
    except PermissionError as error:
        raise HomeUnusable(f"{file} may not be read: {error}", home=str(path)) from error
    except msgspec.MsgspecError as error:
        raise HomeDamaged(f"{file} cannot be read: {error}", home=str(path)) from error
    if factory.format != HOME_FORMAT:
        raise HomeDamaged(
            f"{file} has format {factory.format}; this version of Muster reads format {HOME_FORMAT}", home=str(path)
        )
    return Home(path.resolve(), factory, read_settings(path / "settings.toml"))


def lay_out(path: Path, *, solo: bool) -> Home:
    """Make the folders and files of a new home, whole or not at all; database and tokens come afterwards.

    Raises:
        HomeExists: there is something already.
        HomeUnusable: the folder cannot be made.
    """
    if path.exists() and (not path.is_dir() or any(path.iterdir())):
        raise HomeExists(f"{path} exists and is not an empty folder", home=str(path))
    factory = FactoryFile(HOME_FORMAT, f"f-{secrets.token_hex(8)}", solo, rfc3339(SystemClock().now()))
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        building = Path(tempfile.mkdtemp(prefix=f".{path.name}-", dir=path.parent))
        building.chmod(0o700)
        for folder in (
            "store",
            "environments",
            "uv-cache",
            "bundles",
            "archive/spool",
            "archive/parquet",
            "audit",
            "logs",
            "run",
            "scratch",
        ):
            (building / folder).mkdir(parents=True)
        (building / "settings.toml").write_text(
            "# Settings of this factory; docs/reference/settings.md lists them all.\n", encoding="utf-8"
        )
        (building / "factory.json").write_bytes(msgspec.json.format(msgspec.json.encode(factory), indent=2) + b"\n")
    except OSError as error:
        raise HomeUnusable(f"{path} cannot be made: {error}", home=str(path)) from error
    return Home(building, factory, Settings())


def move_into_place(built: Home, path: Path) -> Home:
    """Give a home that is complete its place.

    Raises:
        HomeExists: somebody else was quicker.
    """
    try:
        built.path.replace(path)
    except OSError as error:
        shutil.rmtree(built.path, ignore_errors=True)
        raise HomeExists(f"{path} exists and is not an empty folder", home=str(path)) from error
    return open_home(path)


def write_secret(file: Path, secret: str) -> None:
    """Write a token so that only its owner can read it."""
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w", encoding="ascii") as stream:
        stream.write(secret + "\n")
        stream.flush()
        os.fsync(stream.fileno())


def read_secret(file: Path) -> str:
    """The token in a file; HomeUnusable when it may not be read."""
    try:
        return file.read_text(encoding="ascii").strip()
    except OSError as error:
        raise HomeUnusable(f"{file} cannot be read: {error}", file=str(file)) from error


def make_socket_folder(home: Home) -> None:
    """Make the folder for sockets, for this user alone.

    Raises:
        HomeUnusable: somebody else owns a folder of that name.
    """
    folder = home.sockets
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700)
    status = folder.lstat()
    if status.st_uid != os.getuid() or not folder.is_dir() or folder.is_symlink():
        raise HomeUnusable(f"{folder} belongs to somebody else", folder=str(folder))
    folder.chmod(0o700)
