"""Compiled twins as certification asks for them and knows them."""

from dataclasses import dataclass
from datetime import datetime

from muster.environments.sealing import Sealed
from muster.packaging.documents import Tolerance
from muster.sessions.records import Session
from muster.vocabulary.digests import Digest
from muster.vocabulary.names import VersionName

#: Between a version and the twin that is asked for, in the subject of a session: `churn:3 twin abs=1e-06 rel=0.0`.
_WORD = " twin"


@dataclass(frozen=True, slots=True, kw_only=True)
class TwinOrder:
    """That a twin shall be made."""

    tolerance: Tolerance | None = None
    """How far its answers may lie from the original's; None: as far as those to the golden rows may."""

    def subject(self, name: VersionName) -> str:
        """What the session that makes it is about."""
        if self.tolerance is None:
            return f"{name}{_WORD}"
        return f"{name}{_WORD} abs={self.tolerance.abs!r} rel={self.tolerance.rel!r}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Twinned:
    """A twin that was found to agree with its original."""

    manifest: Digest
    """Of the twin's bundle, of kind onnx."""
    environment: Digest
    sealed: Sealed | None
    """What its environment is made of; None where the record does not tell."""
    rows: int
    """Rows on which both were asked, the golden ones among them."""
    flips: int
    """Rows with another label."""
    largest: float
    """Largest deviation of a number."""
    tolerance: str
    """What was allowed, per output, in words."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Twin:
    """A twin on record."""

    version: VersionName
    project: str
    session: str
    """The certification that made and judged it."""
    twinned: Twinned
    at: datetime


def examined_by(session: Session) -> tuple[VersionName, TwinOrder | None]:
    """The version that a certification is about, and the twin that is asked for with it."""
    name, word, asked = session.subject.partition(_WORD)
    if not word:
        return VersionName.parse(name), None
    numbers = dict(part.split("=", 1) for part in asked.split())
    tolerance = Tolerance(abs=float(numbers["abs"]), rel=float(numbers["rel"])) if numbers else None
    return VersionName.parse(name), TwinOrder(tolerance=tolerance)
