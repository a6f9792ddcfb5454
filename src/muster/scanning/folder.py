"""A bundle's folder, read through: every file by what its bytes say it is, archives and what lies in them included.

What a file's name says counts as well: a `.pkl` that is no pickle and a `.zip` that is no archive are refused, because somebody will
try to load them. What a bundle may hold is not a matter of names: a pickle called `weights.bin` is read as the pickle that it is.
"""

from collections.abc import Callable, Collection
from functools import partial
from os import SEEK_END
from pathlib import Path, PurePosixPath
from typing import Any

from muster.scanning.archives import SUFFIXES as ARCHIVES
from muster.scanning.archives import Budget, Escapes, announces_zip, kinds_of, members, most_of
from muster.scanning.arrays import MAGIC, behind_array
from muster.scanning.code import reaches_beyond
from muster.scanning.found import Found, Scan
from muster.scanning.machine import Unreadable
from muster.scanning.nodes import Global
from muster.scanning.pickles import MOST_BYTES, goes_beyond, looks_like_pickle, perhaps_decompressed, scan_pickle
from muster.scanning.pickles import SUFFIXES as PICKLES

_DEEPEST = 6
_LARGEST_SOURCE = 4 * 2**20
#: What is read of a file that is too large: as much at its beginning as at its end.
_HEAD = 2**20
_RATIO = 1_100
"""So many times more zlib unpacks at most."""


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
                head = stream.read(_HEAD)
                stream.seek(-_HEAD, SEEK_END)
                tail = stream.read()
            if _may_run(head, tail, place):
                self.note(place, "unreadable", f"{place} has {size} bytes, more than a scan reads")
            return
        self.content(path.read_bytes(), place, 0)

    def content(self, content: bytes, place: str, depth: int, named: str | None = None) -> None:
        """Look at bytes, and at what is packed in them: as everything that a reader may take them for.

        Args:
            content: the bytes.
            place: where they are, for what is found.
            depth: how many archives they lie in.
            named: what they are called; None: as their place ends.
        """
        suffix = PurePosixPath(named or place).suffix.lower()
        kinds = kinds_of(content)
        is_read = bool(kinds)
        for kind in kinds:
            self._guarded(place, partial(self._look_into, content, place, kind, depth))
        if content.startswith(MAGIC):
            is_read = True
            self._guarded(place, partial(self._array, content, place, depth))
        inner = b"" if kinds else self._perhaps_packed(content, place)
        if inner:
            is_read = is_read or suffix in PICKLES
            self._guarded(place, partial(self._unpacked, inner, place, depth, suffix))
        if looks_like_pickle(content, self._allowed) or (suffix in PICKLES and not is_read):
            is_read = True
            self._guarded(place, partial(self._pickle, content, place))
        if not is_read:
            self._guarded(place, partial(self._by_ending, content, place, suffix))

    def _guarded(self, place: str, look: Callable[[], None]) -> None:
        """One way of reading; that it comes to nothing keeps no other from being tried."""
        try:
            look()
        except Escapes as error:
            self.note(place, "archive-escapes", f"{place}: {error}")
        except Unreadable as error:
            self.note(place, "unreadable", f"{place} is refused unread: {error}")
        except Exception as error:  # noqa: BLE001 - whatever a reader stumbles over: what is not read is refused
            self.note(place, "unreadable", f"{place} is refused unread: {type(error).__name__}: {str(error)[:200]}")

    def _perhaps_packed(self, content: bytes, place: str) -> bytes:
        """What is packed in a way that has no magic, as joblib packs: empty, if there is nothing."""
        inner = b""

        def unpack() -> None:
            nonlocal inner
            inner = perhaps_decompressed(content, most_of(content, self._budget))
            self._budget.take(len(inner))

        self._guarded(place, unpack)
        return inner

    def _unpacked(self, inner: bytes, place: str, depth: int, suffix: str) -> None:
        if depth >= _DEEPEST:
            raise Unreadable(f"archives lie in it more than {_DEEPEST} deep")
        # Random bytes may begin as a packed file does: only what says that it is a pickle must be one.
        self.content(inner, place, depth + 1, f"it{suffix}" if suffix in PICKLES else "it")

    def _array(self, content: bytes, place: str, depth: int) -> None:
        """An array, and what lies behind it: readers may go on there."""
        while content.startswith(MAGIC):
            has_objects, content = behind_array(content)
            if has_objects:
                self._pickle(content, place)
                return
        if content:
            self.content(content, place, depth, "it")

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
                self.content(inner, place, depth + 1, _without_packing(place))
            elif kind == "zip" and _is_torch(name):
                self._pickle(inner, f"{place}!{name}", _why_no_storage)
            elif kind == "zip" and "/code/" in name and name.endswith(".py"):
                told = f"{place}!{name} is code of TorchScript, which runs in torch"
                self.found.append(Found(place=place, what="code", told=told, refused=False))
            else:
                self.content(inner, f"{place}!{name}", depth + 1)
        if not seen and kind == "packed":
            raise Unreadable("it is empty")


def _without_packing(place: str) -> str:
    """What a single compressed file is called without the ending of its packing."""
    for suffix in (".gz", ".bz2", ".xz", ".tgz"):
        place = place.removesuffix(suffix)
    return place


def _may_run(head: bytes, tail: bytes, place: str) -> bool:
    """Whether a file that is too large to be read could run something."""
    suffix = PurePosixPath(place).suffix.lower()
    if suffix in (*PICKLES, *ARCHIVES) or kinds_of(head) or announces_zip(tail) or goes_beyond(head):
        return True
    if head.startswith(MAGIC):
        try:
            return behind_array(head)[0]
        except Unreadable:
            return True
    return goes_beyond(perhaps_decompressed(head, _RATIO * len(head)))


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
