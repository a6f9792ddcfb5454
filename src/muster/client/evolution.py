"""Changes of contracts, as `muster.connect` asks about them."""

from muster.client.orders import order_of
from muster.client.transport import Transport
from muster.vocabulary.names import checked_name
from muster.wire import evolution


class Evolution:
    """The part of `Factory` about changes of contracts."""

    _transport: Transport
    _project: str

    def contract_review(self, endpoint: str, release: int) -> evolution.ContractReview:
        """What a release changes of the contract that is current, field by field, and which consumers have agreed."""
        return self._transport.get(f"{self._of_release(endpoint, release)}/breaks", evolution.ContractReview)

    def acknowledge(
        self, endpoint: str, release: int, reason: str, *, consumer: str | None = None
    ) -> evolution.ContractReview:
        """Agree to what a proposed release breaks.

        Args:
            endpoint: of the release.
            release: its number.
            reason: why, or what was agreed with whom.
            consumer: on whose behalf, which takes the right manage-users; None: your own.
        """
        order = order_of(evolution.AcknowledgementOrder, consumer=consumer, reason=reason)
        path = f"{self._of_release(endpoint, release)}/acknowledge"
        return self._transport.post(path, evolution.ContractReview, order)

    def _of_release(self, endpoint: str, release: int) -> str:
        return f"{self._project}/endpoints/{checked_name(endpoint, of='endpoint')}/releases/{int(release)}"
