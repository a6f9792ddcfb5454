"""How much a project may hold and how often its tokens may ask."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from typing import Self

from muster.access.errors import QuotaExceeded, QuotaMalformed

#: The largest quota: what a 64-bit column of every database holds.
MOST = 2**53
#: What each quota counts, for messages.
UNITS = {
    "bytes": "bytes of bundles",
    "versions": "versions",
    "live_variants": "variants that are served",
    "requests_per_s": "requests a second per token",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Quotas:
    """The limits of a project; None: there is none."""

    bytes: int | None = None
    """Of all bundles registered, each file counted in every version that holds it."""
    versions: int | None = None
    live_variants: int | None = None
    """Variants of the current releases of all its endpoints together."""
    requests_per_s: int | None = None
    """Of each token at all of the project's endpoints together, per front."""

    @classmethod
    def from_document(cls, said: Mapping[str, object]) -> Self:
        """The quotas that a document names.

        Raises:
            QuotaMalformed: one is unknown or no whole number from 0 up; `requests_per_s` is at least 1.
        """
        known = [field.name for field in fields(cls)]
        found: dict[str, int] = {}
        for name, value in said.items():
            if name not in known:
                raise QuotaMalformed(f"there is no quota {name!r}", name=name, known=known)
            least = 1 if name == "requests_per_s" else 0
            if value is None:
                continue
            if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= MOST:
                raise QuotaMalformed(f"{name} = {value!r} is no quota: it is a whole number from {least} up", name=name)
            found[name] = value
        return cls(**found)

    def as_document(self) -> dict[str, int]:
        """Those that are set, by name."""
        return {name: value for name, value in asdict(self).items() if value is not None}

    def require(self, project: str, quota: str, used: int, asked: int) -> None:
        """Nothing, if so much more is within the limit.

        Args:
            project: whose, for the message.
            quota: its name.
            used: what the project has now.
            asked: what would come on top.

        Raises:
            QuotaExceeded: it is beyond; with what is used, asked and allowed as facts.
        """
        limit: int | None = getattr(self, quota)
        if limit is None or used + asked <= limit:
            return
        raise QuotaExceeded(
            f"project {project} has {used} {UNITS[quota]} of {limit} allowed; {asked} more would be too many",
            project=project,
            quota=quota,
            used=used,
            asked=asked,
            limit=limit,
        )
