"""Pickles: what loading one would run, judged without loading it.

Two scanners that know nothing of each other read each pickle. Ours follows it exactly and lets pass only what serialisers need
(`machine`, `callables`). The other, modelaudit-picklescan, knows dangerous names of many libraries. A pickle passes when ours has read it
to its end, and neither finds anything. The other's warnings are left aside: it warns of every class that it does not know, of functions
that travel by value, and takes bytes of arrays for pickles inside of the pickle; none of them is loaded without a call that ours refuses.
"""

import bz2
import gzip
import lzma
import pickletools
import zlib
from collections.abc import Callable, Collection, Iterator
from io import BytesIO
from typing import Any

from modelaudit_picklescan import PickleReport, ScanOptions, ScanStatus, Severity, scan_bytes

from muster.scanning.callables import is_cloudpickle, why_not_called
from muster.scanning.found import Found
from muster.scanning.machine import Machine, Unreadable
from muster.scanning.nodes import Global

#: By these endings a file says that it is a pickle.
SUFFIXES = (".pkl", ".pickle", ".cloudpickle", ".dill", ".joblib")
#: A larger one is refused unread: it would not fit into the memory of a scan.
MOST_BYTES = 2 * 2**30
_FIRST_PROTOCOL, _LAST_PROTOCOL = 2, 5
_LEGACY_TORCH = 0x1950A86A20F9469CFC6C
_OPTIONS = ScanOptions(timeout_s=60.0, max_known_stream_read_bytes=MOST_BYTES)
#: Kinds of the other scanner that are about one name, or about how the stream is made.
_ABOUT_NAMES = frozenset({"DANGEROUS_CALL", "DANGEROUS_GLOBAL", "POST_BUDGET_GLOBAL"})
_ABOUT_STREAMS = frozenset({"EXTENSION_REF", "STRUCTURAL_TAMPER", "PICKLE_EXPANSION"})
_PROBED_OPCODES = 2_000
_SHOWN = 5


def looks_like_pickle(content: bytes) -> bool:
    """Whether bytes are a pickle by what they say themselves: its first opcode, or a whole text of opcodes that imports something."""
    if len(content) < 2:
        return False
    if content[0] == 0x80 and _FIRST_PROTOCOL <= content[1] <= _LAST_PROTOCOL:
        return True
    if content[:1] not in {
        b"(",
        b"]",
        b"}",
        b"c",
        b"i",
        b"X",
        b"U",
        b"V",
        b"S",
        b"l",
        b"d",
        b")",
        b"N",
        b"I",
        b"L",
        b"K",
        b"J",
        b"M",
    }:
        return False
    imports = False
    try:
        for number, (opcode, _, _) in enumerate(pickletools.genops(content)):
            imports = imports or opcode.name in {"GLOBAL", "INST", "STACK_GLOBAL", "EXT1", "EXT2", "EXT4"}
            if number > _PROBED_OPCODES:
                return True
    except (ValueError, IndexError):
        return False
    return imports


