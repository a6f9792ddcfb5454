"""What can go wrong with stored bytes."""

from muster.vocabulary.errors import Damaged, Invalid, NotFound, Unavailable


class BlobNotFound(NotFound):
    """The store holds no bytes of this digest."""

    code = "blobs.not-found"
    advice = "Register the bundle again: what is missing is put back."


class BlobDamaged(Damaged):
    """The bytes in the store are not those of their digest: a bad disk, or somebody wrote into the store."""

    code = "blobs.damaged"
    advice = "Remove the damaged file from the store and register the bundle again, or restore it from a copy."


class BlobUnexpected(Invalid):
    """The bytes that were given have another digest than was announced; nothing was stored."""

    code = "blobs.unexpected"
    advice = "The file changed on its way, or since its digest was taken: pack and send it again."


class BlobsFull(Unavailable):
    """The store has no room left, or a quota or a limit on the size of files is reached; nothing was stored."""

    code = "blobs.full"
    advice = "Make room where the store lies, then ask again."


class BlobsUnavailable(Unavailable):
    """The store cannot be reached, or does not let Muster read or write."""

    code = "blobs.unavailable"
    advice = "Check that the store named in settings.toml can be reached, and its rights or credentials."
