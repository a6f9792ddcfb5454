"""What only the command line can find wrong."""

from muster.vocabulary.errors import Invalid, MusterError, NotFound, Refused, TimedOut


class UsageWrong(Invalid):
    """The command was not used as it is meant: an unknown option, a missing or a superfluous argument."""

    code = "cli.usage"
    advice = "`--help` after the command shows how it is meant."


class FileMissing(NotFound):
    """A file or folder that was named is not there."""

    code = "cli.file-missing"


class FileNotUnderstood(Invalid):
    """A file with rows is neither JSON, CSV nor Parquet, or cannot be read as what it is."""

    code = "cli.file-not-understood"
    advice = (
        'Rows come as .json (a list of objects, or `{"rows": […]}`), .jsonl (one object per line), '
        ".csv (with a header) or .parquet."
    )


class FileUnwritable(Refused):
    """A file that was to be written cannot be: its folder is not there, or is not the caller's."""

    code = "cli.file-unwritable"
    advice = "Name a file in a folder that exists and that you may write to."


class ModelErred(Refused):
    """The model raised an error on the rows that it was tried on, or answered something else than its contract says."""

    code = "cli.model-erred"
    advice = "Mend the model or the rows, and write the bundle again with muster.save."


class NotLiveYet(TimedOut):
    """The release is approved, but not every connected front serves it yet."""

    code = "cli.not-live-yet"
    advice = "It goes on: `muster releases ENDPOINT` shows how far it is; `muster ps` shows whether a front runs."


class InternalFault(MusterError):
    """A fault inside Muster: not what was asked is wrong, but how it was carried out."""

    code = "cli.internal"
    advice = "Please report it with what you did; the lines above say where it happened."
