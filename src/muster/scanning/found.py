"""What a scan finds, in the words that a report shows."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One thing that was found in a bundle."""

    place: str
    """The file, with what lies inside of it after `!`: `model/data.zip!inner.pkl`."""
    what: str
    """Its kind: `pickle-call`, `archive-escapes`, `aws-key`; the kinds are listed in docs/reference/scanning.md."""
    told: str
    """One sentence for a person."""
    refused: bool = True
    """Whether it refuses the bundle; what is not refused is told all the same."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Scan:
    """What came of looking through a folder."""

    found: tuple[Found, ...]
    files: int
    """How many files there were."""
    inside: int
    """How many pickles and archives were read through, nested ones included."""

    @property
    def refused(self) -> tuple[Found, ...]:
        """What refuses the bundle."""
        return tuple(one for one in self.found if one.refused)

    @property
    def told(self) -> tuple[Found, ...]:
        """What people should know and what refuses nothing."""
        return tuple(one for one in self.found if not one.refused)
