"""What questions about data and load leave on the bench for those after them."""

from collections.abc import Callable
from dataclasses import dataclass, field

from muster.packaging.columns import Table
from muster.registry.records import Version
from muster.training.reading import DataFile
from muster.training.records import Source


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedRows:
    """Rows that the author does not know, by which the model is judged."""

    name: str
    """`evaluation:2`."""
    table: Table
    """The contract's inputs, the label, and what else was sealed with them."""


#: Tells the newest evaluation set of a version's model; None: it has none.
NewestSealed = Callable[[Version], SealedRows | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Profiled:
    """The profile of the training data, as a document."""

    data: str
    """Name of the data in the bundle: `training`."""
    data_digest: str
    document: bytes


@dataclass(slots=True, kw_only=True)
class AtHand:
    """Data that the factory could read, and what it made of it."""

    sources: tuple[Source, ...] = ()
    """What the project has registered."""
    sealed: NewestSealed | None = None
    """Where to find the evaluation set; None: nobody keeps any."""
    training: dict[str, DataFile] = field(default_factory=dict)
    """Data that the model was trained on, by its name in the bundle."""
    held_out: dict[str, DataFile] = field(default_factory=dict)
    """Data that the author judged it on."""
    profiled: Profiled | None = None
    resident: list[tuple[float, float]] = field(default_factory=list)
    """Seconds under load, MiB that the host held."""
    row_s: float = 0.0
    """Seconds for a row, at the best size of batch; 0: not measured."""
