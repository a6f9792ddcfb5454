"""A bundle's folder, read through: every file by what its bytes say it is, archives and what lies in them included.

What a file's name says counts as well: a `.pkl` that is no pickle and a `.zip` that is no archive are refused, because somebody will
try to load them. What a bundle may hold is not a matter of names: a pickle called `weights.bin` is read as the pickle that it is.
"""

from collections.abc import Collection
from pathlib import Path, PurePosixPath
from typing import Any

from muster.scanning.archives import SUFFIXES as ARCHIVES
from muster.scanning.archives import Budget, Escapes, kind_of, members
from muster.scanning.arrays import MAGIC, pickle_in_array
from muster.scanning.code import reaches_beyond
from muster.scanning.found import Found, Scan
from muster.scanning.machine import Unreadable
from muster.scanning.nodes import Global
from muster.scanning.pickles import MOST_BYTES, decompressed, looks_like_pickle, scan_pickle
from muster.scanning.pickles import SUFFIXES as PICKLES

_DEEPEST = 6
_LARGEST_SOURCE = 4 * 2**20
#: Model files whose bytes say what they are and are not read as something else.
_KNOWN = {b"PAR1": "parquet", b"\x89PNG": "png", b"\x7fELF": "program", b"ARROW1": "arrow"}


def scan_folder(folder: Path, allowed: Collection[str] = ()) -> Scan:
    """Look through a folder for what runs by itself when it is loaded, or cannot be looked into.

    Args:
        folder: of a bundle; nothing in it is run.
        allowed: names that a project's standard lets pickles call, `package.module.name`.
    """
    scanner = _Scanner(allowed)
    files = 0
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder).as_posix()
        if path.is_symlink():
            scanner.note(place, "archive-escapes", f"{place} is a link")
        elif path.is_file():
            files += 1
            scanner.file(path, place)
    return Scan(found=tuple(scanner.found), files=files, inside=scanner.inside)


