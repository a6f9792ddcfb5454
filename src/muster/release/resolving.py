"""What references stand for, many at once: what a deployment script or a dashboard asks before it does anything.

churn:3              the version
churn:latest         the newest version of the model, whatever its state
churn@champion       the version whose answer the endpoint gives now
sha256:3f78…         the version with these bytes
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from muster.access.actor import Call
from muster.access.roles import Right
from muster.registry.records import Version
from muster.registry.service import Registry
from muster.release import store
from muster.release.errors import TooManyReferences
from muster.storage.transaction import Database, Transaction
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName
from muster.wire.plans import ServingPlan

MOST_REFERENCES = 100
_NAME = r"[a-z][a-z0-9-]{0,62}"
_VERSION = re.compile(rf"{_NAME}:[1-9][0-9]{{0,8}}")
_LATEST = re.compile(rf"({_NAME}):latest")
_CHAMPION = re.compile(rf"({_NAME})@champion")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolved:
    """What a reference stands for."""

    reference: str
    version: Version | None
    problem: str | None
    """Why it stands for nothing; None: it stands for the version."""


class References:
    """Resolves references.

    Args:
        database: where versions and endpoints are kept.
        registry: the versions.
    """

    def __init__(self, database: Database, registry: Registry) -> None:
        self._database = database
        self._registry = registry

    def resolve(self, call: Call, references: Sequence[str]) -> tuple[Resolved, ...]:
        """What each reference stands for, in their order; one that stands for nothing says why, and is no error.

        Raises:
            TooManyReferences: there are more than a hundred.
        """
        call.require(Right.READ)
        if len(references) > MOST_REFERENCES:
            raise TooManyReferences(
                f"{len(references)} references in one call; {MOST_REFERENCES} are answered",
                references=len(references),
                limit=MOST_REFERENCES,
            )
        with self._database.read() as tx:
            meant = self._meant(tx, call.project, references)
            names = {name for name in meant.values() if isinstance(name, VersionName)}
            digests = {Digest(text) for text in references if _DIGEST.fullmatch(text)}
            versions = self._registry.versions_in(tx, call.project, names, digests)
        known: dict[VersionName | str, Version] = {version.name: version for version in versions}
        known |= {str(version.digest): version for version in versions}
        return tuple(_resolved(text, meant[text], known) for text in references)

    def _meant(self, tx: Transaction, project: str, references: Sequence[str]) -> "dict[str, VersionName | str | None]":
        """What each reference names: a version, a digest, or in words why nothing."""
        champions = [match[1] for text in references if (match := _CHAMPION.fullmatch(text))]
        plans = store.current_plans(tx, project, champions) if champions else {}
        latest = [match[1] for text in references if (match := _LATEST.fullmatch(text))]
        newest = self._registry.newest_in(tx, project, latest) if latest else {}
        return {text: _named(text, plans, newest) for text in references}


def _named(text: str, plans: dict[str, ServingPlan | None], newest: dict[str, VersionName]) -> VersionName | str | None:
    if _VERSION.fullmatch(text):
        return VersionName.parse(text)
    if _DIGEST.fullmatch(text):
        return text
    if match := _LATEST.fullmatch(text):
        return newest.get(match[1])
    if match := _CHAMPION.fullmatch(text):
        plan = plans.get(match[1])
        return None if plan is None else VersionName.parse(plan.variants[0].version)
    return None


def _resolved(text: str, meant: VersionName | str | None, known: dict[VersionName | str, Version]) -> Resolved:
    version = None if meant is None else known.get(meant)
    return Resolved(reference=text, version=version, problem=None if version is not None else _why_not(text))


def _why_not(text: str) -> str:
    if _VERSION.fullmatch(text):
        return f"there is no version {text}"
    if _DIGEST.fullmatch(text):
        return "there is no version with these bytes"
    if match := _LATEST.fullmatch(text):
        return f"there is no version of a model {match[1]}"
    if match := _CHAMPION.fullmatch(text):
        return f"nothing is served at an endpoint {match[1]}"
    return "it is no reference: write churn:3, churn:latest, churn@champion of an endpoint, or sha256:… in full"
