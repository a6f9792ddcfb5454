"""What can go wrong when a deed is put on record."""

from muster.vocabulary.errors import Conflict, Invalid, NotFound


class IdempotencyKeyReused(Conflict):
    """The caller used an idempotency key again, for another request than the first time."""

    code = "audit.idempotency-key-reused"
    advice = "Give every new request a key of its own; repeat a key only to repeat the very same request."


class DeedMalformed(Invalid):
    """A reason, a name or a key cannot be put on record: it is too long, or has characters that no database keeps."""

    code = "audit.deed-malformed"
    advice = "Shorten the text, and leave out control characters of value zero."


class AuditFileMissing(NotFound):
    """There is no database file at the path that was to be verified."""

    code = "audit.file-missing"
    advice = "Name the SQLite file of a factory, such as HOME/muster.db, or a copy of one."
