"""What can go wrong with decision records on disk."""

from muster.vocabulary.errors import Conflict, Damaged, Invalid, NotFound, Refused, Unavailable


class ArchiveFull(Unavailable):
    """There is no room for decision records: the disk, a quota or the limit of the spool is exhausted.

    Nothing of the events that were to be written is in the archive. What happens to the request is the choice of its
    endpoint: it is refused, or answered and counted as unrecorded.
    """

    code = "archive.full"
    advice = "Free space on the disk of HOME/archive, raise the limit of the spool, or see why compaction stands still."


class ArchiveUnwritable(Unavailable):
    """Decision records cannot be written for another reason than space: rights, a read-only or a failing disk."""

    code = "archive.unwritable"
    advice = "Check rights and health of the disk of HOME/archive; the front writes on as soon as it can."


class ArchiveStoreUnavailable(Unavailable):
    """The store of the compacted records cannot be reached, or does not let Muster read or write.

    Records stay in the spool of their front and become Parquet when the store is back.
    """

    code = "archive.store-unavailable"
    advice = "See whether the store of `archive.store` in settings.toml can be reached, and its rights or credentials."


class SpoolInUse(Conflict):
    """Another process writes to the spool of this front already; each front number belongs to one process."""

    code = "archive.spool-in-use"
    advice = "Stop the other front, or start this one with another number."


class SegmentNumbersExhausted(Unavailable):
    """A front has used all of its 16,777,215 segment numbers."""

    code = "archive.segment-numbers-exhausted"
    advice = "Give the front a new number."


class SegmentDamaged(Damaged):
    """A segment is not one of format 1, or its header is damaged, so that nothing in it can be trusted."""

    code = "archive.segment-damaged"
    advice = "Keep the file; look for errors of the disk. Requests recorded in it are missing from the archive."


class ArchiveFileDamaged(Damaged):
    """A Parquet file of the archive cannot be read, or was not written by this archive."""

    code = "archive.file-damaged"
    advice = "Restore the file from a copy; look for errors of the disk."


class IndexDamaged(Damaged):
    """An entry of the archive's index, or a note of a removal, is not what was written."""

    code = "archive.index-damaged"
    advice = "Restore the file from a copy; `muster archive verify` lists everything that is wrong."


class WindowMalformed(Invalid):
    """The window of an export ends before it begins."""

    code = "archive.window-malformed"
    advice = "Give `--from` a moment before `--to`."


class WindowMixed(Refused):
    """The records of a window do not fit into one table: a field has had two types."""

    code = "archive.window-mixed"
    advice = "Export the parts on their own, or as NDJSON, where every record stands for itself."


class RetentionMalformed(Invalid):
    """Records cannot be kept for this long."""

    code = "archive.retention-malformed"
    advice = "Keep records for 1 to 36500 days, or for ever."


class RequestNotFound(NotFound):
    """No record of this request is in the archive, or it is not for this caller."""

    code = "archive.request-not-found"
    advice = "Check the id; a scientist sees only requests that one of their own models took part in."


class CountOutOfRange(Invalid):
    """More records were asked for at once than are given, or fewer than one."""

    code = "archive.count-out-of-range"
    advice = "Ask for 1 to 1000 requests; for more, read the Parquet files in HOME/archive/parquet."
