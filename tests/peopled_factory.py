"""A governed factory whose people are in its database with tokens of their own, so that they can come, leave, and be asked."""

from datetime import datetime

from governed_factory import PEOPLE, GovernedFactory
from muster.access.service import Access
from muster.release.evolution import Uses
from muster.storage.transaction import Transaction


class CountedUses:
    """Who used which endpoint; None: nobody counts."""

    def __init__(self) -> None:
        self.used: dict[str, datetime] | None = None

    def consumers_since(
        self, _tx: Transaction, _project: str, _endpoint: str, since: datetime
    ) -> frozenset[str] | None:
        """Who did since."""
        if self.used is None:
            return None
        return frozenset(name for name, at in self.used.items() if at >= since)


class PeopledFactory(GovernedFactory):
    """As `GovernedFactory`, with people who are really there; `shop` and `web` may score at the endpoint churn."""

    uses = CountedUses()

    def _settle_people(self) -> None:
        """They come when the services are there, and with tokens."""

    def start(self, members: Access | None = None, uses: Uses | None = None) -> None:
        """The services, joined as bootstrap joins them."""
        self.uses = CountedUses()
        self.open_books()
        self.access = Access(self.database, self.journal, self.board, self.clock, solo=self.solo)
        super().start(self.access, self.uses)
        with self.database.read() as tx:
            is_new = not self.access.has_role(tx, "adele", "default")
        if is_new:
            self.access.bootstrap("adele")
            for name, role in PEOPLE.items():
                if name not in {"adele", "front"}:
                    self.access.add_user(self.call("adele"), name, role, endpoints=())
            for name in ("shop", "web"):
                self.access.add_user(self.call("adele"), name, "consumer", endpoints=("churn",))
            self.access.add_user(self.call("adele"), "sandbox", "consumer")
