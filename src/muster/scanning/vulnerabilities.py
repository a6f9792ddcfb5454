"""Known vulnerabilities of packages, from a file in the format of OSV, matched without asking anybody.

A file is one record, a list of records, or a zip of records, as https://osv.dev exports them. Read, it becomes a list per ecosystem that is
small enough to be looked through for every certification.

Source: https://ossf.github.io/osv-schema/, version 1.7, "Evaluation".
"""

import io
import re
import zipfile
from collections.abc import Iterable, Iterator
from functools import cmp_to_key
from typing import Any, Literal

import msgspec
from packaging.utils import canonicalize_name
from packaging.version import InvalidVersion
from packaging.version import Version as PythonVersion

from muster.environments.protocol import Package
from muster.environments.trust import is_older
from muster.scanning.machine import Unreadable
from muster.scanning.severities import ORDER, Severity, severity_of_vector, severity_of_word

SHEET_FORMAT: Literal[1] = 1
#: More than this a file unpacks to is refused.
MOST_BYTES = 4 * 2**30
_MOST_RECORD = 16 * 2**20
#: What OSV calls ecosystems that locks name packages of, up to the first dot or colon.
ECOSYSTEMS = {"PyPI": "pypi", "Maven": "maven", "npm": "npm", "Go": "golang", "crates": "cargo", "CRAN": "cran"}
_ENDS = re.compile(r"[.:]")
#: How versions look that have an order; Maven orders every text.
_SEMANTIC = re.compile(r"v?[0-9]+(\.[0-9]+)*([-+].*)?")
_FORMS = {"npm": _SEMANTIC, "golang": _SEMANTIC, "cargo": _SEMANTIC, "cran": re.compile(r"[0-9]+([.-][0-9]+)*")}
_USED_TYPES = frozenset({"SEMVER", "ECOSYSTEM"})


class _Event(msgspec.Struct, frozen=True, omit_defaults=True):
    introduced: str | None = None
    fixed: str | None = None
    last_affected: str | None = None
    limit: str | None = None

    @property
    def version(self) -> str:
        """The one version that an event names, whatever happened with it."""
        return self.introduced or self.fixed or self.last_affected or self.limit or "0"


class _Range(msgspec.Struct, frozen=True):
    type: str = ""
    events: tuple[_Event, ...] = ()


class _Named(msgspec.Struct, frozen=True):
    ecosystem: str = ""
    name: str = ""


class _Score(msgspec.Struct, frozen=True):
    score: str = ""


class _Affected(msgspec.Struct, frozen=True):
    package: _Named = _Named()
    ranges: tuple[_Range, ...] | None = None
    versions: tuple[str, ...] | None = None
    severity: tuple[_Score, ...] | None = None
    database_specific: dict[str, Any] | None = None


class _Record(msgspec.Struct, frozen=True):
    """What is read of a record; the rest is left aside."""

    id: str
    modified: str = ""
    withdrawn: str | None = None
    aliases: tuple[str, ...] | None = None
    summary: str | None = None
    details: str | None = None
    severity: tuple[_Score, ...] | None = None
    affected: tuple[_Affected, ...] | None = None
    database_specific: dict[str, Any] | None = None


