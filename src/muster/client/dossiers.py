"""What is on record of a version: the report of its certification, its model card, the ML Test Score of its model."""

from urllib.parse import quote

from muster.client.orders import order_of
from muster.client.transport import Transport
from muster.vocabulary.names import VersionName, checked_name
from muster.wire import reports


class Dossiers:
    """What a factory's client can read about versions, and declare of models; part of `muster.client.control.Factory`."""

    _transport: Transport
    _project: str

    def certification_report(self, about: str | VersionName) -> reports.CertificationReport:
        """All that one certification found.

        Args:
            about: a session (`s-…`), or a version: then the newest of its certifications that came to a verdict.
        """
        return self._transport.get(f"{self._examined(about)}/report", reports.CertificationReport)

    def certification_page(self, about: str | VersionName) -> str:
        """The same as one HTML page, which needs nothing beside it."""
        return self._transport.text(f"{self._examined(about)}/report.html")

    def card(self, version: str | VersionName) -> reports.ModelCard:
        """The model card of a version."""
        return self._transport.get(f"{self._of_version(version)}/card", reports.ModelCard)

    def card_page(self, version: str | VersionName) -> str:
        """The same as one HTML page."""
        return self._transport.text(f"{self._of_version(version)}/card.html")

    def card_markdown(self, version: str | VersionName) -> str:
        """The same as Markdown."""
        return self._transport.text(f"{self._of_version(version)}/card.md")

    def test_score(self, model: str) -> reports.TestScore:
        """The ML Test Score of a model, test by test, with what is missing."""
        return self._transport.get(self._score(model), reports.TestScore)

    def declare_test(self, model: str, test: str, where: str, reason: str) -> reports.TestScore:
        """Say that people did by hand what a test asks; counts half, for a year.

        Args:
            model: of which.
            test: `data-3`.
            where: its results can be read.
            reason: what was done and found.
        """
        order = order_of(reports.DeclarationOrder, test=test, where=where, reason=reason)
        return self._transport.post(f"{self._score(model)}/declarations", reports.TestScore, order)

    def withdraw_test(self, model: str, test: str, reason: str) -> reports.TestScore:
        """Take back what was declared."""
        order = order_of(reports.DeclarationWithdrawal, test=test, reason=reason)
        return self._transport.post(f"{self._score(model)}/declarations/withdraw", reports.TestScore, order)

    def _examined(self, about: str | VersionName) -> str:
        if isinstance(about, str) and ":" not in about:
            return f"{self._project}/sessions/{quote(about, safe='')}"
        return self._of_version(about)

    def _of_version(self, version: str | VersionName) -> str:
        name = version if isinstance(version, VersionName) else VersionName.parse(version)
        return f"{self._project}/models/{name.model}/versions/{name.number}"

    def _score(self, model: str) -> str:
        return f"{self._project}/models/{checked_name(model, of='model')}/test-score"
