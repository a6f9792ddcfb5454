"""What a live-test has to keep to: the project's standard, or, where it says nothing, what any version must."""

from dataclasses import replace
from typing import Protocol

from muster.livetests.records import LiveTest
from muster.registry.records import Version
from muster.standards.document import LiveTestRule
from muster.standards.evaluation import broken_limits
from muster.standards.service import Standards
from muster.storage.transaction import Transaction

#: Where no standard says anything: a version that cannot answer has not passed.
NOTHING_SAID = LiveTestRule(is_required=False, max_errors=0.01, max_late=0.05)


def broken_by(rule: LiveTestRule, seen: LiveTest) -> tuple[str, ...]:
    """By what a live-test falls short of a rule; where no standard says anything, as many requests will do as were asked for."""
    if rule == NOTHING_SAID and seen.requests is not None:
        rule = replace(rule, requests=seen.requests)
    return broken_limits(rule, seen.found())


class Rules(Protocol):
    """What live-tests have to keep to."""

    def prepare(self, version: Version) -> None:
        """Have at hand what takes too long for within a transaction."""
        ...

    def rule(self, tx: Transaction, version: Version) -> LiveTestRule:
        """Of a version's project, for its risk tier."""
        ...


class StandardRules:
    """What the projects' standards say.

    Args:
        standards: of the projects.
    """

    def __init__(self, standards: Standards) -> None:
        self._standards = standards

    def prepare(self, version: Version) -> None:
        """Have what the bundle says at hand, as the store may be far away."""
        self._standards.facts(version)

    def rule(self, tx: Transaction, version: Version) -> LiveTestRule:
        """Of a version's project, for its risk tier."""
        standard = self._standards.in_force(tx, version.project).standard
        return standard.of_tier(self._standards.facts(version).tier).livetest or NOTHING_SAID
