"""What the registry asks of whoever uses versions: it lies below them and does not know who they are."""

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
