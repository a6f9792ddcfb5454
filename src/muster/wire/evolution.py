"""Documents of the control API about changes of contracts and what consumers say to them."""

import msgspec

from muster.wire.control import Answer, ContractChange, NameText, Order, ReasonText


class AcknowledgementOrder(Order, frozen=True, kw_only=True):
    """Agree to what a release breaks."""

    consumer: NameText | None = None
    """On whose behalf, which takes the right manage-users; null: the caller's own."""
    reason: ReasonText


class Acknowledgement(msgspec.Struct, frozen=True, kw_only=True):
    """That a consumer agreed."""

    consumer: str
    by: str
    """Who said so: the consumer, or an admin on its behalf."""
    at: str
    reason: str


class ContractReview(Answer, frozen=True, kw_only=True):
    """What a release changes of the contract that is current, and what its consumers say to it."""

    endpoint: str
    release: int
    against: int | None
    """The release that is current; null: there is none."""
    compatible: bool
    """No consumer has to agree to anything."""
    changes: tuple[ContractChange, ...]
    acknowledged: tuple[Acknowledgement, ...]
    awaited: tuple[str, ...]
    """Consumers who have to agree and have not."""
