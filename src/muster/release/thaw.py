"""The refusal while a freeze holds."""

from datetime import datetime

from muster.release.judging import Judged
from muster.standards.errors import Frozen
from muster.vocabulary.clock import rfc3339


def require_thawed(judged: Judged, moment: datetime) -> None:
    """Nothing, if no freeze holds at the moment for what is judged.

    Raises:
        Frozen: one does.
    """
    frozen = judged.frozen(moment)
    if frozen is not None:
        over = rfc3339(frozen.over(moment))
        raise Frozen(f"nothing goes live before {over}: {frozen.reason}", freeze=str(frozen), over=over)
