"""Evaluation sets as services and doors see them."""

from dataclasses import dataclass
from datetime import datetime

from muster.vocabulary.digests import Digest


@dataclass(frozen=True, slots=True, kw_only=True)
class EvaluationSet:
    """Rows of a model with what really happened; never changed."""

    project: str
    model: str
    number: int
    """Of the model's sets; never used again."""
    digest: Digest
    """Of its rows as Parquet."""
    blob: Digest
    """Under which the store has it, salted; told to nobody."""
    source: Digest
    """Of the file that was given."""
    label: str
    """The column that holds what really happened."""
    columns: tuple[str, ...]
    rows: int
    bytes: int
    against: int
    """Number of the version with whose contract it was compared when it came."""
    sealed_by: str
    sealed_at: datetime
    reason: str

    @property
    def subject(self) -> str:
        """How audit events name it: `evaluation churn:2`."""
        return f"evaluation {self.model}:{self.number}"

    @property
    def over(self) -> str:
        """How measures name it: `evaluation:2`."""
        return f"evaluation:{self.number}"
