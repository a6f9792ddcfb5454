"""Past requests for people: who may see which."""

from collections.abc import Callable

from muster.access.actor import Actor, Call
from muster.access.errors import RightMissing
from muster.access.roles import Right
from muster.access.service import Access
from muster.archive.errors import CountOutOfRange, RequestNotFound
from muster.archive.reader import Reader
from muster.archive.records import Record
from muster.vocabulary.names import checked_name

MOST_AT_ONCE = 1000
#: How many of an endpoint's newest records are looked through for those of one's own models.
_LOOKED_THROUGH = 10_000


class Requests:
    """The decision records of a project.

    With the right to read requests one sees all of them; with the right to read one's own, those that a version of
    one's own took part in.

    Args:
        reader: finds records.
        access: knows who may what.
        owns: whether a version, written `churn:3`, is somebody's own work, in the project of the call.
    """

    def __init__(self, reader: Reader, access: Access, owns: Callable[[Actor, str, str], bool]) -> None:
        self._reader = reader
        self._access = access
        self._owns = owns

    def last(self, call: Call, endpoint: str, n: int = 20) -> tuple[Record, ...]:
        """The newest records of an endpoint, the newest first.

        Raises:
            CountOutOfRange: `n` is not in 1 to 1000.
            RightMissing: the caller may not even read requests of own models.
        """
        checked_name(endpoint, of="endpoint")
        if not 1 <= n <= MOST_AT_ONCE:
            raise CountOutOfRange(f"{n} requests cannot be shown at once", asked=n, most=MOST_AT_ONCE)
        self._require_some(call)
        looked_through = n
        while True:
            found = self._reader.last(endpoint, looked_through)
            seen = tuple(record for record in found if self._may_see(call, record))
            if len(seen) >= n or len(found) < looked_through or looked_through >= _LOOKED_THROUGH:
                return seen[:n]
            looked_through = min(looked_through * 8, _LOOKED_THROUGH)

    def request(self, call: Call, request_id: str) -> Record:
        """The record of one request.

        Raises:
            RequestIdMalformed: it is not a request id.
            RequestNotFound: there is no such record, or the caller may not see it; which of the two is not told.
            RightMissing: the caller may not even read requests of own models.
        """
        self._require_some(call)
        record = self._reader.find(request_id)
        if record is None or not self._may_see(call, record):
            raise RequestNotFound(f"there is no request {request_id}", request_id=request_id)
        return record

    def _require_some(self, call: Call) -> None:
        try:
            self._access.require(call, Right.READ_REQUESTS)
        except RightMissing:
            self._access.require(call, Right.READ_OWN_REQUESTS)

    def _may_see(self, call: Call, record: Record) -> bool:
        if record.decided.project != call.project:
            return False
        return call.may(Right.READ_REQUESTS) or self.is_own(call, record)

    def is_own(self, call: Call, record: Record) -> bool:
        """Whether a version of the caller's own took part in the request."""
        return any(self._owns(call.actor, answer.version, call.project) for answer in record.answers())
