"""What can keep sources from becoming a bundle."""

from muster.vocabulary.errors import Conflict, Invalid, Refused


class SourceUnusable(Invalid):
    """The folder to assemble is none that a bundle can be made of: no muster.toml, an unknown key, rows that do not fit."""

    code = "assembling.source-unusable"
    advice = "docs/how-to/bring-a-model/README.md shows the few lines of muster.toml that are needed."


class CardUnusable(Invalid):
    """What people are to be told about the model cannot be read: card, data or notes have an unknown key or a value of the wrong type."""

    code = "assembling.card-unusable"
    advice = (
        "The file holds the tables [card] and [[data]], as docs/reference/bundle.md describes them in muster.toml. "
        "`muster standard check BUNDLE` tells afterwards what a standard still misses."
    )


class RowsUnreadable(Invalid):
    """The rows or the expected answers cannot be read, or have not the columns that they should have."""

    code = "assembling.rows-unreadable"
    advice = (
        "Rows come as .csv (with a header), .json (a list of objects), .jsonl (one object per line) or .parquet; expected answers as the "
        "same, with a column per output and a line per row."
    )


class ModelErred(Refused):
    """The model raised an error on the golden rows, or answered something else than its contract says."""

    code = "assembling.model-erred"
    advice = "Mend the model or the rows, and assemble again. What the model printed is in the message."


class AnswersVary(Refused):
    """Two runs of the model on the same rows gave different answers, so nobody could tell later whether an answer is right."""

    code = "assembling.answers-vary"
    advice = (
        "Fix the seeds and the order of whatever the model does at random, or declare how far answers may lie apart: "
        "[golden.tolerance.OUTPUT] abs = 1e-9 in muster.toml."
    )


class AnswersUnexpected(Refused):
    """The model in its host does not answer what the training program expected."""

    code = "assembling.answers-unexpected"
    advice = (
        "Compare how training and model treat missing values, unknown categories and the order of columns. If the difference is rounding, "
        "declare it: [golden.tolerance.OUTPUT] abs = 1e-6 in muster.toml."
    )


class TargetTaken(Conflict):
    """The folder to be written exists and is no bundle: it is left as it is."""

    code = "assembling.target-taken"
    advice = "Name a folder that does not exist yet, or an earlier bundle."
