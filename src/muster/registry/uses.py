"""What the registry asks of others through protocols: of whoever uses versions, and of whoever knows who is still there."""

from typing import Protocol

from muster.access.actor import Call
from muster.registry.records import Version
from muster.storage.transaction import Transaction


class VersionUses(Protocol):
    """A room that uses versions."""

    def uses_of(self, tx: Transaction, version: Version) -> tuple[str, ...]:
        """Where the version is used now, for people: `endpoint churn, release 2`; empty: nowhere."""
        ...

    def banned(self, tx: Transaction, call: Call, version: Version) -> None:
        """The version was banned in this transaction: stop using it."""
        ...


class Members(Protocol):
    """Tells who is still there."""

    def hold_roles(self, tx: Transaction) -> None:
        """Nobody gains or loses a role until this transaction ends."""
        ...

    def has_role(self, tx: Transaction, name: str, project: str) -> bool:
        """Whether somebody has any role in a project, as this transaction sees it."""
        ...
