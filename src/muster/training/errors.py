"""What can be wrong with sources of data and with what they hold."""

from muster.vocabulary.errors import Conflict, Invalid, NotFound, Refused, Unavailable


class SourceMalformed(Invalid):
    """The address of a data source is none that the factory can read from, or leads into its own home."""

    code = "sources.malformed"
    advice = (
        "Give an absolute folder, s3://BUCKET/PREFIX/ or https://HOST/PREFIX/, without a user, a query or a fragment."
    )


class SourceTaken(Conflict):
    """The project has a data source of this name already."""

    code = "sources.taken"
    advice = "Choose another name, or remove the one that is there: `muster source remove NAME --reason …`."


class SourceNotFound(NotFound):
    """The project has no data source of this name."""

    code = "sources.not-found"
    advice = "`muster source list` shows those that there are; an admin adds one with `muster source add`."


class ReferenceMalformed(Invalid):
    """A reference to data names a source and a path that cannot lie below it."""

    code = "sources.reference-malformed"
    advice = "Write source:NAME/path/below/it.parquet: no empty part, no `.` or `..`, no backslash, query or fragment."


class DataNotFound(NotFound):
    """A source does not hold what a reference names, or holds a link, a folder or something else that is no plain file."""

    code = "sources.data-not-found"
    advice = "Put the file itself where the bundle says, or save the bundle again with the address where it lies."


class DataRefused(Refused):
    """What a source would give is not taken: too large, or the source sends the factory somewhere else."""

    code = "sources.data-refused"
    advice = (
        "The factory follows no redirect and takes no more bytes than the setting allows; refer to a smaller extract."
    )


class SourceUnreachable(Unavailable):
    """A data source cannot be read at present."""

    code = "sources.unreachable"
    advice = "Look at the address, the network and the permissions of the executor's user, then certify again."


class DataUnreadable(Invalid):
    """A data file is neither Parquet nor CSV that can be read."""

    code = "sources.data-unreadable"
    advice = "The factory reads .parquet and .csv (UTF-8, with a header); write the data as one of them."


class ProfileNotFound(NotFound):
    """A version has no profile of its training data."""

    code = "profile.not-found"
    advice = "Refer to the training data below a registered source and certify, or save with `profile=` the rows that were trained on."
