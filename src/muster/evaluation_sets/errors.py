"""What can go wrong with evaluation sets."""

from muster.vocabulary.errors import Conflict, Damaged, Invalid, NotAllowed, NotFound, Refused


class EvaluationSetNotFound(NotFound):
    """The model has no evaluation set of this number, or none at all."""

    code = "evaluation_sets.not-found"
    advice = "`muster evaluation list MODEL` shows the sets that there are."


class EvaluationFileMalformed(Invalid):
    """The file is neither Parquet nor CSV that can be read, has no rows, or more than a set may have."""

    code = "evaluation_sets.file-malformed"
    advice = "Write it anew: `frame.to_parquet(…)`, or CSV with a header line."


class EvaluationSetUnfit(Refused):
    """The rows cannot be asked of the model, or cannot be judged: a column is missing, of another type, or breaks the contract."""

    code = "evaluation_sets.unfit"
    advice = "Compare the columns with the inputs of the newest version (`muster show MODEL:N`); the label must be there in every row."


class LabelUnknown(Invalid):
    """Nobody says which column holds what really happened: neither the call nor the newest version's `[prediction]`."""

    code = "evaluation_sets.label-unknown"
    advice = "Name the column: `muster evaluation add MODEL FILE --label COLUMN --reason TEXT`."


class EvaluationSetKnown(Conflict):
    """The newest evaluation set of the model holds these very rows."""

    code = "evaluation_sets.known"
    advice = "There is nothing to do: `muster evaluation list MODEL` shows it."


class OwnModel(NotAllowed):
    """Whoever has part in a version of a model neither seals its evaluation sets nor reads them: nobody sets their own exam."""

    code = "evaluation_sets.own-model"
    advice = "Ask an approver or admin who has no part in the model."


class EvaluationSetDamaged(Damaged):
    """The stored set is not what was sealed."""

    code = "evaluation_sets.damaged"
    advice = "Restore the store from a backup, or seal the rows anew from their file."
