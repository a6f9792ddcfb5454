"""Evaluation sets as an examination uses them, and what is kept of judging a version on one."""

from collections.abc import Callable
from dataclasses import dataclass

from muster.certification.at_hand import NewestSealed, SealedRows
from muster.evaluation_sets.errors import EvaluationSetUnfit
from muster.evaluation_sets.records import EvaluationSet
from muster.evaluation_sets.rows import EvaluationRows
from muster.evaluation_sets.service import EvaluationSets
from muster.registry.records import Version
from muster.vocabulary.digests import Digest
from muster.wire.contracts import Contract

#: The version that is in front now, by project and model: the champion of a live release; None: there is none.
Champions = Callable[[str, str], Version | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluated:
    """The set on which the versions of a model are judged, and the way to its rows."""

    held: EvaluationSet
    sets: EvaluationSets

    def rows(self, contract: Contract) -> EvaluationRows:
        """The rows for a version of a contract.

        Raises:
            EvaluationSetUnfit: such a version cannot be asked them.
            EvaluationSetDamaged: the store has other rows.
        """
        return self.sets.rows(self.held, contract)


def newest_sealed(sets: EvaluationSets) -> NewestSealed:
    """Tells the rows of the newest set of a version's model, for whoever looks for what the author should not know."""

    def sealed(version: Version) -> SealedRows | None:
        held = sets.newest(version.project, version.name.model)
        if held is None:
            return None
        try:
            return SealedRows(name=held.over, table=sets.rows(held, version.contract).whole())
        except EvaluationSetUnfit:  # the version cannot be asked these rows: `prediction-performance` says so
            return None

    return sealed


@dataclass(frozen=True, slots=True, kw_only=True)
class KeptTable:
    """A table that curves are derived from, in the store."""

    over: str
    """What it was computed on: `evaluation:2`."""
    slice: str
    """`region=north`; empty: all of it."""
    part: str
    """Of several classes: which one against the rest; empty elsewhere."""
    kind: str
    """`cutoffs`, `outcomes` or `classes`."""
    digest: Digest | None
    """None: not for whoever asks."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SessionTable:
    """A kept table, with the session it belongs to."""

    session: str
    project: str
    model: str
    number: int
    """Of the version."""
    table: KeptTable
