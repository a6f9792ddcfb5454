"""Past requests for people: who may see which, one by one or as an export, and whether they are all there."""

from collections.abc import Callable, Collection, Iterator

from muster.access.actor import Actor, Call
from muster.access.errors import RightMissing
from muster.access.roles import Right
from muster.access.service import Access
from muster.archive.errors import CountOutOfRange, RequestNotFound
from muster.archive.export import Exports, Window
from muster.archive.reader import Reader
from muster.archive.records import Record
from muster.archive.verify import Verdict, Verifier
from muster.audit.entries import Deed
from muster.audit.journal import Journal
from muster.storage.transaction import Database
from muster.vocabulary.clock import rfc3339_of_ns
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
        self.require_some(call)
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
        self.require_some(call)
        record = self._reader.find(request_id)
        if record is None or not self._may_see(call, record):
            raise RequestNotFound(f"there is no request {request_id}", request_id=request_id)
        return record

    def require_some(self, call: Call) -> None:
        """Nothing, if the caller may read some requests.

        Raises:
            RightMissing: not even those of own models.
        """
        try:
            self._access.require(call, Right.READ_REQUESTS)
        except RightMissing:
            self._access.require(call, Right.READ_OWN_REQUESTS)

    def require_all(self, call: Call) -> None:
        """Nothing, if the caller may read every request of the project.

        Raises:
            RightMissing: only those of own models, or none.
        """
        self._access.require(call, Right.READ_REQUESTS)

    def _may_see(self, call: Call, record: Record) -> bool:
        if record.decided.project != call.project:
            return False
        return call.may(Right.READ_REQUESTS) or self.is_own(call, record)

    def is_own(self, call: Call, record: Record) -> bool:
        """Whether a version of the caller's own took part in the request."""
        return any(self._owns(call.actor, answer.version, call.project) for answer in record.answers())


class Exporting:
    """Exports for people, each on record, and the proof that the archive is whole.

    Args:
        exports: makes them.
        requests: knows who may see what.
        verifier: makes what looks through the archive, for one endpoint or all.
        database: of the journal.
        journal: where exports are put on record.
        foreign: the endpoints that belong to other projects than that of the call.
        require_endpoint: raises unless the caller's project has the endpoint.
    """

    def __init__(
        self,
        exports: Exports,
        requests: Requests,
        verifier: Callable[[str | None], Verifier],
        database: Database,
        journal: Journal,
        *,
        foreign: Callable[[Call], Collection[str]],
        require_endpoint: Callable[[Call, str], object],
    ) -> None:
        self._foreign = foreign
        self._require_endpoint = require_endpoint
        self._exports = exports
        self._requests = requests
        self._verifier = verifier
        self._database = database
        self._journal = journal

    def window(self, call: Call, endpoint: str, from_ns: int | None, to_ns: int | None, form: str) -> Window:
        """The window of an export, which is now on record.

        Raises:
            WindowMalformed: it ends before it begins.
            RightMissing: the caller may not even read requests of own models.
        """
        checked_name(endpoint, of="endpoint")
        self._requests.require_some(call)
        window = self._exports.window(endpoint, call.project, from_ns, to_ns)
        details = {
            "from": rfc3339_of_ns(window.from_ns),
            "to": rfc3339_of_ns(window.to_ns),
            "form": form,
            "own_only": not call.may(Right.READ_REQUESTS),
        }
        with self._database.write() as tx:
            self._journal.append(
                tx,
                Deed(
                    actor=call.actor.name,
                    action="archive.exported",
                    subject=f"endpoint {endpoint}",
                    project=call.project,
                    details=details,
                ),
            )
        return window

    def records(self, call: Call, window: Window) -> Iterator[Record]:
        """The records of a window that the caller may see."""
        return self._exports.records(window, self._seen(call))

    def parquet(self, call: Call, window: Window) -> Iterator[bytes]:
        """The same as the bytes of a Parquet file.

        Raises:
            WindowMixed: a field has had two types within the window.
        """
        return self._exports.parquet(window, self._seen(call))

    def verify(self, call: Call, endpoint: str | None) -> Verdict:
        """Hold the archive against itself; what is said of other projects' endpoints is left out.

        Raises:
            RightMissing: the caller may not read all requests.
            EndpointNotFound: it is the endpoint of another project.
        """
        if endpoint is not None:
            checked_name(endpoint, of="endpoint")
        self._requests.require_all(call)
        foreign = self._foreign(call)
        if endpoint is not None and endpoint in foreign:
            self._require_endpoint(call, endpoint)
        verdict = self._verifier(endpoint).verify()
        for other in foreign:
            verdict.endpoints.pop(other, None)
            verdict.problems = [problem for problem in verdict.problems if not problem.is_about(other)]
        return verdict

    def _seen(self, call: Call) -> Callable[[Record], bool] | None:
        if call.may(Right.READ_REQUESTS):
            return None
        return lambda record: self._requests.is_own(call, record)
