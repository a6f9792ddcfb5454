"""What can go wrong when a version is judged on evaluation data."""

from muster.vocabulary.errors import Refused


class NotJudgeable(Refused):
    """The standard asks for prediction performance, and there is no evaluation set, or the bundle does not say what it predicts."""

    code = "certification.not-judgeable"
    advice = "Seal a set with `muster evaluation add MODEL FILE --reason TEXT`, and say in muster.toml what is predicted: `[prediction]`."
