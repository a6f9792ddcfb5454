"""Versions on trial beside releases, as releases see them: another room keeps them, and this one asks it."""

from typing import Protocol

from muster.release.records import Release
from muster.standards.evaluation import LiveTestFound
from muster.storage.transaction import Transaction
from muster.vocabulary.digests import Digest
from muster.wire.plans import FrontReport, Shadow


class Trials(Protocol):
    """The room that keeps live-tests."""

    def shadow(self, tx: Transaction, current: Release) -> Shadow | None:
        """What fronts shall try beside a release; None: nothing."""
        ...

    def judged(self, tx: Transaction, release: Release, manifest: Digest) -> LiveTestFound | None:
        """The newest live-test of some bytes at a release's endpoint that has passed or failed."""
        ...

    def reported(self, report: FrontReport) -> None:
        """A front says what became of a version on trial."""
        ...

    def advance(self) -> None:
        """Take every live-test as far as it comes; called after each report and every half second."""
        ...


class NoTrials:
    """There are none."""

    def shadow(self, tx: Transaction, current: Release) -> None:
        """Nothing is on trial."""

    def judged(self, tx: Transaction, release: Release, manifest: Digest) -> None:
        """Nothing was."""

    def reported(self, report: FrontReport) -> None:
        """Nobody wants to know."""

    def advance(self) -> None:
        """There is nothing to do."""
