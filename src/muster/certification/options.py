"""What certification asks of a version, as far as it can be set."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from muster.certification.timing import CALLS, ROUNDS


@dataclass(frozen=True, slots=True, kw_only=True)
class CertificationOptions:
    """Limits of the checks."""

    latency_limit_ms: float = 1000.0
    """One-row latency at the 99th percentile that a version may have on its host, milliseconds."""
    build_limit_s: float = 1800.0
    """What building the environment may take, seconds."""
    host_memory_mib: int = 0
    """What a host and the programs that it starts may hold of the machine's memory, MiB; 0: no limit."""
    load_limit_s: float = 300.0
    """What importing and loading the model may take, seconds."""
    answer_limit_s: float = 60.0
    """What one batch of golden rows may take, seconds."""
    latency_calls: int = CALLS
    """How many one-row calls are timed in one round."""
    latency_rounds: int = ROUNDS
    """How many rounds there are at most; the best counts."""
    prove_rebuild: bool = True
    """Whether the environment is built a second time from the seal alone, with the network cut."""
    latency_budget_s: float = 5.0
    """For how long calls are timed at most, all rounds together, seconds; at least 20 calls are."""
    kept: Mapping[str, str] = field(default_factory=dict)
    """What in words → file of this factory that no model has any business with. Texts, because options are digested as JSON."""
    try_generated: bool = True
    """Whether rows that are generated from the contract are put to the model."""
