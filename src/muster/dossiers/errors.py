"""What can go wrong when something is to be told of a version."""

from muster.vocabulary.errors import Conflict, NotFound


class NoCertification(NotFound):
    """The session is of another kind of work, and has no report."""

    code = "dossiers.no-certification"
    advice = "Name a session that `muster certify` began, or the version itself: `muster certificate report churn:3`."


class NotExamined(NotFound):
    """Nobody has had the version examined yet, so there is nothing to report."""

    code = "dossiers.not-examined"
    advice = "`muster certify churn:3` has it examined."


class NotDeclared(Conflict):
    """Nobody has declared this test for the model, or it was taken back already."""

    code = "dossiers.not-declared"
    advice = "`muster test-score show MODEL` lists what is declared."
