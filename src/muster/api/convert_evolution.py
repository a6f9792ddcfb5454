"""From what is known of a change of contract to the documents of the wire."""

from muster.api import convert
from muster.release.records import ContractReview
from muster.vocabulary.clock import rfc3339
from muster.wire import evolution


def contract_review(found: ContractReview) -> evolution.ContractReview:
    """What a release changes of the contract that is current."""
    return evolution.ContractReview(
        endpoint=found.endpoint,
        release=found.release,
        against=found.against,
        compatible=all(change.is_compatible for change in found.changes),
        changes=tuple(convert.contract_change(change) for change in found.changes),
        acknowledged=tuple(
            evolution.Acknowledgement(consumer=one.consumer, by=one.by, at=rfc3339(one.at), reason=one.reason)
            for one in found.acknowledged
        ),
        awaited=found.awaited,
    )