class _Scanner:
    def __init__(self, allowed: Collection[str]) -> None:
        self._allowed = allowed
        self._budget = Budget()
        self.found: list[Found] = []
        self.inside = 0

    def note(self, place: str, what: str, told: str) -> None:
        """Something that refuses the bundle."""
        self.found.append(Found(place=place, what=what, told=told))

    def file(self, path: Path, place: str) -> None:
        """Look at one file of the folder."""
        size = path.stat().st_size
        if size > MOST_BYTES:
            with path.open("rb") as stream:
                head = stream.read(512)
            if _may_run(head, place):
                self.note(place, "unreadable", f"{place} has {size} bytes, more than a scan reads")
            return
        self.content(path.read_bytes(), place, 0)

    def content(self, content: bytes, place: str, depth: int) -> None:
        """Look at bytes, and at what is packed in them."""
        try:
            self._look(content, place, depth)
        except Escapes as error:
            self.note(place, "archive-escapes", f"{place}: {error}")
        except Unreadable as error:
            self.note(place, "unreadable", f"{place} is refused unread: {error}")
        except Exception as error:  # noqa: BLE001 - whatever a reader stumbles over: what is not read is refused
            self.note(place, "unreadable", f"{place} is refused unread: {type(error).__name__}: {str(error)[:200]}")

    def _look(self, content: bytes, place: str, depth: int) -> None:
        suffix = PurePosixPath(place).suffix.lower()
        kind = kind_of(content)
        if kind is not None:
            self._look_into(content, place, kind, depth)
        elif content.startswith(MAGIC):
            inner = pickle_in_array(content)
            if inner is not None:
                self._pickle(inner, place)
        elif any(content.startswith(magic) for magic in _KNOWN):
            return
        elif suffix in PICKLES or looks_like_pickle(content):
            unpacked = decompressed(content, self._budget.left)
            if unpacked is not None:
                self._budget.take(len(unpacked))
            self._pickle(content if unpacked is None else unpacked, place)
        else:
            self._by_ending(content, place, suffix)

    def _by_ending(self, content: bytes, place: str, suffix: str) -> None:
        """A file that is neither pickle nor archive by its bytes: its ending may promise otherwise."""
        if suffix in {".pt", ".pth", ".ckpt"}:
            self._text_or_refuse(content, place)
        elif suffix in ARCHIVES:
            raise Unreadable(f"it says that it is {suffix}, and is not")
        elif suffix == ".py" and len(content) <= _LARGEST_SOURCE:
            self.found.extend(reaches_beyond(content.decode("utf-8", "replace"), place))
        elif content[:4] == b"\xac\xed\x00\x05":
            told = f"{place} is a serialised object of Java: reading it runs code of the classes that it names"
            self.found.append(Found(place=place, what="java-object", told=told, refused=False))

    def _text_or_refuse(self, content: bytes, place: str) -> None:
        """A `.pth` may be a list of paths; a line of it that begins with `import` is run when an interpreter starts."""
        try:
            lines = content.decode("utf-8").splitlines()
        except UnicodeDecodeError as error:
            raise Unreadable("it is neither a pickle nor an archive of torch") from error
        if any(line.startswith(("import ", "import\t")) for line in lines):
            self.note(place, "pickle-call", f"{place} has lines that an interpreter runs when it starts")

    def _pickle(self, content: bytes, place: str, persistent: Any = None) -> None:
        self.inside += 1
        self.found.extend(scan_pickle(content, place, self._allowed, persistent))

    def _look_into(self, content: bytes, place: str, kind: str, depth: int) -> None:
        if depth >= _DEEPEST:
            raise Unreadable(f"archives lie in it more than {_DEEPEST} deep")
        self.inside += 1
        seen = False
        for name, inner in members(content, kind, self._budget):
            seen = True
            if kind == "packed":
                self._unpacked(inner, place, depth)
            elif kind == "zip" and _is_torch(name):
                self._pickle(inner, f"{place}!{name}", _why_no_storage)
            elif kind == "zip" and "/code/" in name and name.endswith(".py"):
                told = f"{place}!{name} is code of TorchScript, which runs in torch"
                self.found.append(Found(place=place, what="code", told=told, refused=False))
            else:
                self.content(inner, f"{place}!{name}", depth + 1)
        if not seen and kind == "packed":
            raise Unreadable("it is empty")

    def _unpacked(self, inner: bytes, place: str, depth: int) -> None:
        """What a single compressed file holds; its ending is gone with the packing."""
        plain = place
        for suffix in (".gz", ".bz2", ".xz", ".tgz"):
            plain = plain.removesuffix(suffix)
        says_so = PurePosixPath(plain).suffix.lower() in PICKLES and kind_of(inner) is None
        if says_so or looks_like_pickle(inner) or inner[:1] == b"\x80":
            self._pickle(inner, place)
        elif kind_of(inner) is not None or inner.startswith(MAGIC):
            self.content(inner, f"{place}!", depth + 1)


def _may_run(head: bytes, place: str) -> bool:
    """Whether a file that is too large to be read could run something."""
    if any(head.startswith(magic) for magic in _KNOWN) or (head.startswith(MAGIC) and b"O" not in head[:256]):
        return False
    suffix = PurePosixPath(place).suffix.lower()
    return suffix in (*PICKLES, *ARCHIVES) or kind_of(head) is not None or head[:1] == b"\x80"


def _is_torch(name: str) -> bool:
    return name == "data.pkl" or name.endswith(("/data.pkl", "/constants.pkl"))


def _why_no_storage(found: Any) -> str | None:
    """Why a persistent id is no storage of torch: `("storage", torch.FloatStorage, key, device, elements)`."""
    is_storage = (
        isinstance(found, tuple)
        and len(found) == 5
        and found[0] == "storage"
        and isinstance(found[1], Global)
        and found[1].module in {"torch", "torch.storage"}
        and found[1].name.endswith("Storage")
        and isinstance(found[2], str)
        and found[2].isdigit()
    )
    return None if is_storage else "it asks its reader for objects that are no storages of torch"