class Advisory(msgspec.Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """What is known against the versions of one package."""

    id: str
    severity: Severity
    summary: str = ""
    aliases: tuple[str, ...] = ()
    versions: tuple[str, ...] = ()
    ranges: tuple[tuple[_Event, ...], ...] = ()

    @property
    def names(self) -> frozenset[str]:
        """Its id and those that other databases give it."""
        return frozenset((self.id, *self.aliases))


class Sheet(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The advisories of one ecosystem, by package."""

    format: Literal[1]
    ecosystem: str
    packages: dict[str, tuple[Advisory, ...]]


class Hit(msgspec.Struct, frozen=True):
    """A package of a lock that an advisory is about."""

    package: str
    """`pypi:numpy 1.21.0`."""
    advisory: Advisory
    fixed: str | None
    """The lowest version above it in which it is mended; None: there is none, or it is not told."""
    is_unknown: bool = False
    """Whether the version cannot be compared with those that the advisory names: then it may be affected."""

    @property
    def told(self) -> str:
        """The package, with a word where it is not known whether it is hit."""
        return f"{self.package} (not known: its version cannot be compared)" if self.is_unknown else self.package


class Source(msgspec.Struct, frozen=True):
    """A file of vulnerabilities as it was taken in: where what it holds lies in the store."""

    number: int
    """In its project."""
    name: str
    """What the file was called."""
    digest: str
    """Of the file."""
    as_of: str
    """When its newest record was changed; RFC 3339, or empty."""
    sheets: dict[str, str]
    """Digest of the sheet of each ecosystem."""


class Reading(msgspec.Struct, frozen=True):
    """What a file of vulnerabilities holds."""

    sheets: tuple[Sheet, ...]
    records: int
    """How many are about packages that locks can name; withdrawn ones are not counted."""
    skipped: int
    """How many are withdrawn, or of ecosystems that no lock names."""
    as_of: str
    """When the newest was changed, as the file says it; empty: it does not say."""


def read_vulnerabilities(content: bytes) -> Reading:
    """Read a file of records in the format of OSV: one, a list, a zip, or one per line.

    Raises:
        Unreadable: it is none of them, or a record has no id.
    """
    packages: dict[str, dict[str, list[Advisory]]] = {}
    records = skipped = 0
    newest = ""
    for record in _records(content):
        newest = max(newest, record.modified)
        found = [] if record.withdrawn else list(_advisories(record))
        if not found:
            skipped += 1
            continue
        records += 1
        for ecosystem, name, advisory in found:
            packages.setdefault(ecosystem, {}).setdefault(name, []).append(advisory)
    sheets = tuple(
        Sheet(
            format=SHEET_FORMAT,
            ecosystem=ecosystem,
            packages={name: tuple(sorted(found, key=lambda one: one.id)) for name, found in sorted(by_name.items())},
        )
        for ecosystem, by_name in sorted(packages.items())
    )
    if not records and not skipped:
        raise Unreadable("it holds no record")
    return Reading(sheets=sheets, records=records, skipped=skipped, as_of=newest)


def hits(packages: Iterable[Package], sheets: Iterable[Sheet]) -> tuple[Hit, ...]:
    """Which advisories are about which of the packages, the worst first.

    Args:
        packages: of a lock.
        sheets: what is known, by ecosystem.
    """
    known = {sheet.ecosystem: sheet.packages for sheet in sheets}
    found = []
    for package in packages:
        name = key_of(package.ecosystem, package.name)
        for advisory in known.get(package.ecosystem, {}).get(name, ()):
            affected = is_affected(package.ecosystem, package.version, advisory)
            if affected is False:
                continue
            told = f"{package.ecosystem}:{package.name} {package.version}"
            fixed = _mended(package.ecosystem, package.version, advisory) if affected else None
            found.append(Hit(package=told, advisory=advisory, fixed=fixed, is_unknown=affected is None))
    found.sort(key=lambda hit: (-ORDER.index(hit.advisory.severity), hit.package, hit.advisory.id))
    return tuple(dict.fromkeys(found))


def is_affected(ecosystem: str, version: str, advisory: Advisory) -> bool | None:
    """Whether an advisory is about a version: it is listed, or lies in one of the ranges; None: that cannot be said."""
    if version in advisory.versions or (ecosystem == "golang" and version.removeprefix("v") in advisory.versions):
        return True
    if any(_is_in(ecosystem, version, events) for events in advisory.ranges if _can_tell(ecosystem, version, events)):
        return True
    return None if any(not _can_tell(ecosystem, version, events) for events in advisory.ranges) else False


def _can_tell(ecosystem: str, version: str, events: tuple[_Event, ...]) -> bool:
    """Whether the ecosystem has an order for the version and for all that it is held against."""
    named = [(event.introduced, event.fixed, event.last_affected, event.limit) for event in events]
    edges = [one for told in named for one in told if one is not None and one not in {"0", "*"}]
    return all(_has_order(ecosystem, one) for one in (version, *edges))


def _has_order(ecosystem: str, version: str) -> bool:
    if ecosystem == "pypi":
        try:
            PythonVersion(version)
        except InvalidVersion:
            return False
        return True
    form = _FORMS.get(ecosystem)
    return form is None or form.fullmatch(version) is not None


def key_of(ecosystem: str, name: str) -> str:
    """A package's name as it is looked up; a jar's classifier says nothing here."""
    if ecosystem == "pypi":
        return canonicalize_name(name)
    return ":".join(name.split(":")[:2]) if ecosystem == "maven" else name


def _is_in(ecosystem: str, version: str, events: tuple[_Event, ...]) -> bool:
    limits = [event.limit for event in events if event.limit is not None]
    if limits and not any(limit == "*" or is_older(ecosystem, version, limit) for limit in limits):
        return False
    affected = False
    for event in _in_order(ecosystem, events):
        if event.introduced is not None and not _is_before(ecosystem, version, event.introduced):
            affected = True
        elif (event.fixed is not None and not _is_before(ecosystem, version, event.fixed)) or (
            event.last_affected is not None and _is_before(ecosystem, event.last_affected, version)
        ):
            affected = False
    return affected


def _in_order(ecosystem: str, events: tuple[_Event, ...]) -> list[_Event]:
    def order(one: _Event, other: _Event) -> int:
        if _is_before(ecosystem, one.version, other.version):
            return -1
        return 1 if _is_before(ecosystem, other.version, one.version) else 0

    return sorted(events, key=cmp_to_key(order))


def _is_before(ecosystem: str, version: str, than: str) -> bool:
    """Whether one version comes before another; "0" comes before all."""
    if than == "0":
        return False
    return version == "0" or is_older(ecosystem, version, than)


def _mended(ecosystem: str, version: str, advisory: Advisory) -> str | None:
    above = [
        event.fixed
        for events in advisory.ranges
        for event in _in_order(ecosystem, events)
        if event.fixed is not None and is_older(ecosystem, version, event.fixed)
    ]
    return above[0] if above else None


def _records(content: bytes) -> Iterator[_Record]:
    if content[:4] in {b"PK\x03\x04", b"PK\x05\x06"}:
        yield from _zipped(content)
        return
    text = content.lstrip()
    try:
        if text[:1] == b"[":
            yield from msgspec.json.decode(text, type=list[_Record])
        else:
            yield from _one_or_lines(text)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"it is no list of records of OSV: {error}") from error


def _one_or_lines(text: bytes) -> Iterator[_Record]:
    try:
        yield msgspec.json.decode(text, type=_Record)
    except msgspec.DecodeError:
        for line in text.splitlines():
            if line.strip():
                yield msgspec.json.decode(line, type=_Record)


def _zipped(content: bytes) -> Iterator[_Record]:
    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            entries = [entry for entry in archive.infolist() if entry.filename.endswith(".json")]
            if sum(entry.file_size for entry in entries) > MOST_BYTES or any(
                entry.file_size > _MOST_RECORD for entry in entries
            ):
                raise Unreadable("it unpacks to more than a file of vulnerabilities has")
            for entry in entries:
                yield msgspec.json.decode(archive.read(entry), type=_Record)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError) as error:
        raise Unreadable(f"the zip cannot be read: {error}") from error
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        raise Unreadable(f"it holds something that is no record of OSV: {error}") from error


def _advisories(record: _Record) -> Iterator[tuple[str, str, Advisory]]:
    for affected in record.affected or ():
        ecosystem = ECOSYSTEMS.get(_ENDS.split(affected.package.ecosystem)[0])
        ranges = tuple(one.events for one in affected.ranges or () if one.type in _USED_TYPES)
        if ecosystem is None or not affected.package.name or not (ranges or affected.versions):
            continue
        yield (
            ecosystem,
            key_of(ecosystem, affected.package.name),
            Advisory(
                id=record.id,
                severity=_severity(record, affected),
                summary=(record.summary or record.details or "")[:200],
                aliases=record.aliases or (),
                versions=affected.versions or (),
                ranges=ranges,
            ),
        )


def _severity(record: _Record, affected: _Affected) -> Severity:
    """By the vector where there is one that is understood, the worst of several; else by the database's own word."""
    vectors = [severity_of_vector(one.score) for one in (*(affected.severity or ()), *(record.severity or ()))]
    understood = [one for one in vectors if one != "unknown"]
    if understood:
        return max(understood, key=ORDER.index)
    for told in (affected.database_specific, record.database_specific):
        if told and "severity" in told:
            return severity_of_word(told["severity"])
    return "unknown"
