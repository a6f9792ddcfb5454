"""Counts of a front as they are after some traffic, for what shows them."""

from muster.serving.counts import FrontCounts, LaneNow
from muster.serving.decisions import Decision
from muster.vocabulary.states import Reason

MS = 1_000_000


def busy_counts(requests: int = 100) -> FrontCounts:
    """A front with one endpoint, a champion that answers nine of ten requests and a challenger that is late."""
    front = FrontCounts()
    endpoint = front.endpoint("churn")
    champion, challenger = endpoint.serves(3, [("churn:3", "champion"), ("churn:4", "challenger")])
    for number in range(requests):
        champion.answered(2 * MS, is_late=False)
        is_late = number % 10 == 0
        challenger.answered((60 if is_late else 4) * MS, is_late=is_late)
        decision = Decision(0, Reason.CHAMPION) if number % 10 else Decision(1, Reason.FALLBACK_LATE)
        endpoint.decided((champion, challenger), decision, 3 * MS, 50 * MS, 2)
    champion.computed(16, 8, MS)
    challenger.failed(5 * MS)
    challenger.probation(is_on=True)
    endpoint.refused(400, "serving.request-malformed")
    front.refused(401, "serving.token-unknown")
    front.lanes = lambda: [
        LaneNow("churn", "churn:3", "champion", 7, True),
        LaneNow("churn", "churn:4", "challenger", 0, False),
    ]
    front.ready = lambda: [("churn", True)]
    front.open_requests = lambda: 5
    front.synced(0.002)
    return front
