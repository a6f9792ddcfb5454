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
from io import DEFAULT_BUFFER_SIZE, BytesIO
from typing import Any

from modelaudit_picklescan import PickleReport, ScanOptions, ScanStatus, Severity, scan_bytes

from muster.scanning.callables import is_cloudpickle, why_not_called
from muster.scanning.found import Found
from muster.scanning.machine import Ended, Machine, Unreadable
from muster.scanning.nodes import Global
from muster.scanning.opcodes import BY_CODE, Stops

#: By these endings a file says that it is a pickle.
SUFFIXES = (".pkl", ".pickle", ".cloudpickle", ".dill", ".joblib")
#: A larger one is refused unread: it would not fit into the memory of a scan.
MOST_BYTES = 2 * 2**30
#: Protocols whose pickles say so at their beginning.
_MARKED = range(2, 6)
_LEGACY_TORCH = 0x1950A86A20F9469CFC6C
_OPTIONS = ScanOptions(timeout_s=60.0, max_known_stream_read_bytes=MOST_BYTES)
#: Kinds of the other scanner that are about one name, or about how the stream is made.
_ABOUT_NAMES = frozenset({"DANGEROUS_CALL", "DANGEROUS_GLOBAL", "POST_BUDGET_GLOBAL"})
_ABOUT_STREAMS = frozenset({"EXTENSION_REF", "STRUCTURAL_TAMPER", "PICKLE_EXPANSION"})
_SHOWN = 5


def looks_like_pickle(content: bytes, allowed: Collection[str] = ()) -> bool:
    """Whether loading bytes as a pickle would do more than fail, whatever they begin with.

    They are followed from their first byte as an unpickler would follow them. Where that comes to a stop before anything is imported,
    nothing is ever run: so ends what is no pickle, mostly at its first byte.

    Args:
        content: of a file, or its beginning.
        allowed: names that a project's standard lets pass.
    """
    if content[:1] == b"\x80" and len(content) > 2 and content[1] in _MARKED and content[2:3] in BY_CODE:
        return True  # one that breaks off, too
    stream = BytesIO(content)
    while stream.tell() < len(content):
        machine = Machine(stream, allowed, _asks_nobody)
        try:
            machine.run()
        except Ended:
            return machine.calls
        except Unreadable:
            return True
        if machine.executes:
            return True
    return False


def goes_beyond(head: bytes) -> bool:
    """Whether the beginning of a larger file may be that of a pickle: it is one, or an unpickler reads on at its end."""
    asked = False

    def asks(_: Any) -> str | None:
        nonlocal asked
        asked = True
        return _asks_nobody(_)

    stream = BytesIO(head)
    try:
        Machine(stream, (), asks).run()
    except Ended:
        return (bool(head) and stream.tell() == len(head) and not asked) or looks_like_pickle(head)
    except Unreadable:
        return True
    return looks_like_pickle(head)


def _asks_nobody(_: Any) -> str | None:
    """Plain pickle ends where it is asked for an object by a persistent id."""
    raise Stops("persistent ids")


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
    elif content[:6] == b"\xfd7zXZ\x00":
        opener = lzma.open
    elif _is_lzma(content) or _is_zlib(content):
        found, why = _as_far_as_it_goes(content, most)
        if why is not None:
            raise Unreadable(f"it cannot be unpacked: {why}")
        return found
    else:
        return None
    try:
        with opener(BytesIO(content)) as stream:
            unpacked: bytes = stream.read(most + 1)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise Unreadable(f"it cannot be unpacked: {error}") from error
    if len(unpacked) > most:
        raise Unreadable(f"it unpacks to more than {most} bytes")
    return unpacked


def perhaps_decompressed(content: bytes, most: int) -> bytes:
    """What comes out of bytes that may be zlib's or old lzma's, which have no magic: empty, if they are not.

    Of what breaks off, the beginning: a pickle is run while it is unpacked.

    Raises:
        Unreadable: it unpacks to more than `most` bytes.
    """
    return _as_far_as_it_goes(content, most)[0] if _is_zlib(content) or _is_lzma(content) else b""


def _is_zlib(content: bytes) -> bool:
    return len(content) > 1 and content[0] & 0x8F == 0x08 and int.from_bytes(content[:2], "big") % 31 == 0


def _is_lzma(content: bytes) -> bool:
    """Whether it begins as lzma did before xz: properties, the size of the dictionary, the size of what it holds.

    Source: liblzma/common/alone_decoder.c.
    """
    if len(content) < _HEAD_OF_LZMA or content[0] >= 9 * 5 * 5:
        return False
    dictionary, size = int.from_bytes(content[1:5], "little"), int.from_bytes(content[5:13], "little")
    is_round = dictionary == 2**32 - 1 or dictionary in _DICTIONARIES
    return is_round and (size == 2**64 - 1 or size < 2**38)


_HEAD_OF_LZMA = 13
_BY_BYTES = 2**16
_DICTIONARIES = frozenset(size for power in range(32) for size in (2**power, 2**power + 2 ** (power - 1)))


def _as_far_as_it_goes(content: bytes, most: int) -> tuple[bytes, str | None]:
    """What comes out, stream after stream as joblib reads them, and why it ends before its end."""
    found, why = bytearray(), None
    rest = content
    while rest and why is None and (rest is content or _is_zlib(rest)):
        unpacker: Any = zlib.decompressobj() if _is_zlib(rest) else lzma.LZMADecompressor(lzma.FORMAT_ALONE)
        why, at = "it breaks off", 0
        while at < len(rest):
            # What a piece holds before an error is lost with it: readers take as much at once, and the beginning is read by the byte.
            piece = rest[at : at + (1 if at < _BY_BYTES else DEFAULT_BUFFER_SIZE)]
            at += len(piece)
            try:
                found += unpacker.decompress(piece)
            except (zlib.error, lzma.LZMAError) as error:
                return bytes(found), str(error)
            if len(found) > most:
                raise Unreadable(f"it unpacks to more than {most} bytes")
            if unpacker.eof:
                why = None
                break
        rest = unpacker.unused_data + rest[at:] if unpacker.eof else b""
    return bytes(found), why


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
            plain, why_plain = machine, unreadable
            stream.seek(begun)
            machine = Machine(stream, allowed, persistent, arrays=True)
            unreadable = _followed(machine)
            # Plain pickle would read the arrays of joblib as opcodes, if it was given the file, and a pickle among them with the memory
            # of the one around it: what that gives is no sound call, but a name that reaches beyond is one all the same.
            yield from (("pickle-call", told) for told in (plain.dangers if machine.nests else plain.problems))
            if why_plain is not None and not isinstance(why_plain, Ended):
                yield "unreadable", f"the pickle at byte {begun} is refused unread: {why_plain}"
                return
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