def decompressed(content: bytes, most: int) -> bytes | None:
    """What a compressed pickle of joblib holds; None: it is not compressed.

    Raises:
        Unreadable: it breaks off, or unpacks to more than `most` bytes.
    """
    opener: Any
    if content[:2] == b"\x1f\x8b":
        opener = gzip.open
    elif content[:3] == b"BZh":
        opener = bz2.open
    elif content[:6] == b"\xfd7zXZ\x00" or content[:3] == b"]\x00\x00":
        opener = lzma.open
    elif content[:1] == b"\x78" and len(content) > 1 and int.from_bytes(content[:2], "big") % 31 == 0:
        return _inflated(content, most)
    else:
        return None
    try:
        with opener(BytesIO(content)) as stream:
            found: bytes = stream.read(most + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise Unreadable(f"it cannot be unpacked: {error}") from error
    if len(found) > most:
        raise Unreadable(f"it unpacks to more than {most} bytes")
    return found


def scan_pickle(
    content: bytes,
    place: str,
    allowed: Collection[str] = (),
    persistent: Callable[[Any], str | None] | None = None,
) -> tuple[Found, ...]:
    """What refuses a pickle; all of the streams that follow each other in it are judged.

    Args:
        content: its bytes, uncompressed.
        place: where it is, for the findings.
        allowed: names that a project's standard lets pass.
        persistent: judges persistent ids, for formats that use them.
    """
    found: dict[str, Found] = {}
    for what, told in _ours(content, allowed, persistent):
        found.setdefault(told, Found(place=place, what=what, told=f"{place}: {told}"))
    if not any(one.what == "pickle-call" for one in found.values()):  # what refuses it is known already
        for told in _theirs(scan_bytes(content, source=place, options=_OPTIONS, enrich_call_graph=False), allowed):
            found.setdefault(told, Found(place=place, what="pickle-call", told=f"{place}: {told}"))
    return tuple(found.values())


def _ours(
    content: bytes, allowed: Collection[str], persistent: Callable[[Any], str | None] | None
) -> Iterator[tuple[str, str]]:
    stream = BytesIO(content)
    streams, is_torch = 0, False
    while stream.tell() < len(content):
        begun = stream.tell()
        if streams and not content[begun:].strip(b"\0\n\r \t"):
            return  # padding
        machine = Machine(stream, allowed, persistent)
        unreadable = _followed(machine)
        if machine.wraps:
            # Plain pickle would read the arrays of joblib as opcodes: names among them would be imported, if it was given the file.
            yield from (("pickle-call", danger) for danger in machine.dangers)
            stream.seek(begun)
            machine = Machine(stream, allowed, persistent, arrays=True)
            unreadable = _followed(machine)
        yield from (("pickle-call", problem) for problem in machine.problems)
        if unreadable is not None:
            yield "unreadable", f"the pickle at byte {begun} is refused unread: {unreadable}"
            return
        streams += 1
        is_torch = is_torch or (streams == 1 and _is_legacy_torch(content))
        if is_torch and streams == 5:  # storages follow, which nobody unpickles
            return


def _followed(machine: Machine) -> Unreadable | None:
    """Why a pickle cannot be followed to its end; None: it was."""
    try:
        machine.run()
    except Unreadable as error:
        return error
    return None


def _is_legacy_torch(content: bytes) -> bool:
    """Whether it is a file of torch before its zip archives: a number, four more pickles, and the bytes of the storages.

    Source: torch/serialization.py, `_legacy_save`.
    """
    try:
        first = [argument for opcode, argument, _ in pickletools.genops(content) if opcode.name in {"LONG1", "LONG"}]
    except (ValueError, IndexError):
        return False
    return first[:1] == [_LEGACY_TORCH]


def _theirs(report: PickleReport, allowed: Collection[str]) -> Iterator[str]:
    if report.status is ScanStatus.ERROR and not report.findings:
        return  # ours has read it, or has refused it as unreadable
    shown = 0
    for finding in report.findings:
        if finding.severity is not Severity.CRITICAL or "nested_encoding" in finding.details:
            continue
        reference = str(finding.details.get("import_reference", ""))
        if finding.rule_code in _ABOUT_NAMES and _is_needed(reference, allowed):
            continue
        if finding.rule_code in _ABOUT_NAMES | _ABOUT_STREAMS:
            yield f"modelaudit-picklescan: {finding.message}"
            shown += 1
            if shown == _SHOWN:
                return


def _is_needed(reference: str, allowed: Collection[str]) -> bool:
    """Whether ours has judged the name, and its arguments where they decide."""
    if reference in allowed:
        return True
    module, _, name = reference.rpartition(".")
    if module == "cloudpickle.cloudpickle._builtin_type":  # the types that it asks for, called
        return True
    named = Global(module, name)
    return is_cloudpickle(named) or (module.split(".")[0] in _JUDGED and why_not_called(named) is None)


#: Modules of which ours lets single names pass, for a reason.
_JUDGED = frozenset(
    {
        "builtins",
        "copyreg",
        "functools",
        "operator",
        "_operator",
        "types",
        "logging",
        "_codecs",
        "collections",
        "enum",
        "re",
    }
)


def _inflated(content: bytes, most: int) -> bytes:
    unpacker = zlib.decompressobj()
    try:
        found = unpacker.decompress(content, most + 1)
    except zlib.error as error:
        raise Unreadable(f"it cannot be unpacked: {error}") from error
    if len(found) > most:
        raise Unreadable(f"it unpacks to more than {most} bytes")
    if not unpacker.eof:
        raise Unreadable("it breaks off")
    return found
