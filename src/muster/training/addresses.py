"""Addresses of data: what an admin may register, and which reference of a bundle lies below it.

A path is taken apart and every part judged before anything is opened: nothing that a bundle says leads out of the source.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

from muster.training.errors import ReferenceMalformed, SourceMalformed, SourceNotFound
from muster.training.records import Source

SOURCE = "source:"
#: Data that travels in the bundle itself.
BUNDLE = "bundle:"
_LONGEST = 1000
_DEEPEST = 32
_LONGEST_PART = 255
_BROKEN = ("\\", "\0")


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """A file below a source."""

    source: Source
    parts: tuple[str, ...]
    """The path below it, part by part; none leads upwards."""

    def __str__(self) -> str:
        return f"{SOURCE}{self.source.name}/{'/'.join(self.parts)}"

    @property
    def name(self) -> str:
        """The file's own name."""
        return self.parts[-1]

    @property
    def folder(self) -> Path:
        """Of a source that is a folder: that folder."""
        return Path(unquote(urlsplit(self.source.uri).path))

    @property
    def url(self) -> str:
        """Of any other source: the whole address."""
        below = "/".join(self.parts)
        return self.source.uri + (quote(below) if self.source.uri.startswith("https:") else below)


def checked_source(given: str, private: Iterable[Path] = ()) -> str:
    """The address of a source, with a slash at its end.

    Args:
        given: as an admin wrote it: a folder, or an address.
        private: folders of the factory itself; a source lies neither in one nor around one.

    Raises:
        SourceMalformed: it cannot be one.
    """
    if not 0 < len(given) <= _LONGEST or any(one in given for one in _BROKEN) or not given.isprintable():
        raise SourceMalformed(f"{given[:80]!r} is no address of a data source")
    parsed = _split(given)
    if parsed.scheme in {"", "file"}:
        return _folder(given, private)
    if parsed.scheme not in {"s3", "https"} or not parsed.hostname:
        raise SourceMalformed(
            f"{parsed.scheme}://{parsed.netloc.rpartition('@')[2]} is no address of a data source", scheme=parsed.scheme
        )
    if "@" in parsed.netloc or parsed.query or parsed.fragment or "?" in given or "#" in given:
        raise SourceMalformed("the address of a data source has no user, password, query or fragment")
    parts = [part for part in unquote(parsed.path).split("/") if part]
    if any(part in {".", ".."} for part in parts):
        raise SourceMalformed(f"{given[:80]!r} leads upwards")
    return given if given.endswith("/") else given + "/"


def place_of(uri: str, sources: Iterable[Source]) -> Place | None:
    """The file that a reference means; None: it names no source and lies below none, so nobody fetches it.

    Raises:
        SourceNotFound: it names a source that the project does not have.
        ReferenceMalformed: it names a source, and a path that cannot lie below it.
    """
    known = {source.name: source for source in sources}
    if uri.startswith(SOURCE):
        name, _, path = uri.removeprefix(SOURCE).partition("/")
        source = known.get(name)
        if source is None:
            raise SourceNotFound(f"there is no data source {name[:80]!r}", source=name[:80], sources=sorted(known)[:50])
        return Place(source=source, parts=checked_parts(path, uri))
    for source in sorted(known.values(), key=lambda one: -len(one.uri)):
        if uri.startswith(source.uri):
            rest = uri.removeprefix(source.uri)
            if source.uri.startswith("https:") and ("?" in rest or "#" in rest):
                raise ReferenceMalformed(f"{uri[:200]!r} has a query or a fragment", uri=uri[:200])
            path = rest if source.uri.startswith("s3:") else unquote(rest)
            return Place(source=source, parts=checked_parts(path, uri))
    return None


def checked_parts(path: str, uri: str) -> tuple[str, ...]:
    """A relative path, part by part.

    Raises:
        ReferenceMalformed: a part is empty, leads upwards, or is no name of a file.
    """
    parts = tuple(path.split("/"))
    if (
        len(path) > _LONGEST
        or len(parts) > _DEEPEST
        or not path.isprintable()
        or any(one in path for one in _BROKEN)
        or any(part in {"", ".", ".."} or len(part.encode()) > _LONGEST_PART for part in parts)
    ):
        raise ReferenceMalformed(f"{uri[:200]!r} names no path below a source", uri=uri[:200])
    return parts


def _split(given: str):  # type: ignore[no-untyped-def]  # noqa: ANN202 - urllib's own type
    try:
        parsed = urlsplit(given)
        _ = parsed.port
    except ValueError as error:
        raise SourceMalformed(f"{given[:80]!r} is no address: {error}") from error
    return parsed


def _folder(given: str, private: Iterable[Path]) -> str:
    parsed = urlsplit(given)
    if parsed.scheme == "file" and parsed.netloc not in {"", "localhost"}:
        raise SourceMalformed(f"{given[:80]!r} is a folder of another machine")
    folder = Path(unquote(parsed.path)) if parsed.scheme == "file" else Path(given)
    if not folder.is_absolute() or ".." in folder.parts or folder == Path("/"):
        raise SourceMalformed(f"{given[:80]!r} is no absolute folder below the root")
    real = folder.resolve()
    for own in private:
        home = own.resolve()
        if real.is_relative_to(home) or home.is_relative_to(real):
            raise SourceMalformed(f"{given[:80]!r} and the factory's own home {home} lie in one another")
    return real.as_uri() + "/"
