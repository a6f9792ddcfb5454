"""A release in the hands of a deed: found or missed, in a state that permits the deed or not, put on record."""

from collections.abc import Mapping

from muster.access.actor import Call
from muster.audit.entries import Deed, Entry
from muster.release import store
from muster.release.errors import EndpointNotFound, ReleaseNotFound, ReleaseStateUnfit
from muster.release.records import Release
from muster.storage.transaction import Transaction
from muster.vocabulary.states import RELEASE_MOVES, ReleaseState

_SUBJECT = " release "


def require_endpoint(tx: Transaction, call: Call, endpoint: str) -> None:
    """Nothing, if the project of the call has the endpoint.

    Raises:
        EndpointNotFound: it has not.
    """
    if store.project_of_endpoint(tx, endpoint) != call.project:
        raise no_endpoint(endpoint)


def held_release(tx: Transaction, call: Call, endpoint: str, number: int) -> Release:
    """The release of an endpoint of the call's project.

    Raises:
        EndpointNotFound, ReleaseNotFound: there is none.
    """
    require_endpoint(tx, call, endpoint)
    held = store.release(tx, endpoint, number)
    if held is None:
        raise no_release(endpoint, number)
    return held


def present(tx: Transaction, call: Call, entry: Entry) -> Release:
    """The release that an audit event is about, as it is now."""
    endpoint, _, number = entry.subject.rpartition(_SUBJECT)
    return held_release(tx, call, endpoint, int(number))


def check_move(held: Release, to: ReleaseState) -> None:
    """Nothing, if the release may come into the state.

    Raises:
        ReleaseStateUnfit: it may not.
    """
    if to not in RELEASE_MOVES[held.state]:
        raise unfit(held, f"is {held.state} and cannot become {to}")


def unfit(held: Release, why: str) -> ReleaseStateUnfit:
    """The error that says why the release does not permit the deed."""
    return ReleaseStateUnfit(
        f"{held.subject} {why}", endpoint=held.endpoint, release=held.number, state=str(held.state)
    )


def no_endpoint(endpoint: str) -> EndpointNotFound:
    """The error that there is no such endpoint."""
    return EndpointNotFound(f"there is no endpoint {endpoint}", endpoint=endpoint)


def no_release(endpoint: str, number: int) -> ReleaseNotFound:
    """The error that there is no such release."""
    return ReleaseNotFound(f"endpoint {endpoint} has no release {number}", endpoint=endpoint, release=number)


def deed_of(call: Call, action: str, release: Release, reason: str, details: Mapping[str, object]) -> Deed:
    """What the caller did to the release, with the key of the call."""
    return Deed(
        actor=call.actor.name,
        action=action,
        subject=release.subject,
        project=release.project,
        details=dict(details),
        reason=reason,
        idempotency_key=call.idempotency_key,
        request_digest=call.request_digest,
    )
